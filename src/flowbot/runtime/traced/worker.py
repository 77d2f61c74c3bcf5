"""A run of a program on a worker: the same as here, but that the models, the store and what fills a place are the coordinator's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from flowbot.fields import ModelError
from flowbot.fields.bounds import VALUE_BYTES
from flowbot.lm.tap import install
from flowbot.lm.tap.away import AwayModels, Coordinator, NotHere, reached
from flowbot.runtime.executors.protocol import TRACE_BYTES, Unsendable
from flowbot.runtime.jsonlike import to_json
from flowbot.runtime.trace import Step, Trace
from flowbot.task.frameworks import framework_program
from flowbot.task.programs import UserProgram
from flowbot.workflow.parameters import ProgramParameters

from .one_run import Bounds
from .pure_results import Pure, PureResults
from .run import ProgramRuns, steps_of


def ran(function: Callable[..., Any], **told: Any) -> dict[str, Any]:
    """What came of a run: `{"steps": […]}`, and `let_in` where that was too few calls.

    Args:
        function: the program, or what a framework runs in another way.
        told: as `Sent` sends it.

    Raises:
        TimeoutError: if it took too long.
        Unsendable: if the coordinator cannot be reached, what is no model's call needs a key, or the trace is too long to be sent.
        FlowBotError: as `ProgramRuns.once`; the coordinator knows better why.
    """
    return asyncio.run(_ran(function, **told))


async def _ran(
    function: Any,
    *,
    at: str,
    name: str,
    timeout: float,
    holder: Mapping[str, Any],
    out: Mapping[str, str],
    parameters: Mapping[str, Any],
    bounds: Mapping[str, Any],
) -> dict[str, Any]:
    install()
    step, made = Step.load(holder), ProgramParameters.model_validate(parameters)
    program = UserProgram(name, framework_program(function) or function, "", timeout=timeout)
    try:
        async with reached(at) as coordinator:
            runs = ProgramRuns({}, pure_results=_AwayResults(coordinator), models=AwayModels(coordinator))
            try:
                ran, tap = await runs.here(
                    program, step.inputs, made, Bounds(**bounds, fill=_filler(coordinator, made))
                )
            finally:
                await runs.close()
    except NotHere as error:
        raise Unsendable(str(error)) from None
    if ran is None:
        raise TimeoutError
    steps = [each.dump() for each in steps_of(step, out, ran)]
    if len(json.dumps(steps)) > TRACE_BYTES / 2:
        raise Unsendable(f"what it did is longer than {TRACE_BYTES // 2:,} bytes")
    return {"steps": steps, "let_in": tap.let_in if isinstance(tap.stopped, ModelError) else None}


class _AwayResults(PureResults):
    """What pure steps gave, kept by the coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def peek(self, pure: Pure) -> None:
        """Nothing is at hand."""

    async def get(self, pure: Pure) -> Mapping[str, Any] | None:
        """As of `PureResults`."""
        return (await self._coordinator.tell("known", pure))["row"]

    async def put(self, pure: Pure, result: Any) -> None:
        """As of `PureResults`."""
        if len(json.dumps(result)) <= VALUE_BYTES:
            await self._coordinator.tell("keep", {**pure, "result": result})


def _filler(coordinator: Coordinator, made: ProgramParameters) -> Callable[[str, Mapping[str, object]], Any]:
    async def fill(name: str, values: Mapping[str, object]) -> Trace | None:
        wanted = made.slots[name].get("inputs", {})  # of what a place is handed, some may be no data
        given = to_json({each: value for each, value in values.items() if each in wanted})
        found = await coordinator.tell("slot", {"name": name, "values": given})
        return None if found["trace"] is None else Trace.load(found["trace"])

    return fill
