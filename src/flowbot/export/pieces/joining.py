# pyright: basic
"""Steps that wait for each other, fail, and are joined."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .reading import look_alike, text_of


class StepFailed(Exception):
    """A step gave nothing of use, so that what needs it cannot run."""


async def side_by_side(*steps: Awaitable[Any]) -> list[Any]:
    """What several steps give. All of them end before one that failed is told of."""
    ended = await asyncio.gather(*steps, return_exceptions=True)
    failed = next((each for each in ended if isinstance(each, BaseException)), None)
    if failed is not None:
        raise failed
    return list(ended)


async def or_none(step: Awaitable[Any]) -> Any:
    """What a step gives; None where it failed: what can do without it goes on."""
    try:
        return await step
    except StepFailed:
        return None


async def samples_of(number: int, draw: Callable[[int], Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """So many samples of one step; those that failed are left out."""
    drawn = await side_by_side(*(or_none(draw(seed)) for seed in range(number)))
    found = [each for each in drawn if each is not None]
    if not found:
        raise StepFailed("no sample is of use")
    return found


def required(step: Mapping[str, Any] | None, name: str) -> Any:
    """What a step gave under a name, which nothing can do without."""
    if step is None:
        raise StepFailed(f"{name} is missing")
    return step[name]


def arrived(*values: Any) -> list[Any]:
    """Those of the values that are there."""
    there = [each for each in values if each is not None]
    if not there:
        raise StepFailed("nothing arrived")
    return there


def first_filled(values: list[Any]) -> Any:
    """The first value that is not empty; the first of all where all are."""
    return next((each for each in values if not is_empty(each)), values[0])


def majority_vote(values: list[Any]) -> Any:
    """The most frequent value, the earlier one where two are as frequent."""
    ballots = [look_alike(each) if isinstance(each, str) else json.dumps(each, sort_keys=True) for each in values]
    counts = Counter(ballots)
    return values[ballots.index(max(counts, key=lambda ballot: counts[ballot]))]


def join_values(values: list[Any]) -> Any:
    """Lists one after another, anything else as text, a line each."""
    if all(isinstance(each, list) for each in values):
        return [item for each in values for item in each]
    return "\n".join(text_of(each) for each in values)


def lettered(candidates: list[Any]) -> dict[str, Any]:
    """The candidates by the labels that a model may choose."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    several = len(candidates) > len(letters)
    return {str(number + 1) if several else letters[number]: each for number, each in enumerate(candidates)}


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: none, a blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})
