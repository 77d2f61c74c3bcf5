"""A search index on disk: built once for each content of a corpus, then mapped and never loaded.

The index is bm25s' (eagerly scored BM25, "lucene" variant, arXiv 2407.03618). Beside its arrays stand the vocabulary, as
sorted hashes of the words, and where in the corpus each document begins; texts are read from the corpus itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.files import lines, new_file, new_folder, opened, read_text, require_own, sha256
from flowbot.fields.words import kind_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 1
"""Of the index: how words are found, and what the files hold."""
MOST_LINE = 16_000_000
"""Bytes of the longest document, as it stands in the corpus."""
_MOST_NOTE = 10_000
_WORD = re.compile(r"\w+")
_MOST_WORDS = 64  # of a query that are looked for
_STALE_SECONDS = 86_400.0


def words(text: str) -> list[str]:
    """The words of a text as they are indexed and looked for: runs of letters and digits, in lower case."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus; `title` is empty where it has none."""

    title: str
    text: str


def open_corpus(file: Path, cache_dir: Path, *, where: str, say: Callable[[str], None]) -> Corpus:
    """The index of a corpus, built in `cache_dir` if it is not there yet. May take minutes for millions of documents.

    Args:
        file: JSONL, an object with `text` (and perhaps `title`) a line; `sentences`, a list of texts, serve in place of a text.
        cache_dir: the user's cache folder.
        where: how errors name the declaration.
        say: told when an index is built.

    Raises:
        UserError: naming the line, if the corpus is not as it should be; or if bm25s is not installed.
        InfrastructureError: if the disk is full.
    """
    try:
        bm25s = import_module("bm25s")
    except ImportError:
        raise UserError(where, "no bm25s", mend="install it: pip install 'flowbot[search]'") from None
    sha = sha256(file)
    home = cache_dir / "corpora" / f"{sha}-{VERSION}"
    if not os.path.lexists(home):
        say(f"Indexing {file.name} for search; this is done once.")
        _build(bm25s, file, home, where)
    _require_own(home)
    return Corpus(bm25s, file, home, sha)


def _require_own(home: Path) -> None:
    if home.is_symlink() or not home.is_dir():
        raise UserError(str(home), "no folder of its own", mend="remove what stands there; the index is built anew")
    for each in home.iterdir():
        require_own(each)


class Corpus:
    """An opened index. Searches may run in several threads at once.

    Args:
        bm25s: the library.
        file: the corpus, which is kept open; it must not change meanwhile.
        home: the folder of its index.
        sha: SHA-256 of the corpus.
    """

    def __init__(self, bm25s: Any, file: Path, home: Path, sha: str) -> None:
        import numpy as np

        self.sha = sha
        self._bm25 = bm25s.BM25.load(home, mmap=True, load_vocab=False, show_progress=False)
        self._hashes: NDArray[np.uint64] = np.load(home / "words.npy", mmap_mode="r")
        self._ids: NDArray[np.int32] = np.load(home / "word_ids.npy", mmap_mode="r")
        self._starts: NDArray[np.int64] = np.load(home / "starts.npy", mmap_mode="r")
        self.titled: bool = json.loads(read_text(home / "corpus.json", limit=_MOST_NOTE, links=False))["titled"]
        self._file = file
        self._stream = opened(file)
        self._state = _state(self._stream.fileno())

    def __len__(self) -> int:
        return len(self._starts) - 1

    def close(self) -> None:
        """Close the corpus. May be called twice."""
        self._stream.close()

    def search(self, query: str, k: int) -> list[Document]:
        """The at most `k` documents that fit the query best and share a word with it; equal ones in their order.

        Raises:
            UserError: if the corpus changed since it was opened.
        """
        found = [each for word in dict.fromkeys(words(query)) if (each := self._word_id(word)) is not None]
        if not found:
            return []
        scores: NDArray[np.float32] = self._bm25.get_scores_from_ids(found[:_MOST_WORDS])
        return [self._document(index) for index in best(scores, k)]

    def _word_id(self, word: str) -> int | None:
        import numpy as np

        wanted = np.uint64(_hash(word))
        place = int(np.searchsorted(self._hashes, wanted))
        return int(self._ids[place]) if place < len(self._hashes) and self._hashes[place] == wanted else None

    def _document(self, index: int) -> Document:
        start, end = int(self._starts[index]), int(self._starts[index + 1])
        line = os.pread(self._stream.fileno(), end - start, start)
        if _state(self._stream.fileno()) != self._state:
            raise UserError(str(self._file), "a corpus that changed while it was in use", "one that stays as it is")
        return _read(line.partition(b"\n")[0], str(self._file))


