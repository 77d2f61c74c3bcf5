"""What came of a search, for a person: both workflows, scores with intervals, what changed and why, cost, what next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flowbot.fields.words import count, in_points, interval, percent
from flowbot.run.front import FOLDER as FRONT
from flowbot.run.result import RunResult
from flowbot.run.taken import account, caveats, judged
from flowbot.run.verdict import SOURCES, decided
from flowbot.run.view import RunView, read_run
from flowbot.runtime.allowed_models import named_models
from flowbot.workflow.nodes import ProgramNode

from .console import Console
from .drawing import score_line, side_by_side
from .text import command_line, complain

if TYPE_CHECKING:
    from .plan import Job

_ROOM_TO_DRAW = 72
"""Columns that a score with its drawing and its difference takes."""
_LONGEST = 120
"""Characters of an input in a command; a longer one is left to the reader."""


def summarise(result: RunResult, report: Path, job: Job, console: Console) -> None:
    """Say what was found. With `--quiet`: the verdict and the two files."""
    run = read_run(result.run_dir)
    if console.mode == "quiet":
        for line in (run.verdict, result.workflow_path, report):
            console.result(str(line))
        return
    if not run.unchanged:
        console.say("What it found", "title")
        drawing = side_by_side(("Start", result.start), ("Found", result.workflow), console.width - 2)
        console.print(drawing, indent=2)
        console.say()
        _changes(run, console)
    console.say("How good it is", "title")
    _scores(run, console)
    console.say()
    console.paragraph(run.verdict, "title")
    for line in result.before.sentences if result.before else ():
        console.paragraph(line, indent=2)
    console.say()
    console.say("What it took", "title")
    for line in account(result):
        console.paragraph(line, indent=2)
    if result.judge is not None:
        console.paragraph(judged(result.judge), "soft", indent=2)
    if result.stopped_by == "budget":
        best = "; the best so far was tested" if run.score("final", "test") else ""
        console.paragraph(f"A ceiling ended the search early{best}.", "warn", indent=2)
    for line in caveats(result):
        console.paragraph(line, "warn", indent=2)
    console.say()
    console.say("Where it is", "title")
    console.row("Report", str(report))
    console.row("Workflow", str(result.workflow_path))
    console.row("Prompts", command_line("flowbot", "show", str(result.run_dir), "--prompt"))
    if len(result.front) > 1:
        console.row("Front", f"{result.run_dir / FRONT}: {count(len(result.front), 'workflow')} that no other beats")
    console.say()
    console.say("What next", "title")
    for text, command in _next(result, job):
        console.paragraph(text, indent=2)
        console.say(f"    {command}", "accent")


def _changes(run: RunView, console: Console) -> None:
    if not run.lineage:
        return
    console.say("What changed, and why", "title")
    for number, change in enumerate(run.lineage, start=1):
        console.paragraph(f"{number}. {_sentence(change.proposal.title)}", indent=2)
        if reason := change.proposal.reason or next((each.text for each in change.feedback), ""):
            console.paragraph(f"Why: {_sentence(reason)}", "soft", indent=5)
        verdict = f"{decided(change)}; proposed by {SOURCES[change.proposal.source]}."
        console.paragraph(_sentence(verdict), "soft", indent=5)
    console.say()


def _scores(run: RunView, console: Console) -> None:
    drawn = min(34, console.width - 46) if console.width >= _ROOM_TO_DRAW else 0
    splits: tuple[tuple[Literal["val", "test"], str], ...] = (("val", "validation"), ("test", "test"))
    if not any(run.score("final", split) for split, _ in splits):
        unknown = "Nobody knows: it ended before the start was scored. With a higher ceiling the same command goes on from here."
        console.paragraph(unknown, "warn", indent=2)
    for split, name in splits:
        start, final = run.score("start", split), run.score("final", split)
        difference = run.score("difference", split)
        if start is None or final is None:
            continue
        note = ", used once at the end" if split == "test" else ", which chose the workflow"
        console.paragraph(f"{count(final.n, f'{name} example')}{note}", "soft", indent=2)
        for who, score in (("start", start), ("found", final))[: 1 if run.unchanged else 2]:
            drawing = score_line(score.low, score.mean, score.high, drawn) + "  " if drawn else ""
            line = f"    {who:<7}{drawing}{percent(score.mean):>6}   ({interval(score)})"
            console.say(line, "" if who == "start" else "accent")
        if difference is not None and not run.unchanged:
            gain = f"{in_points(difference.mean):>11} (95 % interval {interval(difference, difference=True)})"
            if drawn:
                console.say(f"    {'':<7}{'':<{drawn}}  {gain}")
            else:
                console.paragraph(gain.strip(), indent=4)


def within(passed: str) -> int:
    """The exit status of work that is done: 0, or 1 where an endpoint made it pass a ceiling, which a line says."""
    if passed:
        complain(passed)
    return int(bool(passed))


def _next(result: RunResult, job: Job) -> list[tuple[str, str]]:
    shortest = min(job.task.splits["train"], key=lambda each: len(json.dumps(dict(each.inputs))))
    values = [f"{name}={value}" for name, value in _inputs(shortest.inputs).items()]
    own_python = job.task.tools or job.task.sources or job.task.programs
    tools = ["--task", str(job.task.source)] if own_python and job.task.source else []
    named = dict.fromkeys(model for _, model in named_models(result.workflow) if model != job.model)
    task_model = [] if job.own_models else ["--model", job.model]
    models = [*task_model, *(["--models", ",".join(named)] if named else [])]
    run = command_line("flowbot", "run", str(result.workflow_path), *values, *tools, *models)
    nodes = list(result.workflow.sketch.nodes.values())
    if len(nodes) == 1 and isinstance(nodes[0], ProgramNode):
        run = (
            f"FLOWBOT_PARAMS={result.workflow_path} beside your program, or fb.use({str(result.workflow_path)!r}) in it"
        )
    meta = ["--meta-model", job.meta_model] if job.own_models or job.meta_model != job.model else []
    own = command_line("flowbot", "optimize", job.next_task, *task_model, *meta)
    return [("Use what was found:", run), ("Do the same for a task file of your own:", own)]


def _inputs(inputs: Mapping[str, Any]) -> dict[str, str]:
    """An example's inputs for a command line; long ones are left to the reader."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in inputs.items()}
    return {name: text if len(text) <= _LONGEST and "\n" not in text else "…" for name, text in texts.items()}


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]
