"""From what a person calls a run to its folder, and to the workflow that it found."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeAlias

from flowbot.fields import UserError
from flowbot.fields.arguments import Check, one_kind
from flowbot.fields.near import one_of
from flowbot.workflow.starts import list_starts

from .journal import NAME as JOURNAL
from .result import RunResult

FOLDER = Path("runs")
"""Where `optimize` puts runs without --run-dir."""


RunLike: TypeAlias = RunResult | Path | str
"""A run: its result, its folder, or its name in runs/."""
RUN: Check = (one_kind(RunResult, str, os.PathLike), "a run's result, its folder, or its name in runs/")


def run_folder(run: RunLike) -> Path:
    """The folder of a run: the path itself, or its name in runs/; of two that are there the one with a journal.

    Raises:
        UserError: if there is none, with the runs that there are.
    """
    run = run.run_dir if isinstance(run, RunResult) else Path(run)
    there = [each for each in (run, FOLDER / run) if each.is_dir()]
    if there:  # a task's folder may have the run's name
        return next((each for each in there if (each / JOURNAL).is_file()), there[0])
    known = sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) if FOLDER.is_dir() else []
    named = "a run's folder, or its name in runs/"
    expected = f"{named}: {one_of(run.name, known)}" if known else named
    raise UserError(str(run), "a file" if run.is_file() else "no such run", expected)


def named_folder(name: str) -> Path:
    """The folder of a run that is given that name.

    Raises:
        UserError: if it can be no folder's name, or is a start's, which could not be told from the run then.
    """
    if not re.fullmatch(r"[^\W_][\w.-]{0,99}", name) or name.endswith("."):
        raise UserError("name", repr(name[:120]), "letters, digits, and - _ . between them: at most 100")
    if name in (start.name for start in list_starts()):
        raise UserError("name", f"the start {name}", "a name that no start has")
    return FOLDER / name


def flow_file(flow: RunLike) -> Path:
    """The file of a workflow: the path itself, or that of a run's folder or name, which serve wherever a workflow does.

    Raises:
        UserError: if the run has found none yet, or there is nothing of that name.
    """
    path = flow.run_dir if isinstance(flow, RunResult) else Path(flow)
    if path.is_file() or (path.suffix and not path.is_dir() and not (FOLDER / path).is_dir()):
        return path
    folder = run_folder(path)
    file = folder / "found.flow.yaml"
    if file.is_symlink():  # the folder may be somebody else's
        raise UserError(str(file), "a symbolic link", "a file in its own place")
    if not file.is_file():
        raise UserError(str(folder), "no found.flow.yaml", "a workflow's file, or the folder of a finished run")
    return file
