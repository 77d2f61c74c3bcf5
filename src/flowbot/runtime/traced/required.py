"""What the programs of a workflow need to be there: the callables, and what the parameters name of them. Nothing is run."""

from __future__ import annotations

from collections.abc import Mapping

from flowbot.fields import UserError
from flowbot.program.params import NO_TURNS, Param, Value, made
from flowbot.task.programs import UserProgram, named_program
from flowbot.workflow.nodes import ProgramNode, walk
from flowbot.workflow.parameters import ProgramParameters
from flowbot.workflow.workflow import Workflow


def program_named(call: str, programs: Mapping[str, UserProgram]) -> UserProgram:
    """The program that a node means.

    Raises:
        UserError: if it is not there.
    """
    found = named_program(call, programs.values())
    if found is None:
        there = f"; there is {', '.join(programs)}" if programs else ""
        mend = f"`programs: [{call}]` in the task file, or fb.load(..., programs=[...]){there}"
        raise UserError("workflow", f"the program {call!r}, which is not there", mend)
    return found


def require_programs(workflow: Workflow, programs: Mapping[str, UserProgram]) -> None:
    """See that the programs of a workflow are there, and declare what its parameters name.

    Raises:
        UserError: for the first that is not so.
    """
    for path, node in walk(workflow.sketch):
        if not isinstance(node, ProgramNode):
            continue
        program, told = program_named(node.call, programs), workflow.parameter(path)
        assert isinstance(told, ProgramParameters)  # the checker lets nothing else pass
        declared = {each.name: each for each in program.tunable}
        for name in told.texts:
            where, found = f"parameters.{path}.texts.{name}", declared.get(name) or made(name)
            _require(where, program, found, Param)
            if isinstance(found, Param) and found.examples is None and told.turns(name) is not None:
                raise UserError(where, f"worked examples as turns, which {program.name} does not send", NO_TURNS)
        for name, value in told.values.items():
            where, found = f"parameters.{path}.values.{name}", declared.get(name) or made(name)
            _require(where, program, found, Value)
            if isinstance(found, Value) and (fault := found.fault(value)):
                raise UserError(where, fault, f"a value of {found!r}")


def _require(where: str, program: UserProgram, found: object, kind: type[Param] | type[Value]) -> None:
    if not isinstance(found, kind):
        there = ", ".join(each.name for each in program.tunable if isinstance(each, kind)) or "none"
        raise UserError(where, f"no fb.{kind.__name__} of {program.name}", f"one that it declares: {there}")
