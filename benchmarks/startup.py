"""How long FlowBot takes to start: importing its public names, `--help` and `check`, each in fresh processes.

    python benchmarks/startup.py [RUNS]

The public names may cost at most half of importing aiohttp, besides pydantic's own time: its import and one model, since
pydantic loads most of itself with the first model. Prints one JSON object with
the median of RUNS (default 9) interleaved runs, in milliseconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
TIMED = "import time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1000)"
IMPORTS = {
    "nothing": "pass",
    "pydantic": "import pydantic; type('M', (pydantic.BaseModel,), {'__annotations__': {'x': int}})",
    "pydantic, no model": "import pydantic",
    "aiohttp": "import aiohttp",
    "flowbot": "import flowbot",
    "public names": "import flowbot; [getattr(flowbot, name) for name in flowbot.__all__]",
}
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "flowbot --help": [sys.executable, "-m", "flowbot", "--help"],
    "flowbot check": [sys.executable, "-m", "flowbot", "check", str(ROOT / "examples" / "orders" / "task.yaml")],
}


def whole(command: list[str]) -> float:
    """Milliseconds of one whole process."""
    code = f"import subprocess, time; t = time.perf_counter(); subprocess.run({command!r}, capture_output=True, check=True)"
    printed = subprocess.check_output([sys.executable, "-c", f"{code}; print((time.perf_counter() - t) * 1000)"])
    return float(printed)


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    imports: dict[str, list[float]] = {name: [] for name in IMPORTS}
    commands: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, statement in IMPORTS.items():
            imports[name].append(float(subprocess.check_output([sys.executable, "-c", TIMED.format(statement)])))
        for name, command in COMMANDS.items():
            commands[name].append(whole(command))
    of = {name: round(median(times), 1) for name, times in imports.items()}
    ours = of["public names"] - of["pydantic"]
    print(
        json.dumps(
            {
                "import_ms": of,
                "whole_process_ms": {name: round(median(times), 1) for name, times in commands.items()},
                "ours_without_pydantic_ms": round(ours, 1),
                "ratio_to_aiohttp": round(ours / of["aiohttp"], 3),
                "runs": runs,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
