"""How the meta model is asked and what it is told, as options of a run: found out once, part of its identity, written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.lm.client import Request
from flowbot.optimizer.estimate import estimate
from flowbot.optimizer.run import optimize_async, planned
from flowbot.report.commands import again
from flowbot.run.events import Noted, Started
from flowbot.run.events import Proposal as Proposed
from flowbot.run.journal import read_events
from flowbot.run.result import RunResult
from flowbot.run.view import read_run
from flowbot.runtime.ability import MOST, PURPOSE
from flowbot.task import Task
from flowbot.testing.fake import chance
from flowbot.testing.fake_behaviours import BEHAVIOURS, ReplyContent, fill

OLD = "Read the customer's message and name the product that is asked for in one word."


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason="the extra dspy is not installed")


@pytest.fixture
def few(orders: Task) -> Task:
    return replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})


async def run(task: Task, folder: Path, name: str = "run", **given: Any) -> RunResult:
    options: dict[str, Any] = {
        "lm": "fake/counter",
        "effort": 120,
        "run_dir": folder / name,
        "cache_dir": folder / "cache",
        **given,
    }
    return await optimize_async(task, **options)


def able(request: Request, key: str) -> ReplyContent:
    """Does the tasks of a meta model, and votes by lot."""
    said = request.messages[-1].content
    if "`spelling`, `plural`" in said:
        more = {
            "spelling": "Mend its spelling first.",
            "plural": "Use the singular.",
            "several": "Others are no answer.",
        }
        return {name: f"{OLD} {text}" for name, text in more.items()}
    if "extracts dates" in said:
        return {"why": "short", "instruction": "Give dates in ISO format. Else give an empty list."}
    if "counts what is ordered" in said:
        return {"step": "list", "quote": "8 crates"} if "jam" in said else {"step": "sum", "quote": "= 20"}
    return BEHAVIOURS["counter"](request, key)


async def test_auto_follows_what_the_meta_model_can_do_and_says_so(
    few: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BEHAVIOURS, "able", able)
    for meta, mode, asked in (("fake/counter", "small", 2), ("fake/able", "large", 3)):
        result = await run(few, tmp_path, mode, meta_lm=meta)
        (noted,) = [
            each.text
            for each in read_events(result.run_dir / "journal.jsonl")
            if isinstance(each, Noted) and each.about == "meta mode"
        ]
        assert noted.startswith(f"The meta model is asked as {mode} (")
        assert (result.meta_mode, result.feedback) == (mode, "real")
        assert result.calls[PURPOSE] == asked
        assert json.loads((result.run_dir / "result.json").read_text())["meta_mode"] == mode
        assert RunResult.load(result.run_dir).meta_mode == mode


@pytest.mark.parametrize(
    "given",
    [
        {"meta_mode": "large"},
        {"meta_mode": "small"},
        {"method": "none+none"},
        {"method": "random"},
        pytest.param({"method": "none+gepa"}, marks=needs("gepa")),
        pytest.param({"method": "none+mipro"}, marks=needs("dspy")),
        {"method": "paper+none"},
        pytest.param({"method": "paper+gepa"}, marks=needs("gepa")),
        pytest.param({"method": "random+gepa"}, marks=needs("gepa")),
        pytest.param({"method": "random+mipro"}, marks=needs("dspy")),
    ],
)
async def test_who_says_it_or_asks_everyone_alike_asks_no_question(
    few: Task, tmp_path: Path, given: dict[str, Any]
) -> None:
    result = await run(few, tmp_path, **given)
    assert PURPOSE not in result.calls
    assert result.meta_mode == given.get("meta_mode", "auto")
    planned_calls = estimate(few, lm="fake/counter", effort=120, **{"meta_mode": "auto", **given})
    assert PURPOSE not in planned_calls.by_purpose


async def test_the_questions_are_of_the_planned_calls(few: Task, tmp_path: Path) -> None:
    whole, plain = (estimate(few, lm="fake/counter", effort=120, meta_mode=mode) for mode in ("auto", "small"))
    assert whole.calls == plain.calls
    assert whole.by_purpose[PURPOSE] == MOST
    assert whole.by_purpose["gradients"] == plain.by_purpose["gradients"] - MOST
    result = await run(few, tmp_path)
    assert sum(calls for purpose, calls in result.calls.items() if purpose not in ("test", "val")) <= 120


async def test_both_are_part_of_a_runs_identity_and_of_its_command(few: Task, tmp_path: Path) -> None:
    names: set[str] = set()
    given: dict[str, Any]
    for given in ({}, {"meta_mode": "small"}, {"meta_mode": "large"}, {"feedback": "blind"}, {"feedback": "shuffled"}):
        result = await run(few, tmp_path, "-".join(given.values()) or "plain", **given)
        names.add(result.run_id)
        (started,) = [each for each in read_events(result.run_dir / "journal.jsonl") if isinstance(each, Started)]
        assert (started.meta_mode, started.feedback) == (given.get("meta_mode", "auto"), given.get("feedback", "real"))
        command = again(read_run(result.run_dir))
        assert ("--meta-mode" in command, "--feedback" in command) == ("meta_mode" in given, "feedback" in given)
        assert result.feedback == given.get("feedback", "real")
    assert len(names) == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"meta_mode": "huge"}, "meta_mode: found 'huge'; expected one of auto, small, large"),
        ({"feedback": True}, "feedback: found True; expected one of real, shuffled, blind"),
    ],
)
async def test_what_is_none_of_them_is_refused(few: Task, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        async with planned(few, lm="fake/counter", **given):
            pass


def nonsense(request: Request, key: str) -> ReplyContent:
    """As the task model it counts; as the meta model it writes what is no text, echoes, or breaks off."""
    said = "\n".join(each.content for each in request.messages)
    kinds: list[Callable[[], ReplyContent]] = [
        lambda: "", lambda: said[:400], lambda: "Sure! Here is what I would do.", lambda: '{"instruction": "Count', lambda: "```\n```",
        lambda: "```python\ndef run(", lambda: "No change.", lambda: "...", lambda: "[" * 5000,
    ]  # fmt: skip
    if request.schema is not None and chance(key, "form") < 0.5:
        return fill(request.schema, key, texts=lambda schema, place: said[:200])
    return kinds[int(chance(key, "kind") * len(kinds))]()


@pytest.mark.parametrize("mode", ["auto", "small", "large"])
@pytest.mark.parametrize("method", ["none+blame", "flowbot+blame", "flowbot+layerwise", "aflow+blame", "paper"])
async def test_a_meta_model_that_only_writes_nonsense_ends_a_run_cleanly(
    few: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, method: str
) -> None:
    monkeypatch.setitem(BEHAVIOURS, "nonsense", nonsense)
    result = await run(few, tmp_path, meta_lm="fake/nonsense", meta_mode=mode, method=method)
    assert result.status == "done"
    made = [
        each for each in read_events(result.run_dir / "journal.jsonl") if isinstance(each, Proposed) and each.program
    ]
    assert not [each.title for each in made if each.source == "meta" and each.level == "parameters"], (
        "no text of it became a prompt"
    )
    if method == "none+blame":
        result = await run(
            few, tmp_path, "alone", meta_lm="fake/nonsense", meta_mode=mode, method="none+layerwise", effort=40
        )
        assert result.unchanged, "with nothing but texts of the meta model the start is kept"
