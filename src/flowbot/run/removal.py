"""Removing a run: its files, and those of its stored responses that no other run uses."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.arguments import FOLDER as PATH
from flowbot.fields.arguments import checked_arguments
from flowbot.store import default_cache_dir, store_file
from flowbot.store.limits import Pruned, drop

from .folders import FOLDER, RUN, RunLike, run_folder
from .front import FOLDER as FRONT
from .heartbeat import NAME as HEARTBEAT
from .heartbeat import PAUSE
from .journal import NAME as JOURNAL
from .journal import read_start
from .listing import run_folders
from .lock import WRITTEN, run_lock
from .responses import NAME as RESPONSES
from .responses import asides, forget, known_folders, read_responses, unused_by
from .result import RunResult

_OWN = re.compile(
    "|".join([*map(re.escape, (*WRITTEN, HEARTBEAT, PAUSE, RESPONSES, ".lock")), r"journal\.\d+\.jsonl", r"\.[\w.]+\.[0-9a-f]{16}"])
)  # fmt: skip
"""Names of the files of a run, besides its journal; the last is what a kill left half written."""
_OF_FRONT = re.compile(r"[0-9a-f]{12}\.flow\.yaml")


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed of a run, or would be.

    Args:
        run_dir: its folder.
        responses: stored responses that go with it; None where it was not written down which are its own, or where others may need them.
        shared: responses of it that stay, since other runs use them.
        left: what stays in the folder, since it is none of the run's.
        missing: folders of runs that used the store and are not where they were: who knows whether they need the responses.
    """

    run_dir: Path
    responses: Pruned | None = None
    shared: int = 0
    left: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {**asdict(self), "run_dir": str(self.run_dir)}


@checked_arguments(run=RUN, cache_dir=PATH)
def remove_run(run: RunLike, *, cache_dir: Path | str | None = None, dry_run: bool = False) -> Removed:
    """Remove a run's folder, with the stored responses that no other run uses. Where the folder of a run that used the store is not where it
    was, none is removed: it may have been moved, and need them. To remove the run of such a folder says that it is gone.

    Args:
        run: its result, its folder, or its name in runs/.
        cache_dir: folder of the stored responses; the user's cache folder when None.
        dry_run: True: only say what would be removed.

    Raises:
        UserError: if it is no run's folder, a link, or a process works in it.
        InfrastructureError: if the store fails.
    """
    store = Path(cache_dir or default_cache_dir())
    known = known_folders(store)
    if gone := _gone(run, known):
        if not dry_run:
            forget(gone, store)
        return Removed(gone)
    folder = run_folder(run)
    if folder.is_symlink():
        raise UserError(str(folder), "a symbolic link", "the run's folder itself")
    if not os.path.lexists(folder / JOURNAL):
        raise UserError(str(folder), f"no {JOURNAL}", "a run's folder, or its name in runs/")
    read_start(folder / JOURNAL)
    with run_lock(folder, "run", "run"):
        users = {each.resolve() for one in known for each in (one, *asides(one))}
        # a folder of others names no responses of ours
        keys = read_responses(folder) if folder.resolve() in users else None
        missing = (
            () if keys is None else tuple(sorted(str(each) for each in users if not os.path.lexists(each / JOURNAL)))
        )
        dropped, shared = None, 0
        if keys is not None and not missing:
            others = {*users, *(each.resolve() for each in run_folders(folder.resolve().parent))} - {folder.resolve()}
            mine = unused_by(others, keys)
            dropped, shared = drop(store_file(store), mine, dry_run=dry_run), len(keys) - len(mine)
        own = list(_own(folder))
        left = sorted(set(os.listdir(folder)) - {path.relative_to(folder).parts[0] for path in own})
        if not dry_run:
            _unlink(folder, [*own, folder / JOURNAL])
            if folder.resolve() in known:
                forget(folder, store)
    return Removed(folder, dropped, shared, tuple(each for each in left if each != JOURNAL), missing)


def _gone(run: RunLike, known: Container[Path]) -> Path | None:
    """The folder that a run of the store had and that is there no more; None of any other run."""
    path = run.run_dir if isinstance(run, RunResult) else Path(run)
    places = (path, FOLDER / path)
    if any(os.path.lexists(each / JOURNAL) for each in places):  # a folder without one is what was left of it
        return None
    return next((each for each in places if each.resolve() in known), None)


def _own(folder: Path) -> Iterator[Path]:
    """The files of a run, its journal apart."""
    for name in sorted(os.listdir(folder)):
        if _OWN.fullmatch(name):
            yield folder / name
    front = folder / FRONT
    if front.is_dir() and not front.is_symlink():
        yield from (front / name for name in sorted(os.listdir(front)) if _OF_FRONT.fullmatch(name))


def _unlink(folder: Path, files: list[Path]) -> None:
    """Delete the files, the journal last: until then the same call goes on; then the folders, where nothing else is in them."""
    try:
        for each in files:
            each.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"run {folder}", f"no way to remove it ({error.strerror})", "a folder that can be written"
        ) from None
    for each in (folder / FRONT, folder):
        with suppress(OSError):
            each.rmdir()
