"""Model strings, keys, addresses and prices: what is wrong is said before anything is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import Usage, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import Message, Reply, Request
from flowbot.lm.prices import is_known, listed, parse_price, price_of, price_text
from flowbot.lm.providers import endpoint_of, providers, require_key, split_model
from flowbot.lm.session import Session
from flowbot.runtime.open_model import open_lm
from flowbot.store import Store


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in providers().values():
        for name in (*provider.keys, provider.base_variable):
            monkeypatch.delenv(name or "NOTHING", raising=False)


def _session(**budget: Any) -> Session:
    return Session(Store.memory(), Budget(**budget))


@pytest.mark.parametrize("model", ["gpt-4", "nobody/x", "", "/x"])
def test_an_unknown_provider_lists_the_known_ones(model: str) -> None:
    with pytest.raises(UserError, match="openai, anthropic"):
        open_lm(model, _session())


@pytest.mark.parametrize("model", ["openai", "openai/", "openai/?reasoning_effort=low"])
def test_a_provider_alone_is_no_model(model: str) -> None:
    with pytest.raises(UserError, match="a provider without a model's name; expected openai/NAME"):
        split_model(model)


def test_a_name_may_hold_slashes() -> None:
    assert split_model("openrouter/openai/gpt-4.1-mini") == ("openrouter", "openai/gpt-4.1-mini")
    assert split_model("local//tmp/x.gguf") == ("local", "/tmp/x.gguf")


@pytest.mark.parametrize("provider", [name for name, row in providers().items() if row.needs_key and row.base_url])
def test_a_missing_key_names_its_variable(provider: str) -> None:
    with pytest.raises(UserError, match=providers()[provider].keys[0]):
        open_lm(f"{provider}/x", _session())


def test_a_key_that_cannot_be_one_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abc def")
    with pytest.raises(UserError, match="OPENAI_API_KEY") as caught:
        open_lm("openai/x", _session())
    assert "abc" not in str(caught.value)


def test_an_endpoint_does_not_show_its_key() -> None:
    endpoint = endpoint_of("openai", "x", {"OPENAI_API_KEY": "sk-abc"})
    assert endpoint.key == "sk-abc"
    assert "sk-abc" not in f"{endpoint!r} {endpoint}"


async def test_a_model_at_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:pass@proxy.example/openai/v1/")
    lm = open_lm("openai/gpt-4.1-mini", _session())
    assert lm.identity.dump() == {
        "provider": "openai",
        "base_url": "https://proxy.example/openai/v1",
        "name": "gpt-4.1-mini",
        "extra": {},
    }
    assert lm.client.price_ref is None
    await lm.close()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        ("box:1234", "http://box:1234/v1"),
        ("0.0.0.0:11434", "http://127.0.0.1:11434/v1"),
        ("https://box/v1/", "https://box/v1"),
    ],
)
def test_where_ollama_is(host: str, url: str) -> None:
    endpoint = endpoint_of("ollama", "x", {"OLLAMA_HOST": host})
    assert endpoint.base_url == url
    assert endpoint.price_ref == "free"
    require_key(endpoint)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:99999999", "http://x:y"])
def test_an_address_that_is_none_names_its_variable(url: str) -> None:
    with pytest.raises(UserError, match="OPENAI_BASE_URL"):
        endpoint_of("openai", "x", {"OPENAI_BASE_URL": url})


def test_azure_needs_its_address() -> None:
    with pytest.raises(UserError, match="AZURE_OPENAI_ENDPOINT"):
        endpoint_of("azure", "x", {})
    endpoint = endpoint_of("azure", "x", {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"})
    assert endpoint.base_url == "https://me.openai.azure.com/openai/v1"
    assert endpoint.row.key_header == "api-key"


async def test_a_fake_model_answers() -> None:
    lm = open_lm("fake/echo", _session(usd=1.0))
    reply = await lm.ask(Request((Message("user", "hello"),), 50), purpose="train")
    assert isinstance(reply, Reply)
    assert "hello" in reply.text
    assert reply.usage.usd == 0.0
    assert lm.name == "fake/echo"
    await lm.close()


async def test_a_model_that_is_opened_twice_is_one_client_and_closed_with_its_last_user() -> None:
    session = _session()
    task, meta = open_lm("fake/echo", session), open_lm("fake/echo", session)
    assert task.client is meta.client
    assert open_lm("fake/echo?seed=1", session).client is not task.client
    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    task.client.close = close  # type: ignore[method-assign]
    await task.close()
    await task.close()
    assert closed == []
    await meta.close()
    assert closed == ["closed"]


def test_a_recording_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path / "none.jsonl")):
        open_lm("recorded/none.jsonl", _session(), base_dir=tmp_path)


async def test_a_ceiling_in_usd_needs_a_known_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with pytest.raises(UserError, match=r"nobodys-model.*--price IN,OUT"):
        open_lm("openai/nobodys-model", _session(usd=1.0))
    for model, price in (("openai/nobodys-model", (1.0, 2.0)), ("openai/gpt-4.1-mini", None)):
        await open_lm(model, _session(usd=1.0), price=price).close()
    await open_lm("openai/nobodys-model", _session(calls=1)).close()


def test_prices_by_the_list_and_by_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = Usage(calls=1, input_tokens=1_000_000, output_tokens=1_000_000)
    assert price_of("openai/gpt-4.1-mini", usage) == pytest.approx(0.4 + 1.6)
    assert price_of("openrouter/openai/gpt-4.1-mini", usage) == pytest.approx(0.4 + 1.6)
    assert price_of("openai/nobodys-model", usage) is None
    assert price_of("openai/nobodys-model", usage, (1.0, 2.0)) == pytest.approx(3.0)
    assert price_of("fake/echo", usage, (1.0, 2.0)) == 0.0
    assert price_of("local/x", usage) == price_of("recorded/x", usage) == price_of("ollama/x", usage) == 0.0
    monkeypatch.setenv("OPENAI_BASE_URL", "http://somewhere/v1")
    assert price_of("openai/gpt-4.1-mini", usage) is None


def test_cached_tokens_cost_less_and_never_nothing_known_is_zero() -> None:
    price = listed("openai:gpt-4.1-mini")
    full, cached = (price(Usage(1, 1000, 0, cached)) for cached in (0, 1000))
    assert full is not None
    assert cached is not None
    assert 0 < cached < full
    assert is_known(price)
    assert not is_known(listed("nobody:x"))
    assert not is_known(listed(None))


def test_reads_a_price() -> None:
    assert parse_price("0.4, 1.6") == (0.4, 1.6)
    by_model = parse_price("openai/a?reasoning_effort=low=1,2; local/b=0,0.5;")
    assert by_model == {"openai/a?reasoning_effort=low": (1, 2), "local/b": (0, 0.5)}
    assert price_of("local/b", Usage(1, 0, 1_000_000), by_model) == 0.5, (
        "by name even what is free by itself has a price"
    )
    assert price_of("local/c", Usage(1, 0, 1_000_000), by_model) == 0
    assert price_of("local/b", Usage(1, 0, 1_000_000), (1, 2)) == 0
    for text in ("openai/a=1", "openai/a=1,x", "nowhere/a=1,2"):
        with pytest.raises(UserError):
            parse_price(text)
    for price in ((0.4, 1.6), by_model):
        assert parse_price(price_text(price)) == price
    assert price_text(None) == ""
    with pytest.raises(UserError, match="openai/a twice"):
        parse_price("openai/a=1,2;openai/a=1,2")
    for text in ("", "1", "1,2,3", "a,b", "-1,2", "nan,1", "inf,1"):
        with pytest.raises(UserError, match="IN,OUT"):
            parse_price(text)


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("'response_format' is not supported", Capabilities(reply_format="tool")),
        ("use max_completion_tokens, not max_tokens", Capabilities(max_tokens="max_completion_tokens")),
        ("temperature must be 1", Capabilities(temperature=False)),
        ("unknown field seed", Capabilities(seed=False)),
        ("the limit is exceeded", None),
        ("max_tokens must be at most 4096", None),
        ("", None),
    ],
)
def test_what_a_refusal_gives_up(message: str, left: Capabilities | None) -> None:
    assert Capabilities().without(message) == left


def test_capabilities_survive_the_store_and_another_version_is_ignored() -> None:
    some = Capabilities("json", temperature=False, seed=False, max_tokens="max_completion_tokens")
    assert Capabilities.load(some.dump()) == some
    assert Capabilities.load({"reply_format": "smoke"}) is None
    assert Capabilities.load({"colour": "red"}) is None


_IMPORT = """
import sys
import flowbot.lm.lm, flowbot.lm.session, flowbot.runtime.open_model, flowbot.store
names = "aiohttp sqlite3 genai_prices tenacity json_repair xllamacpp platformdirs"
heavy = set(names.split()) & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or 0)
"""


def test_importing_loads_no_provider() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
