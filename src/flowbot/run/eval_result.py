"""What an evaluation gives: a row for every example, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flowbot.fields import Score, Usage
from flowbot.fields.words import count, interval, percent
from flowbot.stats import Estimate
from flowbot.workflow.workflow import Workflow

from .taken import evaluation

if TYPE_CHECKING:
    from flowbot.runtime.evaluation import Row
    from flowbot.runtime.trace import Trace
    from flowbot.task import Example


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One example, and what the workflow made of it.

        >>> row = fb.evaluate(flow, task).failures[0]
        >>> row.example.inputs, row.outputs, row.feedback
        ({'note': 'Two pens and a dozen cups'}, {'total': 3}, 'total: found 3, expected 14')

    Args:
        example: inputs and what was expected.
        outputs: the workflow's outputs by name; None when a step failed.
        score: what the metric says.
        error: why outputs are missing; "" when they are not.
        usage: what its calls used.
        trace: every step; None where traces were not kept.
    """

    example: Example
    outputs: dict[str, Any] | None
    score: Score
    error: str
    usage: Usage
    trace: Trace | None = None

    @staticmethod
    def of(row: Row, *, traced: bool) -> EvalRow:
        """A row as the engine gives it, with or without its trace."""
        trace = row.trace
        outputs = None if trace.outputs is None else dict(trace.outputs)
        return EvalRow(row.example, outputs, row.score, trace.error, trace.usage, trace if traced else None)

    @property
    def feedback(self) -> str:
        """What went wrong, in words: the failed step's error, or what the metric says."""
        return self.error or self.score.feedback

    def to_json(self) -> dict[str, Any]:
        """The row that `eval --json` prints."""
        return {
            "id": self.example.id,
            "score": self.score.value,
            "outputs": self.outputs,
            "feedback": self.score.feedback,
            "parts": dict(self.score.parts),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class EvalResult:
    """How a workflow did on a split of a task. A notebook shows it, failures first.

        >>> found = fb.evaluate(flow, task)
        >>> print(found)
        82 % on 40 val examples (95 % interval 68 to 91 %), 7 not right; 80 model calls, 9,120 tokens, $0.02
        >>> [row.example.id for row in found.failures]
        ['val-003', 'val-017']

    Args:
        workflow: what was scored.
        task: the task's name.
        split: which examples.
        lm: model string of the steps that name no other.
        estimate: the mean with its 95 % interval.
        rows: in the order of the split's examples.
        dropped: ids of examples that the endpoint refuses on every try.
        calls: logical model calls.
        requests: what endpoints served for them; more than the calls where answers were not used.
        usage: what all calls used; logical, as the calls.
        spent: what was really paid now.
        seconds: how long it took.
        passed: which ceiling an endpoint made the evaluation pass; "" for none.
        judge: what the metric's judges took and how much they wavered, where it has some; see `judge_facts`.
        by_model: `usage` by model.
    """

    workflow: Workflow
    task: str
    split: Literal["train", "val", "test"]
    lm: str | None
    estimate: Estimate
    rows: tuple[EvalRow, ...]
    dropped: tuple[str, ...]
    calls: int
    usage: Usage
    spent: Usage
    seconds: float
    requests: int = 0
    passed: str = ""
    judge: Mapping[str, Any] | None = None
    by_model: Mapping[str, Usage] = field(default_factory=dict[str, "Usage"])

    @property
    def mean(self) -> float:
        """Mean score in [0, 1]."""
        return self.estimate.mean

    @property
    def low(self) -> float:
        """Lower end of the mean's 95 % interval."""
        return self.estimate.low

    @property
    def high(self) -> float:
        """Upper end of the mean's 95 % interval."""
        return self.estimate.high

    @property
    def failures(self) -> tuple[EvalRow, ...]:
        """Rows that are not right, the lowest score first."""
        return tuple(sorted((row for row in self.rows if row.score.value < 1), key=lambda row: row.score.value))

    @property
    def errors(self) -> int:
        """Rows without outputs, because a step failed."""
        return sum(bool(row.error) for row in self.rows)

    @property
    def usd(self) -> float | None:
        """What the calls cost when they were first made; None where a price is unknown."""
        return self.usage.usd

    @property
    def cost(self) -> str:
        """What it took, in words: `80 model calls, 9,120 tokens, $0.02`."""
        return evaluation(self.calls, self.requests, self.usage.tokens, self.usd, self.spent)

    def table(self) -> list[dict[str, Any]]:
        """A flat dict a row, inputs and outputs as columns: for a data frame, `pandas.DataFrame(found.table())`."""
        return [
            {
                "id": row.example.id,
                **row.example.inputs,
                **{f"expected.{name}": value for name, value in row.example.expected.items()},
                **{f"found.{name}": value for name, value in (row.outputs or {}).items()},
                "score": row.score.value,
                "feedback": row.feedback,
            }
            for row in self.rows
        ]

    def to_json(self) -> dict[str, Any]:
        """The object that `eval --json` prints."""
        return {
            **self.estimate.dump(),
            "errors": self.errors,
            "calls": self.calls,
            "requests": self.requests,
            "tokens": self.usage.tokens,
            "usd": self.usage.usd,
            "spent": {"calls": self.spent.calls, "tokens": self.spent.tokens, "usd": self.spent.usd},
            "by_model": {
                model: {"calls": each.calls, "tokens": each.tokens, "usd": each.usd}
                for model, each in self.by_model.items()
            },
            "passed": self.passed,
            **({"judge": dict(self.judge)} if self.judge else {}),
            "seconds": round(self.seconds, 2),
            "dropped": list(self.dropped),
            "rows": [row.to_json() for row in self.rows],
        }

    def __repr__(self) -> str:
        return f"EvalResult({self})"

    def __str__(self) -> str:
        scored = f"{percent(self.mean)} on {count(self.estimate.n, f'{self.split} example')}"
        wrong = f"{len(self.failures)} not right" if self.failures else "all right"
        failed = f", {count(self.errors, 'error')}" if self.errors else ""
        return f"{scored} (95 % interval {interval(self.estimate)}), {wrong}{failed}; {self.cost}"
