"""Runs a user's program: watched, its model calls tapped, within its time and its calls; what it does becomes steps of the trace.

Whose fault an ending is: what the program raises, a time-out and too many calls are part of the result, with file and line. A budget that
is spent, a pause and the infrastructure leave the program as `Stop` and are raised here, also where the program has caught that.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, cast

from flowbot.fields import Field, ModelError, StepError, UserError, stable_hash
from flowbot.fields.bounds import bounded, raised
from flowbot.fields.secrets import hide_known
from flowbot.lm.client import Identity
from flowbot.lm.parking import AT_ONCE as BATCH_AT_ONCE
from flowbot.program.sites import of_user
from flowbot.runtime.executors.sending import SendingExecutor
from flowbot.runtime.jsonlike import to_outputs
from flowbot.task.programs import UserProgram
from flowbot.workflow.nodes import ProgramNode
from flowbot.workflow.parameters import ProgramParameters

from .assemble import assembled
from .one_run import Bounds, OneRun
from .pure_results import PureResults
from .recorded import Ran
from .required import program_named
from .sent import Place, Sent
from .stalls import Stalls

if TYPE_CHECKING:
    from flowbot.lm.lm import LM
    from flowbot.lm.prices import Price
    from flowbot.lm.session import Session
    from flowbot.lm.tap import Models, Tap
    from flowbot.runtime.executors import Executor
    from flowbot.runtime.trace import Step

_AT_ONCE = 32
"""Programs that run in threads of their own at the same time."""


class ProgramRuns:
    """Runs the programs of one engine.

    Args:
        programs: by name.
        session: the run: its store, ledger and budget; on a worker None.
        price: what the user says of prices.
        max_reply: tokens to reserve for a reply whose request names no limit; the model's own maximum when None.
        allow_writes: run programs that write for real.
        stand_in: the run's model, which answers in place of those that programs name; they are asked when None.
        executor: where programs run; this process when it sends nothing, or is None.
        pure_results: the results of pure steps; those of the session when None.
        models: what is asked; that of the session when None. Where it is said, programs run in threads of their own.

    Raises:
        UserError: for a program that writes, has no stand-in and is not allowed.
    """

    def __init__(
        self,
        programs: Mapping[str, UserProgram],
        session: Session | None = None,
        *,
        price: Price | None = None,
        max_reply: int | None = None,
        allow_writes: bool = False,
        stand_in: LM | None = None,
        executor: Executor | None = None,
        pure_results: PureResults | None = None,
        models: Models | None = None,
    ) -> None:
        for each in programs.values():
            if each.effects == "writes" and each.simulate is None and not allow_writes:
                raise UserError(
                    f"program {each.name}",
                    "a program that writes, which a search would run thousands of times",
                    "`simulate:`, a stand-in to run instead, or --allow-writes",
                )
        self.programs = dict(programs)
        self._session = session or cast("Models", models).session
        self._pure_results = pure_results or PureResults(self._session.store)
        self._executor = executor if isinstance(executor, SendingExecutor) else None
        self._price, self._max_reply = price, max_reply
        self._allow_writes, self._stand_in = allow_writes, stand_in
        self._models, self._apart = models, models is not None
        self._stalls: Stalls | None = None
        parking = self._session.connections.parking
        self._threads = asyncio.Semaphore(_AT_ONCE if parking is None else BATCH_AT_ONCE)

    async def steps(
        self, holder: Step, node: ProgramNode, parameters: ProgramParameters, bounds: Bounds
    ) -> tuple[Step, ...]:
        """Run the program of a node: its own step, and after it those inside.

        Raises:
            RefusedError, BudgetExceeded, InfrastructureError, Paused, UserError: as `once`.
        """
        program, within = program_named(node.call, self.programs), replace(bounds, max_calls=node.max_calls)
        ran = await self.once(program, holder.inputs, parameters, within, Place(holder, node.out))
        return ran.steps or steps_of(holder, node.out, ran)

    async def once(
        self,
        program: UserProgram,
        inputs: Mapping[str, Any],
        parameters: ProgramParameters,
        bounds: Bounds,
        place: Place | None = None,
    ) -> Ran:
        """Run a program once.

        Args:
            program: what is run; in place of one that writes its stand-in.
            inputs: what it is handed, by name.
            parameters: its texts, values, and what fills its places.
            bounds: where and how.
            place: where in a workflow: it may run on a worker then.

        Raises:
            RefusedError, BudgetExceeded, InfrastructureError, Paused: as `LM.ask`.
            UserError: for what a user has to mend, as a model whose price is not known.
        """
        store, key = self._session.store, _key(program, inputs, parameters, bounds, self._stand_in)
        row = await store.get(key) or {}
        if "error" in row:
            paid = ((each and Identity(*each), key) for each, key in row.get("calls", ()))
            await self._tapped().again(paid, purpose=bounds.purpose)
            return Ran(None, str(row["error"]))
        bounds = replace(bounds, let_in=row.get("let_in"))
        sent = None if place is None else await self._sent(program, place, parameters, bounds)
        ran, tap = sent or await self.here(program, inputs, parameters, bounds)
        if ran is None:
            text = f"program {program.name}: took longer than {program.timeout:g} s, waiting for models not counted"
            calls = [[each and (each.provider, each.base_url, each.name), key] for each, key in tap.keys]
            row = {"error": text, "seconds": program.timeout, "calls": calls}
            row = await store.put(key, row, kind="tool", replace=bounds.let_in is not None)
            return Ran(None, str(row["error"]))
        if isinstance(tap.stopped, ModelError) and bounds.let_in is None:
            await store.put(key, {"let_in": tap.let_in, "seconds": 0.0}, kind="tool")
        return ran

    async def close(self) -> None:
        """Let calls in flight finish and be stored. May be called twice."""
        if self._stalls is not None:
            self._stalls.close()
        if self._models is not None:
            await self._models.close()

    async def _sent(
        self, program: UserProgram, place: Place, parameters: ProgramParameters, bounds: Bounds
    ) -> tuple[Ran | None, Sent] | None:
        """One run on a worker, as `here`; None where it can run in this process alone."""
        from flowbot.lm.tap.away import environment

        if self._executor is None or bounds.answer is not None:
            return None
        variables, why = environment(), "the address of a model holds a password"
        if self._session.connections.parking is not None:
            variables, why = None, "its calls go by batches, of more examples than workers take at once"
        if variables is None:
            return self._executor.say_here("program", program.name, why)
        function = self._function(program)
        _require_fitting(program.name, function, place.holder.inputs)
        sent = Sent(program, place, parameters, bounds, self._pure_results)
        outcome = await sent.run(self._executor, self._tapped(), function, variables)
        if outcome is None:
            return None
        steps = sent.steps(outcome)
        return (None if steps is None else Ran(None, "", steps=steps)), sent

    async def here(
        self, program: UserProgram, inputs: Mapping[str, Any], parameters: ProgramParameters, bounds: Bounds
    ) -> tuple[Ran | None, Tap]:
        """One run in this process; None where it was cut at its time-out. Whatever ended it, calls under way are seen to their end first."""
        function = self._function(program)
        _require_fitting(program.name, function, inputs)
        stalls = self._stalls = self._stalls or Stalls()
        apart = self._apart or program.name in stalls.by or not _is_async(function)
        call = partial(function, **json.loads(json.dumps(dict(inputs))))
        async with self._threads if apart else nullcontext():
            watched = nullcontext() if apart else stalls.watched(program.name)
            run = OneRun(self._tapped(), parameters, bounds, self._pure_results)
            try:
                with watched:
                    ended = await run.within(call, apart=apart, seconds=program.timeout)
                await run.tap.settle()
            finally:
                run.close()
        cause = run.stopped
        if run.is_blocked:
            stalls.by.add(program.name)  # its clients block: from now on in a thread of its own
        if not apart and program.name in stalls.by and (run.is_blocked or (ended is None and cause is None)):
            return await self.here(program, inputs, parameters, bounds)
        if cause is not None and not isinstance(cause, ModelError | StepError):
            raise cause
        if ended is None and cause is None:
            return None, run.tap
        await run.kept()
        result, error = ended or (None, None)
        said = "" if error is None else f"{place_of(error)}{raised(error)}"
        if cause is not None:
            said = str(cause)
        watching = run.watching
        ran = Ran(
            None if said else result, bounded(hide_known(f"program {program.name}: {said}")) if said else "",
            watching.recorder.events(), dict(watching.texts), dict(watching.turned), dict(watching.values),
            dict(watching.filled), run.tap.calls,
        )  # fmt: skip
        return ran, run.tap

    def _function(self, program: UserProgram) -> Callable[..., Any]:
        simulated = program.effects == "writes" and not self._allow_writes
        return program.simulate if simulated and program.simulate is not None else program.call

    def _tapped(self) -> Models:
        if self._models is None:
            from flowbot.lm.tap import Models, install

            install()
            self._models = Models(self._session, price=self._price, max_reply=self._max_reply, stand_in=self._stand_in)
        return self._models


def steps_of(holder: Step, out: Mapping[str, str], ran: Ran) -> tuple[Step, ...]:
    """The step of a program, and after it those inside.

    Args:
        holder: its own step as far as it is known.
        out: the outputs that it declares.
        ran: what it did.
    """
    outputs, error = None, ran.error
    if not error:
        try:
            outputs = outputs_of(ran.result, [Field.of(name, text) for name, text in out.items()])
        except StepError as wrong:
            error = str(wrong)
    done = replace(holder, outputs=outputs, error=error)
    return assembled(done, ran)


def _key(
    program: UserProgram, inputs: Mapping[str, Any], parameters: ProgramParameters, bounds: Bounds, model: LM | None
) -> str:
    """Under which a time-out is stored, or what was let in of too many calls: it must come again in a replay, however fast that is, and
    not where another model answers."""
    told = parameters.model_dump(mode="json", exclude_defaults=True)
    name = model.name if model else ""
    where = [bounds.base, bounds.replicate, bounds.example, bounds.max_calls, program.timeout, name]
    return stable_hash({"program": program.identity, "inputs": dict(inputs), "parameters": told, "where": where})


def outputs_of(result: Any, out: Sequence[Field]) -> dict[str, Any]:
    """What it returned as the declared outputs, each of its type.

    Raises:
        StepError: if it is not that.
    """
    if hasattr(result, "model_dump"):  # a pydantic model
        result = result.model_dump()
    given = cast("dict[str, Any]", result) if isinstance(result, dict) else {}
    named = {each.name: given[each.name] for each in out if each.name in given}  # a state may hold more
    is_whole = len(out) == 1 and (not named or (str(out[0].type) == "object" and len(given) > 1))
    return hide_known(to_outputs({out[0].name: result} if is_whole else named or result, out))


def _require_fitting(name: str, function: Callable[..., Any], inputs: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # of a callable in C
        return
    try:
        signature.bind(**inputs)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "nothing"
        raise UserError(
            f"program {name}", f"the inputs {', '.join(inputs)} ({error})", f"what it takes: {takes}"
        ) from None


def _is_async(function: Callable[..., Any]) -> bool:
    called: Any = type(function).__call__
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in (function, called))


def place_of(error: BaseException) -> str:
    """`FILE:LINE: ` of the line of the user's own code that ran last before `error`; "" if there is none."""
    own = [(file, line) for frame, line in walk_tb(error.__traceback__) if of_user(file := frame.f_code.co_filename)]
    return f"{Path(own[-1][0]).name}:{own[-1][1]}: " if own else ""
