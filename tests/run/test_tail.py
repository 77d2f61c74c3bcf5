"""Reading on in a journal that another process writes: nothing is lost, doubled or taken half, whatever becomes of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbot.fields import UserError
from flowbot.run.events import Event, Noted
from flowbot.run.journal import Journal, read_events
from flowbot.run.tail import Tail

A, B, C, D = (Noted(about="plateau", text=f"ü {name}", spent=n) for n, name in enumerate("abcd"))


def record(path: Path, *events: Event) -> None:
    journal = Journal.open(path)
    for event in events:
        journal.record(event)
    journal.close()


def test_what_is_new_is_added_and_nothing_is_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    record(path, A)
    tail = Tail(path)
    assert tail.read()
    assert list(tail.events) == [A]
    assert not tail.read()
    record(path, A, B, C)
    assert tail.read()
    assert list(tail.events) == [A, B, C]


def test_half_a_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    record(path, A, B)
    whole = path.read_bytes()
    for cut in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:cut])
        tail = Tail(path)
        assert tail.read()
        assert list(tail.events) == [A]
        path.write_bytes(whole)
        assert tail.read()
        assert list(tail.events) == [A, B]


@pytest.mark.parametrize("other", [(A, D), (A, D, C, B), (A, B, D, C), (D, B, C)])
def test_a_run_on_another_course_is_read_anew(tmp_path: Path, other: tuple[Event, ...]) -> None:
    path = tmp_path / "journal.jsonl"
    record(path, A, B, C)
    tail = Tail(path)
    _ = tail.read()
    record(path, *other)
    assert tail.read()
    assert list(tail.events) == list(other) == read_events(path)


def test_a_journal_that_was_begun_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    record(path, A, B)
    tail = Tail(path)
    _ = tail.read()
    path.rename(tmp_path / "old")
    with pytest.raises(UserError, match="no such file"):
        tail.read()
    record(path, A, C)
    assert tail.read()
    assert list(tail.events) == [A, C]


def test_damage_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    record(path, A, B)
    tail = Tail(path)
    _ = tail.read()
    with path.open("ab") as file:
        file.write(b'{"event": "noted", "spent": -1}\n')
    with pytest.raises(UserError, match=r"journal\.jsonl:3"):
        tail.read()
