"""All that can be found about a task's or a workflow's file: the file, tools, workflow or examples and metric, models."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, cast

from flowbot.fields import ToolSignature, UserError
from flowbot.fields.arguments import FILE, MODEL, NAMES, SAY, checked_arguments, one_kind
from flowbot.fields.arguments import FOLDER as PATH
from flowbot.fields.yaml import read_data
from flowbot.lm.callable_model import ModelLike, model_string
from flowbot.lm.prices import Price
from flowbot.lm.session import Session
from flowbot.run.folders import FOLDER, RunLike, flow_file
from flowbot.run.result import RunResult
from flowbot.runtime.allowed_models import named_models, require_allowed_models
from flowbot.runtime.blocking import blocking
from flowbot.runtime.open_model import names_file
from flowbot.runtime.settings import CHECKS
from flowbot.store import Store, default_cache_dir, open_store
from flowbot.task import Task
from flowbot.task.builtin_tools import BUILTIN_TOOLS
from flowbot.task.defects import ReadTask
from flowbot.task.quality import Remark
from flowbot.workflow.check import check as check_workflow
from flowbot.workflow.messages import FormatError
from flowbot.workflow.workflow import Workflow

from .findings import Findings
from .models import Asking, ask_models, judge_task, too_long
from .program.check import check_program, program_place
from .task import every_row, look_at, open_tools, read_task, score_task


@checked_arguments(
    file=(
        one_kind(RunResult, str, os.PathLike),
        "the path of a task's or a workflow's file, or of its folder, or a run",
    ),
    task=FILE,
    lm=MODEL,
    meta_lm=MODEL,
    judge_lm=MODEL,
    models=(NAMES[0], "a list of model strings, such as ['openai/gpt-4.1-mini']"),
    price=CHECKS["price"],
    cache_dir=PATH,
    say=SAY,
)
def check(
    file: RunLike,
    *,
    task: Path | str | None = None,
    lm: ModelLike | None = None,
    meta_lm: ModelLike | None = None,
    judge_lm: ModelLike | None = None,
    models: Sequence[str] = (),
    price: Price | None = None,
    cache_dir: Path | str | None = None,
    say: Callable[[str], None] | None = None,
) -> Findings:
    """Whether a task or a workflow is sound: every defect, what is worth a second look, and whether the models answer.

        >>> found = fb.check("task.yaml")
        >>> found.ok, [f"{each.where}: {each.what}" for each in found.defects]
        (True, [])

    A task's own Python is imported. Without a model none is asked.

    Args:
        file: a task.yaml or its folder, or a .flow.yaml (JSON works too), or a run that found one: its result, its folder, or its name in
            runs/; or a program, as `app.py:answer`, which is run on made-up replies: nothing is sent and nothing paid.
        task: the task that a workflow or a program is for: tools, inputs and outputs are then checked as well.
        lm: model to ask one small question, which proves the key, the name and what its endpoint can do.
        meta_lm: another one, for the search.
        judge_lm: model of the metric's judge, where it has one that names none; the meta model or the task model otherwise.
        models: model strings that steps and judges of files may name beside these, and that a search may give to steps; asked as well,
            where one of these is.
        price: USD per million input and output tokens, where a model's price is not known.
        cache_dir: folder of stored responses, local models and search indexes; the user's cache folder when None.
        say: called with one-line news, as of a model that is fetched.

    Raises:
        UserError: if there is no such file.
    """
    program = None if isinstance(file, RunResult) else program_place(str(file))
    given = program[0] if program else file.run_dir if isinstance(file, RunResult) else Path(file)
    path = given
    if (given / "task.yaml").is_file():
        path = given / "task.yaml"
    elif given.is_dir() or (FOLDER / given).is_dir():
        path = flow_file(given)
    if not path.is_file():
        raise UserError(str(path), "no such file", "a task or a workflow file")
    named = {"--model": lm, "--meta-model": meta_lm, "--judge-model": judge_lm}
    asked = {option: model_string(each, option) for option, each in named.items() if each is not None}
    asking = Asking(
        models={**asked, **({f"--models {name}": name for name in models} if asked else {})},
        listed=models,
        price=price,
        cache_dir=Path(cache_dir or default_cache_dir()),
        say=say or (lambda _: None),
    )
    findings = Findings()
    workflow = None if program else _workflow(path, findings)
    read = None
    if task is not None and (program or workflow is not None):
        read = read_task(Path(task), findings)
    elif program:
        pass
    elif workflow is None and findings.ok:
        if task is None:
            read = read_task(path, findings)
        else:
            expected = "a workflow's file; --task names the task that it is for"
            findings.fault(UserError(str(path), "no `nodes`, so it is no workflow", expected))
    blocking(_examine, "check")(workflow, program, read, asking, findings)
    return findings


def _workflow(path: Path, findings: Findings) -> Workflow | None:
    """The workflow in the file; None if it holds something else, or a defect."""
    try:
        data = read_data(path)
        return Workflow.load(path) if isinstance(data, dict) and "nodes" in cast("dict[str, Any]", data) else None
    except FormatError as error:
        findings.defects += [Remark(each.where, each.what, each.mend) for each in error.defects]
    except UserError as error:
        findings.fault(error)
    return None


async def _examine(
    workflow: Workflow | None,
    program: tuple[Path, str] | None,
    read: ReadTask | None,
    asking: Asking,
    findings: Findings,
) -> None:
    """All that needs an event loop: tools, the metric, the models."""
    async with AsyncExitStack() as stack:
        store = open_store(asking.cache_dir) if asking.models else Store.memory()
        stack.push_async_callback(store.close)
        session = Session(store=store)
        task = None if read is None else read.task
        signatures: Mapping[str, ToolSignature] = {}
        if task is not None:
            signatures = await open_tools(task, findings, cache_dir=asking.cache_dir, say=asking.say)
        if program is not None:
            await check_program(*program, read, findings)
            await ask_models(asking, session, findings)
        elif workflow is not None:
            _check_workflow(workflow, task, signatures, findings)
            await ask_models(asking, session, findings)
        elif read is None or task is None:
            await ask_models(asking, session, findings)
        else:
            look_at(read, signatures, findings)
            with redirect_stdout(StringIO()):  # what a metric prints, a thousand times
                await score_task(session, read, findings)
            folder = None if task.source is None else task.source.parent
            for place in filter(None, (program_place(each.name, folder) for each in task.programs)):
                await check_program(*place, read, findings)
            await ask_models(asking, session, findings)
            await judge_task(asking, session, read, findings)
            findings.warnings += too_long(findings.facts["model"], every_row(read))


def _check_workflow(
    workflow: Workflow, task: Task | None, tools: Mapping[str, ToolSignature], findings: Findings
) -> None:
    if task is None:
        found = check_workflow(workflow)
    else:
        at_hand = {**(BUILTIN_TOOLS if task.builtin_tools else {}), **tools}
        found = check_workflow(workflow, tools=at_hand, task_inputs=task.inputs, task_outputs=task.outputs)
    findings.defects += [Remark(each.where, each.what, each.mend) for each in found]
    named = sorted({model for _, model in named_models(workflow)})
    if may := [model for model in named if not names_file(model)]:
        findings.rows.append(
            ("Models", f"its steps name {', '.join(may)}; who runs it must name them too, by --models")
        )
    try:
        require_allowed_models(named, workflow=workflow)  # what even that does not allow
    except UserError as error:
        findings.fault(error)
    if not found:
        findings.workflow = workflow
