"""What tests of gradients by parts need: small workflows, and a meta model that blames the parts that a test names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from proposer_help import Roles, task_of
from search_help import searching

from flowbot.optimizer.feedback.backward import Gradients, backward
from flowbot.optimizer.search import Search
from flowbot.runtime.evaluation import Row
from flowbot.testing.fake import ReplyContent
from flowbot.workflow.workflow import Workflow

TASK = task_of([{"q": f"q{n}", "a": "silver"} for n in range(4)])
NOT_HERE = "not here"


def flow(nodes: dict[str, Any], output: str, parameters: dict[str, Any] | None = None) -> Workflow:
    """A workflow from `q` to `a`; every LLM call is told who it is."""
    said = {path: {"instruction": f"You are {path.rpartition('/')[2]}."} for path in _asking(nodes)}
    data = {"inputs": {"q": "str"}, "outputs": {"a": output}, "nodes": nodes, "parameters": said | (parameters or {})}
    return Workflow.from_data({"flowbot": 1, **data})


def _asking(nodes: dict[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name, node in nodes.items():
        asks = node["kind"] == "llm" or (node["kind"] == "branch" and isinstance(node["ways"], list))
        found += [path + name] if asks or node.get("how") == "judge" else []
        found += _asking(node.get("nodes", {}), f"{path}{name}/")
    return found


def llm(out: str = "str", **inputs: str) -> dict[str, Any]:
    return {"kind": "llm", "in": inputs, "out": {"a": out}}


def step_of(prompt: str) -> str:
    return prompt.split("Step `")[1].split("`")[0]


def parts_asked(prompt: str) -> list[str]:
    """Names of the parts that a question offers."""
    listed = prompt.split("Parts:\n")[1].split("\n\n")[0].splitlines()
    return [line.split(":")[0].split(" (")[0].removeprefix("- ") for line in listed if line.startswith("- ")]


def blaming(said: Callable[[str, str, str], str]) -> Roles:
    """A meta model that says of every part of a question what `said` makes of the step, the part and the question."""
    return Roles(
        lambda name, _: name,
        lambda prompt: {part: said(step_of(prompt), part, prompt) for part in parts_asked(prompt)},
    )


def everything(step: str, part: str, _: str) -> str:
    return f"bad {part} of {step}"


async def gradients_of(
    workflow: Workflow, asked: Callable[[Any], ReplyContent], folder: Path, **how: Any
) -> tuple[Gradients, Row]:
    async with searching(TASK, workflow, asked, folder) as search:
        search.meta_mode = how.pop("mode", "large")
        row = await run_of(search)
        found = await backward(search, search.start, row, parts=True, **how)
        assert search.journal.events() == []
    return found, row


async def run_of(search: Search) -> Row:
    await search.run(search.start, search.rows[:1], "train")
    return search.recorded(search.start, search.rows)[0]


def said(gradients: Gradients) -> dict[str, dict[str, str]]:
    return {address: {each.part: each.text for each in call} for address, call in gradients.items()}
