"""The door to the disk: what is read is a file within its limit, what is written follows no link."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbot.fields import UserError
from flowbot.fields.files import (
    lines,
    new_file,
    new_folder,
    open_log,
    open_own,
    opened,
    read_bytes,
    read_text,
    replaced,
    require_place,
    sha256,
    write_all,
    write_text,
)

SOURCE = Path(__file__).parents[2] / "src" / "flowbot"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(b"mine")
    return path


# --- reading


@given(content=st.binary(max_size=300), limit=st.integers(0, 300))
@settings(max_examples=60)
def test_a_file_is_read_whole_or_refused(content: bytes, limit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("read") / "a"
    path.write_bytes(content)
    if len(content) <= limit:
        assert read_bytes(path, limit=limit) == content
    else:
        with pytest.raises(UserError, match=f"more than {limit} bytes"):
            read_bytes(path, limit=limit)


def test_a_sparse_file_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="at most 1,000 bytes"):
        read_bytes(tmp_path / "a", limit=1000)


def test_a_file_that_grows_while_it_is_read_is_still_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 50)
    mode = path.stat().st_mode
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((mode, *[0] * 9)))
    assert read_bytes(path, limit=50) == b"x" * 50  # a size of 0 is claimed
    with pytest.raises(UserError, match="more than 49"):
        read_bytes(path, limit=49)


@pytest.mark.parametrize("links", [True, False])
def test_pipes_devices_and_folders_are_not_read(tmp_path: Path, links: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path / "pipe", "a pipe or a device"), (Path("/dev/zero"), "a pipe or a device")):
        with pytest.raises(UserError, match=said):
            read_bytes(path, limit=10, links=links)
        with pytest.raises(UserError, match=said):
            sha256(path)
    with pytest.raises(UserError, match="a folder"):
        read_bytes(tmp_path, limit=10, links=links)
    with pytest.raises(UserError, match="no such file"):
        read_bytes(tmp_path / "none", limit=10, links=links)


def test_a_link_is_read_where_the_file_is_the_users_own(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "link").symlink_to(victim)
    assert read_text(tmp_path / "link", limit=10) == "mine"
    with pytest.raises(UserError, match="a symbolic link"):
        read_text(tmp_path / "link", limit=10, links=False)


def test_what_the_command_line_pipes_is_read_within_the_limit() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"hello")
    os.close(writing)
    assert read_bytes(Path(f"/dev/fd/{reading}"), limit=5, piped=True) == b"hello"
    os.close(reading)
    zero = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(UserError, match="more than 100 bytes"):
        read_bytes(Path(f"/dev/fd/{zero}"), limit=100, piped=True)
    with pytest.raises(UserError, match="a pipe or a device"):
        read_bytes(Path(f"/dev/fd/{zero}"), limit=100)
    os.close(zero)


def test_text_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\n\xff\n")
    with pytest.raises(UserError, match="a:2: found bytes that are not UTF-8"):
        read_text(tmp_path / "a", limit=10)


def test_lines_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345\n123456\n12\n")
    with opened(tmp_path / "a") as file:
        assert list(lines(file, "a", most=7)) == [b"12345\n", b"123456\n", b"12\n"]
    with opened(tmp_path / "a") as file, pytest.raises(UserError, match="a:2: found a line of more than 6 bytes"):
        list(lines(file, "a", most=6))


def test_a_hash_is_of_the_content(victim: Path) -> None:
    assert sha256(victim) == hashlib.sha256(b"mine").hexdigest()


# --- writing


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "link").symlink_to(victim)
    write_text(tmp_path / "link", "theirs")
    assert victim.read_bytes() == b"mine"
    assert (tmp_path / "link").read_text() == "theirs"
    assert not (tmp_path / "link").is_symlink()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, victim: Path) -> None:
    with pytest.raises(TypeError), replaced(victim) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert victim.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [victim]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o4777, 0o000])
def test_no_more_people_may_read_a_file_that_replaces_another(victim: Path, mode: int) -> None:
    victim.chmod(mode)
    write_text(victim, "new")
    found = stat.S_IMODE(victim.stat().st_mode)
    assert found & ~(mode | 0o600) == 0
    assert found & 0o600 == 0o600


def test_where_no_file_can_be_put_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/stdout"), Path("/dev/new")):
        with pytest.raises(UserError, match="a file to write to"):
            write_text(path, "x")
    require_place(tmp_path / "new")


@pytest.mark.parametrize("mode", ["a", "r+"])
def test_what_is_written_where_it_stands_is_a_file_of_its_own(tmp_path: Path, victim: Path, mode: str) -> None:
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "broken").symlink_to(tmp_path / "new")
    os.link(victim, tmp_path / "second")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "broken", "second", "pipe", "."):
        with pytest.raises(UserError):
            open_own(tmp_path / name, mode)  # type: ignore[arg-type]
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "new").exists()
    with open_own(tmp_path / "own", mode) as file:  # type: ignore[arg-type]
        file.write(b"1")
    with open_own(tmp_path / "own", mode) as file:  # type: ignore[arg-type]
        file.write(b"2")
    assert (tmp_path / "own").read_bytes() == (b"12" if mode == "a" else b"2")


def test_a_link_that_is_put_there_at_the_last_moment_is_not_followed(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowbot.fields.files.require_own", lambda path: None)
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(OSError, match="link"):
        open_own(tmp_path / "link", "a")


@given(st.binary(max_size=50), st.integers(1, 7))
def test_all_is_written_by_however_little_at_a_time(data: bytes, most: int) -> None:
    class Short(io.BytesIO):
        def write(self, part: Any, /) -> int:
            return super().write(bytes(part)[:most])

    file = Short()
    write_all(file, data)
    assert file.getvalue() == data


def test_a_new_file_is_new(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "elsewhere")
    for name in ("victim", "broken"):
        with pytest.raises(FileExistsError):
            new_file(tmp_path / name, b"x")
        with pytest.raises(FileExistsError):
            open_own(tmp_path / name, "x")
    new_file(tmp_path / "new", b"x")
    assert (tmp_path / "new").read_bytes() == b"x"


def test_a_new_folder_has_a_name_that_nobody_foresees(tmp_path: Path) -> None:
    made = {new_folder(tmp_path / "index") for _ in range(3)}
    assert len(made) == 3
    assert all(each.is_dir() and each.parent == tmp_path for each in made)


def test_a_log_may_be_a_device_and_no_link(tmp_path: Path, victim: Path) -> None:
    with open_log(Path("/dev/null")) as file:
        file.write(b"x")
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(UserError, match="a symbolic link"):
        open_log(tmp_path / "link")


# --- the only door

_DOORS = {
    *("read_text", "read_bytes", "write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "fdopen", "FileIO"),
    *("mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory", "FileHandler", "memfd_create"),
}
_MODULES = {
    "os": {"open", "replace", "rename", "link", "symlink", "mkfifo", "fdopen"},
    "io": {"open", "FileIO", "open_code"},
    "sqlite3": {"connect"},
    "gzip": {"open"},
    "shutil": {"copy", "copyfile", "move", "copytree"},
}
_MAY = {
    "fields/files.py": "the door",
    "run/lock.py": "a folder that is held",
    "store/files.py": "SQLite opens its own file, after a look at what is there",
    "store/migrations.py": "a database in memory",
    "serve/spending.py": "SQLite opens its own file, after a look at what is there",
    "runtime/toolbox/sql.py": "SQLite reads the user's database, which nothing can write",
    "runtime/sandbox/inside.py": "runs inside the sandbox, on its own",
    "runtime/sandbox/process.py": "pipes to the sandbox",
    "runtime/executors/shipping.py": "the lock on a folder of its own",
    "runtime/executors/worker.py": "pipes of a worker",
    "runtime/executors/processes.py": "what the system says of a process",
    "benchmark/sets/scorers/execution.py": "SQLite reads a set's database, which nothing can write",
    "benchmark/sets/scorers/helper_process.py": "pipes of a program that scores",
    "lm/local/server.py": "a nameless file",
    "workflow/starts/library.py": "the package's own files",
    "export/framework.py": "the package's own files",
    "report/report.py": "the package's own files",
    "checks/program/check.py": "an empty folder for a program that is tried",
    "checks/program/process.py": "the streams of a process that watches a program",
    "export/driver.py": "the streams of a program that is checked, which runs on its own",
    "cli/streams.py": "/dev/null, and the standard streams",
}


def _opens(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id="open"):
            return "open"
        case ast.Attribute(value=ast.Name(id=module), attr=name) if name in _MODULES.get(module, ()):
            return f"{module}.{name}"
        case ast.Attribute(attr="open", value=holder) if not _is_own_open(holder):
            return f"{ast.unparse(holder)}.open"
        case ast.Attribute(attr=name) if name in _DOORS:
            return name
    return ""


def _is_own_open(holder: ast.expr) -> bool:
    """`open` of our own classes, of archives and of the URL opener."""
    own = ("Console", "Store", "Journal", "Curve", "archive", "opener", "proxy", "self._pool", "self._cluster")
    return ast.unparse(holder) in own


def test_there_is_no_other_door() -> None:
    found: list[str] = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name not in _MAY:
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            found += [f"{name}:{call.lineno}: {opens}" for call in calls if (opens := _opens(call))]
    assert found == []


def test_every_exception_is_needed() -> None:
    for name in _MAY:
        calls = [node for node in ast.walk(ast.parse((SOURCE / name).read_text())) if isinstance(node, ast.Call)]
        assert any(map(_opens, calls)), name
