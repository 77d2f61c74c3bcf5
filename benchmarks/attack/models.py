"""Data that names a model: where requests go and what is written there is the user's to say."""

from __future__ import annotations

from .ground import Ground, attempt, held


@attempt("models", "flow file")
def recorded_file_in_the_home_folder(at: Ground) -> None:
    """a step's model appends to a start-up file of the shell: recorded/~/.bash_aliases?record=fake/echo"""
    found = at.flowbot(
        "run", at.flow(model="recorded/~/.bash_aliases?record=fake/echo"), "word=aaa", "--model", "fake/echo"
    )
    held(not (at.home / ".bash_aliases").exists(), "the file is written")
    held(found.status == 2, f"it is not refused: {found.line()}")
