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
    final,
    gradient,
    journal,
    listed,
    nested,
    proposal,
    recorded,
    result,
    start,
    write_paused,
    write_recorded,
    write_sample,
    write_unchanged,
)

from flowbot.fields import Field
from flowbot.report.advice import advice
from flowbot.report.brief import in_short, in_vain, stopped
from flowbot.report.commands import again, python, show, use
from flowbot.report.cost import per_run, where_it_went
from flowbot.report.data import RunView, read_run
from flowbot.report.examples import errors, grouped, parts, per_example
from flowbot.report.report import OUTCOMES, write_report
from flowbot.report.story import chapters, tell
from flowbot.report.template import cut
from flowbot.report.traces import ExamplePair, RunOnExample
from flowbot.workflow.starts import single_call


def with_events(run_dir: Path, events: list[dict[str, Any]], **told: Any) -> RunView:
    run = write_sample(run_dir)
    (run / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    (run / "result.json").write_text(json.dumps({**result(), **told}), encoding="utf-8")
    return read_run(run)


def test_each_change_says_why_at_what_cost_and_what_came_of_it(tmp_path: Path) -> None:
    run = read_run(write_sample(tmp_path / "run"))
    one, two, three, four = (tell(change, run) for change in run.changes)
    assert one.why == (
        "The meta model asked for it, having seen what went wrong:",
        "It got 2 of the meta model's 3 votes.",
        "Its code is from the meta model.",
    )
    assert one.took == "50 model calls, those that led to it included."
    assert one.outcome == (
        "It won its race: it scored 54 % against 17 % on 24 training examples; P(better) 0.97, where 0.80 is needed."
    )
    assert one.later == "On validation it scored 55 % (46 to 65 %). The result was built on it."
    assert two.why == ("No gradient asked for it: it was the next in the catalogue of known patterns.",)
    assert "P(better) 0.11, where 0.20 ends a race" in two.outcome
    assert (three.outcome, three.took) == ("It was not valid, so it never ran.", "")
    assert four.later.endswith("the best, so it is the result.")


def test_the_search_in_short_counts_what_came_of_all_changes(tmp_path: Path) -> None:
    said = " ".join(in_short(read_run(write_sample(tmp_path / "run"))))
    assert "In 2 rounds 4 changes were tried: 2 won their races, 1 lost, 1 not valid." not in said
    assert "In 1 round 4 changes were tried: 2 won their races, 1 lost, 1 not valid." in said
    assert "holds 2 of them (p1, p4); the largest gain in a race was +37 points, by p1" in said
    assert "2 workflows were scored on 40 validation examples" in said


def test_a_blamed_step_names_the_runs_that_spoke_against_it(tmp_path: Path) -> None:
    events = journal()
    blame = [gradient("the first wrong step", f"train-{number:03}", "answer", "call") for number in range(5)]
    made = proposal(
        9, listed(), final(), "parameters", "prior", "show step `answer` 2 of its own good runs",
        "runs on train-030, train-125 were scored 1",
    )  # fmt: skip
    run = with_events(tmp_path / "run", [*events[:-1], *blame, made])
    assert tell(run.changes[-1], run).why == (
        "The meta model named step `answer` as the first wrong step of the runs on `train-000`, `train-001`, `train-002`, "
        "`train-003` and 1 more.",
        "By rule: the runs on train-030, train-125 were right, so the step is shown what it did there.",
    )
    assert run.changes[-1].gradients == ()


def test_examples_shown_to_a_step_that_was_never_right_are_said_to_be_what_is_expected(tmp_path: Path) -> None:
    title = "show step `answer` 2 right answers"
    made = proposal(9, listed(), final(), "parameters", "prior", title, "no run was scored 1")
    run = with_events(tmp_path / "run", [*journal()[:-1], made])
    assert tell(run.changes[-1], run).why == (
        "By rule: no run was right to learn from, so the step is shown what training examples expect.",
    )


def test_a_change_drawn_at_random_says_so_and_whose_code_it_has(tmp_path: Path) -> None:
    made = proposal(
        1, start(), listed(), "structure", "prior", "Add it up in code.", "drawn at random; code by the meta model"
    )
    run = with_events(tmp_path / "run", [journal()[0], made])
    assert tell(run.changes[0], run).why == (
        "Drawn at random from the catalogue: this method asks nobody.",
        "Its code is from the meta model.",
    )


def test_a_change_of_structure_after_one_of_prompts_begins_a_round(tmp_path: Path) -> None:
    levels = ["structure", "structure", "parameters", "structure", "parameters", "parameters"]
    made = [proposal(number, start(), None, level, "prior", "t", "r") for number, level in enumerate(levels)]
    run = with_events(tmp_path / "run", [journal()[0], *made])
    assert [[told.change.id for told in each.told] for each in chapters(run)] == [
        ["p0", "p1", "p2"],
        ["p3", "p4", "p5"],
    ]
    assert chapters(run)[0].summary.startswith("2 changes of the structure and 1 change of prompts or code")


def test_a_method_without_races_is_told_without_verdicts(tmp_path: Path) -> None:
    made = [
        proposal(1, start(), listed(), "structure", "meta", "edits by the meta model", "The sum is wrong."),
        proposal(2, listed(), final(), "parameters", "meta", "update of all steps", ""),
    ]
    run = with_events(tmp_path / "run", [journal()[0], *made])
    assert [change.outcome for change in run.changes] == ["kept", "kept"]
    assert "without a race, as this method does" in tell(run.changes[0], run).outcome
    assert "In 1 round 2 changes were tried: 2 taken into the result." in in_short(run)[0]


def test_nothing_better_is_a_story_too(tmp_path: Path) -> None:
    run = read_run(write_unchanged(tmp_path / "run"))
    said = " ".join(in_vain(run))
    assert "1 change did worse than what it changed, and was dropped as soon as P(better) fell to 20 %" in said
    assert "2 changes ran all examples of their race without being clearly better; the closest was" in said
    assert "P(better) 0.70 where 0.80 was needed" in said
    assert "1 proposal was not valid" in said
    assert "Try more: `--effort high`" in " ".join(advice(run))
    words = write_report(run.run_dir).read_text(encoding="utf-8")
    assert "Why nothing of it is in the result" in words
    assert "What next?" in words


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
    ],
)
def test_advice_fits_what_the_run_shows(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = write_unchanged(tmp_path / "run")
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if "scores" in change:
        mean = 1.0 if change["scores"] == "full" else 0.0
        change = {"scores": {**told["scores"], "final": {"test": {"mean": mean, "low": mean, "high": mean, "n": 100}}}}
    (folder / "result.json").write_text(json.dumps({**told, **change}), encoding="utf-8")
    assert said in " ".join(advice(read_run(folder)))


def test_a_difference_that_may_be_chance_says_how_many_examples_would_settle_it(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    told = result()
    told["scores"]["difference"]["test"] = {"mean": 0.05, "low": -0.04, "high": 0.14, "n": 100}
    (run / "result.json").write_text(json.dumps(told), encoding="utf-8")
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
    for outcome, count in counts.items():
        assert f"{count} {OUTCOMES[outcome]}" in page
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
    assert first.final.used is not None
    unknown = replace(first, final=replace(first.final, used=replace(first.final.used, usd=None)))
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
    told = result()
    (run / "result.json").write_text(json.dumps({**told, "spent": {"calls": 500, "tokens": 90_000, "usd": 1.0}}))
    said = " ".join(where_it_went(read_run(run)))
    assert "625 model calls, 123,900 tokens, no cost. Of the calls 42 % ran workflows on training examples" in said
    assert "Made by this run: 500 of the calls, 90,000 tokens, $1.00, in" in said
    (run / "result.json").write_text(json.dumps({**told, "spent": {"calls": 625, "tokens": 123_900, "usd": 1.0}}))
    assert any(line.startswith("All of it was made by this run in") for line in where_it_went(read_run(run)))
    told["by_purpose"]["train"]["usd"] = None
    (run / "result.json").write_text(json.dumps(told))
    assert "no known price" in " ".join(where_it_went(read_run(run)))
    told["by_purpose"]["train"]["usd"] = 3.0
    (run / "result.json").write_text(json.dumps(told))
    assert "Most of the cost, $3.00, ran workflows on training" in " ".join(where_it_went(read_run(run)))


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
    plain = single_call(inputs, (Field.of("total", "int", "how many"),), run.goal, reasoning=True)
    assert "--start" not in again(replace(run, start=plain))
    other = single_call(inputs, (Field.of("total", "int"),), run.goal, reasoning=False)
    assert "--start" in again(replace(run, start=other))
    judged = {**run.models, "judge": "openai/gpt-4.1"}
    assert "--judge-model openai/gpt-4.1" in again(replace(run, models=judged))
    numbers = single_call((Field.of("note", "list[int]"),), (Field.of("total", "int"),), "Add.", reasoning=False)
    asked = replace(run.examples[0], inputs=(("note", "[1, 2]"),))
    assert "flow(note=[1, 2])" in python(replace(run, found=numbers, examples=(asked,)))
    with_tools = replace(run, found=nested())
    assert " --task task.yaml --model local/" in use(with_tools)
    assert "tools=[search]" in python(with_tools)
    assert show(run.run_dir, "an id") == f"flowbot show '{run.run_dir}' 'an id'"


def test_texts_without_end_leave_a_page_of_a_few_megabytes(tmp_path: Path) -> None:
    rows = recorded(40, reply="x" * 1_000_000, note="y" * 300_000)
    page = write_report(write_recorded(tmp_path / "run", rows)).read_text(encoding="utf-8")
    assert len(page) < 3_000_000
    assert "(998,500 more characters)" in page


def test_a_search_without_end_leaves_a_page_of_a_few_megabytes(tmp_path: Path) -> None:
    events = [journal()[0]]
    for number in range(600):
        events += [gradient("g" * 5000, f"train-{number}") for _ in range(4)]
        events.append(
            proposal(number, start(), listed(), "structure", "meta", "t" * 3000, "g" * 5000, changes=["c" * 3000] * 40)
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
    def side(score: float | None) -> RunOnExample | None:
        return None if score is None else RunOnExample(score, "", (), "", ())

    examples = [ExamplePair(str(at), (), (), side(one), side(two)) for at, (one, two) in enumerate(pairs)]
    groups = grouped(examples)
    assert sum(group.count for group in groups) == len(examples)
    assert len({group.outcome for group in groups}) == len(groups)
    assert all(0 < len(group.shown) <= group.count for group in groups)
    assert all(each.outcome == group.outcome for group in groups for each in group.shown)


@given(st.text(max_size=300), st.integers(1, 100))
def test_a_text_that_was_cut_says_how_much_is_missing(text: str, most: int) -> None:
    shown = cut(text, most)
    assert shown == text or (shown.startswith(text[:most]) and f"({len(text) - most:,} more characters)" in shown)
    assert len(shown) <= most * 1.1 + 40
