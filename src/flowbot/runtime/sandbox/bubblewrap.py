"""The sandbox on bubblewrap: full CPython in a fresh process that the system confines, one for each run.

The process has namespaces of its own for everything (no network, no other process to see), no capability, an empty
environment and a root of the interpreter's own files, read-only, with one small writable folder that is gone
afterwards. A filter refuses it processes, threads, sockets and what else leads out; limits bound its memory, time
and files.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import platform
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.fields.bounds import raised
from flowbot.runtime.jsonlike import to_json
from flowbot.runtime.threads import in_thread

from .process import Descriptors, Outcome, confined
from .protocol import MEMORY_MB, PRINTED_BYTES, SECONDS, script_error
from .seccomp import system_call_filter

_WHERE = "sandbox bubblewrap"
_INSTALL = "bubblewrap 0.7 or newer (apt-get install bubblewrap) on Linux, x86_64 or aarch64"
_PERMIT = "a system that lets this user make namespaces"
_FOLDER_BYTES = 16 << 20
_PYTHON = Path("/python")
_OPTIONS = ("-P", "-s", "-S", "-B", "-X", "utf8")  # as -I, which would not read PYTHONHASHSEED


class BubblewrapSandbox:
    """The sandbox on bubblewrap. As many run at once as there are processors; between runs there is no process."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)

    @classmethod
    def checked(cls) -> BubblewrapSandbox:
        """One that was seen to work: a process is really started, once for each bwrap that is found.

        Raises:
            UserError: if it does not work, with the reason.
        """
        reason = _fault(_bwrap())
        if reason:
            raise UserError(_WHERE, f"a bwrap that does not start ({reason})", _PERMIT)
        return cls()

    @property
    def identity(self) -> str:
        """The interpreter, which is this process's own, and its version.

        Raises:
            UserError: if bubblewrap is not installed, or not for this machine.
        """
        _ = _bwrap()
        return f"bubblewrap {sys.implementation.name} {platform.python_version()}"

    async def run(
        self, code: str, inputs: Mapping[str, Any], *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB
    ) -> Any:
        """As `Sandbox.run`."""
        try:
            request = _request(code, inputs, seconds, memory_mb)
        except (ValueError, TypeError, RecursionError) as error:  # a value that cannot cross the border
            raise StepError(f"run: {raised(error)}") from None
        _, error, result = await self._ran(request, "run", seconds, memory_mb)
        if error:
            raise StepError(error)
        return result

    async def script(self, code: str, *, seconds: float = SECONDS, memory_mb: int = MEMORY_MB) -> str:
        """As `Sandbox.script`."""
        request = _request(code, None, seconds, memory_mb)
        outcome, error, _ = await self._ran(request, "script", seconds, memory_mb)
        printed = outcome.printed.decode("utf-8", "replace")
        if error:
            raise script_error(error, printed)
        return printed

    async def close(self) -> None:
        """Nothing is left to end. May be called twice."""

    async def _ran(self, request: bytes, what: str, seconds: float, memory_mb: int) -> tuple[Outcome, str, Any]:
        """What came of one run, its error and its result. Cancelled, it returns only when the process has ended."""
        bwrap = _bwrap()

        def work(stop: int) -> tuple[Outcome, str, Any]:
            outcome = _start(bwrap, request, seconds, stop)
            return outcome, *_answer(outcome, what, seconds, memory_mb)  # read here, off the event loop

        async with self._slots:
            stop = os.eventfd(0, os.EFD_CLOEXEC)
            running = asyncio.ensure_future(in_thread(functools.partial(work, stop)))
            try:
                ran = await asyncio.shield(running)
            except asyncio.CancelledError:
                os.eventfd_write(stop, 1)
                await asyncio.wait([running])
                raise
            except OSError as error:
                raise InfrastructureError(f"the sandbox for code did not start: {error}") from error
            finally:
                os.close(stop)
        if not ran[0].started:
            raise InfrastructureError(f"the sandbox for code did not start: {ran[0].talk or 'it gave no reason'}")
        return ran


def _bwrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise UserError(_WHERE, "no bwrap program", mend=f"install {_INSTALL}")
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "aarch64"):
        raise UserError(_WHERE, f"{sys.platform} on {platform.machine()}", _INSTALL)
    return found


