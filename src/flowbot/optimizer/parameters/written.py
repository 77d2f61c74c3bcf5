"""What of a reply is the text that was asked for. Wrapping is taken off only where it is certain; else the reply is refused."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from flowbot.optimizer.guard import RUN, folded, windows

_NOUN = r"(?:instruction|prompt|text|hint|rule|part|version|message)s?"
_NEW = r"(?:new|updated|revised|improved|rewritten|final|modified)"
_CHAT = r"(?:(?:sure|certainly|of course|okay|ok|absolutely)\b(?: thing)?[,!.:]*\s*)"
_LABEL = rf"[*_#\s]*(?:{_CHAT}?here(?:'s|’s| is| are)\b[^\n:]{{0,80}}|(?:the |your )?(?:{_NEW} )+(?:{_NOUN})?|{_NOUN})[*_]*\s*:[*_]*"
_PREAMBLE = re.compile(rf"(?:{_CHAT}|{_LABEL})[^\S\n]*(?:\n\s*|\Z)", re.IGNORECASE)
"""A first line that only announces what follows."""
_INLINE = re.compile(rf"[*_#\s]*(?:the |your )?{_NEW} {_NOUN}[*_]*\s*:[*_]*[^\S\n]*(?=\S)", re.IGNORECASE)
"""The same before the text on one line; only a word such as `new` makes it certain."""
_CHATTY = re.compile(
    rf"(?:{_CHAT}|here(?:'s|’s| is)\b|as an ai\b|i(?:'m| am) sorry|i (?:can(?:not|'t)|have)\b)", re.IGNORECASE
)
"""How a reply begins that talks to whoever asked, and not to a step."""
_WHOLE_FENCE = re.compile(r"```[\w-]*[^\S\n]*\n(.*?)\n?[^\S\n]*```", re.DOTALL)
_QUOTES = {'"': '"', "“": "”", "«": "»", "'": "'", "`": "`"}
_LEAST = 3
"""Words that make a reply a part of its question, where it has fewer than `RUN`."""


def text_of(reply: str, old: str) -> tuple[str, str]:
    """The text that a reply consists of, without preamble, fence and quotes; or "" with what is wrong with it.

    Args:
        reply: as it came.
        old: the text in whose place it is to stand: what begins or wraps that one is no wrapping.
    """
    text, announced = reply.strip(), False
    for form in (_PREAMBLE, _INLINE):
        found = form.match(text)
        if found and not old.lstrip().casefold().startswith(found[0].strip().casefold()):
            text, announced = text[found.end() :].strip(), True
            break
    if "```" in text and "```" not in old:
        fence = _WHOLE_FENCE.match(text)
        if fence is None or text.count("```") != 2 or not (announced or fence.end() == len(text)):
            return "", "it holds a fenced block, and which of it is the text is not certain"
        text = fence[1].strip()
    end = _QUOTES.get(text[:1])
    if len(text) > 1 and end == text[-1] and not {text[0], end} & {*text[1:-1]} and old[:1] != text[0]:
        text = text[1:-1].strip()
    if text[:1] in ("{", "[") and old[:1] != text[:1]:
        text, fault = _from_json(text)
        if fault:
            return "", fault
    if (chat := _CHATTY.match(text)) and not old.casefold().startswith(chat[0].casefold()):
        return "", "it talks to whoever asked, and which of it is the text is not certain"
    if folded(text).startswith("no change"):
        return "", "it asks for no change"
    return (text, "") if folded(text) else ("", "the reply was empty")


def echo(text: str, question: str, *own: str) -> str:
    """The words of a question that a text repeats, `RUN` in a row or all that it has; "" for none.

    Args:
        text: what was written.
        question: as it was asked.
        own: texts that may be repeated wherever they stand in the question.
    """
    words = folded(text)
    run = min(RUN, words.count(" ") + 1)
    asked, free = f" {folded(question)} ", [f" {folded(each)} " for each in own]
    if run < _LEAST:
        return ""
    return next(
        (each for each in windows(words, run) if f" {each} " in asked and not any(f" {each} " in one for one in free)),
        "",
    )


def _from_json(text: str) -> tuple[str, str]:
    """The only text of a JSON object; what merely begins with a brace stays as it is."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        broken = re.match(r"[{\[]\s*[\"{\[]", text)
        return ("", "it is JSON that breaks off") if broken else (text, "")
    values = list(cast("dict[str, Any]", data).values()) if isinstance(data, dict) else []
    if len(values) == 1 and isinstance(values[0], str):
        return values[0].strip(), ""
    return "", "it is JSON, and no text"
