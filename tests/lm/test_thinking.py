"""Models that think before they answer: room for both, settled before the first call, and none for those that do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_helpers import ScriptedClient, make_lm, reply
from thinking_help import Body, Shown, thinking

from flowbot.fields import Field, Usage
from flowbot.lm.client import Identity, Message, Reply
from flowbot.lm.lm import LM
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.session import Session
from flowbot.lm.thinking import (
    FACTOR,
    LEAST,
    MOST,
    PURPOSE,
    QUESTION,
    known_thinking_budget,
    seen_thinking_budget,
    thought_tokens,
)
from flowbot.lm.wire import Wire
from flowbot.runtime.flow import Flow
from flowbot.runtime.open_model import open_client, open_lm
from flowbot.store import Store
from flowbot.workflow.starts import single_call

COUNT = [Field.of("total", "int")]
MODEL = "openai/somebodys-model"


def _right(body: Body) -> str:
    return json.dumps({"total": 7, "answer": 32})


async def _ask(lm: LM, text: str, max_tokens: int = 120) -> Any:
    answer = await lm.ask_fields([Message("user", text)], COUNT, purpose="train", max_tokens=max_tokens)
    return answer.values["total"]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")


@pytest.mark.parametrize(
    ("name", "effort", "room"),
    [
        ("gpt-5-mini-2025-08-07", "", 4096),
        ("GPT-5", "high", 16_384),
        ("gpt-5.1", "", 0),
        ("gpt-5.1", "low", 2048),
        ("openai/gpt-oss-120b", "", 4096),
        ("deepseek-ai/DeepSeek-R1", "", 4096),
        ("qwen3:4b", "", 4096),
        ("qwen3-coder-480b", "", None),
        ("gpt-4.1-mini", "", 0),
        ("gpt-4.1-mini", "high", 0),
        ("somebodys-model", "", None),
        ("gpt-50", "", None),
    ],
)
def test_what_a_name_tells(name: str, effort: str, room: int | None) -> None:
    assert known_thinking_budget(name, effort=effort) == room


def test_every_family_says_where_that_is_known_from() -> None:
    data = json.loads(
        (Path(known_thinking_budget.__code__.co_filename).parent / "thinking.json").read_text(encoding="utf-8")
    )
    assert data["as_of"]
    assert all(each["source"].startswith("https://") for each in data["families"])
    assert {each["effort"] for each in data["families"]} <= {None, *data["room"]}


@pytest.mark.parametrize(
    ("counted", "message", "text", "written", "thought"),
    [
        (812, {}, "8", 815, 812),
        (0, {"reasoning_content": "x" * 400}, "8", 120, 100),
        (0, {"reasoning": "x" * 400}, "8", 120, 100),
        (0, {"reasoning_content": None}, "<think>" + "x" * 400 + "</think>8", 120, 104),
        (0, {}, "<think>" + "x" * 400, 100, 100),
        (0, {}, "8", 700, 699),
        (0, {}, "a reply of eight words, or about that", 9, 0),
        (0, {"reasoning_content": ""}, "8", 1, 0),
    ],
)
def test_how_thoughts_are_seen(counted: int, message: Body, text: str, written: int, thought: int) -> None:
    assert thought_tokens(counted, message, text, written) == thought


@pytest.mark.parametrize(
    ("thought", "text", "finish", "room"),
    [
        (0, "8", "stop", 0),
        (0, "8", "length", 0),
        (10, "8", "stop", LEAST),
        (LEAST, "8", "stop", 4 * LEAST),
        (0, "", "length", LEAST),
        (10**6, "", "length", MOST),
    ],
)
def test_the_room_by_a_reply(thought: int, text: str, finish: Any, room: int) -> None:
    given = Reply(text, finish, Usage(1, 10, max(thought, 400)), 0.1, thought=thought)
    assert seen_thinking_budget(given) == room
    assert room == 0 or room >= FACTOR * thought or room == MOST


@pytest.mark.parametrize("shown", ["counted", "content", "tags", "nowhere"])
async def test_no_reply_is_empty_and_none_is_paid_twice(
    shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with thinking(_right, shown=shown) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        for _ in range(2):
            store = Store.open(tmp_path / "store.sqlite")
            lm = open_lm(MODEL, Session(store))
            assert [await _ask(lm, f"question {number}") for number in range(12)] == [7] * 12
            assert lm.session.ledger.calls == {PURPOSE: 1, "train": 12}  # in the replay too
            await lm.close()
            await store.close()
        assert endpoint.empty == 0
        first, *others = [body["max_tokens"] for body in endpoint.bodies]
        assert first == QUESTION.max_tokens
        assert len(set(others)) == 1
        assert others[0] in {120 + LEAST, 120 + 2 * LEAST}
        assert len(others) == 12


async def test_which_question_comes_first_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with thinking(_right) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        for order in (range(8), reversed(range(8))):
            lm = open_lm(MODEL, Session(Store.memory()))
            for number in order:
                await _ask(lm, f"question {number}")
            await lm.close()
        half = len(endpoint.bodies) // 2
        one, other = (
            [json.dumps(body) for body in half_of] for half_of in (endpoint.bodies[:half], endpoint.bodies[half:])
        )
        assert sorted(one) == sorted(other)


async def test_a_model_that_does_not_think_is_asked_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with thinking(_right, least=0, most=0) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        asked: list[list[Body]] = []
        for model in (MODEL, f"{MODEL}?thinking=0"):
            endpoint.bodies.clear()
            lm = open_lm(model, Session(Store.memory()))
            await _ask(lm, "how many?")
            await lm.close()
            asked.append(list(endpoint.bodies))
    (question, one), (other,) = asked
    assert "spiders" in question["messages"][0]["content"]
    assert one == other
    assert one["max_tokens"] == 120


async def test_the_user_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    with thinking(_right) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        lm = open_lm("openai/gpt-5?thinking=1700", Session(Store.memory()))
        assert await _ask(lm, "how many?") == 7
        await lm.close()
        assert [body["max_tokens"] for body in endpoint.bodies] == [1820]


async def test_a_name_that_is_known_to_think_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with thinking(_right) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        lm = open_lm("openai/qwen3-32b", Session(Store.memory()))
        assert await _ask(lm, "how many?") == 7
        await lm.close()
        assert [body["max_tokens"] for body in endpoint.bodies] == [120 + 4096]


async def test_a_known_name_at_another_address_may_think_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with thinking(_right) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        lm = open_lm("openai/gpt-4.1-mini", Session(Store.memory()))
        await _ask(lm, "how many?")
        await lm.close()
        assert endpoint.empty == 0
        assert len(endpoint.bodies) == 2


async def test_more_thoughts_than_there_is_room_for_raise_the_limit_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with thinking(_right, least=900, most=900) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        lm = open_lm(f"{MODEL}?thinking=300", Session(Store.memory()))
        assert await _ask(lm, "how many?") == 7
        await lm.close()
        assert [body["max_tokens"] for body in endpoint.bodies] == [420, 420 + LEAST]


async def test_a_flow_in_use_asks_no_question_and_learns_from_its_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = single_call([Field.of("note", "str")], COUNT, "Count.", reasoning=False)
    with thinking(_right, least=2500, most=2500) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        with Flow(flow, lm=MODEL) as used:
            assert [await used.acall(note=f"{number} pens") for number in range(3)] == [{"total": 7}] * 3
        limits = [body["max_tokens"] for body in endpoint.bodies]
        assert endpoint.empty == 1  # the first; its limit was raised
        assert len(limits) == 4
        assert limits[2] == limits[3] > limits[0]
        assert not any("spiders" in json.dumps(body) for body in endpoint.bodies)


async def test_what_was_recorded_of_a_model_that_thinks_is_found_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "said.jsonl"
    for name in ("somebodys-model", "qwen3-32b", "somebodys-model?thinking=1500"):
        file.unlink(missing_ok=True)
        with thinking(_right) as endpoint:
            monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
            for model in (f"recorded/{file}?record=openai/{name}", f"recorded/{file}"):
                lm = open_lm(model, Session(Store.memory()))
                assert await _ask(lm, "how many?") == 7
                await lm.close()
            assert len(endpoint.bodies) == len(file.read_text(encoding="utf-8").splitlines())


async def test_a_question_that_is_refused_gives_no_room() -> None:
    from flowbot.fields import ModelError

    def answer(request: Any, number: int) -> Any:
        return ModelError("too long") if request == QUESTION else json.dumps({"total": 7})

    client = ScriptedClient(answer)
    client.thinking = None  # type: ignore[attr-defined]
    lm = LM(client, Session(Store.memory()))
    assert await _ask(lm, "how many?") == 7
    assert [each.max_tokens for each in client.sent] == [QUESTION.max_tokens, 120]


@pytest.mark.parametrize(
    ("file", "room"), [("Qwen3-4B.gguf", 4096), ("other.gguf", None), ("other.gguf?thinking=700", 700)]
)
def test_a_local_file_is_known_by_its_name_or_by_what_the_user_says(
    file: str, room: int | None, tmp_path: Path
) -> None:
    name, _, options = file.partition("?")
    (tmp_path / name).write_bytes(b"GGUF and so on")
    client = open_client(f"local/{tmp_path / name}?{options}", cache_dir=tmp_path)
    plain = open_client(f"local/{tmp_path / name}", cache_dir=tmp_path)
    assert client.thinking == room  # type: ignore[attr-defined]
    assert (client.identity == plain.identity) == (not options)


def test_a_model_of_the_catalogue_does_not_think(tmp_path: Path) -> None:
    assert open_client("local/qwen2.5-coder-0.5b", cache_dir=tmp_path).thinking == 0  # type: ignore[attr-defined]


def test_room_for_a_model_without_thoughts_changes_no_key() -> None:
    plain = make_lm(lambda request, number: reply("x"))
    wire = Wire("http://127.0.0.1:9/v1")
    endpoint = OpenAIClient(Identity("openai", "http://127.0.0.1:9/v1", "gpt-x"), wire)
    assert plain.client.identity.dump()["extra"] == {}
    assert endpoint.thinking == 0
    assert "thought" not in reply("x").dump()
    assert "tier" not in reply("x").dump()
