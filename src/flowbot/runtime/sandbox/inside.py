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
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring
from types import ModuleType

TYPE_CHECKING = False  # `typing` itself would cost a millisecond of each run
if TYPE_CHECKING:
    from typing import Any

MB = 1 << 20
SPARE_MB = 32
FILE_MB = 16
OPEN_FILES = 32
MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_INT_BITS = 1023
MAX_TEXT = 100_000
MAX_NAME = 200
FILE_NAME = "<code>"


class Unfit(Exception):
    """A value that JSON cannot hold; the text says where."""


class Plain:
    """A returned value as JSON data, by the rules of `flowbot.runtime.jsonlike.to_json` and in its words."""

    def __init__(self) -> None:
        self.left = MAX_BYTES

    def value(self, value: Any, place: str = "result", depth: int = 0) -> Any:
        """`value` with lists for tuples, sorted lists for sets, objects for dataclasses."""
        if depth > MAX_DEPTH:
            raise Unfit(f"{place[:80]}: nested deeper than {MAX_DEPTH}")
        if isinstance(value, str):
            return self.text(value, place)
        if value is None or isinstance(value, bool | int | float):
            return self.scalar(value, place)
        return self.collection(value, place, depth)

    def collection(self, value: Any, place: str, depth: int) -> Any:
        """What holds others."""
        self.count(16, place)
        kind: Any = value.__class__
        if issubclass(kind, list | tuple):
            return [self.value(each, f"{place}[{index}]", depth + 1) for index, each in enumerate(value)]
        if issubclass(kind, set | frozenset):
            return sorted((self.value(each, place, depth + 1) for each in value), key=canonical)
        if issubclass(kind, Mapping):
            return self.members(value.items(), place, depth)
        fields = getattr(kind, "__dataclass_fields__", None)
        if fields is not None:
            return self.members([(name, getattr(value, name)) for name in fields], place, depth)
        raise Unfit(f"{place}: found {kind.__name__}; expected a JSON value")

    def members(self, items: Iterable[tuple[Any, Any]], place: str, depth: int) -> dict[str, Any]:
        """An object's members; whole numbers may be keys."""
        found: dict[str, Any] = {}
        for key, each in items:
            name = str(self.scalar(key, place)) if isinstance(key, int) and not isinstance(key, bool) else key
            if not isinstance(name, str):
                raise Unfit(f"{place}: found a key of type {type(key).__name__}; expected str")
            found[self.text(name, place)] = self.value(each, f"{place}.{name[:MAX_NAME]}", depth + 1)
        return found

    def text(self, text: str, place: str) -> str:
        """Valid Unicode."""
        try:
            self.count(len(encode_basestring(text).encode()) + 2, place)
        except UnicodeEncodeError:
            raise Unfit(f"{place}: text that is not valid Unicode") from None
        return str(text)

    def scalar(self, value: float | None, place: str) -> float | None:
        """A finite number of bounded size, a truth value or None."""
        if value is None or isinstance(value, bool):
            self.count(8, place)
            return value
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise Unfit(f"{place}: an integer of more than {MAX_INT_BITS} bits")
            self.count(max(8, value.bit_length() // 3), place)
            return int(value)
        self.count(max(8, len(repr(value))), place)
        if not math.isfinite(value):
            raise Unfit(f"{place}: found {value}; expected a finite number")
        return float(value)

    def count(self, size: int, place: str) -> None:
        """Counted on the way: a few lists that hold one another twice unfold to more than fits anywhere."""
        self.left -= size
        if self.left < 0:
            raise Unfit(f"{place[:80]}: the result is larger than {MAX_BYTES:,} bytes")


def canonical(value: Any) -> str:
    """The key that sets are sorted by."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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
