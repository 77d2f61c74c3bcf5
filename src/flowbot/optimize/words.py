"""Runs, steps and values in words, short, for the prompts of the meta model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from flowbot.runtime import Row, Step
from flowbot.workflow import (
    CodeNode,
    CodeParameters,
    LLMNode,
    LLMParameters,
    MergeNode,
    ToolNode,
    Workflow,
    topological,
)

MOST = 600
"""Characters of one value that a prompt shows."""


def value_text(value: Any) -> str:
    """One value, cut to `MOST` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST else text[: MOST - 1] + "…"


def values_text(values: Mapping[str, Any] | None, prefix: str = "") -> str:
    """Values as `name: value` lines."""
    if not values:
        return f"{prefix}(nothing)"
    return "\n".join(f"{prefix}{name}: {value_text(value)}" for name, value in values.items())


def output_text(step: Step) -> str:
    """What a step gave: its outputs, or its error."""
    return f"error: {step.error}" if step.error else values_text(step.outputs)


def mistake_text(row: Row, number: int) -> str:
    """One scored run: inputs, what every step gave, what was expected."""
    lines = [f"Mistake {number}", values_text(row.trace.inputs)]
    for step in row.trace.steps:
        lines.append(output_text(step) if len(row.trace.steps) == 1 else f"[{step.address}]\n{output_text(step)}")
    lines.append(values_text(row.example.expected, "right "))
    return "\n".join(lines)


def run_text(row: Row) -> str:
    """All steps of one run, in order."""
    parts = [values_text(row.trace.inputs)]
    parts += [f"[{step.address}]\n{output_text(step)}" for step in row.trace.steps]
    return "\n".join(parts)


def loss_text(row: Row) -> str:
    """The score and what the metric says of it."""
    return f"{row.score.value:.2f}" + (f" ({row.score.feedback})" if row.score.feedback else "")


def instruction_text(workflow: Workflow, node: str) -> str:
    """What a step is told: instruction or code."""
    match workflow.parameter(node):
        case LLMParameters() as given:
            return " ".join(part for part in (given.instruction, given.format_hint) if part)
        case CodeParameters() as given:
            return given.code
        case _:
            return ""


def sentence(workflow: Workflow) -> str:
    """The workflow in one line of plain words, a clause a step in order."""
    clauses: list[str] = []
    for name in topological(workflow.sketch):
        node = workflow.sketch.nodes[name]
        reads = ", ".join(f"`{reference}`" for reference in node.references())
        writes = ", then ".join(f"`{field}`" for field in node.out)
        match node:
            case LLMNode():
                clauses.append(f"LLM call `{name}` reads {reads}, writes {writes}")
            case CodeNode():
                clauses.append(f"Python step `{name}` computes {writes} from {reads}")
            case ToolNode():
                clauses.append(f"tool `{node.tool}` gives {writes} from {reads}")
            case MergeNode():
                clauses.append(f"`{name}` merges {reads} ({node.how})")
    return "; ".join(clauses) + "."


_FENCE = re.compile(r"```[a-zA-Z0-9]*\s*\n(.*?)(?:```|\Z)", re.DOTALL)


def fenced(reply: str) -> str:
    """The code in the first fenced block of a reply, or the whole reply where there is none."""
    match = _FENCE.search(reply)
    return (match.group(1) if match else reply).strip()
