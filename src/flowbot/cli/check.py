"""`flowbot check`: is this task, workflow or program sound, and does the model answer? Without --model nothing is asked."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields.words import count

from .console import Console
from .options import MODEL, MODELS, CacheDir, JudgeModel, ListedModels, Output, Price, listed_models

if TYPE_CHECKING:
    from flowbot.checks.findings import Findings
    from flowbot.task.quality import Remark

ALIKE = 3
"""Defects in a row that say the same of other places, as many rows can, and are all written out."""


def check(
    file: Annotated[Path, Parameter(name="FILE", negative=())],
    task: Annotated[Path | None, Parameter(name=("TASK", "--task"))] = None,
    /,
    *,
    model: Annotated[str | None, MODEL] = None,
    meta_model: Annotated[str | None, Parameter(group=MODELS)] = None,
    judge_model: JudgeModel = None,
    models: ListedModels = None,
    price: Price = None,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Check a task, a workflow's file or a program: every defect, what is worth a second look, and whether the model answers.

    Parameters
    ----------
    file
        A task.yaml or its folder, or a .flow.yaml (JSON works too), or a run that found one: its folder, or its name in runs/; or a
        program, as app.py:answer, which is run on made-up replies: nothing is sent and nothing paid.
    task
        The task that a workflow or a program is for: tools, inputs and outputs are then checked as well.
    model
        Model to ask one small question, which proves the key, the name and what its endpoint can do. Without it no
        model is asked.
    meta_model
        Another model to ask, for the search.
    """
    from flowbot.checks import check as checking
    from flowbot.lm.prices import parse_price

    console = Console.open(output)
    findings = checking.check(
        file,
        task=task,
        lm=model,
        meta_lm=meta_model,
        judge_lm=judge_model,
        models=listed_models(models),
        price=None if price is None else parse_price(price),
        cache_dir=cache_dir,
        say=lambda line: console.say(line, "soft"),
    )
    console.json(findings.dump())
    show(findings, str(file), console)
    return 0 if findings.ok else 1


def show(findings: Findings, name: str, console: Console) -> None:
    """Say what was found, for a person: defects first, with `--quiet` they alone."""
    defects, warnings = findings.defects, findings.warnings
    for _, group in groupby(defects, key=lambda each: (each.what, each.mend)):
        same = list(group)
        for each in same if len(same) <= ALIKE + 1 else same[:ALIKE]:
            console.result(_line(each), "bad")
        if len(same) > ALIKE + 1:
            console.result(f"… and {len(same) - ALIKE} more like that", "bad")
    if defects:
        console.say(f"{count(len(defects), 'defect')} in {name}.")
    else:
        console.say(f"{name} is sound.", "good")
    if findings.workflow is not None:
        from flowbot.draw.text import draw_text

        for line in draw_text(findings.workflow, width=console.width - 14).splitlines():
            console.say(f"{'':<14}{line}".rstrip())
    for title, text in findings.rows:
        console.row(title, text)
    if warnings:
        console.say()
        console.say(f"Worth a second look ({len(warnings)})", "title")
        for each in warnings:
            console.paragraph(_line(each), "warn", indent=2)


def _line(each: Remark) -> str:
    return f"{each.where}: {each.what}; {each.mend}".rstrip("; ")
