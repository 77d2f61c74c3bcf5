"""Backward: textual gradients through the recorded run, call by call, against the direction of the data.

Two ways, over the same links (see `links`). By layers, one text a call (FlowBot, arXiv 2604.26258):

    last layer      g_K = grad_loss(x_K, y, loss)
    earlier layer   g_k = grad_call(x_k, x_{k+1}, g_{k+1})

By parts (LLM-AutoDiff, arXiv 2501.16673): what was said of a call's output, then what of it each parameter and each input caused,
asked for in one question a call (see `question`):

    output          g_k       = what the readers of call k said of the inputs that it fed, and the loss where it gave an output
    parameters      g_k.p     = grad_parts(x_k, g_k) for every p that may be changed
    inputs          g_k.in.n  = grad_parts(x_k, g_k) for every n that another call gave

A part that is not at fault has no feedback, and a call that none reaches is not asked about: the flow stops there. Steps that do
not wait for each other are asked about side by side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import Task as AsyncTask
from asyncio import create_task
from collections.abc import Iterable, Mapping, Sequence

from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import (
    expected_text,
    fair_share,
    instruction_text,
    loss_text,
    output_text,
    shown_values,
    value_text,
    values_text,
)
from flowbot.optimizer.seams import Context
from flowbot.optimizer.step_view import call_view
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of, together
from flowbot.runtime.trace import Step

from .links import Link, Links, links_of, readers_of
from .loss import said_of_end, wrong_outputs
from .parts import is_not_here, is_tuned_part, suspects
from .question import SEEN_TOKENS, Heard, ask_parts, passed_on, questions_of
from .runs import PERFECT, calls_of

Gradients = Mapping[str, tuple[Feedback, ...]]
"""Feedback by the address of a call, the last call first: on what it gave (part ""), on its parameters, on its inputs (`in.NAME`)."""
MAX_TOKENS = 100


def feedback_on(path: str, rows: Iterable[Row], gradients: Iterable[Gradients]) -> list[Feedback]:
    """What was said of the calls of one step, what they gave and its parameters, run by run, of each run in the order in which its calls
    were made; nothing where all of it says that the fault lies elsewhere, so that no new text is paid for.

    Args:
        path: of the step.
        rows: recorded runs.
        gradients: of each of them.
    """
    found = [
        said
        for row, run in zip(rows, gradients, strict=True)
        for address in reversed(list(said_of(path, row, run)))
        for said in run[address]
        if not said.part or is_tuned_part(said.part)
    ]
    return [] if all(is_not_here(each.text) for each in found) else found


def said_of(path: str, row: Row, gradients: Gradients) -> list[str]:
    """Addresses of the calls of one step of which something was said, the last call first."""
    calls = {step.address for step in calls_of(row, path)}
    return [address for address in gradients if address in calls]


def all_said(gradients: Iterable[Gradients]) -> tuple[Feedback, ...]:
    """All that was said of some runs, run by run."""
    return tuple(each for run in gradients for of_call in run.values() for each in of_call)


def most_questions(program: WorkflowProgram, row: Row, until: str | None = None, parts: bool = False) -> int:
    """Questions to the meta model that `backward` takes: by parts at most, since the flow may stop."""
    links = _linked(program, row, until)
    linked = [step for step in row.trace.steps if step.address in links]
    if not parts:
        return sum(call_view(program.workflow, step).tuned for step in linked)
    if row.score.value >= PERFECT:
        return 0
    return sum(questions_of(program, row, step) for step in linked)


async def backward(
    context: Context, program: WorkflowProgram, row: Row, *, until: str | None = None, parts: bool = False
) -> Gradients:
    """Gradients of one scored run, the last call first. What the meta model failed to say is left out.

    A node with a body has none: its steps have.

    Args:
        context: asks the meta model, and says what of a mistake is told.
        program: what was run.
        row: a recorded run of it.
        until: path of a node: back to its calls and no further; None: to the first.
        parts: on every part of a call, from what its readers said of theirs, and of a run with the best score nothing; False: by
            layers, as in the FlowBot paper.

    Raises:
        BudgetExceeded, PlanUsed, InfrastructureError, Paused: as questions to the meta model.
    """
    if parts and row.score.value >= PERFECT:
        return {}
    (told,) = context.told(program, [row])
    links = _linked(program, row, until)
    walk = _Parts(context, program, told, links) if parts else _Layers(context, program, told, links)
    tasks: dict[str, AsyncTask[tuple[Feedback, ...]]] = {}

    async def gradient(step: Step) -> tuple[Feedback, ...]:
        later = {each: await tasks[each] for each in readers_of(links[step.address])}
        return await walk.of(step, later)

    for step in reversed(row.trace.steps):
        if step.address in links:
            tasks[step.address] = create_task(gradient(step))
    found = await together(list(tasks.values()))
    return {address: said for address, said in zip(tasks, found, strict=True) if said}


async def backward_all(
    context: Context, program: WorkflowProgram, rows: Sequence[Row], *, until: str | None = None, parts: bool = False
) -> list[Gradients]:
    """As `backward` of several runs side by side, in the order of the rows."""
    return await all_of(backward(context, program, row, until=until, parts=parts) for row in rows)


def _linked(program: WorkflowProgram, row: Row, until: str | None) -> Links:
    """The calls that gradients are made of: none that what may be changed neither makes nor goes into."""
    links = links_of(program, row, until)
    free, found = set(suspects(program)), set[str]()
    slots = {step.address: step.slots for step in row.trace.steps}
    for address, ways in links.items():
        if address in found or free.intersection(slots[address]):
            found.update((address, *(each.reader for each in ways)))
    return {address: ways for address, ways in links.items() if address in found}


class _Walk(ABC):
    """What is known on the way back through one run."""

    def __init__(self, context: Context, program: WorkflowProgram, row: Row, links: Links) -> None:
        self.context, self.program, self.row, self.links = context, program, row, links
        self.steps = {step.address: step for step in row.trace.steps}

    @abstractmethod
    async def of(self, step: Step, later: Mapping[str, tuple[Feedback, ...]]) -> tuple[Feedback, ...]:
        """The gradients of one call from those of the calls that it went on to, in the order of the run."""

    def said(self, step: Step, text: str, after: Sequence[Feedback], *, part: str = "", meta: bool) -> Feedback:
        """Feedback on a part of a call."""
        return self.context.feedback(
            self.program.hash,
            self.row.example.id,
            step.address,
            text,
            part=part,
            source="meta" if meta else "rule",
            after=[each.id for each in after],
        )


class _Layers(_Walk):
    """One text a call. A step that nothing tunes passes on what it got, at no cost; where it comes last, what was expected. So does one
    of which the meta model says that the fault lies elsewhere: what went wrong must reach the step that it was handed to by."""

    def __init__(self, context: Context, program: WorkflowProgram, row: Row, links: Links) -> None:
        super().__init__(context, program, row, links)
        self.carried: dict[str, str] = {}
        """Of a call that is not at fault what those before it are told: what was said of the calls after it."""

    async def of(self, step: Step, later: Mapping[str, tuple[Feedback, ...]]) -> tuple[Feedback, ...]:
        after = [each for said in later.values() for each in said]
        if later and not after:
            return ()  # of nothing that was said nothing is the cause
        heard = {address: "\n".join(each.text for each in said) for address, said in later.items()}
        loss = f"Expected of the workflow: {expected_text(self.row)}. Score: {loss_text(self.row)}"
        if tuned := call_view(self.program.workflow, step).tuned:
            text = await self.ask(step, heard)
        else:
            text = "\n".join(self.carried.get(each, said) for each, said in heard.items() if said) or loss
        if text and is_not_here(text) and self.row.score.value < PERFECT:
            onward = (self.carried.get(each, f"Of `{each}`: {said}") for each, said in heard.items() if said)
            self.carried[step.address] = "\n".join(onward) or loss
        return (self.said(step, text, after, meta=tuned),) if text else ()

    async def ask(self, step: Step, heard: Mapping[str, str]) -> str:
        """`grad_loss` of a last call, `grad_call` of another."""
        readers = [
            (self.steps[address], f"{text}\n{self.carried[address]}" if address in self.carried else text)
            for address, text in heard.items()
        ]
        told = "\n".join(instruction_text(self.program.workflow, each) for each in step.slots)
        values = [value for reader, text in readers for value in (*shown_values(reader), text)]
        ends = () if heard else (*self.row.example.expected.values(), self.row.score.feedback)
        seen = [told, *step.inputs.values(), *shown_values(step), *values, *ends]
        most = fair_share(seen, SEEN_TOKENS[self.context.meta_mode])
        shared = {
            "goal": self.context.task.goal,
            "step": step.address,
            "instruction": value_text(told, most),
            "inputs": values_text(step.inputs, most=most),
            "output": output_text(step, most),
        }
        if heard:
            shown = [
                {"step": reader.address, "output": output_text(reader, most), "feedback": value_text(text, most)}
                for reader, text in readers
            ]
            if any(not link.reader and link.how == "skip" for link in self.links[step.address]):
                given = values_text(self.row.trace.outputs, most=most)
                shown.append({"step": "the result", "output": given, "feedback": loss_text(self.row, most)})
            prompt = fill("grad_call", **shared, successors=shown)
        else:
            expected, loss = expected_text(self.row, most), loss_text(self.row, most)
            prompt = fill("grad_loss", **shared, expected=expected, loss=loss)
        return await self.context.ask_text(prompt, "gradients", max_tokens=MAX_TOKENS)


class _Parts(_Walk):
    """Feedback on every part of a call that something said of its output reaches."""

    async def of(self, step: Step, later: Mapping[str, tuple[Feedback, ...]]) -> tuple[Feedback, ...]:
        heard = [each for link in self.links[step.address] if (each := self.heard(link, later))]
        if not heard:
            return ()
        causes = [each.said for each in heard if each.said]
        text = "\n".join(each.text for each in heard)
        output = self.said(step, text, causes, meta=False)
        direct = passed_on(self.program, self.row, step)
        if direct is not None:
            return (output, *(self.said(step, text, [output], part=part, meta=False) for part in direct))
        found = await ask_parts(self.context, self.program, self.row, step, heard)
        return (output, *(self.said(step, text, [output], part=part, meta=True) for part, text in found.items()))

    def heard(self, link: Link, later: Mapping[str, tuple[Feedback, ...]]) -> Heard | None:
        """What one reader, or the loss, says of what a call gave; None for nothing."""
        if not link.reader:
            if link.part and link.part not in wrong_outputs(self.row, self.context.task.metric):
                return None
            return Heard(link, said_of_end(self.row, link.part))
        if not link.taken:
            return None
        said = next((each for each in later[link.reader] if each.part == link.part), None)
        return None if said is None else Heard(link, said.text, said)
