"""Mending code that failed: what the meta model sees, and what is no mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from proposer_help import Roles, drawn, task_of
from search_help import searching

from flowbot.optimizer.parameters.mend import Mend
from flowbot.optimizer.seams import Focus
from flowbot.workflow.parameters import CodeParameters
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"{n} and {n}", "a": f"{2 * n}"} for n in range(6)])
BROKEN = "def run(q):\n    return {'a': q / 2}"
MENDED = "def run(q):\n    return {'a': q.split()[0]}"


def computing(code: str, **more: Any) -> Workflow:
    node = {"kind": "code", "in": {"q": "q"}, "out": {"a": "str"}, **more}
    data = {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "count.a"}, "nodes": {"count": node}}
    return Workflow.from_data({**data, "parameters": {"count": {"code": code}}})


def writing(code: str) -> Roles:
    return Roles(lambda name, _: name, lambda _: f"```python\n{code}\n```")


async def test_code_that_failed_is_written_anew_from_what_it_received_and_raised(tmp_path: Path) -> None:
    model = writing(MENDED)
    async with searching(TASK, computing(BROKEN), model, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Mend(), search, "mend")
    assert made.program is not None
    assert made.program.workflow.parameter("count") == CodeParameters(code=MENDED)
    (prompt,) = model.prompts
    assert prompt.count("- It received q: ") == 3
    assert "TypeError" in prompt
    assert len(made.shown) == 3
    assert {each.source for each in made.feedback} == {"rule"}
    assert made.because == tuple(each.id for each in made.feedback)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (BROKEN.replace("2", "3"), "TypeError"),
        (BROKEN, "TypeError"),
        ("def other(q):\n    return {}", "run"),
    ],
)
async def test_what_fails_as_before_is_no_mend(tmp_path: Path, code: str, fault: str) -> None:
    async with searching(TASK, computing(BROKEN), writing(code), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Mend(), search, "mend")
    assert made.program is None
    assert fault in made.faults[0]


RIGHT = "def run(q):\n    return {'a': str(2 * int(q.split()[0]))}"


async def test_code_that_ran_and_was_wrong_is_written_anew_from_what_should_have_come_of_it(tmp_path: Path) -> None:
    model = writing(RIGHT)
    async with searching(TASK, computing(MENDED), model, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Mend(), search, "code")
    assert made.program is not None, made.faults
    assert made.edits == ("count: written anew",)
    assert model.prompts[0].count("In the end right a: ") == 3
    assert len(made.shown) == 3


async def test_code_that_does_the_same_is_none(tmp_path: Path) -> None:
    model = writing(f"{MENDED}\n# as it was")
    async with searching(TASK, computing(MENDED), model, tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        made = await drawn(Mend(), search, "code")
    assert made.program is None
    assert made.faults == ("it gives the same on all that it was shown",)


@pytest.mark.parametrize(("code", "frozen"), [(RIGHT, False), (BROKEN, True)])
async def test_nothing_is_offered_where_no_code_is_at_fault_or_it_is_frozen(
    tmp_path: Path, code: str, frozen: bool
) -> None:
    async with searching(TASK, computing(code, frozen=frozen), writing(MENDED), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        assert Mend().options(search.population.start, search) == []


async def test_of_rows_in_which_the_code_did_not_run_nothing_comes(tmp_path: Path) -> None:
    async with searching(TASK, computing(BROKEN), writing(MENDED), tmp_path) as search:
        await search.run(search.start, search.rows, "train")
        (option,) = Mend().options(search.population.start, search)
        focus = Focus(option, 0, option.prior, option.prior, rows=("another",))
        (made,) = await Mend().propose(search.population.start, focus, 1, search)
    assert (made.program, made.faults) == (None, ("nothing changed",))
