"""The code of a new computing step: asked of the meta model as text, and tried in the sandbox before anything is run with it."""

from __future__ import annotations

from typing import Any

from flowbot.fields import StepError, Type
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import fenced
from flowbot.optimizer.seams import Context
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.workflow import Workflow

TRIES = 2
PURPOSE = "proposals"


async def write_code(
    search: Context[WorkflowProgram], workflow: Workflow, inputs: dict[str, str], outputs: dict[str, str]
) -> tuple[str, list[str]]:
    """The meta model's code for a step with these inputs and outputs (name to type text).

    It is asked at most `TRIES` times, the error of the last try handed back: the code must run in the sandbox on made-up values
    of the right types and give the right types. That does not show that it computes what is wanted: examples tell.

    Returns:
        the code, "" where no try was good; and what was wrong with tries.
    """
    faults: list[str] = []
    code = ""
    for _ in range(TRIES):
        prompt = fill(
            "write_code",
            goal=search.task.goal,
            inputs=", ".join(f"`{name}`: a {_python(type_)}" for name, type_ in inputs.items()),
            outputs="{" + ", ".join(f'"{name}": {_python(type_)}' for name, type_ in outputs.items()) + "}",
            arguments=", ".join(inputs),
            error=faults[-1] if faults else "",
            code=code,
        )
        code = fenced(await search.ask_text(prompt, PURPOSE))
        fault = search.guard.copied_text(code, workflow) or await _fault(search, code, inputs, outputs)
        if not fault:
            return code, faults
        faults.append(fault)
    return "", faults


def _python(type_: str) -> str:
    """A type in words that a code model knows."""
    return type_.replace("{", '{"').replace(": ", '": ').replace(", ", ', "') if "{" in type_ else type_


def sample(type_: Type) -> Any:
    """A made-up value of a type."""
    match type_.kind:
        case "int":
            return 2
        case "float":
            return 2.5
        case "bool":
            return True
        case "literal":
            return type_.options[0]
        case "list":
            return [sample(type_.item), sample(type_.item)] if type_.item else []
        case "object":
            return {name: sample(member) for name, member in type_.members}
        case "str":
            return "two"


async def _fault(search: Context[WorkflowProgram], code: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
    """What is wrong with the code, found by running it; "" for nothing."""
    if "def run(" not in code:
        return "there is no `def run(` in it"
    try:
        values = {name: sample(Type.parse(type_)) for name, type_ in inputs.items()}
        result = await search.run_code(code, values)
        if not isinstance(result, dict):
            return f"run(...) returned {result!r:.60}; expected a dict with {', '.join(outputs)}"
        for name, type_ in outputs.items():
            if name not in result:
                return f"run(...) returned no {name!r}"
            Type.parse(type_).coerce(result[name], name)
    except (StepError, ValueError) as error:
        return str(error)
    return ""
