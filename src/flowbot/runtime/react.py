"""A model that calls tools before it answers, in the manner of ReAct (Yao et al., arXiv 2210.03629), bounded.

Each round the model asks for calls, which are made side by side, and reads their results; when it asks for none, or
its rounds are over, it answers. Whether the endpoint has tool calls of its own is the client's affair: see `lm.openai`.
"""

from __future__ import annotations

from asyncio import Task, create_task
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbot.fields import Field, ModelError, StepError, ToolSignature, UserError, ValueMismatch, canonical_json
from flowbot.fields.bounds import NAME, bounded
from flowbot.lm.answers import AnswerError, ask_fields, read_lone, read_values, refusal_text
from flowbot.lm.client import TOO_LONG, Message, Reply, Request, ToolUse
from flowbot.lm.thinking import with_higher_limit
from flowbot.lm.thoughts import without_thought

from .adapter import is_plain, show_value
from .jsonlike import to_json
from .together import together
from .tool_arguments import read_arguments, tool_named
from .trace import ToolCall

if TYPE_CHECKING:
    from flowbot.lm.lm import LM, Draw

    from .tools import ToolRunner

RESULT_CHARACTERS = 4000
"""Of a call's result that the model is shown; the trace holds all of it."""
CALLS_AT_ONCE = 8
"""Calls of one reply that are made; the model is told that the others were not."""
_RETRIES = 1
SHORTER = (1000, 250)
"""To how many characters results are cut, one after the other, where the chat grows longer than the model's context."""
_AGAIN = "You have made this very call before; its result has not changed, and stands above."
_LAST = "\n\nNo calls are left. Give the answer."
_READY = "I know enough."
_ANSWER = "Give the answer."


@dataclass(frozen=True, slots=True)
class Reacted:
    """How a loop of calls ended.

    Args:
        values: the outputs by name, as JSON data; None when there are none.
        error: why there are none; "" otherwise.
        messages: the whole chat, as it was sent last.
        replies: every reply, in order.
        calls: every call that the model asked for, in order; one that was not made has an error.
    """

    values: dict[str, Any] | None
    error: str
    messages: tuple[Message, ...]
    replies: tuple[Reply, ...]
    calls: tuple[ToolCall, ...]


