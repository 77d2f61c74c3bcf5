"""Exporting: what is written of a workflow or a run, and the check of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from flowbot.fields import UserError
from flowbot.fields.numbers import require_above_0
from flowbot.run.folders import flow_file, run_folder
from flowbot.run.view import read_run
from flowbot.runtime.allowed_models import allowed_models, require_allowed_models
from flowbot.runtime.workbench import Workbench
from flowbot.task import Example, Task
from flowbot.workflow.calls import asked_models, most_calls
from flowbot.workflow.check import require_valid
from flowbot.workflow.workflow import Workflow

from .comparison import Parity
from .exported import Exported
from .exporting import Speaks, exported, speaks
from .folder import require_free, write_export
from .framework import Framework
from .parity import check_prompts
from .parity_program import check_python
from .record import examples_of_run, recorded
from .scored import ScoredParity, check_scored, require_modules
from .target import Target, find_target, refusals

_STORE = "the store has not the replies of the run; --cache-dir names another, and --check TASK runs it anew"
_SHOWN = "the workflow shows all the examples that there are as demonstrations"


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written, and how its check ended.

    Args:
        to: the target.
        out: the folder.
        files: in it, by their path.
        parity: of the check; None where it was not checked.
        unchecked: why not, in words.
        unreached: steps that ask a model and that no example of the check came to.
    """

    to: str
    out: Path
    files: tuple[str, ...]
    parity: Parity | ScoredParity | None
    unchecked: str = ""
    unreached: tuple[str, ...] = ()

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "out": str(self.out), "parity": None if self.parity is None else self.parity.dump()}


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is ready to be written. `read_export` makes it.

    Args:
        target: how it is written.
        workflow: what.
        describe: what a target needs, by how models are spoken to.
        model: model string of the steps that name none.
        task: the one that is named for the check; None without one.
        split, examples: on what it can be checked.
        unchecked: why it cannot be, in words; "" where it can.
        python: the interpreter that an export is run by for its score; this one when "".
    """

    target: Target
    workflow: Workflow
    describe: Callable[[Speaks], Exported]
    model: str | None
    task: Task | None
    split: Literal["val", "train"]
    examples: Sequence[Example]
    unchecked: str = ""
    python: str = ""

    @property
    def calls(self) -> int:
        """Model calls of the check at most, those that ask again aside; 0 where stored replies must do. An export that is scored may ask as well."""
        asked = 0 if self.task is None else len(self.examples) * most_calls(self.workflow)
        return 2 * asked if self.target.grade == "scored" else asked

    async def write(
        self,
        out: Path,
        *,
        force: bool = False,
        models: Sequence[str] = (),
        allow_writes: bool = False,
        say: Callable[[str], None] | None = None,
        **settings: Any,
    ) -> ExportResult:
        """Write it, and check it where that can be done.

        Args:
            out: the folder.
            force: replace files in one that is there.
            models: the user's list: what steps may name where the workflow is run for the check.
            allow_writes: call tools that write for real there.
            say: told news in a line.
            settings: of the workbench.

        Raises:
            UserError: if the folder is there, or something that the check needs is missing.
            InfrastructureError, BudgetExceeded, Paused: as running the workflow does.
        """
        require_free(out, force=force)
        named = {model for _, model in asked_models(self.workflow) if model}
        if self.task is not None:
            require_allowed_models(allowed_models(self.model, models=models), workflow=self.workflow)
        write = partial(self._written, out, force)
        if self.unchecked:
            return write(speaks, None, self.unchecked)
        result: ExportResult | None = None
        try:
            async with (
                Workbench(**settings) as bench,
                recorded(
                    self.workflow, self.split, self.examples, model=self.model, task=self.task, bench=bench,
                    ask=self.task is not None, models=named, allow_writes=allow_writes, say=say,
                ) as recording,
            ):  # fmt: skip
                if not recording.rows:
                    return write(recording.speaks, None, _STORE if recording.absent else _SHOWN)
                result = write(recording.speaks, None, "")
                described, file = self.describe(recording.speaks), out / result.files[0]
                if self.target.grade == "scored" and self.task is not None:
                    parity = await check_scored(
                        described, file, recording, self.task, self.examples, python=self.python
                    )
                elif isinstance(self.target, Framework):
                    parity = await check_python(described, file, recording)
                else:
                    parity = check_prompts(described, out, recording)
                ran = {step.node for row in recording.rows for step in row.trace.steps}
                unreached = tuple(step.path for step in described.asking if step.path not in ran)
                return replace(result, parity=parity, unreached=unreached)
        except UserError as error:
            if self.task is not None:
                raise
            return write(speaks, None, str(error)) if result is None else replace(result, unchecked=str(error))

    def _written(self, out: Path, force: bool, spoken: Speaks, parity: Parity | None, unchecked: str) -> ExportResult:
        files: Mapping[str, str] = self.target.files(self.describe(spoken))
        write_export(out, files, force=force)
        return ExportResult(self.target.name, out, tuple(files), parity, unchecked)


def read_export(
    flow: Path,
    to: str,
    *,
    model: str | None = None,
    task: Task | None = None,
    trust_code: bool = False,
    python: str = "",
    most: int | None = None,
) -> Export:
    """An export of a workflow's file or a run.

    Args:
        flow: the file, or a run's folder or name.
        to: the target.
        model: model string of the steps that name none; that of the run where there is one.
        task: the task of the check, with the workflow's tools.
        trust_code: embed code, which then runs without a sandbox.
        python: the interpreter that an export is run by for its score; this one when "".
        most: examples of the check, the first ones; None: all.

    Raises:
        UserError: if there is no such workflow or target, no model, or something that the target cannot say.
    """
    require_above_0(most, "--most", whole=True)
    target, file = find_target(to), flow_file(flow)
    workflow = Workflow.load(file)
    folder = None if file == flow else run_folder(flow)
    run = None if folder is None else read_run(folder).started
    model = model or (None if run is None else run.models.get("task"))
    tools = None if task is None or task.sources else task.signatures  # those of sources are known when they are opened
    require_valid(workflow, where=str(file), tools=tools, allow_writes=True)

    def describe(spoken: Speaks) -> Exported:
        return exported(
            workflow,
            model=model,
            name=flow.name.partition(".")[0] if run is None else run.task,
            goal=run.goal if run is not None else "" if task is None else task.goal,
            origin=f"{'the workflow' if run is None else 'the run'} {flow.name} ({workflow.hash[:12]})",
            tools=None if task is None else task.tools,
            trust_code=trust_code,
            spoken=spoken,
        )

    made = describe(speaks)
    if refused := refusals(target, made):
        raise UserError(f"--to {to}", what="; ".join(refused), mend="another target: prompts says all but programs")
    ready = partial(Export, target, workflow, describe, model, task)
    if task is not None:
        if isinstance(target, Framework) and target.grade == "scored":
            require_modules(target, python)
        split, examples = ("val", task.val) if task.val else ("train", task.train)
        return ready(split, examples[:most], python=python)
    if target.grade == "scored":
        return ready("val", (), "it is compared by its score: --check TASK")
    if folder is None:
        return ready("val", (), "no task was named: --check TASK")
    if made.tools:
        return ready("val", (), "the run does not hold its tools: --check TASK names them")
    split, examples = examples_of_run(folder)
    return ready(split, examples[:most])
