"""A prompt that a user has written, as it stands in a file: the places in its texts where inputs go.

Nothing is added, dropped or moved. A text is read as the template that it is: one of Python's format strings, of its `%`
strings or of `string.Template`, where all of it is one, whose escapes (`{{`, `%%`, `$$`) then mean what Python says; else as
a text with marks in it, in which all that marks no input is text.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from .chat import read_chat

_MARK = re.compile(
    r"\{\{-?\s*(?P<double>[^{}\n]{1,64}?)\s*-?\}\}|\$\{\s*(?P<dollar>[^{}\n]{1,64}?)\s*\}"
    r"|(?<![{$])\{(?P<single>[^{}\n]{0,64}?)\}(?!\})|%\((?P<percent>[^()\n]{1,64})\)s|<(?P<angle>[A-Za-z][^<>/\n]{0,63})>"
    r"|\$(?P<plain>[A-Za-z_]\w{0,63})\b"
)
_RANKS = {"double": 0, "dollar": 0, "single": 0, "percent": 1, "plain": 2, "angle": 3}
"""An input that is marked in several ways is meant where it is marked in the surest; elsewhere its name is text."""
_PERCENT = re.compile(r"%(?:(?P<escaped>%)|\((?P<named>[^()\n]{1,64})\)s)?")
"""As `string.Template.pattern`: `%%` is escaped, `%(name)s` a place, any other `%` neither."""
_CLOSING = re.compile(r"</\s*([^<>\s]+)\s*>")
_NAME = re.compile(r"\w[\w .-]*")
_ANY_INPUT = frozenset(("", "0", "input", "text", "query", "question", "content", "user_input", "message", "prompt"))
"""What a template may call its only input."""
_STATEMENT = re.compile(r"\{%.{0,200}?%\}|\{\{[#/^][^{}\n]{1,64}\}\}", re.S)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a prompt: which input goes there, and how it is written.

    Args:
        input: the input's name.
        written: the mark in the prompt, such as `{{ Question }}`.
    """

    input: str
    written: str


Part = str | Mark
Names = Callable[[str], str]
"""From a name at a place to the input that it means, "" for none."""


