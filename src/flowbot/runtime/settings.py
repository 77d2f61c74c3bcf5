"""The settings that calls take by keyword: each is named, described and checked once, and shown in signatures and help.

A function takes them as `**settings: Unpack[…]`, so editors and type checkers know them; `with_settings` makes `help()` and
`inspect.signature` show them too, and `require_settings` refuses what is none of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypedDict, TypeVar, cast, get_args

from flowbot.fields.arguments import FOLDER, Checks, bound, choice, one_kind, require_known, require_value
from flowbot.lm.budget import Budget
from flowbot.lm.pace import Pace
from flowbot.lm.prices import Price, is_price
from flowbot.lm.stop import StopSignal

from .executors import EXECUTORS, is_executor
from .sandbox.chosen import SandboxName

P = ParamSpec("P")
T = TypeVar("T")


class CallSettings(TypedDict, total=False):
    """How models and code are called.

    Args:
        pace: how fast each endpoint may be called, by all runs of a workbench together.
        sandbox: where code runs, `monty` or `bubblewrap`; the first that can be had when None.
        cache_dir: folder of stored responses, local models and search indexes; the user's cache folder when None.
    """

    pace: Pace | None
    sandbox: SandboxName | None
    cache_dir: Path | str | None


class WorkbenchSettings(CallSettings, total=False):
    """What a workbench is opened with.

    Args:
        budget: ceilings. They end a search but are no part of a run's identity; those of a workbench hold for all of its runs
            together, and a run's own count within them.
        price: USD per million input and output tokens, where a model's price is not known: one pair, or by model string.
        executor: where metrics and tools that are plain functions, and programs, run: `loop`, in this process, `processes`, or on a cluster: `ray`,
            `ray://HOST:PORT`, `dask://HOST:PORT`.
        max_reply_tokens: what a call of a program of the user's own that names no limit reserves under a ceiling for its reply; the
            model's context, 128,000 at most, when None.
        stop: when set, no new call is sent, and those in flight have 10 s to finish: `optimize` then returns a paused result,
            `evaluate` raises `Paused`. That of a workbench pauses all of its runs.
    """

    budget: Budget | None
    price: Price | None
    executor: str
    max_reply_tokens: int | None
    stop: StopSignal | None


DEFAULTS: Mapping[str, object] = {"executor": "loop"}
"""What a setting is where nothing is given, other than None."""


CHECKS: Checks = {
    "budget": (one_kind(Budget), "fb.Budget(calls=…, usd=…)"),
    "pace": (one_kind(Pace), "fb.Pace(concurrency=…)"),
    "stop": (one_kind(StopSignal), "an fb.StopSignal()"),
    "price": (
        is_price,
        "two numbers, USD per million input and output tokens, such as (0.4, 1.6), or such pairs by model",
    ),
    "cache_dir": FOLDER,
    "executor": (is_executor, EXECUTORS),
    "max_reply_tokens": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        "a whole number above 0",
    ),
    "sandbox": choice(get_args(SandboxName)),
}


def require_settings(call: str, settings: Mapping[str, object], kind: type, checks: Checks = CHECKS) -> None:
    """Refuse settings that a call does not have, and values of another kind than they are; None stands for what is left to us.

    Args:
        call: what is called, for the message.
        settings: as they were given.
        kind: the typed dictionary of those that there are.
        checks: of their values; the others are not looked at.

    Raises:
        UserError: naming the setting, for an unknown one with the nearest name.
    """
    require_known(call, settings, inspect.get_annotations(kind))
    for name, value in settings.items():
        require_value(name, value, checks)


def arguments_of(
    source: Callable[P, object],
) -> Callable[[Callable[..., Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Take the arguments of another function, by `*args` and `**kwargs`, and show its signature.

    Raises:
        UserError: by the function, for an argument that there is none of, with the nearest name.
    """

    def showing(call: Callable[..., Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        signature = inspect.signature(source).replace(return_annotation=inspect.signature(call).return_annotation)

        @wraps(call)
        async def careful(*args: P.args, **kwargs: P.kwargs) -> T:
            bound(signature, call.__name__, args, kwargs)
            return await call(*args, **kwargs)

        cast("Any", careful).__signature__ = signature
        return careful

    return showing


def with_settings(*kinds: type, defaults: Mapping[str, object] = DEFAULTS) -> Callable[[T], T]:
    """Show the settings that a function or class takes by `**settings`: by name in its signature and in its `Args:`.

    Args:
        kinds: typed dictionaries, each with its own settings described; the last one has them all.
        defaults: what they are where nothing is given, other than None.
    """

    def showing(call: T) -> T:
        target = cast("Any", call)
        signature = inspect.signature(target)
        named = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=_text(hint))
            for name, hint in inspect.get_annotations(kinds[-1]).items()
        ]
        own = list(signature.parameters.values())
        if own and own[-1].kind is inspect.Parameter.VAR_KEYWORD:
            signature = signature.replace(parameters=[*own[:-1], *named])
        target.__signature__ = signature
        described = "\n".join(_arguments(inspect.getdoc(kind) or "") for kind in kinds)
        target.__doc__ = _ARGS.sub(lambda own: f"{own[0]}{described}\n", inspect.getdoc(target) or "", count=1)
        return call

    return showing


_ARGS = re.compile(r"(?m)^Args:\n(?: .*\n)*")


def _arguments(text: str) -> str:
    """What stands under `Args:`."""
    found = _ARGS.search(f"{text}\n")
    return found[0].removeprefix("Args:\n").rstrip("\n") if found else ""


def _text(hint: Any) -> str:
    return getattr(hint, "__forward_arg__", None) or inspect.formatannotation(hint)
