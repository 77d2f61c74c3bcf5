"""The way of a run through a program in words: step by step to a terminal, each traced with what it read. What a step asks of the
model an interpreter says."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowbot.fields import Field, ModelError, StepError, ToolSignature
from flowbot.lm.client import TOO_LONG, Draw, Message, Reply, ToolUse
from flowbot.runtime.adapter import show_inputs, show_value
from flowbot.runtime.jsonlike import to_json
from flowbot.runtime.react import RESULT_CHARACTERS, SHORTER, result_text
from flowbot.runtime.services import DEFAULT_MAX_TOKENS, Services, end_of, fields_of, with_exchange
from flowbot.runtime.tool_arguments import read_arguments, tool_named
from flowbot.runtime.trace import Step, StepEdge, ToolCall
from flowbot.runtime.values import Ended, Value
from flowbot.workflow.core import CoreStep, folded, read_core
from flowbot.workflow.graph import free_name

if TYPE_CHECKING:
    from flowbot.workflow.nodes import CoreNode
    from flowbot.workflow.parameters import CoreParameters

ANSWER, NEXT = "answer", "next"
"""What a step gives: its answer, and of a decision the key of the branch that is taken."""
_HOW = "declared"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a run knows of its node.

    Args:
        services: models and tools.
        node: the node.
        told: its parameters; the checker has found nothing wrong with the program.
        holder: the node's own step as far as it is known.
        read: the values of its inputs, by name.
        purpose: what the ledger charges the calls to.
        draw: which sample, but for the number of the call; for calls above temperature 0.
    """

    services: Services
    node: CoreNode
    told: CoreParameters
    holder: Step
    read: Mapping[str, Value]
    purpose: str
    draw: Draw = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A step that is done.

    Args:
        here: as the program has it.
        step: as the trace has it.
        text: what later ones are shown of it.
    """

    here: CoreStep
    step: Step
    text: str

    @property
    def key(self) -> str:
        """How it is called among the inputs of a later step: `step-3[2]`."""
        return self.step.address.rpartition("/")[2]


class Walk(ABC):
    """One run of a program.

    Args:
        frame: what is known of its node.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.program = read_core(frame.told.program)[0]
        self.outputs = fields_of(frame.node.out)
        self.lm = frame.services.model(frame.told.model)
        self.tools = tuple(frame.services.signatures[name] for name in frame.told.tools)
        self.most = frame.told.max_tokens or DEFAULT_MAX_TOKENS
        self.progress: list[Entry] = []
        self.steps: list[Step] = []
        self._visits: Counter[str] = Counter()
        self._slugs = dict(_slugs(step.name for step in self.program.steps))

    @abstractmethod
    async def go(self, here: CoreStep, step: Step) -> Step:
        """Carry out a process or decision: the step with `answer`, of a decision with `next`, among its outputs, or with its error."""

    @abstractmethod
    async def finish(self, here: CoreStep, step: Step) -> Step:
        """Give the outputs of the node: the step with them, or with its error."""

    async def run(self) -> Ended:
        """From the first step to a terminal; at the bound the outputs are asked for wherever the run stands.

        Raises:
            RefusedError, InfrastructureError, BudgetExceeded, Paused: as `LM.ask`.
        """
        by_name, here, holder = self.program.by_name(), self.program.first, self.frame.holder
        most = self.frame.node.max_steps
        for number in range(1, most + 1):
            ends = here.kind == "terminal" or number == most
            step = await (self.finish if ends else self.go)(here, self.begun(here))
            self.steps.append(step)
            if step.outputs is None or ends:
                break
            self.progress.append(Entry(here, step, self.said(step)))
            here = by_name[dict(here.branches)[step.outputs[NEXT]] if NEXT in step.outputs else here.branches[0][1]]
        last = self.steps[-1]
        if last.error:
            holder = replace(holder, error=f"{here.name}: {last.error}")
        else:
            bound = here.kind != "terminal"
            note = f"stopped at its bound of {most} steps, in {here.name}" if bound else ""
            edges = (StepEdge(last.address, "out", _HOW),)
            holder = replace(holder, outputs=last.outputs, note=note, edges=edges)
        return end_of(replace(holder, seconds=sum(step.seconds for step in self.steps)), self.steps)

    def begun(self, here: CoreStep) -> Step:
        """The next step as far as it is known before anything is asked: where it stands, and what it is shown."""
        slug = self._slugs[here.name]
        self._visits[slug] += 1
        values = {**self.frame.holder.inputs, **{each.key: each.text for each in self.progress}}
        edges = [StepEdge(by, f"in.{name}", _HOW) for name, value in self.frame.read.items() for by in value.by]
        edges += [StepEdge(each.step.address, f"in.{each.key}", _HOW) for each in self.progress]
        return Step(
            f"{self.frame.holder.address}/{slug}[{self._visits[slug]}]",
            "model",
            values,
            None,
            reads=tuple(dict.fromkeys((*self.frame.holder.reads, *(each.source for each in edges)))),
            texts=(self.frame.holder.node,),
            edges=tuple(edges),
        )

    def said(self, step: Step) -> str:
        """What later steps are shown of one that is done."""
        return "\n".join([gave_text(step), *map(called_text, step.calls)])

    def shown_inputs(self) -> str:
        """The inputs of the node."""
        return show_inputs(self.frame.node, self.frame.holder.inputs)

    async def ask(
        self, talk: Talk, messages: Callable[[int], Sequence[Message]], fields: Sequence[Field], **settings: Any
    ) -> dict[str, Any] | None:
        """The values of some fields, or None, and the talk knows why.

        Args:
            talk: what is asked for the step so far. Added to.
            messages: those that show so many characters of each step before; fewer where the chat is longer than the model's context.
            fields: what is asked for.
            settings: of `LM.ask_fields`, where they are others than usual.
        """
        asked: dict[str, Any] = {"purpose": self.frame.purpose, "max_tokens": self.most}
        for room in (RESULT_CHARACTERS, *SHORTER):
            talk.asked = tuple(messages(room))
            try:
                answer = await self.lm.ask_fields(talk.asked, fields, **{**asked, **settings})
                talk.replies += answer.replies
                return dict(to_json(answer.values, "reply"))
            except (ModelError, StepError) as fault:
                talk.replies += getattr(fault, "replies", ())
                talk.error = str(fault)
            if not talk.error.startswith(TOO_LONG):
                break
        return None

    async def call(self, talk: Talk, name: str, arguments: str) -> ToolCall:
        """One call of a tool that the last reply asked for; what goes wrong by the model's or the tool's fault is told, not raised."""
        use, read = ToolUse(name, arguments), dict[str, Any]()
        cut_at = self.most if talk.replies and talk.replies[-1].finish == "length" else None
        try:
            tool = tool_named(use, self.tools, cut_at=cut_at)
            read = read_arguments(use, tool, cut_at=cut_at)
            outputs, seconds = await self.frame.services.tools.call(tool.name, read)
        except StepError as error:
            return ToolCall(name, read, None, str(error))
        return ToolCall(tool.name, read, outputs, seconds=seconds)


