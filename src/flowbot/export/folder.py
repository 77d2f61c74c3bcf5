"""Writing an export: a new folder as a whole, or the files of one that is there, each at once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import new_file, new_folder, write_text


def require_free(folder: Path, *, force: bool) -> None:
    """Refuse a place where there is something, but for a folder where `force` allows it.

    Raises:
        UserError: naming it.
    """
    if (folder.exists() or folder.is_symlink()) and not (force and folder.is_dir()):
        new = "a new folder: --out NAME; or --force, which replaces the files of an export in it"
        raise UserError(str(folder), "something there already", "a folder" if force else new)


def write_export(folder: Path, files: Mapping[str, str], *, force: bool = False) -> None:
    """Write the files of an export to a folder.

    Args:
        folder: where; a new one, which is there as a whole or not at all.
        files: texts by their path in it.
        force: replace files in a folder that is there; others in it stay.

    Raises:
        UserError: if there is something already and `force` does not allow it, or it cannot be written.
    """
    require_free(folder, force=force)
    try:
        if folder.exists():
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_text(folder / name, text)
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = new_folder(folder)
        try:
            for name, text in files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                new_file(place / name, text.encode())
            place.rename(folder)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        found = f"a place that cannot be written ({error.strerror})"
        raise UserError(str(folder), found, "another --out") from None
