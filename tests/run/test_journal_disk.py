"""A disk that refuses an event: the journal stays whole, in this process and for the next."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from flowbot.fields import InfrastructureError
from flowbot.run.events import Noted
from flowbot.run.journal import Journal, read_events


def note(number: int) -> Noted:
    return Noted(about="plateau", text="", spent=number)


def refuse(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_was_written_of_a_refused_event_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal.open(path)
    journal.record(note(1))
    whole = path.read_bytes()
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", refuse)
        with pytest.raises(InfrastructureError, match=r"journal\.jsonl: No space left") as caught:
            journal.record(note(2))
    assert caught.value.kind == "disk"
    assert path.read_bytes() == whole
    assert journal.events() == [note(1)]
    journal.record(note(3))
    journal.close()
    assert read_events(path) == [note(1), note(3)]
