"""What every strategy works with: scoring with memory, questions to the meta model, the journal, progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from flowbot.fields import Field, ModelError, RefusedError, ToolSignature, UserError
from flowbot.fields.words import count, interval, percent
from flowbot.lm.client import Message
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.run.events import Arm, Feedback, Level, Measure, Measured, Proposal, Source, Split, Verdict, Votes
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.runtime.evaluation import Evaluation, Row, evaluate
from flowbot.stats import Estimate, estimate_mean, judge, standard_error
from flowbot.stats import Verdict as Judged
from flowbot.task import Example, Task
from flowbot.workflow.workflow import Workflow

from .effort import Effort
from .guard import Guard
from .progress import Watch

Who = Literal["start", "candidate", "finalist", "final"]
_WHO: dict[Who, str] = {
    "start": "the start",
    "candidate": "a candidate",
    "finalist": "a finalist",
    "final": "the found workflow",
}
_SPLITS: dict[Split, str] = {"train": "training", "val": "validation", "test": "test"}
META_TOKENS = 400
"""Most tokens of a reply of the meta model, unless a question says otherwise."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workflow that somebody proposed, with the reason."""

    id: str
    workflow: Workflow
    source: Source
    title: str
    reason: str = ""

    @property
    def short(self) -> str:
        """The title's first clause, for lines of progress."""
        return _short(self.title)


@dataclass(slots=True)
class Member:
    """A workflow in the pool, with its latest mean over training examples."""

    workflow: Workflow
    train: float
    source: Source
    title: str

    @property
    def short(self) -> str:
        """As of a `Candidate`."""
        return _short(self.title)


def examples_of(split: Split, number: int) -> str:
    """`72 validation examples`."""
    return count(number, f"{_SPLITS[split]} example")


def _short(title: str) -> str:
    return title.split(",")[0].split(":")[0].rstrip(".")


