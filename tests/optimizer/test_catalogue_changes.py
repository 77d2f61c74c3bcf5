"""Structural changes as options: about every step, remembered by what is near them, code by the meta model and by the prior."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pool_world import Named, judged
from search_help import searching

from flowbot.fields import UserError
from flowbot.lm.client import Request
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.catalogue.catalogue import Catalogue
from flowbot.optimizer.catalogue.change import Change, Place
from flowbot.optimizer.judge import PRIOR_SPREAD, STRICTER, PosteriorJudge
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import FeedbackMode, Focus, Option, Proposal
from flowbot.optimizer.search import Search
from flowbot.optimizer.structure.catalogue_changes import MOST, CatalogueChanges
from flowbot.optimizer.structure.code import TRIES
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.edits.basic import RemoveNode
from flowbot.workflow.nodes import CodeNode, LLMNode
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

Parent = Candidate[WorkflowProgram]


class Missing:
    """A sandbox that cannot be had."""

    @property
    def identity(self) -> str:
        raise UserError("sandbox", "none", "one that can be had")


GOOD = "```python\ndef run(items):\n    return {'total': max([each['count'] for each in items], default=0)}\n```"
BAD = "```python\ndef run(items):\n    return {'sum': 1}\n```"
CHAIN = Workflow.from_data(
    {
        "flowbot": 1,
        "inputs": {"note": "str"},
        "outputs": {"total": "add.total"},
        "nodes": {
            "tidy": {"kind": "llm", "in": {"note": "note"}, "out": {"text": "str"}},
            "list": {"kind": "llm", "in": {"text": "tidy.text"}, "out": {"lines": "str"}},
            "add": {"kind": "llm", "in": {"lines": "list.lines"}, "out": {"total": "int"}},
        },
        "parameters": {name: {"instruction": f"You {name}."} for name in ("tidy", "list", "add")},
    }
)


class Meta:
    """A pretend meta model that writes code: first what it is to say first."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str:
        self.asked.append(request.messages[-1].content)
        return self.replies.pop(0)


@pytest.fixture
def meta() -> Meta:
    return Meta(GOOD)


@pytest.fixture
async def search(orders: Task, meta: Meta, tmp_path: Path) -> AsyncIterator[Search]:
    async with searching(orders, CHAIN, meta, tmp_path) as search:
        yield search


def parent_of(search: Search, workflow: Workflow) -> Parent:
    return Candidate("p1", WorkflowProgram(workflow), search.population.start, Arm(kind="test"), Belief(0.0, 0.1))


def named(options: list[Option], kind: str, place: str) -> Option:
    (found,) = [each for each in options if each.arm == Arm(kind=kind, place=place)]
    return found


async def proposed(
    changes: CatalogueChanges,
    search: Search,
    kind: str,
    place: str,
    *,
    want: int = 1,
    draw: int = 0,
    votes: float = 0.0,
) -> list[Proposal[WorkflowProgram]]:
    parent = search.population.start
    option = named(list(changes.options(parent, search)), kind, place)
    focus = Focus(option, draw, option.prior, option.prior, votes, "it adds wrongly" if votes else "", because=("g1",))
    return list(await changes.propose(parent, focus, want, search))


def code_of(proposal: Proposal[WorkflowProgram]) -> str:
    assert proposal.program is not None
    workflow = proposal.program.workflow
    (path,) = [path for path, node in workflow.sketch.nodes.items() if isinstance(node, CodeNode)]
    parameters = workflow.parameter(path)
    assert isinstance(parameters, CodeParameters)
    return parameters.code


async def test_every_step_has_options_with_what_they_cost_and_what_is_believed_of_them(search: Search) -> None:
    options = list(CatalogueChanges().options(search.population.start, search))
    assert {each.arm.place for each in options} == {"tidy", "list", "add"}
    assert len({each.key for each in options}) == len(options)
    assert named(options, "vote", "list").extra == 2, "three samples in place of one"
    assert named(options, "remove", "tidy").extra == -1
    compute, vote = named(options, "compute", "add"), named(options, "vote", "add")
    assert (compute.cost, compute.most, compute.at_once) == (TRIES, 1, 2)
    assert (vote.cost, vote.most) == (0, 1)
    assert vote.prior.mean > named(options, "remove", "tidy").prior.mean
    assert {each.level for each in options} == {"structure"}


