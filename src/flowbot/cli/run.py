"""`flowbot run`: use a workflow on inputs of your own."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowbot.fields import Field, ModelError, Type, UserError
from flowbot.fields.words import count

from .console import Console
from .options import Calls, FlowFile, Output, StepsModel
from .text import json_text

if TYPE_CHECKING:
    from flowbot.lm.stop import StopSignal
    from flowbot.runtime.trace import Trace
    from flowbot.task import Task, Tool, ToolSource
    from flowbot.task.row import Row
    from flowbot.workflow.workflow import Workflow


def run_flow(
    flow: FlowFile,
    /,
    *values: Annotated[str, Parameter(name="NAME=VALUE", allow_leading_hyphen=True)],
    inputs: Annotated[str | None, Parameter(name="--inputs", allow_leading_hyphen=True)] = None,
    task: Annotated[Path | None, Parameter(name="--task")] = None,
    model: StepsModel = None,
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Run a workflow on inputs and print its outputs.

    Parameters
    ----------
    values
        Inputs, as in: note="two lamps and a dozen pens".
    inputs
        A data file (.jsonl, .json, .csv, .tsv), or JSON on standard input (-): the workflow runs once for each row. Columns
        that are no inputs do not matter.
    task
        The task file that defines the workflow's tools.
    """
    from flowbot.run.folders import flow_file
    from flowbot.runtime.allowed_models import allowed_models, require_allowed_models
    from flowbot.task import Task
    from flowbot.workflow.calls import most_calls
    from flowbot.workflow.workflow import Workflow

    from .signals import run_pausing
    from .summary import within

    console = Console.open(output)
    flow = flow_file(flow)
    workflow = Workflow.load(flow)
    own = allowed_models(model, models=calls.listed())
    require_allowed_models(own, workflow=workflow, where=str(flow))
    solved = None if task is None else Task.load(task)
    rows = _rows(workflow, values, inputs)
    ran = run_pausing(
        lambda stop: _run(flow, workflow, rows, model, own, calls, solved, stop, console),
        say=partial(console.say, style="warn"),
    )
    if ran is None:
        calls_at_most = len(rows) * most_calls(workflow)
        console.json({"dry_run": True, "calls": calls_at_most})
        console.result(f"{count(calls_at_most, 'model call')} at most, besides those that ask again; none was made.")
        return 0
    traces, passed = ran
    status = within(passed)
    _print(console, traces, many=inputs is not None and len(rows) != 1)
    return status


def tools_of(task: Task | None) -> tuple[Tool | ToolSource, ...]:
    """What a task declares for its workflows."""
    return () if task is None else (*task.tools, *task.sources)


async def _run(
    flow: Path,
    workflow: Workflow,
    rows: list[dict[str, Any]],
    model: str | None,
    own: frozenset[str],
    calls: Calls,
    task: Task | None,
    stop: StopSignal,
    console: Console,
) -> tuple[list[Trace], str] | None:
    """A trace for each of the rows, and which ceiling was passed; None where the calls shall not be made."""
    import asyncio

    from flowbot.runtime.together import together
    from flowbot.runtime.toolbox import opened_tools
    from flowbot.runtime.workbench import Workbench
    from flowbot.task.builtin_tools import signatures_of
    from flowbot.workflow.check import require_valid

    from .engine import require_model, require_price

    say = partial(console.say, style="soft")
    async with (
        Workbench(**calls.settings(stop)) as bench,
        opened_tools(tools_of(task), sandbox=bench.sandbox, cache_dir=bench.cache_dir, say=say) as opened,
    ):
        require_valid(workflow, where=str(flow), tools=signatures_of(opened.values()), allow_writes=True)
        require_model(workflow, model)
        require_price(calls, model)
        if calls.dry_run:
            return None
        session = bench.session(say=say)
        programs = () if task is None else task.programs
        async with bench.engine(
            model, session, tools=opened, models=own, say=say, live=True, programs=programs
        ) as engine:
            engine.open_models(workflow)
            tasks = [asyncio.create_task(engine.run(workflow, row, purpose="run")) for row in rows]
            return await together(tasks), engine.session.budget.passed


def _print(console: Console, traces: list[Trace], *, many: bool) -> None:
    outputs = [None if trace.outputs is None else dict(trace.outputs) for trace in traces]
    failed = [trace for trace in traces if trace.outputs is None]
    console.json(outputs if many else outputs[0])
    for trace in traces:
        if trace.outputs is None:
            continue
        if many:
            console.result(json_text(dict(trace.outputs)))
        else:
            for name, value in trace.outputs.items():
                console.result(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    if failed:
        more = f" ({len(failed)} of {len(traces)} runs failed)" if many else ""
        raise ModelError(f"no result: {failed[0].error}{more}")


def _rows(workflow: Workflow, values: tuple[str, ...], file: str | None) -> list[dict[str, Any]]:
    """The inputs of each run, by name and of the right types."""
    from flowbot.runtime.inputs import named_inputs
    from flowbot.task.examples import input_values

    wanted = {name: Type.parse(kind) for name, kind in workflow.sketch.inputs.items()}
    fields = [Field(name, type_) for name, type_ in wanted.items()]
    if file is not None and values:
        raise UserError("--inputs", "NAME=VALUE beside it", "one or the other")
    if file is not None:
        rows = _read_rows(file)
    else:
        usage = "the inputs " + " ".join(f"{name}={type_}" for name, type_ in wanted.items())
        return [named_inputs(_typed(pairs(values, usage), wanted), fields)]
    return [input_values(row, fields) for row in rows]


def pairs(values: tuple[str, ...], usage: str) -> dict[str, Any]:
    """The texts of `NAME=VALUE`, by name.

    Raises:
        UserError: for one that is none, with what is wanted.
    """
    if wrong := [each for each in values if "=" not in each]:
        raise UserError("inputs", repr(wrong[0]), f"NAME=VALUE; {usage}")
    return {name: text for name, _, text in (each.partition("=") for each in values)}


def _typed(row: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    from flowbot.fields.yaml import parse_json

    for name, text in row.items():
        if name in wanted and wanted[name].kind not in ("str", "literal"):
            try:
                row[name] = parse_json(text, f"inputs: {name}")
            except UserError as error:
                if error.mend != "expected JSON":
                    raise
                row[name] = text  # the type says what is wrong with it
    return row


def _read_rows(file: str) -> list[Row]:
    from flowbot.task.data import PARQUET, parse_rows, read_rows, refuse_other_kinds
    from flowbot.task.decode import MOST_DATA, decoded

    if file == "-":
        try:
            text = sys.stdin.read(MOST_DATA + 1).removeprefix("\ufeff")
        except UnicodeDecodeError:
            raise UserError("standard input", "bytes that are no text", "JSON in UTF-8") from None
        if len(text) > MOST_DATA:
            raise UserError("standard input", f"more than {MOST_DATA:,} characters", "less than that")
        return parse_rows(text, "standard input", ".json", alone=True)
    path = Path(file)
    if path.suffix:  # a pipe has none, and is read as JSON
        refuse_other_kinds(path)
        if path.suffix.lower() == PARQUET:
            return read_rows(path)
    return parse_rows(decoded(path, piped=True)[0], file, path.suffix.lower() or ".json", alone=True)
