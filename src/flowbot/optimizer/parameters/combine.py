"""Both of two changes: each was measured on the same parent, looked better and was not adopted. Until both together are measured their
gain is believed to be the sum (as MIPRO's surrogate finds good combinations, Opsahl-Ong et al. 2024, arXiv 2406.11695, without trials of
them). The two were picked, as the best of many, by the rows that they were run on: these are no evidence for both, which luck on them would
let through once more. No model is asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean
from typing import Any, TypeVar

from flowbot.fields import stable_hash
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.step_view import steps_of
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.check import check
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import Parameters, ProgramParameters
from flowbot.workflow.workflow import Workflow

from .step_change import option, prompt_tokens, too_long

LEAST = 6
"""Rows that must be left to judge both on: what looked good on the others is luck as easily."""
T = TypeVar("T")
Pair = tuple[Candidate, Candidate]


@dataclass(slots=True)
class Combine:
    """Puts two changes together.

    Args:
        most: pairs that are offered at once, those whose gains sum up to most.
    """

    most: int = 3
    _pairs: dict[str, Pair] = field(default_factory=dict[str, Pair])
    _made: dict[tuple[str, str], WorkflowProgram | None] = field(
        default_factory=dict[tuple[str, str], WorkflowProgram | None]
    )

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One for each pair of changes of other places or kinds that both looked better and fit together."""
        population = context.population
        known = {each.program.hash for each in population.members}

        def worth(each: Candidate) -> float:
            return each.belief.mean - population.charge(each)

        def looked_better(each: Candidate) -> bool:
            """On the rows, not by the prior alone."""
            differences = population.pairs(each, context.rows).differences
            return bool(differences) and fmean(differences) > population.charge(each)

        good = [
            each
            for each in population.members
            if each.parent is parent and each.origin is None and each.state != "adopted"
            and worth(each) > 0 and looked_better(each)
        ]  # fmt: skip
        ranked = sorted(combinations(good, 2), key=lambda pair: -sum(map(worth, pair)))
        found: list[Option] = []
        for one, other in ranked:
            made = self._both(parent.program, one, other, context)
            if made is None or made.hash in known or one.arm == other.arm:
                continue
            if len(set(context.rows) - _picked_by(one, other, context)) < LEAST:
                continue
            title = f"{one.title.rstrip('.')}; and {other.title}"
            both = Belief(one.belief.mean + other.belief.mean, math.hypot(one.belief.spread, other.belief.spread))
            plain = option(
                parent.program,
                Arm(kind="combine"),
                title,
                extra=context.models.further(made.workflow, parent.program.workflow),
                tokens=_tokens(made.workflow) - _tokens(parent.program.workflow),
                measured=True,
            )
            key = stable_hash([plain.key, made.hash])
            self._pairs[key] = one, other
            found.append(replace(plain, key=key, prior=both))
            if len(found) == self.most:
                break
        return found

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """Both."""
        one, other = self._pairs[focus.option.key]
        gains = " and ".join(f"{each.belief.mean:+.2f} ± {each.belief.spread:.2f}" for each in (one, other))
        return [
            Proposal(
                self._both(parent.program, one, other, context),
                focus.option.title,
                "prior",
                reason=f"alone they are believed to gain {gains}",
                edits=(f"what {one.id} and {other.id} changed",),
                shown=tuple(sorted(_picked_by(one, other, context))),
            )
        ]

    def _both(
        self, base: WorkflowProgram, one: Candidate, other: Candidate, context: Context
    ) -> WorkflowProgram | None:
        key = one.id, other.id
        if key not in self._made:
            made = combined(base.workflow, one.program.workflow, other.program.workflow)
            valid = made is not None and not check(made, tools=context.signatures) and _fits(base.workflow, made)
            program = WorkflowProgram(made) if made is not None and valid else None
            self._made[key] = None if context.population.limits.fault(program) else program
        return self._made[key]


def _picked_by(one: Candidate, other: Candidate, context: Context) -> set[str]:
    """Ids of the rows that two candidates were run on, or their authors shown."""
    ran = context.population.outcomes
    return {*one.shown, *other.shown, *ran(one.program), *ran(other.program)}


def combined(base: Workflow, one: Workflow, other: Workflow) -> Workflow | None:
    """A workflow with what both of two others change of a third, in whichever order: a three-way merge of sketch and parameters; None
    where both change the same. Whether it is valid is for the checker to say."""
    sketch = _merged(base.sketch, one.sketch, other.sketch)
    if sketch is None:
        return None
    parameters: dict[str, Parameters] = {}
    for path in dict.fromkeys(path for each in (base, one, other) for path, _ in walk(each.sketch)):
        of_base, of_one, of_other = (
            each.parameter(path) if path in dict(walk(each.sketch)) else None for each in (base, one, other)
        )
        if path not in dict(walk(sketch)):
            if of_base not in (of_one, of_other):
                return None  # one takes the step out, the other changes it
            continue
        merged = _merged_parameters(of_base, of_one, of_other)
        if merged is None:
            return None
        parameters[path] = merged
    return Workflow(sketch=sketch, parameters=parameters)


def _merged_parameters(base: Parameters | None, one: Parameters | None, other: Parameters | None) -> Parameters | None:
    if base is None or one is None or other is None or not type(base) is type(one) is type(other):
        return _merged(base, one, other)
    fields = {name: tuple(getattr(each, name) for each in (base, one, other)) for name in type(base).model_fields}
    if isinstance(base, ProgramParameters):  # each text, value and filling for itself
        parts = {name: _merged_members(*values) for name, values in fields.items()}
        return None if None in parts.values() else base.model_copy(update=parts)
    if any(was not in (mine, theirs) and mine != theirs for was, mine, theirs in fields.values()):
        return None
    return base.model_copy(update={name: _merged(*values) for name, values in fields.items()})


def _merged_members(base: Mapping[str, Any], one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any] | None:
    """Members by name; none has one that another has not, but for what was added."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys((*base, *one, *other)):
        was, mine, theirs = (each.get(name) for each in (base, one, other))
        if was not in (mine, theirs) and mine != theirs:
            return None
        found[name] = _merged(was, mine, theirs)
    return {name: value for name, value in found.items() if value is not None}


def _merged(base: T, one: T, other: T) -> T | None:
    """What either has made of it; None where both have, and not the same."""
    if one in (base, other):
        return other
    return one if other == base else None


def _fits(base: Workflow, made: Workflow) -> bool:
    there = {step.path: step.told for step in steps_of(base)}
    return not any(step.path in there and too_long(step.told, there[step.path]) for step in steps_of(made))


def _tokens(workflow: Workflow) -> int:
    return sum(prompt_tokens(step.told) for step in steps_of(workflow))
