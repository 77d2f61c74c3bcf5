"""How a meta model is to be asked, measured: by its answers and not by its name; stored, and asked no longer than it is open."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from flowbot.fields import InfrastructureError
from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.runtime.ability import MOST, NEEDED, PURPOSE, TASKS, Ability, measure
from flowbot.store import Store
from flowbot.testing.fake import FakeClient, Faults, open_fake

OLD = "Read the customer's message and name the product that is asked for in one word."


def able(request: Request) -> dict[str, Any]:
    """Does all four tasks."""
    said = request.messages[-1].content
    if "`spelling`, `plural`" in said:
        return {
            "spelling": f"{OLD} Write the product's name without spelling mistakes.",
            "plural": f"{OLD} Use the singular form.",
            "several": OLD.replace("asked for", "asked for, not others that are merely mentioned,"),
        }
    if "extracts dates" in said:
        return {"why": "It is short.", "instruction": "Give every date in ISO format. Without any, give an empty list."}
    return {"step": "list", "quote": "8 crates"} if "jam" in said else {"step": "sum", "quote": "12 + 3 + 4 = 20"}


# What qwen2.5-coder-1.5b answers, and what a model that copies what it read answers.
RECORDED: dict[str, Callable[[str], dict[str, Any]]] = {
    "1.5b": lambda said: {
        **dict.fromkeys(("spelling", "plural", "several"), f"{OLD} If the product is not listed, ask for it."),
        "why": "To extract dates from a letter using ISO format and an empty list.",
        "instruction": "Use regular expressions to find all occurrences of dates in the letter and convert them to ISO format. Return an empty list if no dates are found.",
        "step": "sum",
        "quote": "24 + 5 + 8 = 37" if "jam" in said else "12 + 3 + 4 = 20",
    },
    "copies": lambda said: {
        **dict.fromkeys(("spelling", "plural", "several", "why", "instruction", "quote"), said[:200]),
        "step": "list",
    },
}


def lm_of(reply: Callable[[Request], Any], **more: Any) -> LM:
    return LM(FakeClient(reply, **more), Session(store=Store.memory()))


async def test_a_model_that_can_do_the_work_is_large_whatever_its_name() -> None:
    lm = lm_of(able, name="tiny-0.1b")
    found = await measure(lm)
    assert (found.mode, found.right, found.asked, found.wrong) == ("large", NEEDED, NEEDED, ()), (
        "the fourth could change nothing"
    )
    assert lm.session.ledger.calls == {PURPOSE: NEEDED}


@pytest.mark.parametrize("name", RECORDED)
async def test_a_small_model_is_small_after_two_slips(name: str) -> None:
    def reply(request: Request) -> dict[str, Any]:
        names = re.findall(r'"(\w+)": \{', str(request.schema).replace("'", '"'))
        return {each: value for each, value in RECORDED[name](request.messages[-1].content).items() if each in names}

    lm = lm_of(reply, name="huge-1000b")
    found = await measure(lm)
    assert (found.mode, found.right, found.asked) == ("small", 0, 2)
    assert str(found).startswith(
        f"small (0 of 2 small tasks of a meta model right, {NEEDED} make it large; not: three edits"
    )


@pytest.mark.parametrize("slip", range(len(TASKS)))
async def test_one_slip_is_forgiven_and_two_are_not(slip: int) -> None:
    seen: list[str] = []

    def reply(request: Request) -> Any:
        seen.append(request.messages[-1].content)
        return "no JSON at all" if len(seen) - 1 == slip else able(request)

    found = await measure(lm_of(reply))
    assert found.mode == "large"
    assert len(seen) == found.asked == (MOST if slip < NEEDED else NEEDED)


@pytest.mark.parametrize("model", ["counter", "echo", "judge"])
async def test_pretend_models_are_small(model: str) -> None:
    assert (await measure(LM(open_fake(model), Session(store=Store.memory())))).mode == "small"


async def test_what_is_stored_is_not_asked_again_and_counts_the_same() -> None:
    store = Store.memory()
    for paid in (NEEDED, 0):
        session = Session(store=store)
        client = FakeClient(able)
        assert (await measure(LM(client, session))).mode == "large"
        assert client.calls == paid
        assert session.ledger.calls == {PURPOSE: NEEDED}


async def test_an_endpoint_that_fails_says_nothing_of_the_model() -> None:
    with pytest.raises(InfrastructureError):
        await measure(lm_of(able, faults=Faults(preset=1.0)))


def test_it_is_shown_and_dumped() -> None:
    found = Ability(3, 4, ("an instruction within its limits",))
    assert (
        str(found)
        == "large (3 of 4 small tasks of a meta model right, 3 make it large; not: an instruction within its limits)"
    )
    assert found.dump() == {
        "mode": "large",
        "right": 3,
        "asked": 4,
        "wrong": ["an instruction within its limits"],
        "text": str(found),
    }
