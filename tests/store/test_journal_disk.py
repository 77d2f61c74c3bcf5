"""A disk that refuses an event: the journal stays whole, in this process and for the next."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from flowbot.fields import InfrastructureError
from flowbot.run.journal import Journal, read_journal


def refuse(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_was_written_of_a_refused_event_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal.open(path)
    journal.record({"n": 1})
    whole = path.read_bytes()
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", refuse)
        with pytest.raises(InfrastructureError, match=r"journal\.jsonl: No space left") as caught:
            journal.record({"n": 2})
    assert caught.value.kind == "disk"
    assert path.read_bytes() == whole
    assert journal.events() == [{"n": 1}]
    journal.record({"n": 3})
    journal.close()
    assert read_journal(path) == [{"n": 1}, {"n": 3}]
