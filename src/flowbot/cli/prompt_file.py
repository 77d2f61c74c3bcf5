"""A prompt that a user has written: plain text, a template with placeholders, or a chat; as an instruction.

An instruction is plain text, never a template. The inputs are shown after it, so a line that only shows one goes, and a
placeholder inside a sentence becomes words for it.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.task.draft.vocabulary import ANSWERS, FACTS, GIVEN

MOST = 8000
"""Characters of an instruction."""
_ROLES = {
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
_INLINE = re.compile(r"^(system|user|human|assistant)\s*:\s+(.*)$", re.I)
_PLACE = re.compile(
    r"\{\{-?\s*(?P<double>[^{}\n]{1,64}?)\s*-?\}\}|\$\{\s*(?P<dollar>[^{}\n]{1,64}?)\s*\}"
    r"|(?<![{$])\{(?P<single>[^{}\n]{0,64}?)\}(?!\})|%\((?P<percent>[^()\n]{1,64})\)s|<(?P<angle>[A-Za-z][^<>/\n]{0,63})>"
    r"|\$(?P<plain>[A-Za-z_]\w{0,63})\b"
)
_ANY_INPUT = frozenset(("", "0", "input", "text", "query", "question", "content", "user_input", "message", "prompt"))
"""What a template may call its only input."""
_MARK = "\ufdd0"  # no character of any text; stands around an input's name while lines are looked at
_HELD = re.compile(f"{_MARK}([^{_MARK}]+){_MARK}")
_HERE = f"(?P<held>{_MARK}[^{_MARK}]+{_MARK})"
_FENCES = (
    re.compile(rf"(?m)^[ \t]*(```|~~~|\"\"\"|''')[^\n]*\n\s*{_HERE}\s*\n[ \t]*\1[ \t]*$"),
    re.compile(rf"(```|\"\"\"|''')\s*{_HERE}\s*\1"),
    re.compile(rf"<([A-Za-z][\w -]*)>\s*{_HERE}\s*</\1>"),
)
# A line that shows an input and nothing else, but for a label: `- **Question**: "{question}"`.
_SHOWN = re.compile(
    rf"[\s\-*>#|]*(?P<label>(?:[^{_MARK}:=]*?(?:\*\*)?\s*[:=])?)\s*(?:\*\*)?\s*[\"'`]?{_HERE}[\"'`]?\s*"
)
_LAST = re.compile(rf"\s*:\s*[\"'`]?{_HERE}[\"'`]?\s*$")
_OPENING = re.compile(r"(?:(?:here is|here's|this is) )?(?:(?:the|this|my|your|an?) )?")
_BEFORE_INPUTS = frozenset(
    " ".join((*GIVEN, "q user's users customer customer's client given following new current next")).split()
)
_BEFORE_ANSWERS = frozenset(" ".join((*ANSWERS, *FACTS, "final code json")).split())
_REQUESTS = frozenset(
    " ".join(
        (
            "analyse analyze answer check classify complete continue convert correct describe evaluate explain extract find fix",
            "identify improve judge label paraphrase rate rephrase rewrite score shorten simplify solve sort summarise summarize",
            "tag translate write",
        )
    ).split()
)
"""What a prompt asks for in a single word; any other word with a colon behind it only names what follows."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """A prompt as an instruction.

    Args:
        text: plain text.
        used: inputs that the prompt had a placeholder for.
        kept: what looks like a placeholder but names no input, left as it stands.
        notes: what was changed, in words.
    """

    text: str
    used: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...]


def read_prompt(text: str, where: str, inputs: Mapping[str, str]) -> Instruction:
    """The instruction that a prompt's text makes.

    Args:
        text: the prompt; a JSON list of messages, `System:` and `User:` sections, or any other text.
        where: how errors name it.
        inputs: the task's inputs, each with the name of the column that it comes from.

    Raises:
        UserError: if it is empty, malformed as a chat, or makes more than `MOST` characters.
    """
    text = text.replace(_MARK, "")
    messages, form = _messages(text, where)
    notes = [form] if form else []
    marker = _Marker(inputs)
    asked = [(role, marker.mark(content)) for role, content in messages]
    if marker.used and _is_format_string(text, marker.spelt):
        asked = [(role, content.replace("{{", "{").replace("}}", "}")) for role, content in asked]
        notes.append("doubled braces, as format strings have them, are single ones")
    said, gone = _without_shown(_joined(asked), frozenset(" ".join(marker.names).split()))
    if gone:
        notes.append("lines that only show an input or end in a cue are left out: inputs follow the instruction")
    told = _HELD.sub(_words_for, said)
    result = re.sub(r"\n{3,}", "\n\n", told).strip()
    if not text.strip():
        raise UserError(where, "nothing", "a prompt")
    if not result:
        notes.append("it asks for nothing: the goal is the instruction")
    if len(result) > MOST:
        raise UserError(where, f"a prompt of {len(result):,} characters", f"at most {MOST:,}")
    return Instruction(result, tuple(marker.used), tuple(marker.kept), tuple(notes))


class _Marker:
    """Puts marks in place of placeholders that name inputs, and keeps in mind which there were."""

    def __init__(self, inputs: Mapping[str, str]) -> None:
        self.names = {_folded(name): field for field, column in inputs.items() for name in (column, field)}
        self.only = next(iter(inputs)) if len(inputs) == 1 else ""
        self.used: dict[str, None] = {}
        self.kept: dict[str, None] = {}
        self.spelt: set[str] = set()

    def mark(self, text: str) -> str:
        closed = set(re.findall(r"</\s*([^<>\s]+)\s*>", text))

        def one(found: re.Match[str]) -> str:
            kind = str(found.lastgroup)
            name = found[kind].strip()
            field = self.names.get(_folded(name), "")
            if not field and self.only and kind != "angle" and name.casefold() in _ANY_INPUT:
                field = self.only
            if not field or (kind == "angle" and name in closed):
                if kind not in ("angle", "plain") and re.fullmatch(r"[A-Za-z_]\w*", name):
                    self.kept[found[0]] = None
                return found[0]
            self.used[field] = None
            if kind == "single":
                self.spelt.add(found[kind])
            return f"{_MARK}{field}{_MARK}"

        return _PLACE.sub(one, text)


def _messages(text: str, where: str) -> tuple[list[tuple[str, str]], str]:
    """The prompt as (role, text), and what form it had, "" for plain text."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError):
            data = None  # a text that begins with a brace
        if isinstance(data, dict) and "messages" in data:
            data = cast("dict[str, Any]", data)["messages"]
        if isinstance(data, list):
            return [
                _message(each, f"{where}[{n}]") for n, each in enumerate(cast("list[Any]", data))
            ], "a list of messages"
    sections = _sections(text)
    return (sections, "a chat in sections") if sections else ([("user", text)], "")


