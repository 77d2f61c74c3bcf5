"""What a run returns, in memory and as `result.json`; and what a run would cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import Field, Strict
from pydantic_core import to_jsonable_python

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.files import read_text, write_text
from flowbot.fields.foreign import Amount, Count, Record, checked
from flowbot.fields.secrets import hide
from flowbot.fields.words import brief, count, printable
from flowbot.fields.yaml import parse_json, read_data
from flowbot.stats import Estimate
from flowbot.store.rows import DEPTH
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters
from flowbot.workflow.workflow import Workflow

from .before import Before
from .events import Difference, Measure, Texts
from .front import Ran
from .sessions import Spent, WorkSession
from .verdict import verdict_on

NAME = "result.json"
START, FOUND = "start.flow.yaml", "found.flow.yaml"
"""The workflows of a run, beside it."""
MOST_BYTES = 16_000_000
"""Bytes of the largest `result.json` that is read."""
AGAIN = "the command that made the run writes it anew, and pays for nothing twice"
"""How to come by a file of a run that is missing or damaged."""
PLAN_USED = "the planned calls are used"
"""Why a search ended that more planned calls would have continued; of all other reasons they change nothing."""
Status: TypeAlias = Literal["done", "paused", "failed"]


class Used(Spent):
    """What calls for one purpose took, logically: stored responses count as when they were paid for."""

    requests: Count
    """What endpoints served for the calls; more than these where answers were not used."""
    seconds: Amount


class Judging(Spent):
    """What judging took, and how much it wavered: the mean standard deviation over a judge's repeated verdicts, None where it
    gave one each."""

    model: str
    spread: Amount | None


class ClosingTest(Record):
    """Test examples that were run, of all: fewer where a ceiling left no room."""

    run: Count
    of: Count


NOTHING = Spent(calls=0, tokens=0, usd=0.0)


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
    """An optimisation's outcome; everything in it is also on disk in `run_dir`.

        >>> result = fb.optimize(task, lm="openai/gpt-4.1-mini", budget=fb.Budget(usd=2))
        >>> result.verdict
        'The found workflow scores 71 % on 100 test examples, the start 33 %: better by 38 points …'
        >>> result.workflow.save("found.flow.yaml")

    `found` is the workflow that it ended with, the start where none proved better; None while the run is paused.
    `difference` is final minus start on the same examples, with a 95 % paired bootstrap interval. `calls` are logical, by
    purpose: what the run takes with an empty store; `by_model` has them with tokens and USD by model. `requests` are what endpoints served for them, answers that were not used
    included. `spent` is what the run was really paid for, `{calls, tokens, usd}`, and `seconds` how long that took, over all
    `sessions` that worked on it; `now` is what of it this session paid, nothing where it replayed. `passed` says which ceiling an
    endpoint made the run pass, "" for none. `stopped_because` says in words why the search ended where it did.
    `validation_joined` says whether validation was small, or few calls were planned, so that its rows were searched with and none
    confirmed the choice. `kept` is the title of the last change that was kept, and `kept_from` names them all
    with who proposed them. `dropped` are the examples that an endpoint refuses on every try. `meta_mode` says how the meta model
    was asked, `auto` where that was not found out, and `feedback` what it was told of mistakes. `before` is the run that it took up,
    beside it; None where it took up none. `objective` is what was better, and `limits` what no program may
    pass. `front` are the workflows that none of the others that were run beats in score, calls, tokens, dollars and seconds an
    example at once, on training rows, the best first; `workflow_of` gives the workflow of one.
    """

    run_id: str
    run_dir: Path
    status: Status
    stopped_by: str
    method: str
    effort: str
    seed: int
    task: str
    task_hash: str
    metric: str
    models: Mapping[str, str]
    found: Workflow | None
    start: Workflow
    start_scores: Scores = field(default_factory=Scores)
    final_scores: Scores = field(default_factory=Scores)
    difference: Scores = field(default_factory=Scores)
    calls: Mapping[str, int] = field(default_factory=dict[str, int])
    requests: Mapping[str, int] = field(default_factory=dict[str, int])
    by_purpose: Mapping[str, Used] = field(default_factory=dict[str, Used])
    by_model: Mapping[str, Spent] = field(default_factory=dict[str, Spent])
    spent: Spent = NOTHING
    now: Spent = NOTHING
    sessions: Sequence[WorkSession] = ()
    seconds: float = 0.0
    reason: str = ""
    stopped_because: str = ""
    passed: str = ""
    kept: str = ""
    kept_from: Sequence[str] = ()
    dropped: Sequence[str] = ()
    tested: ClosingTest | None = None
    validation_joined: bool = False
    judge: Judging | None = None
    meta_mode: Literal["auto", "small", "large"] = "auto"
    feedback: Literal["real", "shuffled", "blind"] = "real"
    before: Before | None = None
    objective: str = "score"
    limits: Mapping[str, int | float] = field(default_factory=dict[str, int | float])
    front: tuple[Ran, ...] = ()
    replayed_events: int = 0

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

    def workflow_of(self, member: Ran) -> Workflow:
        """The workflow of a member of `front`.

            >>> cheapest = min(result.front, key=lambda each: each.tokens)
            >>> result.workflow_of(cheapest).save("cheap.flow.yaml")

        Raises:
            UserError: if its file is missing or damaged.
        """
        return _workflow(member.file(self.run_dir))

    @property
    def verdict(self) -> str:
        """What came of the run, in a sentence that claims no more than the closing test shows."""
        return verdict_on(
            status=self.status,
            stopped_by=self.stopped_by,
            unchanged=self.unchanged,
            start=self.start_scores.test,
            final=self.final_scores.test,
            difference=self.difference.test,
        )

    @property
    def unchanged(self) -> bool:
        """Whether the search ended where it began, or has found nothing yet."""
        return self.found is None or self.found.hash == self.start.hash

    @property
    def step_models(self) -> tuple[str, ...]:
        """The models that steps of the found workflow, or until there is one of the start, name beside the task model: who runs it
        gives them by `--models` (`models=[…]`)."""
        named = (told for told in (self.found or self.start).parameters.values())
        models = (each.model for each in named if isinstance(each, LLMParameters | ChoiceParameters))
        return tuple(dict.fromkeys(each for each in models if each not in (None, self.models.get("task"))))

    @property
    def report_path(self) -> Path | None:
        """The run's report; None until `fb.write_report(result.run_dir)` or the command line has written it."""
        path = self.run_dir / "report.html"
        return path if path.is_file() else None

    @property
    def workflow_path(self) -> Path:
        """Where the found workflow stands."""
        return self.run_dir / FOUND

    @staticmethod
    def load(run_dir: Path | str) -> RunResult:
        """The result that stands in a run's folder, as `save` wrote it.

        Raises:
            UserError: if a file is missing or damaged, or says what cannot be, naming file and member.
        """
        folder = Path(run_dir)
        stored = read_result(folder)
        members = {name: getattr(stored, name) for name in StoredResult.model_fields if name != "scores"}
        return RunResult(
            **members,
            run_dir=folder,
            start=_workflow(folder / START),
            found=_workflow(folder / FOUND) if stored.status == "done" else None,
            start_scores=_scores(stored.scores.start),
            final_scores=_scores(stored.scores.final),
            difference=_scores(stored.scores.difference),
        )

    def save(self) -> None:
        """Write `result.json`, secrets masked, so that a kill leaves the old file or the new one.

        Raises:
            InfrastructureError: if the disk fails.
        """
        path = self.run_dir / NAME
        try:
            write_text(path, json.dumps(hide(self.to_json()), ensure_ascii=False, indent=1))
        except OSError as error:
            raise InfrastructureError(f"{path}: {error.strerror or error}", kind="disk") from None

    def to_json(self) -> dict[str, Any]:
        """The object that `optimize --json` and `demo --json` print, and that `result.json` holds."""
        members = {name: getattr(self, name) for name in StoredResult.model_fields if name != "scores"}
        whole = {
            "run_id": self.run_id,
            "run_dir": str(self.run_dir),
            **members,
            "workflow": str(self.workflow_path),
            "nodes": len((self.found or self.start).sketch.nodes),
            "step_models": list(self.step_models),
            "scores": {
                "start": self.start_scores.dump(),
                "final": self.final_scores.dump(),
                "difference": self.difference.dump(),
            },
            "front": [{**each.model_dump(), "workflow": str(each.file(self.run_dir))} for each in self.front],
        }
        return cast("dict[str, Any]", to_jsonable_python(whole))

    def __repr__(self) -> str:
        return f"RunResult({self})"

    def __str__(self) -> str:
        calls = count(sum(self.calls.values()), "call")
        reason = f" Why: {self.reason}." if self.reason else ""
        return printable(brief(f"{self.status}: {self.verdict}{reason} {calls}; {self.run_dir}", 500))


