"""A peer: another tool's optimiser, run as a command in an environment of its own, on the same models, rows, metric and ceiling.

It asks models through the proxy alone, so what it takes is counted as ours is; the task's own metric scores for it; of the
test it gets the inputs, and its predictions are scored here. What it does beside that is its own: it is a program that the
user names, and runs with the user's rights.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from flowbot.fields import (
    BudgetExceeded,
    DeniedError,
    InfrastructureError,
    Paused,
    RefusedError,
    UserError,
    stable_hash,
)
from flowbot.fields.files import read_text, write_text
from flowbot.fields.words import count, some
from flowbot.lm.budget import Budget
from flowbot.lm.prices import Price
from flowbot.lm.stop import StopSignal
from flowbot.runtime.open_model import Say
from flowbot.runtime.together import all_of
from flowbot.task import Example, Task
from flowbot.task.imports import content_hash

from .cell import Cell, CellResult
from .environment import MOST_REQUIREMENTS, make_environment
from .peer_access import Lent, lent
from .peer_command import PeerError, plain_environment, run_command
from .peer_job import Predictions, read_predictions, read_summary, task_facts, write_rows
from .score_server import score_outputs

if TYPE_CHECKING:
    from flowbot.lm.proxy import Proxy
    from flowbot.runtime.engine import Engine
    from flowbot.runtime.workbench import Workbench

SECONDS = 6 * 3600.0
"""How long a peer may run unless its `seconds` say otherwise."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A method of a comparison that is somebody's command.

    Args:
        command: the program and its arguments; `python` is that of its environment. The path of the job comes behind them.
        folder: its working directory, which relative names in the command are relative to: the bench file's folder.
        requirements: what pip installs for it; None for Python's standard library alone.
        seconds: that it may run.
    """

    command: tuple[str, ...]
    folder: Path
    requirements: Path | None = None
    seconds: float = SECONDS

    @property
    def identity(self) -> str:
        """Hash of what it is: the command, the files that it names with what they import, and the requirements' text.

        Raises:
            UserError: if a file cannot be read.
        """
        files = {name: self.folder / name for name in self.command if (self.folder / name).is_file()}
        wanted = "" if self.requirements is None else read_text(self.requirements, limit=MOST_REQUIREMENTS)
        hashes = {name: content_hash(path) for name, path in files.items()}
        return stable_hash({"command": list(self.command), "files": hashes, "requirements": wanted})


async def run_peer(
    peer: Peer,
    cell: Cell,
    task: Task,
    *,
    identity: str,
    folder: Path,
    proxy: Proxy,
    workbench: Workbench,
    model: str,
    meta: str | None = None,
    judge: str | None = None,
    budget: Budget | None = None,
    price: Price | None = None,
    stop: StopSignal | None = None,
    say: Say | None = None,
    watch: Callable[[Lent], object] | None = None,
) -> CellResult:
    """Run a peer on a task and score what it predicts for the test rows.

    `cell.effort` calls may be asked for through the search URL, those of judges included, `TEST_CALLS` a test row through the
    test URL. In `folder` there are afterwards `job/`, as the peer saw it, with `out/` in it, and `log.txt`.

    Args:
        peer: what to run.
        cell: which cell this is; its effort is the ceiling of the search, its seed the peer's.
        task: what to solve; its tools are open.
        identity: of the cell, for its result.
        folder: the cell's; what an earlier try left of `job/` in it is removed.
        proxy: where the peer asks models.
        workbench: what is shared with other cells; it is open.
        model, meta, judge: model strings; meta is `model` when None, judge is meta.
        budget: the cell's own ceilings.
        price: USD per million input and output tokens, where a model's price is not known; the workbench's when None.
        stop: ends it.
        say: told news in a line.
        watch: told what the peer is lent before it begins: the ledgers in it tell how it goes.

    Returns:
        The result, `done` or `failed` with the peer's fault. Test rows that a judge or its endpoint refuses are left out.

    Raises:
        Paused: if somebody asked to stop, the seconds are over, or the infrastructure failed; stored replies serve again.
        DeniedError: if a model refuses the key or knows no such name.
        BudgetExceeded: if a ceiling of `budget` or the workbench's leaves no room for the test.
        MetricError: if the metric raises; names the example.
        UserError: for anything wrong in what was given.
    """
    if sys.platform == "win32":
        raise UserError("a method that is a command", "Windows", "Linux or macOS")
    told: Say = say or (lambda line: None)
    stop = stop or StopSignal()
    metric = task.metric.identity
    failed = CellResult(**asdict(cell), identity=identity, status="failed", metric=metric, page=cell.name)
    meta = meta or model
    async with lent(
        task,
        cell,
        proxy=proxy,
        workbench=workbench,
        model=model,
        meta=meta,
        judge=judge or meta,
        budget=budget,
        price=price,
        stop=stop,
        say=told,
    ) as parts:
        if watch is not None:
            watch(parts)
        try:
            environment = await make_environment(peer.requirements, workbench.cache_dir, stop=stop, say=told)
            found = await _Try(peer, cell, task, parts, folder, environment, stop).finish()
        except PeerError as error:
            return failed.model_copy(update={"error": str(error), **parts.costs})
        except BudgetExceeded as error:
            if error.budget is not parts.test.budget:
                raise
            most = f"its test asks for more than {parts.test.budget.calls:,} calls"
            return failed.model_copy(update={"error": most, **parts.costs})
        except DeniedError:
            raise
        except InfrastructureError as error:
            raise Paused(str(error), stopped_by="infrastructure") from error
        return failed.model_copy(update={"status": "done", **found, **parts.costs})


class _Try:
    """One try of a peer."""

    def __init__(
        self, peer: Peer, cell: Cell, task: Task, parts: Lent, folder: Path, environment: Path, stop: StopSignal
    ) -> None:
        self._peer, self._cell, self._task, self._lent = peer, cell, task, parts
        self._folder, self._environment, self._stop = folder, environment, stop
        self._job = folder / "job"
        self._out = self._job / "out"

    async def finish(self) -> dict[str, Any]:
        """Run it and score what it leaves; what changes in a result.

        Raises:
            PeerError: for the peer's own faults.
            Paused, MetricError, BudgetExceeded, InfrastructureError: as `run_peer`.
        """
        job = self._write()
        clock = self._lent.clock
        clock.began = time.monotonic()
        try:
            await self._command(job)
        finally:
            clock.ended = time.monotonic()
            await self._lent.settle()
        task, said = self._task, [read_summary(self._out / "program.json")]
        predicted = read_predictions(self._out / "predictions.jsonl", task, task.test)
        val = await self._val()
        scores = await self._scores(self._lent.test.engine, task.test, predicted)
        scored = list(zip(task.test, scores, strict=True))
        kept = [(example.id, score) for example, score in scored if score is not None]
        dropped = [example.id for example, score in scored if score is None]
        said += predicted.said
        said += [f"{count(len(dropped), 'test row')} without a score: {some(dropped)}"] if dropped else []
        return {
            "examples": tuple(name for name, _ in kept),
            "scores": tuple(value for _, value in kept),
            "val": val,
            "found": "; ".join(each for each in said if each),
        }

    def _write(self) -> Path:
        """Write the job, in place of an earlier try's."""
        shutil.rmtree(self._job, ignore_errors=True)
        for each in (self._out, self._job / "home"):
            each.mkdir(parents=True)
        self._job.chmod(0o700)
        task, parts = self._task, self._lent
        write_rows(self._job / "train.jsonl", task.train, expected=True)
        write_rows(self._job / "val.jsonl", task.val, expected=True)
        write_rows(self._job / "test.jsonl", task.test, expected=False)
        facts = {
            "task": task_facts(task),
            "models": {"task": "task", "meta": "meta"},
            "search_url": parts.search.access.url,
            "test_url": parts.test.access.url,
            "score_url": parts.score_url,
            "budget_url": parts.search.access.budget_url,
            **{split: f"{split}.jsonl" for split in ("train", "val", "test")},
            "effort": self._cell.effort,
            "seed": self._cell.seed,
            "out": str(self._out.resolve()),
        }
        path = self._job / "job.json"
        write_text(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n", errors="replace")
        return path.resolve()

    async def _command(self, job: Path) -> None:
        parts, declared = self._lent, plain_environment()
        programs = self._environment.resolve() / "bin"
        env = declared | {
            "PATH": f"{programs}:{declared.get('PATH', '/usr/bin:/bin')}",
            "VIRTUAL_ENV": str(programs.parent),
            "HOME": str(job.parent / "home"),
            "PYTHONHASHSEED": str(self._cell.seed % 2**32),  # what iterates over a set does so again on the next try
            "OPENAI_API_KEY": parts.search.access.token,
            "OPENAI_BASE_URL": parts.search.access.url,
        }
        ended = await run_command(
            [*self._peer.command, str(job)],
            env=env,
            folder=self._peer.folder,
            seconds=self._peer.seconds,
            stop=self._stop,
            fault=parts.faults.first,
        )
        self._folder.mkdir(parents=True, exist_ok=True)  # a peer may remove it
        write_text(self._folder / "log.txt", ended.log, errors="replace")
        if ended.status is None:
            raise PeerError(f"ended after {self._peer.seconds:g} seconds: {ended.last_words}")
        if ended.status:
            raise PeerError(f"ended with status {ended.status}: {ended.last_words}")

    async def _val(self) -> float | None:
        """The mean of its own predictions for the validation rows, where it gives all and the ceiling lets them be scored."""
        path = self._out / "val.jsonl"
        if not path.exists() or not self._task.val:
            return None
        predicted = read_predictions(path, self._task, self._task.val)
        if predicted.missing:
            return None
        try:
            scores = await self._scores(self._lent.search.engine, self._task.val, predicted)
        except BudgetExceeded as error:
            if error.budget is not self._lent.search.budget:
                self._lent.faults.cut = error.budget
            return None
        values = [score for score in scores if score is not None]
        return fmean(values) if values else None

    async def _scores(self, engine: Engine, examples: Sequence[Example], predicted: Predictions) -> list[float | None]:
        """The score of each example; None where a judge is refused, or gives no verdict."""

        async def one(example: Example) -> float | None:
            try:
                return (await score_outputs(engine, self._task, example, predicted.outputs.get(example.id))).value
            except RefusedError:
                return None

        try:
            return await all_of(one(example) for example in examples)
        finally:
            await engine.settle()
