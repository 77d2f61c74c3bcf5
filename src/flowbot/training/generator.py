"""A training: the model writes programs, FlowBot says what each is worth, the model learns from that alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias, Unpack

from flowbot.fields import BudgetExceeded, UserError
from flowbot.fields.files import sha256
from flowbot.fields.numbers import is_number, shown
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.arguments import RunSettings, TaskLike, as_task, users_models
from flowbot.optimizer.autoflow.asking import STEPS, question
from flowbot.optimizer.prepare import prepared
from flowbot.optimizer.progress import Watch
from flowbot.runtime.evaluation import evaluate
from flowbot.runtime.together import all_of
from flowbot.task import Example, Task
from flowbot.task.modules import Modules, reference
from flowbot.workflow.core import CoreProgram
from flowbot.workflow.starts.core import core_workflow

from .learner import Learning, Rewards, fit, last_checkpoint
from .record import Record, Step
from .reward import read, taught, told

Worth: TypeAlias = Callable[[str, CoreProgram], Awaitable[float]]
"""What a valid program is worth, from 0 to 1."""
Fit: TypeAlias = Callable[[Learning, str, Path, Rewards], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training.

    Args:
        record: of its steps.
        status: `done`; `stopped` where a ceiling ended it, and a higher one goes on.
        calls: model calls, stored ones included.
        stopped_by: what ended it early; "" where nothing did.
    """

    record: Record
    status: Literal["done", "stopped"]
    calls: int
    stopped_by: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "status": self.status,
            "stopped_by": self.stopped_by,
            "folder": str(self.record.folder),
            "calls": self.calls,
            **self.record.summary(),
        }


async def train_generator_async(
    task: TaskLike,
    learning: Learning,
    folder: Path,
    *,
    interpreter: str | None = None,
    reward: str | None = None,
    rows: int | None = None,
    shown_rows: int = 1,
    feedback: Literal["real", "shuffled"] = "real",
    fitting: Fit = fit,
    **settings: Unpack[RunSettings],
) -> Trained:
    """Train a generator of programs for a task; the same call goes on from the last checkpoint.

    Args:
        task: what programs are for.
        learning: the model, and how it learns.
        folder: of the training: adapter, best program, curve and report.
        interpreter: model string of what runs the programs.
        reward: FILE.py:NAME in place of running them: a function of the steps of a program, as data, and the training rows.
        rows: training rows that a program is run on, the first of the file; all when None.
        shown_rows: of these, so many of which the generator is told what comes in.
        feedback: what the learner is told: the rewards; or, as a control, those of other samples of the same step.
        fitting: lets the model learn.
        settings: ceilings, and how models are called.

    Raises:
        UserError: for anything wrong in what was given.
        Paused: as of `evaluate`; the same call goes on.
    """
    task = as_task(task)
    if (interpreter is None) == (reward is None):
        raise UserError("train-generator", "both or neither of --interpreter and --reward", "one of them")
    examples = task.splits["train"][:rows]
    if not examples:
        raise UserError(f"{task.name}: data", "no train examples", "at least one")
    if learning.samples < 2 or learning.steps < 1:
        raise UserError(
            "train-generator", f"{learning.samples} samples, {learning.steps} steps", "2 samples or more, and a step"
        )
    if not learning.model.exists():
        raise UserError("--model", f"no {learning.model}", "a folder of transformers, or a GGUF file")
    asked = question(task, {tool.signature.name: tool.signature for tool in task.tools}, examples[:shown_rows])
    before = last_checkpoint(folder)
    decides = {
        **{
            name: value for name, value in asdict(learning).items() if name not in ("steps", "threads", "vllm", "model")
        },
        "model": sha256(learning.model) if learning.model.is_file() else str(learning.model),
        "task": task.name,
        "question": asked,
        "interpreter": interpreter,
        "reward": reward,
        "rows": [each.id for each in examples],
        "feedback": feedback,
    }
    watch, stop = Watch(settings.get("progress")), settings.get("stop") or StopSignal()
    status: Literal["done", "stopped"] = "done"
    stopped_by = ""
    watch.plan = {"steps": 1.0}
    watch.enter("steps", learning.steps)
    async with _opened(task, examples, interpreter, reward, settings, watch) as (worth, calls):
        loop = asyncio.get_running_loop()
        record = Record.open(folder, decides, 0 if before is None else before[0])

        async def judged(step: int, replies: Sequence[str]) -> list[float | None]:
            stop.check()
            found = [read(reply) for reply in replies]
            rewards = await all_of(_worth(text, program, near, worth) for text, program, near in found)
            chance = Random(f"{learning.seed}/{step}") if feedback == "shuffled" else None
            lesson = taught(rewards, shuffled=chance)
            valid = sum(program is not None for _, program, _ in found)
            texts = tuple(text for text, _, _ in found)
            record.add(Step(step, tuple(rewards), texts, valid, lesson[0] is not None, calls()))
            watch.step(f"step {step + 1}: mean reward {record.steps[-1].mean:.3f}", step + 1, learning.steps)
            watch.passed()
            return lesson

        def rewards_of(step: int, replies: Sequence[str]) -> list[float | None]:
            return asyncio.run_coroutine_threadsafe(judged(step, replies), loop).result()

        try:
            await asyncio.to_thread(fitting, learning, asked, folder, rewards_of)
        except BudgetExceeded as error:
            status, stopped_by = "stopped", str(error)
        finally:
            record.report(_about(task, learning, interpreter or reward or "", feedback, len(examples)))
        return Trained(record, status, calls(), stopped_by)


