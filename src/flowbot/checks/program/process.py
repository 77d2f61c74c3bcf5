"""`python -m flowbot.checks.program.process`: runs a program on made-up replies; a job comes in on standard input, what was seen goes out."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowbot.fields import FlowBotError, UserError
from flowbot.fields.foreign import Closed
from flowbot.lm.providers import providers
from flowbot.lm.session import Session
from flowbot.program.params import Param, Value
from flowbot.runtime.lift.recordings import modules_in
from flowbot.runtime.traced.one_run import Bounds
from flowbot.runtime.traced.recorded import Ran, around
from flowbot.runtime.traced.run import ProgramRuns
from flowbot.store import Store
from flowbot.task.modules import Modules
from flowbot.task.programs import UserProgram, program_of
from flowbot.testing.made_up import made_up
from flowbot.workflow.parameters import Demonstration, ProgramParameters, TunedText

from .observed import Asked, Declared, Observed, Run, marks, turn_marks
from .watched import Watched

MOST_CALLS = 200
"""Calls of one run, after which it is stopped: made-up replies may keep a loop going."""
_SECONDS = 20.0
"""That one run may take."""


class Trial(Closed):
    """An example to run on.

    Args:
        example: its place.
        inputs: its values.
        replies: what models say, of which each is tried until the program ends well.
    """

    example: str
    inputs: Mapping[str, Any]
    replies: tuple[str, ...]


class Job(Closed):
    """What the process is to do.

    Args:
        file, name: of the program.
        trials: examples.
        outputs: of the task: names and types.
        spare: folders in which it may write.
    """

    file: Path
    name: str
    trials: tuple[Trial, ...]
    outputs: Mapping[str, str] = {}
    spare: tuple[Path, ...] = ()


async def observe(job: Job, watched: Watched) -> Observed:
    """Run a program on every trial, as it is and with its texts marked."""
    try:
        call = Modules(run=True).load(job.file, job.name, str(job.file))
        program = program_of(call, name=job.name, timeout=_SECONDS, identity=job.name)
        declared = _declared(program, job.file.parent)
    except (UserError, ValueError) as error:
        return Observed(fault=_at_import(watched) or str(error))
    if fault := _at_import(watched):  # which the program has caught
        return Observed(fault=fault)
    marked = {each.name: _marked(each) for each in declared if isinstance(each, Param)}
    runs, first = list[Run](), None
    for trial in job.trials:
        for texts in ({}, marked) if marked else ({},):
            tries: list[Run] = []
            for reply in trial.replies:
                tries.append(await _run(program, trial, reply, texts, watched, job.outputs))
                if not tries[-1].error:
                    break
            ended = tries[-1] if not tries[-1].error else tries[0]
            first = first or (trial, trial.replies[tries.index(ended)])
            every = [each for run in tries for each in run.asked] if texts else ended.asked
            runs.append(ended.model_copy(update={"asked": tuple(every)}))
    again = None if first is None else await _run(program, *first, {}, watched, job.outputs)
    takes = inspect.signature(program.call).parameters.values()
    named = [each for each in takes if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    return Observed(
        texts=tuple(_told(each) for each in declared if isinstance(each, Param)),
        values=tuple(_told(each) for each in declared if isinstance(each, Value)),
        runs=tuple(runs),
        again=again,
        takes={each.name: each.default is each.empty for each in named},
        takes_any=any(each.kind is each.VAR_KEYWORD for each in takes),
    )


def _told(declared: Param | Value) -> Declared:
    file, _, line = declared.where.rpartition(":")
    turns = isinstance(declared, Param) and declared.examples is not None
    return Declared(name=declared.name, default=declared.default, where=f"{Path(file).name}:{line}", turns=turns)


def _marked(param: Param) -> str | TunedText:
    text = param.default.join(marks(param.name))
    if param.examples is None:
        return text
    turn = "an example".join(turn_marks(param.name))
    shown = Demonstration(inputs={"user": turn}, outputs={"reply": turn})
    return TunedText(text=text, demonstrations=(shown,), turns=True)


def _at_import(watched: Watched) -> str:
    """That a model was to be asked while the file was imported; "" if none was: nothing else is noted by then."""
    return next((f"calls {each.what} when it is imported ({each.where})" for each in watched.touched), "")


def _declared(program: UserProgram, folder: Path) -> list[Param | Value]:
    """What the program's code leads to, and what else its files declare, such as a text that is read at import alone."""
    found = {each.name: each for each in program.tunable}
    for module in modules_in(folder):
        if "site-packages" not in str(module.__file__):
            held = (each for each in vars(module).values() if isinstance(each, Param | Value))
            found |= {each.name: each for each in held if each.name not in found}
    return list(found.values())


async def _run(
    program: UserProgram,
    trial: Trial,
    reply: str,
    texts: Mapping[str, str | TunedText],
    watched: Watched,
    outputs: Mapping[str, str],
) -> Run:
    store = Store.memory()
    runs = ProgramRuns({}, Session(store=store, lasting=False))
    bounds = Bounds(max_calls=MOST_CALLS, answer=lambda asked: made_up(asked, reply))
    watched.touched.clear()
    watched.on = True
    try:
        told = ProgramParameters.model_construct(texts=dict(texts), values={}, slots={})
        ran = await runs.once(program, trial.inputs, told, bounds)
        lacks = () if ran.error or len(outputs) == 1 else _lacking(ran.result, outputs)
    except (FlowBotError, asyncio.CancelledError) as error:
        ran, lacks = Ran(None, f"program {program.name}: {error}"), ()
    finally:
        watched.on = False
        await runs.close()
        await store.close()
    by_id = {each.id: each for each in ran.events}
    asked = (
        Asked(
            scope="/".join(outer.name for outer in around(each, by_id)),
            model=each.exchange.model,
            body=dict(each.exchange.body),
        )
        for each in ran.events
        if each.exchange is not None
    )
    return Run(
        example=trial.example, marked=bool(texts), asked=tuple(asked), texts=tuple(ran.texts), values=tuple(ran.values),
        turns=tuple(ran.turns),
        touched=tuple(watched.touched), lacks=lacks, error=ran.error.removeprefix(f"program {program.name}: "),
    )  # fmt: skip


def _lacking(result: object, outputs: Mapping[str, str]) -> tuple[str, ...]:
    """The outputs that a result does not name."""
    if isinstance(result, Mapping):
        return tuple(name for name in outputs if name not in result)
    return tuple(name for name in outputs if not hasattr(result, name))


def main() -> None:
    """Do the job of standard input. What the program prints goes nowhere."""
    job = Job.model_validate_json(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    hosts = {
        row.base_url.split("/")[2].partition(":")[0] for row in providers().values() if row.base_url.startswith("https")
    }
    watched = Watched(job.file.parent, hosts, job.spare)
    watched.install()

    async def work() -> None:
        out.write((await observe(job, watched)).model_dump_json())
        out.flush()
        os._exit(0)  # whatever threads the program has left

    asyncio.run(work())


if __name__ == "__main__":
    main()
