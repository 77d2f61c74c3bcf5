"""The one door to the disk: every file that is read or written passes here.

What is read is a file, no pipe or device, which may never end, and not larger than a limit that its reader names. What is
written goes to a new file that takes the place of the old one (`replaced`), or to one that is FlowBot's own (`open_own`):
a symbolic link is never written through, nor a file that has a second name. A folder on the way may be a link, by which
its owner has it elsewhere. Another process that changes a folder in the same moment is not guarded against.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO, BinaryIO, Literal

from .errors import UserError

_CHUNK = 1 << 20
_NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody writes to is not waited for
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
_DEVICES = frozenset(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))
"""Where a name stands by which a command line means what is piped: `/dev/stdin`, `/dev/stderr`, `<(command)`."""


def read_text(path: Path, *, limit: int, links: bool = True, piped: bool = False) -> str:
    """The text of a UTF-8 file; a byte order mark is dropped. See `read_bytes`.

    Raises:
        UserError: as `read_bytes`, or if it is not UTF-8.
    """
    raw = read_bytes(path, limit=limit, links=links, piped=piped)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}", "bytes that are not UTF-8", "UTF-8 text") from None


def read_bytes(path: Path, *, limit: int, links: bool = True, piped: bool = False) -> bytes:
    """What a file holds; one that is too large is refused by its size, before it is read.

    Args:
        path: the file.
        limit: bytes that it may have at most.
        links: False: for a file that FlowBot itself writes; a link in its place is refused.
        piped: True: for a file that the command line names; `/dev/stdin` and `<(command)` may be pipes.

    Raises:
        UserError: if there is no such file, it is a pipe or a device, cannot be read or is too large.
    """
    with opened(path, limit=limit, links=links, piped=piped) as file:
        try:
            parts = [file.read(os.fstat(file.fileno()).st_size + 1)]
            size = len(parts[0])
            while size <= limit and (more := file.read(_CHUNK)):
                parts.append(more)
                size += len(more)
        except OSError as error:
            raise _unreadable(path, error.strerror) from None
    if size > limit:
        raise _too_large(path, limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def opened(path: Path, *, limit: int | None = None, links: bool = True, piped: bool = False) -> BufferedReader[FileIO]:
    """A file to read from, piece by piece.

    Args:
        path: the file.
        limit: bytes that it may have at most; None where however many are read in bounded memory.
        links: see `read_bytes`.
        piped: see `read_bytes`.

    Raises:
        UserError: as `read_bytes`.
    """
    flags = _NO_WAIT | (0 if links else _NO_LINK)
    try:
        if not links and os.path.islink(path):
            raise UserError(str(path), "a symbolic link", "a file in its own place")
        file = BufferedReader(FileIO(path, opener=lambda name, given: os.open(name, given | flags)))
    except FileNotFoundError:
        raise UserError(str(path), "no such file", "a file") from None
    except IsADirectoryError:
        raise UserError(str(path), "a folder", "a file") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error.strerror if isinstance(error, OSError) else str(error)) from None
    found = os.fstat(file.fileno())
    try:
        if piped and path.parent in _DEVICES:
            os.set_blocking(file.fileno(), True)
        elif odd := _odd(found.st_mode):
            raise UserError(str(path), odd, "a file")
        if limit is not None and found.st_size > limit:
            raise _too_large(path, limit)
    except BaseException:
        file.close()
        raise
    return file


def lines(file: BinaryIO, where: str, *, most: int) -> Iterator[bytes]:
    """The lines of a file, each with its end, in bounded memory.

    Args:
        file: an open file.
        where: how errors name it.
        most: bytes of a line.

    Raises:
        UserError: naming a line that is longer.
    """
    number = 0
    while line := file.readline(most + 1):
        number += 1
        if len(line) > most:
            raise UserError(f"{where}:{number}", f"a line of more than {most:,} bytes", f"at most {most:,} in a line")
        yield line


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        UserError: as `opened`.
    """
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replaced(path: Path, *, lasting: bool = True) -> Generator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well; until then, and otherwise, all is as it was.

    A link at `path` is itself replaced. The file may be read by whoever may read the one that it replaces, or by whom the
    user's mask lets.

    Args:
        path: the file.
        lasting: False: the disk is not waited for; a machine that fails in this moment may leave an empty file.

    Raises:
        UserError: see `require_place`.
        OSError: if the disk fails.
    """
    require_place(path)
    beside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    try:
        with open(beside, "xb", opener=partial(_created, rights=_rights(path))) as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


def write_text(path: Path, text: str, *, errors: Literal["strict", "replace"] = "strict", lasting: bool = True) -> None:
    """Write a file of UTF-8 text, at once; see `replaced`.

    Args:
        path: the file.
        text: what it will hold.
        errors: `replace`: half a surrogate pair, which a text can hold and a file cannot, becomes a question mark.
        lasting: see `replaced`.

    Raises:
        UserError, OSError: as `replaced`.
    """
    with replaced(path, lasting=lasting) as file:
        file.write(text.encode("utf-8", errors))


def require_place(path: Path) -> None:
    """Refuse a place where no file can be put.

    Raises:
        UserError: if a folder, a pipe or a device is there, or it is a name such as `/dev/stdout`.
    """
    found = _state(path)
    odd = "a device" if path.parent in _DEVICES else "" if path.name else "a folder"
    if found is not None and not stat.S_ISLNK(found.st_mode):
        odd = odd or _odd(found.st_mode)
    if odd:
        raise UserError(str(path), odd, "a file to write to")


def open_own(path: Path, mode: Literal["a", "r+", "x"]) -> FileIO:
    """A file that FlowBot writes where it stands, unbuffered; made if it is missing.

    Args:
        path: the file; the folder must be there.
        mode: `a` to write behind what it holds, `r+` to read and write, `x` for one that must not be there yet.

    Raises:
        UserError: if it is a link, no file, or one with a second name (a hard link).
        FileExistsError: with `x`, if there is anything of that name.
        OSError: if the disk fails.
    """
    if mode != "x":
        require_own(path)

    def opener(name: str, flags: int) -> int:
        handle = _created(name, flags | os.O_CREAT)
        try:
            _require_own(path, os.fstat(handle))
        except BaseException:
            os.close(handle)
            raise
        return handle

    return FileIO(path, mode, opener=opener)


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write all of it to a file that may take less than it is given at a time, as an unbuffered one does.

    Raises:
        OSError: if the disk fails; some of it may be written.
    """
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def open_log(path: Path) -> FileIO:
    """A file to write behind what it holds, as `open_own`, but a name in `/dev`, such as `/dev/stderr`, is what it is.

    Raises:
        UserError, OSError: as `open_own`.
    """
    if path.parent in _DEVICES:
        return FileIO(path, "a")
    return open_own(path, "a")


