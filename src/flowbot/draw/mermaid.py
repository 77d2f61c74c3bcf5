"""Workflows as Mermaid flowcharts: bodies as subgraphs, branches as diamonds with labelled edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flowbot.fields.words import printable
from flowbot.workflow.nodes import walk
from flowbot.workflow.workflow import Workflow

from .scene import IN, OUT, Item, Scene, scene_of

_INDENT = "    "
_ESCAPES = (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;"))


def draw_mermaid(workflow: Workflow) -> str:
    """The workflow as a Mermaid flowchart, from the inputs down to the outputs.

    What goes into or out of a body is linked to the items at which the body begins and ends; what a loop carries on
    leads back by a dotted edge.
    """
    numbers = {path: f"n{index}" for index, (path, _) in enumerate(walk(workflow.sketch))}
    chart = _Chart(numbers)
    nodes = list(chart.nodes(scene_of(workflow), "inputs", "outputs", _INDENT))
    return "\n".join(["flowchart TD", *nodes, *(f"{_INDENT}{edge}" for edge in chart.edges)]) + "\n"


@dataclass(slots=True)
class _Chart:
    """Ids of nodes by path (a name such as `end` would be a keyword), and the edges met so far."""

    numbers: dict[str, str]
    edges: list[str] = field(default_factory=list[str])

    def nodes(self, scene: Scene, first: str, last: str, indent: str) -> Iterator[str]:
        """The lines of a scene's nodes; its edges are collected on the way."""
        begins, ends = {IN: first, OUT: last}, {IN: first, OUT: last}
        for item in scene.items.values():
            if item.kind == "way":
                continue
            number = self.numbers.get(item.path, "")
            if item.body is None:
                begins[item.key] = ends[item.key] = begins.get(item.key, number)
                yield f"{indent}{begins[item.key]}{_shape(item, outermost=first == 'inputs')}"
                continue
            begins[item.key], ends[item.key] = f"{number}in", f"{number}out"
            told = ", ".join(_escaped(line.text) for line in item.lines)
            yield f'{indent}subgraph {number}["{_head(item)}, {told}"]'
            yield f"{indent}{_INDENT}direction TB"
            yield from self.nodes(item.body, begins[item.key], ends[item.key], indent + _INDENT)
            yield f"{indent}end"
        self.edges += _edges(scene, begins, ends)
        if scene.again:
            self.edges.append(f'{last} -. "{_escaped(", ".join(scene.again))}" .-> {first}')


def _edges(scene: Scene, begins: dict[str, str], ends: dict[str, str]) -> Iterator[str]:
    """The edges of a scene; a way of a branch is the label of the edges to the nodes on it."""
    branch = {wire.target: wire.source for wire in scene.wires if scene.items[wire.target].kind == "way"}
    taken = {wire.source for wire in scene.wires}
    for wire in scene.wires:
        if wire.target not in branch and wire.source not in branch:
            yield f"{ends[wire.source]} {'-.->' if wire.back else '-->'} {begins[wire.target]}"
        elif wire.source in branch:
            yield f"{ends[branch[wire.source]]} -->|{_way(scene.items[wire.source])}| {begins[wire.target]}"
        elif wire.target not in taken:
            source = ends[wire.source]
            number = [key for key, name in branch.items() if name == wire.source].index(wire.target)
            yield f"{source} -->|{_way(scene.items[wire.target])}| {source}w{number}((( )))"


def _way(item: Item) -> str:
    return f'"{_escaped(" ".join((item.title, *(line.text for line in item.lines))))}"'


def _shape(item: Item, *, outermost: bool) -> str:
    lines = [_escaped(line.text) for line in item.lines]
    if item.kind in (IN, OUT):
        lines = lines if outermost else [f"<i>{item.title}</i>", *lines]
        return f'(["{"<br>".join(lines) or f"no {item.title}"}"])'
    text = "<br>".join((_head(item), *lines))
    return f'{{"{text}"}}' if item.kind == "branch" else f'["{text}"]'


def _head(item: Item) -> str:
    return f"<b>{_escaped(item.title)}</b> {_escaped(item.label)}"


def _escaped(text: str) -> str:
    text = printable(text)
    for mark, code in _ESCAPES:
        text = text.replace(mark, code)
    return text
