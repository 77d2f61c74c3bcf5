"""Arguments of what people call: a slip is one line that says what would do, before anything is done."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

from .errors import UserError
from .near import one_of
from .numbers import shown

P = ParamSpec("P")
T = TypeVar("T")

Check: TypeAlias = tuple[Callable[[object], bool], str]
"""Whether a value fits, and what does in words."""
Checks: TypeAlias = Mapping[str, Check]
"""By an argument's name."""


def one_kind(*kinds: type) -> Callable[[object], bool]:
    """Whether a value is of one of these kinds; True and False are no numbers."""
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool)


def _names(value: object) -> bool:
    """A text is no list, though it can be read as one of letters."""
    listed = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return listed and all(isinstance(each, str) for each in cast("Iterable[object]", value))


FILE: Check = (one_kind(str, os.PathLike), "the path of a file")
FOLDER: Check = (one_kind(str, os.PathLike), "the path of a folder")
MODEL: Check = (
    lambda value: isinstance(value, str) or callable(value),
    "a model string such as 'openai/gpt-4.1-mini', or a function from messages to a text",
)
NAMES: Check = (_names, "a list of names")
SAY: Check = (callable, "a function that takes a line")
SWITCH: Check = (lambda value: isinstance(value, bool), "True or False")
TEXT: Check = (one_kind(str), "a text")


def choice(names: Collection[str]) -> Check:
    """One of some names."""
    return lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"


def require_value(name: str, value: object, checks: Checks) -> None:
    """Refuse a value of another kind than its name has in `checks`; None stands for none.

    Raises:
        UserError: naming it.
    """
    if value is not None and name in checks:
        fits, expected = checks[name]
        if not fits(value):
            raise UserError(name, shown(value), expected)


def require_known(call: str, given: Iterable[str], known: Collection[str]) -> None:
    """Refuse an argument that a call does not have.

    Raises:
        UserError: with the nearest name.
    """
    for name in given:
        if name not in known:
            raise UserError(f"{call}()", f"the argument {name!r}", one_of(name, known))


def bound(
    signature: inspect.Signature, call: str, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> inspect.BoundArguments:
    """The arguments of a call by their names.

    Raises:
        UserError: for one that there is none of, with the nearest name, and for too few or too many.
    """
    parameters = signature.parameters
    if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        require_known(call, kwargs, [name for name in parameters if name != "self"])
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UserError(f"{call}()", f"a call that does not fit ({error})", f"{call}{_short(signature)}") from None


def checked_arguments(**checks: Check) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Check the arguments of each call; an argument may be None where that is its default.

    Args:
        checks: of values, by the argument's name; each of several that stand under one name is looked at.

    Raises:
        UserError: by the function, naming the argument.
    """

    def checking(call: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(call)
        name = call.__qualname__.removesuffix(".__init__")

        @wraps(call)
        def careful(*args: P.args, **kwargs: P.kwargs) -> T:
            for each, value in bound(signature, name, args, cast("dict[str, object]", kwargs)).arguments.items():
                parameter = signature.parameters[each]
                several = parameter.kind is parameter.VAR_POSITIONAL
                for one in cast("tuple[Any, ...]", value) if several else (value,):
                    if one is None and parameter.default is not None and each in checks:
                        raise UserError(each, "None", checks[each][1])
                    require_value(each, one, checks)
            return call(*args, **kwargs)

        return careful

    return checking


def _short(signature: inspect.Signature) -> str:
    """`(task, *, lm, …)`: what must be given."""
    own = [each for name, each in signature.parameters.items() if name != "self"]
    needed = [each for each in own if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    plain = [each.name for each in needed if each.kind is not each.KEYWORD_ONLY]
    named = [f"{each.name}=…" for each in needed if each.kind is each.KEYWORD_ONLY]
    more = ["…"] if len(own) > len(needed) else []
    return f"({', '.join([*plain, *named, *more])})"
