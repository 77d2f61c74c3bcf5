"""GEPA, the package: what it is shown, what becomes of what it writes, and that no ceiling is passed."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import package_world
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from package_world import KNOWN, Model, flow, journal, labels, of, offer, run, searched, task_of
from search_help import searching

import flowbot as fb
from flowbot.fields import InfrastructureError
from flowbot.lm.client import Request
from flowbot.optimizer.admission import Admissions
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.methods import find_method
from flowbot.optimizer.packages.bridge import Bridge
from flowbot.optimizer.packages.gepa import ALL_RIGHT, Adapter, Gepa
from flowbot.optimizer.packages.places import places, rewritten
from flowbot.optimizer.packages.trials import Trials
from flowbot.optimizer.packages.tuning import PackageProposer
from flowbot.optimizer.seams import Focus, Pick
from flowbot.optimizer.search import Search
from flowbot.run.events import Proposal, Verdict
from flowbot.run.journal import read_events
from flowbot.runtime.program import WorkflowProgram
from flowbot.testing.fake import ReplyContent
from flowbot.testing.fake_behaviours import BEHAVIOURS
from flowbot.workflow.workflow import Workflow

pytest.importorskip("gepa")
NONE = Belief(0.0, 0.0)


@pytest.fixture(autouse=True)
def told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)


def quoted(*texts: str) -> list[str]:
    return [f"```\n{text}\n```" for text in texts]


def trials_of(search: Search, bridge: Bridge, **more: Any) -> Trials:
    start = search.population.start
    proposer = PackageProposer(Gepa())
    pick = Pick(start, proposer, Focus(proposer.change(start.program), 0, NONE, NONE))
    options: dict[str, Any] = {"train": search.training, "val": search.validation, "seed": 1, "journal": Admissions()}
    return Trials(bridge, search, start, pick=pick, **(options | more))


async def tuned(search: Search, **more: Any) -> tuple[Trials, str | None]:
    bridge = Bridge()
    trials = trials_of(search, bridge, **more)
    return trials, await bridge.run(lambda: Gepa().tune(trials))


def instruction(program: WorkflowProgram, path: str = "answer") -> str:
    return places(program)[f"{path}#instruction"].text


async def test_it_finds_what_the_meta_model_writes_and_chooses_it_by_validation(tmp_path: Path) -> None:
    model = Model(*quoted("You are answer. Hm.", f"You are answer. {KNOWN}"))
    async with searching(task_of(), flow("answer"), model, tmp_path, planned=80) as search:
        trials, _ = await tuned(search)
    assert trials.best is not None
    assert instruction(trials.best.program) == f"You are answer. {KNOWN}"
    assert trials.mean(trials.best) == 1.0
    assert search.population.incumbent is trials.best


async def test_the_meta_model_is_shown_what_a_step_received_gave_and_should_have_given(tmp_path: Path) -> None:
    model = Model(*quoted("You are answer. Hm."))
    async with searching(task_of(), flow("answer"), model, tmp_path, planned=30) as search:
        await tuned(search)
    question = model.prompts[0]
    assert "You are answer." in question
    assert "q: number" in question
    assert "a: gold" in question
    assert "right a: silver" in question


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("real", {"right a: silver", "right a: gold", "score"}),
        ("shuffled", {"right a: gold", "score"}),
        ("blind", set[str]()),
    ],
)
async def test_what_is_told_of_runs_is_what_the_controls_leave(tmp_path: Path, mode: Any, told: set[str]) -> None:
    """All mistakes are of one kind here, gold where silver was right: shuffled there is no other to tell of one. What went right stays."""
    model = Model(*quoted("You are answer. Hm."))
    async with searching(task_of(), flow("answer"), model, tmp_path, planned=40) as search:
        search.feedback_mode = mode
        await tuned(search)
    shown = "\n".join(model.prompts)
    assert {each for each in ("right a: silver", "right a: gold", "score") if each in shown} == told


@pytest.mark.parametrize(
    ("text", "defect"),
    [("", "empty"), ("The answer of number 3 and of number 5 and number 7 is plain to see, is it not", "copies")],
)
async def test_a_text_that_cannot_stand_scores_nothing_at_no_call_and_is_journalled_with_its_defect(
    tmp_path: Path, text: str, defect: str
) -> None:
    task = task_of(inputs={"q": "str"})
    rows = [{"q": f"{text} number {n}", "a": "silver" if n % 2 else "gold"} for n in range(12)]
    task = fb.Task(
        goal="Answer.",
        train=rows,
        val=labels(8),
        test=labels(20)[12:],
        inputs={"q": "str"},
        outputs={"a": "str"},
        metric="exact",
    )
    async with searching(task, flow("answer"), Model(*quoted(text)), tmp_path, planned=30) as search:
        trials, _ = await tuned(search)
        calls = search.session.ledger.calls
    proposals = [each for each in read_events(tmp_path / "journal.jsonl") if isinstance(each, Proposal)]
    assert proposals
    assert all(each.program is None and defect in each.faults[0] for each in proposals)
    assert trials.best is None
    assert calls["proposals"] == len(proposals)
    assert calls["train"] == len(search.recorded(search.start, search.training)), "only the start was run"


async def test_a_defect_is_the_feedback_on_its_text(tmp_path: Path) -> None:
    async with searching(task_of(), flow("answer"), Model("-"), tmp_path) as search:
        trials = trials_of(search, Bridge())
        adapter = Adapter(trials, places(search.start))
        texts = {"answer#instruction": "   "}
        found = adapter.evaluate(list(search.training[:2]), texts, capture_traces=True)
        shown = adapter.make_reflective_dataset(texts, found, ["answer#instruction"])
    assert found.scores == [0.0, 0.0]
    assert found.num_metric_calls == 0
    assert [record["Feedback"] for record in shown["answer#instruction"]] == [found.outputs[0]] * 2
    assert "empty" in found.outputs[0]
    assert sum(search.session.ledger.calls.values()) == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planned=st.integers(1, 60), train=st.integers(1, 9), val=st.integers(1, 9), steps=st.integers(1, 2))
async def test_no_plan_is_passed(tmp_path_factory: Any, planned: int, train: int, val: int, steps: int) -> None:
    names = ("plan", "answer")[-steps:]
    model = Model(*quoted("You are answer. 1", f"You are answer. {KNOWN}", "", "You are answer. 2"))
    async with searching(
        task_of(train, val), flow(*names), model, tmp_path_factory.mktemp("run"), planned=planned
    ) as search:
        await tuned(search)
        assert sum(search.session.ledger.calls.values()) <= planned


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(most=st.integers(0, 40), rows=st.integers(1, 6))
async def test_inside_an_outer_loop_no_more_is_taken_than_was_allowed_and_validation_is_not_seen(
    tmp_path_factory: Any, most: int, rows: int
) -> None:
    model = Model(*quoted("You are answer. 1", f"You are answer. {KNOWN}", "You are answer. 2"))
    async with searching(task_of(), flow("answer"), model, tmp_path_factory.mktemp("run")) as search:
        ids = search.training[:rows]
        await tuned(search, train=ids, val=ids, most=most, journal=None)
        assert sum(search.session.ledger.calls.values()) <= most
        assert set(search.session.ledger.calls) <= {"train", "proposals"}
        assert len(search.population.members) == 1, "what is tried is for the outer loop to journal"


@pytest.mark.parametrize("effort", [1, 7, 40, 41])
async def test_the_run_as_a_whole_keeps_to_its_effort(tmp_path: Path, effort: int) -> None:
    result = await run(task_of(), tmp_path, method="none+gepa", effort=effort)
    assert result.status == "done"
    assert searched(result) <= effort
    assert result.final_scores.test is not None


async def test_a_ceiling_of_the_users_ends_the_search_and_what_was_found_by_then_is_tested(tmp_path: Path) -> None:
    result = await run(task_of(), tmp_path, method="none+gepa", effort=200, budget=fb.Budget(calls=32))
    assert result.status == "done"
    assert result.stopped_by == "budget"
    assert sum(result.calls.values()) <= 32


async def test_a_replay_is_the_same_run_without_a_call(tmp_path: Path) -> None:
    first, again = [await run(task_of(), tmp_path, method="none+gepa", effort=80) for _ in range(2)]
    assert first.workflow.hash != flow("answer").hash, "it found something"
    assert again.now.calls == 0
    assert again.replayed_events == len(journal(first))
    assert again.to_json()["workflow"] == first.to_json()["workflow"]


@pytest.mark.parametrize("method", ["none+gepa", "flowbot+gepa"])
async def test_latency_decides_nothing(tmp_path: Path, method: str) -> None:
    journals = [
        journal(await run(task_of(), tmp_path / str(n), method=method, effort=120, lm=f"fake/told_how?latency={n}"))[1:]
        for n in (0, 2)
    ]
    assert journals[0] == journals[1]


async def test_candidates_are_journalled_as_proposals_with_verdicts(tmp_path: Path) -> None:
    model = Model(*quoted("You are answer. Hm.", f"You are answer. {KNOWN}"))
    async with searching(task_of(), flow("answer"), model, tmp_path, planned=60) as search:
        await tuned(search)
    events = read_events(tmp_path / "journal.jsonl")
    proposals, verdicts = of(events, Proposal), of(events, Verdict)
    assert [each.decision for each in verdicts] == ["drop", "adopt"]
    assert [each.proposal for each in verdicts] == [each.id for each in proposals if each.program]
    assert all(each.n == 3 and each.rule == "minibatch" for each in verdicts)
    assert all(len(each.shown) == 3 for each in proposals)


@pytest.mark.parametrize("method", ["none+gepa", "flowbot+gepa"])
async def test_a_fault_of_the_endpoint_pauses_the_run_and_is_no_score(tmp_path: Path, method: str) -> None:
    result = await run(task_of(), tmp_path, method=method, effort=120, lm="fake/told_how?latency=1&dies=3-9000000")
    assert (result.status, result.stopped_by) == ("paused", "infrastructure")


@pytest.mark.parametrize("after", [12, 20])
async def test_a_run_that_paused_decided_nothing_and_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole = await run(task_of(), tmp_path / "whole", method="none+gepa", effort=120)
    calls: list[str] = []

    def breaks(request: Request, key: str) -> ReplyContent:
        calls.append(key)
        if len(calls) > after:
            raise InfrastructureError("gone", kind="auth", fatal=True)
        return package_world.told_how(request, key)

    with monkeypatch.context() as patch:
        patch.setitem(BEHAVIOURS, "told_how", breaks)
        paused = await run(task_of(), tmp_path, method="none+gepa", effort=120)
    assert paused.status == "paused"
    written = journal(paused)
    assert "unfinished" not in {each.rule for each in of(written, Verdict)}
    resumed = await run(task_of(), tmp_path, method="none+gepa", effort=120)
    assert resumed.status == "done"
    assert resumed.replayed_events == len(written), "what was written stands"
    assert journal(resumed)[1:] == journal(whole)[1:]


async def test_a_fault_of_the_meta_model_is_raised_as_it_came(tmp_path: Path) -> None:
    fault = InfrastructureError("gone", kind="server", fatal=True)

    def reply(request: Any) -> Any:
        if request.messages[0].content.startswith("You are "):
            return "gold"
        raise fault

    async with searching(task_of(), flow("answer"), reply, tmp_path, planned=60) as search:
        with pytest.raises(InfrastructureError, match="gone"):
            await tuned(search)


async def test_the_same_question_again_is_another_draw(tmp_path: Path) -> None:
    model = Model(*quoted("You are answer. 1", "You are answer. 2", "You are answer. 3", "You are answer. 4"))
    async with searching(task_of(train=3, val=3), flow("answer"), model, tmp_path, planned=28) as search:
        await tuned(search)
    proposals = of(read_events(tmp_path / "journal.jsonl"), Proposal)
    assert len({each.program for each in proposals}) == 4
    assert len({"".join(sorted(each)) for each in model.prompts}) == 1, "the rows may come in another order"


async def test_it_stops_where_no_minibatch_shows_a_mistake(tmp_path: Path) -> None:
    start = flow("answer", answer={"instruction": f"You are answer. {KNOWN}"})
    async with searching(task_of(), start, Model("-"), tmp_path) as search:
        _, why = await tuned(search)
        assert why == ALL_RIGHT
        assert sum(search.session.ledger.calls.values()) == 20, "each row once"


async def test_a_reply_that_there_is_none_of_is_a_candidate_that_cannot_stand(tmp_path: Path) -> None:
    async with searching(task_of(), flow("answer"), Model(""), tmp_path, planned=30) as search:
        trials, _ = await tuned(search)
    assert trials.best is None


async def test_it_is_quiet_and_leaves_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (logging.getLogger().level, list(logging.getLogger().handlers))
    async with searching(
        task_of(), flow("answer"), Model(*quoted(f"You are answer. {KNOWN}")), tmp_path, planned=60
    ) as search:
        await tuned(search)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before
    assert os.listdir() == ["journal.jsonl"]


async def test_inside_an_outer_loop_it_hands_in_its_best_with_the_rows_that_chose_it(tmp_path: Path) -> None:
    model = Model(*quoted(f"You are answer. {KNOWN}"))
    proposer = PackageProposer(Gepa())
    async with searching(task_of(train=30), flow("answer"), model, tmp_path) as search:
        start = search.population.start
        (option,) = proposer.options(start, search)
        (made,) = await proposer.propose(start, Focus(option, 0, NONE, NONE), 1, search)
        assert option.cost == 40
        assert sum(search.session.ledger.calls.values()) <= option.cost
        assert "val" not in search.session.ledger.calls
    assert made.program is not None
    assert instruction(made.program) == f"You are answer. {KNOWN}"
    assert len(made.shown) == 10


def test_what_the_user_froze_is_no_place() -> None:
    data = flow("plan", "answer").dump()
    data["nodes"]["plan"]["frozen"] = True
    assert set(places(WorkflowProgram(Workflow.from_data(data)))) == {"answer#instruction"}


def mixed() -> WorkflowProgram:
    """A workflow with every kind of text."""
    data = flow("plan", "answer").dump()
    data["nodes"]["count"] = {"kind": "code", "in": {"a": "answer.a"}, "out": {"n": "str"}}
    data["outputs"] = {"a": "count.n"}
    prompt = [
        {"role": "system", "parts": ["Be brief, and never say more than is asked for."]},
        {
            "role": "user",
            "parts": [
                "First read this number with care:\n",
                {"ref": "q"},
                "\nThen say of which metal it is.",
                {"ref": "before"},
            ],
        },
    ]
    data["parameters"]["answer"] = {"messages": prompt, "format_hint": "One word."}
    data["parameters"]["count"] = {"code": "def run(a):\n    return {'n': a}"}
    return WorkflowProgram(Workflow.from_data(data))


def test_each_kind_of_text_has_a_place() -> None:
    assert list(places(mixed())) == [
        "plan#instruction", "answer#messages[0]", "answer#messages[1][0]", "answer#messages[1][2]", "answer#format_hint", "count#code",
    ]  # fmt: skip


async def test_texts_are_written_to_their_places_and_the_places_of_a_prompt_stay(tmp_path: Path) -> None:
    program, code = mixed(), "def run(a):\n    return {'n': a.upper()}"
    texts = {
        "plan#instruction": "Plan it.",
        "answer#messages[1][0]": "Read the number twice, from left to right",
        "answer#messages[1][2]": "Is it of silver or of gold?",
        "answer#format_hint": "A metal.",
        "count#code": code,
    }
    async with searching(task_of(), program.workflow, Model("-"), tmp_path) as search:
        changed, fault = rewritten(search, program, places(program), texts, "")
        assert (fault, changed is None) == ("", False)
        again, fault = rewritten(search, program, places(program), {"answer#messages[0]": "x" * 9000}, "")
    assert changed is not None
    told = changed.workflow.dump()["parameters"]
    assert told["plan"]["instruction"] == "Plan it."
    assert told["count"]["code"] == code
    assert told["answer"]["format_hint"] == "A metal."
    system, user = told["answer"]["messages"]
    assert system["parts"] == ["Be brief, and never say more than is asked for."]
    assert user["parts"] == [
        "Read the number twice, from left to right\n", {"ref": "q"}, "\nIs it of silver or of gold?", {"ref": "before"},
    ]  # fmt: skip
    assert again is None
    assert fault.startswith("answer#messages[0]: ")


def test_without_the_package_the_method_is_refused_before_anything_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowbot.optimizer.recipes.find_spec", lambda name: None)
    for method, package in (("none+gepa", "gepa"), ("flowbot+mipro", "dspy")):
        with pytest.raises(fb.UserError, match="flowbot\\[dspy\\]") as met:
            find_method(method)
        assert f"no package {package}" in str(met.value)
