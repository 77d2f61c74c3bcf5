"""Results that are made once, and stored ones that cannot be what was stored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowbot.fields import InfrastructureError
from flowbot.runtime.memo import Made, Memo, Result, check_result
from flowbot.store import Store


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tool", {"outputs": {"x": 1}, "seconds": 0.5}),
        ("tool", {"error": "late", "seconds": 10}),
        ("code", {"result": None}),
        ("code", {"error": "no"}),
        ("metric", {"value": 1, "feedback": "", "parts": {"a": 0.5}}),
    ],
)
def test_results_are_taken(kind: Made, value: Result) -> None:
    check_result(kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tool", {}), ("tool", {"outputs": [], "seconds": 0}), ("tool", {"outputs": {}, "seconds": "x"}),
        ("tool", {"error": 3}), ("code", {}), ("code", {"error": None}), ("metric", {"value": 1.5, "feedback": "", "parts": {}}),
        ("metric", {"value": 1, "feedback": "", "parts": {"a": -1}}), ("metric", {"error": "x"}),
        ("metric", {"value": 1, "feedback": "", "parts": {}, "more": 1}),
    ],
)  # fmt: skip
async def test_a_stored_result_that_is_none_is_damaged(kind: Made, value: Result) -> None:
    with pytest.raises(ValueError, match=f"no result of a {kind}"):
        check_result(kind, value)
    store = Store.memory()
    await store.put("k", value, kind=kind)

    async def never() -> Any:
        raise AssertionError("it is stored")

    with pytest.raises(InfrastructureError, match="cache verify --repair"):
        await Memo(store).once("k", kind, never)
    await asyncio.sleep(0)