def _message(given: Any, where: str) -> tuple[str, str]:
    data = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    role, content = data.get("role"), data.get("content")
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        texts = [cast("dict[str, Any]", part).get("text") for part in parts if isinstance(part, dict)]
        content = "\n".join(part for part in texts if isinstance(part, str))
    if not isinstance(role, str) or role.casefold() not in _ROLES or not isinstance(content, str):
        found = json.dumps(given, ensure_ascii=False)[:60]
        raise UserError(where, found, '{"role": "system", "user" or "assistant", "content": TEXT}')
    return _ROLES[role.casefold()], content


def _sections(text: str) -> list[tuple[str, str]]:
    """Messages of a text whose first line names a role, as do later ones; none otherwise."""
    found: list[tuple[str, list[str]]] = []
    for line in text.strip().splitlines():
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
    return [(role, "\n".join(lines).strip()) for role, lines in found] if "system" in roles or len(roles) > 1 else []


def _joined(messages: Sequence[tuple[str, str]]) -> str:
    """The messages as one text; a message with its answer, before the last, is an example."""
    parts: list[str] = []
    for index, (role, content) in enumerate(messages):
        if role == "assistant":
            if content.strip():
                parts.append(f"Example of an answer:\n{content.strip()}")
        elif role == "user" and messages[index + 1 : index + 2] and messages[index + 1][0] == "assistant":
            parts.append(content.strip() if _MARK in content else f"Example:\n{content.strip()}")
        else:
            parts.append(content.strip())
    return "\n\n".join(part for part in parts if part)


def _without_shown(text: str, names: Set[str]) -> tuple[str, bool]:
    """The text without lines that only show an input, the fences around it, its label, and a cue at the end.

    Args:
        text: with marks around the inputs.
        names: the words of the inputs' names: what may stand in a label.
    """
    labels = _BEFORE_INPUTS | names
    if _MARK not in text:
        return text, False
    bare = text
    for fence in _FENCES:
        bare = fence.sub(r"\g<held>", bare)
    kept: list[str] = []
    for line in bare.split("\n"):
        shown = _SHOWN.fullmatch(line) if _MARK in line else None
        label = shown["label"].strip() if shown else ""
        if shown is None or (label and not _is_label(label, labels)):
            kept.append(_LAST.sub(".", line))
        elif not label and kept and _is_label(kept[-1], labels):
            _ = kept.pop()
    while kept and (not kept[-1].strip() or _is_label(kept[-1], labels | _BEFORE_ANSWERS)):
        _ = kept.pop()
    said = "\n".join(kept)
    return said, said != text.rstrip()


def _is_label(line: str, known: Set[str]) -> bool:
    """Whether a line only names what follows it, as in `Here is the question:`; not so where it asks for something."""
    text = line.strip().strip("*#").strip()
    told = _OPENING.sub("", " ".join(re.findall(r"[\w']+", text.casefold())), count=1).split()
    named = all(word in known for word in told) or (len(told) == 1 and told[0] not in _REQUESTS)
    return text[-1:] in (":", "=") and bool(told) and named


def _words_for(found: re.Match[str]) -> str:
    """Words for the input at a mark: `the question given below`, without saying `the` or its name twice."""
    before = found.string[: found.start()].rstrip("\"'`( ").casefold()
    name = found[1].replace("_", " ").strip()
    if before.endswith(name.casefold()) and not before.removesuffix(name.casefold())[-1:].isalnum():
        return "given below"
    determined = re.search(r"\b(?:the|this|a|an|that|these|my|your|following|the given)$", before) is not None
    return f"{'' if determined else 'the '}{name} given below"


def _is_format_string(text: str, names: set[str]) -> bool:
    """Whether a text is a Python format string, whose doubled braces mean single ones, with these fields alone."""
    if not names or ("{{" not in text and "}}" not in text):
        return False
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        return False
    return fields <= names


def _folded(name: str) -> str:
    return re.sub(r"[\s_.-]+", " ", name).strip().casefold()
