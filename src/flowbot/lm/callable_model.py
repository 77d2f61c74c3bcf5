"""A user's own function from messages to a text as a model: it is asked, stored, counted and held by a budget as an endpoint is.

Everywhere below the arguments of calls it is a model string, `callable/NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast, overload

from flowbot.fields import UserError
from flowbot.fields.numbers import shown

from .providers import CALLABLE

_NAME = re.compile(r"[\w.:/@+-]{1,120}")
_UNNAMED = "unnamed:"
NAMED_BY = 'fb.CallableModel(ask, name="gateway/llama-3.3-70b"), or an attribute `name`: who answers, which replies are stored under'


@dataclass(frozen=True)
class CallableModel:
    """A function of your own as a model, wherever one is given: `lm=fb.CallableModel(ask, name="gateway/llama-3.3-70b")`.

        >>> async def ask(messages, temperature=0.0):
        ...     return await gateway.chat(messages, temperature=temperature)
        >>> fb.evaluate("single-call", "task.yaml", lm=fb.CallableModel(ask, name="gateway/llama-3.3-70b"))

    A function, or an object that can be called, with an attribute `name` need not be wrapped.

    Args:
        call: async or not, from messages (a list of `{"role": …, "content": …}`) to the reply's text, or to a mapping in the form of an
            OpenAI chat completion, whose `usage` then counts. It is also given `max_tokens`, `temperature`, `seed` and
            `response_format` where it has arguments of these names. One that is not async is called in a thread.
        name: who answers. Replies are stored under it, so another model behind the function needs another name.
        concurrency: calls at once, unless a pace says otherwise.

    Raises:
        UserError: for a name that is none.
    """

    call: Callable[..., Any]
    name: str
    concurrency: int = 16

    def __post_init__(self) -> None:
        if not callable(self.call):
            raise UserError("CallableModel", shown(self.call), "a function from messages to a text")
        if not isinstance(cast("object", self.name), str) or not _NAME.fullmatch(self.name):
            raise UserError("CallableModel: name", shown(self.name), "letters, digits and . : / @ + - _, 120 at most")

    def __call__(self, messages: list[dict[str, Any]], **given: Any) -> Any:
        """What the function returns."""
        return self.call(messages, **given)


ModelLike: TypeAlias = str | Callable[..., Any]
"""A model string, or a function of the user's own from messages to a text."""
_known: dict[str, CallableModel] = {}


@overload
def model_string(model: ModelLike, where: str, *, stored: bool = True) -> str: ...
@overload
def model_string(model: ModelLike | None, where: str, *, stored: bool = True) -> str | None: ...
def model_string(model: ModelLike | None, where: str, *, stored: bool = True) -> str | None:
    """The string by which a model is known: a function of the user's is `callable/NAME` in this process from now on.

    Args:
        model: as given.
        where: the argument that it was given by.
        stored: whether its replies are kept, so that it must say who answers.

    Raises:
        UserError: for a function that does not name itself, where replies are stored.
    """
    if isinstance(model, str):
        if stored and model.startswith(f"{CALLABLE}/{_UNNAMED}"):
            raise UserError(where, "a function without a name", NAMED_BY)
        return model
    if model is None:
        return None
    named = model if isinstance(model, CallableModel) else None
    if named is None:
        own: object = getattr(model, "name", None)
        if own is None and stored:
            who = getattr(model, "__qualname__", type(model).__name__)
            raise UserError(where, f"the function {who}, which does not say who answers", NAMED_BY)
        named = CallableModel(model, f"{_UNNAMED}{id(model):x}" if own is None else cast("str", own))
    _known[named.name] = named
    return f"{CALLABLE}/{named.name}"


def found_callable(name: str) -> CallableModel | None:
    """The function that `model_string` was given under a name; None where there is none in this process."""
    return _known.get(name)
