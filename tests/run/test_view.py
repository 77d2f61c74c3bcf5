"""A run as it stands on disk: the result that is read is the one that was written; what became of each change, and in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_sample import (
    final,
    journal,
    listed,
    measured,
    proposal,
    result,
    start,
    verdict,
    write_journal,
    write_paused,
    write_sample,
)

from flowbot.cli.demo import demo_task_path
from flowbot.optimizer.run import optimize_async
from flowbot.run.events import Decision, Ended, Event, Feedback, Measured, Proposal
from flowbot.run.examples import Side
from flowbot.run.journal import read_events
from flowbot.run.result import ClosingTest, Judging, RunResult
from flowbot.run.verdict import decided
from flowbot.run.view import RunView, read_run
from flowbot.task import Task


async def optimized(folder: Path, method: str) -> RunResult:
    task = Task.load(demo_task_path())
    task = replace(task, splits={split: rows[:16] for split, rows in task.splits.items()})
    return await optimize_async(
        task, lm="fake/counter", method=method, effort="low", run_dir=folder / "run", cache_dir=folder / "cache"
    )


@pytest.mark.parametrize("method", ["flowbot+blame", "paper", "random", "none+none"])
async def test_the_view_of_a_run_says_what_its_result_says(tmp_path: Path, method: str) -> None:
    made = await optimized(tmp_path, method)
    run = read_run(made.run_dir)
    assert run.result == made
    assert run.verdict == made.verdict
    assert run.spent == made.spent
    assert run.unchanged == made.unchanged
    assert [f"{each.proposal.source}: {each.proposal.title}" for each in run.lineage] == (
        ["start"] if made.unchanged else list(made.kept_from)
    )[: len(run.lineage)]
    assert (run.lineage == ()) == made.unchanged
    assert [change.is_result for change in run.lineage] == [False] * (len(run.lineage) - 1) + [True] * bool(run.lineage)
    scored = [each.final.score for each in run.examples if each.final is not None]
    assert made.final_scores.test is not None
    assert sum(scored) / len(scored) == pytest.approx(made.final_scores.test.mean)
    events = read_events(made.run_dir / "journal.jsonl")
    for event in events:
        if isinstance(event, Measured):
            assert event.calls > 0
            assert event.tokens > 0
            assert event.usd == 0.0
    assert isinstance(events[-1], Ended)
    assert events[-1].program == made.workflow.hash


@pytest.mark.parametrize("method", ["flowbot+blame", "paper"])
async def test_every_change_was_asked_for_by_feedback_that_came_before_it(tmp_path: Path, method: str) -> None:
    made = await optimized(tmp_path, method)
    known: dict[str, Feedback] = {}
    for event in read_events(made.run_dir / "journal.jsonl"):
        if isinstance(event, Feedback):
            assert known.get(event.id, event) == event
            assert {known[name].example for name in event.after} <= {event.example}
            known[event.id] = event
        elif isinstance(event, Proposal):
            asked = [known[name] for name in event.because]
            assert {each.about for each in asked} <= {event.parents[0]}
            if event.votes is None:  # who votes writes nothing of what is compared
                assert {each.example for each in asked} <= set(event.shown)
    assert known


@pytest.mark.parametrize(
    "made",
    [
        result(),
        result(judge=Judging(model="a/b", calls=1, tokens=2, usd=None, spread=0.1), dropped=("test-1",)),
        result(
            tested=ClosingTest(run=3, of=100), passed="calls", requests={"val": 130}, replayed_events=4, reason="“why”"
        ),
    ],
)
def test_a_result_that_was_saved_is_read_as_it_was(tmp_path: Path, made: RunResult) -> None:
    folder = write_sample(tmp_path / "run")
    made = replace(made, run_dir=folder)
    made.save()
    assert RunResult.load(folder) == made


def test_a_paused_run_has_no_found_workflow_even_where_a_file_stands(tmp_path: Path) -> None:
    folder = write_paused(tmp_path / "run")
    (folder / "found.flow.yaml").write_text((folder / "start.flow.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert RunResult.load(folder).found is None
    assert read_run(folder).found is None
    assert read_run(folder).status == "paused"


def last(folder: Path, *events: Event) -> tuple[RunView, str]:
    """The words on the last change of a run that found `final`."""
    run = write_sample(folder / "run")
    write_journal(run, [journal()[0], *events])
    view = read_run(run)
    return view, decided(view.changes[-1])


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        ("adopt", "adopted on 16 pairs (54 % against 50 %, P(better) 0.70)"),
        ("drop", "dropped on 16 pairs (54 % against 50 %, P(better) 0.70)"),
        ("set aside", "set aside on 16 pairs (54 % against 50 %, P(better) 0.70)"),
    ],
)
def test_a_verdict_is_told_with_its_numbers(tmp_path: Path, decision: Decision, said: str) -> None:
    made = proposal(1, start(), listed(), "structure", "meta", "t")
    assert last(tmp_path, made, verdict(1, decision, 0.54, 0.5, 16, 0.7))[1] == said


def test_a_change_set_aside_that_validation_chose_says_so(tmp_path: Path) -> None:
    made = proposal(1, start(), final(), "structure", "meta", "t")
    run, said = last(
        tmp_path, made, verdict(1, "set aside", 0.54, 0.5, 16, 0.7), measured(final(), "val", 0.6, 40, 300)
    )
    assert said == "set aside on 16 pairs (54 % against 50 %, P(better) 0.70); scored on validation; best on validation"
    assert (run.changes[0].outcome, run.changes[0].kept) == ("kept", None)


@pytest.mark.parametrize(("decision", "said"), [("confirm", "confirmed"), ("refute", "not confirmed")])
def test_what_validation_said_stands_behind_what_the_search_said(tmp_path: Path, decision: Decision, said: str) -> None:
    made = proposal(1, start(), listed(), "structure", "meta", "t")
    closing = verdict(1, decision, 0.55, 0.5, 40, 0.4, rule="validation")
    run, words = last(
        tmp_path, made, verdict(1, "set aside", 0.54, 0.5, 16, 0.7), measured(listed(), "val", 0.6, 40, 300), closing
    )
    assert words.endswith(f"; scored on validation; {said} on validation (55 % against 50 % on 40 pairs)")
    assert run.changes[0].outcome == ("rejected" if decision == "refute" else "open")


def test_a_change_that_is_taken_since_it_is_cheaper_says_what_its_probability_is_of(tmp_path: Path) -> None:
    made = proposal(1, start(), listed(), "structure", "prior", "t")
    assert "P(not worse) 0.90" in last(tmp_path, made, verdict(1, "adopt", 0.5, 0.5, 16, 0.9, rule="cheaper"))[1]


def test_what_was_never_compared_says_why(tmp_path: Path) -> None:
    assert last(tmp_path, proposal(1, start(), None, "structure", "meta", "t"))[1] == "not valid, so it never ran"
    assert (
        last(tmp_path, proposal(1, start(), listed(), "structure", "meta", "t"))[1]
        == "not compared when the search stopped"
    )
    assert last(tmp_path, proposal(1, start(), final(), "structure", "meta", "t"))[1] == "taken on without a comparison"


def test_what_was_adopted_and_then_not_confirmed_is_rejected(tmp_path: Path) -> None:
    made = proposal(1, start(), listed(), "structure", "meta", "t")
    closing = verdict(1, "refute", 0.05, 0.15, 40, 0.1, rule="validation")
    run, words = last(tmp_path, made, verdict(1, "adopt", 0.54, 0.5, 16, 0.8), closing)
    assert words.endswith("; not confirmed on validation (5 % against 15 % on 40 pairs)")
    assert run.changes[0].outcome == "rejected"


def test_a_verdict_without_pairs_is_no_comparison(tmp_path: Path) -> None:
    made = proposal(1, start(), listed(), "structure", "meta", "t")
    run, words = last(tmp_path, made, verdict(1, "adopt", 0, 0, 0, 0.5, rule="always"))
    assert (words, run.changes[0].outcome) == ("taken on without a comparison", "passed")
    assert last(tmp_path, made, verdict(1, "set aside", 0, 0, 0, 0.6))[1] == "not compared when the search stopped"


def test_a_workflow_that_was_proposed_before_is_not_told_as_taken_on(tmp_path: Path) -> None:
    first, again = (proposal(number, start(), listed(), "structure", "meta", "t") for number in (1, 2))
    after = proposal(3, listed(), start(), "structure", "meta", "t")
    run, words = last(tmp_path, first, verdict(1, "adopt", 0.5, 0.4, 12, 0.9), again, after)
    assert decided(run.changes[1]) == "the same workflow as p1, so it was not run again"
    assert words == "the same workflow as the start, so it was not run again"
    assert [change.outcome for change in run.changes] == ["won", "open", "open"]


def test_texts_of_all_but_a_few_traces_are_let_go_and_what_they_took_is_kept(tmp_path: Path) -> None:
    [example, *_] = read_run(write_sample(tmp_path / "run")).examples
    assert example.final is not None
    brief: Side = example.final.without_texts()
    assert brief.trace.usage == example.final.trace.usage
    assert example.traced
    assert not example.with_sides(Side.without_texts).traced
    assert {(step.reply, step.messages, step.outputs) for step in brief.trace.steps} == {("", (), None)}
