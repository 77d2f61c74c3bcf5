"""`flowbot trace`: one run of a program of the user's own: its steps, who read whom and how that was found, what it took."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowbot.fields import ModelError, Usage, UserError
from flowbot.fields.words import as_text, brief, count, money

from .console import Console
from .options import Calls, Output, StepsModel
from .run import pairs

if TYPE_CHECKING:
    from flowbot.lm.stop import StopSignal
    from flowbot.runtime.trace import Step, StepEdge
    from flowbot.runtime.traced.recorded import Ran
    from flowbot.task.programs import UserProgram

HOW = {
    "object": "the very object",
    "text": "its text",
    "shingles": "a cut of its text",
    "leaf": "a value in its text",
    "code": "by name in the code",
    "control": "it decided",
    "time": "it came before",
    "declared": "declared",
}
"""How an edge was found, for a person."""
_LONGEST = 100
"""Letters of a value that are shown."""
_MOST_CALLS = 200
"""Model calls of one run."""


def trace(
    program: Annotated[str, Parameter(name="PROGRAM", negative=())],
    /,
    *values: Annotated[str, Parameter(name="NAME=VALUE", allow_leading_hyphen=True)],
    model: StepsModel = None,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Run a program of your own once: its steps, who read whom and how that was found, the texts that each holds, calls and cost.

    Parameters
    ----------
    program
        A pipeline in Python, as app.py:answer; its clients' calls are real, and come from the store the next time.
    values
        Its inputs, as in: question="Which bird hovers?". What is not annotated as text is read as JSON.
    model
        Model that answers in place of those that the program names, such as local/qwen2.5-coder-0.5b.
    """
    from flowbot.task.modules import Modules
    from flowbot.task.programs import read_program

    from .signals import run_pausing

    console = Console.open(output)
    made = read_program(program, "program", Path(), Modules(run=True))
    assert made is not None  # Python may be imported
    inputs = _inputs(made, values)
    if calls.dry_run:
        console.json({"dry_run": True, "program": made.name, "inputs": inputs})
        console.result(f"{made.name} would run once; it was not run.")
        return 0
    ran, steps = run_pausing(
        lambda stop: _run(made, inputs, model, calls, stop, console), say=partial(console.say, style="warn")
    )
    read = {name: [step.address for step in steps if f"app:{name}" in step.texts] for name in ran.texts}
    unread = [each.name for each in made.tunable if each.name not in ran.texts and each.name not in ran.values]
    console.json(_facts(made, inputs, ran, steps, read, unread))
    _show(console, ran, steps, read, unread)
    if ran.error:
        raise ModelError(f"no result: {ran.error}")
    return 0


