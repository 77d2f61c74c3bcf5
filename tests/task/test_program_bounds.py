"""What a task file says of how many model calls a program may make."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbot.fields import UserError
from flowbot.task.modules import Modules
from flowbot.task.programs import CALLS, read_program


@pytest.mark.parametrize(("said", "calls"), [({}, CALLS), ({"max_calls": 1}, 1), ({"max_calls": 1000}, 1000)])
def test_it_is_a_bound_of_the_program(tmp_path: Path, said: dict[str, int], calls: int) -> None:
    (tmp_path / "app.py").write_text("def answer(n): return n\n")
    found = read_program({"call": "app.py:answer", **said}, "programs[0]", tmp_path, Modules(run=True))
    assert found is not None
    assert found.max_calls == calls


@pytest.mark.parametrize("said", [0, 1001, 2.5, True, "four"])
def test_anything_but_a_number_of_calls_is_refused(tmp_path: Path, said: object) -> None:
    (tmp_path / "app.py").write_text("def answer(n): return n\n")
    with pytest.raises(UserError, match=r"programs\[0\]\.max_calls: .*a whole number from 1 to 1000"):
        read_program({"call": "app.py:answer", "max_calls": said}, "programs[0]", tmp_path, Modules(run=True))
