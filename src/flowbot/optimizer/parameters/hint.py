"""Say how an output is to be written, in one line of a step's hint: by rule where what it gave and what was wanted show it, else the
meta model is asked. Only steps whose outputs are outputs of the task have a wanted form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from flowbot.optimizer.feedback.runs import alike, calls_of, failing
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import value_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.step_view import REPLY
from flowbot.optimizer.task_kinds import step_kinds
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import LLMParameters

from .accept import accepted
from .rule import WORDS, one_line
from .rule_lines import labels_of
from .step_change import llm_steps, option, proposal, task_outputs

ALIKE = 0.5
"""Share of words that two texts have in common from which on they are taken to say the same in two ways."""
MISTAKES = 3
_DIGITS = re.compile(r"-?\d+(?:[.,]\d+)*")
_Pair: TypeAlias = tuple[Row, str, str]
"""A failing run, what an output was in it, and what was wanted."""
_Lines: TypeAlias = tuple[list[str], dict[str, list[_Pair]]]
"""Lines by rule, and by output what was nearly right, for the meta model."""


@dataclass(slots=True)
class Hint:
    """Adds a line to the hint of a step.

    Args:
        asked: lines of the meta model that are tried on one step of one program.
    """

    asked: int = 2
    _known: dict[tuple[str, str], _Lines] = field(default_factory=dict[tuple[str, str], _Lines])
    """What a program is tried with is what its runs showed at its first draw, so that draws differ."""

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One for every step that wrote an output otherwise than was wanted."""
        program = parent.program
        found: list[Option] = []
        for path, told in llm_steps(program):
            ruled, asked = self._known.get((program.hash, path)) or _lines(context, program, path, told)
            if ruled or asked:
                arm, title = Arm(kind="hint", place=path), f"say how step `{path}` is to write what it gives"
                most = len(ruled) + (self.asked if asked else 0)
                cost = 0 if ruled else 1
                kinds = step_kinds(context, program, path)
                found.append(option(program, arm, title, cost=cost, most=most, kinds=kinds, tokens=WORDS))
        return found

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """One line more: those by rule first."""
        program, path, draw = parent.program, focus.option.arm.place, focus.draw
        told = dict(llm_steps(program))[path]
        known = self._known.get((program.hash, path)) or _lines(context, program, path, told)
        ruled, asked = self._known[program.hash, path] = known
        shown: list[Row] = []
        question = ""
        if draw < len(ruled):
            line = ruled[draw]
        else:
            shown, question, line = await _asked(context, program, asked, draw - len(ruled))
        parameters, fault = None, "nothing is known of how it is to be written"
        if line:
            text = f"{told.format_hint}\n{line}".strip()
            parameters, fault = accepted(
                context, program.workflow, path, text, question=question, part="format_hint", limit=len(text.split())
            )
        title, by = f"hint for step `{path}`: {value_text(line, 200)}", "meta" if shown else "prior"
        names = tuple(row.example.id for row in shown)
        edit = f"a hint added: {value_text(line)}"
        return [proposal(program, path, parameters, fault, edit, title=title, source=by, shown=names)]


def _lines(context: Context, program: WorkflowProgram, path: str, told: LLMParameters) -> _Lines:
    """What the failing runs show that the hint has not."""
    gives, labels = task_outputs(context, program, path), labels_of(context, program, path)
    hint = told.instruction if REPLY in gives else told.format_hint
    ruled: list[str] = []
    asked: dict[str, list[_Pair]] = {}
    rows = failing(context.told(program, context.recorded(program, context.training)))
    for output, name in gives.items():
        pairs = [
            (row, gave, wanted)
            for row in rows
            for step in calls_of(row, path)[-1:]
            if isinstance(gave := (step.outputs or {}).get(output), str)
            and isinstance(wanted := row.example.expected.get(name), str)
        ]
        ruled += [line for line in _by_rule(f"`{output}`", pairs, labels.get(output, [])) if line not in hint]
        if output not in labels and (near := [pair for pair in pairs if _nearly(*pair[1:])]):
            asked[output] = near
    return ruled, asked


def _by_rule(output: str, pairs: Sequence[_Pair], labels: Sequence[str]) -> Iterator[str]:
    """What the types and the pairs show."""
    texts = [(gave, wanted) for _, gave, wanted in pairs if gave != wanted]
    if labels and any(gave not in labels for gave, _ in texts):
        yield f"{output} is one of: {', '.join(labels)}. Write it exactly so, and nothing else."
        return
    wanted = [each for _, each in texts]
    if any(gave.casefold() == each.casefold() for gave, each in texts):
        for said, same in (("lower case", str.lower), ("capital letters", str.upper)):
            if all(each == same(each) for each in wanted):
                yield f"Write {output} in {said}."
    if any(_DIGITS.search(gave) for gave, _ in texts) and all(map(_DIGITS.fullmatch, wanted)):
        yield f"Write {output} in digits alone, without words or units."
    elif all(wanted) and any(each.casefold() in gave.casefold() for gave, each in texts):
        longest = max(len(each.split()) for each in wanted)
        yield f"Write {output} alone, in {longest} word{'s' * (longest > 1)} at most, without a sentence around it."
    if any(gave.rstrip(".") == each for gave, each in texts):
        yield f"Write {output} without a full stop at its end."


def _nearly(gave: str, wanted: str) -> bool:
    return gave != wanted and (alike(gave, wanted) >= ALIKE or _DIGITS.findall(gave) == _DIGITS.findall(wanted) != [])


async def _asked(
    context: Context, program: WorkflowProgram, asked: dict[str, list[_Pair]], draw: int
) -> tuple[list[Row], str, str]:
    """The runs that the meta model is shown, what it is asked, and its line."""
    if not asked:
        return [], "", ""
    output = list(asked)[draw % len(asked)]
    pairs = asked[output]
    chosen = [pairs[(draw * MISTAKES + at) % len(pairs)] for at in range(min(MISTAKES, len(pairs)))]
    prompt = fill(
        "format_line",
        goal=context.task.goal,
        output=output,
        pairs=[(value_text(gave), value_text(wanted)) for _, gave, wanted in chosen],
        limit=WORDS,
    )
    line = one_line(await context.ask_text(prompt, "proposals", max_tokens=3 * WORDS, draw=draw))
    return [row for row, _, _ in chosen], prompt, line
