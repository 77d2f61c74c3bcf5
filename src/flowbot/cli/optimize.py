"""`flowbot optimize`: find a better workflow for a task."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import UserError

from .console import Console
from .options import MODEL, MODELS, Calls, JudgeModel, Output, SearchOptions, TaskFile

if TYPE_CHECKING:
    from flowbot.workflow.workflow import Workflow


def optimize(
    task: TaskFile,
    /,
    *,
    start: Annotated[str | None, Parameter(name="--start")] = None,
    model: Annotated[str | None, MODEL] = None,
    meta_model: Annotated[str | None, Parameter(group=MODELS)] = None,
    judge_model: JudgeModel = None,
    write_source: Annotated[bool, Parameter(name="--write-source", negative=(), show_default=False)] = False,
    search: SearchOptions = SearchOptions(),  # noqa: B008
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Find a better workflow for a task. The same command again resumes, or shows the result again at no cost.

    Parameters
    ----------
    start
        The workflow to improve: a file, a name that `flowbot starts` lists, a run, to take it up with another model or other rows, or a
        program of your own, as app.py:answer; a single call that reasons otherwise.
    model
        The task model, which runs the steps, such as openai/gpt-4.1-mini or local/qwen2.5-coder-0.5b; it also answers the calls of a
        program, whose own clients call what they name where no model is given here.
    meta_model
        The meta model, which finds out what is wrong and proposes changes; the task model otherwise.
    write_source
        Once a program was tuned, write what was found into its own source: the literals of its texts and values, where they are as they
        were when the run began. The same command again does it later.
    """
    from flowbot.task import Task
    from flowbot.workflow.nodes import ProgramNode, walk
    from flowbot.workflow.starts import single_call

    from .plan import Job
    from .search import carry_out
    from .starts import start_workflow

    missing = UserError(
        "--model",
        "nothing",
        "a model such as openai/gpt-4.1-mini, here or in the environment variable FLOWBOT_MODEL; beside a program that calls its own, --meta-model",
    )
    if start is None and model is None:
        raise missing
    loaded = Task.load(task)
    own, given = loaded.programs, None
    if start is None:
        workflow = single_call(loaded.inputs, loaded.outputs, loaded.goal, reasoning=True)
        words = "a single call that reasons, then answers"
    else:
        loaded, workflow, words, given = start_workflow(start, loaded, cache_dir=calls.cache_dir)
    folder = None
    if write_source:
        from flowbot.export.source.write import require_source

        folder = _folder(workflow, task, {each.name for each in own})
        require_source(workflow, folder=folder, where="--write-source")
    first = model or meta_model
    if first is None or (model is None and not any(isinstance(node, ProgramNode) for _, node in walk(workflow.sketch))):
        raise missing
    job = Job(
        task=loaded,
        start=workflow,
        start_words=words,
        model=first,
        own_models=model is None,
        meta_model=meta_model or first,
        judge_model=judge_model,
        effort=search.effort_or("medium"),
        next_task="other-task.yaml",
        start_place=f"--start {start}",
        start_given=given,
        write_source=folder,
    )
    console = Console.open(output)
    return carry_out(job, search, calls, console)


def _folder(workflow: Workflow, task: Path, own: Collection[str]) -> Path:
    """The folder from which a program's file was named: that of the task, where its own programs are; this one, where it is; that of the task."""
    from flowbot.workflow.nodes import ProgramNode, walk

    calls = {node.call for _, node in walk(workflow.sketch) if isinstance(node, ProgramNode)}
    here = any(Path(file).is_file() for each in calls - set(own) if (file := each.rpartition(":")[0]))
    return Path.cwd() if here else task.resolve().parent
