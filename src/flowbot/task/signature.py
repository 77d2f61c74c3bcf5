"""Reading a callable's signature as fields: parameters, results and what its docstring says of them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from flowbot.fields import Field, ToolSignature, Type, UserError, is_name

from .source_code import underlying

_SCALARS: dict[Any, Type] = {str: Type("str"), int: Type("int"), float: Type("float"), bool: Type("bool")}
_KNOWN = "str, int, float, bool, list[T], dict, Literal of texts, a TypedDict or a dataclass"
_SECTION = re.compile(r"^(?:Args|Arguments|Parameters):\s*$", re.MULTILINE)
"""Heads that a blank line need not stand before, though the styles ask for one."""


def read_signature(call: Callable[..., Any], where: str, name: str = "") -> tuple[ToolSignature, bool]:
    """What a callable takes and gives, and whether what it returns is the single output `result`.

    Args:
        call: a function, method, partial or callable object.
        where: how errors name it.
        name: how workflows call it.

    Raises:
        UserError: if a parameter or the return value has no type hint, or one that is no type of values.
    """
    function = underlying(call)
    try:
        signature = inspect.signature(call)
        hints = typing.get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError, AttributeError) as error:
        raise UserError(where, f"a signature that cannot be read ({error})", "a function with type hints") from None
    about, notes = _docstring(inspect.getdoc(function) or "")
    bound = cast("partial[Any]", call).keywords if isinstance(call, partial) else {}
    inputs: list[Field] = []
    optional: set[str] = set()
    for each, parameter in signature.parameters.items():
        if each in bound:  # set already: not for the workflow to choose
            continue
        spot = f"{where}, parameter {each}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise UserError(spot, f"a {parameter.kind.description} parameter", "one that can be given by name")
        hint, note = _annotated(_hint(hints, each, spot))
        inputs.append(Field(each, _type(hint, spot, returned=False), note or notes.get(each, "")))
        if parameter.default is not parameter.empty:
            optional.add(each)
    spot = f"{where}, return value"
    kind, note = read_hint(_hint(hints, "return", spot), spot)
    outputs = tuple(Field(each, member) for each, member in kind.members) or (Field("result", kind, note),)
    return ToolSignature(name, about, tuple(inputs), outputs, optional=frozenset(optional)), not kind.members


def _hint(hints: Mapping[str, Any], name: str, spot: str) -> Any:
    if name not in hints:
        raise UserError(spot, "no type hint", f"one of {_KNOWN}")
    return hints[name]


def read_hint(hint: Any, where: str) -> tuple[Type, str]:
    """The type that a hint stands for, and what `Annotated` says of it.

    Args:
        hint: such as `int`, `list[str]`, `Literal['a', 'b']`, a TypedDict, or `Annotated[int, "euros in all"]`.
        where: how errors name it.

    Raises:
        UserError: if it is no type of values.
    """
    inner, note = _annotated(hint)
    return _type(inner, where, returned=True), note


def _annotated(hint: Any) -> tuple[Any, str]:
    """A hint without `Annotated`, and the first text in it."""
    if typing.get_origin(hint) is not typing.Annotated:
        return hint, ""
    inner, *metadata = typing.get_args(hint)
    return inner, next((each for each in metadata if isinstance(each, str)), "")


def _type(hint: Any, where: str, *, returned: bool) -> Type:
    """The type of a hint. Dataclasses only where values are returned: arguments come as JSON values."""
    hint, _ = _annotated(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        real = [each for each in inner if each is not type(None)]
        if len(real) == 1:
            return _type(real[0], where, returned=returned)
    elif origin is typing.Literal and all(isinstance(each, str) for each in inner):
        return Type("literal", options=tuple(inner))
    elif origin in (list, Sequence) and len(inner) == 1:
        return Type("list", item=_type(inner[0], where, returned=returned))
    elif hint in (dict, Mapping, typing.Dict) or (origin in (dict, Mapping) and inner[0] is str):  # noqa: UP006
        return Type("object")
    elif typing.is_typeddict(hint):
        members = typing.get_type_hints(hint, include_extras=True)
        return _members(members, where, returned=returned)
    elif returned and isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return _members({field.name: hints[field.name] for field in dataclasses.fields(hint)}, where, returned=returned)
    raise UserError(where, f"the type {inspect.formatannotation(cast('object', hint))}", f"one of {_KNOWN}")


def _members(hints: Mapping[str, Any], where: str, *, returned: bool) -> Type:
    members: list[tuple[str, Type]] = []
    for name, hint in hints.items():
        while typing.get_origin(hint) in (typing.Required, typing.NotRequired):
            hint = typing.get_args(hint)[0]
        if not is_name(name):
            raise UserError(where, f"a member named {name!r}", "an identifier")
        members.append((name, _type(hint, f"{where}.{name}", returned=returned)))
    if not members:
        raise UserError(where, "a type without members", f"one of {_KNOWN}")
    return Type("object", members=tuple(members))


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """The first line, and what is said of the parameters in the style of Google, numpy or Sphinx."""
    text = _SECTION.sub(r"\n\n\g<0>", text.strip()).replace("@param", ":param")
    about = text.partition("\n")[0].strip()
    notes: dict[str, str] = {}
    if about != text or about.startswith(":"):
        from griffe import Docstring, DocstringSectionParameters  # takes a fifth of a second

        for style in ("google", "numpy", "sphinx"):
            for section in Docstring(text).parse(style, warnings=False):
                if isinstance(section, DocstringSectionParameters):
                    notes |= {each.name.lstrip("*"): " ".join(each.description.split()) for each in section.value}
    return about, notes
