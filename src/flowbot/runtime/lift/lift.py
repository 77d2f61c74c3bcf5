"""`fb.lift`: a program, run on examples, as a typed workflow that makes exactly the same requests; or the step that defeats it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from flowbot.fields import RefusedError, StepError
from flowbot.fields.numbers import require_above_0
from flowbot.runtime.blocking import blocking
from flowbot.runtime.settings import CHECKS, WorkbenchSettings, require_settings, with_settings
from flowbot.runtime.traced.one_run import Bounds
from flowbot.runtime.traced.run import ProgramRuns, outputs_of
from flowbot.runtime.workbench import Workbench
from flowbot.task import Example, Task
from flowbot.task.programs import UserProgram, program_at, program_of
from flowbot.task.quality import Remark
from flowbot.workflow.parameters import ProgramParameters
from flowbot.workflow.workflow import Workflow

from .accept import require_same
from .calls import Defeat, Ran
from .draft import draft
from .recordings import calls_of

EXAMPLES = 8
"""Examples that a program is run on."""
_MOST_CALLS = 200
ProgramLike = Callable[..., Any] | UserProgram | str


@dataclass(frozen=True, slots=True)
class Lifted:
    """What became of lifting a program.

    Args:
        workflow: that makes the same requests; None where there is none.
        defeat: the step that no typed workflow says, and what would mend it; None where there is a workflow.
        tools: functions of the program that it calls as tools, as the task file names them.
        examples: on which they were compared.
        requests: that both made on them.
        failed: examples that the program did not end well on, and so tell nothing.
        notes: what is not quite as in the program, a line each.
    """

    workflow: Workflow | None
    defeat: Remark | None
    tools: tuple[str, ...] = ()
    examples: int = 0
    requests: int = 0
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "ok": self.workflow is not None,
            "workflow": None if self.workflow is None else self.workflow.dump(),
            "defeat": None if self.defeat is None else self.defeat.dump(),
            "tools": list(self.tools),
            "examples": self.examples,
            "requests": self.requests,
            "failed": list(self.failed),
            "notes": list(self.notes),
        }


@with_settings(WorkbenchSettings)
async def lift_async(
    program: ProgramLike,
    task: Task | Path | str,
    *,
    examples: int = EXAMPLES,
    allow_writes: bool = False,
    say: Callable[[str], None] | None = None,
    **settings: Unpack[WorkbenchSettings],
) -> Lifted:
    """A typed workflow from runs of a program: `lift` in plain code, `await lift_async` in async code.

    The program is run on training examples, its own clients asking the models that it names; stored replies cost nothing. What is the same
    in all requests of one place becomes the prompt of a step, the rest is read by reference; functions that are steps become
    tools; what repeats becomes a `map` or a `loop`. The draft is taken only if it makes exactly the recorded requests.

        >>> lifted = fb.lift("app.py:answer", "task.yaml")
        >>> lifted.workflow is None, lifted.defeat
        (True, Remark(where='app.py:31', what='answer asks “…”, which no input and no step gave whole', mend='…'))

    Args:
        program: a function, or `app.py:answer`.
        task: for its examples; a task or its file.
        examples: how many, from the first on: training, and validation where that has too few.
        allow_writes: run a program that writes, for real.
        say: told news in a line.

    Raises:
        UserError: for anything wrong in what was given.
        InfrastructureError, BudgetExceeded, Paused: as running the program does; what was paid for is stored.
    """
    require_settings("lift", settings, WorkbenchSettings, CHECKS)
    require_above_0(examples, "examples")
    solved = task if isinstance(task, Task) else Task.load(task)
    named = _program(program, solved)
    rows = [*solved.train, *solved.val][:examples]
    price = settings.pop("price", None)
    async with Workbench(**settings) as bench:
        session = bench.session(say=say)
        most = settings.get("max_reply_tokens")
        runs = ProgramRuns({named.name: named}, session, price=price, max_reply=most, allow_writes=allow_writes)
        try:
            ended, failed = await _recorded(runs, named, solved, rows)
        finally:
            await runs.close()
    try:
        drafted = draft(
            ended, {each.name: str(each.type) for each in solved.inputs}, [each.name for each in solved.outputs]
        )
        requests = await require_same(drafted.workflow, drafted.tools, ended)
    except Defeat as defeat:
        return Lifted(None, defeat.remark, examples=len(ended), failed=failed)
    file = named.name.rpartition(":")[0]
    tools = tuple(f"{file}:{name}" if file else name for name in drafted.tools)
    return Lifted(drafted.workflow, None, tools, len(ended), requests, failed, drafted.notes)


lift = blocking(lift_async, "lift")


def _program(given: ProgramLike, task: Task) -> UserProgram:
    if not isinstance(given, str):
        return program_of(given)
    return program_at(given, task.programs, "program", None if task.source is None else task.source.parent)


async def _recorded(
    runs: ProgramRuns, program: UserProgram, task: Task, rows: Sequence[Example]
) -> tuple[list[Ran], tuple[str, ...]]:
    """The runs that ended well, and the ids of the other examples."""
    ended, failed = list[Ran](), list[str]()
    for row in rows:
        inputs = {each.name: row.inputs[each.name] for each in task.inputs if each.name in row.inputs}
        bounds = Bounds(max_calls=_MOST_CALLS, purpose="lift", example=row.id)
        try:
            ran = await runs.once(program, inputs, ProgramParameters(), bounds)
            if ran.error:
                failed.append(row.id)
                continue
            outputs = outputs_of(ran.result, task.outputs)
        except (RefusedError, StepError):
            failed.append(row.id)
            continue
        ended.append(Ran(inputs, outputs, calls_of(ran.events, program.call)))
    return ended, tuple(failed)