async def test_a_frozen_step_has_no_option(search: Search) -> None:
    data = CHAIN.dump()
    data["nodes"]["list"]["frozen"] = True
    options = CatalogueChanges().options(parent_of(search, Workflow.from_data(data)), search)
    assert {each.arm.place for each in options} == {"tidy", "add"}


async def test_a_change_is_another_once_the_parameters_beside_its_step_are(search: Search) -> None:
    changes = CatalogueChanges()
    tuned = CHAIN.with_parameter("add", LLMParameters(instruction="You add with care."))
    before = {str(each.arm): each.key for each in changes.options(search.population.start, search)}
    after = {str(each.arm): each.key for each in changes.options(parent_of(search, tuned), search)}
    assert before.keys() == after.keys()
    same = {arm for arm, key in before.items() if after[arm] == key}
    assert same == {arm for arm in before if arm.endswith(" tidy")}, (
        "`list` feeds the step that was tuned, `tidy` does not"
    )


async def test_options_are_found_once_a_parent(search: Search) -> None:
    looked: list[str] = []

    def counted(place: Place) -> list[Change]:
        looked.append(place.path)
        return []

    changes = CatalogueChanges(Catalogue((lambda place: iter(counted(place)),)))
    for _ in range(3):
        assert changes.options(search.population.start, search) == []
    assert looked == ["tidy", "list", "add"]


async def test_a_change_without_code_takes_no_call_and_says_who_asked_for_it(search: Search, meta: Meta) -> None:
    (plain,) = await proposed(CatalogueChanges(), search, "vote", "add")
    (voted,) = await proposed(CatalogueChanges(), search, "vote", "add", votes=0.5)
    assert meta.asked == []
    assert plain.program is not None
    assert "vote_total" in plain.program.workflow.sketch.nodes
    assert (plain.source, plain.reason, plain.code_by) == ("prior", "", None)
    assert (voted.source, voted.reason, voted.because) == ("meta", "it adds wrongly", ("g1",))
    assert any("3 times" in line for line in plain.edits)


async def test_both_codes_are_handed_in_where_two_are_wanted(search: Search, meta: Meta) -> None:
    both = await proposed(CatalogueChanges(), search, "compute", "add", want=2)
    assert [each.code_by for each in both] == ["meta", "prior"]
    assert len(meta.asked) == 1, "the prior's code is not asked for"
    assert "max(" in code_of(both[0])
    assert "sum(" in code_of(both[1])
    meta.replies = [GOOD]
    (one,) = await proposed(CatalogueChanges(), search, "compute", "add")
    assert one.code_by == "meta"


async def test_a_list_of_whole_numbers_says_counts(search: Search) -> None:
    (made,) = await proposed(CatalogueChanges(asks=False), search, "compute", "add")
    assert made.program is not None
    step = made.program.workflow.sketch.nodes["add"]
    assert isinstance(step, LLMNode)
    assert step.out == {"items": "list[{what: str, count: int}]"}, (
        "a small model takes `number` for the place in the list"
    )


@pytest.mark.parametrize("meta", [Meta(BAD, GOOD)])
async def test_code_that_fails_in_the_sandbox_is_asked_for_again_with_its_fault(search: Search, meta: Meta) -> None:
    (made,) = await proposed(CatalogueChanges(), search, "compute", "add")
    assert made.code_by == "meta"
    assert made.faults == ("run(...) returned no 'total'",)
    assert "It failed: run(...) returned no 'total'" in meta.asked[1]


@pytest.mark.parametrize("meta", [Meta(BAD, "I cannot.")])
async def test_where_the_meta_model_writes_none_that_runs_the_prior_stands_in(search: Search) -> None:
    (made,) = await proposed(CatalogueChanges(), search, "compute", "add")
    assert (made.code_by, len(made.faults)) == ("prior", TRIES)
    assert "sum(" in code_of(made)


