"""What kind of task a step solves, in a few names that the priors know: what it gives, what the task reads, tools, and how it fails.

output number · label · text · list · object        input short · long · several · list
tools yes · no                                       failure error · partial · wrong
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from statistics import median

from flowbot.optimizer.feedback.runs import PERFECT
from flowbot.optimizer.seams import Context
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.nodes import node_at
from flowbot.workflow.scope import Scope
from flowbot.workflow.starts import REASONING
from flowbot.workflow.workflow import Workflow

LONG = 600
"""Letters of an input from which on it is long, in the median of the training rows."""
_OUTPUTS = {
    "int": "number",
    "float": "number",
    "literal": "label",
    "bool": "label",
    "str": "text",
    "list": "list",
    "object": "object",
}


def task_kinds(task: Task, workflow: Workflow, path: str, rows: Sequence[Row]) -> tuple[str, ...]:
    """The kinds of task that a change about a step is made for.

    Args:
        task: what is solved.
        workflow: what is changed.
        path: of the step.
        rows: recorded runs of the workflow.
    """
    found = [f"output {_output(workflow, path)}", f"input {_input(task)}", f"tools {'yes' if task.tools else 'no'}"]
    return (*found, f"failure {failure}") if (failure := _failure(rows)) else tuple(found)


def step_kinds(context: Context, program: WorkflowProgram, path: str) -> tuple[str, ...]:
    """The kinds of task that a change of a step's parameters is made for, by the training runs of its program."""
    return task_kinds(context.task, program.workflow, path, context.recorded(program, context.training))


def _output(workflow: Workflow, path: str) -> str:
    """What a step gives, its reasoning aside; several things of different kinds are an object."""
    if ":" in path:
        return "text"  # what a model's call in a program gives
    name, scope = path.rpartition("/")[2], Scope.of(workflow.sketch).at(path)
    given = [each for each in node_at(workflow.sketch, path).gives if each != REASONING]
    types = [scope.type_of(f"{name}.{each}") for each in given]
    kinds = {_OUTPUTS[each.kind] for each in types if each is not None}
    return kinds.pop() if len(kinds) == 1 else "object"


@lru_cache(maxsize=8)
def _input(task: Task) -> str:
    if any(each.type.kind == "list" for each in task.inputs):
        return "list"
    if len(task.inputs) > 1:
        return "several"
    lengths = [sum(len(str(value)) for value in each.inputs.values()) for each in task.splits.get("train", ())]
    return "long" if lengths and median(lengths) >= LONG else "short"


def _failure(rows: Sequence[Row]) -> str:
    """How most of the failing runs fail; "" where none does."""
    seen = Counter(
        "error" if row.trace.error else "partial" if row.score.value > 0 else "wrong"
        for row in rows
        if row.score.value < PERFECT
    )
    return max(sorted(seen), key=lambda each: seen[each], default="")
