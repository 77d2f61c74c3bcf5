"""The compact interpreter: a step is one call that gives its answer, with it the tool to call, and of a decision the way on. A decision
that calls a tool is asked once more, since what the tool gave may decide.

What is constant stands first, the program and the tools, so that an endpoint can reuse the prefix over all steps and examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flowbot.fields import Field, Type
from flowbot.lm.client import Message
from flowbot.runtime.adapter import is_plain, reply_format
from flowbot.runtime.trace import Step, ToolCall
from flowbot.workflow.core import FORM, CoreStep

from .walk import ANSWER, NEXT, Frame, Talk, Walk, called_text, described

TOOL, ARGUMENTS = "tool", "arguments"
NO_TOOL = "no tool"
"""Says that none is called; no tool has such a name."""
_INTRO = f"""Carry out a program step by step. A line of it is a step: {FORM}. \
Do the step that you are asked for and no other, in few words."""
_LAST = "No steps are left. Give the outputs from what is known."


class Compact(Walk):
    """See the module."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        told = [_INTRO, f"Program:\n{frame.told.program.strip()}"]
        if self.tools:
            told.append("Tools:\n" + "\n".join(described(each) for each in self.tools))
        self._system = Message("system", "\n\n".join(told))

    async def go(self, here: CoreStep, step: Step) -> Step:
        """One call, and the tool's; of a decision that called one another."""
        talk = Talk()
        asked = [Field(ANSWER, Type("str"))]
        ways = [Field(NEXT, Type("literal", options=tuple(key for key, _ in here.branches)))] if _decides(here) else []
        values = await self.asked_for(talk, here, [*asked, *self.tool_fields(), *ways])
        if values is None:
            return talk.told(step, None)
        if (name := values.pop(TOOL, NO_TOOL)) != NO_TOOL:
            call = await self.call(talk, name, values.get(ARGUMENTS, ""))
            step = replace(step, calls=(call,))
            if ways:
                values = await self.asked_for(talk, here, [*asked, *ways], call)
        return talk.told(step, values and {each: values[each] for each in (ANSWER, NEXT) if each in values})

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
            done = [f"{each.name}: {_cut(each.text, room)}" for each in self.progress]
            said = [self.shown_inputs()]
            said += ["Done so far:\n" + "\n".join(done)] if done else []
            said.append(f"Now {here.name}: {here.instruction}")
            said += [f"You have called {_cut(called_text(call), room)}"] if call is not None else []
            said += [_LAST] if fields == self.outputs and here.kind != "terminal" else []
            said += [] if is_plain(fields) else [reply_format(fields)]
            return [self._system, Message("user", "\n\n".join(said))]

        return await self.ask(talk, messages, fields)


def _decides(here: CoreStep) -> bool:
    return here.kind == "decision"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
