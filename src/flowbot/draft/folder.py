"""A task's folder: the task file with a line on each thing that may be changed, and its data, written at once."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowbot.fields import Field, UserError
from flowbot.fields.files import new_file, new_folder
from flowbot.fields.yaml import dump_yaml, parse_data
from flowbot.task.splits import SPLITS
from flowbot.task.task import Task

from .draft import Draft

_LINE = 110
_TYPE = re.compile(r"^    type: .+$", re.MULTILINE)
"""A field's type that stands on a line of its own."""
_HEADS = {
    "goal": "What is wanted, in a sentence; it is the first instruction that a model gets.",
    "inputs": "What is given: name, type and, if you like, what it is (`about`).",
    "outputs": "What is wanted. Types: str, int, float, bool, Literal['a', 'b'], list[T], object, {name: T}.",
    "metric": (
        "How answers are scored: exact, normalised, numeric, f1, contains, json_fields, a judge, or your own "
        "metrics.py:score."
    ),
    "data": "Train is learned from, val is chosen by, test is used once, at the end.",
}


def write_folder(
    draft: Draft, folder: Path, *, beside: Mapping[str, str] | None = None, read: Sequence[Path] | None = None
) -> None:
    """Write the drafted task to a new folder: all of it, or nothing.

    Args:
        draft: the task.
        folder: where; there must be nothing yet, unless `read` is given.
        beside: more files by name, such as a start.
        read: files and folders that the draft was made from. Files of a folder that is there are then replaced; none of these.

    Raises:
        UserError: if there is something already, it cannot be written, or the task is not sound.
    """
    if read is None:
        refuse_existing(folder)
    elif folder.exists() and not folder.is_dir():
        raise UserError(str(folder), "a file", "a folder, or a name that is free: --out NAME")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = new_folder(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        _write(draft, place, beside or {})
        _ = Task.load(place)
        if folder.exists():
            _replace(place, folder, read or ())
        else:
            place.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    except UserError as error:
        where, what = (text.replace(str(place), str(folder)) for text in (error.where, error.what))
        raise UserError(where, what=what, mend=error.mend) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _replace(place: Path, folder: Path, read: Sequence[Path]) -> None:
    """Move the files of `place` to where others of their names may stand."""
    names = sorted(each.name for each in place.iterdir())
    given = {each.resolve() for each in read}
    for path in (folder / name for name in names):
        if given & {path.resolve(), path.resolve().parent} and path.exists():
            raise UserError(
                str(path), "a file that the task is made from, which would be replaced", mend="give another --out"
            )
    for name in names:
        (place / name).replace(folder / name)


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(str(folder), f"a place that cannot be written ({error.strerror})", mend="give another --out")


def refuse_existing(folder: Path) -> None:
    """Refuse a place where there is something.

    Raises:
        UserError: naming it.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(
            str(folder),
            "something there already",
            "a new folder: --out NAME; --force replaces the files of a task in it",
        )


def task_text(draft: Draft) -> str:
    """The task file, with comments for the person who edits it."""
    data: dict[str, Any] = {f"{split}": f"{split}.jsonl" for split in SPLITS if draft.splits[split]}
    if draft.group:
        data["group"] = draft.group
    parts: dict[str, Any] = {
        "goal": draft.goal,
        "inputs": _fields(draft.inputs),
        "outputs": _fields(draft.outputs),
        "metric": draft.metric,
        "data": data,
    }
    texts = {key: dump_yaml({key: value}) for key, value in parts.items()}
    texts |= {key: _TYPE.sub(_folded, texts[key]) for key in ("inputs", "outputs")}
    said = "".join(f"\n# {_HEADS[key]}\n{text}" for key, text in texts.items())
    source = f"# The rows are of {draft.source}.\n" if draft.source else ""
    return f"# Drafted by flowbot init: change what you like, then run flowbot check.\n{source}flowbot: 1\n{said}"


def _fields(fields: Sequence[Field]) -> dict[str, dict[str, str]]:
    return {
        field.name: {"type": str(field.type), **({"about": field.about} if field.about else {})} for field in fields
    }


def _folded(line: re.Match[str]) -> str:
    """A field's type, a long one as a folded block, whose line breaks are read as blanks."""
    notation: str = parse_data(line[0], "")["type"]
    if len(notation) <= _LINE:
        return line[0]
    lines = [""]
    for part in re.split(r"(?<=,) (?! )", notation):
        if lines[-1] and len(lines[-1]) + len(part) >= _LINE:
            lines.append(part)
        else:
            lines[-1] = f"{lines[-1]} {part}" if lines[-1] else part
    return "    type: >-\n" + "\n".join(f"      {each}" for each in lines)


def _write(draft: Draft, place: Path, beside: Mapping[str, str]) -> None:
    texts = {"task.yaml": task_text(draft), **beside}
    for split in SPLITS:
        if draft.splits[split]:
            lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in draft.splits[split])
            texts[f"{split}.jsonl"] = "".join(lines)
    for name, text in texts.items():
        new_file(place / name, text.encode())
