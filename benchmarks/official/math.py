"""MATH: math-verify called as its own documentation says, with its own time-outs, beside ours, which takes shortcuts and a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from math_verify import parse, verify

from flowbot.benchmark.sets.scorers.math import helper, math_metric
from flowbot.task import Example
from scorers import Case, first_rows


def official(found: str, wanted: str) -> float:
    """The package's verdict on an answer that is marked as one."""
    return float(verify(parse(f"\\boxed{{{wanted}}}"), parse(found)))


def cases(folder: Path) -> Iterator[Case]:
    """The reference in other forms, another row's reference, and the reference made wrong."""
    metric, rows = math_metric("math-verify"), first_rows(folder)
    for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
        wanted = row["answer"]
        kinds = {
            "reference": f"\\boxed{{{wanted}}}",
            "in a sentence": f"The final answer is ${wanted}$. I hope it is correct.",
            "with display fractions": f"\\boxed{{{wanted.replace(chr(92) + 'frac', chr(92) + 'dfrac')}}}",
            "plus nothing": f"\\boxed{{{wanted} + 0}}",
            "another row's": f"\\boxed{{{other['answer']}}}",
            "plus one": f"\\boxed{{{wanted} + 1}}",
        }
        for kind, found in kinds.items():
            ours = metric(Example(row["id"], {}, {"answer": wanted}), {"answer": found}).value
            yield Case("math", row["id"], kind, ours, official(found, wanted))
        bare = metric(Example(row["id"], {}, {"answer": wanted}), {"answer": f"{wanted} "}).value
        yield Case("math", row["id"], "reference, not marked", bare, official(f"\\boxed{{{wanted}}}", wanted))
    helper().close()
