"""A user's program as the workflow to begin with: one node, with all that the program declares as parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError, is_name
from flowbot.program.params import Param, Value
from flowbot.runtime.flow import Flow
from flowbot.task import Task
from flowbot.task.frameworks import framework_of
from flowbot.task.programs import UserProgram, program_at, program_of
from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import ProgramNode, Sketch
from flowbot.workflow.parameters import Demonstration, ProgramParameters, TunedText
from flowbot.workflow.workflow import Workflow

from .step_view import REPLY

PROGRAM = re.compile(r".+\.py:[A-Za-z_]\w*")
"""How a program is named by its file."""


def with_program(given: object, task: Task, where: str) -> tuple[Task, Workflow] | None:
    """The task with a program among its own, and the workflow that is one node of it; None where it is no program.

    Args:
        given: a callable, a `dspy.Module`, a LangGraph graph, a `UserProgram`, or `FILE.py:NAME`, from here or beside the task's file.
        task: what is to be solved.
        where: how errors name it.

    Raises:
        UserError: if the file cannot be imported, or the callable does not fit the task.
    """
    if isinstance(given, str) and PROGRAM.fullmatch(given):
        program = program_at(given, task.programs, where, None if task.source is None else task.source.parent)
    elif _is_program(given):
        program = program_of(cast("Callable[..., Any]", given))
        program = next((each for each in task.programs if each.call is program.call), program)
    else:
        return None
    others = tuple(each for each in task.programs if each.name != program.name)
    return replace(task, programs=(*others, program)), program_workflow(program, task)


def program_workflow(program: UserProgram, task: Task) -> Workflow:
    """The workflow of one node: the program reads those of the task's inputs that it takes, and gives its outputs.

    Raises:
        UserError: if it wants what the task does not give.
    """
    given = {field.name: str(field.type) for field in task.inputs}
    takes = _takes(program, given)
    name = free_name(_named(Path(program.name.partition(":")[0]).name.removesuffix(".py")), {*takes})
    out = {field.name: str(field.type) for field in task.outputs}
    node = ProgramNode(call=program.name, inputs={each: each for each in takes}, out=out, max_calls=program.max_calls)
    sketch = Sketch(
        inputs={each: given[each] for each in takes},
        outputs={each: f"{name}.{each}" for each in out},
        nodes={name: node},
    )
    told = ProgramParameters(
        texts={each.name: _text(each) for each in program.tunable if isinstance(each, Param)},
        values={each.name: each.default for each in program.tunable if isinstance(each, Value)},
    )
    return Workflow(sketch=sketch, parameters={name: told})


def _text(param: Param) -> str | TunedText:
    if param.examples is None:
        return param.default
    shown = (Demonstration(inputs={"user": said}, outputs={REPLY: reply}) for said, reply in param.examples)
    return TunedText(text=param.default, demonstrations=tuple(shown), turns=True)


def _is_program(given: object) -> bool:
    if isinstance(given, UserProgram) or framework_of(given) is not None:
        return True
    return callable(given) and not isinstance(given, Flow | type)


def _named(file: str) -> str:
    """The name of a node for a file, which may be called what no node is: `my-app`, `2nd`."""
    found = re.sub(r"\W|^(?=\d)", "_", file, flags=re.ASCII)[:60]
    return found if is_name(found) else f"{found}_"


def _takes(program: UserProgram, given: dict[str, str]) -> list[str]:
    try:
        parameters = inspect.signature(program.call).parameters.values()
    except ValueError:  # of a callable in C
        return [*given]
    if placed := [each.name for each in parameters if each.kind == each.POSITIONAL_ONLY and each.default is each.empty]:
        found = f"the parameter {', '.join(placed)}, which can only be handed over by its place"
        raise UserError(f"program {program.name}", found, "parameters that are handed over by name: no `/` behind them")
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    wanted = [each.name for each in named if each.default is each.empty]
    if missing := [each for each in wanted if each not in given]:
        found = f"the parameter {', '.join(missing)}, which the task has no input for"
        raise UserError(f"program {program.name}", found, f"parameters of the names {', '.join(given)}")
    if any(each.kind == each.VAR_KEYWORD for each in parameters):
        return [*given]
    known = {each.name for each in named}
    return [each for each in given if each in known]