def _inputs(made: UserProgram, values: tuple[str, ...]) -> dict[str, Any]:
    """What it is handed, of the kinds that its signature names.

    Raises:
        UserError: naming one that is missing or unknown.
    """
    from flowbot.fields.near import one_of
    from flowbot.fields.yaml import parse_json

    takes = inspect.signature(made.call).parameters
    named = {name: each for name, each in takes.items() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
    usage = f"the inputs {' '.join(f'{name}=…' for name in named)}"
    found = pairs(values, usage)
    for name, text in found.items():
        if name not in named and len(named) == len(takes):
            raise UserError("inputs", f"the unknown input {name!r}", one_of(name, named))
        kind = named[name].annotation if name in named else str
        if kind not in (str, "str", inspect.Parameter.empty):
            with suppress(UserError):  # a text, of whatever kind it says it is
                found[name] = parse_json(text, name)
    missing = [name for name, each in named.items() if each.default is each.empty and name not in found]
    if missing:
        raise UserError("inputs", f"no {missing[0]}", usage)
    return found


async def _run(
    made: UserProgram, inputs: dict[str, Any], model: str | None, calls: Calls, stop: StopSignal, console: Console
) -> tuple[Ran, tuple[Step, ...]]:
    from flowbot.runtime.allowed_models import allowed_models
    from flowbot.runtime.trace import Step
    from flowbot.runtime.traced.assemble import assembled
    from flowbot.runtime.traced.one_run import Bounds
    from flowbot.runtime.workbench import Workbench
    from flowbot.workflow.parameters import ProgramParameters

    from .engine import require_price

    say = partial(console.say, style="soft")
    require_price(calls, model)
    async with Workbench(**calls.settings(stop)) as bench:
        session = bench.session(say=say)
        own = allowed_models(model, models=calls.listed())
        async with bench.engine(model, session, tools={}, models=own, say=say, live=True, programs=(made,)) as engine:
            bounds = Bounds(purpose="run", max_calls=_MOST_CALLS)
            ran = await engine.traced.once(made, inputs, ProgramParameters(), bounds)
    holder = Step("app", "program", inputs, None, ran.error)
    return ran, assembled(holder, ran)


def _facts(
    made: UserProgram,
    inputs: Mapping[str, Any],
    ran: Ran,
    steps: tuple[Step, ...],
    read: Mapping[str, list[str]],
    unread: list[str],
) -> dict[str, Any]:
    """All of it, for programs."""
    from flowbot.runtime.traced.seen import seen

    used = _used(steps)
    return {
        "program": made.name,
        "inputs": dict(inputs),
        "result": seen(ran.result).value,
        "error": ran.error,
        "steps": [
            {
                "address": each.address,
                "kind": each.kind,
                "reads": [asdict(edge) for edge in each.edges],
                "texts": [text.partition(":")[2] for text in each.texts],
                "inputs": dict(each.inputs),
                "outputs": None if each.outputs is None else dict(each.outputs),
                "error": each.error,
                "seconds": each.seconds,
            }
            for each in steps
        ],
        "texts": dict(read),
        "turns": {name: len(pairs) for name, pairs in ran.turns.items()},
        "values": dict(ran.values),
        "unread": unread,
        "calls": ran.calls,
        "tokens": used.tokens,
        "usd": used.usd,
    }


def _used(steps: tuple[Step, ...]) -> Usage:
    return sum((each.usage for each in steps), Usage())


def _show(
    console: Console, ran: Ran, steps: tuple[Step, ...], read: Mapping[str, list[str]], unread: list[str]
) -> None:
    """All of it, for a person: each step with those inside it behind it."""
    inner: dict[str, list[Step]] = {}
    for each in steps:
        inner.setdefault(each.address.rpartition("/")[0], []).append(each)

    def told(step: Step, indent: int) -> None:
        texts = f", holds {', '.join(text.partition(':')[2] for text in step.texts)}" if step.texts else ""
        console.styled([(step.address.rpartition("/")[2], "accent"), (f"  {step.kind}{texts}", "soft")], indent=indent)
        for edge in step.edges:
            console.paragraph(_edge(edge), indent=indent + 4)
        gave = step.error or as_text(step.reply or next(iter((step.outputs or {}).values()), ""))
        console.paragraph(f"gave {brief(gave, _LONGEST)}", "bad" if step.error else "soft", indent=indent + 4)
        for each in inner.get(step.address, ()):
            told(each, indent + 2)

    top = steps[0]
    for each in inner.get(top.address, ()):
        told(each, 0)
    for edge in top.edges:
        console.paragraph(f"the result {_edge(edge)}", indent=0)
    for name, places in read.items():
        where = ", ".join(place.partition("/")[2] for place in places) or "read, and in no request"
        turns = len(ran.turns.get(name, ()))
        shown = f"; {count(turns, 'worked example')} as turns" if turns else ""
        console.say(f"{name}: {where}{shown}", "soft")
    if unread:
        console.say(f"Not read: {', '.join(unread)}", "warn")
    used = _used(steps)
    cost = "" if used.usd is None else f", {money(used.usd)}"
    console.say(f"{count(ran.calls, 'model call')}, {used.tokens:,} tokens{cost}", "soft")
    if not ran.error:
        console.result(as_text(ran.result) if isinstance(ran.result, str) else brief(str(ran.result), 2000))


def _edge(edge: StepEdge) -> str:
    source = edge.source.partition("/")[2]
    if edge.part == "out":
        return f"is made of {source} ({HOW[edge.how]})"
    where = f" as {edge.part.removeprefix('in.')}" if edge.part.startswith("in.") else ""
    return f"reads {source}{where} ({HOW[edge.how]})"
