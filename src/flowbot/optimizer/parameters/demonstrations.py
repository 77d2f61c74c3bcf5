"""Show a step worked examples: its own runs where the whole program did well (bootstrapping, Khattab et al. 2023, arXiv
2310.03714), and where it did not, what is expected of it. Each draw is another set: of another size, chosen another way: one of
each label or kind of input, those nearest to the mistakes, or what was solved though it is hard. No model is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb
from random import Random
from statistics import fmean

from flowbot.fields.words import count
from flowbot.optimizer.feedback.runs import PERFECT, alike, alternated, calls_of, failing, good, typical
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.rendering import values_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.task_kinds import step_kinds
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step
from flowbot.workflow.parameters import Demonstration, LLMParameters

from .step_change import llm_steps, option, prompt_tokens, proposal, task_outputs, too_long

KINDS, NEAREST, HARD = "one of each kind", "nearest to mistakes", "solved though hard"
# The first way is every other draw: on eight tasks for design it gained 7.5 points a draw, the two others one or less (docs/inner.md).
SETS = ((KINDS, 4), (NEAREST, 8), (KINDS, 8), (HARD, 4), (KINDS, 2), (NEAREST, 4), (KINDS, 4), (HARD, 2))
LARGEST = max(size for _, size in SETS)
KIND = "demonstrate"


@dataclass(slots=True)
class Demonstrations:
    """Shows steps worked examples.

    Args:
        most: sets that are tried on one step of one program.
    """

    most: int = len(SETS)

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """A set for every step with a model that has something to show."""
        program = parent.program
        rows = context.recorded(program, context.training)
        found: list[Option] = []
        for path, told in llm_steps(program):
            worked = _Worked.of(context, program, path, rows)
            if known := len(worked.all):
                arm, most = Arm(kind=KIND, place=path), min(self.most, max(1, comb(known, 2)))
                shown = worked.all[: round(fmean(size for _, size in SETS))]
                tokens = prompt_tokens(LLMParameters(demonstrations=tuple(shown)))
                tokens -= prompt_tokens(LLMParameters(demonstrations=told.demonstrations))
                title = f"show step `{path}` worked examples"
                kinds = step_kinds(context, program, path)
                found.append(option(program, arm, title, most=most, kinds=kinds, tokens=tokens))
        return found

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """One set; which one the number of the draw says."""
        program, path, draw = parent.program, focus.option.arm.place, focus.draw
        told = dict(llm_steps(program))[path]
        rows = context.recorded(program, focus.rows or context.training)
        worked = _Worked.of(context, program, path, rows)
        way, size = SETS[draw % len(SETS)]
        rng = context.rng(f"demonstrate/{focus.option.key}/{draw}")
        if way == KINDS:
            ranked = _of_each_kind(rng.sample(worked.all, k=len(worked.all)))
        elif way == NEAREST:
            mistakes = [values_text(step.inputs) for row in failing(rows) for step in calls_of(row, path)]
            ranked = _nearest(rng.sample(worked.all, k=len(worked.all)), mistakes, rng)
        else:
            hard = {row.example.id: _hardness(context, program, row, path) for row in rows}
            solved = worked.own or worked.expected
            ranked = sorted(solved, key=lambda each: (-hard[each.example], -len(_json([each.inputs, each.outputs]))))
        chosen = _fitting(told, ranked[:size])
        own = sum(each in worked.own for each in chosen)
        kinds = [(own, "good run"), (len(chosen) - own, "right answer")]
        names = ", ".join(each.example for each in chosen)
        return [
            proposal(
                program,
                path,
                told.model_copy(update={"demonstrations": chosen}) if chosen else None,
                "no worked example fits into the prompt",
                f"demonstrations from {names}",
                title=f"show step `{path}` {' and '.join(count(n, kind) for n, kind in kinds if n)}, {way}",
                source="prior",
                reason="the scores of these runs are among the best" if own else "no run went well",
            )
        ]


@dataclass(frozen=True, slots=True)
class _Worked:
    """What a step can be shown, one call a row.

    Args:
        own: its good runs; where what is expected of it is known, those that are perfect: a graded metric calls good what is half right.
        expected: other runs, with what is expected in place of what it gave, where all that it gives are outputs of the task.
    """

    own: list[Demonstration]
    expected: list[Demonstration]

    @property
    def all(self) -> list[Demonstration]:
        return [*self.own, *self.expected]

    @staticmethod
    def of(context: Context, program: WorkflowProgram, path: str, rows: Sequence[Row]) -> _Worked:
        gives = task_outputs(context, program, path)
        own = {
            row.example.id: _demonstration(row, typical(calls))
            for row in good(rows)
            if row.score.value >= PERFECT or not _is_known(row, gives)
            if (calls := [step for step in calls_of(row, path) if step.outputs is not None and _shows(step)])
        }
        expected = [
            _demonstration(
                row, replace(calls[-1], outputs={each: row.example.expected[n] for each, n in gives.items()})
            )
            for row in rows
            if row.example.id not in own and _is_known(row, gives) and (calls := calls_of(row, path))
        ]
        return _Worked(list(own.values()), expected)


def _shows(step: Step) -> bool:
    """Whether a call can be shown: with what a function makes of a text, or a reply that only calls tools, nobody is helped."""
    return not step.texts or (step.kind == "model" and bool(step.inputs and step.reply.strip()))


def _is_known(row: Row, gives: Mapping[str, str]) -> bool:
    """Whether a row says what all that a step gives should be."""
    return bool(gives) and all(name in row.example.expected for name in gives.values())


def _demonstration(row: Row, step: Step) -> Demonstration:
    return Demonstration(inputs=dict(step.inputs), outputs=dict(step.outputs or {}), example=row.example.id)


def _of_each_kind(drawn: Sequence[Demonstration]) -> list[Demonstration]:
    """One of each output, then a second; where outputs hardly repeat, inputs that are least alike: greedy k-centre (Gonzalez 1985)."""

    def label(each: Demonstration) -> str:
        return _json(each.outputs)

    if 2 * len({label(each) for each in drawn}) <= len(drawn):
        return alternated(drawn, label)
    texts = _texts(drawn)
    left, chosen = list(drawn[1:]), list(drawn[:1])
    near = {each.example: alike(texts[each.example], texts[drawn[0].example]) for each in left}
    while left and len(chosen) < LARGEST:
        far = min(left, key=lambda each: near[each.example])
        left.remove(far)
        chosen.append(far)
        for each in left:
            near[each.example] = max(near[each.example], alike(texts[each.example], texts[far.example]))
    return [*chosen, *left]


def _nearest(drawn: Sequence[Demonstration], mistakes: Sequence[str], rng: Random) -> list[Demonstration]:
    """For some mistakes the one that shares most words with each, another row than itself where there is one; then the others."""
    texts = _texts(drawn)
    found: dict[str, Demonstration] = {}
    for mistake in rng.sample(mistakes, k=min(len(mistakes), LARGEST)):
        near = max(drawn, key=lambda each: (texts[each.example] != mistake, alike(texts[each.example], mistake)))
        found.setdefault(near.example, near)
    return [*found.values(), *(each for each in drawn if each.example not in found)]


def _hardness(context: Context, program: WorkflowProgram, row: Row, path: str) -> float:
    """By how much other programs did worse on a row on average, and what share of the step's samples disagree with its answer."""
    population, name = context.population, row.example.id
    programs = {each.program.hash: each.program for each in population.members if each.program.hash != program.hash}
    seen = [found[name].score for each in programs.values() if name in (found := population.outcomes(each))]
    calls = [step for step in calls_of(row, path) if step.outputs is not None]
    samples = [each for each in calls if each.address.partition("#")[0] == calls[-1].address.partition("#")[0]]
    disagree = fmean(each.outputs != typical(samples).outputs for each in samples) if samples else 0.0
    return (fmean(max(0.0, row.score.value - score) for score in seen) if seen else 0.0) + disagree


def _fitting(told: LLMParameters, ranked: Sequence[Demonstration]) -> tuple[Demonstration, ...]:
    """As many of them, from the first, as the prompt has room for, in one order: the same set chosen twice is one program."""
    for size in range(len(ranked), 0, -1):
        chosen = tuple(sorted(ranked[:size], key=lambda each: each.example))
        bare = told.model_copy(update={"demonstrations": ()})
        if not too_long(bare.model_copy(update={"demonstrations": chosen}), bare):
            return chosen
    return ()


def _texts(worked: Sequence[Demonstration]) -> Mapping[str, str]:
    return {each.example: values_text(each.inputs) for each in worked}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
