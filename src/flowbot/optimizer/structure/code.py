"""The code of a new computing step: asked of the meta model as text, and tried in the sandbox before anything is run with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from flowbot.fields import StepError, Type
from flowbot.fields.words import cut
from flowbot.optimizer.catalogue.formulas import MISSES, MOST_ROWS
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import fenced
from flowbot.optimizer.seams import Context
from flowbot.workflow.workflow import Workflow

TRIES = 2
PURPOSE = "proposals"
SHOWN = 3
"""Training rows that the meta model is shown where it is known what a step is to give, unless a control withholds it."""
Known: TypeAlias = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""A training row's id, what a step would get on it, and what it is to give."""
LONGEST = 500
"""Letters of a value that are shown."""


async def write_code(
    search: Context, workflow: Workflow, inputs: dict[str, str], outputs: dict[str, str], known: Sequence[Known] = ()
) -> tuple[str, list[str]]:
    """The meta model's code for a step with these inputs and outputs (name to type text).

    It is asked at most `TRIES` times, the error of the last try handed back: the code must run in the sandbox on made-up values
    of the right types and give the right types. That does not show that it computes what is wanted: examples tell. Where it is known what
    the step is to give, the first `SHOWN` rows are shown (see `told_of`), and the code must be right on nearly all.

    Args:
        search: asked and run in.
        workflow: that is changed.
        inputs: what the step gets.
        outputs: what it gives.
        known: what it would get and is to give on training rows.

    Returns:
        the code, "" where no try was good; and what was wrong with tries.
    """
    faults: list[str] = []
    code, told = "", told_of(search, known)
    for _ in range(TRIES):
        prompt = fill(
            "write_code",
            goal=search.task.goal,
            inputs=", ".join(f"`{name}`: a {_python(type_)}" for name, type_ in inputs.items()),
            outputs="{" + ", ".join(f'"{name}": {_python(type_)}' for name, type_ in outputs.items()) + "}",
            arguments=", ".join(inputs),
            examples=[(_shown(given), _shown(wanted)) for _, given, wanted in told],
            error=faults[-1] if faults else "",
            code=code,
        )
        code = fenced(await search.ask_text(prompt, PURPOSE))
        fault = search.guard.copied_text(code, workflow) or await _fault(search, code, inputs, outputs)
        fault = fault or await _wrong(search, code, known, told)
        if not fault:
            return code, faults
        faults.append(fault)
    return "", faults


def told_of(search: Context, known: Sequence[Known]) -> list[Known]:
    """Those of the rows that the meta model is shown: as they are; in a control with what another is to give, or none at all."""
    if search.feedback_mode == "real":
        return list(known[:SHOWN])
    others = [
        (name, given, [other for _, _, other in known if other != wanted and search.feedback_mode == "shuffled"])
        for name, given, wanted in known[:SHOWN]
    ]
    return [
        (name, given, search.rng(f"told/{name}").choice(different)) for name, given, different in others if different
    ]


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


async def _fault(search: Context, code: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
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


async def _wrong(search: Context, code: str, known: Sequence[Known], told: Sequence[Known]) -> str:
    """On how many known rows the code is wrong, and how on the first that was shown; "" where it is right on nearly all."""
    rows, wrong, fault = known[:MOST_ROWS], 0, ""
    expected = {name: wanted for name, _, wanted in told}
    for name, given, wanted in rows:
        try:
            found = await search.run_code(code, given)
        except StepError as error:
            found = f"the error {error}"
        if not _near(found, wanted):
            wrong += 1
            if name in expected and not fault:
                fault = f"; for {_shown(given)} it gave {_shown(found)}, expected {_shown(expected[name])}"
    return f"it is wrong on {wrong} of {len(rows)} known examples{fault}" if wrong > MISSES * len(rows) else ""


def _near(found: Any, wanted: Any) -> bool:
    """Whether a value is another, numbers but for what is lost in computing with floats."""
    if isinstance(wanted, dict):
        given, right = cast("dict[str, Any]", found), cast("dict[str, Any]", wanted)
        return (
            isinstance(found, dict)
            and given.keys() == right.keys()
            and all(_near(given[key], right[key]) for key in right)
        )
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        number = isinstance(found, int | float) and not isinstance(found, bool)
        return number and abs(found - wanted) <= 1e-9 * max(1.0, abs(wanted))
    return type(found) is type(wanted) and found == wanted


def _shown(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False, default=str), LONGEST)
