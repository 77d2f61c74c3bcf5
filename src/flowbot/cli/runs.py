"""From what a person calls a run to its folder."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("runs")
"""Where `optimize` puts runs unless told otherwise."""


def run_folder(run: Path) -> Path:
    """The folder of a run: the path itself, or its name in runs/.

    Raises:
        UserError: if there is none, with the runs that there are.
    """
    if run.is_dir():
        return run
    if (FOLDER / run).is_dir():
        return FOLDER / run
    from flowbot.fields import UserError
    from flowbot.fields.near import one_of

    known = sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) if FOLDER.is_dir() else []
    named = "a run's folder, or its name in runs/"
    expected = f"{named}: {one_of(run.name, known)}" if known else named
    raise UserError(str(run), "a file" if run.is_file() else "no such run", expected)
