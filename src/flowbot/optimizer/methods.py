"""The methods by name, `OUTER[+INNER]`, as recipes of the seams; a user's own is an object, or an entry point.

    outer: flowbot (chooses by beliefs and votes), random (the control: any change is as likely, nothing is asked), paper, aflow
        (AFlow: a tree of structures, each one modification of another), autoflow (AutoFlow: programs in words, by a model that is told
        what they are worth), autoflow-words (and what was said of their worst runs), none
    inner: blame (what the step that is blamed is told and how it is set), layerwise (the paper's), autodiff (LLM-AutoDiff's:
        gradients, history and failed tries in one question; alone with its two gates), textgrad (TextGrad's: all texts are
        overwritten), gepa and mipro (the published packages; extra `dspy`), none

An own method is any object with the members of `Method`; `PoolMethod` makes one of parts:

    import flowbot.optimizer.methods as m
    fb.optimize(task, lm="openai/gpt-4.1-mini", method=m.PoolMethod("strict", judge=Strict))

    revert = m.OwnProtocol("textgrad-revert", functools.partial(m.Descent, revert=True))  # what lowers validation is put back

A package offers one under the entry point group `flowbot.methods`; it is asked for by its name there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Protocol, cast, runtime_checkable

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.fields.plugins import find_plugin, plugin_names

from .feedback.ballots import BallotCritic
from .method import PURPOSES, Loop, Method, Sizes
from .planner import Bandit
from .pool_method import PoolMethod, default_proposers, tuning
from .recipes import INNER, OwnProtocol, PaperMethod, recipe
from .seams import Order
from .textgrad.descent import Descent

__all__ = [
    "PURPOSES", "Descent", "Loop", "Method", "OwnProtocol", "PaperMethod", "PoolMethod", "Sizes", "default_proposers", "find_method", "ordered", "tuning",
]  # fmt: skip

OUTERS = ("flowbot", "paper", "aflow", "autoflow", "autoflow-words", "random", "none")
INNERS = tuple(INNER)
DEFAULT_INNER = {
    "flowbot": "blame", "paper": "layerwise", "aflow": "none", "autoflow": "none", "autoflow-words": "none", "random": "blame", "none": "blame",
}  # fmt: skip
EXPECTED = "an object with `name`, `calls(sizes)` and `loop(sizes)`"


@runtime_checkable
class Holds(Protocol):
    """A method around another one."""

    def ordered(self, order: Order) -> Method:
        """The same around the other one with that order."""
        ...


def find_method(method: object) -> Method:
    """The method of a name, or the object itself.

    Raises:
        UserError: for an unknown name, an object that is no method, or a package whose method cannot be loaded.
    """
    if isinstance(method, str):
        return _named(method)
    if not _is_method(method):
        raise UserError("method", shown(method), f"a name such as 'flowbot+blame', or {EXPECTED}")
    return cast("Method", method)


def ordered(method: Method, order: Order) -> Method:
    """The method with its changes tried in an order; see `seams.Order`. One that holds another has a method `ordered` of its own.

    Raises:
        UserError: if it is no search of the pool by the built-in planner, and so has an order of its own.
    """
    if order == "free":
        return method
    if isinstance(method, Holds):
        return method.ordered(order)
    planner = method.planner if isinstance(method, PoolMethod) and method.tree is None else None
    if not isinstance(method, PoolMethod) or (planner.func if isinstance(planner, partial) else planner) is not Bandit:
        raise UserError("order", repr(order), f"'free': {method.name} has an order of its own")
    asks = method.critic is BallotCritic and order == "prompts-first"
    critic = partial(BallotCritic, asks_mends=True) if asks else method.critic
    return replace(method, planner=partial(cast("type[Bandit]", method.planner), order=order), critic=critic)


def _is_method(method: object) -> bool:
    if isinstance(method, type) or not isinstance(method, Method):
        return False
    name = cast("object", method.name)
    return isinstance(name, str) and bool(name) and callable(method.calls) and callable(method.loop)


def _named(text: str) -> Method:
    outer, _, inner = text.partition("+")
    if outer not in OUTERS:
        return _installed(text)
    inner = inner or DEFAULT_INNER[outer]
    if inner not in INNERS:
        raise UserError("method", repr(inner), f"an inner strategy, {one_of(inner, INNERS)}")
    return recipe(outer, inner)


def _installed(name: str) -> Method:
    plugin = find_plugin("methods", name)
    if plugin is None:
        outer = name.partition("+")[0]
        raise UserError(
            "method", shown(name), f"an outer strategy, {one_of(outer, (*OUTERS, *plugin_names('methods')))}"
        )
    found = plugin.load()
    if not _is_method(found):
        raise plugin.refused(shown(found), EXPECTED)
    return cast("Method", found)
