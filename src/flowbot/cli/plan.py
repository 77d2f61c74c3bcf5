"""What a search from the command line is to do, as far as it is not an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from flowbot.optimizer.effort import Effort
    from flowbot.task import Task
    from flowbot.workflow.starts import Start
    from flowbot.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Job:
    """One search, whole.

    Args:
        task: what to solve.
        start: the workflow to improve.
        start_words: what the start is, for a person.
        start_place: how an error names it.
        start_given: the start as it was given, where it was; a run (text that is no file) is made to fit models and rows of now, and
            compared with.
        model: model string of the task model.
        meta_model: model string of the meta model.
        judge_model: model string of the metric's judges that name none; the meta model when None.
        own_models: whether the start is a program whose clients call what they name; the task model is then the meta model.
        effort: planned search calls.
        next_task: a task file to name in what to do next.
        write_source: the folder of the program whose source is to say what was found; None leaves it as it is.
    """

    task: Task
    start: Workflow
    start_words: str
    model: str
    meta_model: str
    effort: Effort
    next_task: str
    judge_model: str | None = None
    own_models: bool = False
    start_place: str = "workflow"
    start_given: Workflow | Start | str | None = None
    write_source: Path | None = None
