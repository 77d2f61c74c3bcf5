"""Somebody else's code in a process of its own, kept for the next question and ended when one takes too long.

For scorers that call a library whose own time-outs need the main thread, as those by signals do; metrics run in others.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_KEPT = ("PATH", "PYTHONPATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR", "TEMP", "NLTK_DATA")
"""Of the environment; keys of models are none of its business."""
_TRIES = 2
_MEMORY = 4 << 30


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Be such a program: answer questions until there are no more, and end where one takes longer than it may.

    Args:
        answer: what to say to a question. What it prints goes nowhere.
    """
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with open(os.devnull, "w", encoding="utf-8") as nothing, os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        sys.stdout = nothing
        print(json.dumps({"ready": True}), file=out, flush=True)
        for line in sys.stdin:
            question = json.loads(line)
            faulthandler.dump_traceback_later(question["seconds"], exit=True, file=nothing)
            said = answer(question)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(said), file=out, flush=True)


class HelperProcess:
    """A program that answers lines of JSON with lines of JSON, begun when it is first asked.

    It says `{"ready": true}` when it has begun. Each question holds `seconds`, and it ends itself when that time has passed, also where
    it is deep in a library: so nothing is left of it when its owner is killed. It ends when its standard input does. See `serve`.

    Args:
        program: a Python file, run by its path.
        seconds: for each question.
    """

    def __init__(self, program: Path, seconds: float) -> None:
        self._program, self._seconds = program, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None where its time passed, or where it ended over the question and, asked once more, did so again.

        Raises:
            RuntimeError: if it does not begin.
            OSError: if there can be no process.
        """
        line = json.dumps({**question, "seconds": self._seconds}).encode() + b"\n"
        with self._turn:
            for _ in range(_TRIES):
                process = self._process or self._begin()
                began = time.monotonic()
                answer = self._answer(process, line)
                if answer is not None:
                    return answer
                self._end()
                if time.monotonic() - began >= self._seconds:
                    break
        return None

    def close(self) -> None:
        """End it. It begins again when it is asked again."""
        with self._turn:
            self._end()

    def _begin(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", str(self._program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: value for name in _KEPT if (value := os.environ.get(name)) is not None},
            start_new_session=True,  # Ctrl-C is its owner's to answer
        )
        if self._process is None:
            atexit.register(self.close)
        self._process = process
        if self._answer(process, b"") is None:
            self._end()
            raise RuntimeError(f"{self._program.name} did not begin (status {process.returncode})")
        return process

    def _answer(self, process: subprocess.Popen[bytes], line: bytes) -> dict[str, Any] | None:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        except (OSError, ValueError):  # it has ended; perhaps in mid-line
            return None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.close)
        process.kill()
        with suppress(OSError):  # what it will not read any more
            process.communicate()
