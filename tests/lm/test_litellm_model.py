"""`litellm/NAME`: sent by the package, with retries, storing and prices of ours, and quiet. The package itself stands in for once."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from endpoint_help import chat, error, serving
from lm_helpers import request

from flowbot.fields import InfrastructureError, Usage, UserError
from flowbot.lm import litellm_model
from flowbot.lm.budget import Budget
from flowbot.lm.clock import VirtualClock
from flowbot.lm.lm import LM
from flowbot.lm.prices import listed, price_of
from flowbot.lm.session import Session
from flowbot.runtime.open_model import open_client
from flowbot.store import Store

ANSWER = {"model": "m", "choices": [{"message": {"content": "hi", "tool_calls": None}, "finish_reason": "stop"}]}
COUNTED = ANSWER | {"usage": {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": None}}


class BadRequestError(Exception):
    status_code = 400


class RateLimitError(Exception):
    status_code = 429
    response = SimpleNamespace(headers={"retry-after": "2"})


class Package(SimpleNamespace):
    """Stands for litellm: keeps what it was asked, and gives or raises what a test writes down."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        super().__init__(asked=[], answers=list(answers), suppress_debug_info=False)

    async def acompletion(self, **asked: Any) -> Any:
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(model_dump=lambda: answer)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    litellm_model._litellm.cache_clear()
    yield
    litellm_model._litellm.cache_clear()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Package]:
    def put(*answers: dict[str, Any] | Exception) -> Package:
        found = Package(*answers)
        monkeypatch.setitem(sys.modules, "litellm", found)  # type: ignore[arg-type]
        return found

    return put


def lm_of(model: str, **more: Any) -> LM:
    store = Store.memory()
    client = open_client(model, store=store)
    client.clock = VirtualClock()  # type: ignore[attr-defined]
    return LM(client, Session(store, **more), price=listed(client.price_ref))


async def test_it_sends_with_its_own_retries_off_and_is_stored_and_priced(package: Callable[..., Package]) -> None:
    found = package(RateLimitError("slow down"), COUNTED)
    lm = lm_of("litellm/bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0?top_p=0.5", budget=Budget(usd=1))
    replies = [await lm.ask(request(), purpose="x") for _ in range(2)]
    await lm.close()
    assert [each.text for each in replies] == ["hi", "hi"]
    assert len(found.asked) == 2  # one was refused, none of it is asked again
    sent = found.asked[1]
    assert sent["model"] == "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0"
    assert (sent["max_retries"], sent["num_retries"], sent["top_p"]) == (0, 0, 0.5)
    assert lm.session.ledger.retries == 1
    assert lm.session.ledger.spent.usd == pytest.approx(0.00315)


async def test_it_is_quiet_and_fetches_no_price_map(
    package: Callable[..., Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    found = package(COUNTED)
    await lm_of("litellm/x/y?thinking=0").ask(request(), purpose="x")
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert (found.telemetry, found.suppress_debug_info) == (False, True)
    assert logging.getLogger("LiteLLM").level == logging.CRITICAL


async def test_what_a_model_does_not_take_is_given_up(package: Callable[..., Package]) -> None:
    found = package(BadRequestError("mistral does not support parameters: ['seed']"), COUNTED)
    await lm_of("litellm/x/y?thinking=0").ask(request(temperature=0.5), purpose="x", draw=(1,))
    assert ["seed" in each for each in found.asked] == [True, False]


async def test_an_unknown_provider_ends_at_once(package: Callable[..., Package]) -> None:
    found = package(BadRequestError("LLM Provider NOT provided. You passed model=y"))
    with pytest.raises(InfrastructureError, match=r"^litellm/y: litellm: 400: .*NOT provided") as caught:
        await lm_of("litellm/y?thinking=0").ask(request(), purpose="x")
    assert caught.value.fatal
    assert len(found.asked) == 1


async def test_without_the_package_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"no package litellm.*pip install -e '\.\[litellm\]'"):
        await lm_of("litellm/x/y?thinking=0").ask(request(), purpose="x")


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("openai/gpt-4.1-mini", 0.4),
        ("bedrock/us-east-1/amazon.nova-lite-v1:0", 0.06),
        ("vertex_ai/gemini-2.5-flash", 0.3),
        ("gpt-4.1-mini", None),
        ("ollama/llama3", None),
    ],
)
def test_its_price_is_that_of_the_provider_behind_it(name: str, usd: float | None) -> None:
    assert price_of(f"litellm/{name}", Usage(1, 1_000_000, 0)) == (usd if usd is None else pytest.approx(usd))


@pytest.mark.filterwarnings("ignore")
async def test_the_package_itself_through_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("litellm", reason="the extra [litellm]")
    async with serving() as endpoint:
        endpoint.answer = lambda body, number: error(429, "slow down") if number == 1 else chat("hi")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
        monkeypatch.setenv("OPENAI_API_BASE", str(endpoint.server.make_url("/v1")))
        lm = lm_of("litellm/openai/gpt-x?thinking=0")
        reply = await lm.ask(request("hello"), purpose="x")
        await lm.close()
    assert (reply.text, reply.usage.input_tokens, reply.usage.cached_tokens) == ("hi", 12, 8)
    assert [each["messages"] for each in endpoint.bodies] == [[{"role": "user", "content": "hello"}]] * 2
