"""Whether a drafted workflow makes exactly the requests that were recorded, no more and no less, and ends with the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowbot.fields import ModelError, Usage, canonical_json
from flowbot.lm.client import Identity, Message, Patience, Reply, Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.store import Store
from flowbot.task import Tool
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

from .calls import CallMade, Defeat, Ran

_AGAIN = "tell what differs apart in the program by a step"


async def require_same(workflow: Workflow, tools: Mapping[str, Tool], runs: Sequence[Ran]) -> int:
    """Run a workflow on recorded replies and results, and count its requests.

    Args:
        workflow: valid.
        tools: that it calls, whose recorded results stand for them.
        runs: of the program.

    Raises:
        Defeat: naming the first step that asks for something else, or the output that is another.
    """
    plain = {
        path: each.model_copy(update={"model": None}) if isinstance(each, LLMParameters) else each
        for path, each in workflow.parameters.items()
    }
    asking = Workflow(sketch=workflow.sketch, parameters=plain)
    return sum([await _require_same(asking, tools, run) for run in runs])


async def _require_same(workflow: Workflow, tools: Mapping[str, Tool], run: Ran) -> int:
    client, store = _Recorded(run), Store.memory()
    session = Session(store=store, lasting=False)
    lm = LM(client, session, name="recorded")
    again = {name: replace(tool, call=_results(run, name, tool), kept=False) for name, tool in tools.items()}
    engine = Engine(lm, session, tools=again, live=True)
    try:
        trace = await engine.run(workflow, run.inputs, purpose="lift")
    finally:
        await engine.close()
        await lm.close()
        await store.close()
    if client.missed:
        raise Defeat(client.missed, "is asked something else by the workflow", _AGAIN)
    fault = next((step for step in trace.steps if step.error), None)
    if fault is not None:
        raise Defeat(fault.address, f"fails in the workflow: {fault.error}", _AGAIN)
    if client.left:
        raise Defeat(client.left[0], "is not asked by the workflow as often as by the program", _AGAIN)
    for name, value in run.outputs.items():
        if canonical_json((trace.outputs or {}).get(name)) != canonical_json(value):
            raise Defeat(f"output {name}", "is another in the workflow", _AGAIN)
    return client.calls


def _key(messages: Sequence[Message], temperature: float | None) -> str:
    """A request, but for its token limit, as a text that an equal one has as well."""
    return json.dumps([[[each.role, each.content] for each in messages], float(temperature or 0)], ensure_ascii=False)


class _Recorded:
    """A model that answers what was recorded, and nothing else."""

    price_ref: str | None = "free"
    default_concurrency = 16

    def __init__(self, run: Ran) -> None:
        self.identity = Identity("recorded", "", "")
        self.calls = 0
        self.missed: CallMade | str = ""
        self._waiting: dict[str, list[CallMade]] = {}
        for call in run.calls:
            if call.kind == "model":
                self._waiting.setdefault(_key(call.messages, call.settings.get("temperature")), []).append(call)
        self._answered: Counter[str] = Counter()

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """The reply to the next of the equal requests; equal ones at temperature 0 have one."""
        key = _key(request.messages, request.temperature)
        number = self._answered[key]
        found = self._waiting.get(key, [])[number : number + 1]
        limit = found[0].settings.get("max_tokens") if found else None
        if request.schema is not None or not found or limit not in (None, request.max_tokens):
            self.missed = self.missed or f"a request of the workflow ({request.messages[-1].content[:60]!r})"
            raise ModelError("this request was not recorded")
        self._answered[key] += 1
        self.calls += 1
        return Reply(found[0].gave, "stop", Usage(), 0.0)

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def left(self) -> list[CallMade]:
        """Those that were not asked for."""
        waiting = self._waiting.items()
        wanted = {key: len(calls) if calls[0].settings.get("temperature") else 1 for key, calls in waiting}
        return [calls[0] for key, calls in waiting if self._answered[key] < wanted[key]]


def _results(run: Ran, name: str, tool: Tool) -> Any:
    """A function that gives again what one of that name gave when it was recorded."""
    names = [each.name for each in tool.signature.inputs]
    made = [each for each in run.calls if each.kind == "tool" and each.name == name]
    known = {canonical_json({key: each.given.get(key) for key in names}): each.gave for each in made}
    defaults: Mapping[str, Any] = next((each.given for each in made if each.given), dict[str, Any]())

    async def call(**given: Any) -> Any:
        return known[canonical_json({key: given.get(key, defaults.get(key)) for key in names})]

    return call
