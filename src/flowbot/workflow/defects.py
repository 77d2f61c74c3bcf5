"""What the checker finds, and the words that it shares."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from flowbot.fields import Type, TypeSyntaxError, is_name
from flowbot.fields.words import printable

NAME_RULE = "use at most 64 letters, digits and _, not starting with a digit, no Python keyword"
MOST_TYPE = 10_000
"""Characters of a type's text."""
_LONGEST = 300
_LOOKED_AT = 100
"""Names among which near ones are looked for: comparing texts is slow."""
_MEANT = {
    **dict.fromkeys(("string", "text", "String", "Str"), "str"),
    **dict.fromkeys(("integer", "Integer", "Int"), "int"),
    **dict.fromkeys(("number", "double", "decimal", "Float"), "float"),
    **dict.fromkeys(("boolean", "Boolean", "Bool"), "bool"),
    **dict.fromkeys(("dict", "json", "JSON", "map", "any", "Any"), "object"),
    **dict.fromkeys(("list", "array", "List", "strings"), "list[str]"),
}


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong. Each part is one line of at most some hundred characters, whatever the file holds.

    Args:
        where: the place in the file, as `nodes.count.in.items`.
        what: what is wrong there.
        mend: what would mend it.
    """

    where: str
    what: str
    mend: str

    def __post_init__(self) -> None:
        for part in ("where", "what", "mend"):
            object.__setattr__(self, part, line(getattr(self, part)))

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.mend}"


def line(text: str) -> str:
    """The text on one line, the middle left out where it is long, unprintable characters shown."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST * 3 // 4]} … {text[-_LONGEST // 4 :]}"
    return printable(text)


def type_defects(where: str, text: str) -> Generator[Defect, None, Type | None]:
    """Yields what is wrong with a type's text; returns the type where it is one."""
    if len(text) > MOST_TYPE:
        what = f"the type has {len(text):,} characters"
        yield Defect(where, what, f"write one of at most {MOST_TYPE:,}; use str or object for values of many forms")
        return None
    try:
        return _parse(text)
    except TypeSyntaxError as error:
        meant = _MEANT.get(text.strip())
        yield Defect(
            where, str(error), f"write {meant}" if meant else "write a type, as str, int, float, bool or list[str]"
        )
        return None


_parse = lru_cache(maxsize=1024)(Type.parse)


def name_defects(where: str, name: str) -> Iterator[Defect]:
    """What is wrong with a name."""
    if not is_name(name):
        yield Defect(where, f"{name!r} is no name", NAME_RULE)


def choices(wrong: str, known: Iterable[str]) -> str:
    """What could stand instead: the nearest first, at most eight."""
    names = list(known)
    near = get_close_matches(wrong[:80], _alike(wrong, names), n=2)
    listed = [*near, *(name for name in names[: len(near) + 9] if name not in near)]
    more = ", …" if len(names) > 8 else ""
    return " or ".join(listed[:8]) + more if listed else "something that there is"


def _alike(wrong: str, names: list[str]) -> list[str]:
    """The names worth a closer look; of very many, those that share a part with the wrong one."""
    if len(names) > _LOOKED_AT:
        parts = [part for part in wrong.split(".", 2) if part]
        names = [name for name in names if any(part in name for part in parts)]
    return [name for name in names[:_LOOKED_AT] if len(name) <= 130]