def best(scores: NDArray[np.float32], k: int) -> list[int]:
    """Indices of the `k` highest scores above 0, highest first, equal ones by index. Linear in the number of scores."""
    import numpy as np

    k = min(k, len(scores))
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores > max(kth, 0))
    ordered = above[np.argsort(-scores[above], kind="stable")]
    if kth <= 0:
        return [int(index) for index in ordered]
    equal = np.flatnonzero(scores == kth)[: k - len(ordered)]
    return [int(index) for index in (*ordered, *equal)]


def _build(bm25s: Any, file: Path, home: Path, where: str) -> None:
    """Build beside and move into place, so that a kill leaves an index whole or absent."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        _sweep(home.parent)
        beside = new_folder(home.parent / "building")
    except OSError as error:
        raise UserError(
            f"cache folder {home.parent}", f"no way to write there ({error.strerror})", "a folder that can be written"
        ) from None
    try:
        _write(bm25s, file, beside, where)
        beside.rename(home)
    except OSError as error:
        if not home.is_dir():  # else somebody built the same meanwhile
            raise InfrastructureError(f"indexing {file}: {error.strerror}", kind="disk") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what builds that were killed left there."""
    for each in folder.glob(".building.*"):
        with suppress(OSError):
            if time.time() - each.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(each, ignore_errors=True)


def _write(bm25s: Any, file: Path, home: Path, where: str) -> None:
    import numpy as np

    known: dict[str, int] = {}
    ids: list[array[int]] = []
    starts = array("q")
    titled = False
    position = 0
    with opened(file) as stream:
        for number, line in enumerate(lines(stream, str(file), most=MOST_LINE), start=1):
            if line.strip():
                document = _read(line, f"{file}:{number}")
                titled = titled or bool(document.title)
                found = words(f"{document.title} {document.text}")
                ids.append(array("i", [known.setdefault(word, len(known)) for word in found]))
                starts.append(position)
            position += len(line)
    if not known:
        raise UserError(where, f"{file}, without any word", "documents with text")
    starts.append(position)
    index = bm25s.BM25()
    # The vocabulary is kept apart, as hashes; bm25s wants only the numbers.
    index.index((ids, {str(each): each for each in range(len(known))}), create_empty_token=False, show_progress=False)
    index.vocab_dict = {}
    index.save(home, show_progress=False)
    hashes = np.fromiter((_hash(word) for word in known), dtype=np.uint64, count=len(known))
    order = np.argsort(hashes, kind="stable")
    np.save(home / "words.npy", hashes[order])
    np.save(home / "word_ids.npy", order.astype(np.int32))
    np.save(home / "starts.npy", np.frombuffer(starts, dtype=np.int64))
    new_file(home / "corpus.json", json.dumps({"titled": titled}).encode())


def _read(line: bytes, where: str) -> Document:
    expected = "an object with a text and perhaps a title a line"
    try:
        row: Any = json.loads(line)
    except RecursionError:
        raise UserError(where, "JSON that is nested too deep", expected) from None
    except ValueError as error:
        raise UserError(where, f"no JSON ({error})", expected) from None
    if not isinstance(row, dict):
        raise UserError(where, kind_of(row), expected)
    given = cast("dict[str, Any]", row)
    text, title = given.get("text", given.get("sentences")), given.get("title") or ""
    if isinstance(text, list) and all(isinstance(each, str) for each in cast("list[object]", text)):
        text = "".join(cast("list[str]", text)).strip()
    if not isinstance(text, str) or not isinstance(title, str):
        raise UserError(where, "no text" if text is None else "a text or title of another type", expected)
    return Document(title, text)


def _hash(word: str) -> int:
    """64 bits: two words of a corpus that share them, once in thirty thousand corpora of a million words, are one."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _state(handle: int) -> tuple[int, int]:
    found = os.fstat(handle)
    return found.st_size, found.st_mtime_ns
