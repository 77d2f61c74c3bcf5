"""GEPA, the package: reflective evolution of texts, parents drawn from the front of who is best on which validation row.

Agrawal et al. 2025, arXiv 2507.19457; `gepa` 0.1, with its defaults: minibatches of three, one text at a time in turn, what is strictly
better on its minibatch is validated in full. Its merging of two lineages is off, as there: it draws by the order of sets, so that a
run would not replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from flowbot.lm.client import Message
from flowbot.optimizer.feedback.runs import calls_of, typical
from flowbot.optimizer.method import Sizes
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.rendering import output_text, right_text, value_text, values_text
from flowbot.optimizer.seams import Proposal
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram

from .places import Place, places, rewritten
from .trials import Trials
from .tuning import changes

MINIBATCH = 3
REFLECTION = 1
"""Calls of a reflection."""
VALIDATIONS = 4
"""Of the start and of three candidates: so many must fit, or validation is cut."""
EPOCHS = 2
"""Walks through the training rows without a call, after which there is nothing left to reflect on."""
ALL_RIGHT = "no minibatch shows a mistake"
CODE = """A step of a workflow is this Python function:
```
<curr_param>
```

These are inputs that it was called with, what it returned, and what is to be said of that:
```
<side_info>
```

Write the function anew so that it does better on inputs like these. It is called `run`, its arguments are the inputs by name, and it
returns a dict of its outputs. Give the whole function within ``` blocks."""
HINT = """The replies of an assistant are to be written in this form:
```
<curr_param>
```

These are inputs that it was given, its replies, and what is to be said of them:
```
<side_info>
```

Write anew what it is told of the form of its replies, and nothing else of the task. Give it within ``` blocks."""
ASKED = {"code": CODE, "format_hint": HINT}
"""What is asked of code and of a format hint; of instructions it is the package's own question."""


