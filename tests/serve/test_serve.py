"""A workflow over HTTP: what it answers, whose fault is which status, and what becomes of a client that leaves."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from lm_helpers import reply, until
from serve_help import ONE, TEXT, TYPED, served

from flowbot.fields import DeniedError, InfrastructureError, Paused, RefusedError, Usage
from flowbot.lm.client import Request
from flowbot.web import gone

NOTE = {"note": "two pens", "most": 9}
SURE = json.dumps({"total": 2, "sure": True})


def asked(request: Request) -> str:
    return request.messages[-1].content


async def test_typed_inputs_give_typed_outputs_with_what_they_took_and_a_trace_where_it_is_asked_for() -> None:
    async with served(TYPED, lambda request, _: SURE) as bench:
        status, body, headers = await bench.post("/run", {"note": "two pens", "most": "9"})
        assert (status, body["outputs"]) == (200, {"total": 2, "sure": True})
        assert (body["usage"]["calls"], body["usage"]["output_tokens"]) == (1, 5)
        assert headers["x-request-id"] == body["id"]
        assert "trace" not in body
        _, body, _ = await bench.post("/run?trace=1", NOTE)
        assert body["trace"]["steps"][0]["messages"][-1]["role"] == "user"
        assert not bench.service.under_way


async def test_the_schema_is_that_of_the_fields() -> None:
    async with served(TYPED, lambda request, _: SURE, key="a key of many words") as bench:
        bench.http.headers["Authorization"] = "Bearer a key of many words"
        _, page = await bench.get("/openapi.json")
        post = page["paths"]["/run"]["post"]
        asks = post["requestBody"]["content"]["application/json"]["schema"]
        gives = post["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["outputs"]
        assert {name: each["type"] for name, each in asks["properties"].items()} == {
            "note": "string",
            "most": "integer",
        }
        assert {name: each["type"] for name, each in gives["properties"].items()} == {
            "total": "integer",
            "sure": "boolean",
        }
        assert page["security"] == [{"key": []}]
        assert "/feedback" not in page["paths"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"note": "x"}, "inputs: found no most; expected the inputs note=str most=int"),
        ({**NOTE, "moost": 1}, "inputs: found the unknown input moost (did you mean 'most'?)"),
        ({**NOTE, "most": "many"}, "inputs: most: found"),
        ([NOTE], "body: found a list; expected a JSON object"),
        (b"", "body:1: found nothing; expected JSON"),
        (b'{"note": ', "body:1: found broken JSON"),
        (b'{"note": "x", "note": "y"}', "twice in one object"),
        (b'{"note": NaN}', "expected a finite number"),
        (b"[" * 5000, "body: found JSON nested too deeply"),
        (b'{"note": "\xff"}', "body: found bytes that are not UTF-8"),
        (b'{"note": "\\ud800", "most": 1}', "half of a surrogate pair"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said_as_the_command_line_says_it(body: Any, said: str) -> None:
    async with served(TYPED, lambda request, _: SURE) as bench:
        status, answer, _ = await bench.post("/run", body)
        assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
        assert said in answer["error"]["message"]
        assert not bench.client.sent


@pytest.mark.parametrize(
    ("fault", "status", "code", "again"),
    [
        (reply("many"), 422, None, None),
        (RefusedError("not that"), 422, "content_policy", None),
        (Paused("stopped", stopped_by="signal"), 503, "signal", "5"),
        (InfrastructureError("gone", kind="connection", fatal=True), 503, "connection", "5"),
        (InfrastructureError("slow down", kind="rate_limit", retry_after=700.2), 503, "rate_limit", "701"),
        (DeniedError("wrong key", "mend it", kind="auth"), 503, "auth", "5"),
        (ZeroDivisionError("the secret of the house"), 500, None, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_whose_fault_it_is_decides_the_status(
    fault: Any, status: int, code: str | None, again: str | None
) -> None:
    async with served(TYPED, lambda request, _: fault) as bench:
        found, body, headers = await bench.post("/run", NOTE)
        assert (found, body["error"]["code"], headers.get("Retry-After")) == (status, code, again)
        assert "secret of the house" not in str(body)
        assert not bench.service.under_way


async def test_an_endpoint_that_dies_and_returns_is_told_and_forgotten() -> None:
    def answering(_: Request, number: int) -> str | Exception:
        took = Usage(calls=1, input_tokens=5)  # served, and of no use
        return InfrastructureError("no answer", kind="connection", fatal=True, took=took) if number < 3 else "well"

    async with served(ONE, answering) as bench:
        statuses = [(await bench.post("/run", {"question": f"q{number}"}))[0] for number in range(4)]
        assert statuses == [503, 503, 200, 200]
        assert not bench.service.engine.session.tried


async def test_more_than_may_be_under_way_are_told_to_come_again() -> None:
    async with served(ONE, lambda request, _: "yes", most=1) as bench:
        bench.client.gate.clear()
        first = asyncio.create_task(bench.post("/run", {"question": "a"}))
        await until(lambda: bench.service.under_way == 1)
        status, body, headers = await bench.post("/run", {"question": "b"})
        assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "busy", "1")
        bench.client.gate.set()
        assert (await first)[0] == 200
        assert (await bench.post("/run", {"question": "b"}))[0] == 200


async def test_the_work_for_a_client_that_leaves_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gone, "WATCHED_AFTER", 0.0)
    async with served(TEXT, lambda request, _: "draft") as bench:
        bench.client.gate.clear()
        leaving = asyncio.create_task(bench.post("/run", {"question": "a"}))
        await until(lambda: len(bench.client.sent) == 1)
        leaving.cancel()
        await until(lambda: not bench.service.under_way)
        bench.client.gate.set()
        assert (await bench.post("/run", {"question": "b"}))[0] == 200
        assert len(bench.client.sent) == 3  # no second step of the first
        assert 'status="499"' in (await bench.get("/metrics"))[1]


async def test_a_request_has_only_so_much_time() -> None:
    async with served(ONE, lambda request, _: "late", seconds=0.01) as bench:
        bench.client.gate.clear()
        status, body, _ = await bench.post("/run", {"question": "a"})
        assert (status, body["error"]["message"]) == (504, "no result within 0.01 s")
        bench.client.gate.set()


async def test_a_body_of_a_hundred_megabytes_is_refused_and_the_next_one_served() -> None:
    async with served(ONE, lambda request, _: "yes") as bench:
        status, body, _ = await bench.post("/run", b" " * 100 * 2**20)
        assert (status, body["error"]["message"]) == (413, "body: found more than 1,048,576 bytes; expected fewer")
        assert (await bench.post("/run", {"question": "a"}))[0] == 200


async def test_equal_requests_are_asked_and_counted_each_and_nothing_is_kept(tmp_path: Path) -> None:
    async with served(ONE, lambda request, _: "yes", cache=tmp_path) as bench:
        await asyncio.gather(*(bench.post("/run", {"question": "the same"}) for _ in range(3)))
        session = bench.service.engine.session
        assert (len(bench.client.sent), session.budget.used["calls"], len(session.flights)) == (3, 3, 0)
    assert not os.listdir(tmp_path)


async def test_it_tells_how_it_is(tmp_path: Path) -> None:
    async with served(ONE, lambda request, _: "yes", price=0.25) as bench:
        await bench.post("/run", {"question": "a"})
        assert [(await bench.get(path))[0] for path in ("/healthz", "/readyz", "/nope", "/run")] == [200, 200, 404, 405]
        _, text = await bench.get("/metrics")
        for line in (
            'flowbot_requests_total{path="/run",status="200"} 1.0',
            'flowbot_model_calls_total{model="fake/scripted"} 1.0',
            'flowbot_tokens_total{direction="out",model="fake/scripted"} 5.0',
            'flowbot_usd_total{model="fake/scripted"} 0.25',
            "flowbot_in_flight 0.0",
        ):
            assert line in text
