"""How fast is search over a large corpus, and what memory does it take?

    python benchmarks/search.py [--documents 1000000] [--queries 200] [--folder FOLDER]

Makes a corpus of short synthetic documents (8 to 24 words, words by Zipf's law, seeded), indexes it in a process of its
own, then opens the index anew and searches: queries of 2 to 6 words that stand together in a document. Prints one JSON object. The
folder is kept if it is named, so that a second run measures without indexing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

VOCABULARY = 200_000


def make_corpus(file: Path, documents: int) -> None:
    """Write the corpus."""
    import numpy as np

    draw = np.random.default_rng(0)
    ranks = np.arange(1, VOCABULARY + 1)
    share = 1 / ranks / (1 / ranks).sum()
    with file.open("w", encoding="utf-8") as stream:
        for begin in range(0, documents, 10_000):
            count = min(10_000, documents - begin)
            lengths = draw.integers(8, 25, count)
            drawn = iter(draw.choice(VOCABULARY, lengths.sum(), p=share).tolist())
            for index, length in enumerate(lengths.tolist(), start=begin):
                text = " ".join(f"w{next(drawn)}" for _ in range(length))
                stream.write(json.dumps({"id": str(index), "title": f"Document {index}", "text": text}) + "\n")


def build(file: Path, cache: Path) -> dict[str, float]:
    """Index the corpus."""
    from flowbot.runtime.toolbox.corpus import open_corpus

    began = time.perf_counter()
    open_corpus(file, cache, where="benchmark", say=lambda _: None).close()
    return {"seconds": round(time.perf_counter() - began, 1), "peak_mb": round(getrusage(RUSAGE_SELF).ru_maxrss / 1024)}


def measure(file: Path, cache: Path, queries: int) -> dict[str, float]:
    """Open the index and search."""
    import random

    from flowbot.runtime.toolbox.corpus import open_corpus

    before = resident_mb()
    began = time.perf_counter()
    corpus = open_corpus(file, cache, where="benchmark", say=lambda _: None)
    opened = time.perf_counter() - began
    after = resident_mb()
    draw = random.Random(1)
    asked: list[str] = []
    with file.open("rb") as stream:
        size = file.stat().st_size
        while len(asked) < queries:
            stream.seek(draw.randrange(size - 10_000))
            stream.readline()
            found = json.loads(stream.readline())["text"].split()
            length = draw.randint(2, 6)
            place = draw.randrange(len(found) - length + 1)
            asked.append(" ".join(found[place : place + length]))
    times: list[float] = []
    for query in asked:
        began = time.perf_counter()
        corpus.search(query, 5)
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {
        "open_seconds": round(opened, 2),
        "query_ms_median": round(statistics.median(times), 1),
        "query_ms_p95": round(times[int(0.95 * len(times))], 1),
        "query_ms_max": round(times[-1], 1),
        "private_mb_to_open": round(after["private"] - before["private"]),
        "private_mb_after": round(resident_mb()["private"]),
        "mapped_mb_after": round(resident_mb()["mapped"]),
    }


def resident_mb() -> dict[str, float]:
    """Memory of this process: its own, and pages of mapped files, which the system can take back (Linux)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[key].split()[0]) / 1024 for name, key in (("private", "RssAnon"), ("mapped", "RssFile"))}


def main() -> None:
    """Make, index, search, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"corpus-{given.documents}.jsonl"
        if not file.exists():
            make_corpus(file, given.documents)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            built = pool.submit(build, file, folder).result()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(measure, file, folder, given.queries).result()
        megabytes = round(file.stat().st_size / 1e6)
        print(json.dumps({"documents": given.documents, "corpus_mb": megabytes, "index": built, **found}))


if __name__ == "__main__":
    main()
