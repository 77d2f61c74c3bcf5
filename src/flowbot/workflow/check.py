"""The checker: all defects of a workflow at once, each in one line that a person or a model can act on.

Nothing is executed: code is parsed, tools are known by their signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice

from flowbot.fields import Field, ToolSignature, UserError

from .defects import Defect
from .rules import Checker
from .workflow import Workflow

MOST_DEFECTS = 200
"""Defects that are listed; a workflow that has more says so in one more."""


def check(
    workflow: Workflow,
    *,
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
    allow_writes: bool = False,
) -> list[Defect]:
    """All defects of a workflow, in the order of the file, up to `MOST_DEFECTS`. Empty: it may be run.

    Args:
        workflow: the workflow to check.
        tools: signatures of the tools there are, by name; None: not known, so tool names and arguments are not checked.
        task_inputs: the task's inputs, if it must fit a task.
        task_outputs: the task's outputs, if it must fit a task.
        allow_writes: True: tools that write may be called for real (in use, not while searching).
    """
    checker = Checker(workflow, tools, allow_writes=allow_writes)
    found = chain(checker.inputs(task_inputs), checker.outputs(task_outputs), checker.bodies(), checker.parameters())
    defects = list(islice(found, MOST_DEFECTS))
    if next(found, None) is not None:
        mend = "mend these first, then check again"
        defects.append(Defect("workflow", f"there are more defects than these {MOST_DEFECTS}", mend))
    return defects


def require_valid(
    workflow: Workflow,
    *,
    where: str = "workflow",
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
    allow_writes: bool = False,
) -> None:
    """Refuse a workflow with defects.

    Args:
        workflow: the workflow to check.
        where: how to name it in the error, such as the file's path.
        tools: as for `check`.
        task_inputs: as for `check`.
        task_outputs: as for `check`.
        allow_writes: as for `check`.

    Raises:
        UserError: the first defect, and how many there are.
    """
    defects = check(
        workflow, tools=tools, task_inputs=task_inputs, task_outputs=task_outputs, allow_writes=allow_writes
    )
    if defects:
        first = defects[0]
        more = f" (and {len(defects) - 1} more)" if len(defects) > 1 else ""
        raise UserError(f"{where}: {first.where}", what=first.what, mend=first.mend + more)
