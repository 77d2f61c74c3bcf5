"""Which files a user gives to `init`: named ones, those of a folder, data sets of the hub; and what their names say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowbot.fields import UserError
from flowbot.task.data import KINDS
from flowbot.task.hub import hub_name, is_of_hub
from flowbot.task.splits import SPLITS, Split, split_called

from .names import words


def files_of(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The data files, and names of those that a folder has beside them."""
    if not paths:
        raise UserError("FILE", "nothing", "a data file, or a folder of them")
    files: list[Path] = []
    unused: list[str] = []
    for path in paths:
        if is_of_hub(path) or not path.is_dir():
            files.append(path)
            continue
        inside = sorted(each for each in path.iterdir() if each.is_file() and each.suffix.lower() in KINDS)
        named = [each for each in inside if _split_word(each) is not None]
        if not named and len(inside) != 1:
            found = f"the data files {', '.join(each.name for each in inside[:6])}" if inside else "no data file in it"
            raise UserError(str(path), found, "one of them named, or a folder with train, val and test files")
        files += named or inside
        unused += [each.name for each in inside if named and each not in named]
    twice = [str(path) for path, times in Counter(files).items() if times > 1]
    if twice:
        raise UserError(twice[0], "the same file twice", "each file once")
    return files, unused


def splits_of(files: Sequence[Path]) -> dict[Path, Split]:
    """The split of each file, if all are named for one and it is not one file alone."""
    found: dict[Path, Split] = {path: split for path in files if (split := _split_word(path)) is not None}
    return found if len(found) == len(files) and len(set(found.values())) > 1 else {}


def _split_word(path: Path) -> Split | None:
    if is_of_hub(path):
        return None
    told = [split_called(word) for word in words(path.stem)]
    found: list[Split] = [split for split in SPLITS if split in told]
    return found[0] if len(found) == 1 else None


def name_of(paths: Sequence[Path], files: Sequence[Path], splits: Mapping[Path, Split]) -> str:
    """A name for the task's folder: the folder's or the file's; the folder's too where files are named for splits."""
    if is_of_hub(paths[0]):
        return hub_name(str(paths[0]), "FILE").name.rpartition("/")[2]
    first = paths[0].resolve() if paths[0].is_dir() else files[0].resolve()
    named = first.parent.name if splits and not paths[0].is_dir() else first.stem if first.is_file() else first.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip("-.") or "task"
