"""A run of a program on a worker, as the coordinator sees it: what is sent, what is answered meanwhile, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from flowbot.fields import InfrastructureError, ModelError, StepError, UserError
from flowbot.fields.secrets import hide_known
from flowbot.lm.counted import as_object
from flowbot.runtime.executors.address import fingerprint
from flowbot.runtime.executors.protocol import Address, Call, Outcome
from flowbot.runtime.executors.sending import SendingExecutor
from flowbot.runtime.trace import Step
from flowbot.runtime.trace_rows import read_steps
from flowbot.task.programs import UserProgram
from flowbot.workflow.parameters import ProgramParameters

from .one_run import Bounds
from .pure_results import Pure, PureResults

if TYPE_CHECKING:
    from flowbot.lm.client import Identity
    from flowbot.lm.tap import Models
    from flowbot.lm.tap.away import WorkerWay

_OURS = ("program", "step", "tool", "slot")
"""Kinds of steps whose values may hold secrets of this process; what a model is told stays as it is."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a workflow a program runs.

    Args:
        holder: its own step as far as it is known.
        out: the outputs that it declares.
    """

    holder: Step
    out: Mapping[str, str]


@dataclass(slots=True)
class Sent:
    """One run that is sent.

    Args:
        program: what is run.
        place: where.
        parameters: what it is told.
        bounds: within which.
        pure_results: the results of pure steps.
    """

    program: UserProgram
    place: Place
    parameters: ProgramParameters
    bounds: Bounds
    pure_results: PureResults
    let_in: list[str] = field(default_factory=list[str])
    """As of `Tap`, where there were too few calls."""
    way: WorkerWay | None = None

    @property
    def keys(self) -> list[tuple[Identity | None, str]]:
        """As of `Tap`."""
        return self._way.keys

    @property
    def stopped(self) -> BaseException | None:
        """As of `Tap`."""
        return ModelError("too few calls") if self.let_in else self._way.stopped

    @property
    def _way(self) -> WorkerWay:
        assert self.way is not None
        return self.way

    async def run(
        self, executor: SendingExecutor, models: Models, function: Any, environment: Mapping[str, str | None]
    ) -> Outcome | None:
        """Have it made: what came of it; None where it can be made in this process alone.

        Args:
            executor: by whom.
            models: what it asks.
            function: what is called.
            environment: how the variables of its process differ from this one's.

        Raises:
            InfrastructureError: if there is nowhere to run it.
            UserError: if workers are to ask at what is no address of this machine.
        """
        from flowbot.lm.tap.away import WorkerWay

        face = models.face(asyncio.get_running_loop())
        told = {name: getattr(self.bounds, name) for name in ("purpose", "replicate", "max_calls")}
        self.way = face.admit(partial(WorkerWay, models=models, answers=self.answers, **told))
        try:
            call = self._call(function, environment)
            async with executor.turn(call):
                outcome = await executor.elsewhere(call)
        finally:
            face.forget(self.way)
        await models.settled(self.keys)
        return outcome

    def _call(self, function: Any, environment: Mapping[str, str | None]) -> Call:
        """What the executor is to run."""
        bounds = {name: getattr(self.bounds, name) for name in ("max_calls", "example", "replicate", "base", "let_in")}
        arguments = {
            "at": self._way.base,
            "name": self.program.name,
            "timeout": self.program.timeout,
            "holder": self.place.holder.dump(),
            "out": dict(self.place.out),
            "parameters": self.parameters.model_dump(mode="json", exclude_defaults=True),
            "bounds": {**bounds, "let_in": None if self.bounds.let_in is None else list(self.bounds.let_in)},
        }
        file, name = self.program.file, self.program.name.rpartition(":")[2]
        address = None
        if file is not None and function is self.program.call:
            address = Address(name, "", str(file), fingerprint(str(file)))
        return Call("program", self.program.name, function, arguments, address=address, environment=environment)

    async def answers(self, what: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the worker asks beside models.

        Raises:
            UserError: for what is none of it.
            StepError, RefusedError, BudgetExceeded, InfrastructureError, Paused: as what fills a place.
        """
        pure: Pure = {name: told[name] for name in ("step", "arguments") if isinstance(told.get(name), str)}
        values, name = told.get("values"), told.get("name")
        if what == "known" and len(pure) == len(told) == 2:
            return {"row": await self.pure_results.get(pure)}
        if what == "keep" and len(pure) == 2 and "result" in told:
            if hide_known(told["result"]) == told["result"]:
                await self.pure_results.put(pure, told["result"])
            return {}
        if what == "slot" and isinstance(values, dict) and isinstance(name, str):
            trace = None if self.bounds.fill is None else await self.bounds.fill(name, cast("dict[str, Any]", values))
            return {"trace": trace and trace.dump()}
        raise UserError("program", f"{what!r:.50} asked by a worker", "a model, a pure step or a place")

    def steps(self, outcome: Outcome) -> tuple[Step, ...] | None:
        """What came of it; None where it took too long.

        Raises:
            InfrastructureError: if that is no trace.
            Exception: what else ended it.
        """
        holder, error = self.place.holder, outcome.error
        if self._way.stopped is not None:
            raise self._way.stopped
        if isinstance(error, TimeoutError):
            return None
        if isinstance(error, StepError):  # its process was lost each time
            return (replace(holder, error=f"program {self.program.name}: {error}"),)
        if error is not None:
            raise error
        found = as_object(outcome.value)
        try:
            own, *inside = read_steps(found.get("steps"))
            if any(not each.address.startswith(f"{holder.address}/") for each in inside):
                raise ValueError("a step that is not its own")
        except ValueError as wrong:
            text = f"program {self.program.name}: a worker sent what is no trace ({wrong})"
            raise InfrastructureError(text, kind="garbage") from None
        if isinstance(let_in := found.get("let_in"), list):
            self.let_in = [str(each) for each in cast("list[Any]", let_in)]
        return tuple(map(_hidden, (replace(own, address=holder.address, inputs=holder.inputs), *inside)))


def _hidden(step: Step) -> Step:
    if step.kind not in _OURS:
        return step
    return replace(step, inputs=hide_known(step.inputs), outputs=hide_known(step.outputs), error=hide_known(step.error))
