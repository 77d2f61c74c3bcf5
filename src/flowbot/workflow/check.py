"""The checker: all defects of a workflow at once, each in one line that a person or a model can act on.

Nothing is executed: code is parsed, tools are known by their signatures.
"""

from __future__ import annotations

from collections.abc import Mapping

from flowbot.fields import Field, ToolSignature, UserError

from .graph import predecessors, reference_type, references, split_reference, successors, topological, unused
from .rules import Checker, Defect, demonstration_fault
from .workflow import Workflow

__all__ = [
    "Defect",
    "check",
    "demonstration_fault",
    "predecessors",
    "reference_type",
    "references",
    "require_valid",
    "split_reference",
    "successors",
    "topological",
    "unused",
]


def check(
    workflow: Workflow,
    *,
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
) -> list[Defect]:
    """All defects of a workflow, in the order of the file. Empty: it may be run.

    Args:
        workflow: the workflow to check.
        tools: signatures of the tools there are, by name; None: not known, so tool names and arguments are not checked.
        task_inputs: the task's inputs, if it must fit a task.
        task_outputs: the task's outputs, if it must fit a task.
    """
    checker = Checker(workflow, tools)
    return [
        *checker.inputs(task_inputs),
        *checker.outputs(task_outputs),
        *(defect for name, node in workflow.sketch.nodes.items() for defect in checker.node(name, node)),
        *checker.graph(),
        *checker.parameters(),
    ]


def require_valid(
    workflow: Workflow,
    *,
    where: str = "workflow",
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
) -> None:
    """Refuse a workflow with defects.

    Args:
        workflow: the workflow to check.
        where: how to name it in the error, such as the file's path.
        tools: as for `check`.
        task_inputs: as for `check`.
        task_outputs: as for `check`.

    Raises:
        UserError: the first defect, and how many there are.
    """
    defects = check(workflow, tools=tools, task_inputs=task_inputs, task_outputs=task_outputs)
    if defects:
        first = defects[0]
        more = f" (and {len(defects) - 1} more)" if len(defects) > 1 else ""
        raise UserError(f"{where}: {first.where}", first.what, first.mend + more)
