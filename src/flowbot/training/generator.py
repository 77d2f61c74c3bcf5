"""A training: the model writes programs, FlowBot says what each is worth, the model learns from that alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias, Unpack

from flowbot.fields import BudgetExceeded, UserError
from flowbot.fields.bounds import raised
from flowbot.fields.files import sha256
from flowbot.fields.numbers import is_number, require_above_0, shown
from flowbot.lm.budget import Budget
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.arguments import RunSettings, users_models
from flowbot.optimizer.autoflow.asking import STEPS, question
from flowbot.optimizer.prepare import prepared
from flowbot.optimizer.progress import Watch
from flowbot.runtime.evaluation import evaluate
from flowbot.runtime.together import all_of
from flowbot.task import Example, Task
from flowbot.task.modules import Modules, own_line, reference
from flowbot.workflow.core import CoreProgram
from flowbot.workflow.starts.core import core_workflow
from flowbot.workflow.workflow import Workflow

from .learner import Learning, Rewards, fit, last_checkpoint
from .record import Curve, Step
from .reward import read, taught, told

Worth: TypeAlias = Callable[[str, CoreProgram], Coroutine[Any, Any, float]]
"""What a valid program is worth, from 0 to 1."""
_SHORTEST = "Answer:::terminal:::Do the task.:::"
Fit: TypeAlias = Callable[[Learning, str, Path, Rewards], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training.

    Args:
        curve: its steps.
        calls: model calls of the whole training, stored ones included.
        stopped_by: the ceiling that ended it early, in words; "" where none did. A higher one goes on.
    """

    curve: Curve
    calls: int
    stopped_by: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        status = "stopped" if self.stopped_by else "done"
        told = {"status": status, "stopped_by": self.stopped_by, "folder": str(self.curve.folder), "calls": self.calls}
        return {**told, **self.curve.summary()}


