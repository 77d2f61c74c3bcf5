"""`python -m flowbot.checks.program.process`: runs a program on made-up replies; a job comes in on standard input, what was seen goes out."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from contextvars import copy_context
from pathlib import Path
from traceback import walk_tb
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.bounds import raised
from flowbot.fields.foreign import Closed
from flowbot.lm.providers import providers
from flowbot.lm.session import Session
from flowbot.lm.tap import Exchange, Models, Tap, install, tapping
from flowbot.lm.tap.asked import Answer
from flowbot.lm.tap.asked import Asked as Request
from flowbot.program.params import Param, Value
from flowbot.program.reach import tunable
from flowbot.program.stopping import Stop
from flowbot.program.watching import MISSING, Named, Scalar, StepInfo, current, watcher
from flowbot.store import Store
from flowbot.task.modules import Modules
from flowbot.testing.made_up import made_up

from .observed import Asked, Declared, Observed, Run, marks
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
        spare: folders in which it may write.
    """

    file: Path
    name: str
    trials: tuple[Trial, ...]
    spare: tuple[Path, ...] = ()


class _Step:
    """A call of a step, as far as its name goes."""

    stored: Any = MISSING

    def __init__(self, path: str) -> None:
        self.path = path

    async def known(self) -> Any:
        """Nothing is."""
        return MISSING

    def done(self, result: object) -> None:
        """It returned."""

    def failed(self, error: BaseException) -> None:
        """It raised."""


class _Watch:
    """Puts marks around texts, and notes what is read."""

    def __init__(self, *, marked: bool) -> None:
        self.marked = marked
        self.texts: dict[str, None] = {}
        self.values: dict[str, None] = {}

    def text(self, param: Named) -> str:
        """The default, between marks."""
        self.texts[param.name] = None
        before, behind = marks(param.name) if self.marked else ("", "")
        return f"{before}{param.default}{behind}"

    def value(self, param: Named) -> Scalar:
        """The default."""
        self.values[param.name] = None
        return param.default

    def enter(self, step: StepInfo, arguments: Mapping[str, object]) -> _Step:
        """A step within the one that runs."""
        outer = current.get()
        return _Step(f"{outer.path}/{step.name}" if isinstance(outer, _Step) else step.name)

    async def slot(self, name: str, values: Mapping[str, object]) -> Any:
        """What it is handed."""
        return next(iter(values.values()))


async def observe(job: Job, watched: Watched) -> Observed:
    """Run a program on every trial, as it is and with its texts marked."""
    try:
        program = Modules(run=True).load(job.file, job.name, str(job.file))
        declared = _declared(program, job.file.parent)
    except (UserError, ValueError) as error:
        return Observed(fault=str(error))
    runs: list[Run] = []
    for trial in job.trials:
        for marked in (False, True):
            tries: list[Run] = []
            for reply in trial.replies:
                tries.append(await _run(program, trial, reply, marked=marked, watched=watched, folder=job.file.parent))
                if not tries[-1].error:
                    break
            ended = tries[-1] if not tries[-1].error else tries[0]
            every = [each for run in tries for each in run.asked] if marked else ended.asked
            runs.append(ended.model_copy(update={"asked": tuple(every)}))
    takes = inspect.signature(program).parameters.values()
    told = [Declared(name=each.name, default=each.default, where=_short(each.where)) for each in declared]
    texts = {each.name for each in declared if isinstance(each, Param)}
    return Observed(
        texts=tuple(each for each in told if each.name in texts),
        values=tuple(each for each in told if each.name not in texts),
        runs=tuple(runs),
        takes={
            each.name: each.default is each.empty
            for each in takes
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        },
        takes_any=any(each.kind is each.VAR_KEYWORD for each in takes),
    )


def _declared(program: Callable[..., Any], folder: Path) -> list[Param | Value]:
    """What the program's code leads to, and what else its files declare, such as a text that is read at import alone."""
    found = {each.name: each for each in tunable(program)}
    for module in list(sys.modules.values()):
        file: object = getattr(module, "__file__", None)
        if isinstance(file, str) and Path(file).is_relative_to(folder) and "site-packages" not in file:
            held = (each for each in vars(module).values() if isinstance(each, Param | Value))
            found |= {each.name: each for each in held if each.name not in found}
    return list(found.values())


async def _run(
    program: Callable[..., Any], trial: Trial, reply: str, *, marked: bool, watched: Watched, folder: Path
) -> Run:
    store, watch, asked = Store.memory(), _Watch(marked=marked), list[Asked]()
    models = Models(Session(store=store, lasting=False))

    def answer(request: Request) -> Answer:
        return made_up(request, reply)

    def heard(exchange: Exchange) -> None:
        asked.append(Asked(scope=exchange.scope, model=exchange.model, body=dict(exchange.body)))

    tap = Tap(models, scope=_scope, heard=heard, max_calls=MOST_CALLS, answer=answer)
    error, place = "", ""
    watched.touched.clear()
    watched.on = True
    try:
        async with asyncio.timeout(_SECONDS):
            await _call(program, trial.inputs, watch, tap)
    except TimeoutError:
        error = f"no end within {_SECONDS:g} s"
    except (Exception, Stop, SystemExit) as caught:
        cause = caught.cause if isinstance(caught, Stop) else caught
        error, place = raised(cause).splitlines()[0], _line(caught, folder)
    finally:
        watched.on = False
        tap.close()
        await models.close()
        await store.close()
    return Run(
        example=trial.example, marked=marked, asked=tuple(asked), texts=tuple(watch.texts), values=tuple(watch.values),
        touched=tuple(watched.touched), error=error, where=place,
    )  # fmt: skip


async def _call(program: Callable[..., Any], inputs: Mapping[str, Any], watch: _Watch, tap: Tap) -> None:
    """In a thread of its own, with a loop of its own where it is async: a client that blocks does not wait for itself."""

    def work() -> None:
        watcher.set(watch)
        tapping.set(tap)
        made = program(**inputs)
        if inspect.isawaitable(made):
            asyncio.run(_awaited(made))

    await asyncio.to_thread(copy_context().run, work)


def _scope() -> str:
    inner = current.get()
    return inner.path if isinstance(inner, _Step) else ""


async def _awaited(made: Any) -> None:
    _ = await made


def _line(error: BaseException, folder: Path) -> str:
    lines = [
        f"{Path(frame.f_code.co_filename).name}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).is_relative_to(folder)
    ]
    return lines[-1] if lines else ""


def _short(where: str) -> str:
    file, _, line = where.rpartition(":")
    return f"{Path(file).name}:{line}"


def main() -> None:
    """Do the job of standard input. What the program prints goes nowhere."""
    job = Job.model_validate_json(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    install()
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
