# pyright: basic
"""A model is asked."""

from __future__ import annotations

import re
from typing import Any

from openai import BadRequestError

from .joining import StepFailed
from .reading import named, read, reply_format

client: Any = None
"""The file that takes over a function has one of its own."""


async def ask(
    messages: list[dict[str, Any]], fields: dict[str, Any], *, own_words: bool = False, **settings: Any
) -> dict[str, Any]:
    """What the model says for `fields`. A reply that cannot be read is asked for once more, with what is wrong with it."""
    limit = "max_completion_tokens" if "max_completion_tokens" in settings else "max_tokens"
    form = reply_format(fields, own_words=own_words)
    room_left, tries_left = True, 0 if own_words else 1
    while True:
        answer = await answered(messages=messages, **settings, **form)
        choice = answer.choices[0]
        said = choice.message.content or choice.message.refusal or ""
        text = without_thoughts(said)
        used = answer.usage.completion_tokens if answer.usage else 0
        cut = choice.finish_reason == "length" or used >= settings[limit]
        if not text and cut and room_left:  # all of it went into thinking
            room_left, settings[limit] = False, 4 * settings[limit]
            continue
        try:
            return read(text, fields, own_words=own_words)
        except ValueError as error:
            fault = str(error)
        if choice.message.refusal or choice.finish_reason == "content_filter" or cut or not tries_left:
            raise StepFailed(fault)
        tries_left -= 1
        again = f"Reply with one JSON object with {named(fields)} and nothing else." if form else "Reply again."
        messages = [
            *messages,
            {"role": "assistant", "content": said[:2000]},
            {"role": "user", "content": f"That reply is of no use: {fault}. {again}"},
        ]


async def answered(**body: Any) -> Any:
    """The answer of the endpoint. A request that it refuses, as one that is too long, is a step that failed."""
    try:
        return await client.chat.completions.create(**body)
    except BadRequestError as error:
        raise StepFailed(error.message) from error


def without_thoughts(text: str) -> str:
    """A reply without the thoughts that some models write before it."""
    text = re.sub(r"\A\s*<(think|thinking|thought|reasoning)>.*?(</\1>|\Z)", "", text, flags=re.DOTALL | re.IGNORECASE)
    return text.strip()
