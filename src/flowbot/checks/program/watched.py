"""What a program does past the tap, by Python's audit events. Such a hook stays for as long as the process lives."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from .observed import Deed, Touched

_CONNECTS = frozenset({"socket.getaddrinfo", "http.client.connect"})
_STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn"})
_WRITES = frozenset({"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class UntappedCall(Exception):
    """A model's endpoint was about to be called where nobody counts it."""


class Watched:
    """Sees processes that are started, files that are written, and hosts that are looked up; refuses those of models.

    Args:
        folder: of the program: the place of a deed is a line of a file in it.
        hosts: of models, which may not be called.
        spared: folders in which anything may be written.
    """

    def __init__(self, folder: Path, hosts: Collection[str], spared: Collection[Path]) -> None:
        self._folder = str(folder)
        self._hosts = frozenset(hosts)
        self._spared = tuple(map(str, spared))
        self.touched: list[Touched] = []
        self.on = False
        """Whether processes and files are noted; a model's endpoint is refused at any time."""

    def install(self) -> None:
        """From now on."""
        sys.addaudithook(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _CONNECTS:
            host: Any = args[0]
            if event == "http.client.connect":  # by way of a proxy only the proxy is looked up
                host = getattr(host, "_tunnel_host", None) or args[1]
            host = host.decode() if isinstance(host, bytes) else str(host)
            if host in self._hosts:
                self._note("connects", host)
                raise UntappedCall(f"{host} is called past the tap")
        elif not self.on:
            return
        elif event in _STARTS:
            what: Any = args[1] if event == "subprocess.Popen" and len(args) > 1 else args[0] if args else event
            words = cast("list[Any]", what) if isinstance(what, list | tuple) else [what]
            self._note(
                "starts", " ".join(os.fsdecode(each) if isinstance(each, bytes) else str(each) for each in words)
            )
        elif (
            event == "open" and isinstance(args[0], str | bytes) and isinstance(args[2], int) and args[2] & _WRITING
        ) or (event in _WRITES and args and isinstance(args[0], str | bytes | os.PathLike)):
            self._wrote(os.fsdecode(cast("str | bytes", os.fspath(args[0]))))

    def _wrote(self, path: str) -> None:
        whole = os.path.abspath(path)
        if not (whole.startswith((*self._spared, "/dev/", "/proc/")) or "__pycache__" in whole):
            self._note("writes", whole)

    def _note(self, deed: Deed, what: str) -> None:
        where, direct = own_line(self._folder)
        if deed == "connects" or (where and direct):  # a package's own log or cache is no deed of the program's
            self.touched.append(Touched(deed=deed, what=what, where=where))


def own_line(folder: str) -> tuple[str, bool]:
    """`FILE:LINE` of the innermost line of a file in a folder that runs now, "" where none does; and whether no package runs for it."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - as `warnings` finds who called
    direct = True
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(folder + os.sep) and "site-packages" not in file:
            return f"{Path(file).name}:{frame.f_lineno}", direct
        direct = direct and not ("site-packages" in file or "dist-packages" in file)
        frame = frame.f_back
    return "", False
