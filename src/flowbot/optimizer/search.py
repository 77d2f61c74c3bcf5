"""What every strategy works with in a run: programs that are run on rows, questions to the meta model, chance by label.

It is the `Context` of the seams for workflows, and what proposers need besides: recorded runs, the guard, the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from flowbot.fields import ToolSignature, UserError, stable_hash
from flowbot.fields.words import count, percent
from flowbot.lm.lm import LM
from flowbot.lm.prices import Price
from flowbot.lm.session import Session
from flowbot.run.events import Decision, Event, Feedback, Noted, Split, Verdict
from flowbot.run.heartbeat import MOST_PAIRS
from flowbot.run.journal import Journal
from flowbot.runtime.ability import Ability, measure
from flowbot.runtime.engine import Engine
from flowbot.runtime.evaluation import Row, evaluate
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Example, Task
from flowbot.task.builtin_tools import PYTHON

from .feedback.runs import failing
from .guard import Guard
from .meta_questions import MetaQuestions
from .objective import Limits, Objective
from .population import Outcome, Population
from .program_calls import ProgramCalls
from .progress import Watch
from .seams import FeedbackMode, MetaMode
from .step_models import StepModels
from .told import as_told


@dataclass
class Search(MetaQuestions):
    """One search over workflows; see `seams.Context`.

    Args:
        task: what is to be solved.
        start: the program that it begins with.
        engine: runs programs.
        meta: answers questions.
        session: what calls share; its ledger says what was taken.
        journal: where events go.
        seed: of every random choice.
        planned: calls that the search may take, whatever it does; never a ceiling of the user's.
        model: model string of the task model.
        price: USD per million input and output tokens, where the user gave it.
        watch: told what happens.
        meta_mode: how the meta model is asked.
        measures: whether `meta_mode` is to follow what the meta model is able to do, which `measure` finds out.
        feedback_mode: what its questions tell of a mistake.
        models: the models that a step may be given.
        objective: what is better.
        limits: what no program may pass.
    """

    task: Task
    start: WorkflowProgram
    engine: Engine
    meta: LM
    session: Session
    journal: Journal
    seed: int
    planned: float
    model: str
    price: Price | None = None
    watch: Watch = field(default_factory=Watch)
    meta_mode: MetaMode = "small"
    measures: bool = False
    feedback_mode: FeedbackMode = "real"
    models: StepModels = field(default_factory=StepModels)
    objective: Objective = field(default_factory=Objective)
    limits: Limits = field(default_factory=Limits)
    dropped: set[str] = field(default_factory=set[str])
    """Ids of examples that an endpoint refuses on every try: they are left out on both sides of every pair."""

    def __post_init__(self) -> None:
        self.population: Population = Population(self.start, self.objective, self.limits)
        self.guard = Guard(self.task)
        self._rows: dict[tuple[str, str], Row] = {}
        self._heard: dict[str, list[Feedback]] = {}
        splits: tuple[Split, ...] = ("train", "val", "test")
        self._order = {split: self._ordered(split) for split in splits}
        self._examples = {each.id: each for examples in self._order.values() for each in examples}
        self._judging = self.task.metric.judge_calls
        self._program_calls = ProgramCalls()
        self.ability: Ability | None = None
        """What the meta model was found to be able to do."""
        self.joined = False
        """Whether validation joined the search."""
        self._told: dict[str, dict[str, Row]] = {}
        """By program what a control tells of its rows; see `as_told`."""
        self._unsettled: list[tuple[str, str]] = []
        self._unsettled_drops: set[str] = set()
        self.open_plan()
        self._sandbox_noted = False
        self._signatures: Mapping[str, ToolSignature] | None = None

    @property
    def races(self) -> dict[str, list[tuple[float, float]]]:
        """Of the open candidates that were run beside their parents the scores of the last pairs, by their ids."""
        told = ((each.id, self.population.pairs(each, self.rows)) for each in self.population.open)
        return {name: [*zip(pairs.mine, pairs.theirs, strict=True)][-MOST_PAIRS:] for name, pairs in told if len(pairs)}

    @property
    def rows(self) -> list[str]:
        """As of `Context`."""
        return [*self.training, *self._ids("val")] if self.joined else self.training

    @property
    def training(self) -> list[str]:
        """As of `Context`."""
        return self._ids("train")

    @property
    def validation(self) -> list[str]:
        """As of `Context`."""
        return [] if self.joined else self._ids("val")

    def join_validation(self) -> None:
        """As of `Context`."""
        self.joined = True

    def order(self, split: Split) -> list[Example]:
        """The examples of a split in the seeded order of this run."""
        return self._order[split]

    def examples(self, ids: Iterable[str]) -> list[Example]:
        """Examples by their ids."""
        return [self._examples[each] for each in ids]

    def row(self, program: str, example: str) -> Row | None:
        """The recorded run of the program of that hash on an example; None where there is none."""
        return self._rows.get((program, example))

    def recorded(self, program: WorkflowProgram, rows: Iterable[str]) -> list[Row]:
        """The recorded runs of a program on those of the rows that it was run on."""
        return [row for each in rows if (row := self.row(program.hash, each)) is not None]

    def scores_of(self, one: WorkflowProgram, other: WorkflowProgram, split: Split) -> dict[str, tuple[float, float]]:
        """The scores of two programs on the examples of a split that both were run on, by id."""
        rows = {each.id: (self.row(one.hash, each.id), self.row(other.hash, each.id)) for each in self._order[split]}
        return {
            name: (mine.score.value, theirs.score.value) for name, (mine, theirs) in rows.items() if mine and theirs
        }

    def heard(self, about: str) -> list[Feedback]:
        """As of `Context`."""
        return self._heard.get(about, [])

    def told(self, program: WorkflowProgram, rows: Sequence[Row]) -> list[Row]:
        """As of `Context`."""
        runs, unsettled = self.recorded(program, self.training), set(self._unsettled)
        # What others run beside whoever asks is left out: when it ends is chance.
        settled = [row for row in runs if (program.hash, row.example.id) not in unsettled]
        others = failing(settled or runs) or rows  # a summary of the data is asked for before any run
        return as_told(rows, others, self.feedback_mode, self.seed, self._told.setdefault(program.hash, {}))

    def spreads(self) -> list[float]:
        """The spread of every score so far that a judge gave more than once, in the order of the runs."""
        return [row.score.spread for row in self._rows.values() if row.score.spread is not None]

    def rng(self, label: str) -> Random:
        """As of `Context`."""
        return Random(f"{self.seed}/{label}")

    def calls_of(self, program: WorkflowProgram) -> float:
        """As of `Context`: every way, step, item, sample and round, and the judges of the metric."""
        return self._program_calls.most(program) + self._judging

    @property
    def signatures(self) -> Mapping[str, ToolSignature]:
        """As of `Context`; the interpreter only where there is a sandbox for it."""
        if self._signatures is None:
            declared = {tool.signature.name for tool in self.task.tools}
            left_out = set[str]() if PYTHON.name in declared or self.can_compute else {PYTHON.name}
            self._signatures = {name: each for name, each in self.task.signatures.items() if name not in left_out}
        return self._signatures

    @property
    def can_compute(self) -> bool:
        """Whether there is a sandbox for computing steps; said once where there is none."""
        try:
            _ = self.engine.sandbox.identity
        except UserError as error:
            if not self._sandbox_noted:
                self._sandbox_noted = True
                self.watch.news(f"Computing steps are left out: {error.found}; {error.mend}")
            return False
        return True

    async def measure(self) -> None:
        """Find out how the meta model is to be asked, before it is asked anything else."""
        if not self.measures:
            return
        async with self.cut_at_ceilings():
            self.ability = await measure(self.meta)
        self.meta_mode = self.ability.mode
        text = f"The meta model is asked as {self.ability}"
        self.watch.news(text)
        self.record(Noted(about="meta mode", text=text, spent=self.spent))

    async def run(self, program: WorkflowProgram, rows: Sequence[str], why: str) -> None:
        """As of `Context`."""
        missing = self.population.missing(program, [each for each in rows if each not in self.dropped])
        if not missing:
            return
        titles = [each.title.rstrip(".") for each in self.population.members if each.program.hash == program.hash]
        label = f"{titles[0] if titles else 'start'}: {count(len(missing), f'{SPLITS[why]} example')}"
        self.watch.step(label, 0, len(missing))
        async with self.cut_at_ceilings():
            evaluation = await evaluate(
                self.engine,
                program.workflow,
                self.task,
                self.examples(missing),
                purpose=why,
                progress=lambda done, total: self.watch.step(label, done, total),
            )
        self._unsettled_drops.update(set(evaluation.dropped) - self.dropped)
        self.dropped.update(evaluation.dropped)
        for row in evaluation.rows:
            self._rows[program.hash, row.example.id] = row
            used, weighed = row.trace.usage, self.models.calls(program.workflow, row.trace)
            outcome = Outcome(row.score.value, used.calls, used.tokens, used.usd, row.trace.seconds, weighed)
            self.population.record(program.hash, row.example.id, outcome)
            self._unsettled.append((program.hash, row.example.id))

    async def run_code(self, code: str, values: Mapping[str, Any]) -> Any:
        """As of `Context`."""
        return await self.engine.run_code(code, values)

    def feedback(
        self,
        about: str,
        example: str,
        place: str,
        text: str,
        *,
        part: str = "",
        source: Literal["meta", "rule"] = "meta",
        after: Sequence[str] = (),
    ) -> Feedback:
        """A textual gradient. It is journalled with the proposal that it belongs to: proposals are made side by side."""
        name = "g" + stable_hash([about, example, place, *([part] if part else []), text, source])[:10]
        return Feedback(
            id=name, about=about, example=example, place=place, part=part, text=text, source=source, after=tuple(after)
        )

    def record(self, event: Event) -> None:
        """As of `Context`; verdicts are said, too."""
        self.settle()
        self.journal.record(event)
        if isinstance(event, Feedback):
            self._heard.setdefault(event.about, []).append(event)
        if isinstance(event, Verdict):
            self._say(event)

    def settle(self) -> None:
        """What was run until now stands, unless a ceiling cut it short."""
        if self.cut:
            for program, row in self._unsettled:
                del self._rows[program, row]
                self.population.forget(program, row)
            self.dropped -= self._unsettled_drops
        self._program_calls.learn(self.start, self._rows)
        self._unsettled.clear()
        self._unsettled_drops.clear()
        self.settle_calls()

    def _say(self, verdict: Verdict) -> None:
        """A verdict in words; of what was set aside without having been run nothing is said."""
        if not verdict.n and verdict.decision == "set aside":
            return
        title = next(each.title for each in self.population.members if each.id == verdict.proposal)
        sides = f"{percent(verdict.mine)} against {percent(verdict.theirs)} on {count(verdict.n, 'pair')}"
        text = f"{_DECISIONS[verdict.decision]} ({sides}): {title}" if verdict.n else f"Taken as it is: {title}"
        self.watch.decided(text, verdict.mine, kept=verdict.decision in ("adopt", "confirm"))

    def _ordered(self, split: Split) -> list[Example]:
        examples = sorted(self.task.splits.get(split, ()), key=lambda example: example.id)
        self.rng(f"order/{split}").shuffle(examples)
        return examples

    def _ids(self, split: Split) -> list[str]:
        return [each.id for each in self._order[split] if each.id not in self.dropped]


SPLITS: dict[str, str] = {"train": "training", "val": "validation", "test": "test"}
"""What a split is called."""
_DECISIONS: dict[Decision, str] = {
    "adopt": "Adopted",
    "drop": "Dropped",
    "set aside": "Set aside",
    "confirm": "Confirmed on validation",
    "refute": "Not confirmed on validation",
}