async def test_nothing_is_asked_where_nothing_may_be(search: Search, meta: Meta) -> None:
    changes = CatalogueChanges(asks=False)
    option = named(list(changes.options(search.population.start, search)), "compute", "add")
    (made,) = await proposed(changes, search, "compute", "add", want=2)
    assert (option.cost, option.most) == (0, 1)
    assert (made.code_by, meta.asked) == ("prior", [])


async def test_a_change_that_cannot_be_made_is_a_fault_and_no_program(search: Search) -> None:
    def fickle(place: Place) -> list[Change]:
        """Valid when it is looked at, and not any more when it is asked for."""
        edits: Callable[[], list[RemoveNode]] = iter([[], [RemoveNode(id="nobody")]]).__next__
        return [Change("fickle", place.path, "Fickle.", lambda _: list(edits()))] if place.path == "add" else []

    changes = CatalogueChanges(Catalogue((lambda place: iter(fickle(place)),)))
    (made,) = await proposed(changes, search, "fickle", "add")
    assert made.program is None
    assert "nobody" in made.faults[0]


async def test_without_a_sandbox_there_is_no_computing_step(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search.engine, "sandbox", Missing())
    kinds = {each.arm.kind for each in CatalogueChanges().options(search.population.start, search)}
    assert "vote" in kinds
    assert "compute" not in kinds


MARKED = Task(
    goal="Mark the text.",
    inputs={"q": "str"},
    outputs={"points": "list[int]", "mark": "int"},
    metric="exact",
    **{
        split: [{"q": f"{split} {n}", "points": [n, 3], "mark": (n * n + 3) % 5} for n in range(size)]
        for split, size in (("train", 20), ("val", 2), ("test", 2))
    },
)
MARKS = single_call(MARKED.inputs, MARKED.outputs, MARKED.goal, reasoning=False)
RIGHT = "```python\ndef run(points):\n    return {'mark': (points[0] * points[0] + points[1]) % 5}\n```"
FITTED = "```python\ndef run(points):\n    return {'mark': {0: 3, 1: 4, 2: 2}.get(points[0], 0)}\n```"


@pytest.fixture
async def marking(meta: Meta, tmp_path: Path) -> AsyncIterator[Search]:
    async with searching(MARKED, MARKS, meta, tmp_path) as search:
        yield search


@pytest.mark.parametrize("meta", [Meta(FITTED, RIGHT)])
async def test_code_that_computes_one_output_from_others_is_held_to_the_training_rows(
    marking: Search, meta: Meta
) -> None:
    (made,) = await proposed(CatalogueChanges(), marking, "derive by code", "answer")
    assert (code_of(made), made.code_by) == (RIGHT.split("\n", 1)[1].removesuffix("\n```"), "meta")
    assert made.faults == ("it is wrong on 17 of 20 known examples",), "it is right on all that were shown"
    shown = MARKED.train[:3]
    assert made.shown == tuple(each.id for each in shown), "they are no evidence for what was written of them"
    assert [line for line in meta.asked[0].splitlines() if " -> " in line] == [
        f'{{"points": {each.expected["points"]}}} -> {{"mark": {each.expected["mark"]}}}' for each in shown
    ]


@pytest.mark.parametrize(
    ("feedback", "meta"),
    [
        ("blind", Meta(FITTED, RIGHT)),
        ("shuffled", Meta("```python\ndef run(points):\n    return {'mark': 9}\n```", RIGHT)),
    ],
)
async def test_whoever_writes_code_is_told_of_the_training_rows_what_the_control_allows(
    marking: Search, meta: Meta, feedback: FeedbackMode
) -> None:
    marking.feedback_mode = feedback
    (made,) = await proposed(CatalogueChanges(), marking, "derive by code", "answer")
    assert made.program is not None
    told = [line for line in "\n".join(meta.asked).splitlines() if " -> " in line or "expected" in line]
    right = {f'"points": {each.expected["points"]}': f'"mark": {each.expected["mark"]}' for each in MARKED.train}
    assert bool(told) == bool(made.shown) == (feedback == "shuffled")
    assert not any(given in line and mark in line for line in told for given, mark in right.items())


