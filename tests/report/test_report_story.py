"""The story that a report tells: why, what, at what cost and with what outcome; what next; the examples; where calls went."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sample import (
    feedback,
    final,
    journal,
    listed,
    nested,
    proposal,
    recorded,
    result,
    rewrite,
    start,
    started,
    verdict,
    write_journal,
    write_paused,
    write_recorded,
    write_sample,
    write_unchanged,
)

from flowbot.fields import Field
from flowbot.fields.words import count
from flowbot.report.advice import advice
from flowbot.report.commands import again, python, show, use
from flowbot.report.examples import errors, grouped, parts, per_example
from flowbot.report.figures import per_run, where_it_went
from flowbot.report.report import OUTCOMES, cut, write_report
from flowbot.report.story import came, in_short, in_vain, stopped, why
from flowbot.run.changes import Change
from flowbot.run.events import Event, Measured, Noted
from flowbot.run.examples import RecordedExample, Side
from flowbot.run.result import Scores
from flowbot.run.sessions import Spent
from flowbot.run.view import RunView, read_run
from flowbot.runtime.trace import Trace
from flowbot.stats import Estimate
from flowbot.workflow.starts import single_call


def with_events(run_dir: Path, events: list[Event]) -> RunView:
    run = write_sample(run_dir)
    write_journal(run, events)
    return read_run(run)


def only(run_dir: Path, *events: Event) -> tuple[RunView, Change]:
    """A run that began, with these events, and its last change."""
    run = with_events(run_dir, [journal()[0], *events])
    return run, run.changes[-1]


def test_each_change_says_why_and_what_came_of_it(tmp_path: Path) -> None:
    run = read_run(write_sample(tmp_path / "run"))
    one, two, three, four = run.changes
    assert why(one) == (
        "Asked for by what was said of a mistake:",
        "It got 2 of the meta model's 3 votes.",
        "Its code is from the meta model.",
    )
    assert came(one, run) == (
        "Adopted on 24 pairs (54 % against 17 %, P(better) 0.97). On validation it scored 55 % (46 to 65 %). The result was "
        "built on it."
    )
    assert why(two) == ("No feedback asked for it: it was the next in the catalogue of known patterns.",)
    assert came(two, run) == "Dropped on 8 pairs (12 % against 25 %, P(better) 0.11)."
    assert came(three, run) == "Not valid, so it never ran."
    assert came(four, run).startswith("Adopted on 24 pairs (71 % against 54 %, P(better) 0.86); best on validation.")
    assert came(four, run).endswith("It is the result.")


def test_the_search_in_short_counts_what_came_of_all_changes(tmp_path: Path) -> None:
    said = " ".join(in_short(read_run(write_sample(tmp_path / "run"))))
    assert "4 changes were tried: 2 adopted, 1 dropped, 1 not valid." in said
    assert "holds 2 of them (p1, p4); the largest gain on training examples was +37 points, by p1" in said
    assert "2 workflows were scored on 40 validation examples" in said


def test_a_reason_stands_as_its_author_wrote_it_whatever_it_looks_like(tmp_path: Path) -> None:
    reason = "runs on train-1 were scored 1 (9 of 9 votes); code by the meta model"
    _, change = only(tmp_path / "run", proposal(1, start(), listed(), "structure", "prior", "t", reason=reason))
    assert why(change) == (reason,)


def test_a_change_for_which_nobody_gave_a_reason_says_where_it_comes_from(tmp_path: Path) -> None:
    _, change = only(tmp_path / "run", proposal(1, start(), listed(), "structure", "history", "t", code_by="prior"))
    assert why(change) == (
        "It comes from what the run had learned.",
        "Its code is from the catalogue of known patterns.",
    )


def test_a_method_without_comparisons_is_told_without_verdicts(tmp_path: Path) -> None:
    made = [
        proposal(1, start(), listed(), "structure", "meta", "edits by the meta model"),
        proposal(2, listed(), final(), "parameters", "meta", "update of all steps"),
    ]
    run, _ = only(tmp_path / "run", *made)
    assert [change.outcome for change in run.changes] == ["kept", "kept"]
    assert came(run.changes[0], run).startswith("Taken on without a comparison.")
    assert "2 changes were tried: 2 taken on without a comparison." in in_short(run)[0]


def test_what_the_search_noted_is_told_in_its_order(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    noted = (
        Noted(about="plateau", text="6 candidates in a row were not better: now from `list`", spent=310),
        Noted(about="left out", text="p7 had no room to be tested", spent=1),
        Noted(about="stopped", text="nothing is left to try", spent=1200),
    )
    write_journal(run, [*journal(), *noted])
    page = write_report(run).read_text(encoding="utf-8")
    told = (
        "After 310 calls, a plateau: 6 candidates in a row were not better: now from <code>list</code>",
        "After 1 call, left out: p7 had no room to be tested",
        "After 1,200 calls, the search stopped: nothing is left to try",
    )
    places = [page.find(each) for each in told]
    assert -1 not in places
    assert places == sorted(places)
    assert "What the search noted" not in write_report(write_sample(tmp_path / "other")).read_text(encoding="utf-8")


def test_scores_that_all_came_at_the_end_are_no_curve(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    assert "Score against model calls" in write_report(run).read_text(encoding="utf-8")
    at_once = [event.model_copy(update={"spent": 460}) if isinstance(event, Measured) else event for event in journal()]
    write_journal(run, at_once)
    assert "Score against model calls" not in write_report(run).read_text(encoding="utf-8")


def test_nothing_better_is_a_story_too(tmp_path: Path) -> None:
    run = read_run(write_unchanged(tmp_path / "run"))
    said = " ".join(in_vain(run))
    assert "3 changes were not clearly better than what they changed; the closest was p2 (" in said
    assert "P(better) 0.70" in said
    assert "1 proposal was not valid" in said
    assert "Try more: `--effort 2000`" in " ".join(advice(run))
    words = write_report(run.run_dir).read_text(encoding="utf-8")
    assert "Why nothing of it is in the result" in words
    assert "What next?" in words


def test_a_winner_that_validation_did_not_confirm_says_so_with_its_numbers(tmp_path: Path) -> None:
    made = proposal(1, start(), listed(), "structure", "meta", "t")
    adopted = verdict(1, "adopt", 0.54, 0.5, 16, 0.8)
    closing = verdict(1, "refute", 0.05, 0.15, 40, 0.1, rule="validation")
    folder = write_unchanged(tmp_path / "run")
    result(folder, found=start(), stopped_because="the planned calls are used").save()
    write_journal(folder, [journal()[0], made, adopted, closing])
    run = read_run(folder)
    assert in_vain(run) == ("p1 was not confirmed on validation (5 % against 15 % on 40 pairs).",)
    assert "The search ended: the planned calls are used." in in_short(run)
    write_journal(folder, [journal()[0], made, adopted])
    assert in_vain(read_run(folder)) == (
        "1 change was adopted on training examples, and none was confirmed on validation.",
    )


def test_a_pause_says_why_and_how_to_go_on(tmp_path: Path) -> None:
    run = read_run(write_paused(tmp_path / "run"))
    assert stopped(run) == (
        "It stopped because a model's endpoint failed: openai/x: cannot be reached (tried 6 times)."
    )
    assert "See that the model's endpoint answers" in advice(run)[0]
    assert "the same command again" in advice(run)[0]
    page = write_report(run.run_dir).read_text(encoding="utf-8")
    assert page.count("cannot be reached") == 2
    assert "4 changes were tried" in page
    assert in_vain(run) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stopped_by": "budget"}, "A ceiling ended the search early"),
        ({"scores": "full"}, "The start scores 100 % already"),
        ({"scores": "never"}, "The start is never right"),
        ({"models": {"task": "a/b", "meta": "a/b"}}, "A stronger model"),
        ({"stopped_because": "nothing is left to try"}, "because nothing is left to try: try another `--method`"),
    ],
)
def test_advice_fits_what_the_run_shows(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = write_unchanged(tmp_path / "run")
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if "scores" in change:
        mean = 1.0 if change["scores"] == "full" else 0.0
        side = {"val": None, "test": {"mean": mean, "low": mean, "high": mean, "n": 100}}
        change = {"scores": {**told["scores"], "final": side}}
    if "models" in change:
        write_journal(folder, [started(**change), *journal()[1:]])
    rewrite(folder, **change)
    assert said in " ".join(advice(read_run(folder)))


def test_a_difference_that_may_be_chance_says_how_many_examples_would_settle_it(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    result(run, difference=Scores(test=Estimate(0.05, -0.04, 0.14, 100))).save()
    said = advice(read_run(run))[0]
    assert re.match(
        r"100 test examples like these show a difference reliably from about 13 points on; one of 5 points needs about 66\d",
        said,
    )


def test_examples_stand_by_what_became_of_them(tmp_path: Path) -> None:
    run = read_run(write_recorded(tmp_path / "run"))
    counts = {group.outcome: group.count for group in grouped(run.examples)}
    assert counts == {"fixed": 30, "broken": 10, "wrong": 10, "right": 10}
    page = write_report(run.run_dir).read_text(encoding="utf-8")
    for outcome, number in counts.items():
        assert f"{number} {OUTCOMES[outcome]}" in page
    assert f"flowbot show {run.run_dir} test-003" in page
    assert "25 more are not shown here" in page


def test_a_gradient_quotes_the_example_that_it_speaks_of(tmp_path: Path) -> None:
    run = read_run(write_recorded(tmp_path / "run"))
    assert run.quoted["train-007"].startswith("train-007: Hi there")
    assert '<q dir="auto">train-007: Hi there' in write_report(run.run_dir).read_text(encoding="utf-8")


def test_parts_errors_and_cost_come_from_all_examples(tmp_path: Path) -> None:
    run = read_run(write_recorded(tmp_path / "run"))
    exact, polite = parts(run.examples)
    assert (exact.name, polite.name) == ("exact", "polite")
    assert exact.start is not None
    assert (exact.start.mean, exact.start.n) == (pytest.approx(1 / 3), 60)
    assert polite.final is not None
    assert polite.final.mean == 0.5
    [kind] = errors(run.examples)
    assert (kind.step, kind.start, kind.final, kind.example) == ("answer", 10, 0, "test-004")
    assert kind.text == "the reply was cut at 204 tokens; total is missing"
    before, after = per_example(run.examples, "start"), per_example(run.examples, "final")
    assert before is not None
    assert after is not None
    assert after.calls == pytest.approx(5 / 3)
    assert per_run(before, after).startswith(
        "One example takes 1.7 calls and 120 tokens with it; with the start 1.3 calls"
    )
    assert "A thousand examples cost $2.00 against $2.00" in per_run(before, after)
    first, *others = run.examples
    assert first.final is not None
    trace = first.final.trace
    steps = tuple(replace(step, usage=replace(step.usage, usd=None)) for step in trace.steps)
    final_side = first.final.model_copy(update={"trace": replace(trace, steps=steps)})
    unknown = first.model_copy(update={"final": final_side})
    partly = per_example([unknown, *others], "final")
    assert partly is not None
    assert partly.usd is None


def test_page_shows_judge_parts_errors_and_dropped_examples(tmp_path: Path) -> None:
    page = write_report(write_recorded(tmp_path / "run")).read_text(encoding="utf-8")
    for said in (
        "The judge, <code>openai/gpt-4.1</code>",
        "vary by 0.08",
        "Part by part",
        "polite",
        "test-099",
        "Errors met",
    ):
        assert said in page


def test_where_the_calls_went_and_who_paid(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")

    def said(train: float | None = 0.0, **spent: Any) -> str:
        paid = Spent(**{"calls": 500, "tokens": 90_000, "usd": 1.0, **spent})
        used = result().by_purpose
        priced = {**used, "train": used["train"].model_copy(update={"usd": train})}
        result(run, spent=paid, by_purpose=priced).save()
        return " ".join(where_it_went(read_run(run)))

    assert "625 model calls, 123,900 tokens, no cost. Of the calls 42 % ran workflows on training examples" in said()
    assert "Made by this run: 500 of the calls, 90,000 tokens, $1.00, in" in said()
    assert "All of it was made by this run in" in said(calls=625)
    assert "no known price" in said(train=None)
    assert "Most of the cost, $3.00, ran workflows on training" in said(train=3.0)


def test_commands_can_be_typed_as_they_stand(tmp_path: Path) -> None:
    run = read_run(write_sample(tmp_path / "a run"))
    assert again(run).startswith(
        f"flowbot optimize task.yaml --start '{run.run_dir}/start.flow.yaml' --model local/qwen2.5-coder-0.5b --meta-model local/qwen2.5-coder-1.5b "
        "--method flowbot+blame --effort medium --seed 0 --run-dir '"
    )
    assert use(run).startswith(f"flowbot run '{run.run_dir}/found.flow.yaml' 'note=Hi there")
    assert "--task" not in use(run)
    compile(python(run), "report", "exec")
    assert "fb.load(" in python(run)
    inputs = (Field.of("note", "str"),)
    plain = single_call(inputs, (Field.of("total", "int", "how many"),), run.started.goal, reasoning=True)
    assert "--start" not in again(replace(run, start=plain))
    other = single_call(inputs, (Field.of("total", "int"),), run.started.goal, reasoning=False)
    assert "--start" in again(replace(run, start=other))
    judged = started(models={**run.started.models, "judge": "openai/gpt-4.1"})
    assert "--judge-model openai/gpt-4.1" in again(replace(run, started=judged))
    numbers = single_call((Field.of("note", "list[int]"),), (Field.of("total", "int"),), "Add.", reasoning=False)
    asked = run.examples[0].model_copy(update={"inputs": {"note": [1, 2]}})
    assert "flow(note=[1, 2])" in python(replace(run, found=numbers, examples=(asked,)))
    with_tools = replace(run, found=nested())
    assert " --task task.yaml --model local/" in use(with_tools)
    assert 'task="task.yaml"' in python(with_tools)
    assert show(run.run_dir, "an id") == f"flowbot show '{run.run_dir}' 'an id'"


def test_texts_without_end_leave_a_page_of_a_few_megabytes(tmp_path: Path) -> None:
    rows = recorded(40, reply="x" * 1_000_000, note="y" * 300_000)
    page = write_report(write_recorded(tmp_path / "run", rows)).read_text(encoding="utf-8")
    assert len(page) < 3_000_000
    assert "(998,500 more characters)" in page


def test_a_search_without_end_leaves_a_page_of_a_few_megabytes(tmp_path: Path) -> None:
    events = [journal()[0]]
    for number in range(600):
        events += [feedback(4 * number + at, "g" * 5000, f"train-{number}") for at in range(4)]
        because = tuple(f"g{4 * number + at}" for at in range(4))
        edits = ("c" * 3000,) * 40
        events.append(
            proposal(
                number,
                start(),
                listed(),
                "structure",
                "meta",
                "t" * 3000,
                because=because,
                reason="r" * 5000,
                edits=edits,
            )
        )
    run = with_events(tmp_path / "run", events)
    page = write_report(run.run_dir)
    assert page.stat().st_size < 8_000_000
    assert "600 changes were tried" in page.read_text(encoding="utf-8")


def test_half_a_surrogate_pair_does_not_stop_the_report(tmp_path: Path) -> None:
    rows = recorded(6, note="half \ud83d pair")
    assert "half ? pair" in write_report(write_recorded(tmp_path / "run", rows)).read_text(encoding="utf-8")


@pytest.mark.parametrize("key", ["k3y-0123456789", "k3y&<0123>45"])
def test_a_key_that_reached_a_trace_does_not_reach_the_report(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", key)
    rows = recorded(6, note=f"the tool said {key} to us")
    page = write_report(write_recorded(tmp_path / "run", rows)).read_text(encoding="utf-8")
    assert "the tool said [secret] to us" in page
    assert key[:4] not in page


scores = st.none() | st.sampled_from([0.0, 0.25, 1.0])


@given(st.lists(st.tuples(scores, scores), max_size=40))
def test_every_example_is_in_one_group(pairs: list[tuple[float | None, float | None]]) -> None:
    def side(score: float | None) -> Side | None:
        if score is None:
            return None
        return Side(score=score, feedback="", parts={}, spread=None, whole=False, trace=Trace("", {}, (), None))

    examples = [
        RecordedExample(
            id=str(at), split="test", inputs={}, expected={}, start=side(one), final=side(two), candidates={}
        )
        for at, (one, two) in enumerate(pairs)
        if (one, two) != (None, None)  # a view leaves out what neither was run on
    ]
    groups = grouped(examples)
    assert sum(group.count for group in groups) == len(examples)
    assert len({group.outcome for group in groups}) == len(groups)
    assert all(0 < len(group.shown) <= group.count for group in groups)
    assert all(each.outcome == group.outcome for group in groups for each in group.shown)


@given(st.text(max_size=300), st.integers(1, 100))
def test_a_text_that_was_cut_says_how_much_is_missing(text: str, most: int) -> None:
    shown = cut(text, most)
    assert shown == text or (
        shown.startswith(text[:most]) and f"({count(len(text) - most, 'more character')})" in shown
    )
    assert len(shown) <= most * 1.1 + 40
