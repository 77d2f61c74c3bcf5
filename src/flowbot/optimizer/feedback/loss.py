"""Where the backward pass begins: what is said of the outputs of a scored run, of each for itself where one can tell them apart."""

from __future__ import annotations

from flowbot.optimizer.rendering import MOST, loss_text, value_text, values_text
from flowbot.runtime.evaluation import Row
from flowbot.task import Metric


def wrong_outputs(row: Row, metric: Metric) -> list[str]:
    """The outputs that a scored run has wrong, by the parts of its score or by comparison with what was expected; all of them
    where neither says which."""
    outputs = row.trace.outputs or {}
    wrong = [name for name in outputs if not _is_right(row, metric, name)]
    return wrong or list(outputs)


def said_of_end(row: Row, output: str, most: int = MOST) -> str:
    """The loss of one run as feedback on the call that gave an output, or, for "", on the one that failed.

    Args:
        row: a recorded run as it is told.
        output: name of an output of the workflow.
        most: characters of each value.
    """
    expected = row.example.expected
    known = {output: expected[output]} if output in expected else expected
    right = values_text(known, "right ", most) if known else "(no right answer is known)"
    what = (
        f"It is the workflow's output `{output}`."
        if output
        else f"The run failed: {value_text(row.trace.error, most)}."
    )
    return f"{what} {right}\nScore: {loss_text(row, most)}"


def _is_right(row: Row, metric: Metric, output: str) -> bool:
    scored = {name for name, part in metric.parts.items() if output in part.on} or {output}
    known = [row.score.parts[name] for name in scored if name in row.score.parts]
    if known:
        return min(known) >= 1.0
    expected = row.example.expected
    return output in expected and (row.trace.outputs or {}).get(output) == expected[output]