@pytest.mark.parametrize("meta", [Meta(FITTED, "I cannot.")])
async def test_where_no_code_holds_there_is_no_program(marking: Search) -> None:
    (made,) = await proposed(CatalogueChanges(), marking, "derive by code", "answer")
    assert made.program is None
    assert len(made.faults) == TRIES


async def test_code_that_only_the_meta_model_can_write_is_not_offered_where_it_is_not_asked(marking: Search) -> None:
    option = named(list(CatalogueChanges().options(marking.population.start, marking)), "derive by code", "answer")
    assert (option.cost, option.most) == (TRIES, 1)
    kinds = {each.arm.kind for each in CatalogueChanges(asks=False).options(marking.population.start, marking)}
    assert "derive by code" not in kinds


ADDED = replace(
    MARKED,
    goal="Add up.",
    splits={
        split: [
            replace(row, expected={"points": row.expected["points"], "mark": sum(row.expected["points"])})
            for row in rows
        ]
        for split, rows in MARKED.splits.items()
    },
)


@pytest.mark.parametrize(
    ("misread", "misadded", "low", "high"),
    [(0, 16, MOST, MOST), (0, 4, 0.081, MOST - 0.01), (0, 0, 0, 0.079), (16, 16, 0, 0.079)],
)
async def test_what_a_formula_would_mend_of_the_runs_so_far_is_what_is_believed_of_it(
    tmp_path: Path, misread: int, misadded: int, low: float, high: float
) -> None:
    def reply(request: Request) -> str:
        number = int(re.findall(r"train (\d+)", request.messages[-1].content)[-1])
        points = [number, 3]
        given = {"points": [*points, 1] if number < misread else points, "mark": sum(points) + (number < misadded)}
        return json.dumps(given)

    start = single_call(ADDED.inputs, ADDED.outputs, ADDED.goal, reasoning=False)
    async with searching(ADDED, start, reply, tmp_path) as search:
        await search.run(search.start, [row.id for row in ADDED.train[:16]], "train")
        option = named(list(CatalogueChanges().options(search.population.start, search)), "derive", "answer")
    assert low <= option.prior.mean <= high
    assert option.prior.spread == PRIOR_SPREAD


def test_what_is_believed_at_most_six_equal_pairs_take_back() -> None:
    candidate, population, rows = judged([1.0, 0.0] * 3, [1.0, 0.0] * 3, Belief(MOST, PRIOR_SPREAD))
    judge = PosteriorJudge[Named](*STRICTER)
    assert judge.ruling(candidate, population, [*rows, "more"], 0.0, last=True).decision == "set aside"


async def test_without_a_sandbox_no_step_runs_code_or_the_interpreter(
    marking: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking.engine, "sandbox", Missing())
    assert "python" not in marking.signatures
    assert "calculator" in marking.signatures
    kinds = {each.arm.kind for each in CatalogueChanges().options(marking.population.start, marking)}
    assert kinds
    assert not kinds & {"derive", "derive by code", "compute", "calculate", "program"}


@pytest.mark.parametrize("meta", [Meta("short: a note of one line\nlong: a note of many lines")])
async def test_kinds_that_the_meta_model_names_from_inputs_get_calls_of_their_own(marking: Search, meta: Meta) -> None:
    (made,) = await proposed(CatalogueChanges(), marking, "route", "answer")
    assert made.program is not None
    assert {"answer", "answer_long", "route"} <= made.program.workflow.sketch.nodes.keys()
    told = made.program.workflow.parameter("answer_long")
    assert isinstance(told, LLMParameters)
    assert told.instruction == "Mark the text. Here: a note of many lines."
    rows = {each.id: each for each in MARKED.train}
    assert len(made.shown) == 6
    for each in made.shown:
        assert rows[each].inputs["q"] in meta.asked[0]
        assert str(dict(rows[each].expected)) not in meta.asked[0]


@pytest.mark.parametrize("meta", [Meta("There is one kind.")])
async def test_where_no_kinds_are_named_there_is_no_program(marking: Search) -> None:
    (made,) = await proposed(CatalogueChanges(), marking, "route", "answer")
    assert made.program is None
    assert "There is one kind" in made.faults[0]
