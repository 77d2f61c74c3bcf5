"""The folder of a user's functions, as it goes to another machine: packed here, unpacked there, known by its content."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import gettempdir, mkdtemp
from threading import Lock
from zipfile import ZIP_DEFLATED, ZipFile

from flowbot.fields.files import new_file, read_bytes
from flowbot.fields.locks import locked
from flowbot.task.imports import is_installed

from .address import root_of
from .protocol import Address

MOST_BYTES = 100_000_000
MOST_FILES = 10_000
_LEFT = frozenset({"__pycache__", "node_modules", "runs"})
"""Folders that no function reads. Hidden ones are left too, and hidden files, as `.env` is."""
_PREFIX = "flowbot-folder-"
_LEFT_SECONDS = 3600.0  # a younger one may not be locked yet


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder, packed.

    Args:
        digest: tells it from any other.
        data: a ZIP archive.
    """

    digest: str
    data: bytes


class Shipping:
    """What is sent with jobs. A folder is read once: what is changed in it later is found by the hash of the function's file."""

    def __init__(self) -> None:
        self._bundles: dict[Path, Bundle | None] = {}
        self._lock = Lock()

    def of(self, address: Address) -> tuple[Address, Bundle | None]:
        """An address as it holds on another machine, and the folder that it is in: of what is installed the module alone, which
        has to be there with the same content; of a folder that is too large to send the path, which has to be there as well.

        Raises:
            UserError, OSError: if the folder cannot be read.
        """
        if not address.file or (address.module and is_installed(Path(address.file))):
            return replace(address, file=""), None
        root = root_of(address)
        with self._lock:  # many jobs come at once, each in a thread
            if root not in self._bundles:
                self._bundles[root] = _packed(root)
            bundle = self._bundles[root]
        if bundle is None:
            return address, None
        return replace(address, file=Path(address.file).relative_to(root).as_posix()), bundle


@contextmanager
def unpacked(data: bytes) -> Generator[Path]:
    """A folder of its own that holds what was packed, until this is left. Those of processes that were killed are removed here.

    Raises:
        ValueError: if a file of it would stand outside.
        OSError: if the disk fails.
    """
    for left in Path(gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                with _held(left) as is_left:
                    if is_left:
                        shutil.rmtree(left, ignore_errors=True)
    holder = Path(mkdtemp(prefix=_PREFIX)).resolve()
    try:
        with _held(holder), ZipFile(BytesIO(data)) as archive:
            folder = holder / "files"
            for name in archive.namelist():
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts:
                    raise ValueError(f"a file outside of its folder: {name!r:.200}")
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                new_file(folder / path, archive.read(name))
            yield folder
    finally:
        shutil.rmtree(holder, ignore_errors=True)


@contextmanager
def _held(holder: Path) -> Generator[bool]:
    """Whether nobody else has it."""
    handle = os.open(holder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with locked(handle) as is_held:
            yield is_held
    finally:
        os.close(handle)


def _packed(root: Path) -> Bundle | None:
    """None where it holds too much."""
    files, size = list[Path](), 0
    for file in _files(root):
        files.append(file)
        size += file.stat().st_size
        if len(files) > MOST_FILES or size > MOST_BYTES:
            return None
    digest, packed = hashlib.sha256(), BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(files):
            name, content = file.relative_to(root).as_posix(), read_bytes(file, limit=MOST_BYTES)
            digest.update(f"{len(name)}:{name}{len(content)}:".encode() + content)
            archive.writestr(name, content)
    return Bundle(digest.hexdigest(), packed.getvalue())


def _files(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        here = Path(folder)
        inner[:] = [
            each
            for each in inner
            if each not in _LEFT and not each.startswith(".") and not (here / each / "pyvenv.cfg").exists()
        ]
        yield from (here / each for each in names if not each.startswith(".") and (here / each).is_file())