class Talk:
    """What was asked for one step, and what came."""

    def __init__(self) -> None:
        self.asked: tuple[Message, ...] = ()
        self.replies: list[Reply] = []
        self.error = ""

    def told(self, step: Step, outputs: Mapping[str, Any] | None) -> Step:
        """The step with it, and with its outputs where there are some."""
        return with_exchange(step, "" if outputs is not None else self.error, self.asked, self.replies, outputs)


def gave_text(step: Step) -> str:
    """The answer of a step, and of a decision the way that it took."""
    gave = step.outputs or {}
    return " → ".join(show_value(gave[name]) for name in (ANSWER, NEXT) if name in gave).strip()


def called_text(call: ToolCall) -> str:
    """A call and what came of it, in a line as a later step reads it."""
    given = ", ".join(f"{name}: {show_value(value)}" for name, value in call.arguments.items())
    return f"{call.tool}({given}): {result_text(call)}"


def described(tool: ToolSignature) -> str:
    """A tool in a line, as `- lookup(item: str, day: str?): what is in stock`; a question mark stands at what may be left out."""
    takes = ", ".join(f"{field.name}: {field.type}{'?' * (field.name in tool.optional)}" for field in tool.inputs)
    return f"- {tool.name}({takes}): {tool.about}"


def _slugs(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """How each step is called in addresses, no two alike."""
    taken: set[str] = set()
    for name in names:
        slug = free_name(re.sub(r"\W+", "-", folded(name)).strip("-") or "step", taken)
        taken.add(slug)
        yield name, slug