async def _worth(text: str, program: CoreProgram | None, near: float, worth: Worth) -> float:
    return near if program is None else await worth(text, program)


@asynccontextmanager
async def _opened(
    task: Task,
    examples: Sequence[Example],
    interpreter: str | None,
    reward: str | None,
    settings: RunSettings,
    watch: Watch,
) -> AsyncGenerator[tuple[Worth, Callable[[], int]]]:
    """What says what a program is worth, and how many calls were made for that."""
    if reward is not None:
        file, name = reference(reward, "--reward", Path())
        own = Modules(run=True).load(file, name, "--reward")

        async def by_function(text: str, program: CoreProgram) -> float:
            value = own(told(program), examples)
            if not is_number(value) or not isfinite(value) or not 0 <= value <= 1:
                raise UserError(f"--reward {reward}", f"it returned {shown(value)}", "a number from 0 to 1")
            return float(value)

        yield by_function, lambda: 0
        return
    tools = [tool.signature.name for tool in task.tools]

    def workflow(text: str) -> Any:
        return core_workflow(text, task.inputs, task.outputs, tools=tools, max_steps=2 * STEPS)

    begun = workflow("Answer:::terminal:::Do the task.:::")
    models = users_models(begun, None, task, interpreter, settings.get("judge_lm"), models=settings.get("models"))
    async with (
        prepared(task, begun, "program", models, settings, watch, search=True) as ready,
        ready.engine(interpreter, None) as engine,
    ):

        async def by_running(text: str, program: CoreProgram) -> float:
            return (await evaluate(engine, workflow(text), ready.task, examples, purpose="train")).mean

        yield by_running, lambda: sum(engine.session.ledger.calls.values())


def _about(task: Task, learning: Learning, by: str, feedback: str, rows: int) -> list[str]:
    told = "their rewards" if feedback == "real" else "the rewards of other samples of the same step, as a control"
    return [
        f"Task {task.name}, {rows} training rows; rewards by {by}. Model {learning.model.name}, {learning.samples} samples a step of "
        f"{learning.tokens} tokens at most, rate {learning.rate:g}, beta {learning.beta:g}, temperature {learning.temperature:g}, "
        f"seed {learning.seed}. The learner is told {told}."
    ]
