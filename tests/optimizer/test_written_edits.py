"""Edits that a large meta model writes: several at once, repaired by the checker's words, none twice; and what a run finds with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from search_help import searching

from flowbot.fields import BudgetExceeded, InfrastructureError
from flowbot.lm.client import Request
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.editing import structure
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.seams import Focus, Proposal
from flowbot.optimizer.search import Search
from flowbot.optimizer.structure.several_edits import AT_ONCE, MOST_EDITS, TRIES
from flowbot.optimizer.structure.written_edits import WrittenEdits
from flowbot.report.report import write_report
from flowbot.run.comparisons import compare
from flowbot.run.events import WRITTEN, Arm, Feedback
from flowbot.run.events import Proposal as Proposed
from flowbot.run.journal import read_events
from flowbot.run.sources import by_source
from flowbot.run.view import read_run
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.testing.fake_behaviours import BEHAVIOURS, ReplyContent
from flowbot.workflow.nodes import CodeNode
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

ITEMS = "list[{what: str, amount: int}]"
SUM = "def run(items):\n    return {'total': sum(item['amount'] for item in items)}"
LIST = {"kind": "llm", "in": [{"name": "note", "from": "note"}], "out": [{"name": "items", "type": ITEMS}]}
ADD = {"kind": "code", "in": [{"name": "items", "from": "answer.items"}], "out": [{"name": "total", "type": "int"}]}


def split(name: str) -> dict[str, Any]:
    return {
        "op": "split",
        "id": "answer",
        "name": name,
        "out": [{"name": name, "type": "str"}],
        "instruction": "Plan it.",
    }


def change(*edits: Any, claim: str = "it is planned", effect: Any = 0.1) -> dict[str, Any]:
    return {"node": "answer", "claim": claim, "effect": effect, "edits": list(edits)}


COMPUTE = change(
    {"op": "replace", "id": "answer", "node": {**LIST, "instruction": "List what is ordered, with amounts."}},
    {"op": "add", "id": "sum", "node": {**ADD, "code": SUM}},
    {"op": "output", "output": "total", "to": "sum.total"},
    claim="the amounts are added up in code", effect=0.3,
)  # fmt: skip
BROKEN = change({"op": "rewire", "id": "answer", "input": "note", "to": "nobody.text"}, claim="it reads another")


class Author:
    """A large meta model that gives these replies one after another, the last again and again; it keeps its questions."""

    def __init__(self, *replies: Any) -> None:
        self.replies, self.asked = list(replies), list[list[str]]()

    def __call__(self, request: Request) -> Any:
        said = [each.content for each in request.messages]
        if not said[0].startswith("Change the structure"):
            return {"total": -1}
        if said not in self.asked:
            self.asked.append(said)
        reply = self.replies[min(self.asked.index(said), len(self.replies) - 1)]
        if isinstance(reply, Exception):
            raise reply
        return {"changes": reply} if isinstance(reply, list) else reply


Opened = Callable[[Any], AbstractAsyncContextManager[Search]]


@pytest.fixture
def start(orders: Task) -> Workflow:
    return single_call(orders.inputs, orders.outputs, orders.goal, reasoning=False)


@pytest.fixture
def opened(orders: Task, start: Workflow, tmp_path: Path) -> Opened:
    return lambda meta: searching(orders, start, meta, tmp_path, meta_mode="large")


async def drawn(search: Search, proposer: WrittenEdits | None = None, draws: int = AT_ONCE) -> list[Proposal[WorkflowProgram]]:  # fmt: skip
    """So many draws, one after another, as a planner asks for them."""
    await search.run(search.start, search.rows[:4], "train")
    proposer, parent = proposer or WrittenEdits(), search.population.start
    (option,) = proposer.options(parent, search)
    made = [await proposer.propose(parent, Focus(option, draw, option.prior, option.prior), 1, search) for draw in range(draws)]  # fmt: skip
    return [one for (one,) in made]


async def test_one_reply_brings_several_changes_a_draw_each(opened: Opened) -> None:
    author = Author([COMPUTE, change(split("plan")), change(split("hint"), claim="it is hinted at", effect=None)])
    async with opened(author) as search:
        one, two, three, four = await drawn(search)
    assert one.program is not None
    assert isinstance(one.program.workflow.sketch.nodes["sum"], CodeNode)
    assert (one.title, one.source, len(one.edits)) == ("the amounts are added up in code", "meta", 3)
    assert one.reason == "at `answer`: the amounts are added up in code. Expected gain: +0.30."
    assert two.program is not None
    assert set(two.program.workflow.sketch.nodes) == {"plan", "answer"}
    assert three.reason.endswith("it is hinted at.")
    assert (four.program, four.faults) == (None, ("the meta model had no further change",))
    assert len(author.asked) == 1
    assert len(one.shown) == 3


async def test_the_first_draw_pays_and_a_small_model_is_not_asked(opened: Opened) -> None:
    author, proposer = Author([COMPUTE]), WrittenEdits()
    async with opened(author) as search:
        parent = search.population.start
        assert proposer.options(parent, search) == [], "nothing went wrong yet"
        await search.run(search.start, search.rows[:4], "train")
        (before,) = proposer.options(parent, search)
        await drawn(search, proposer, 1)
        (after,) = proposer.options(parent, search)
        search.meta_mode = "small"
        assert proposer.options(parent, search) == []
    assert (before.cost, after.cost, before.most, before.key == after.key) == (TRIES, 0, AT_ONCE, True)


async def test_what_is_refused_goes_back_alone_with_the_checkers_words(opened: Opened) -> None:
    author = Author([BROKEN, COMPUTE, change(split("a"), split("b"), split("c"), split("d"))], [change(split("plan")), BROKEN], [change(split("hint"))])  # fmt: skip
    async with opened(author) as search:
        one, two, three, _ = await drawn(search)
    assert one.program is not None
    assert len(one.faults) == 1
    assert "nobody" in one.faults[0]
    assert (two.program is not None, two.faults) == (True, ())
    assert three.program is not None
    assert three.faults[0] == f"there are 4 edits, and {MOST_EDITS} are the most"
    assert "nobody" in three.faults[1]
    told = author.asked[1][2]
    assert "it reads another: " in told
    assert "2 in all" in told
    assert "added up in code" not in told
    assert "1 in all" in author.asked[2][2]


async def test_after_two_repairs_it_is_a_proposal_without_program(opened: Opened) -> None:
    author = Author([BROKEN])
    async with opened(author) as search:
        (made,) = await drawn(search, draws=1)
    assert made.program is None
    assert len(made.faults) == TRIES
    assert len(author.asked) == 2, "the same faults go back in the same words"


async def test_what_has_a_structure_that_there_is_already_is_dropped_before_it_runs(opened: Opened) -> None:
    author = Author(
        [change(split("plan")), change({**split("plan"), "instruction": "Otherwise."}, claim="again"), COMPUTE]
    )
    async with opened(author) as search:
        known = await drawn(search, draws=3)
        assert known[2].program is not None
        search.population.add(
            Candidate("p7", known[2].program, search.population.start, Arm(kind="compute"), Belief(0, 0.1))
        )
        again = await drawn(search, draws=3)
    assert [each.program is None for each in known] == [False, True, False]
    assert known[1].faults == ("the same structure as another change of the reply, “it is planned”",)
    assert (again[2].program, again[2].faults) == (None, ("the same structure as p7",))


async def test_the_same_steps_with_other_code_are_another_structure(opened: Opened) -> None:
    other = json.loads(json.dumps(COMPUTE))
    other["edits"][1]["node"]["code"] = f"{SUM}  # in another way"
    async with opened(Author([COMPUTE, other])) as search:
        one, two = await drawn(search, draws=2)
    assert one.program is not None
    assert two.program is not None
    assert one.program.workflow.sketch == two.program.workflow.sketch


async def test_other_words_alone_are_no_change_of_the_structure(opened: Opened, start: Workflow) -> None:
    same = {"op": "replace", "id": "answer", "node": {"kind": "llm", "in": [{"name": "note", "from": "note"}], "out": [{"name": "total", "type": "int"}], "instruction": "Count with care."}}  # fmt: skip
    async with opened(Author([change(same)])) as search:
        (made,) = await drawn(search, draws=1)
    assert made.program is None
    assert "the structure is as it was" in made.faults[0]


async def test_it_is_told_what_was_said_tried_and_measured(opened: Opened) -> None:
    author = Author([COMPUTE])
    async with opened(author) as search:
        told = search.feedback(search.start.hash, "", "answer", "adds up wrongly (5 of 6 runs)")
        for each in (search.feedback(search.start.hash, search.rows[0], "", "one was left out"), told.model_copy(update={"mends": "no"})):  # fmt: skip
            search.record(each)
        search.record(search.feedback("another", search.rows[0], "", "said of something else"))
        other = Candidate("p1", WorkflowProgram(Workflow.from_data(search.start.dump())), search.population.start, Arm(kind="vote"), Belief(-0.04, 0.05), title="Ask thrice.")  # fmt: skip
        search.population.add(other)
        (made,) = await drawn(search, draws=1)
    question = author.asked[0][0]
    assert question.index("- [answer] adds up wrongly (5 of 6 runs)") < question.index("- one was left out")
    assert "said of something else" not in question
    assert "- vote: Ask thrice (-0.04 ± 0.05" in question
    assert "Mistake 3" in question
    assert told.id in made.because


@pytest.mark.parametrize("error", [InfrastructureError("gone"), BudgetExceeded("spent", ceiling="calls")])
async def test_faults_of_the_endpoint_and_ceilings_are_raised(
    opened: Opened, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*given: Any, **more: Any) -> str:
        raise error

    async with opened(Author([COMPUTE])) as search:
        monkeypatch.setattr(search, "ask", fails)
        with pytest.raises(type(error)):
            await drawn(search, draws=1)


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=True) | st.text(max_size=8)
    | st.sampled_from(["answer", "note", "split", "add", "llm", "str", "replace", "remove"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["changes", "node", "claim", "effect", "edits", "op", "id", "kind", "in", "out", "name", "type", "from"]), inner, max_size=6),
    max_leaves=16,
)  # fmt: skip
REPLY = st.one_of(
    st.text(max_size=30),
    GARBAGE.map(lambda each: json.dumps(each)),
    st.builds(lambda each: json.dumps(each)[:-2], GARBAGE),
    st.lists(GARBAGE | st.builds(change, GARBAGE) | st.sampled_from([COMPUTE, BROKEN]), max_size=6).map(lambda each: json.dumps({"changes": each})),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(replies=st.lists(REPLY, min_size=1, max_size=3))
async def test_whatever_comes_back_each_draw_is_one_valid_new_structure_or_says_why_not(
    orders: Task, start: Workflow, tmp_path: Path, replies: list[str]
) -> None:
    (tmp_path / "journal.jsonl").unlink(missing_ok=True)
    author = Author(*replies)
    async with searching(orders, start, author, tmp_path, meta_mode="large") as search:
        made = await drawn(search)
    assert len(made) == AT_ONCE
    programs = [each.program.workflow for each in made if each.program is not None]
    assert all(each.faults for each in made if each.program is None)
    structures = [structure(each) for each in (start, *programs)]
    assert len(set(structures)) == len(structures)
    assert all(set(each.sketch.outputs) == {"total"} for each in programs)
    assert len(author.asked) <= TRIES


def able(request: Request, key: str) -> ReplyContent:
    """Adds up wrongly and lists rightly as the step does; as a large meta model it diagnoses, and writes edits of which one helps."""
    system, said = request.messages[0].content, request.messages[-1].content
    if system.startswith("Change the structure"):
        first = len(request.messages) == 1
        return {"changes": [COMPUTE, BROKEN, change(split("plan"))] if first else [change(split("hint"))]}
    if system.startswith("You improve the structure"):
        return {"fault": "the amounts were added up wrongly", "step": "answer"}
    if system.startswith("You improve LLM workflows. Several"):
        title = next((line for line in system.splitlines() if "other edits of the structure" in line), "A")
        diagnosis = {"label": "sums", "fault": "it adds up in its head", "runs": [1, 2, 3, 4], "steps": ["answer"], "prompt": "no", "changes": [title[0]]}  # fmt: skip
        return {"diagnoses": [diagnosis]}
    if "items" in str(request.schema):
        return {"items": [{"what": "thing", "amount": int(each)} for each in re.findall(r"\d+", said)]}
    return BEHAVIOURS["counter"](request, key) if "total" not in str(request.schema) else {"total": -1}


@pytest.mark.parametrize("order", ["free", "prompts-first"])
async def test_a_large_meta_models_own_edit_is_found_kept_and_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any
) -> None:
    monkeypatch.setitem(BEHAVIOURS, "able", able)
    rows = [{"note": f"{n} and {2 * n + 1}", "total": 3 * n + 1} for n in range(120)]
    task = Task(
        goal="Add up.", inputs={"note": "str"}, outputs={"total": "int"}, metric="numeric",
        train=rows[:40], val=rows[40:80], test=rows[80:],
    )  # fmt: skip
    runs: list[Path] = []
    for seed in (0, 2):  # at 1 its plan ends before the edit is drawn
        result = await optimize_async(
            task, lm="fake/able", meta_mode="large", effort=200, order=order, seed=seed, method="flowbot+none",
            run_dir=tmp_path / str(seed), cache_dir=tmp_path / "cache",
            start=single_call(task.inputs, task.outputs, task.goal, reasoning=False),
        )  # fmt: skip
        assert result.final_scores.test is not None
        assert result.final_scores.test.mean == 1.0
        runs.append(result.run_dir)
    events, view = read_events(runs[0] / "journal.jsonl"), read_run(runs[0])
    diagnoses = [each for each in events if isinstance(each, Feedback) and each.mends]
    about = [(each.example, each.place, each.mends, len(each.after)) for each in diagnoses]
    assert about == [("", "answer", "no", 4)], "asked once: nothing is wrong in what was found"
    written = [each for each in events if isinstance(each, Proposed) and each.arm.kind == WRITTEN]
    assert all(each.votes and (each.votes.won, each.votes.of) == (4, 6) for each in written)
    assert [each.proposal.title for each in view.lineage] == ["the amounts are added up in code"]
    counts = by_source(view.changes)
    assert (counts["written"].proposals, counts["written"].adopted) == (len(written), 1)
    assert counts["written"].gain is not None
    assert set(counts) <= {"written", "prior"}
    (one, _) = compare(*runs).dump()["runs"]
    assert one["sources"]["written"] == counts["written"].dump()
    assert "edits that a model wrote" in write_report(runs[0]).read_text(encoding="utf-8")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    replies=st.lists(REPLY, min_size=1, max_size=4),
    mode=st.sampled_from(["small", "large"]),
    order=st.sampled_from(["free", "prompts-first"]),
)
async def test_a_meta_model_that_only_returns_rubbish_ends_the_run_with_the_start_kept(
    orders: Task, tmp_path_factory: pytest.TempPathFactory, replies: list[str], mode: Any, order: Any
) -> None:  # fmt: skip
    """No structure and no text of it is taken: what is found is the start, or what needs no meta model."""
    junk = [each for each in replies if "added up in code" not in each] or [""]
    number = iter(range(10_000))
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(BEHAVIOURS, "junk", lambda request, key: junk[next(number) % len(junk)])
        few = replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})
        folder = tmp_path_factory.mktemp("run")
        result = await optimize_async(
            few, lm="fake/counter", meta_lm="fake/junk", meta_mode=mode, order=order, effort=80, method="flowbot+none",
            run_dir=folder / "run", cache_dir=folder / "cache",
        )  # fmt: skip
    assert result.status == "done"
    made = [each for each in read_events(result.run_dir / "journal.jsonl") if isinstance(each, Proposed)]
    assert not [each.title for each in made if each.program and each.arm.kind == WRITTEN]
    assert not [each.title for each in made if each.program and each.code_by == "meta"]
    assert result.workflow.hash == result.start.hash or result.difference.test is not None
