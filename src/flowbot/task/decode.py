"""The text of a data file, whatever a spreadsheet or an export has saved it as."""

from __future__ import annotations

import codecs
import shlex
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import read_bytes

# The marks of UTF-32 come first: the little-endian one begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_AS_CSV = "a table saved as CSV (UTF-8), as every spreadsheet can"
_OTHERS = (
    (b"PK\x03\x04", "a spreadsheet or another packed file, whatever its name says", _AS_CSV),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of an old kind, whatever its name says", _AS_CSV),
    (b"PAR1", "a Parquet file, whatever its name says", "a name that ends in .parquet"),
    (b"\x1f\x8b", "a file that is packed with gzip", "it unpacked, such as by gunzip"),
)
"""How files begin that are no text, what they are and what is expected."""
MOST_DATA = 200_000_000
"""Bytes of the largest data file that is read."""
WINDOWS = "cp1252"
"""The encoding of Western spreadsheets: what a file is taken for that is not UTF-8, where the caller allows it."""


def decoded(path: Path, *, windows: bool = False, piped: bool = False) -> tuple[str, str]:
    """The text of a file and the encoding that it was read as: UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    Args:
        path: the file.
        windows: True: a file that is not UTF-8 is read as `WINDOWS` if it can be, for the caller to say so.
        piped: True: for a file that the command line names, which may be a pipe; see `flowbot.fields.files.read_bytes`.

    Raises:
        UserError: if the file is above `MOST_DATA`, cannot be read, or is none of these; names line and byte, and how to convert it.
    """
    raw = read_bytes(path, limit=MOST_DATA, piped=piped)
    if other := next((each for each in _OTHERS if raw.startswith(each[0])), None):
        raise UserError(str(path), other[1], other[2])
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        if windows and encoding == "utf-8":
            try:
                text, encoding = raw.decode(WINDOWS), WINDOWS
            except UnicodeDecodeError:
                raise _not_text(path, raw, error, encoding) from None
        else:
            raise _not_text(path, raw, error, encoding) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}:{line}", "a NUL character (UTF-16 without its mark?)", _convert(path, "UTF-16LE"))
    return text, encoding


def _not_text(path: Path, raw: bytes, error: UnicodeDecodeError, encoding: str) -> UserError:
    if encoding not in ("utf-8", "utf-8-sig"):
        return UserError(str(path), f"broken {encoding.upper()} at byte {error.start:,}", "UTF-8 text")
    line = raw.count(b"\n", 0, error.start) + 1
    found = f"bytes that are not UTF-8 (0x{raw[error.start]:02x} at byte {error.start:,})"
    return UserError(f"{path}:{line}", found, _convert(path, WINDOWS.upper()))


def _convert(path: Path, encoding: str) -> str:
    return f"UTF-8 text; to convert: iconv -f {encoding} -t UTF-8 {shlex.quote(path.name)} > utf8-{path.name}"
