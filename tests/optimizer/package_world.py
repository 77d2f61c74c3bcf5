"""What tests of the published packages need: a task of two labels, steps that are right where they are told how, runs to compare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from proposer_help import Roles

import flowbot as fb
from flowbot.lm.client import Request
from flowbot.optimizer.run import optimize_async
from flowbot.run.events import Event, Measured, Proposal, Verdict
from flowbot.run.journal import read_events
from flowbot.task import Task
from flowbot.testing.fake import ReplyContent
from flowbot.testing.fake_behaviours import BEHAVIOURS, chance, fill
from flowbot.workflow.workflow import Workflow

KNOWN = "Odd numbers are silver."
"""An instruction that says it is right."""


def labels(number: int) -> list[dict[str, Any]]:
    return [{"q": f"number {n}", "a": "silver" if n % 2 else "gold"} for n in range(number)]


def task_of(train: int = 12, val: int = 8, **more: Any) -> Task:
    rows = labels(train + val + 6)
    settings: dict[str, Any] = {"inputs": {"q": "str"}, "outputs": {"a": "str"}, "metric": "exact", **more}
    return Task(goal="Answer.", train=rows[:train], val=rows[train : train + val], test=rows[train + val :], **settings)


def flow(*names: str, **parameters: dict[str, Any]) -> Workflow:
    """Steps that each read the question and the one before; the last is asked for."""
    nodes: dict[str, Any] = {}
    reads = {"q": "q"}
    for name in names:
        nodes[name] = {"kind": "llm", "in": dict(reads), "out": {"a": "str"}}
        reads["before"] = f"{name}.a"
    told = {name: {"instruction": f"You are {name}."} | parameters.get(name, {}) for name in names}
    return Workflow.from_data(
        {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": reads["before"]}, "nodes": nodes, "parameters": told}
    )


def answers(prompt: str) -> str:
    """What a step gives: `gold`, unless it is told when not."""
    asked = re.findall(r"number (\d+)", prompt)
    return "silver" if KNOWN in prompt and asked and int(asked[-1]) % 2 else "gold"


class Model(Roles):
    """Steps as `answers`; a meta model that gives `replies` in turn, the last for ever."""

    def __init__(self, *replies: ReplyContent) -> None:
        left = list(replies)
        super().__init__(lambda _, said: answers(said), lambda _: left.pop(0) if len(left) > 1 else left[0])

    def __call__(self, request: Request) -> ReplyContent:
        prompt = "\n".join(message.content for message in request.messages)
        return answers(prompt) if prompt.startswith("You are ") else super().__call__(request)


def told_how(request: Request, key: str) -> ReplyContent:
    """`fake/told_how`: steps as `answers`; a meta model that finds out how at one question in three."""
    prompt = "\n".join(message.content for message in request.messages)
    if prompt.startswith("You are "):
        text = answers(prompt)
    else:
        text = f"You are answer. {KNOWN}" if chance(key, "how") < 1 / 3 else f"You are answer. Try {chance(key)}."
    if request.schema is None:
        return text if prompt.startswith("You are ") else f"```\n{text}\n```"
    return fill(request.schema, key, texts=lambda schema, place: text)


def offer(monkeypatch: Any) -> None:
    monkeypatch.setitem(BEHAVIOURS, "told_how", told_how)


async def run(task: Task, folder: Path, **given: Any) -> fb.RunResult:
    options: dict[str, Any] = {
        "lm": "fake/told_how",
        "start": flow("answer"),
        "run_dir": folder / "run",
        "cache_dir": folder / "cache",
    }
    return await optimize_async(task, **(options | given))


def searched(result: fb.RunResult) -> int:
    """Logical calls of the search: all but those of the closing test."""
    return sum(calls for purpose, calls in result.calls.items() if purpose != "test")


def journal(result: fb.RunResult) -> list[Event]:
    """What it did, without what depends on the run's folder and on time."""
    events = read_events(result.run_dir / "journal.jsonl")
    return [each.model_copy(update={"seconds": 0.0}) if isinstance(each, Measured) else each for each in events]


def of(events: list[Event], kind: type[Proposal] | type[Verdict]) -> list[Any]:
    return [each for each in events if isinstance(each, kind)]
