"""Room for thoughts: models that think before they answer need a reply limit for both.

How much room a model gets is settled before its first call, and from then on it is the same for every request, since the limit
is part of what a response is stored under. In this order: the user's option `thinking`, the family that its name tells
(`thinking.json`), or else the reply to one small question, which is stored like every other. So it follows from what is stored,
and never from which reply happened to come first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from flowbot.fields import Field, fields_schema
from flowbot.fields.files import read_text

from .client import Message, Reply, Request
from .thoughts import may_hold_thought, without_thought

PURPOSE = "probe"
"""What the ledger charges the question to."""
ANSWER = Field.of("answer", "int")
QUESTION = Request(
    (
        Message(
            "user", "How many legs have three spiders and two cats together? Reply as JSON with the number in `answer`."
        ),
    ),
    max_tokens=2048,
    temperature=0.2,
    schema=fields_schema([ANSWER]),
    seed=1,
)
"""JSON by schema, with a temperature and a seed, as workflows ask: what the endpoint does not take is found out by it."""
LEAST, MOST = 4096, 32_768
"""Tokens of room for a model that was seen to think."""
FACTOR = 3
"""Room for so many times the thoughts about the question: those about a real task are longer."""
MORE = 4
"""By how much the limit grows, once, when thoughts have filled it all the same; at least by the room that they seem to need."""
USUAL = 4
"""An estimate expects thoughts to take one part in so many of their room."""
SLACK = 64
"""Tokens that a reply may have beyond what its text can hold, or characters beyond the answer, for marks alone."""
_CHARACTERS = 4
"""Of a thought's text, one token has."""
_DATA = Path(__file__).with_name("thinking.json")
_MOST_DATA = 1_000_000


def known_thinking_budget(name: str, *, effort: str = "") -> int | None:
    """Tokens of room that a model's name tells; 0 for one that does not think, None where its family is not known.

    Args:
        name: as its provider writes it.
        effort: the `reasoning_effort` that is asked for; "" for none.
    """
    data = _data()
    last = name.casefold().rpartition("/")[2]
    for names, usual in data["families"]:
        if names.fullmatch(last):
            return 0 if usual is None else cast("int", data["room"].get(effort or usual, data["room"][usual]))
    return None


def seen_thinking_budget(reply: Reply) -> int:
    """Tokens of room that a model needs by one of its replies; 0 for one that did not think."""
    thought = reply.thought
    if not reply.text and not reply.calls and reply.finish == "length":
        thought = max(thought, reply.usage.output_tokens)  # all of it went into thinking, whoever counted it
    # In powers of two: a model that thinks a little more or less about the question is asked in the same way.
    return min(MOST, max(LEAST, 1 << (FACTOR * thought - 1).bit_length())) if thought else 0


def with_higher_limit(request: Request, reply: Reply) -> Request:
    """The request whose reply was empty, because all of it went into thinking, with a higher limit."""
    seen = seen_thinking_budget(reply) if reply.thought else 0
    return replace(request, max_tokens=max(MORE * request.max_tokens, request.max_tokens + seen))


def thought_tokens(counted: int, message: Mapping[str, Any], text: str, written: int) -> int:
    """Tokens that went into thinking.

    As the endpoint counts them; else guessed from the thoughts that it shows; else, where far more was written than the reply
    can hold (a token has at least one byte), what is beyond it.

    Args:
        counted: what the endpoint says.
        message: the message of its answer.
        text: what the message says, calls included.
        written: tokens of the whole reply.
    """
    if counted:
        return counted
    given = (message[name] for name in ("reasoning_content", "reasoning") if name in message)
    apart = next((each for each in given if isinstance(each, str)), "").strip()
    shown = len(apart) or (len(text.strip()) - len(without_thought(text)) if may_hold_thought(text) else 0)
    if apart or shown > SLACK:
        return min(written, -(-shown // _CHARACTERS))
    hidden = written - (len(text) if text.isascii() else len(text.encode(errors="replace")))
    return hidden if hidden > SLACK else 0


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    data = json.loads(read_text(_DATA, limit=_MOST_DATA))
    families = [(re.compile(each["names"]), each["effort"]) for each in data["families"]]
    return {"room": data["room"], "families": families}
