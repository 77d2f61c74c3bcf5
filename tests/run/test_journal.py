"""The journal: replay writes nothing, a different run goes its own way, a kill costs at most the line being written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowbot.run.lock as lock_module
from flowbot.fields import InfrastructureError, UserError
from flowbot.run.events import Event, Noted, dump
from flowbot.run.journal import Journal, read_events
from flowbot.run.lock import run_lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


def _record(path: Path, *events: Event) -> Journal:
    journal = Journal.open(path)
    for event in events:
        journal.record(event)
    journal.close()
    return journal


A, B, C, D = (Noted(about="plateau", text=f"ü {name}", spent=n) for n, name in enumerate("abcd"))


def test_events_are_on_disk_in_order(path: Path) -> None:
    journal = Journal.open(path)
    assert not path.exists()
    journal.record(A)
    assert read_events(path) == [A]
    journal.record(B)
    assert read_events(path) == [A, B] == journal.events()
    assert (journal.replayed, journal.diverged) == (0, False)
    journal.close()


def test_a_replay_writes_nothing(path: Path) -> None:
    _record(path, A, B)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    again = _record(path, A, B)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert (again.replayed, again.diverged, again.events()) == (2, False, [A, B])


def test_a_replay_goes_on_where_the_recording_ends(path: Path) -> None:
    _record(path, A)
    again = _record(path, A, B)
    assert read_events(path) == [A, B]
    assert (again.replayed, again.diverged) == (1, False)


def test_the_order_of_members_is_no_difference(path: Path) -> None:
    _record(path, A)
    path.write_text(json.dumps(dict(reversed(dump(A).items()))) + "\n")
    assert _record(path, A).replayed == 1


def test_a_different_event_keeps_the_old_rest_aside(path: Path) -> None:
    _record(path, A, B, C)
    journal = Journal.open(path)
    journal.record(A)
    journal.record(D)
    assert journal.events() == [A, D]
    assert (journal.replayed, journal.diverged) == (1, True)
    journal.close()
    assert read_events(path) == [A, D]
    assert read_events(path.with_name("journal.1.jsonl")) == [B, C]
    _record(path, A, C)
    assert read_events(path) == [A, C]
    assert read_events(path.with_name("journal.2.jsonl")) == [D]


@pytest.mark.parametrize("torn", [b'{"event": "noted", "n', b'{"event": "noted"}', b"\x00\x00", b'{"half\n'])
def test_a_line_that_a_kill_cut_off_is_dropped(path: Path, torn: bytes) -> None:
    _record(path, A)
    with path.open("ab") as file:
        file.write(torn)
    assert read_events(path) == [A]
    again = _record(path, A, C)
    assert read_events(path) == [A, C]
    assert not again.diverged


def test_damage_in_the_middle_is_named(path: Path) -> None:
    _record(path, A, B)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"[1]\n" + lines[1])
    with pytest.raises(UserError, match=r"journal\.jsonl:2.*one JSON object"):
        Journal.open(path)


def test_a_missing_journal_cannot_be_read(path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_events(path)


_EVENTS = st.lists(st.sampled_from([A, B, C, D]), max_size=6)


@given(old=_EVENTS, new=_EVENTS, cut=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_the_file_holds_what_the_last_run_recorded(
    tmp_path_factory: pytest.TempPathFactory, old: list[Event], new: list[Event], cut: int
) -> None:
    path = tmp_path_factory.mktemp("run") / "journal.jsonl"
    _record(path, *old)
    if path.exists():
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - min(cut, len(data))])
    kept = read_events(path) if path.exists() else []
    journal = _record(path, *new)
    assert journal.events() == new
    stands = read_events(path) if path.exists() else []
    # A run that ends early leaves what was recorded beyond it.
    assert stands == (kept if kept[: len(new)] == new else new)


_HOLDER = """
import sys
from pathlib import Path
from flowbot.run.lock import run_lock
with run_lock(Path(sys.argv[1])):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {holder.pid}"), run_lock(tmp_path):
            pass
        holder.kill()
    with run_lock(tmp_path), pytest.raises(UserError, match="at work"), run_lock(tmp_path):
        pass
    with run_lock(tmp_path / "new"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("leaves", [False, True])
def test_a_process_forked_meanwhile_neither_keeps_the_folder_nor_lets_it_go(tmp_path: Path, leaves: bool) -> None:
    hold, tell = os.pipe(), os.pipe()
    with ExitStack() as stack:
        stack.enter_context(run_lock(tmp_path))
        child = os.fork()
        if child == 0:
            try:
                if leaves:
                    stack.close()  # as an error does with all that was entered
                os.write(tell[1], b".")
                os.close(hold[1])
                os.read(hold[0], 1)
            finally:
                os._exit(0)
        os.read(tell[0], 1)
        with pytest.raises(UserError, match="at work"), run_lock(tmp_path):
            pass
    with run_lock(tmp_path):
        pass
    for each in (*hold, *tell):
        os.close(each)
    assert os.waitpid(child, 0)[1] == 0


def test_a_journal_that_is_a_link_is_neither_read_nor_written(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    path.symlink_to(victim)
    with pytest.raises(UserError, match="a symbolic link"):
        Journal.open(path)
    victim.unlink()
    with pytest.raises(UserError, match="a symbolic link"):
        Journal.open(path)
    path.unlink()
    journal = Journal.open(path)
    path.symlink_to(victim)  # after it was looked at
    with pytest.raises(UserError, match="a symbolic link"):
        journal.record(A)
    assert not victim.exists()


def test_the_rest_is_set_aside_beside_a_link_and_not_through_it(path: Path, tmp_path: Path) -> None:
    _record(path, A, B, C)
    path.with_name("journal.1.jsonl").symlink_to(tmp_path / "elsewhere")
    _record(path, A, D)
    assert not (tmp_path / "elsewhere").exists()
    assert read_events(path.with_name("journal.2.jsonl")) == [B, C]


def test_a_lock_that_is_a_link_or_has_a_second_name_is_refused(tmp_path: Path) -> None:
    victim, lock = tmp_path / "victim", tmp_path / ".lock"
    victim.write_bytes(b"mine")
    for make in (lock.symlink_to, lock.hardlink_to):
        make(victim)
        with pytest.raises(UserError), run_lock(tmp_path):
            pass
        lock.unlink()
    assert victim.read_bytes() == b"mine"


def test_deleting_the_lock_file_lets_nobody_in(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        (tmp_path / ".lock").unlink()
        with pytest.raises(UserError, match="at work"), run_lock(tmp_path):
            pass


def test_a_system_that_opens_no_folders_has_the_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "_FOLDER", None)
    with run_lock(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()}\\b"), run_lock(tmp_path):
        pass
    with run_lock(tmp_path):
        pass


def test_a_folder_that_was_moved_aside_is_held_no_more_than_the_new_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with run_lock(run):
        run.rename(tmp_path / "old")
        with run_lock(run):
            assert (run / ".lock").exists()
        with pytest.raises(UserError, match="at work"), run_lock(tmp_path / "old"):
            pass


def test_a_lock_file_that_leads_nowhere_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "missing" / "file")
    with pytest.raises(UserError, match=r"\.lock: found a symbolic link"), run_lock(tmp_path):
        pass


@pytest.mark.parametrize("harm", ["delete", "move", "cut", "swap"])
@pytest.mark.parametrize("open_already", [True, False])
def test_a_journal_that_others_touch_is_not_written_on(path: Path, harm: str, open_already: bool) -> None:
    _record(path, A, B)
    journal = Journal.open(path)
    journal.record(A)
    journal.record(B)
    if open_already:
        journal.record(C)
    match harm:
        case "delete":
            path.unlink()
        case "move":
            path.rename(path.with_name("elsewhere"))
        case "cut":
            os.truncate(path, 3)
        case _:
            path.unlink()
            path.write_bytes(b"{}\n")
    left = path.read_bytes() if path.exists() else b""
    for event in (D, D):
        with pytest.raises(InfrastructureError, match="moved, deleted or cut"):
            journal.record(event)
    journal.close()
    assert (path.read_bytes() if path.exists() else b"") == left
