"""Rows whose calls meet an endpoint's faults, refusals and slips: each is scored for itself, and none stops the others."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from runtime_help import engine_on, llm, workflow_of

from flowbot.lm.client import TOO_LONG, Identity
from flowbot.lm.clock import VirtualClock
from flowbot.lm.openai import OpenAIClient
from flowbot.lm.wire import Wire
from flowbot.runtime.evaluation import evaluate
from flowbot.store import Store
from flowbot.task import Task

SLIP = {"message": "Failed to generate JSON.", "code": "json_validate_failed", "failed_generation": "four, I think"}
NOTES = {"good": "4", "long": "x " * 9000, "slip": "SLIP", "filtered": "FILTERED", "fault": "FAULT", "thinks": "THINKS"}


class Server:
    """Reads the note out of what it is asked and does what it says."""

    def __init__(self) -> None:
        self.asked = 0
        self.faults = 0

    async def handle(self, asked: web.Request) -> web.Response:
        body = await asked.json()
        self.asked += 1
        said = " ".join(message["content"] for message in body["messages"])
        if len(said) > 10_000:
            return web.json_response({"error": {"message": "Bad Request"}}, status=400)
        if "SLIP" in said:
            return web.json_response({"error": SLIP}, status=400)
        if "FILTERED" in said:
            return web.json_response({"choices": [{"finish_reason": "content_filter"}]})
        choice: dict[str, Any] = {"message": {"content": '{"total": 4}'}, "finish_reason": "stop"}
        if "FAULT" in said and self.faults < 3:
            self.faults += 1
            choice = {"message": {"content": '{"total": 9}'}, "finish_reason": "error", "error": {"code": 502}}
        if "THINKS" in said:
            choice["message"]["content"] = '9 or 4?\n</think>\n{"total": 4}'
        return web.json_response({"choices": [choice]})


async def test_each_row_is_scored_for_itself_and_again_from_the_store() -> None:
    rows = [{"id": name, "note": note, "total": 4} for name, note in NOTES.items()]
    task = Task(goal="Count.", inputs={"note": "str"}, outputs={"total": "int"}, metric="exact", train=rows)
    nodes = {"answer": llm({"note": "note"}, {"total": "int"})}
    flow = workflow_of({"note": "str"}, {"total": "answer.total"}, nodes, {"answer": {"instruction": "Count."}})
    served = Server()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", served.handle)
    server = TestServer(app)
    await server.start_server()
    base = str(server.make_url("/v1"))
    store = Store.memory()
    found: list[dict[str, tuple[float, str]]] = []
    try:
        for _ in range(2):
            client = OpenAIClient(Identity("x", "there", "m"), Wire(base), store=store)
            client.clock = VirtualClock()  # type: ignore[attr-defined]
            async with engine_on(client, store=store, tries=5) as engine:
                evaluation = await evaluate(engine, flow, task, task.train, purpose="train")
            await client.close()
            assert evaluation.dropped == ()
            found.append({row.example.id: (row.score.value, row.trace.error) for row in evaluation.rows})
            sent = served.asked
    finally:
        await server.close()
    assert found[0] == found[1]
    assert sent == served.asked
    assert {name: score for name, (score, _) in found[0].items()} == {
        "good": 1.0, "long": 0.0, "slip": 0.0, "filtered": 0.0, "fault": 1.0, "thinks": 1.0
    }  # fmt: skip
    assert TOO_LONG in found[0]["long"][1]
    assert "Failed to generate JSON." in found[0]["slip"][1]
    assert "the model refused" in found[0]["filtered"][1]
