"""While a user's file is imported no model is asked: no store keeps that, no budget counts it, and every process would pay again.

Seen by Python's audit events, whatever client is used: hosts of models, and of the base URLs that the environment names, are not looked
up. Such a hook stays for as long as the process lives.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from flowbot.fields import UserError

_EVENTS = frozenset({"socket.getaddrinfo", "socket.connect", "http.client.connect"})


class _Refused(BaseException):
    """No `Exception`: no client tries again, and no file goes on without the answer."""


class _Import:
    """A file that is imported now, by a thread; those that were there before are not its own."""

    def __init__(self, file: Path) -> None:
        self.folder, self.thread, self.others = str(file.parent), threading.get_ident(), {*threading.enumerate()}
        self.asked = ""

    def is_mine(self) -> bool:
        """Whether the code that runs belongs to it."""
        return threading.get_ident() == self.thread or threading.current_thread() not in self.others

    def refuse(self, host: str) -> None:
        """Note it, with the line that runs."""
        frame: FrameType | None = sys._current_frames().get(self.thread)  # pyright: ignore[reportPrivateUsage]
        while frame is not None and Path(frame.f_code.co_filename).parent != Path(self.folder):
            frame = frame.f_back
        place = "" if frame is None else f" ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
        self.asked = self.asked or f"calls {host} when it is imported{place}"
        raise _Refused


_now: list[_Import] = []


@contextmanager
def no_models(file: Path, where: str) -> Generator[None]:
    """While inside, a file is imported.

    Raises:
        UserError: if it was about to ask a model, also where it has caught that; nothing was sent.
    """
    _listen()
    mine = _Import(file)
    _now.append(mine)
    try:
        yield
    except _Refused:
        pass
    finally:
        _now.remove(mine)
        if mine.asked:
            mend = "model calls in functions that are run, as in the program itself"
            raise UserError(where, f"{file}, which {mine.asked}", mend) from None


@cache
def _listen() -> None:
    sys.addaudithook(_heard)


def _heard(event: str, args: tuple[Any, ...]) -> None:
    if not _now or event not in _EVENTS or not (mine := next((each for each in _now if each.is_mine()), None)):
        return
    at: Any = args if event == "socket.getaddrinfo" else args[1:] if event == "http.client.connect" else args[1]
    if isinstance(at, str | bytes):  # a socket that is a file
        return
    host, port = at[:2]
    if event == "http.client.connect" and (tunnel := getattr(args[0], "_tunnel_host", None)):
        host, port = tunnel, args[0]._tunnel_port  # by way of a proxy only the proxy is looked up
    host = host.decode() if isinstance(host, bytes) else str(host)
    # What models there are stands above; the face knows where.
    if (host, {"https": "443", "http": "80"}.get(port, str(port))) in sys.modules[
        __name__.partition(".")[0]
    ].model_hosts():
        mine.refuse(host)
