"""The whole draft: nodes of all places, what the workflow gives, and nothing that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.task import Tool
from flowbot.workflow.check import check
from flowbot.workflow.workflow import Workflow

from .calls import Defeat, Ran, grouped
from .drafting import Body
from .repeats import repeated

FEWEST = 2
"""Examples without which nothing tells what is always the same from what is handed in."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted workflow, the functions that are its tools by name, and what is not quite as in the program."""

    workflow: Workflow
    tools: Mapping[str, Tool]
    notes: tuple[str, ...] = ()


def draft(runs: Sequence[Ran], inputs: Mapping[str, str], outputs: Sequence[str]) -> Draft:
    """A typed workflow from runs of a program. Whether it makes the same requests, `accept` says.

    Args:
        runs: on different examples, each ended well.
        inputs: types of the task's inputs by name.
        outputs: names of the task's outputs.

    Raises:
        Defeat: naming the step that no typed workflow says.
    """
    if len(runs) < FEWEST:
        raise Defeat("program", f"it ended well on {len(runs)} of the examples", f"{FEWEST} examples or more")
    body = Body({name: [run.inputs[name] for run in runs] for name in inputs}, dict(inputs), used=set(inputs))
    for group in grouped(runs):
        if group.once:
            body.add([row[0] for row in group.made[group.sites[0]]])
        else:
            repeated(body, group)
    given: dict[str, str] = {}
    for name in outputs:
        reference = body.find([run.outputs[name] for run in runs], last=True)
        if reference is None:
            what = "is what no step gave: plain Python makes it of something else"
            raise Defeat(f"output {name}", what, "make the function that makes it a step (@fb.step)")
        given[name] = reference
    used = {*given.values(), *_references(body.nodes)}
    for name, node in body.nodes.items():
        _prune(name, node, used)
    nodes = {"flowbot": 1, "inputs": dict(inputs), "outputs": given, "nodes": body.nodes, "parameters": body.parameters}
    workflow = Workflow.from_data(nodes, "draft")
    tools = {name: tool.signature for name, tool in body.tools.items()}
    for defect in check(workflow, tools=tools, allow_writes=True):
        raise Defeat(defect.where, f"is no sound workflow: {defect.what}", defect.mend)
    return Draft(workflow, body.tools, tuple(body.notes))


def _references(nodes: Mapping[str, Any]) -> Iterator[str]:
    """What the nodes of a body read of it, bodies within it included."""
    for node in nodes.values():
        yield from node.get("in", {}).values()
        if "over" in node:
            yield node["over"]
        yield from (each["start"] for each in node.get("carry", {}).values())
        yield from _references(node.get("nodes", {}))


def _prune(name: str, node: dict[str, Any], used: set[str]) -> None:
    """Leave out what a body gives and nobody reads."""
    inside = {*_references(node.get("nodes", {}))}
    if node["kind"] == "loop":
        node["carry"] = {key: each for key, each in node["carry"].items() if f"{name}.{key}" in used or key in inside}
    elif node["kind"] == "map":
        node["out"] = {key: each for key, each in node["out"].items() if f"{name}.{key}" in used}
