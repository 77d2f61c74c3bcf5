"""How tasks and examples show themselves: a line, and in a notebook a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowbot.fields.html import Markup, brief, card, facts, folded, line, shown, soft, table

if TYPE_CHECKING:
    from flowbot.fields import Field

    from .example import Example
    from .task import Task

SHOWN_EXAMPLES = 3
_MOST_NAMES = 5


def task_text(task: Task) -> str:
    """`orders: note → total, metric numeric, 40 train, 40 val, 100 test`."""
    sizes = ", ".join(f"{len(examples)} {split}" for split, examples in task.splits.items())
    named = f"{_names(task.inputs)} → {_names(task.outputs)}"
    tools = f", tools {', '.join(_tools(task))}" if _tools(task) else ""
    return brief(f"{task.name}: {named}, metric {task.metric.name}, {sizes}{tools}", 400)


def task_html(task: Task) -> Markup:
    """Goal, fields, metric, examples by split, tools, and the first examples."""
    rows = [("input", field.name, str(field.type), field.about) for field in task.inputs]
    rows += [("output", field.name, str(field.type), field.about) for field in task.outputs]
    known = {
        "metric": task.metric.name,
        "examples": ", ".join(f"{len(examples)} {split}" for split, examples in task.splits.items()),
        **({"tools": ", ".join(_tools(task))} if _tools(task) else {}),
    }
    first = next((examples for examples in task.splits.values() if examples), ())[:SHOWN_EXAMPLES]
    return card(
        f"Task {task.name}",
        line(task.goal),
        table(((soft(role), shown(name), soft(kind), about) for role, name, kind, about in rows)),
        facts(known),
        folded("The first examples", _examples(first), opened=True) if first else "",
    )


def example_text(example: Example) -> str:
    """`train-001: note='Hi there' → total=9`."""
    return brief(f"{example.id}: {_values(example.inputs)} → {_values(example.expected) or '?'}", 300)


def example_html(example: Example) -> Markup:
    """Inputs, and what is expected."""
    rows = [(soft("input"), name, value) for name, value in example.inputs.items()]
    rows += [(soft("expected"), name, value) for name, value in example.expected.items()]
    rows += [(soft("also"), name, value) for name, value in example.extra.items()]
    rows += [(soft("feedback"), "", example.feedback)] if example.feedback else []
    return card(f"Example {example.id}", table(rows))


def _examples(examples: Sequence[Example]) -> Markup:
    """Several examples, a row each."""
    head = ["", *examples[0].inputs, *(f"→ {name}" for name in examples[0].expected)]
    rows = [[soft(each.id), *each.inputs.values(), *each.expected.values()] for each in examples]
    return table(rows, head)


def _values(given: Mapping[str, Any]) -> str:
    shown = {name: brief(value, 60) for name, value in given.items()}
    return ", ".join(
        f"{name}={text!r}" if isinstance(given[name], str) else f"{name}={text}" for name, text in shown.items()
    )


def _names(fields: Sequence[Field]) -> str:
    names = [field.name for field in fields]
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")


def _tools(task: Task) -> list[str]:
    return [tool.signature.name for tool in task.tools] + [
        type(source).__name__.removesuffix("Source") for source in task.sources
    ]
