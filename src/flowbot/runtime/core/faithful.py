"""The published interpreter of programs in words (CoRE, arXiv 2405.06907), question by question, to compare with.

A step asks: of each result of a tool so far whether it helps (yes or no); the step's instruction itself, at temperature 1; whether a
tool is needed, which, with which arguments, and for a summary of the call; and in a decision which branch the answer means. The
program is not shown. A question with a choice is asked again at a higher temperature where the reply is none.

Its faults are mended, since they would decide the comparison: branches that stand apart by `:::` are kept; where the task has no tools
none is asked for, nor in a terminal, where a call has no effect; arguments are JSON, not cut at commas; replies are not cut at the
first full stop, and a number or a yes is read out of more words; a choice that is never readable fails the step and is not the first branch; at the bound
the outputs are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flowbot.fields import Field
from flowbot.lm.client import Message
from flowbot.runtime.adapter import is_plain, reply_format, show_value
from flowbot.runtime.react import result_text
from flowbot.runtime.trace import Step, ToolCall
from flowbot.workflow.core import CoreStep

from .walk import ANSWER, NEXT, Frame, Talk, Walk, described

RISING = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Temperatures of the tries of a choice."""
_MAIN = 1.0
_FEW_TOKENS = 32
"""Of a reply that is a number, or yes or no."""
_FAILURES = 2
"""Tries of a tool's arguments."""
_TEXT = (Field.of(ANSWER, "str"),)
_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Note:
    """What a tool gave, and the summary by which later steps know of it."""

    summary: str
    result: str


class Faithful(Walk):
    """See the module."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self._notes: dict[str, _Note] = {}
        self._tools = "Tools:\n" + "\n".join(described(each) for each in self.tools) if self.tools else ""
        self._asked = 0

    def said(self, step: Step) -> str:
        """Its answer; of a step that called a tool the summary of that, in its place."""
        note = self._notes.get(step.address)
        return super().said(replace(step, calls=())) if note is None else note.summary

    async def go(self, here: CoreStep, step: Step) -> Step:
        """The questions of a step."""
        talk = Talk()
        answer = await self.answer(talk, here)
        if answer is None:
            return talk.told(step, None)
        if self.tools:
            step = replace(step, calls=await self.called(talk, here, answer, step.address))
        gave = {ANSWER: answer}
        if here.kind == "decision":
            keys = [key for key, _ in here.branches]
            means = (
                f"To the question ```{here.instruction}``` the answer was ```{answer}```. Which of these does it mean?"
            )
            way = await self.pick(talk, means, keys)
            if way is None:
                return talk.told(step, None)
            gave[NEXT] = way
        return talk.told(step, gave)

    async def finish(self, here: CoreStep, step: Step) -> Step:
        """The instruction of the terminal, and the outputs read from its answer by one more question where they are no text."""
        talk = Talk()
        answer = await self.answer(talk, here)
        if answer is None or is_plain(self.outputs):
            return talk.told(step, None if answer is None else {self.outputs[0].name: answer})
        asked = f"{answer}\n\nGive this as data, nothing added. {reply_format(self.outputs)}"
        return talk.told(step, await self.ask(talk, lambda _: [Message("user", asked)], self.outputs))

    async def answer(self, talk: Talk, here: CoreStep) -> str | None:
        """The answer to the step's instruction, shown the results that help."""
        task, helpful = f"Task: {self.shown_inputs()}", list[str]()
        for note in self._notes.values():
            helps = await self.says_yes(
                talk,
                f"{task}\n\nQuestion: {here.instruction}\n\nDo you need the result of this to answer: {note.summary}",
            )
            if helps:
                helpful.append(note.result)

        def messages(room: int) -> list[Message]:
            done = [
                f"Question {number}: ```{each.here.instruction}```\nAnswer {number}: ```{each.text[:room]}```"
                for number, each in enumerate(self.progress, start=1)
            ]
            parts = [self._tools, "\n".join(["Progress:", *done]) if done else "", task]
            parts += ["\n".join(["Results:", *(each[:room] for each in helpful)])] if helpful else []
            parts.append(f"Question: {here.instruction}\n\nAnswer this question alone, briefly.")
            return [Message("user", "\n\n".join(filter(None, parts)))]

        values = await self.ask(talk, messages, _TEXT, temperature=_MAIN, draw=self.draw())
        return None if values is None else show_value(values[ANSWER])

    async def called(self, talk: Talk, here: CoreStep, answer: str, address: str) -> tuple[ToolCall, ...]:
        """The call that a step needs; none where it needs none, or fails to say which."""
        about = f"{self._tools}\n\nQuestion: {here.instruction}\nFirst answer: ```{answer}```\n\n"
        if not await self.says_yes(talk, f"{about}Does a tool have to be called to answer the question in full?"):
            return ()
        name = await self.pick(talk, f"{about}Which tool is it?", [tool.name for tool in self.tools])
        if name is None:
            return ()
        call = ToolCall(name, {}, None)
        for _ in range(_FAILURES):
            wanted = f"{about}With which arguments is {name} to be called? Reply with a JSON object alone."
            call = await self.call(talk, name, await self.say(talk, wanted) or "")
            if call.result is not None:
                given = ", ".join(f"{key}={show_value(value)}" for key, value in call.arguments.items())
                asked = f"Say in a few words what is learnt by calling {name} with {given or 'nothing'}. Name the arguments, not the tool."
                self._notes[address] = _Note(f"{name}({given}): {await self.say(talk, asked) or ''}", result_text(call))
                break
        return (call,)

    async def says_yes(self, talk: Talk, question: str) -> bool:
        """Whether the model says yes; no where it says neither."""
        for temperature in RISING:
            text = await self.say(talk, f'{question}\n\nReply "Yes" or "No".', temperature, _FEW_TOKENS)
            if found := _YES_NO.search(text or ""):
                return found[1].casefold() == "yes"
        return False

    async def pick(self, talk: Talk, question: str, options: Sequence[str]) -> str | None:
        """One of several, by its number; None, and the talk knows why, where none is named at any temperature."""
        listed = "\n".join(f"{number}: {each}" for number, each in enumerate(options, start=1))
        text: str | None = ""
        for temperature in RISING:
            text = await self.say(
                talk, f"{question}\n{listed}\n\nReply with its number alone.", temperature, _FEW_TOKENS
            )
            found = re.search(r"\d{1,4}", text or "")
            if found and 1 <= int(found[0]) <= len(options):
                return options[int(found[0]) - 1]
        talk.error = f"no branch is named in {text!r:.80}" if text else talk.error
        return None

    async def say(
        self, talk: Talk, question: str, temperature: float = 0.0, max_tokens: int | None = None
    ) -> str | None:
        """What the model replies to one question."""
        more = {} if max_tokens is None else {"max_tokens": max_tokens}
        draw = self.draw() if temperature else ()
        values = await self.ask(
            talk, lambda _: [Message("user", question)], _TEXT, temperature=temperature, draw=draw, **more
        )
        return None if values is None else show_value(values[ANSWER])

    def draw(self) -> tuple[int | str, ...]:
        """That of the next call above temperature 0: the calls of a run are numbered."""
        self._asked += 1
        return (*self.frame.draw, self._asked)
