"""`flowbot demo`: watch a real model on this machine be given a better workflow than the one it starts with."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .console import Console
from .options import MODEL, MODELS, OWN, Calls, Output, SearchOptions

if TYPE_CHECKING:
    from flowbot.task import Task

LOCAL_MODEL = "local/qwen2.5-coder-0.5b"
LOCAL_META_MODEL = "local/qwen2.5-coder-1.5b"
EFFORT, SHORT_EFFORT = 500, 100
"""Planned search calls, without and with `--short`."""
SHORT = {"train": 24, "val": 20, "test": 40}
"""Examples of each split that `--short` uses."""


def demo(
    *,
    # Nothing but its own command line makes the demo cost something: its models have no environment variable.
    short: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    start: Literal["reasoning", "answer-only"] = "reasoning",
    model: Annotated[str, MODEL, OWN] = LOCAL_MODEL,
    meta_model: Annotated[str, Parameter(group=MODELS), OWN] = LOCAL_META_MODEL,
    search: SearchOptions = SearchOptions(),  # noqa: B008
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Show what FlowBot does, on a task that comes with it and models that run on this machine: no account, no cost.

    Parameters
    ----------
    short
        Fewer examples and little effort: sooner done, less certain.
    start
        What to begin with: one call that reasons before it answers, or one that only answers.
    model
        The task model, which runs the steps.
    meta_model
        The meta model, which finds out what is wrong and proposes changes.
    """
    from flowbot.task import Task
    from flowbot.workflow.starts import single_call

    from .plan import Job
    from .search import carry_out

    console = Console.open(output)
    path = demo_task_path()
    task = Task.load(path)
    if short:
        task = replace(task, splits={split: rows[: SHORT[split]] for split, rows in task.splits.items()})
    begun = single_call(task.inputs, task.outputs, task.goal, reasoning=start == "reasoning")
    words = "a single call that reasons, then answers" if start == "reasoning" else "a single call that only answers"
    job = Job(
        task=task,
        start=begun,
        start_given=None if start == "reasoning" else begun,
        start_words=words,
        model=model,
        meta_model=meta_model,
        effort=search.effort_or(SHORT_EFFORT if short else EFFORT),
        next_task="task.yaml",
    )
    _introduce(task, console)
    return carry_out(job, search, calls, console)


def demo_task_path() -> Path:
    """The example task: inside the installed package, else in the repository that this runs from."""
    packaged = Path(str(files("flowbot"))) / "examples" / "orders" / "task.yaml"
    return packaged if packaged.is_file() else Path(__file__).parents[3] / "examples" / "orders" / "task.yaml"


def _introduce(task: Task, console: Console) -> None:
    example = task.splits["train"][0]
    console.say("FlowBot demo", "title")
    console.paragraph(
        "FlowBot looks for a better workflow for a task: which steps to take, how they are wired, and what each is "
        "told. It runs the workflow, finds out in words what goes wrong, tries changes, and keeps what proves better.",
        "soft",
    )
    console.say()
    console.say("  One of the examples", "soft")
    for name, value in example.inputs.items():
        console.row(name, f"“{value}”")
    for name, value in example.expected.items():
        console.row(name, f"{value}")
    console.say()
