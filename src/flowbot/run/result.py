"""What a run returns, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flowbot.fields import UserError

if TYPE_CHECKING:
    from flowbot.stats import Estimate
    from flowbot.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Scores:
    """Validation and test, of one workflow or of a difference. `test` is None until the closing test."""

    val: Estimate | None = None
    test: Estimate | None = None

    def by_split(self) -> dict[Literal["val", "test"], Estimate | None]:
        """Both, by the split's name."""
        return {"val": self.val, "test": self.test}

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {split: each.dump() if each else None for split, each in self.by_split().items()}


@dataclass(frozen=True, slots=True)
class RunResult:
    """An optimisation's outcome; everything in it is also on disk in `run_dir`. In a notebook it shows itself.

        >>> result = fb.optimize(task, lm="openai/gpt-4.1-mini", budget=fb.Budget(usd=2))
        >>> result.verdict
        'The found workflow scores 71 % on 100 test examples, the start 33 %: better by 38 points …'
        >>> result.workflow.save("found.flow.yaml")

    `found` is the workflow that it ended with, the start where none proved better; None while the run is paused.
    `difference` is final minus start on the same examples, with a 95 % paired bootstrap interval. `calls` are logical, by
    purpose: what the run takes with an empty store. `requests` are what endpoints served for them, answers that were not used
    included. `spent` is what the run was really paid for, `{calls, tokens, usd}`, and `seconds` how long that took, over all
    `sessions` that worked on it; `now` is what of it this session paid, nothing where it replayed. `passed` says which ceiling an endpoint made the run pass, "" for none. `kept_from` says where the structure
    that was kept came from.
    """

    run_id: str
    run_dir: Path
    status: Literal["done", "paused", "failed"]
    stopped_by: str
    method: str
    effort: str
    seed: int
    found: Workflow | None
    start: Workflow
    start_scores: Scores
    final_scores: Scores
    difference: Scores
    calls: Mapping[str, int]
    spent: Mapping[str, Any]
    seconds: float
    now: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sessions: Sequence[Mapping[str, Any]] = ()
    reason: str = ""
    requests: Mapping[str, int] = field(default_factory=dict[str, int])
    passed: str = ""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def workflow(self) -> Workflow:
        """The workflow that the run ended with.

        Raises:
            UserError: if the run is paused: there is none yet, and the start must not pass for it.
        """
        if self.found is None:
            raise UserError(
                "result.workflow",
                what=f"there is none yet, since the run is {self.status} ({self.reason or self.stopped_by})",
                mend="give the same call again, which goes on from there; `result.start` is what it began with",
            )
        return self.found

    @property
    def verdict(self) -> str:
        """What came of the run, in a sentence that claims no more than the closing test shows."""
        from flowbot.optimizer.html import verdict

        return verdict(self)

    @property
    def report_path(self) -> Path | None:
        """The run's report; None until `fb.write_report(result.run_dir)` or the command line has written it."""
        path = self.run_dir / "report.html"
        return path if path.is_file() else None

    @property
    def workflow_path(self) -> Path:
        """Where the found workflow stands."""
        return self.run_dir / "found.flow.yaml"

    def to_json(self) -> dict[str, Any]:
        """The object that `optimize --json` and `demo --json` print."""
        return {
            "run_id": self.run_id,
            "run_dir": str(self.run_dir),
            "status": self.status,
            "stopped_by": self.stopped_by,
            "method": self.method,
            "effort": self.effort,
            "seed": self.seed,
            "workflow": str(self.workflow_path),
            "scores": {
                "start": self.start_scores.dump(),
                "final": self.final_scores.dump(),
                "difference": self.difference.dump(),
            },
            "calls": dict(self.calls),
            "requests": dict(self.requests),
            "spent": dict(self.spent),
            "now": dict(self.now),
            "sessions": [dict(each) for each in self.sessions],
            "passed": self.passed,
            "seconds": round(self.seconds, 2),
            "nodes": len((self.found or self.start).sketch.nodes),
            "reason": self.reason,
            **self.details,
        }

    def __repr__(self) -> str:
        from flowbot.optimizer.html import run_text

        return f"RunResult({run_text(self)})"

    def __str__(self) -> str:
        from flowbot.optimizer.html import run_text

        return run_text(self)

    def _repr_html_(self) -> str:
        from flowbot.optimizer.html import run_html

        return run_html(self)


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a run would take, roughly: logical calls by purpose, tokens, and USD where the prices are known."""

    calls: int
    tokens: int
    usd: float | None
    by_purpose: Mapping[str, int]
