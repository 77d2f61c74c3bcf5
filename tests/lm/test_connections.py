"""What belongs to a run or an account, and not to the connection that several share: news, keys, a gate that was shut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from endpoint_help import KEY, chat, error, serving
from lm_helpers import ScriptedClient, request

from flowbot.fields import DeniedError
from flowbot.lm.connections import Connections
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.runtime import open_model
from flowbot.runtime.open_model import open_lm
from flowbot.store import Store

OTHER = "sk-another-0123456789"


async def test_news_of_a_shared_client_go_to_whoever_uses_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    news: list[Callable[[str], None]] = []

    def client(model: str, *, say: Callable[[str], None], **_: object) -> ScriptedClient:
        news.append(say)
        return ScriptedClient(lambda asked, number: "yes")

    monkeypatch.setattr(open_model, "open_client", client)
    connections, first, second = Connections(Store.memory(), keep=True), list[str](), list[str]()
    lms = [
        open_lm("fake/x", Session(connections.store, connections=connections), say=say)
        for say in (first.append, first.append, second.append)
    ]
    assert len(news) == 1
    news[0]("fetching")
    assert (first, second) == (["fetching"], ["fetching"])  # the first once, though it has two models there
    for lm in lms[:2]:
        await lm.close()
    news[0]("fetched")
    assert (first, second) == (["fetching"], ["fetching", "fetched"])


async def test_runs_with_different_keys_have_different_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as endpoint:
        endpoint.answer = lambda body, number: (
            error(401, "Incorrect API key provided") if OTHER in endpoint.headers[-1]["Authorization"] else chat("hi")
        )
        monkeypatch.setenv("OPENAI_BASE_URL", str(endpoint.server.make_url("/v1")))
        connections = Connections(Store.memory(), keep=True)
        lms: list[LM] = []
        for key in (OTHER, KEY, KEY):
            monkeypatch.setenv("OPENAI_API_KEY", key)
            lms.append(open_lm("openai/x", Session(connections.store, connections=connections)))
        assert lms[1].client is lms[2].client
        with pytest.raises(DeniedError):
            await lms[0].ask(request("a"), purpose="t")
        assert (await lms[1].ask(request("b"), purpose="t")).text == "hi"
        assert (await lms[2].ask(request("a"), purpose="t")).text == "hi"
        assert [each["Authorization"] for each in endpoint.headers] == [f"Bearer {key}" for key in (OTHER, KEY, KEY)]
        assert OTHER not in repr(vars(connections))
        await connections.close()


async def test_a_later_run_asks_again_where_an_earlier_one_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as endpoint:
        endpoint.answer = lambda body, number: (
            error(403, "you may not use this model yet") if number == 1 else chat("hi")
        )
        monkeypatch.setenv("OPENAI_BASE_URL", str(endpoint.server.make_url("/v1")))
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        connections = Connections(Store.memory(), keep=True)
        first = open_lm("openai/x", Session(connections.store, connections=connections))
        for text in ("0", "1"):
            with pytest.raises(DeniedError):
                await first.ask(request(text), purpose="t")
        assert len(endpoint.bodies) == 1
        later = open_lm("openai/x", Session(connections.store, connections=connections))
        assert (await later.ask(request("a"), purpose="t")).text == "hi"
        await connections.close()
