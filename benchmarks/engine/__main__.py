"""FlowBot's engine beside its peers: throughput, replay, fault storm, memory, against a mock endpoint on this machine.

    python benchmarks/engine OUT PART... [--peers ours,aiohttp,...] [--repeats N] [--small] [--venvs DIR]

PART is `throughput`, `replay`, `storm`, `memory` or `all`. Every client runs in a process of its own, peers in virtual
environments that are made on first use (from `requirements/`). Each run is one line appended to OUT/engine.jsonl, with
the machine's load before it; repeats are interleaved. Tables of medians follow at the end. `--small` only tries that
everything works.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import parts
from processes import DRIVERS, Venvs, serving
from tables import tables


def _arguments() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="benchmarks/engine", description=first, epilog=rest)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("parts", nargs="+", choices=(*parts.PARTS, "all"), metavar="PART")
    parser.add_argument(
        "--peers", default="", help="PEER or PEER:VARIANT, separated by commas; all of a part by default"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--venvs", type=Path, default=cache / "flowbot-benchmarks" / "engine")
    return parser.parse_args()


def main() -> None:
    """Run the parts that are asked for."""
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    venvs = Venvs(asked.venvs)
    names = list(parts.PARTS) if "all" in asked.parts else asked.parts
    only = [name for name in asked.peers.split(",") if name]
    for name in only:
        if name.partition(":")[0] not in DRIVERS:
            sys.exit(f"--peers: found {name}; known are {', '.join(DRIVERS)}")
    lines: list[dict[str, Any]] = []
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "system": platform.platform()}
    with (asked.out / "engine.jsonl").open("a") as file, serving(venvs) as server:

        def note(line: dict[str, Any]) -> None:
            lines.append(line)
            peer = str(line["peer"]).partition(":")[0]
            file.write(json.dumps({**line, "versions": venvs.versions(peer), **machine}) + "\n")
            file.flush()
            print(json.dumps({key: line[key] for key in line if key not in ("wrong", "server")}), file=sys.stderr)

        bench = parts.Bench(venvs, server, note, repeats=asked.repeats, only=only, small=asked.small)
        for name in names:
            parts.PARTS[name](bench)
    print(tables(lines))
    faulty = [line for line in lines if line["peer"].startswith("ours") and _is_faulty(line)]
    if faulty:
        sys.exit(f"{len(faulty)} of FlowBot's own runs lost an example, scored one otherwise, or failed")


def _is_faulty(line: dict[str, Any]) -> bool:
    return bool(line.get("error") or line.get("cut") or line["lost"] or line["failed"] or line["wrong"])


if __name__ == "__main__":
    main()
