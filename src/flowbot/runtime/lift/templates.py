"""Which parts of a text are always the same, and which are values that are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowbot.workflow.prompt import Part, Ref

Place = tuple[int, ...]
"""How far each of the texts is read."""
_SHORT = 3
"""Letters below which a value that never changes is taken for a part of the text."""
_MOST_WAYS = 300_000
"""Places in the texts that are looked at."""


class Torn(Exception):
    """The texts go apart where no known value stands.

    Args:
        before: what stands before that place.
        found: how the texts go on, of two that differ.
    """

    def __init__(self, before: str, found: tuple[str, str]) -> None:
        super().__init__(before)
        self.before, self.found = before, found


def template(texts: Sequence[str], known: Mapping[str, Sequence[str]]) -> tuple[Part, ...]:
    """Texts of one place as literal parts and references, which give back each of them exactly.

    Args:
        texts: one for each time that the place was come to.
        known: by reference what it was at those times.

    Raises:
        Torn: where there is no such template.
    """
    usable = {
        name: values
        for name, values in known.items()
        if any(values) and (len(set(values)) > 1 or len(values[0]) >= _SHORT)
    }
    ends = tuple(map(len, texts))
    start = tuple(0 for _ in texts)
    parts: dict[Place, tuple[Place, Part]] = {}
    """How each place was come to: from where, by which part."""
    waiting, ways, furthest = [start], 0, start
    while waiting and ways < _MOST_WAYS:
        at = waiting.pop()
        ways += 1
        furthest = max(furthest, at, key=lambda place: place[0])
        if at == ends:
            return _joined(at, parts)
        steps: list[tuple[Place, Part]] = []
        if not any(place == end for place, end in zip(at, ends, strict=True)):
            letters = {text[place] for text, place in zip(texts, at, strict=True)}
            if len(letters) == 1:
                steps.append((tuple(place + 1 for place in at), letters.pop()))
        steps += sorted(
            (
                (tuple(place + len(value) for place, value in zip(at, values, strict=True)), Ref(ref=name))
                for name, values in usable.items()
                if all(text.startswith(value, place) for text, place, value in zip(texts, at, values, strict=True))
            ),
            key=lambda step: sum(step[0]),
        )
        for to, part in steps:  # the last is tried first: the longest value
            if to not in parts:
                parts[to] = (at, part)
                waiting.append(to)
    here = [text[place:] for text, place in zip(texts, furthest, strict=True)]
    other = next((text for text in here if text[:1] != here[0][:1]), here[0])
    raise Torn(texts[0][: furthest[0]], (here[0], other))


def _joined(at: Place, parts: Mapping[Place, tuple[Place, Part]]) -> tuple[Part, ...]:
    found: list[Part] = []
    while at in parts:
        at, part = parts[at]
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] = part + found[-1]
        else:
            found.append(part)
    return tuple(reversed(found))


def separator(texts: Sequence[str], lists: Sequence[Sequence[str]]) -> str | None:
    """What stands between the items of a list where a text holds them one after another; None where it holds them otherwise."""
    for text, items in zip(texts, lists, strict=True):
        if len(items) > 1 and all(items[:2]):
            first = text.find(items[0])
            second = text.find(items[1], first + len(items[0]))
            return text[first + len(items[0]) : second] if 0 <= first < second else None
    return None


@dataclass(frozen=True, slots=True)
class Joining:
    """How a list's items stand in a row in a text.

    Args:
        before: what stands before each but the first.
        number: of the second, where they are numbered; None where they are not.
        behind: what stands behind the number.
    """

    before: str
    number: int | None = None
    behind: str = ""

    def joined(self, items: Sequence[str]) -> str:
        """The items in a row; the first has nothing before it."""
        if self.number is None:
            return self.before.join(items)
        rest = (f"{self.before}{n}{self.behind}{item}" for n, item in enumerate(items[1:], self.number))
        return "".join([*items[:1], *rest])

    @property
    def code(self) -> str:
        """The same as a `code` node says it."""
        if self.number is None:
            return f"def run(items):\n    return {{'text': {self.before!r}.join(items)}}"
        each = f"{self.before!r} + str(n + {self.number - 1}) + {self.behind!r} + item if n else item"
        return f"def run(items):\n    return {{'text': ''.join([{each} for n, item in enumerate(items)])}}"


def joinings(texts: Sequence[str], lists: Sequence[Sequence[str]]) -> list[Joining]:
    """How items may stand in a row, by what stands between two of them: as it is, or with a number that counts them."""
    between = separator(texts, lists)
    if between is None:
        return []
    numbered = re.fullmatch(r"(\D*)([12])(\D*)", between)
    counted = [Joining(numbered[1], int(numbered[2]), numbered[3])] if numbered else []
    return [*counted, Joining(between)]
