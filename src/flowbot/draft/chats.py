"""Chats as tools export them: the last answer is wanted, what goes before is given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from .exports import ExportRow, Reader, Values, mapping, objects, without

_SPEAKERS = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
}  # fmt: skip
_TURN = re.compile(r"(?:\A|\n)\s*(Human|Assistant):")
"""How a turn begins in a chat that is one text."""
_ASKED = ("input", "prompt", "question")
"""Where preference pairs have what was asked; without it their answers are whole chats."""
_SYSTEM = "systemInstruction"
"""Where Gemini's chats have what `system` is elsewhere."""


def chat(column: str, role: str, content: str) -> Reader:
    """Rows with a list of messages: the assistant's last one is wanted, what the user says is given."""

    def read(rows: Sequence[Values]) -> list[list[ExportRow]]:
        chats = [[(each.get(role), _text_of(each.get(content))) for each in objects(row.get(column))] for row in rows]
        systems = [_text_of(row.get("system")) or _text_of(mapping(row.get(_SYSTEM)).get("parts")) for row in rows]
        told = [[("system", system)] if system else [] for system in systems]
        beside = [without(row, column, "system", _SYSTEM) for row in rows]
        return _chats([[*one, *other] for one, other in zip(told, chats, strict=True)], beside)

    return read


def preference(rows: Sequence[Values]) -> list[list[ExportRow]]:
    """Rows with a preferred answer and another one."""
    names = (*_ASKED, "chosen", "preferred_output", "rejected", "non_preferred_output")
    chats: list[list[tuple[Any, str | None]]] = []
    for row in rows:
        asked = next((name for name in _ASKED if name in row), "")
        chosen = row.get("chosen", row.get("preferred_output"))
        if not asked and isinstance(chosen, str):
            _, *turns = _TURN.split(chosen)
            chats.append([(who, _text_of(text.strip())) for who, text in zip(turns[::2], turns[1::2], strict=True)])
        else:
            chats.append([*_said(row.get(asked, []), "user"), *_said(chosen, "assistant")])
    return _chats(chats, [without(row, *names) for row in rows])


def _said(value: Any, speaker: str) -> list[tuple[Any, str | None]]:
    if isinstance(value, Mapping):
        value = cast("Values", value).get("messages", [value])
    if isinstance(value, list):
        return [(each.get("role"), _text_of(each.get("content"))) for each in objects(value)]
    return [(speaker, _text_of(value))]


def _chats(chats: Sequence[Sequence[tuple[Any, str | None]]], beside: Sequence[Values]) -> list[list[ExportRow]]:
    """One input of text where each chat is a question and its answer, else the list of the messages before the answer."""
    spoken = [[(_SPEAKERS.get(str(who).casefold(), str(who)), text) for who, text in each] for each in chats]
    systems = ["\n\n".join(text or "" for who, text in each if who == "system") for each in spoken]
    turns = [[(who, text) for who, text in each if who != "system"] for each in spoken]
    single = all([who for who, _ in each[:-1]] == ["user"] for each in turns if len(each) > 1)
    same = len(set(systems)) == 1
    name = "message" if single else "conversation"
    shown = [{"role": "system", "content": systems[0]}] * bool(same and systems[0])
    prompt = json.dumps([*shown, {"role": "user", "content": f"{{{name}}}"}], ensure_ascii=False) if shown else ""
    found: list[list[ExportRow]] = []
    for system, each, rest in zip(systems, turns, beside, strict=True):
        answered = len(each) > 1 and each[-1][0] == "assistant"
        before = each[:-1] if answered else each
        said: Any = [{"role": who, "text": text or ""} for who, text in before]
        given: dict[str, Any] = {} if same else {"system": system}
        given[name] = (before[0][1] if before else None) if single else said
        found.append([ExportRow(given, {"answer": each[-1][1] if answered else None}, rest, prompt)])
    return found


def _text_of(content: Any) -> str | None:
    """A message's text; None for none, as of a call of a tool."""
    if isinstance(content, list):
        texts = [part.get("text") for part in objects(content)]
        content = "\n".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) and content.strip() else None