@dataclass(slots=True)
class Search:
    """One search. Strategies read and use it; it alone knows engine, session and journal.

    Every random choice comes from `rng(...)` with a fixed label, so it depends on the seed and never on time.
    """

    task: Task
    engine: Engine
    meta: LM
    session: Session
    journal: Journal
    seed: int
    effort: Effort
    model: str
    """Model string of the task model."""
    watch: Watch = field(default_factory=Watch)
    """Told what happens."""
    price: tuple[float, float] | None = None
    """USD per million input and output tokens, where the user gave it."""
    dropped: set[str] = field(default_factory=set[str])
    """Ids of examples that an endpoint refuses on every try."""
    pool: list[Member] = field(default_factory=list["Member"])
    tried: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Pairs (hash of the parent's sketch, key of the change) that were proposed already."""
    guard: Guard = field(init=False)
    """Looks through what the meta model proposes."""
    _rows: dict[tuple[str, str], Row] = field(default_factory=dict[tuple[str, str], Row])
    _told: set[tuple[str, Split]] = field(default_factory=set[tuple[str, Split]])
    _proposals: int = 0
    _feedback: int = 0
    _refused: bool = False

    def __post_init__(self) -> None:
        self.guard = Guard(self.task)

    @property
    def signatures(self) -> dict[str, ToolSignature]:
        """The task's tools as data, by name."""
        return {tool.signature.name: tool.signature for tool in self.task.tools}

    @property
    def can_compute(self) -> bool:
        """Whether there is a sandbox for computing steps; said once where there is none."""
        try:
            _ = self.engine.sandbox.identity
        except UserError as error:
            if not self._refused:
                self._refused = True
                self.watch.news(f"Computing steps are left out: {error.found}; {error.mend}")
            return False
        return True

    def rng(self, label: str) -> Random:
        """A generator that depends on the run's seed and `label` alone."""
        return Random(f"{self.seed}/{label}")

    def order(self, split: Split) -> list[Example]:
        """The examples of a split in the seeded order of this run."""
        examples = sorted(self.task.splits[split], key=lambda example: example.id)
        self.rng(f"order/{split}").shuffle(examples)
        return examples

    async def score(self, workflow: Workflow, examples: Sequence[Example], purpose: str, text: str = "") -> list[Row]:
        """Rows of `workflow` on `examples`, in their order; what this run has scored before is not run again.

        An example that is refused on every try has no row.
        """
        key = workflow.hash
        missing = [each for each in examples if (key, each.id) not in self._rows]
        if missing:
            label = text or f"scoring on {purpose}"
            self.watch.step(label, 0, len(missing))
            evaluation: Evaluation = await evaluate(
                self.engine,
                workflow,
                self.task,
                missing,
                purpose=purpose,
                progress=lambda done, total: self.watch.step(label, done, total),
            )
            self.dropped.update(evaluation.dropped)
            for row in evaluation.rows:
                self._rows[key, row.example.id] = row
        return [self._rows[key, each.id] for each in examples if (key, each.id) in self._rows]

    def scored(self, workflow: str, example: str) -> Row | None:
        """The row of the workflow with that hash on the example of that id; None where this run has not scored it."""
        return self._rows.get((workflow, example))

    def spreads(self) -> list[float]:
        """The spread of every score so far that a judge gave more than once, in the order of the runs."""
        return [row.score.spread for row in self._rows.values() if row.score.spread is not None]

    async def score_split(
        self, workflow: Workflow, split: Split, what: Who, examples: Sequence[Example], named: str = ""
    ) -> Estimate:
        """Mean and interval of `workflow` on `examples` of `split`; journalled. `named` tells a person which workflow it is."""
        who = named or _WHO[what]
        rows = await self.score(workflow, examples, split, f"{who} on {examples_of(split, len(examples))}")
        estimate = estimate_mean([row.score.value for row in rows])
        if (workflow.hash, split) not in self._told:
            self._told.add((workflow.hash, split))
            told = f"{who} scores {percent(estimate.mean)} ({interval(estimate)}) on {examples_of(split, estimate.n)}"
            between = (estimate.low, estimate.high)
            self.watch.scored(told[:1].upper() + told[1:], estimate.mean, between, validation=split == "val")
        used = [row.trace.usage for row in rows]
        n = max(1, len(rows))
        usd = [each.usd for each in used if each.usd is not None]
        self.journal.record(
            Measured(
                program=workflow.hash,
                split=split,
                score=Measure.of(estimate),
                calls=sum(each.calls for each in used) / n,
                tokens=sum(each.tokens for each in used) / n,
                usd=sum(usd) / n if len(usd) == len(used) else None,
                seconds=sum(row.trace.seconds for row in rows) / n,
                spent=self.spent,
            )
        )
        return estimate

    @property
    def spent(self) -> int:
        """Logical calls so far."""
        return sum(self.session.ledger.calls.values())

    async def pairs(
        self, candidate: Workflow, incumbent: Workflow, examples: Sequence[Example], what: str
    ) -> tuple[list[float], list[float]]:
        """Paired scores of the two on `examples`; an example that either side refuses is dropped from both."""
        theirs = {row.example.id: row.score.value for row in await self.score(incumbent, examples, "train", what)}
        mine = {row.example.id: row.score.value for row in await self.score(candidate, examples, "train", what)}
        both = [each.id for each in examples if each.id in mine and each.id in theirs]
        return [mine[each] for each in both], [theirs[each] for each in both]

    async def race(self, candidate: Candidate, incumbent: Workflow, examples: Sequence[Example]) -> Judged:
        """Race a candidate against the incumbent on growing blocks of paired examples; journalled, pooled."""
        examples = examples[: self.effort.race]
        size = self.effort.block
        verdict: Judged | None = None
        spread = 0.0
        for end in range(size, len(examples) + size, size):
            block = examples[:end]
            mine, theirs = await self.pairs(candidate.workflow, incumbent, block, f"racing: {candidate.short}")
            if mine:
                verdict = judge(mine, theirs, last=end >= len(examples))
                spread = standard_error([a - b for a, b in zip(mine, theirs, strict=True)])
            if verdict is not None:
                break
        if verdict is None:
            verdict = Judged(False, "no example could be scored", 0.0, 0.0, 0, 0.5)
        self.record_verdict(candidate, incumbent, verdict, spread)
        if verdict.p_better > 0.5:
            self.pool.append(Member(candidate.workflow, verdict.candidate, candidate.source, candidate.title))
        return verdict

    def record_verdict(self, candidate: Candidate, incumbent: Workflow, verdict: Judged, spread: float) -> None:
        """Journal what was decided of a proposal, and tell."""
        outcome = "Kept" if verdict.kept else "Not kept"
        told = f"{outcome} ({percent(verdict.candidate)} against {percent(verdict.incumbent)}): {candidate.short}"
        self.watch.decided(told, verdict.candidate, kept=verdict.kept)
        self.journal.record(
            Verdict(
                proposal=candidate.id,
                incumbent=incumbent.hash,
                decision="adopt" if verdict.kept else "drop",
                rule="race",
                n=verdict.n,
                mine=verdict.candidate,
                theirs=verdict.incumbent,
                gain=verdict.candidate - verdict.incumbent,
                spread=spread,
                p=verdict.p_better,
                spent=self.spent,
            )
        )

    def propose(
        self,
        workflow: Workflow | None,
        parent: Workflow,
        *,
        level: Level,
        arm: Arm,
        source: Source,
        title: str,
        reason: str = "",
        because: Sequence[Feedback] = (),
        votes: Votes | None = None,
        code_by: Literal["meta", "prior"] | None = None,
        shown: Sequence[str] = (),
        edits: Sequence[str] = (),
        faults: Sequence[str] = (),
    ) -> Candidate | None:
        """Journal a proposal; see `Proposal`. None when nothing valid came of it (`workflow` is None): the faults say why."""
        self._proposals += 1
        name = f"p{self._proposals}"
        self.journal.record(
            Proposal(
                id=name,
                level=level,
                arm=arm,
                parents=(parent.hash,),
                program=workflow.hash if workflow else None,
                dump=workflow.dump() if workflow else None,
                edits=tuple(edits),
                title=title,
                source=source,
                reason=reason,
                because=tuple(each.id for each in because),
                votes=votes,
                code_by=code_by,
                shown=tuple(shown),
                faults=tuple(faults),
            )
        )
        return Candidate(name, workflow, source, title, reason) if workflow else None

    def feedback(
        self,
        workflow: Workflow,
        example: str,
        place: str,
        text: str,
        *,
        source: Literal["meta", "rule"] = "meta",
        after: Sequence[str] = (),
    ) -> Feedback:
        """Journal a textual gradient on a run of `workflow`; see `Feedback`."""
        self._feedback += 1
        said = Feedback(
            id=f"g{self._feedback}",
            about=workflow.hash,
            example=example,
            place=place,
            text=text,
            source=source,
            after=tuple(after),
        )
        self.journal.record(said)
        return said

    async def ask_text(self, prompt: str, purpose: str, *, max_tokens: int = META_TOKENS) -> str:
        """A plain-text reply of the meta model; empty when the model fails to give one."""
        try:
            answer = await self.meta.ask_fields(
                [Message("user", prompt)], [Field.of("reply", "str")], purpose=purpose, max_tokens=max_tokens
            )
        except (ModelError, RefusedError):
            return ""
        return str(answer.values["reply"]).strip()

    async def ask_fields(
        self, system: str, user: str, fields: Sequence[Field], purpose: str, *, max_tokens: int = META_TOKENS
    ) -> dict[str, Any] | None:
        """A structured reply of the meta model; None when it fails to give one."""
        try:
            answer = await self.meta.ask_fields(
                [Message("system", system), Message("user", user)], fields, purpose=purpose, max_tokens=max_tokens
            )
        except (ModelError, RefusedError):
            return None
        return dict(answer.values)