class _Means(Record):
    val: Measure | None
    test: Measure | None


class _Differences(Record):
    val: Difference | None
    test: Difference | None


class _Sides(Record):
    start: _Means
    final: _Means
    difference: _Differences


class StoredResult(Record):
    """`result.json`, but for what can be told from its other members and files."""

    run_id: str
    status: Status
    stopped_by: str
    reason: str
    stopped_because: str
    method: str
    effort: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    task: str
    task_hash: str
    metric: str
    models: dict[str, str]
    scores: _Sides
    calls: dict[str, Count]
    requests: dict[str, Count]
    by_purpose: dict[str, Used]
    by_model: dict[str, Spent] = Field(default_factory=dict[str, Spent])
    """Not in results of older versions."""
    spent: Spent
    now: Spent
    sessions: Annotated[tuple[WorkSession, ...], Strict(False)]
    seconds: Amount
    passed: str
    kept: str
    kept_from: Texts
    dropped: Texts
    tested: ClosingTest | None
    validation_joined: bool = False
    """Not in results of older versions."""
    judge: Judging | None
    meta_mode: Literal["auto", "small", "large"] = "auto"
    """Not in results of older versions, as `feedback`."""
    feedback: Literal["real", "shuffled", "blind"] = "real"
    before: Before | None = None
    objective: str = "score"
    """Not in results of older versions, as `limits` and `front`."""
    limits: Mapping[str, Count | Amount] = {}
    front: Annotated[tuple[Ran, ...], Strict(False)] = ()
    replayed_events: Count


def read_result(folder: Path) -> StoredResult:
    """What stands in a run's `result.json`, its workflows apart.

    Raises:
        UserError: if it is missing or damaged, or says what cannot be, naming file and member.
    """
    path = folder / NAME
    data = parse_json(read_text(path, limit=MOST_BYTES, links=False), str(path), depth=DEPTH, halves=True)
    return checked(StoredResult, hide(data), str(path), AGAIN)


def _workflow(path: Path) -> Workflow:
    """A workflow of a run's folder, which may be somebody else's: no link leads out of it."""
    return Workflow.from_data(read_data(path, links=False), str(path))


def _scores(stored: _Means | _Differences) -> Scores:
    val, test = (each and Estimate(each.mean, each.low, each.high, each.n) for each in (stored.val, stored.test))
    return Scores(val, test)


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a run would take, roughly: logical calls by purpose, tokens, and USD where the prices are known; all of it by model."""

    calls: int
    tokens: int
    usd: float | None
    by_purpose: Mapping[str, int]
    by_model: Mapping[str, Spent] = field(default_factory=dict[str, Spent])
