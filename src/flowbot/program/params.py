"""What can be tuned in a program: texts and values, each with the default that stands in the source."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import cast
from weakref import WeakValueDictionary

from .applied import applied
from .watching import SPEAKERS, Pair, Scalar, watcher

_MADE: WeakValueDictionary[str, Param | Value] = WeakValueDictionary()
MOST_LETTERS = 8000
"""Of a text."""
MOST_TURNS = 16
"""Worked examples of one text."""
NO_TURNS = "turns=[] beside its text, and *NAME.turns() among the messages"


def made(name: str) -> Param | Value | None:
    """What was declared last under a name in this process; None where nothing is."""
    return _MADE.get(name)


class Param:
    """A text that can be tuned, such as a prompt.

        >>> PLAN = fb.Param("plan", "Write a search query.")
        >>> f"{PLAN} Be short."
        'Write a search query. Be short.'

    It is read where it is used: by `str(PLAN)`, in an f-string, with `%`, `+` or `PLAN.format(...)`. It is no text itself, which would go stale
    silently where C code reads it: `", ".join([PLAN])` and `json.dumps(PLAN)` raise a TypeError; write `str(PLAN)` there. Read it
    in the function that uses it, not at import.

    Worked examples that a search finds stand behind it, as part of the text. With `turns` they are turns of the conversation, which
    models follow better, where the program puts them:

        >>> SAY = fb.Param("say", "Answer in one word.", turns=[])
        >>> [{"role": "system", "content": str(SAY)}, *SAY.turns(), {"role": "user", "content": "Which bird hovers?"}]

    Args:
        name: its name in the flow file: letters, digits and `_`.
        default: the text, at most 8,000 letters.
        turns: the worked examples to begin with, pairs of what the user says and the reply; None: the program does not send `turns()`.

    Raises:
        TypeError, ValueError: for a name, a text or turns that cannot be such.
    """

    __slots__ = ("__weakref__", "default", "examples", "name", "where")

    def __init__(self, name: str, default: str, *, turns: Sequence[Pair] | None = None) -> None:
        self.name = _name("Param", name)
        if not isinstance(cast("object", default), str):
            raise TypeError(f"fb.Param({name!r}, ...): the default is {type(default).__name__}; expected a text")
        if len(default) > MOST_LETTERS:
            raise ValueError(f"fb.Param({name!r}, ...): {len(default):,} letters; expected at most {MOST_LETTERS:,}")
        self.default = default
        self.examples = None if turns is None else tuple(_pair(name, each) for each in turns)
        if len(self.examples or ()) > MOST_TURNS:
            raise ValueError(f"fb.Param({name!r}, ...): {len(turns or ())} turns; expected at most {MOST_TURNS}")
        self.where = _caller()
        _MADE[name] = self

    def __str__(self) -> str:
        if (watching := watcher.get()) is not None:
            return watching.text(self.name, self.default)
        if self.examples is None and self.name in applied().turns:
            raise ValueError(f"fb.Param({self.name!r}, ...): the flow file in use has turns of it; expected {NO_TURNS}")
        return applied().texts.get(self.name, self.default)

    def turns(self) -> list[dict[str, str]]:
        """Its worked examples as messages, each what the user says and the reply; to be sent before what is asked.

        Raises:
            TypeError: if it was made without `turns`.
        """
        if self.examples is None:
            raise TypeError(f"fb.Param({self.name!r}, ...): its turns are asked for; expected {NO_TURNS}")
        watching = watcher.get()
        told = (
            applied().turns.get(self.name, self.examples)
            if watching is None
            else watching.turns(self.name, self.examples)
        )
        return [{"role": role, "content": text} for each in told for role, text in zip(SPEAKERS, each, strict=True)]

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __add__(self, other: object) -> str:
        return str(self) + str(other) if isinstance(other, str | Param) else NotImplemented

    def __radd__(self, other: object) -> str:
        return other + str(self) if isinstance(other, str) else NotImplemented

    def __mod__(self, values: object) -> str:
        return str(self) % values

    def format(self, *values: object, **named: object) -> str:
        """The text with its places filled, as `str.format` does it."""
        return str(self).format(*values, **named)

    def __repr__(self) -> str:
        return f"Param({self.name!r}, {self.default!r:.60})"


class Value:
    """A number, a choice or a switch that can be tuned; called, it gives what it is.

        >>> TOP_K = fb.Value("top_k", 5, choices=[3, 5, 10])
        >>> TOP_K()
        5

    Args:
        name: its name in the flow file: letters, digits and `_`.
        default: a bool, a number or a text.
        choices: what it may be; the default is one of them. A bool may be either without.
        low, high: what a number may be at least and at most.

    Raises:
        TypeError, ValueError: for a name or a default that cannot be one.
    """

    __slots__ = ("__weakref__", "choices", "default", "high", "low", "name", "where")

    def __init__(
        self,
        name: str,
        default: Scalar,
        *,
        choices: Sequence[Scalar] | None = None,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        self.name = _name("Value", name)
        self.default = default
        self.choices = tuple(choices or ((False, True) if isinstance(default, bool) else ()))
        self.low, self.high = low, high
        self.where = _caller()
        if not isinstance(cast("object", default), bool | int | float | str):
            raise TypeError(f"fb.Value({name!r}, ...): the default is {type(default).__name__}; expected a scalar")
        if (low is None) != (high is None) or (low is not None and (self.choices or isinstance(default, bool | str))):
            raise ValueError(f"fb.Value({name!r}, ...): give `choices`, or both `low` and `high` of a number")
        for each in (default, *self.choices):
            if fault := self.fault(each):
                raise ValueError(f"fb.Value({name!r}, ...): {fault}")
        _MADE[name] = self

    def fault(self, value: object) -> str:
        """Why this may not be it, in words; "" where it may."""
        kind = type(self.default)
        if type(value) is not kind and not (kind is float and type(value) is int):
            return f"{value!r:.60} is no {kind.__name__}"
        if self.choices and value not in self.choices:
            return f"{value!r:.60} is none of {', '.join(map(repr, self.choices))}"
        if self.low is not None and self.high is not None and not self.low <= cast("float", value) <= self.high:
            return f"{value!r:.60} is not from {self.low:g} to {self.high:g}"
        return ""

    def __call__(self) -> Scalar:
        """What it is now.

        Raises:
            ValueError: if a flow file in use says what it may not be.
        """
        watching = watcher.get()
        value = (applied().values.get if watching is None else watching.value)(self.name, self.default)
        if fault := self.fault(value):
            raise ValueError(f"fb.Value({self.name!r}, ...): {fault}")
        return value

    def __repr__(self) -> str:
        return f"Value({self.name!r}, {self.default!r:.60})"


def _pair(name: str, given: object) -> Pair:
    match given:
        case (str(said), str(reply)) if not isinstance(given, str):
            return said, reply
        case _:
            raise TypeError(
                f"fb.Param({name!r}, ...): the turn {given!r:.60}; expected a pair of texts, the user's and the reply"
            )


def _name(kind: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"fb.{kind}: the name is {type(name).__name__}; expected a text")
    if not (name.isidentifier() and name.isascii()):
        raise ValueError(f"fb.{kind}: the name {name!r:.60}; expected letters, digits and `_`, no digit first")
    return name


def _caller() -> str:
    """`FILE:LINE` of who makes it."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage] - as `warnings` and `logging` find who called
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
