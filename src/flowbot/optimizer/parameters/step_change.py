"""A change of the parameters of one step: which step, by which mistakes, as an option, and as the proposal that came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flowbot.fields import stable_hash
from flowbot.optimizer.feedback.blame import Blame, Blamed
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.feedback.runs import calls_of, failing, varied
from flowbot.optimizer.priors import shipped_priors
from flowbot.optimizer.rendering import LETTERS_PER_TOKEN
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.step_view import REPLY, step_at, steps_of
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import ChoiceParameters, CoreParameters, LLMParameters, Parameters
from flowbot.workflow.prompt import Slot, prompt_text, slots

PROMPT_TOKENS = 2000
"""Ceiling of what a step is told, its own input aside: instruction, hint and worked examples."""

FEWEST_REPLIES = 3
"""Runs that show what a program makes of a reply."""


def told_steps(program: WorkflowProgram) -> Iterator[tuple[str, LLMParameters | ChoiceParameters]]:
    """The steps in which a model answers or chooses and that may be tuned, with what they are told, in the order of the sketch."""
    for step in steps_of(program.workflow):
        told = step.told
        if isinstance(told, LLMParameters | ChoiceParameters) and not step.frozen:
            yield step.path, told


def llm_steps(program: WorkflowProgram) -> Iterator[tuple[str, LLMParameters]]:
    """Of these the LLM calls."""
    return ((path, told) for path, told in told_steps(program) if isinstance(told, LLMParameters))


def text_steps(program: WorkflowProgram, rows: Sequence[Row], *, whole: bool = False) -> list[str]:
    """Paths of the steps that may be tuned, are told something in words and ran in one of these runs.

    Args:
        program: that has them.
        rows: the runs.
        whole: those too whose text is a program, to which no line can be added.
    """
    ran = {slot for row in rows for step in row.trace.steps for slot in step.slots}
    told = ((path, program.workflow.parameter(path)) for path in suspects(program) if path in ran)
    return [path for path, each in told if said(each).strip() or (whole and isinstance(each, CoreParameters))]


@dataclass(frozen=True, slots=True)
class Aim:
    """Which step is to be changed, and by which mistakes.

    Args:
        path: of the step.
        blamed: what was said to find it out.
        rows: failing runs in which it ran, those first that speak against it and those last that speak against another.
        tries: earlier draws that were for it.
    """

    path: str
    blamed: Blamed
    rows: Sequence[Row]
    tries: int = 0

    def mistakes(self, number: int, draw: int) -> list[Row]:
        """So many of the rows, other ones at every draw as far as there are others."""
        first = draw * number
        return [self.rows[at % len(self.rows)] for at in range(first, first + min(number, len(self.rows)))]


async def aim(
    context: Context, program: WorkflowProgram, focus: Focus, blame: Blame, draw: int, *, whole: bool = False
) -> Aim:
    """One of the steps that are told something in words and ran in a failing run, by Thompson sampling over the blame, which is asked
    for at the first draw of whoever shares it. Earlier draws are taken to have failed: otherwise there would be no further one.

    Args:
        context: the running search.
        program: what is changed; one such step it has.
        focus: its rows are those to look at, unless no such step ran in them.
        blame: finds the step.
        draw: each may be another step.
        whole: as of `text_steps`.
    """
    looked = (failing(context.recorded(program, rows)) for rows in (focus.rows, context.training))
    failed = next(rows for rows in looked if text_steps(program, rows, whole=whole))
    blamed = await blame.of(context, program)
    among = replace(blamed, runs={path: blamed.runs[path] for path in text_steps(program, failed, whole=whole)})
    tries, path = Counter[str](), ""
    for number in range(draw + 1):
        path = among.draw(context.rng(f"aim/{program.hash}/{number}"), tries)
        tries[path] += 1
    against = {each.example: False for each in blamed.feedback} | {each.example: True for each in blamed.on(path)}
    wrong = [row for row in failed if calls_of(row, path)]
    order = varied(wrong, context.rng(f"mistakes/{program.hash}"))
    order.sort(key=lambda row: {True: 0, None: 1, False: 2}[against.get(row.example.id)])
    return Aim(path, blamed, order, tries[path] - 1)


def task_outputs(context: Context, program: WorkflowProgram, path: str) -> dict[str, str]:
    """Which output of the task each output of a step is; empty unless all that it gives are outputs of the task.

    What a program makes of a reply its runs show: it is an output where that is, in all that were recorded, what the last call with the
    text replied.
    """
    step = step_at(program.workflow, path)
    gives = step.task_outputs
    if step.kind == "text":
        gives = {REPLY: _replied(context.recorded(program, context.training), path)}
    return gives if all(gives.values()) else {}


def _replied(rows: Sequence[Row], path: str) -> str:
    """The output of the task that the replies told by a text are; "" where there is none."""
    pairs: list[tuple[str, Mapping[str, Any]]] = [
        (str((calls[-1].outputs or {}).get(REPLY, "")).strip(), row.trace.outputs)
        for row in rows
        if row.trace.outputs is not None and (calls := calls_of(row, path))
    ]
    names = list(pairs[0][1]) if len(pairs) >= FEWEST_REPLIES else list[str]()
    return next((name for name in names if all(str(given.get(name)).strip() == said for said, given in pairs)), "")


def with_line(told: Parameters, line: str) -> tuple[str, Slot | None]:
    """What `said` gives with a line more, and the text of the prompt that it is for."""
    found = slots(told.messages) if isinstance(told, LLMParameters) else ()
    return f"{said(told)}\n{line}", found[0] if found else None


def said(told: Parameters) -> str:
    """What a rule is added to: the instruction, or the longest text of a prompt of the user's own."""
    if isinstance(told, LLMParameters) and told.messages:
        found = slots(told.messages)
        return found[0].text if found else ""
    return told.instruction if isinstance(told, LLMParameters | ChoiceParameters) else ""


