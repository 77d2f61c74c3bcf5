"""`show`: one example of a run with prompts as sent, replies as received, scores and gradients; the list; what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cli_help import flowbot, write_task

from flowbot.optimizer.run import optimize
from flowbot.run import examples
from flowbot.task import Task

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the fake model that has ended, and has found a workflow that computes."""
    task = write_task(tmp_path_factory.mktemp("shown"), sizes=(14, 6, 6))
    return optimized(task, method="flowbot+none", effort="medium")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that compares nothing: it writes gradients on the runs of one candidate after the other."""
    return optimized(write_task(tmp_path_factory.mktemp("paper"), sizes=(5, 3, 3)), method="paper")


def optimized(task: Path, status: str = "done", **options: Any) -> Path:
    folder = task.parent
    place = folder / "runs" / "one"
    result = optimize(Task.load(task), lm="fake/counter", run_dir=place, cache_dir=folder / "cache", **options)
    assert result.status == status
    return place


def lines(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "examples.jsonl").read_text(encoding="utf-8").splitlines()]


def rewrite(run_dir: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a run whose examples are changed."""
    folder.mkdir()
    for name in ("journal.jsonl", "result.json", "sessions.jsonl", "start.flow.yaml", "found.flow.yaml"):
        (folder / name).write_bytes((run_dir / name).read_bytes())
    kept = lines(run_dir)
    for line in kept:
        change(line)
    (folder / "examples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    return folder


def steps_of(facts: dict[str, Any], side: str) -> list[dict[str, Any]]:
    return facts[side]["trace"]["steps"]


def test_every_example_is_listed_with_both_scores_those_fixed_and_broken_first(capsys: Capture, done: Path) -> None:
    facts = flowbot(capsys, "show", str(done), "--json").json
    rows = facts["examples"]
    assert len(rows) == 14 + 6 + 6
    outcomes = [row["outcome"] for row in rows]
    assert "fixed" in outcomes
    ranks = ["fixed", "broken", "better", "worse", "wrong", "right", "one side", "not run"]
    assert outcomes == sorted(outcomes, key=ranks.index)
    tested = [row for row in rows if row["split"] == "test"]
    result = json.loads((done / "result.json").read_text(encoding="utf-8"))["scores"]
    assert sum(row["found"] for row in tested) / 6 == pytest.approx(result["final"]["test"]["mean"])
    assert sum(row["start"] for row in tested) / 6 == pytest.approx(result["start"]["test"]["mean"])
    assert sum(row["gradients"] for row in rows) > 0
    said = flowbot(capsys, "show", str(done))
    assert said.status == 0
    assert f"flowbot show {done} {rows[0]['id']}" in said.out
    assert max(len(line) for line in said.out.splitlines() if "flowbot show" not in line) <= 80


def test_with_quiet_the_examples_are_listed_and_nothing_else(capsys: Capture, done: Path) -> None:
    assert "What the search noted" in flowbot(capsys, "show", str(done), "--full").out
    listed = flowbot(capsys, "show", str(done), "--full", "--quiet").out.splitlines()
    assert len(listed) == 1 + 14 + 6 + 6


def test_the_list_says_what_the_search_noted_while_it_ran(capsys: Capture, done: Path) -> None:
    events = map(json.loads, (done / "journal.jsonl").read_text(encoding="utf-8").splitlines())
    stopped = next(event for event in events if event.get("about") == "stopped")
    said = flowbot(capsys, "show", str(done))
    assert "What the search noted" in said.out
    told = " ".join(said.out.split())
    assert f"After {stopped['spent']:,} calls, the search stopped: {stopped['text']}" in told
    notes = flowbot(capsys, "show", str(done), "--json").json["notes"]
    assert notes[-1] == {"about": "stopped", "text": stopped["text"], "calls": stopped["spent"]}


def test_one_example_is_shown_with_its_prompts_and_replies_as_they_were(capsys: Capture, done: Path) -> None:
    facts = flowbot(capsys, "show", str(done), "test-21", "--json").json
    assert (facts["id"], facts["split"], facts["status"]) == ("test-21", "test", "done")
    assert facts["inputs"] == {"note": "21 pens and 24 cups"}
    assert facts["expected"] == {"total": 45}
    first = steps_of(facts, "start")[0]
    prompt = "\n".join(message["content"] for message in first["messages"])
    assert "21 pens and 24 cups" in prompt
    assert "Add up the amounts." in prompt
    assert first["reply"]
    assert first["usage"]["input_tokens"] > 0
    said = flowbot(capsys, "show", str(done), "test-21").out
    for line in prompt.splitlines():
        assert line[:60].strip() in said
    codes = [step for step in steps_of(facts, "found") if step["kind"] == "code"]
    assert codes
    assert "| def run(" in said
    for part in ("Start workflow: scored", "Found workflow: scored", "Expected", "total: 45", "reply", "tokens"):
        assert part in said, part
    assert max(len(line) for line in said.splitlines()) <= 80


def test_one_side_and_one_step_can_be_asked_for(capsys: Capture, done: Path) -> None:
    both = flowbot(capsys, "show", str(done), "test-21", "--json").json
    start = flowbot(capsys, "show", str(done), "test-21", "--start", "--json").json
    assert "found" not in start
    assert start["start"] == both["start"]
    found = flowbot(capsys, "show", str(done), "test-21", "--found").out
    assert "Start workflow" not in found
    for flags in (["--both"], ["--start", "--found"]):
        assert flowbot(capsys, "show", str(done), "test-21", *flags, "--json").json == both
    address = steps_of(both, "found")[-1]["address"]
    one = flowbot(capsys, "show", str(done), "test-21", "--found", "--step", address, "--json").json
    assert [step["address"] for step in steps_of(one, "found")] == [address]
    wrong = flowbot(capsys, "show", str(done), "test-21", "--step", f"{address}x")
    assert wrong.status == 2
    assert f"did you mean '{address}'" in wrong.error


@pytest.mark.parametrize("method", ["done", "paper"])
def test_gradients_are_shown_with_the_workflow_they_are_about_and_the_proposals_made_from_them(
    capsys: Capture, request: pytest.FixtureRequest, method: str
) -> None:
    place: Path = request.getfixturevalue(method)
    rows = flowbot(capsys, "show", str(place), "--json").json["examples"]
    shown = [flowbot(capsys, "show", str(place), row["id"], "--json").json for row in rows if row["gradients"]]
    events = [json.loads(line) for line in (place / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    written = {(each["example"], each["text"]) for each in events if each["event"] == "feedback" and each["text"]}
    assert {(facts["id"], each["text"]) for facts in shown for each in facts["gradients"]} == written
    gradients = [each for facts in shown for each in facts["gradients"]]
    assert any(each["about"] == "the start" for each in gradients)
    proposals = {event["id"]: event for event in events if event["event"] == "proposal"}
    used = [(each, use) for each in gradients for use in each["used_by"]]
    assert used
    for gradient, use in used:
        assert proposals[use["id"]]["parents"] == [gradient["workflow"]]
        assert use["level"] == "parameters" or not gradient["node"]
    one = next(
        facts for facts in shown if any(each["used_by"] and each["about"] == "the start" for each in facts["gradients"])
    )
    said = flowbot(capsys, "show", str(place), one["id"], "--full").out
    assert f"→ {next(use['id'] for each in one['gradients'] for use in each['used_by'])}: " in said
    assert "  On the start" in said


def test_a_step_that_was_rewritten_from_its_gradients_names_them_all(capsys: Capture, paper: Path) -> None:
    events = [json.loads(line) for line in (paper / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    update = next(
        each for each in events if each["event"] == "proposal" and each["edits"] == ["answer: new instruction"]
    )
    behind = [
        each["example"]
        for each in events
        if each["event"] == "feedback" and each["about"] == update["parents"][0] and each["place"]
    ]
    assert behind
    for example in behind:
        gradients = flowbot(capsys, "show", str(paper), example, "--json").json["gradients"]
        mine = [each for each in gradients if each["workflow"] == update["parents"][0] and each["node"]]
        assert all(update["id"] in [use["id"] for use in each["used_by"]] for each in mine)


def test_the_run_of_a_candidate_that_a_gradient_is_about_can_be_looked_at(capsys: Capture, paper: Path) -> None:
    rows = flowbot(capsys, "show", str(paper), "--json").json["examples"]
    facts = next(
        facts for row in rows if (facts := flowbot(capsys, "show", str(paper), row["id"], "--json").json)["candidates"]
    )
    about = facts["candidates"][0]["about"]
    proposal = about.split()[1]
    said = flowbot(capsys, "show", str(paper), facts["id"], "--candidate", proposal)
    assert f"Proposal {proposal} (" in said.out
    assert "Start workflow" not in said.out
    assert "reply" in said.out
    wrong = flowbot(capsys, "show", str(paper), facts["id"], "--candidate", "p999")
    assert wrong.status == 2
    assert proposal in wrong.error


def test_an_unknown_example_is_one_line_with_the_nearest(capsys: Capture, done: Path) -> None:
    said = flowbot(capsys, "show", str(done), "tst-21")
    assert said.status == 2
    assert "no example 'tst-21'" in said.error
    assert "did you mean 'test-21'" in said.error


def test_long_texts_and_traces_are_cut_with_a_mark_and_full_shows_them(
    capsys: Capture, done: Path, tmp_path: Path
) -> None:
    def lengthen(line: dict[str, Any]) -> None:
        for side in (line["start"], line["final"]):
            for step in side["trace"]["steps"] if side else ():
                step["reply"] = "word " * 2000 + "the-end"
            if side and side["trace"]["steps"]:
                step = side["trace"]["steps"][0]
                side["trace"]["steps"] += [{**step, "address": f"more[{number}]"} for number in range(40)]

    run_dir = rewrite(done, tmp_path / "long", lengthen)
    short = flowbot(capsys, "show", str(run_dir), "test-21", "--start").out
    assert "the-end" not in short
    assert "more characters (--full shows all)" in short
    assert "17 more steps (--full" in short
    assert "more[39]" not in short
    full = flowbot(capsys, "show", str(run_dir), "test-21", "--start", "--full").out
    assert full.count("the-end") == 41
    assert "more[39]" in full
    assert max(len(line) for line in full.splitlines()) <= 80


def test_tools_parts_errors_and_bodies_are_told(capsys: Capture, done: Path, tmp_path: Path) -> None:
    def change(line: dict[str, Any]) -> None:
        side = line["start"]
        if line["id"] != "test-21":
            return
        step = side["trace"]["steps"][0]
        calls = [
            {"tool": "stock", "arguments": {"item": "pens"}, "result": {"number": 9}, "error": "", "seconds": 0.2},
            {"tool": "stock", "arguments": {}, "result": None, "error": "item is missing", "seconds": 0.0},
        ]
        step["calls"] = calls
        looped = {**step, "address": "refine/critic[2]", "calls": [], "error": "no number", "outputs": None}
        side["trace"]["steps"].append(looped)
        side.update(parts={"total": 0.0, "tone": 0.5}, spread=0.25, feedback="total: found 7, expected 45")

    run_dir = rewrite(done, tmp_path / "tools", change)
    said = flowbot(capsys, "show", str(run_dir), "test-21", "--start").out
    for part in (
        "tool stock (0.2 s)", "item: pens", '{"number": 9}', "failed: item is missing", "refine/critic[2]",
        "failed: no number", "Parts: total 0 %, tone 50 %", "verdicts: 0.25", "| total: found 7, expected 45",
    ):  # fmt: skip
        assert part in said, part
    one = flowbot(capsys, "show", str(run_dir), "test-21", "--start", "--step", "refine/critic", "--json").json
    assert [step["address"] for step in steps_of(one, "start")] == ["refine/critic[2]"]


def test_beyond_a_bound_traces_are_kept_without_their_steps_and_that_is_said(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "MOST_TRACES", 3000)
    place = optimized(write_task(tmp_path, sizes=(3, 2, 8)), method="none")
    tested = [line for line in lines(place) if line["split"] == "test"]
    whole = [line["start"]["whole"] for line in tested]
    assert whole == sorted(whole, reverse=True)
    assert 0 < sum(whole) < len(whole)
    assert all(bool(line["start"]["trace"]["steps"]) == line["start"]["whole"] for line in tested)
    said = flowbot(capsys, "show", str(place), tested[-1]["id"]).out
    assert "too large to keep the steps" in said
    assert "  Gave" in said


def test_a_key_that_got_into_a_trace_is_never_shown(
    capsys: Capture, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-live-0123456789abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", secret)

    def leak(line: dict[str, Any]) -> None:
        line["inputs"]["note"] += f" {secret}"
        if line["start"]:
            line["start"]["feedback"] = f"the server said {secret}"
            line["start"]["trace"]["steps"][0]["reply"] = "x" * 60 + secret  # the line is wrapped within it

    run_dir = rewrite(done, tmp_path / "leak", leak)
    for more in ([], ["--json"], ["--full"]):
        said = flowbot(capsys, "show", str(run_dir), "test-21", *more)
        assert said.status == 0
        assert "0123456789" not in said.out.replace("\n", "").replace(" ", "").replace("|", "")


def test_a_key_in_a_gradient_is_never_shown(
    capsys: Capture, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-live-" + "0123456789" * 9  # longer than a line
    monkeypatch.setenv("MY_SERVICE_TOKEN", secret)
    run_dir = rewrite(done, tmp_path / "leak", lambda line: None)
    events = [json.loads(line) for line in (run_dir / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    named = sorted({event["example"] for event in events if event["event"] == "feedback" and event["text"]})
    for event in events:
        if event["event"] == "feedback":
            event["text"] += f" {secret}"
        elif event["event"] == "proposal":
            event.update(title=f"{event['title']} {secret}", reason=f"{event['reason']} {secret}")
    (run_dir / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    for example, more in product(named, ([], ["--json"], ["--full"])):
        said = flowbot(capsys, "show", str(run_dir), example, *more)
        assert said.status == 0
        assert "0123456789" not in said.out.replace("\n", "").replace(" ", "").replace("|", "")


def test_a_paused_run_shows_its_start_and_says_that_it_goes_on(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "metrics.py").write_text(
        "def score(example, outputs):\n"
        "    if example.id == 'train-3':\n"
        "        raise RuntimeError('stopped here')\n"
        "    return 0.0\n",
        encoding="utf-8",
    )
    task = write_task(tmp_path, sizes=(8, 4, 4), metric="metrics.py:score")
    place = str(optimized(task, "paused", effort="low", method="paper"))
    facts = flowbot(capsys, "show", place, "--json").json
    assert facts["status"] == "paused"
    assert {row["outcome"] for row in facts["examples"]} <= {"one side", "not run"}
    validated = next(row["id"] for row in facts["examples"] if row["split"] == "val")
    said = flowbot(capsys, "show", place, validated).out
    assert "Start workflow: scored 0 %" in said
    assert "Found workflow: there is none yet" in said
    assert "goes on" in flowbot(capsys, "show", place).out


def test_a_run_that_was_killed_or_is_damaged_is_refused_in_one_line(
    capsys: Capture, done: Path, tmp_path: Path
) -> None:
    run_dir = rewrite(done, tmp_path / "killed", lambda line: None)
    with (run_dir / "examples.jsonl").open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    damaged = flowbot(capsys, "show", str(run_dir))
    assert damaged.status == 2
    assert "examples.jsonl:27" in damaged.error
    (run_dir / "examples.jsonl").unlink()
    killed = flowbot(capsys, "show", str(run_dir), "test-21")
    assert killed.status == 2
    assert "the command that made the run writes it anew" in killed.error
    nowhere = flowbot(capsys, "show", str(tmp_path / "nowhere"))
    assert nowhere.status == 2
    assert "no such run" in nowhere.error


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.update(split="dev"),
        lambda line: line.update(inputs=None),
        lambda line: line["start"].update(score=float("nan")),
        lambda line: line["start"].update(parts="all"),
        lambda line: line["start"].update(trace="lost"),
        lambda line: line["start"]["trace"]["steps"][0].pop("address"),
        lambda line: line["start"]["trace"]["steps"][0].update(messages=[3]),
    ],
)
def test_a_line_that_is_not_as_it_was_written_is_named_and_not_shown(
    capsys: Capture, done: Path, tmp_path: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    run_dir = rewrite(done, tmp_path / "damaged", lambda line: damage(line) if line["id"] == "test-21" else None)
    number = 1 + [line["id"] for line in lines(run_dir)].index("test-21")
    for command in (["show", str(run_dir)], ["show", str(run_dir), "test-21"], ["compare", str(run_dir), str(done)]):
        said = flowbot(capsys, *command)
        assert said.status == 2
        assert f"examples.jsonl:{number}" in said.error
        assert "the command that made the run writes it anew" in said.error


def test_a_run_is_found_by_its_name(capsys: Capture, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(done.parents[1])
    assert flowbot(capsys, "show", "one", "--json").json["run_dir"] == str(Path("runs") / "one")
    assert "its name in runs/: one" in flowbot(capsys, "show", "ones").error


def test_the_prompt_of_a_step_is_printed_whole_to_be_copied(done: Path, capsys: Capture) -> None:
    every = flowbot(capsys, "show", str(done), "--prompt", "--json").json["prompts"]
    asking = next(each for each in every if each["messages"])
    assert [each["role"] for each in asking["messages"]][-1] == "user"
    assert asking["response_format"]["type"] == "json_schema"
    alone = flowbot(capsys, "show", str(done), "--prompt", asking["step"])
    assert alone.out == "\n\n".join(f"[{each['role']}]\n{each['content']}" for each in asking["messages"]) + "\n"
    assert alone.out.endswith("{{note}}\n")
    whole = flowbot(capsys, "show", str(done), "--prompt", "-q").out
    assert all(f"── {each['step']} (" in whole and (each["code"] or "") in whole for each in every)
    from_file = flowbot(capsys, "show", str(done / "found.flow.yaml"), "--prompt", asking["step"])
    assert from_file.out == alone.out
    begun = flowbot(capsys, "show", str(done), "--prompt", "--start", "--json").json["prompts"]
    assert [each["step"] for each in begun] == ["answer"]
    for wrong in (["nowhere"], ["--step", "answer"]):
        assert flowbot(capsys, "show", str(done), "--prompt", *wrong).status == 2
