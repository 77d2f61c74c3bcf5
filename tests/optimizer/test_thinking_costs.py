"""What is expected to be paid for models that think."""

from __future__ import annotations

import pytest

from flowbot.lm.budget import Budget
from flowbot.lm.model_options import thinking_budget, usual_thinking
from flowbot.optimizer.ceilings import ceiling_outlooks
from flowbot.optimizer.estimate import estimate
from flowbot.task import Task
from flowbot.workflow.starts import single_call


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_an_estimate_holds_thoughts_where_a_name_tells_of_them(orders: Task) -> None:
    plain, thinks = (estimate(orders, lm=f"openai/{name}") for name in ("gpt-4.1", "gpt-5"))
    assert plain.calls == thinks.calls
    assert thinks.tokens - plain.tokens == thinks.calls * usual_thinking("openai/gpt-5") > 0


def test_an_estimate_is_that_of_the_tier_that_is_asked_for(orders: Task) -> None:
    usual, flex = (estimate(orders, lm=f"openai/gpt-5{tier}").usd for tier in ("", "?service_tier=flex"))
    assert usual is not None
    assert flex == pytest.approx(usual / 2)
    assert estimate(orders, lm="openai/gpt-5?service_tier=priority").usd is None


def test_what_is_kept_for_the_closing_test_expects_thoughts_and_what_is_refused_does_not(orders: Task) -> None:
    start = single_call(orders.inputs, orders.outputs, orders.goal, reasoning=True)
    seen = {
        name: ceiling_outlooks(Budget(tokens=10**8), orders, start, (f"openai/{name}", None), None)[0][0]
        for name in ("gpt-4.1", "gpt-5", "gpt-5?thinking=40000")
    }
    assert seen["gpt-4.1"].test < seen["gpt-5"].test < seen["gpt-5?thinking=40000"].test
    assert thinking_budget("openai/gpt-5?thinking=40000") == 40_000
