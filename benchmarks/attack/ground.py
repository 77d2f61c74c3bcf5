"""What an attempt is, and the ground it is made on: a folder, the command line in processes of its own, an endpoint that lies.

An attempt does what an attacker could and looks at what came of it. It raises `Escaped` where the promise is broken; that it
returns means that it was held.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

Attacker = Literal[
    "flow file", "data file", "model reply", "endpoint", "MCP server", "run folder", "tool or code", "environment"
]
"""What of it an attacker controls; `environment` is what goes wrong with nobody's intent: kills, full disks, two processes."""

ATTEMPTS: list[Attempt] = []
"""All attempts of the modules that were imported, in order."""
_ROOT = Path(__file__).parents[2]


class Escaped(AssertionError):
    """The attempt got through; the text says what it reached."""


@dataclass(frozen=True)
class Attempt:
    """One way in that is tried.

    Args:
        group: what it is about, as the table of docs/security.md names it.
        attacker: what an attacker controls in it.
        about: what is tried, in a line.
        run: makes it on a ground.
        slow: takes more than about two seconds; not in the quick half.
        real: asks a real local model; neither quick nor part of a run that does not ask for it.
    """

    group: str
    attacker: Attacker
    about: str
    run: Callable[[Ground], None]
    slow: bool
    real: bool = False

    @property
    def name(self) -> str:
        """Short and unique."""
        return f"{self.group}: {self.run.__name__}"


def attempt(
    group: str, attacker: Attacker, *, slow: bool = False, real: bool = False
) -> Callable[[Callable[[Ground], None]], Callable[[Ground], None]]:
    """Marks a function as an attempt. Its docstring says what is tried, in one line."""

    def marked(run: Callable[[Ground], None]) -> Callable[[Ground], None]:
        about = (run.__doc__ or "").strip()
        if not about or "\n" in about:
            raise TypeError(f"{run.__name__}: an attempt says in one line what is tried")
        ATTEMPTS.append(Attempt(group, attacker, about, run, slow or real, real))
        return run

    return marked


def held(condition: object, text: str) -> None:
    """Go on only where the promise holds.

    Raises:
        Escaped: with `text`.
    """
    if not condition:
        raise Escaped(text)


@dataclass(frozen=True)
class Finished:
    """What came of a command."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.out + self.err

    def line(self) -> str:
        """Its last line, for the text of an `Escaped`."""
        return (self.said.strip().splitlines() or ["nothing"])[-1][:300]


class Ground:
    """A folder for one attempt, empty at first; `home` and `cache` lie in it, the working directory is `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.cache = folder / "cache"
        self.home.mkdir(parents=True)
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ},
            "HOME": str(self.home),
            "FLOWBOT_CACHE_DIR": str(self.cache),
            "PYTHONPATH": os.pathsep.join([str(_ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "PYTHONUTF8": "1",
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def write(self, name: str, content: str | bytes | Mapping[str, Any] | Sequence[Any]) -> Path:
        """A file in the folder; a mapping or list is written as JSON, of which YAML is a superset."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def task(self, rows: Sequence[Mapping[str, Any]] | None = None, **more: Any) -> Path:
        """A small task: how many letters a word has, scored exactly. `more` overrides members of the file."""
        rows = rows or [{"id": f"r{n}", "word": "a" * (n % 9 + 1), "count": str(n % 9 + 1)} for n in range(40)]
        self.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        data = {
            "flowbot": 1,
            "goal": "Say how many letters the word has.",
            "inputs": {"word": "str"},
            "outputs": {"count": "str"},
            "metric": "exact",
            "data": {"all": "rows.jsonl", "split": [0.4, 0.3, 0.3]},
        }
        return self.write("task.yaml", {**data, **more})

    def flow(self, **parameters: Any) -> Path:
        """A flow of one model call for `task`; `parameters` are those of its step."""
        return self.write(
            "found.flow.yaml",
            {
                "flowbot": 1,
                "inputs": {"word": "str"},
                "outputs": {"count": "answer.count"},
                "nodes": {"answer": {"kind": "llm", "in": {"word": "word"}, "out": {"count": "str"}}},
                "parameters": {"answer": {"instruction": "Count the letters.", **parameters}},
            },
        )

    def flowbot(self, *arguments: str | Path, seconds: float = 60.0, **environment: str) -> Finished:
        """The command line, run to its end.

        Raises:
            Escaped: if it has not ended after `seconds`.
        """
        return self.python("-m", "flowbot", *arguments, seconds=seconds, **environment)

    def python(self, *arguments: str | Path, seconds: float = 60.0, **environment: str) -> Finished:
        """A Python process, run to its end; `-c CODE` for one. See `flowbot`."""
        process = self.start(*arguments, **environment)
        began = time.monotonic()
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Escaped(f"{shlex.join(map(str, arguments))[:200]} has not ended after {seconds:g} s") from None
        return Finished(
            process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), time.monotonic() - began
        )

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        """A Python process that goes on, the leader of a group of its own."""
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def files(self) -> dict[str, bytes]:
        """Every regular file below the folder, by path; links are not followed."""
        return {
            str(each.relative_to(self.folder)): each.read_bytes()
            for each in sorted(self.folder.rglob("*"))
            if each.is_file() and not each.is_symlink()
        }


@contextmanager
def ground() -> Iterator[Ground]:
    """A ground that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="flowbot-attack-", ignore_cleanup_errors=True) as name:
        yield Ground(Path(name).resolve())


@dataclass
class Asked:
    """One request as it came: its path, headers and JSON body."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """The contents of all messages."""
        return "\n".join(str(each.get("content")) for each in self.body.get("messages", ()))


class Endpoint:
    """An OpenAI-compatible endpoint on this machine that answers as it is told. `asked` holds what came.

    Args:
        answer: from a request to a body (an object or bytes), or to a pair of a status and a body.
        headers: more headers of every answer.
    """

    def __init__(self, answer: Callable[[Asked], Any], *, headers: Mapping[str, str] | None = None) -> None:
        self.asked: list[Asked] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.path, dict(self.headers), json.loads(raw or b"{}"))
                endpoint.asked.append(asked)
                try:
                    found = answer(asked)
                    status, body = found if isinstance(found, tuple) else (200, found)
                    data = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    for name, value in (headers or {}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True  # whoever asked has left

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Endpoint:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What points `openai/NAME` here."""
        return {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": "sk-attack-0123456789abcdef"}


def completion(text: str, *, finish: str = "stop", read: int = 20, written: int = 5, **usage: Any) -> dict[str, Any]:
    """A body as an honest endpoint sends it; `usage` adds to or overrides what it counts."""
    return {
        "id": "1",
        "object": "chat.completion",
        "model": "mock",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **usage},
    }
