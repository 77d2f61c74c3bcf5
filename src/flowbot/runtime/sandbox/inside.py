"""The program that runs inside the confined process, on the standard library alone: `python inside.py CHANNEL`.

It reads one request (JSON) from standard input, gives up what it may still do, says `ready` on the descriptor CHANNEL,
runs the code, writes one line of JSON to CHANNEL and ends. What the code prints goes to standard output. Nothing here
protects anything from the code: it may do with this process as it likes. What it sends is not trusted outside.
"""

from __future__ import annotations

import builtins
import json
import math
import os
import resource
import sys
from types import ModuleType

TYPE_CHECKING = False  # `typing` itself would cost a millisecond of each run
if TYPE_CHECKING:
    from typing import Any

    from flowbot.runtime.plain_json import MAX_NAME, Plain, Unfit
else:
    sys.path.insert(0, "/")
    from plain_json import MAX_NAME, Plain, Unfit

    del sys.path[0], sys.modules["plain_json"]  # the code finds nothing of ours

MB = 1 << 20
SPARE_MB = 32
FILE_MB = 16
OPEN_FILES = 32
MAX_TEXT = 100_000
FILE_NAME = "<code>"


def limit(seconds: float, memory_mb: int) -> None:
    """Bound what this process may take; the code's memory counts from what the interpreter has taken so far."""
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    memory = taken + memory_mb * MB
    limits = {
        resource.RLIMIT_CPU: math.ceil(seconds) + 1,
        resource.RLIMIT_FSIZE: FILE_MB * MB,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for which, bound in limits.items():
        resource.setrlimit(which, (bound, bound))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory + SPARE_MB * MB))


def answer(code: str, inputs: dict[str, Any] | None) -> dict[str, Any]:
    """What to reply: `{"result": ...}` of `run(**inputs)`, or of the whole text where `inputs` is None; or why not."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    try:
        if "random" in code:  # only then, as importing it takes some milliseconds
            import random

            random.seed(0)
        exec(compile(code, FILE_NAME, "exec", dont_inherit=True), vars(module))  # noqa: S102 - what this process is for
        if inputs is None:
            return {"result": None}
        run = vars(module).get("run")
        if run is None:
            raise NameError("name 'run' is not defined")
        result = run(**inputs)
        relax()
        return {"result": Plain().value(result)}
    except Unfit as error:
        return {"error": str(error)}
    except MemoryError:
        return {"memory": True}
    except SystemExit as error:
        if inputs is None and error.code in (None, 0):
            return {"result": None}
        return {"error": described(error, "")}
    except BaseException as error:
        return {"error": described(error, code)}


def relax() -> None:
    """Room to write the reply when the code has taken all it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def described(error: BaseException, code: str) -> str:
    """The error with its line in `code`, as Python tells it."""
    relax()
    name = type(error).__name__[:MAX_NAME]
    line = 0
    try:
        if isinstance(error, SyntaxError) and error.filename == FILE_NAME:
            message, line = error.msg, error.lineno or 0
        else:
            message = str(error)
            step = error.__traceback__
            while step is not None:
                if step.tb_frame.f_code.co_filename == FILE_NAME:
                    line = step.tb_lineno
                step = step.tb_next
    except BaseException:  # an exception of the code's own, with a __str__ that raises
        message = ""
    told = f"{name}: {message}"[:MAX_TEXT] if message else name
    lines = code.splitlines()
    return f"{told} (line {line}: {lines[line - 1].strip()[:120]})" if 0 < line <= len(lines) else told


def main() -> None:
    """Serve the one request."""
    channel = int(sys.argv[1])
    request = json.load(sys.stdin)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 2)
    sys.argv[:] = [""]
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115 - open to the end
    for name in ("exit", "quit"):  # as the module `site` would
        setattr(builtins, name, sys.exit)
    limit(request["seconds"], request["memory_mb"])
    os.write(channel, b"ready\n")
    try:
        reply = answer(request["code"], request["inputs"])
    except MemoryError:
        reply = {"memory": True}
    try:
        relax()
        sys.stdout.flush()
        text = json.dumps(reply, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        while text:
            text = text[os.write(channel, text) :]
    finally:
        os._exit(0)  # at once: what the code has left to run at the end does not run


if __name__ == "__main__":
    main()