def require_own(path: Path) -> None:
    """Refuse what is no file of FlowBot's own to write where it stands; nothing there is right too.

    Raises:
        UserError: if it is a link, a folder, a pipe, a device, or a file with a second name.
    """
    found = _state(path)
    if found is not None:
        _require_own(path, found)


def new_file(path: Path, content: bytes) -> None:
    """Write a file that must not be there yet.

    Raises:
        FileExistsError: if there is anything of that name.
        OSError: if the disk fails.
    """
    with open(path, "xb", opener=_created) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def new_folder(path: Path) -> Path:
    """A new folder beside `path` whose name cannot be foreseen; to be filled and moved there.

    Raises:
        OSError: if it cannot be made.
    """
    folder = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}")
    folder.mkdir()
    return folder


def _created(name: str, flags: int, *, rights: int = 0o666) -> int:
    return os.open(name, flags | _NO_LINK | _NO_WAIT, rights)


def _rights(path: Path) -> int:
    found = _state(path)
    return 0o666 if found is None or stat.S_ISLNK(found.st_mode) else (found.st_mode & 0o666) | 0o600


def _state(path: Path) -> os.stat_result | None:
    """What is there, a link not followed; None if nothing is, or nobody can say."""
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


def _odd(mode: int) -> str:
    """What this is instead of a file; "" for a file."""
    if stat.S_ISREG(mode):
        return ""
    return "a folder" if stat.S_ISDIR(mode) else "a symbolic link" if stat.S_ISLNK(mode) else "a pipe or a device"


def _require_own(path: Path, found: os.stat_result) -> None:
    if odd := _odd(found.st_mode):
        raise UserError(str(path), odd, "a file in its own place, or none")
    if found.st_nlink > 1:
        raise UserError(str(path), "a file with a second name (a hard link)", "a file of its own, such as a copy of it")


def _unreadable(path: Path, why: str | None) -> UserError:
    return UserError(str(path), f"a file that cannot be read ({why})", "a readable file")


def _too_large(path: Path, limit: int) -> UserError:
    return UserError(str(path), f"more than {limit:,} bytes", f"at most {limit:,} bytes")