async def react(
    lm: LM,
    tools: ToolRunner,
    signatures: Mapping[str, ToolSignature],
    asked: tuple[Message, ...],
    fields: Sequence[Field],
    *,
    allowed: Sequence[str],
    rounds: int,
    purpose: str,
    draw: Draw = (),
    max_tokens: int,
    temperature: float,
    own_words: bool = False,
) -> Reacted:
    """Let a model call tools, at most `rounds` times over, and then answer.

    What goes wrong by the model's fault (an unknown tool, arguments that do not fit, a tool that fails) is told to it
    as the call's result. The very same call is made once; the model is told so. At most `rounds` requests offer tools;
    the answer takes one more, and those that asking again takes. A text that is the answer already takes none.

    Args:
        lm: the model.
        tools: calls them.
        signatures: of the registered tools, by name.
        asked: the messages that ask for the answer.
        fields: the outputs wanted.
        allowed: names of the tools that the model may call.
        rounds: at least 1.
        purpose: what the ledger charges the calls to.
        draw: which sample; () at temperature 0.
        max_tokens: ceiling of each answer; thoughts have room besides.
        temperature: of each reply.
        own_words: whether `asked` is a prompt of the user's own; see `LM.ask_fields`.

    Raises:
        UserError: if an allowed tool is not registered.
        RefusedError, InfrastructureError, BudgetExceeded, Paused: as `LM.ask`.
    """
    for name in allowed:
        if name not in signatures:
            raise UserError("workflow", f"tool {name!r}", f"one of the registered tools: {', '.join(signatures)}")
    offered = tuple(signatures[name] for name in allowed)
    request = Request(asked, await lm.limit(max_tokens), temperature, tools=offered, own_words=own_words)
    return await _Loop(lm, tools, tuple(fields), purpose, draw, request).run(rounds)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A call that can be made; equal calls have equal keys."""

    tool: str
    arguments: dict[str, Any]
    key: str
    writes: bool


class _Loop:
    """One loop: the request as it grows, and what came of it."""

    def __init__(
        self, lm: LM, tools: ToolRunner, fields: tuple[Field, ...], purpose: str, draw: Draw, request: Request
    ) -> None:
        self.lm, self.tools, self.fields, self.purpose, self.draw = lm, tools, fields, purpose, draw
        self.request = request
        self.replies: list[Reply] = []
        self.calls: list[ToolCall] = []
        self.made: dict[str, ToolCall] = {}

    async def run(self, rounds: int) -> Reacted:
        """The rounds, then the answer."""
        roomier = False
        for number in range(1, rounds + 1):
            try:
                reply = await self.lm.ask(self.request, purpose=self.purpose, draw=self.draw)
            except ModelError as error:
                if not self.shorten(error):
                    return self.ended(None, str(error))
                break  # what is known must do
            self.replies.append(reply)
            text = without_thought(reply.text)
            if reply.finish == "refusal":
                return self.ended(None, f"the model refused: {refusal_text(text)}")
            if reply.calls:
                results = await self.call_all(reply)
                if number == rounds:
                    results[-1] += _LAST
                self.say(Message("assistant", text, reply.calls), *(Message("tool", each) for each in results))
            elif not text and not reply.ready and reply.finish == "length" and not roomier:
                # All of it went into thinking.
                roomier = True
                self.request = with_higher_limit(self.request, reply)
            else:
                values = None if reply.ready else self.read(text, whole=reply.finish != "length")
                if values is not None:
                    return self.ended(values, "")
                if text or reply.ready:
                    self.say(Message("assistant", text or _READY), Message("user", _ANSWER))
                break
        return await self.answer()

    async def answer(self) -> Reacted:
        """Ask for the outputs, without calls."""
        self.request = replace(self.request, tool_choice="none")
        while True:
            try:
                ask = partial(self.lm.ask, purpose=self.purpose, draw=self.draw)
                answer = await ask_fields(ask, self.request, self.fields, retries=_RETRIES)
            except AnswerError as error:
                self.replies += error.replies
                if self.shorten(error):
                    continue
                self.request = error.request
                return self.ended(None, str(error))
            self.request = answer.request
            self.replies += answer.replies
            return self.ended(answer.values, "")

    def shorten(self, error: ModelError) -> bool:
        """Cut the results in a chat that is longer than the model's context; False if that is not it, or none is long."""
        if not str(error).startswith(TOO_LONG):
            return False
        longest = max((len(m.content) for m in self.request.messages if m.role == "tool"), default=0)
        room = next((each for each in SHORTER if each < longest), None)
        if room is None:
            return False
        cut = (
            replace(m, content=f"{m.content[: room - 1]}…") if m.role == "tool" and len(m.content) > room else m
            for m in self.request.messages
        )
        self.request = replace(self.request, messages=tuple(cut))
        return True

    def read(self, text: str, *, whole: bool) -> dict[str, Any] | None:
        """The outputs in a reply without calls; None if it is not the answer yet."""
        if not text:
            return None
        lone = self.request.own_words and len(self.fields) == 1
        if is_plain(self.fields) and not lone:
            return {self.fields[0].name: text}
        structured = not lone or self.fields[0].type.kind in ("list", "object")
        if structured and text[0] not in "{[`":
            return None  # it speaks; what could be dug out of that need not be what it means
        try:
            return read_lone(text, self.fields, whole=whole) if lone else read_values(text, self.fields)
        except ValueMismatch:
            return None

    async def call_all(self, reply: Reply) -> list[str]:
        """Make the calls of a reply side by side; what the model is told of each, in order.

        A call that only reads is made once, until a call that writes may have changed what it reads. One that writes is
        made as often as it is asked for.
        """
        planned = [self.plan(use, number, reply) for number, use in enumerate(reply.calls)]
        tasks: dict[str, Task[ToolCall]] = {}
        for number, each in enumerate(planned):
            if isinstance(each, _Planned) and each.key not in self.made:
                name = f"{each.key} {number}" if each.writes else each.key
                if name not in tasks:
                    tasks[name] = create_task(self.call(each))
        made = dict(zip(tasks, await together(list(tasks.values())), strict=True))
        results: list[str] = []
        fresh = set(made)
        for number, each in enumerate(planned):
            again = False
            if isinstance(each, ToolCall):
                call = each
            else:
                name = f"{each.key} {number}" if each.writes else each.key
                again = name not in fresh
                fresh.discard(name)
                call = replace(self.made.get(name) or made[name], seconds=0.0) if again else made[name]
            self.calls.append(call)
            results.append(_AGAIN if again else result_text(call))
        wrote = any(isinstance(each, _Planned) and each.writes for each in planned)
        self.made = {} if wrote else self.made | made
        return results

    def plan(self, use: ToolUse, number: int, reply: Reply) -> _Planned | ToolCall:
        """The call that is meant; where it cannot be made, what is recorded instead."""
        cut_at = self.request.max_tokens if reply.finish == "length" else None
        try:
            if number >= CALLS_AT_ONCE:
                raise StepError(f"not made: at most {CALLS_AT_ONCE} calls at once")
            if reply.slip and not use.name:
                raise StepError(f"this is no call that can be read: {reply.slip}")
            tool = tool_named(use, self.request.tools, cut_at=cut_at)
            arguments = read_arguments(use, tool, cut_at=cut_at)
        except StepError as error:
            return ToolCall(bounded(use.name, NAME), {}, None, str(error))
        return _Planned(tool.name, arguments, canonical_json([tool.name, arguments]), tool.effects == "writes")

    async def call(self, planned: _Planned) -> ToolCall:
        """Make one call; a tool that fails is told of, not raised."""
        try:
            outputs, seconds = await self.tools.call(planned.tool, planned.arguments)
        except StepError as error:
            return ToolCall(planned.tool, planned.arguments, None, str(error))
        return ToolCall(planned.tool, planned.arguments, outputs, seconds=seconds)

    def say(self, *messages: Message) -> None:
        """Add to the chat."""
        self.request = replace(self.request, messages=(*self.request.messages, *messages))

    def ended(self, values: dict[str, Any] | None, error: str) -> Reacted:
        """The end, with all that was said."""
        if values is not None:
            try:
                values = to_json(values, "reply")
            except StepError as fault:
                values, error = None, str(fault)
        return Reacted(values, error, self.request.messages, tuple(self.replies), tuple(self.calls))


def result_text(call: ToolCall) -> str:
    """What a model is told of a call: its result, cut to a bounded length, or why it failed."""
    if call.result is None:
        text = f"Error: {call.error}"
    elif list(call.result) == ["result"]:
        text = show_value(call.result["result"])
    else:
        text = show_value(dict(call.result))
    left = len(text) - RESULT_CHARACTERS
    return text if left <= 0 else f"{text[:RESULT_CHARACTERS]} … (cut: {left} more characters)"
