"""Calls tools: arguments checked, time and size bounded, results stored, nothing written by accident."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbot.fields import InfrastructureError, StepError, UserError, ValueMismatch, stable_hash
from flowbot.fields.bounds import TOOL_BYTES, bounded, raised
from flowbot.fields.secrets import hide_known
from flowbot.lm.spans import tool_span
from flowbot.task import Task, Timed, Tool
from flowbot.task.metrics import parts_of

from .awake import undisturbed
from .executors import Call, Executor, FunctionError, Outcome, open_executor
from .jsonlike import to_json, to_outputs

if TYPE_CHECKING:
    from .memo import Memo, Result

SECONDS = 30.0
"""Time that one call of a tool may take."""
_AT_ONCE = 16


def require_stand_ins(tools: Iterable[Tool], *, allow_writes: bool) -> None:
    """See that every tool that writes may be called, or has a stand-in.

    Raises:
        UserError: for the first that is not so.
    """
    for tool in tools:
        if tool.signature.effects == "writes" and tool.simulate is None and not allow_writes:
            raise UserError(
                f"tool {tool.signature.name}",
                "a tool that writes, which a search would call thousands of times",
                "`simulate:`, a stand-in to call instead, or --allow-writes",
            )


def not_stored(task: Task) -> list[str]:
    """What of a task is computed anew in every run, since its identity does not tell it from others; a line each."""
    metrics = [
        (f"metric {part.metric.name}", part.metric.kept or part.metric.pure) for part in parts_of(task.metric).values()
    ]
    tools = [(f"tool {tool.signature.name}", tool.kept or tool.signature.pure) for tool in task.tools]
    why = "its results are not stored: its source does not tell what it holds, or was changed since its import"
    return [f"{name}: {why}" for name, fine in (*metrics, *tools) if not fine]


class ToolRunner:
    """Calls the tools of a task.

    A tool that writes is called through its `simulate` stand-in unless `allow_writes`. What a tool gave, an error or a
    time-out included, is stored and given again for equal arguments, unless it is declared pure, cannot be told from
    others of its source, or `memo` is None.

    Args:
        tools: by name.
        memo: where results are kept; None calls every time (a workflow in use, not under evaluation).
        allow_writes: call tools that write for real.
        seconds: how long one call may take; tools that bound their own time are left to it.
        executor: where callables run; this process when None. Not closed here.
        at_hand: makes the tool of a name that none of `tools` has, when it is first called; None where there is none.

    Raises:
        UserError: for a tool that writes, has no stand-in and is not allowed.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        memo: Memo | None,
        *,
        allow_writes: bool = False,
        seconds: float = SECONDS,
        executor: Executor | None = None,
        at_hand: Callable[[str], Tool | None] = lambda _: None,
    ) -> None:
        require_stand_ins(tools.values(), allow_writes=allow_writes)
        self._tools = dict(tools)
        self._at_hand = at_hand
        self._memo = memo
        self._allow_writes = allow_writes
        self._seconds = seconds
        self._executor: Executor = executor or open_executor()
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """The outputs of tool `name` and the seconds the call took when it was made (0 for a pure tool).

        Raises:
            StepError: if the tool raises, takes too long, or gives too much or what its signature does not say.
            InfrastructureError: if the connection to the server that has the tool fails; nothing is stored.
            UserError: if there is no such tool, or what it reads was changed in mid-run.
        """
        tool = self._tools.get(name) or self._at_hand(name)
        if tool is None:
            known = ", ".join(self._tools) or "no tool is registered"
            raise UserError("workflow", f"tool {name!r}", f"one of the registered tools: {known}")
        self._tools[name] = tool
        given = _checked(tool, arguments)
        simulated = tool.signature.effects == "writes" and not self._allow_writes
        function = tool.simulate if simulated and tool.simulate is not None else tool.call
        asked = json.dumps(given, ensure_ascii=False)  # in order: a tool may read a dict in order
        call = Call("tool", tool.signature.name, function, json.loads(asked), self._seconds)
        make = partial(self._result, tool, call, asked)
        if simulated or tool.signature.effects == "reads":
            make = partial(undisturbed, make)
        facts = {"tool": tool.identity, "simulated": simulated, "arguments": asked, "seconds": self._seconds}
        # The place is taken outside, so that a call that nobody waits for any more does not begin.
        async with self._executor.turn(call), self._free:
            if tool.signature.pure or not tool.kept or self._memo is None:
                result = await make()
            else:
                result = await self._memo.once(stable_hash(facts), "tool", make)
        if "error" in result:
            raise StepError(result["error"])
        return result["outputs"], 0.0 if tool.signature.pure else result["seconds"]

    async def _result(self, tool: Tool, call: Call, asked: str) -> Result:
        """What is stored of one call: its outputs, or its error. All that a tool gives comes in here, and is bounded here."""
        name = call.name
        seconds = 0.0
        try:
            with tool_span(name, asked) as span:
                outcome = await self._outcome(tool, call)
                seconds = outcome.seconds
                if outcome.error is not None:
                    raise outcome.error
                value = hide_known(outcome.value)
                outputs = to_outputs({"result": value} if tool.plain else value, tool.signature.outputs)
                _check_size(outputs)
                span.returned(outputs)
        except (InfrastructureError, UserError):
            raise
        except Exception as error:  # whatever somebody's function raises is a step that failed
            if isinstance(error, TimeoutError) and seconds >= self._seconds:
                return {"error": f"tool {name}: took longer than {self._seconds:g} s", "seconds": self._seconds}
            text = str(error) if isinstance(error, StepError | FunctionError) else raised(error)
            return {"error": bounded(hide_known(f"tool {name}: {text}")), "seconds": seconds}
        return {"outputs": outputs, "seconds": seconds}

    async def _outcome(self, tool: Tool, call: Call) -> Outcome:
        if not (tool.timed and call.function is tool.call):
            return await self._executor.run(call)
        began = time.monotonic()
        try:
            given: Timed = await call.function(**call.arguments)
            return Outcome(to_json(given.value), seconds=given.seconds)
        except Exception as error:  # handed on with the time it took
            return Outcome(error=error, seconds=time.monotonic() - began)


def _check_size(outputs: Mapping[str, Any]) -> None:
    size = len(json.dumps(outputs, ensure_ascii=False).encode())
    if size > TOOL_BYTES:
        raise StepError(f"a result of {size:,} bytes, larger than {TOOL_BYTES:,}: ask for less")


def _checked(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments in the signature's order, each of its type."""
    signature = tool.signature
    fields = {field.name: field for field in signature.inputs}
    unknown = [name for name in arguments if name not in fields]
    missing = [name for name in fields if name not in arguments and name not in signature.optional]
    if unknown or missing:
        wrong = [f"{name} is missing" for name in missing] + [f"{name} is unknown" for name in unknown]
        raise StepError(f"tool {signature.name}: {', '.join(wrong)}; it takes {', '.join(fields) or 'nothing'}")
    try:
        return {name: fields[name].type.coerce(arguments[name], name) for name in fields if name in arguments}
    except ValueMismatch as error:
        raise StepError(f"tool {signature.name}: {error}") from None