async def train_generator_async(
    task: Task,
    learning: Learning,
    folder: Path,
    *,
    interpreter: str | None = None,
    reward: str | None = None,
    rows: int | None = None,
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
        feedback: what the learner is told: the rewards; or, as a control, those of other samples of the same step.
        fitting: lets the model learn.
        settings: ceilings, and how models are called.

    Raises:
        UserError: for anything wrong in what was given.
        Paused: as of `evaluate`; the same call goes on.
    """
    require_training(task, learning, interpreter=interpreter, reward=reward, rows=rows)
    examples = task.splits["train"][:rows]
    tools = {tool.signature.name: tool.signature for tool in task.tools}
    asked = question(task, tools, examples[: 1 if reward is None else 0])
    before = last_checkpoint(folder)
    decides = {
        **{name: value for name, value in asdict(learning).items() if name not in ("steps", "vllm", "model")},
        "model": sha256(learning.model) if learning.model.is_file() else str(learning.model),
        "question": asked,
        "interpreter": interpreter,
        "reward": reward,
        "rows": [each.id for each in examples],
        "feedback": feedback,
    }
    watch, stop, stopped_by = Watch(settings.get("progress")), settings.get("stop") or StopSignal(), ""
    budget = settings.get("budget") or Budget()
    budget.begin()  # learning takes time, too, and there may be nothing to call a model for
    watch.plan = {"search": 1.0}
    watch.enter("search", learning.steps)
    async with _worth(task, examples, interpreter, reward, settings, watch) as (worth, calls):
        curve = Curve.open(folder, decides, 0 if before is None else before[0])

        async def judged(step: int, replies: Sequence[str]) -> list[float | None]:
            stop.check()
            budget.check_time()
            found = [read(reply) for reply in replies]
            worths = iter(await all_of(worth(text, program) for text, program, _ in found if program is not None))
            rewards = [near if program is None else next(worths) for _, program, near in found]
            lesson = taught(rewards, shuffled=Random(f"{learning.seed}/{step}") if feedback == "shuffled" else None)
            valid = sum(program is not None for _, program, _ in found)
            texts = [text for text, _, _ in found]
            curve.add(
                Step(
                    step=step, rewards=rewards, programs=texts, valid=valid, taught=lesson[0] is not None, calls=calls()
                )
            )
            watch.step(f"mean reward {curve.steps[-1].mean:.3f}", step + 1, learning.steps)
            watch.passed()
            return lesson

        loop = asyncio.get_running_loop()

        def rewards_of(step: int, replies: Sequence[str]) -> list[float | None]:
            return asyncio.run_coroutine_threadsafe(judged(step, replies), loop).result()

        try:
            if interpreter is not None:
                await _charged(curve, worth)
            await asyncio.to_thread(fitting, learning, asked, folder, rewards_of)
        except BudgetExceeded as error:
            stopped_by = str(error)
        finally:
            given = ", ".join(f"{name} {value}" for name, value in asdict(learning).items() if name != "model")
            of = f"Task {task.name}, {len(examples)} training rows; rewards by {interpreter or reward}, told as they are: {feedback}."
            curve.report(f"{of} Model {learning.model.name}: {given}.")
        return Trained(curve, calls(), stopped_by)


def require_training(
    task: Task, learning: Learning, *, interpreter: str | None, reward: str | None, rows: int | None
) -> None:
    """Refuse what no training can be made of; the arguments are those of `train_generator_async`.

    Raises:
        UserError: naming the first that is wrong.
    """
    for name, value in {
        "steps": learning.steps,
        "rows": rows,
        "program-tokens": learning.tokens,
        "learning-rate": learning.rate,
    }.items():
        require_above_0(value, f"--{name}")
    if not 0 <= learning.beta <= 1e6:
        raise UserError("--beta", shown(learning.beta), "a number from 0 on")
    if not 0 <= learning.seed < 2**32:
        raise UserError("--seed", shown(learning.seed), "a whole number from 0 to 2^32 - 1")
    if (interpreter is None) == (reward is None):
        raise UserError("train-generator", "both or neither of --interpreter and --reward", "one of them")
    if not task.splits["train"]:
        raise UserError(f"{task.name}: data", "no train examples", "at least one")
    if learning.samples < 2:
        raise UserError("--samples", str(learning.samples), "2 or more: each is compared with the others")
    if not learning.model.exists():
        raise UserError("--model", f"no {learning.model}", "a folder of transformers, or a GGUF file")
    if interpreter is not None:
        _workflow(_SHORTEST, task)


async def _charged(curve: Curve, worth: Worth) -> None:
    """Charge what the steps took that were done before: a ceiling is one of the whole training. Replies come from the store."""
    for step in curve.steps:
        found = [read(text) for text in step.programs]
        await all_of(worth(text, program) for text, program, _ in found if program is not None)


def _workflow(text: str, task: Task) -> Workflow:
    names = [tool.signature.name for tool in task.tools]
    return core_workflow(text, task.inputs, task.outputs, tools=names, max_steps=2 * STEPS)


@asynccontextmanager
async def _worth(
    task: Task,
    examples: Sequence[Example],
    interpreter: str | None,
    reward: str | None,
    settings: RunSettings,
    watch: Watch,
) -> AsyncGenerator[tuple[Worth, Callable[[], int]]]:
    """What says what a program is worth, and how many calls were made for that."""
    if reward is not None:
        own = Modules(run=True).load(*reference(reward, "--reward", Path()), "--reward")

        async def by_function(text: str, program: CoreProgram) -> float:
            try:
                value = own(told(program), examples)
            except Exception as error:
                where = f" at {line}" if (line := own_line(error)) else ""
                raise UserError(f"--reward {reward}", f"{raised(error)}{where}", "a number from 0 to 1") from error
            if not is_number(value) or not isfinite(value) or not 0 <= value <= 1:
                raise UserError(f"--reward {reward}", f"{shown(value)} returned", "a number from 0 to 1")
            return float(value)

        yield by_function, lambda: 0
        return

    begun = _workflow(_SHORTEST, task)
    models = users_models(begun, None, task, interpreter, models=settings.get("models"))
    async with (
        prepared(task, begun, "program", models, settings, watch, search=True) as ready,
        ready.engine(interpreter, None) as engine,
    ):

        async def by_running(text: str, program: CoreProgram) -> float:
            return (await evaluate(engine, _workflow(text, task), ready.task, examples, purpose="train")).mean

        yield by_running, lambda: sum(engine.session.ledger.calls.values())
