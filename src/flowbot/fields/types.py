"""The types of values in a workflow: parsed from text, checked, coerced, and turned into JSON schema.

The notation is what stands in files: `str`, `int`, `float`, `bool`, `object`, `Literal['a', 'b']`, `list[T]`,
and a typed object `{name: T, other: T}`.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

from .forms import look_alike, plain_form
from .words import cut
from .yaml_core import MOST_BITS, TOO_LONG

Kind = Literal["str", "int", "float", "bool", "object", "literal", "list"]

_JSON_NAMES: Mapping[Kind, str] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "object": "object",
}
"""The kinds that are written as one word, and their names in a JSON schema."""
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<mark>[\[\]{},:]))"
)
_ESCAPES = re.compile(r"""(?:[^\\\n]|\\(?:[\\'"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*\Z""")
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?\Z")
_MAX_DEPTH = 8
MOST_SHOWN = 200
"""Characters of a type's text that errors show."""
MOST_NOTATION = 50_000
"""Characters of the longest type; of a Literal, some thousands of options."""


class TypeSyntaxError(ValueError):
    """A type's text is not in the notation. The message says what was found and what was expected."""


class ValueMismatch(ValueError):
    """A value does not fit a type. The message names the place inside the value, what was found and expected."""


@dataclass(frozen=True, slots=True)
class Type:
    """One type. `item` is set for lists, `options` for literals, `members` for typed objects (in declared order)."""

    kind: Kind
    item: Type | None = None
    options: tuple[str, ...] = ()
    members: tuple[tuple[str, Type], ...] = field(default=())

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(text: str) -> Type:
        """Read a type from its notation.

        Raises:
            TypeSyntaxError: if `text` is not in the notation.
        """
        told = cut(text, MOST_SHOWN)
        if len(text) > MOST_NOTATION:
            raise TypeSyntaxError(f"type {told!r}: longer than {MOST_NOTATION:,} characters")
        parsed, rest = _parse(_tokens(text, told), told, 0)
        if rest:
            raise TypeSyntaxError(f"type {told!r}: found {rest[0]!r} after the type")
        return parsed

    def __str__(self) -> str:
        if self.kind == "list":
            return f"list[{self.item}]"
        if self.kind == "literal":
            return f"Literal[{', '.join(repr(option) for option in self.options)}]"
        if self.members:
            return "{" + ", ".join(f"{name}: {member}" for name, member in self.members) + "}"
        return self.kind

    def json_schema(self) -> dict[str, Any]:
        """JSON schema (draft 2020-12) of the type; typed objects are closed and keep the declared order."""
        match self.kind:
            case "literal":
                return {"type": "string", "enum": list(self.options)}
            case "list":
                return {"type": "array", "items": self.item.json_schema() if self.item else {}}
            case "object" if self.members:
                return object_schema(dict(self.members))
            case _:
                return {"type": _JSON_NAMES[self.kind]}

    def coerce(self, value: Any, place: str = "value") -> Any:
        """The value as this type, where it plainly is one: `"12"` and `12.0` are the int 12; `12` is the float 12.0.

        Args:
            value: a JSON value (str, int, float, bool, None, list, dict).
            place: how to name the value in an error.

        Raises:
            ValueMismatch: if it is not one.
        """
        match self.kind:
            case "literal":
                return self._coerce_literal(value, place)
            case "list":
                return self._coerce_list(value, place)
            case "object":
                return self._coerce_object(value, place)
            case _:
                return _COERCE[self.kind](value, place)

    def accepts(self, other: Type) -> bool:
        """Whether every value of `other` may flow where this type is wanted (an int where a float is, for one)."""
        if self == other:
            return True
        match self.kind:
            case "float":
                return other.kind == "int"
            case "str":
                return other.kind == "literal"
            case "literal":
                return other.kind == "literal" and set(other.options) <= set(self.options)
            case "list":
                return other.kind == "list" and bool(self.item and other.item and self.item.accepts(other.item))
            case "object":
                if other.kind != "object":
                    return False
                theirs = dict(other.members)
                return all(name in theirs and member.accepts(theirs[name]) for name, member in self.members)
            case _:
                return False

    def _coerce_literal(self, value: Any, place: str) -> str:
        given = _coerce_str(value, place)
        if given in self.options:
            return given
        # What a model writes otherwise counts as far as it means one option alone.
        for form in (str.strip, str.casefold, plain_form, look_alike):
            alike = [option for option in self.options if form(option) == form(given.strip())]
            if len(alike) == 1:
                return alike[0]
        raise ValueMismatch(f"{place}: found {_short(value)}; expected one of {', '.join(map(repr, self.options))}")

    def _coerce_list(self, value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise ValueMismatch(f"{place}: found {_short(value)}; expected {self}")
        item = self.item or Type("object")
        return [item.coerce(each, f"{place}[{index}]") for index, each in enumerate(cast("list[Any]", value))]

    def _coerce_object(self, value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueMismatch(f"{place}: found {_short(value)}; expected {'an object' if not self.members else self}")
        given = cast("dict[str, Any]", value)
        if not self.members:
            return given
        missing = [name for name, _ in self.members if name not in given]
        if missing:
            raise ValueMismatch(f"{place}: {', '.join(missing)} is missing; expected {self}")
        return {name: member.coerce(given[name], f"{place}.{name}") for name, member in self.members}


def object_schema(members: dict[str, Type]) -> dict[str, Any]:
    """JSON schema of a closed object with these members, all required, in this order."""
    return {
        "type": "object",
        "properties": {name: member.json_schema() for name, member in members.items()},
        "required": list(members),
        "additionalProperties": False,
    }


def _tokens(text: str, told: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise TypeSyntaxError(f"type {told!r}: found {stripped[position:].strip()[:20]!r}; expected a type")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


def _parse(tokens: list[str], text: str, depth: int) -> tuple[Type, list[str]]:
    known = "str, int, float, bool, object, list[T], Literal['a', 'b'] or {name: T}"
    if not tokens:
        raise TypeSyntaxError(f"type {text!r}: it ends too early; expected {known}")
    if depth > _MAX_DEPTH:
        raise TypeSyntaxError(f"type {text[:40]!r}…: nested deeper than {_MAX_DEPTH}")
    head, rest = tokens[0], tokens[1:]
    for kind in _JSON_NAMES:
        if head == kind:
            return Type(kind), rest
    if head == "list":
        if not rest or rest[0] != "[":
            raise TypeSyntaxError(f"type {text!r}: list needs the type of its items, as in list[str]")
        item, rest = _parse(rest[1:], text, depth + 1)
        return Type("list", item=item), _expect(rest, "]", text)
    if head == "Literal":
        return _parse_literal(_expect(rest, "[", text), text)
    if head == "{":
        return _parse_object(rest, text, depth)
    raise TypeSyntaxError(f"type {text!r}: found {head!r}; expected {known}")


def _parse_literal(tokens: list[str], text: str) -> tuple[Type, list[str]]:
    options: list[str] = []
    while tokens and tokens[0] != "]":
        if tokens[0][0] not in "'\"":
            raise TypeSyntaxError(f"type {text!r}: found {tokens[0]!r} in Literal; expected a quoted text")
        options.append(_unquoted(tokens[0], text))
        tokens = _after_comma(tokens[1:], "]", text)
    if not options or len(set(options)) != len(options):
        raise TypeSyntaxError(f"type {text!r}: Literal needs at least one option, each once")
    return Type("literal", options=tuple(options)), _expect(tokens, "]", text)


def _after_comma(tokens: list[str], end: str, text: str) -> list[str]:
    return tokens if tokens and tokens[0] == end else _expect(tokens, ",", text)


def _unquoted(token: str, text: str) -> str:
    """What a quoted text means. A line break, an escape of no meaning or half of a surrogate pair is refused."""
    try:
        if not _ESCAPES.match(token):
            raise ValueError(token)
        option = str(ast.literal_eval(token))
        _ = option.encode()
    except (SyntaxError, ValueError):
        raise TypeSyntaxError(f"type {text!r}: {token} is no quoted text") from None
    return option


def _parse_object(tokens: list[str], text: str, depth: int) -> tuple[Type, list[str]]:
    members: list[tuple[str, Type]] = []
    while tokens and tokens[0] != "}":
        name, rest = tokens[0], _expect(tokens[1:], ":", text)
        if not name.isidentifier() or name in dict(members):
            raise TypeSyntaxError(f"type {text!r}: found {name!r}; expected a member's name, each once")
        member, tokens = _parse(rest, text, depth + 1)
        members.append((name, member))
        tokens = _after_comma(tokens, "}", text)
    if not members:
        raise TypeSyntaxError(f"type {text!r}: a typed object needs a member; write `object` for any object")
    return Type("object", members=tuple(members)), _expect(tokens, "}", text)


def _expect(tokens: list[str], mark: str, text: str) -> list[str]:
    if not tokens or tokens[0] != mark:
        found = repr(tokens[0]) if tokens else "the end"
        raise TypeSyntaxError(f"type {text!r}: found {found}; expected {mark!r}")
    return tokens[1:]


def _short(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False, default=repr), 60)


def _coerce_str(value: Any, place: str) -> str:
    if isinstance(value, str):
        try:
            _ = value.isascii() or value.encode()
        except UnicodeEncodeError:  # no hash, file or endpoint could take it
            raise ValueMismatch(f"{place}: found half of a surrogate pair; expected Unicode text") from None
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return json.dumps(value)
    raise ValueMismatch(f"{place}: found {_short(value)}; expected str")


def _coerce_int(value: Any, place: str) -> int:
    number = _number(value)
    if number is None or (isinstance(number, float) and not number.is_integer()):
        raise ValueMismatch(f"{place}: found {_short(value)}; expected int")
    if int(number).bit_length() > MOST_BITS:
        raise ValueMismatch(f"{place}: found {TOO_LONG}; expected int")
    return int(number)


def _coerce_float(value: Any, place: str) -> float:
    number = _number(value)
    try:
        if number is not None and math.isfinite(float(number)):
            return float(number)
    except OverflowError:  # an int beyond the floats
        pass
    raise ValueMismatch(f"{place}: found {_short(value)}; expected float")


def _coerce_bool(value: Any, place: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
        return value.strip().casefold() == "true"
    raise ValueMismatch(f"{place}: found {_short(value)}; expected bool")


_COERCE: Mapping[Kind, Callable[[Any, str], Any]] = {
    "str": _coerce_str,
    "int": _coerce_int,
    "float": _coerce_float,
    "bool": _coerce_bool,
}


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        text = value.strip()
        if _THOUSANDS.match(text):  # "1,5" is no number: it may be a list or a decimal comma
            text = text.replace(",", "")
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            return None
    return None
