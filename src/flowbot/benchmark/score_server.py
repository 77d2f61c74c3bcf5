"""A task's metric over HTTP on the loopback address, so that a peer need not write it again: training and validation rows alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from flowbot.fields import BudgetExceeded, Paused, RefusedError, Score, ValueMismatch
from flowbot.fields.bounds import MESSAGE_BYTES
from flowbot.fields.foreign import Record, explain
from flowbot.runtime.scoring import scored
from flowbot.runtime.trace import Trace
from flowbot.task import Example, Task

from .peer_job import typed_outputs

if TYPE_CHECKING:
    from aiohttp import web

    from flowbot.runtime.engine import Engine


class _Question(Record):
    split: Literal["train", "val"]
    id: str
    outputs: dict[str, Any]


class ScoreServer:
    """`POST url {"split", "id", "outputs"}` gives `{"score", "feedback"}`; what is refused has a status and
    `{"error": {"code", "message"}}`.

    Outputs of a wrong type score 0 and are told why, as a workflow's would be. A judge's calls are counted as the engine's
    session counts them.

        >>> async with ScoreServer(engine, task, failed) as server:
        ...     server.url
        'http://127.0.0.1:40123/s/…'

    Args:
        engine: what metrics run on.
        task: whose metric, and whose rows.
        failed: told of what is not the peer's fault, as a metric that raises or a ceiling that is reached.
    """

    def __init__(self, engine: Engine, task: Task, failed: Callable[[Exception], object]) -> None:
        self._engine, self._task, self._failed = engine, task, failed
        self._examples = {(split, each.id): each for split in ("train", "val") for each in task.splits[split]}
        self.token = secrets.token_urlsafe(24)
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ScoreServer:
        from aiohttp import web

        app = web.Application(client_max_size=MESSAGE_BYTES)
        app.router.add_post(f"/s/{self.token}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/s/{self.token}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        def refuse(status: int, code: str, message: str) -> web.Response:
            return web.json_response({"error": {"code": code, "message": message}}, status=status)

        try:
            asked = _Question.model_validate(json.loads(await request.read()))
        except ValidationError as error:
            place, found, expected = explain(error)
            return refuse(400, "bad_request", f"{place}: found {found}; expected {expected}")
        except (ValueError, RecursionError):
            return refuse(400, "bad_request", "found no JSON; expected a JSON object")
        example = self._examples.get((asked.split, asked.id))
        if example is None:
            return refuse(
                404, "no_such_row", f"{asked.split} has no row {asked.id!r:.200}; test rows are scored at the end"
            )
        try:
            score = await score_outputs(self._engine, self._task, example, asked.outputs)
        except BudgetExceeded as error:
            self._failed(error)
            return refuse(403, "budget_exceeded", str(error))
        except Paused as error:
            return refuse(503, "stopped", str(error))
        except RefusedError as error:
            return refuse(422, "not_scored", str(error))
        except Exception as error:  # a metric's, an executor's or an endpoint's: whoever runs the peer has to know
            self._failed(error)
            return refuse(500, "failed", "the metric failed")
        return web.json_response({"score": score.value, "feedback": score.feedback})


async def score_outputs(engine: Engine, task: Task, example: Example, given: object) -> Score:
    """What the task's metric makes of outputs that came from elsewhere.

    Raises:
        MetricError, RefusedError, InfrastructureError, BudgetExceeded, Paused: as `scored`.
    """
    try:
        outputs, fault = typed_outputs(task, given), ""
    except ValueMismatch as error:
        outputs, fault = None, str(error)
    score = await scored(engine, task, example, Trace(example.id, example.inputs, (), outputs, fault))
    return Score(score.value, fault, score.parts) if fault else score
