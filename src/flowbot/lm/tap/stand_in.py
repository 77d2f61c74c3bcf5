"""The run's own model in place of those that a program names: it answers what the program's clients ask in OpenAI's protocols."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError, ModelError, RefusedError, Usage, stable_hash
from flowbot.lm.client import Draw, Raw, Reply, Request
from flowbot.lm.proxy.access import MAX_TOKENS, each_of
from flowbot.lm.proxy.bodies import Asked as Wanted
from flowbot.lm.proxy.bodies import BadRequest, event_text
from flowbot.lm.proxy.chat import chat_answer, chat_events, read_chat
from flowbot.lm.proxy.faults import explain
from flowbot.lm.proxy.responses import read_response, response_answer, response_events

from .asked import Asked, Dialect

if TYPE_CHECKING:
    from flowbot.lm.lm import LM

_Read = Callable[[Mapping[str, Any]], Wanted]
_Answer = Callable[[Wanted, str, Sequence[Reply]], dict[str, Any]]
_Events = Callable[[Wanted, Mapping[str, Any]], Iterable[tuple[str, Any]]]
_WAYS: dict[Dialect, tuple[_Read, _Answer, _Events]] = {
    "chat/completions": (read_chat, chat_answer, chat_events),
    "responses": (read_response, response_answer, response_events),
}


class StandIn:
    """A model that answers a program's requests, whatever model they name.

    Args:
        lm: the model, opened for the run: its store, gate, price and budget are the run's.
    """

    def __init__(self, lm: LM) -> None:
        self.lm = lm
        self.name = lm.name

    def answers(self, asked: Asked) -> bool:
        """Whether it speaks a request's protocol; others go to whom the program asks."""
        return asked.dialect in _WAYS

    async def ask(
        self, asked: Asked, *, purpose: str, draw: Draw, heard: Callable[[str], object]
    ) -> tuple[Reply, bool]:
        """The reply, as a client of that protocol reads it, and whether something had to be sent for it; `heard` is told the key of each
        of the calls that it takes.

        Raises:
            BudgetExceeded, InfrastructureError, Paused: as `LM.ask`; a request that is refused for what stands in it is a reply.
        """
        read, answer, events = _WAYS[asked.dialect]
        replies, keys, sent = list[Reply](), list[str](), False
        try:
            wanted = read(asked.data)
            for number, request in enumerate(each_of(wanted)):
                reply, key, new = await self._reply(
                    request, purpose, (*draw, number) if number and draw else draw, heard
                )
                replies, keys, sent = [*replies, reply], [*keys, key], sent or new
        except (BadRequest, ModelError, RefusedError, InfrastructureError) as error:
            told = explain(error)
            if told is None or told.status != 400:
                raise
            raw = Raw(400, "application/json", told.text or "")
            return Reply(str(error), "refusal", Usage(calls=1), 0.0, raw=raw), True
        found = answer(wanted, stable_hash(keys)[:24], replies)
        kind, text = "application/json", json.dumps(found, ensure_ascii=False)
        if wanted.stream:
            kind, text = "text/event-stream", event_text(events(wanted, found))
        took = sum((each.usage for each in replies), Usage())
        return replace(replies[0], usage=took, raw=Raw(200, kind, text)), sent

    async def _reply(
        self, request: Request, purpose: str, draw: Draw, heard: Callable[[str], object]
    ) -> tuple[Reply, str, bool]:
        if not request.max_tokens:
            request = replace(request, max_tokens=await self.lm.limit(MAX_TOKENS))
        while True:
            heard(key := self.lm.key(request, draw))
            new = await self.lm.session.store.get(key) is None
            reply = await self.lm.ask(request, purpose=purpose, draw=draw)
            if not reply.ready:
                return reply, key, new
            # The model needs no more calls, and is to be asked for its answer.
            request = replace(request, tool_choice="none")
