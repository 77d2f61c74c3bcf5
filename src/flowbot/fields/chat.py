"""A prompt that a user has written, as messages: of a file that holds a chat in one of the usual forms, or one text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from .errors import UserError

Role = Literal["system", "user", "assistant"]

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
}
_SECTION = re.compile(
    r"^\s*(?:#+\s*|\[|<\|?|\*\*)?(system|developer|user|human|assistant|ai)(?:\|?>|\]|\*\*)?\s*:?\s*$", re.I
)
_BLANK_LINES = re.compile(r"\A(?:[^\S\n]*\n)+|(?:\r?\n[^\S\n]*)+\Z")
_INLINE = re.compile(r"^(system|user|human|assistant)\s*:[ \t]+(.*)$", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Chat:
    """A prompt's messages, each with its text as it stands.

    Args:
        messages: role and text; a prompt that is no chat is one message of the user.
        form: what kind of chat it is, in words; "" for a prompt that is none.
        notes: what could not be kept as it stands, in words.
    """

    messages: tuple[tuple[Role, str], ...]
    form: str = ""
    notes: tuple[str, ...] = ()


def read_chat(text: str, where: str) -> Chat:
    """A prompt's messages: of a JSON list of messages, of `System:` and `User:` sections, or the whole text as one.

    Raises:
        UserError: if it is a list of messages, and one of them is malformed.
    """
    if text.lstrip()[:1] in ("[", "{"):
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError):
            data = None  # a text that begins with a brace
        beside: list[str] = []
        if isinstance(data, dict) and "messages" in data:
            given = cast("dict[str, Any]", data)
            data, beside = given["messages"], [name for name in given if name != "messages"]
        if isinstance(data, list):
            chat = chat_of(cast("list[Any]", data), where)
            told = (f"of what stands beside the messages nothing is kept: {', '.join(beside)}",) if beside else ()
            return replace(chat, notes=(*chat.notes, *told))
    sections = _sections(text)
    return Chat(tuple(sections), "a chat in sections") if sections else Chat((("user", text),))


def chat_of(data: Sequence[Any], where: str) -> Chat:
    """Messages as chat endpoints take them: `{"role": …, "content": …}` each.

    Raises:
        UserError: naming the one that is malformed.
    """
    notes: dict[str, None] = {}
    messages = tuple(_message(each, f"{where}[{number}]", notes) for number, each in enumerate(data))
    return Chat(messages, "a list of messages", tuple(notes))


def _message(entry: Any, where: str, notes: dict[str, None]) -> tuple[Role, str]:
    data = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    role, content = data.get("role"), data.get("content")
    if more := [name for name, value in data.items() if value and name not in ("role", "content")]:
        notes[f"of a message its role and content are kept, not {', '.join(more)}"] = None
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        texts = [cast("dict[str, Any]", part).get("text") for part in parts if isinstance(part, dict)]
        if len(texts) > 1:
            notes["the parts of a message are joined, each on lines of its own"] = None
        if any(not isinstance(each, str) for each in texts) or len(texts) < len(parts):
            notes["what is no text (a picture, a file) is left out"] = None
        content = "\n".join(part for part in texts if isinstance(part, str))
    if not isinstance(role, str) or role.casefold() not in _ROLES or not isinstance(content, str):
        found = json.dumps(entry, ensure_ascii=False, default=str)[:60]
        raise UserError(where, found, '{"role": "system", "user" or "assistant", "content": TEXT}')
    if role.casefold() == "developer":
        notes["the developer's message is the system's: endpoints take them as one"] = None
    return _ROLES[role.casefold()], content


def _sections(text: str) -> list[tuple[Role, str]]:
    """Messages of a text whose first line names a role, as do later ones; none otherwise.

    The blank lines around a section are those of the file; within it all stays.
    """
    found: list[tuple[Role, list[str]]] = []
    for line in text.lstrip().splitlines(keepends=True):
        alone = _SECTION.match(line)
        inline = None if alone else _INLINE.match(line)
        if alone:
            found.append((_ROLES[alone[1].casefold()], []))
        elif inline and (found or inline[1].casefold() == "system"):
            found.append((_ROLES[inline[1].casefold()], [inline[2]]))
        elif not found:
            return []
        else:
            found[-1][1].append(line)
    roles = {role for role, _ in found}
    if "system" not in roles and len(roles) < 2:
        return []
    texts = ("".join(lines) for _, lines in found)
    return [
        (role, _BLANK_LINES.sub("", text) if text.strip() else "") for (role, _), text in zip(found, texts, strict=True)
    ]