@dataclass(frozen=True, slots=True)
class Gepa:
    """The package `gepa`; see `tuning.Package`."""

    name: str = "gepa"
    title: str = "GEPA"
    cost: int = 40

    def tunes(self, program: WorkflowProgram) -> bool:
        """As of `Package`."""
        return bool(places(program))

    def validates(self, program: WorkflowProgram, sizes: Sizes) -> int:
        """All, or as many as leave room for the start and three candidates."""
        return max(1, min(sizes.val, sizes.effort // (VALIDATIONS * sizes.start_calls)))

    def tune(self, trials: Trials) -> str:
        """As of `Package`."""
        adapter = Adapter(trials, places(trials.start.program))
        own = {name: ASKED[place.part] for name, place in adapter.known.items() if place.part in ASKED}
        import_module("gepa").optimize(
            seed_candidate={name: place.text for name, place in adapter.known.items()},
            trainset=list(trials.train),
            valset=None if trials.chooses_by_training else list(trials.val),
            adapter=adapter,
            reflection_lm=adapter.reflect,
            reflection_prompt_template=own or None,
            reflection_minibatch_size=min(MINIBATCH, len(trials.train)),
            stop_callbacks=adapter.stops,
            callbacks=[adapter],
            logger=adapter,
            seed=trials.seed,
        )
        return adapter.why


@dataclass(slots=True)
class Adapter:
    """A `gepa.core.adapter.GEPAAdapter` over our programs, and what the package calls besides. A row is its id.

    Args:
        trials: runs and asks.
        known: the texts of the start, by place.
    """

    trials: Trials
    known: Mapping[str, Place]
    why: str = ""
    propose_new_texts: None = None
    """The package's own way of asking is used."""
    _made: dict[tuple[str, ...], tuple[WorkflowProgram | None, str]] = field(
        default_factory=dict[tuple[str, ...], tuple[WorkflowProgram | None, str]]
    )
    _candidates: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    _parent: Mapping[str, str] = field(default_factory=dict[str, str])
    _question: str = ""
    _quotable: Sequence[str] = ()
    _minibatch: Sequence[str] = ()
    _pending: Candidate | None = None
    _taken: float = -1.0
    _idle: int = 0

    # what the package asks of an adapter

    def evaluate(self, batch: list[str], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Scores, outputs and runs; of texts that cannot stand the score is 0, the defect its feedback, and no call is made."""
        with self.trials.bridge.ours():
            program, defect = self._program(candidate)
        batches = import_module("gepa.core.adapter").EvaluationBatch
        if program is None:
            nothing = [defect] * len(batch)
            return batches(nothing, [0.0] * len(batch), nothing if capture_traces else None, num_metric_calls=0)
        rows = self.trials.run(program, batch)
        outputs = [None if row is None else row.trace.outputs for row in rows]
        scores = [0.0 if row is None else row.score.value for row in rows]  # a refused row is refused to all
        return batches(outputs, scores, rows if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """For each text what its step received and gave in the runs, and what is told of them."""
        with self.trials.bridge.ours():
            program, _ = self._program(candidate)
            runs: list[Row | str] = [each for each in eval_batch.trajectories if each is not None]
            rows = [each for each in runs if isinstance(each, Row)]
            if program is None:
                return {name: [{"Feedback": str(each)} for each in runs] for name in components_to_update}
            self._parent = candidate
            told = self.trials.context.told(program, rows)
            found = {
                name: [
                    record for row, says in zip(rows, told, strict=True) if (record := self._record(name, row, says))
                ]
                for name in components_to_update
            }
            self._quotable = [
                *candidate.values(),
                *(text for records in found.values() for record in records for text in record.values()),
            ]
            return found

    def reflect(self, prompt: str) -> str:
        """A reply of the meta model."""
        self._question = prompt
        return self.trials.ask([Message("user", prompt)])

    def stops(self, state: Any) -> bool:
        """Whether what is left no longer suffices for a step together with its validation, or nothing is left to reflect on.

        A step that ends in between could not be chosen.
        """
        trials = self.trials
        again = 0 if trials.chooses_by_training else 2 * MINIBATCH
        if trials.left < trials.cost(again + len(trials.val)) + REFLECTION:
            return True
        self._idle = 0 if trials.taken > self._taken else self._idle + 1
        self._taken = trials.taken
        if self._idle * MINIBATCH > EPOCHS * (len(trials.train) + MINIBATCH):
            self.why = ALL_RIGHT
            return True
        return False

    def log(self, message: str) -> None:
        """Nothing: what happens stands in the journal."""

    # what the package tells: of `gepa.core.callbacks.GEPACallback`

    def on_minibatch_sampled(self, event: Mapping[str, Any]) -> None:
        """The rows that a step looks at."""
        numbers: list[int] = event["minibatch_ids"]
        self._minibatch = [self.trials.train[each] for each in numbers]

    def on_proposal_end(self, event: Mapping[str, Any]) -> None:
        """Texts were written: a proposal."""
        with self.trials.bridge.ours():
            texts = {**self._parent, **event["new_instructions"]}
            parent_program, _ = self._program(self._parent)
            program, defect = self._program(texts)
            assert parent_program is not None  # what scores 0 is no better than anything, and so never a parent
            parent = self._candidates.get(parent_program.hash, self.trials.start)
            names = ", ".join(f"`{name}`" for name in event["new_instructions"])
            self._pending = self.trials.proposed(
                parent,
                Proposal(
                    program,
                    f"GEPA writes {names} anew",
                    "meta",
                    reason=value_text(next(iter(event["new_instructions"].values()), "")),
                    edits=() if program is None else changes(parent_program, program),
                    shown=tuple(self._minibatch),
                    faults=(defect,) if defect else (),
                ),
            )
            if self._pending is not None:
                self._candidates.setdefault(self._pending.program.hash, self._pending)

    def on_candidate_accepted(self, event: Mapping[str, Any]) -> None:
        """It was better on its minibatch, and has been validated."""
        self._decided(kept=True)

    def on_candidate_rejected(self, event: Mapping[str, Any]) -> None:
        """It was not better on its minibatch."""
        self._decided(kept=False)

    def _decided(self, *, kept: bool) -> None:
        if self._pending is not None:
            self.trials.decided(self._pending, self._minibatch, "minibatch", kept=kept)
        self._pending = None

    def _program(self, texts: Mapping[str, str]) -> tuple[WorkflowProgram | None, str]:
        key = tuple(texts[name] for name in self.known)
        if key not in self._made:
            trials = self.trials
            self._made[key] = rewritten(
                trials.context, trials.start.program, self.known, texts, self._question, self._quotable
            )
        return self._made[key]

    def _record(self, name: str, row: Row, told: Row) -> dict[str, str]:
        """What one run shows of a text: of the calls of its step the one that counts; nothing where it was not made."""
        calls = calls_of(row, self.known[name].path)
        if not calls:
            return {}
        call = typical(calls)
        lines = [right_text(told, self.trials.context.task.metric)]
        if told is row or told.example.expected:
            lines.append(f"score {told.score.value:.2f} of 1")
        if len(row.trace.steps) > 1:
            lines.insert(0, f"In the end the workflow gave\n{row.trace.error or values_text(row.trace.outputs)}")
        return {
            "Inputs": values_text(call.inputs),
            "Generated Outputs": output_text(call),
            "Feedback": "\n".join(lines),
        }
