"""Writing an export: a new folder as a whole, or in place of the export that is in one, each file at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import new_file, new_folder, read_bytes, read_text, write_text
from flowbot.fields.foreign import Record, checked
from flowbot.fields.yaml import parse_json

WRITTEN = ".flowbot-export.json"
"""The file that says what an export has written: its files, each with its SHA-256."""
_MOST_BYTES = 64_000_000


class _Written(Record):
    flowbot: int
    files: dict[str, str]


def require_free(folder: Path, *, force: bool) -> None:
    """Refuse a place where there is something, but for a folder where `force` allows it.

    Raises:
        UserError: naming it.
    """
    if (folder.exists() or folder.is_symlink()) and not (force and folder.is_dir()):
        new = "a new folder: --out NAME; or --force, which replaces the export in it"
        raise UserError(str(folder), "something there already", "a folder" if force else new)


def write_export(folder: Path, files: Mapping[str, str], *, force: bool = False) -> None:
    """Write the files of an export to a folder.

    Args:
        folder: where; a new one, which is there as a whole or not at all.
        files: texts by their name in it.
        force: replace the export in a folder that is there: files of its that are written no more go. Those that somebody has changed stay.

    Raises:
        UserError: if there is something already and `force` does not allow it, a file there is none of an export or was changed, or it cannot be written.
    """
    require_free(folder, force=force)
    told = {name: sha256(text.encode()).hexdigest() for name, text in files.items()}
    whole = {**files, WRITTEN: _manifest(told)}
    try:
        if folder.exists():
            before = _before(folder)
            for name in files:
                if os.path.lexists(place := folder / name) and not _own(place, before.get(name), told[name]):
                    odd = (
                        "whose content is another than an export has written"
                        if name in before
                        else "that no export has written"
                    )
                    raise UserError(str(place), f"a file {odd}", "another --out, or its removal")
            write_text(folder / WRITTEN, _manifest({**told, **before}))  # ended in between, it can be done again
            for name, text in files.items():
                write_text(folder / name, text)
            for name in before.keys() - files.keys():
                if _own(place := folder / name, before[name]):
                    place.unlink()
            write_text(folder / WRITTEN, whole[WRITTEN])
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = new_folder(folder)
        try:
            for name, text in whole.items():
                new_file(place / name, text.encode())
            place.rename(folder)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        found = f"a place that cannot be written ({error.strerror})"
        raise UserError(str(folder), found, "another --out") from None


def _manifest(files: Mapping[str, str]) -> str:
    return json.dumps({"flowbot": 1, "files": files}, indent=1) + "\n"


def _before(folder: Path) -> dict[str, str]:
    """The files that the export in a folder has written, each with its hash; none where it says nothing."""
    if not (told := folder / WRITTEN).exists():
        return {}
    found = checked(_Written, parse_json(read_text(told, limit=_MOST_BYTES, links=False), str(told)), str(told))
    return {name: each for name, each in found.files.items() if name == Path(name).name}


def _own(file: Path, written: str | None, *others: str) -> bool:
    """Whether a file is as an export has written it, or is to be; none is that no export has written."""
    if written is None or file.is_symlink() or not file.is_file():
        return False
    return sha256(read_bytes(file, limit=_MOST_BYTES, links=False)).hexdigest() in (written, *others)
