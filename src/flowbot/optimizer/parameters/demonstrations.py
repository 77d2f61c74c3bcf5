"""Show a step worked examples: its own runs where the whole program did well (bootstrapping, Khattab et al. 2023, arXiv
2310.03714), else what is expected of it. Each draw is another set: of another size, chosen another way. No model is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import comb
from random import Random

from flowbot.fields.words import count
from flowbot.optimizer.feedback.runs import alike, alternated, failing, good, typical
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import Priors, shipped_priors
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.words import values_text
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step
from flowbot.workflow.nodes import is_frozen, node_at, walk
from flowbot.workflow.parameters import Demonstration, LLMParameters

from .step_change import option, proposal

SIZES = (4, 8, 2)
WAYS = ("of different answers", "nearest to mistakes", "the longest")
"""How a set is chosen. What is long is hard, and was solved all the same."""
SHOW, HIDE = "demonstrate", "without demonstrations"


@dataclass(slots=True)
class Demonstrations:
    """Shows steps worked examples, or none.

    Args:
        most: sets that are tried on one step of one program.
        priors: what is believed of each kind.
    """

    most: int = 8
    priors: Priors = field(default_factory=shipped_priors)

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """A set for every step with a model that has something to show; none for every step that is shown one."""
        program = parent.program
        rows = context.recorded(program, context.training)
        found: list[Option] = []
        for path, told in _steps(program):
            if known := len(_worked(program, path, rows)[0]):
                arm, most = Arm(kind=SHOW, place=path), min(self.most, max(1, comb(known, 2)))
                found.append(option(program, arm, f"show step `{path}` worked examples", self.priors, most=most))
            if told.demonstrations:
                found.append(
                    option(program, Arm(kind=HIDE, place=path), f"show step `{path}` no worked examples", self.priors)
                )
        return found

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """One set; which one the number of the draw says."""
        program, arm, draw = parent.program, focus.option.arm, focus.draw
        told = dict(_steps(program))[arm.place]
        if arm.kind == HIDE:
            bare = told.model_copy(update={"demonstrations": ()})
            edit = "its demonstrations are left out"
            return [proposal(program, arm.place, bare, "", edit, title=focus.option.title, source="prior")]
        rows = context.recorded(program, focus.rows or context.training)
        worked, own = _worked(program, arm.place, rows)
        way, size = WAYS[draw % len(WAYS)], SIZES[(draw + draw // len(WAYS)) % len(SIZES)]
        mistakes = [values_text(step.inputs) for row in failing(rows) for step in _calls(row, arm.place)]
        ranked = _chosen(worked, mistakes, way, context.rng(f"demonstrate/{focus.option.key}/{draw}"))
        chosen = sorted(ranked[:size], key=lambda each: each.example)  # one order: the same set twice is one program
        names = ", ".join(each.example for each in chosen)
        return [
            proposal(
                program,
                arm.place,
                told.model_copy(update={"demonstrations": tuple(chosen)}),
                "",
                f"demonstrations from {names}",
                title=f"show step `{arm.place}` {count(len(chosen), 'good run' if own else 'right answer')}, {way}",
                source="prior",
                reason=f"the scores of {names} are among the best" if own else "no run went well",
            )
        ]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing: the bandit knows what sets have gained."""


def _steps(program: WorkflowProgram) -> Iterator[tuple[str, LLMParameters]]:
    """The steps that may be shown worked examples."""
    for path, _ in walk(program.workflow.sketch):
        told = program.workflow.parameter(path)
        if isinstance(told, LLMParameters) and not is_frozen(program.workflow.sketch, path):
            yield path, told


def _calls(row: Row, path: str) -> list[Step]:
    return [step for step in row.trace.steps if step.node == path]


def _worked(program: WorkflowProgram, path: str, rows: Sequence[Row]) -> tuple[list[Demonstration], bool]:
    """What a step can be shown, one call a row, and whether these are its own good runs."""
    own = [_demonstration(row, typical(calls)) for row in good(rows) if (calls := _given(_calls(row, path)))]
    return (own, True) if own else (_expected(program, path, rows), False)


def _given(calls: Sequence[Step]) -> list[Step]:
    return [step for step in calls if step.outputs is not None]


def _expected(program: WorkflowProgram, path: str, rows: Sequence[Row]) -> list[Demonstration]:
    """What is expected in place of what a step gave, where all that it gives are outputs of the task."""
    sketch = program.workflow.sketch
    named = {reference: name for name, reference in sketch.outputs.items()}
    gives = {each: named.get(f"{path}.{each}", "") for each in node_at(sketch, path).gives}
    return [
        _demonstration(
            row, replace(calls[-1], outputs={each: row.example.expected[name] for each, name in gives.items()})
        )
        for row in rows
        if (calls := _calls(row, path)) and all(name in row.example.expected for name in gives.values())
    ]


def _demonstration(row: Row, step: Step) -> Demonstration:
    return Demonstration(inputs=dict(step.inputs), outputs=dict(step.outputs or {}), example=row.example.id)


def _chosen(worked: Sequence[Demonstration], mistakes: Sequence[str], way: str, rng: Random) -> list[Demonstration]:
    """All that can be shown, in the order in which this way takes it; what it does not order chance does."""
    drawn = rng.sample(worked, k=len(worked))
    if way == WAYS[0]:
        return alternated(drawn, lambda each: _json(each.outputs))
    if way == WAYS[2]:
        return sorted(drawn, key=lambda each: -len(_json([each.inputs, each.outputs])))
    texts = {each.example: values_text(each.inputs) for each in drawn}
    found: dict[str, Demonstration] = {}
    for mistake in rng.sample(mistakes, k=min(len(mistakes), max(SIZES))):
        near = max(drawn, key=lambda each: (texts[each.example] != mistake, alike(texts[each.example], mistake)))
        found.setdefault(near.example, near)
    return [*found.values(), *(each for each in drawn if each.example not in found)]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
