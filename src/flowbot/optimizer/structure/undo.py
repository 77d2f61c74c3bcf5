"""Taking one adopted change back while what was adopted after it stays.

It is a three-way merge, as reverting a commit is: with the program before the change and the one after it known, what the change
did is undone in the last program, member by member of the workflow as data. Where a later change touched the same member there is
no such program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flowbot.fields import UserError
from flowbot.optimizer.population import Candidate
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.edits.applying import apply
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.workflow import Workflow


def without(lineage: Sequence[Candidate[WorkflowProgram]], index: int, task: Task) -> WorkflowProgram | None:
    """The last program of a lineage without one of its changes.

    Args:
        lineage: from the start on, each made from the one before.
        index: of the candidate whose change is taken back, from 1 on.
        task: what the programs solve.

    Returns:
        the program; None where a later change rests on this one, or nothing of it is left.
    """
    last = lineage[-1].program
    before, after = (each.program.workflow.dump() for each in lineage[index - 1 : index + 1])
    try:
        workflow = apply(
            Workflow.from_data(_merged(after, before, last.workflow.dump())),
            [],
            tools={tool.signature.name: tool.signature for tool in task.tools},
            task_inputs=task.inputs,
            task_outputs=task.outputs,
        )
    except (_Conflict, UserError, EditError):
        return None
    found = WorkflowProgram(workflow)
    return None if found.hash == last.hash else found


class _Conflict(Exception):
    """Both sides changed the same member."""


_MISSING: Any = object()


def _merged(base: Any, ours: Any, theirs: Any, *, steps: bool = False) -> Any:
    """What both sides made of `base`. A step that our side does not have goes, whatever became of it on theirs.

    Args:
        base, ours, theirs: JSON data, or `_MISSING`.
        steps: whether the members are steps, or the parameters of steps.

    Raises:
        _Conflict: if both changed the same thing.
    """
    if _same(base, ours) or _same(ours, theirs):
        return theirs
    if _same(base, theirs):
        return ours
    if not all(isinstance(each, dict) for each in (base, ours, theirs)):
        raise _Conflict
    merged: dict[str, Any] = {}
    for key in _keys(base, ours, theirs):
        sides = [each.get(key, _MISSING) for each in (base, ours, theirs)]
        gone = steps and sides[1] is _MISSING and sides[0] is not _MISSING
        value = _MISSING if gone else _merged(*sides, steps=key in ("nodes", "parameters"))
        if value is not _MISSING:
            merged[key] = value
    return merged


def _keys(base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The names on both sides, in the order of the side that changed it: an output that comes first is written first."""
    unchanged = [key for key in base if key in theirs] == [key for key in theirs if key in base]
    leading, other = (ours, theirs) if unchanged else (theirs, ours)
    order, at = list(leading), 0
    for key in other:
        if key in leading:
            at = order.index(key) + 1
        else:
            order.insert(at, key)
            at += 1
    return order


def _same(a: Any, b: Any) -> bool:
    """Whether two members are equal, the order of names included."""
    return a is b or (_MISSING not in (a, b) and json.dumps(a) == json.dumps(b))