def prompt_tokens(told: Parameters) -> int:
    """Tokens of what a step is told, its own input aside, roughly: of letters that are not ASCII each is one."""
    texts: list[str] = []
    if isinstance(told, LLMParameters | ChoiceParameters):
        texts.append(told.instruction)
    if isinstance(told, LLMParameters):
        shown = (json.dumps([each.inputs, each.outputs], ensure_ascii=False) for each in told.demonstrations)
        texts += [prompt_text(told.messages), told.format_hint, *shown]
    letters = sum(map(len, texts))
    ascii_letters = sum(letter.isascii() for text in texts for letter in text)
    return letters - ascii_letters + -(-ascii_letters // LETTERS_PER_TOKEN)


def too_long(told: Parameters, before: Parameters) -> str:
    """Why a prompt is not proposed, or the empty string: it passes the ceiling, and is longer than what stands there."""
    now = prompt_tokens(told)
    if now <= max(PROMPT_TOKENS, prompt_tokens(before)):
        return ""
    return f"it would be told about {now} tokens, and {PROMPT_TOKENS} are the most"


def option(
    program: WorkflowProgram,
    arm: Arm,
    title: str,
    *,
    cost: int = 0,
    most: int = 1,
    kinds: Sequence[str] = (),
    **more: Any,
) -> Option:
    """A change that may be tried on exactly this program: on another one the same change is another text.

    Args:
        program: what is changed.
        arm: the kind of change, and the step.
        title: the change, in plain words.
        cost: questions to the meta model that a draw takes at most.
        most: draws that are worth it.
        kinds: of task, where what is believed goes by them; see `task_kinds`.
        more: other members of `Option`.
    """
    level = "parameters"
    prior = shipped_priors().belief(arm.kind, level, kinds)
    key = stable_hash([program.hash, str(arm)])
    return Option(arm, key, title, prior, cost=cost, most=most, level=level, **more)


def proposal(
    program: WorkflowProgram, path: str, parameters: Parameters | None, fault: str, edit: str, **about: Any
) -> Proposal:
    """The program with other parameters at one step, or with none where there are no others or they are too long.

    Args:
        program: what is changed.
        path: of the step.
        parameters: None where none came of it.
        fault: why, then.
        edit: what was done to the step, in words.
        about: the other members of `Proposal`.
    """
    if parameters is not None and (why := too_long(parameters, program.workflow.parameter(path))):
        parameters, fault = None, why
    changed = None if parameters is None else program.with_slot(path, parameters)
    if changed is None or changed.hash == program.hash:
        return Proposal(None, faults=(fault or "nothing changed",), **about)
    return Proposal(changed, edits=(f"{path}: {edit}",), **about)