@functools.cache
def _fault(bwrap: str) -> str:
    """Why this bwrap starts nothing here; empty if it works."""
    try:
        outcome = _start(bwrap, _request("", None, SECONDS, MEMORY_MB), SECONDS, None)
    except OSError as error:
        return str(error)
    if outcome.started and outcome.reply is not None:
        return ""
    return outcome.talk or "it gave no reason"


def _start(bwrap: str, request: bytes, seconds: float, stop: int | None) -> Outcome:
    return confined(
        functools.partial(_command, bwrap),
        request,
        system_call_filter(platform.machine()),
        seconds=seconds,
        printed_bytes=PRINTED_BYTES,
        stop=stop,
    )


def _request(code: str, inputs: Mapping[str, Any] | None, seconds: float, memory_mb: int) -> bytes:
    fields = {"code": code, "inputs": None if inputs is None else dict(inputs)}
    return json.dumps({**fields, "seconds": seconds, "memory_mb": memory_mb}).encode()


def _answer(outcome: Outcome, what: str, seconds: float, memory_mb: int) -> tuple[str, Any]:
    """The code's error, empty if there is none, and its result. The code can forge the reply: any value may come."""
    if outcome.too_much == "printed":
        return f"{what}: printed more than {PRINTED_BYTES:,} bytes", None
    if outcome.too_much:
        return f"{what}: the result is too large", None
    if outcome.too_late:
        return f"{what}: ran longer than {seconds:g} s", None
    broken = f"{what}: the interpreter broke off"
    try:
        reply: Any = json.loads(outcome.reply or b"")
    except (ValueError, RecursionError):
        return broken, None
    match reply:
        case {"result": result}:
            try:
                return "", to_json(result)
            except StepError as error:
                return str(error), None
        case {"memory": True}:
            return f"{what}: needed more than {memory_mb} MB", None
        case {"error": str(error)}:
            return re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", error), None  # addresses differ from run to run
        case _:
            return broken, None


def _command(bwrap: str, files: Descriptors) -> list[str]:
    """bwrap with all its options, and the interpreter with the program inside."""
    options = [
        *("--unshare-user", "--unshare-all", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--seccomp", str(files.filter), "--info-fd", str(files.info)),
        *("--clearenv", "--setenv", "PYTHONHASHSEED", "0", "--setenv", "LANG", "C.UTF-8", "--setenv", "HOME", "/tmp"),
        *("--setenv", "LD_LIBRARY_PATH", str(_PYTHON / "lib")),
        *_interpreter(),
        *("--ro-bind", str(Path(__file__).with_name("inside.py")), "/inside.py"),
        *("--ro-bind", str(Path(__file__).parents[1] / "plain_json.py"), "/plain_json.py"),
        *("--proc", "/proc", "--remount-ro", "/proc"),
        *("--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/urandom", "/dev/urandom"),
        *("--size", str(_FOLDER_BYTES), "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"),
    ]
    return [bwrap, *options, str(_PYTHON / "bin/python3"), *_OPTIONS, "/inside.py", str(files.channel)]


@functools.cache
def _interpreter() -> tuple[str, ...]:
    """The interpreter without installed packages, at a place of its own, and the system's libraries."""
    base = Path(sys.base_prefix)
    program = base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    bound = {_PYTHON / "bin/python3": program if program.exists() else Path(sys.executable)}
    for name in ("stdlib", "platstdlib"):
        folder = Path(sysconfig.get_path(name, vars={"installed_base": str(base), "platbase": str(base)}))
        bound[_PYTHON / folder.relative_to(base)] = folder
    library = str(sysconfig.get_config_var("INSTSONAME") or "")
    for folder in (str(sysconfig.get_config_var("LIBDIR") or ""), base / "lib"):
        if library.startswith("libpython") and Path(folder, library).exists():
            bound[_PYTHON / "lib" / library] = Path(folder, library)
    options: list[str] = []
    for inside, outside in bound.items():
        options += ["--ro-bind", str(outside.resolve()), str(inside)]
        if (outside / "site-packages").is_dir():
            options += ["--tmpfs", str(inside / "site-packages"), "--remount-ro", str(inside / "site-packages")]
    for folder in ("lib", "lib32", "lib64"):
        if Path("/usr", folder).is_dir():
            options += ["--ro-bind", f"/usr/{folder}", f"/usr/{folder}"]
        if Path("/", folder).is_symlink():
            options += ["--symlink", f"usr/{folder}", f"/{folder}"]
        elif Path("/", folder).is_dir():
            options += ["--ro-bind", f"/{folder}", f"/{folder}"]
    return (*options, "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")
