"""What a notebook shows of tasks and examples."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.task import Example, Task

from .markup import Markup, card, facts, folded, line, shown, soft, table

SHOWN_EXAMPLES = 3


def task_html(task: Task) -> Markup:
    """Goal, fields, metric, examples by split, tools, and the first examples."""
    rows = [("input", field.name, str(field.type), field.about) for field in task.inputs]
    rows += [("output", field.name, str(field.type), field.about) for field in task.outputs]
    known = {
        "metric": task.metric.name,
        "examples": task.sizes,
        **({"tools": ", ".join(task.tool_names)} if task.tool_names else {}),
    }
    first = next((examples for examples in task.splits.values() if examples), ())[:SHOWN_EXAMPLES]
    return card(
        f"Task {task.name}",
        line(task.goal),
        table(((soft(role), shown(name), soft(kind), about) for role, name, kind, about in rows)),
        facts(known),
        folded("The first examples", _examples(first), opened=True) if first else "",
    )


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
