"""The compact interpreter: a step is one call that gives its answer, of a decision the way on, and with it the tool to call. A decision
that calls a tool is asked once more, since what the tool gave may decide.

The run is a chat, a turn a step, so that each request begins with the one before and an endpoint reads that once. The program itself is
not shown: small models, asked for one of its steps, write its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flowbot.fields import Field, Type
from flowbot.lm.client import Message
from flowbot.runtime.adapter import is_plain, reply_format
from flowbot.runtime.trace import Step, ToolCall
from flowbot.workflow.core import CoreStep

from .walk import ANSWER, NEXT, Frame, Talk, Walk, called_text, described, gave_text

TOOL, ARGUMENTS = "tool", "arguments"
NO_TOOL = "no tool"
"""Says that none is called; no tool has such a name."""
_INTRO = "The user carries out a program with you, a step at a time. Do each step from what is given, in few words."
_LAST = "No steps are left. Give the outputs from what is known."
_NOTHING = "(nothing)"


class Compact(Walk):
    """See the module."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        tools = ["Tools:\n" + "\n".join(described(each) for each in self.tools)] if self.tools else []
        self._system = Message("system", "\n\n".join([_INTRO, *tools]))

    async def go(self, here: CoreStep, step: Step) -> Step:
        """One call, and the tool's; of a decision that called one another."""
        talk, decides = Talk(), here.kind == "decision"
        way = Field(NEXT, Type("literal", options=tuple(key for key, _ in here.branches)))
        gives = way if decides else Field(ANSWER, Type("str"))
        fields = [*self.tool_fields(), way] if decides else [gives, *self.tool_fields()]
        values = await self.asked_for(talk, here, fields)
        if values is not None and (name := values.get(TOOL, NO_TOOL)) != NO_TOOL:
            call = await self.call(talk, name, values.get(ARGUMENTS, ""))
            step = replace(step, calls=(call,))
            if decides:
                values = await self.asked_for(talk, here, [way], call)
        return talk.told(step, values and {gives.name: values[gives.name]})

    async def finish(self, here: CoreStep, step: Step) -> Step:
        """One call for the outputs."""
        talk = Talk()
        return talk.told(step, await self.asked_for(talk, here, self.outputs))

    def tool_fields(self) -> list[Field]:
        """What asks for a call."""
        if not self.tools:
            return []
        names = tuple(tool.name for tool in self.tools)
        return [
            Field(TOOL, Type("literal", options=(NO_TOOL, *names))),
            Field(ARGUMENTS, Type("str"), "of the tool, as a JSON object"),
        ]

    async def asked_for(
        self, talk: Talk, here: CoreStep, fields: Sequence[Field], call: ToolCall | None = None
    ) -> dict[str, Any] | None:
        """What the model says in a step, after a call of it where there was one."""

        def messages(room: int) -> list[Message]:
            chat, said = [self._system], [self.shown_inputs()]
            for each in self.progress:
                chat.append(Message("user", "\n\n".join([*said, each.here.instruction])))
                chat.append(Message("assistant", _cut(gave_text(each.step), room) or _NOTHING))
                said = [_called(made, room) for made in each.step.calls]
            said += [here.instruction, *([] if call is None else [_called(call, room)])]
            said += [_LAST] if fields == self.outputs and here.kind != "terminal" else []
            said += [] if is_plain(fields) else [reply_format(fields)]
            return [*chat, Message("user", "\n\n".join(said))]

        return await self.ask(talk, messages, fields)


def _called(call: ToolCall, room: int) -> str:
    return f"You have called {_cut(called_text(call), room)}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
