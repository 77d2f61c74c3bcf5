"""Workflows as text for a terminal and as Mermaid for a page; `svg.draw_svg` draws them as a picture."""

from __future__ import annotations

from flowbot.fields import UserError

from .graph import predecessors, references, split_reference, topological
from .nodes import MergeNode, Node, Sketch, ToolNode
from .svg import draw_svg
from .workflow import Workflow

__all__ = ["draw_mermaid", "draw_svg", "draw_text"]


def draw_text(workflow: Workflow) -> str:
    """The workflow in lines: a node a line, each after what it reads, as `count  code  list.items → n: int`."""
    sketch = workflow.sketch
    rows = [("inputs", "", ", ".join(f"{name}: {kind}" for name, kind in sketch.inputs.items()))]
    for name in _ordered(sketch):
        node = sketch.nodes[name]
        gives = ", ".join(f"{output}: {kind}" for output, kind in node.out.items())
        rows.append((name, _kind(node), f"{_reads(node)} → {gives}"))
    rows.append(("outputs", "", ", ".join(f"{name} = {reference}" for name, reference in sketch.outputs.items())))
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{name:<{first}}  {kind:<{second}}  {rest}".rstrip() for name, kind, rest in rows)


def draw_mermaid(workflow: Workflow) -> str:
    """The workflow as a Mermaid flowchart, from the inputs down to the outputs."""
    sketch = workflow.sketch
    known = references(sketch)
    inputs = "<br>".join(_escaped(f"{name}: {kind}") for name, kind in sketch.inputs.items())
    outputs = "<br>".join(_escaped(f"{name}: {known.get(ref, '?')}") for name, ref in sketch.outputs.items())
    lines = ["flowchart TD", f'    inputs(["{inputs or "no input"}"])']
    number = {name: f"n{index}" for index, name in enumerate(sketch.nodes)}  # an id such as `end` would be a keyword
    for name, node in sketch.nodes.items():
        gives = "<br>".join(_escaped(f"{output}: {kind}") for output, kind in node.out.items())
        lines.append(f'    {number[name]}["<b>{_escaped(name)}</b> {_escaped(_kind(node))}<br>{gives}"]')
    lines.append(f'    outputs(["{outputs}"])')
    for name, node in sketch.nodes.items():
        if any(split_reference(reference)[0] is None for reference in node.references()):
            lines.append(f"    inputs --> {number[name]}")
        lines += [f"    {number[other]} --> {number[name]}" for other in predecessors(sketch, name)]
    sources = dict.fromkeys(split_reference(reference)[0] for reference in sketch.outputs.values())
    lines += [f"    {number.get(source or '', 'inputs')} --> outputs" for source in sources]
    return "\n".join(lines) + "\n"


def _ordered(sketch: Sketch) -> tuple[str, ...]:
    try:
        return topological(sketch)
    except UserError:  # a circle: drawn all the same, since a drawing may be how it is found
        return tuple(sketch.nodes)


def _kind(node: Node) -> str:
    extra = node.tool if isinstance(node, ToolNode) else node.how if isinstance(node, MergeNode) else ""
    return f"{node.kind} {extra}".strip()


def _reads(node: Node) -> str:
    """What a node reads, with the name it has there where that is another."""
    if isinstance(node, MergeNode):
        return ", ".join(node.inputs)
    named = ((name, ref, split_reference(ref)[1]) for name, ref in node.inputs.items())
    return ", ".join(ref if name == last else f"{ref} as {name}" for name, ref, last in named)


def _escaped(text: str) -> str:
    for mark, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(mark, code)
    return text