@dataclass(frozen=True, slots=True)
class Divided:
    """Texts as what stands between their places, and the places.

    Args:
        texts: a list of parts for each text; no part is an empty text, and no two texts stand side by side.
        kept: what looks like a place and is none of an input: it stayed as it stands.
        escaped: marks of inputs that are escaped, as `{{question}}` in a format string: texts, by Python's rule.
    """

    texts: tuple[tuple[Part, ...], ...]
    kept: tuple[str, ...] = ()
    escaped: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs that have a place, in the order of the first of each."""
        return tuple(dict.fromkeys(part.input for text in self.texts for part in text if isinstance(part, Mark)))


def places(text: str, where: str = "prompt") -> tuple[str, ...]:
    """The names at the places of a prompt, each once, in order, as they are written: `question` for `{{ question }}`.

    Which of them are inputs is for the caller to say: what looks like a place may be an example of JSON, or a tag.

    Args:
        text: of the prompt's file.
        where: how errors name it.

    Raises:
        UserError: if it is a list of messages, and malformed.
    """
    contents = [content for _, content in read_chat(text, where).messages]
    fields = [_formatted(content, lambda name: name if _NAME.fullmatch(name) else "") for content in contents]
    found: dict[str, None] = {}
    for content, parts in zip(contents, fields, strict=True):
        if all(each is not None for each in fields) and any(isinstance(p, Mark) for each in fields for p in each or ()):
            found |= {part.input: None for part in parts or () if isinstance(part, Mark)}
        else:
            found |= {name: None for name, _, _ in _marks(content) if _NAME.fullmatch(name)}
    return tuple(found)


def divided(texts: Sequence[str], inputs: Mapping[str, Iterable[str]]) -> Divided:
    """Texts divided at their places.

    Args:
        texts: of one prompt's messages: they are templates of the same kind.
        inputs: for each input the names that a place may have for it; case, and `_`, `-` or a blank, make no difference. The
            only input may be called as templates call it, `{text}` or `{input}` for one.
    """
    names = _Names(inputs)
    for read in (_formatted, partial(_matched, pattern=_PERCENT), partial(_matched, pattern=string.Template.pattern)):
        whole = [read(text, names) for text in texts]
        if all(each is not None for each in whole) and any(isinstance(p, Mark) for each in whole for p in each or ()):
            found = tuple(tuple(_joined(each or ())) for each in whole)
            marks = (each for text in texts for each in _marks(text)) if read is _formatted else ()
            escaped = (at[0] for name, kind, at in marks if kind == "double" and _NAME.fullmatch(name) and names(name))
            return Divided(found, escaped=tuple(dict.fromkeys(escaped)))
    ranks: dict[str, int] = {}
    for text in texts:
        for name, kind, _ in _marks(text):
            if found := names(name, kind):
                ranks[found] = min(_RANKS[kind], ranks.get(found, _RANKS[kind]))
    kept: dict[str, None] = {}
    return Divided(tuple(tuple(_joined(_loose(text, names, ranks, kept))) for text in texts), tuple(kept))


class _Names:
    """From a name as it is written at a place to the input that it means; "" where it means none."""

    def __init__(self, inputs: Mapping[str, Iterable[str]]) -> None:
        self._inputs = {_folded(name): given for given, names in inputs.items() for name in (given, *names)}
        self._only = next(iter(inputs)) if len(inputs) == 1 else ""

    def __call__(self, name: str, kind: str = "single") -> str:
        found = self._inputs.get(_folded(name), "")
        return found or (self._only if kind != "angle" and name.casefold() in _ANY_INPUT else "")


def _loose(text: str, names: _Names, ranks: dict[str, int], kept: dict[str, None]) -> Iterator[Part]:
    """A text divided at the marks that name inputs; all else stays."""
    at = 0
    kept |= dict.fromkeys(_STATEMENT.findall(text))
    for name, kind, match in _marks(text):
        found = names(name, kind)
        if found and ranks.get(found) == _RANKS[kind]:
            yield text[at : match.start()]
            yield Mark(found, match[0])
            at = match.end()
        elif kind not in ("angle", "plain"):
            first = re.match(r"[A-Za-z_]\w*", name)
            if first and (first[0] == name or names(first[0])):
                kept[match[0]] = None
    yield text[at:]


def _formatted(text: str, names: Names) -> list[Part] | None:
    """A text as a format string of Python (`str.format`) with fields that are plain names of inputs; None if it is none.

    Nor is one in which a `$` stands before every field: that is how other languages write a place.
    """
    parts: list[Part] = []
    try:
        for literal, name, spec, conversion in string.Formatter().parse(text):
            parts.append(literal)
            if name is not None:
                found = "" if spec or conversion else names(name.strip())
                if not found:
                    return None
                parts.append(Mark(found, f"{{{name}}}"))
    except ValueError:
        return None
    before = [text for text, part in pairwise(parts) if isinstance(part, Mark)]
    return None if before and all(str(text).endswith("$") for text in before) else parts


def _matched(text: str, names: Names, pattern: re.Pattern[str]) -> list[Part] | None:
    """A text as one for Python's `%` with a mapping, or of `string.Template`: by the pattern of its marks."""
    parts: list[Part] = []
    at = 0
    for match in pattern.finditer(text):
        parts.append(text[at : match.start()])
        groups = match.groupdict()
        found = names(name.strip()) if (name := groups["named"] or groups.get("braced")) else ""
        if groups["escaped"] is not None:
            parts.append(match[0][0])
        elif found:
            parts.append(Mark(found, match[0]))
        else:
            return None
        at = match.end()
    return [*parts, text[at:]]


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts with texts that stand side by side as one, and no empty ones."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        text = ""
        yield part
    if text:
        yield text


def _marks(text: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """What looks like a place, as name, kind and where it stands; tags that are closed are none."""
    closed = set(_CLOSING.findall(text))
    for match in _MARK.finditer(text):
        kind, name = str(match.lastgroup), match[str(match.lastgroup)].strip()
        if kind != "angle" or name not in closed:
            yield name, kind, match


def _folded(name: str) -> str:
    return re.sub(r"[\s_.-]+", " ", name).strip().casefold()
