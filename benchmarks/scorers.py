"""Whether sets score as their publishers do: our scorers beside the publishers' own, on a hundred real cases of each set.

    python benchmarks/scorers.py DATA [SET ...] [--published FOLDER]

DATA holds a folder a set with train.jsonl, dev.jsonl and test.jsonl (the data is not part of this project), FOLDER the published files
that `official/_questions.py` names; without it the sets that need them are left out. Each file in benchmarks/official is a set's part:
`cases(folder)` gives its `Case`s. A line for each set, kind of answer and scorer goes to benchmarks/results/scorers.jsonl, in place of
those of the same sets, with every case in which the two differ; nothing of the data but ids. The same is printed as a table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "scorers.jsonl"
CASES = 100
PUBLISHED = "PUBLISHED_SCORERS"
"""The variable that names the folder of published files, for the parts."""
QUESTIONS = ("drop", "fever", "hotpotqa", "hover", "triviaqa")
"""Sets whose parts need it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One answer as both score it.

    Args:
        set: name of the set.
        id: of the row.
        kind: how the answer was made: the reference itself, another form of it, another row's, one made wrong.
        ours: score in [0, 1].
        official: score in [0, 1].
        by: where the other scorer is from, where that is a file of its publisher's.
    """

    set: str
    id: str
    kind: str
    ours: float
    official: float
    by: str = ""

    @property
    def agree(self) -> bool:
        """Whether both score it alike."""
        return abs(self.ours - self.official) < 1e-9


def first_rows(folder: Path, split: str = "test", count: int = CASES) -> list[dict[str, Any]]:
    """The first rows of a split."""
    lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]


def parts() -> dict[str, str]:
    """Names of the sets that have a part, with its module."""
    return {each.stem: f"official.{each.stem}" for each in sorted((HERE / "official").glob("[a-z]*.py"))}


def all_cases(data: Path, names: list[str]) -> Iterator[Case]:
    """The cases of these sets, each set's named as it says when it has begun."""
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        yield from import_module(parts()[name]).cases(data / name)


def main() -> None:
    """Run the parts, keep the raw results, print what agrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(parts())}; all if none is named")
    parser.add_argument("--published", type=Path, help="the folder of published files")
    options = parser.parse_args()
    if options.published:
        os.environ[PUBLISHED] = str(options.published)
    names = options.sets or [each for each in parts() if options.published or each not in QUESTIONS]
    found: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in all_cases(options.data, names):
        found[case.set, case.kind, case.by].append(case)
    print("| set | kind of answer | scores | agree | ours right | official right |\n|---|---|---|---|---|---|")
    lines: list[dict[str, Any]] = []
    for (name, kind, by), cases in found.items():
        right = {whose: round(sum(getattr(each, whose) for each in cases), 6) for whose in ("ours", "official")}
        apart = [{"id": each.id, "ours": each.ours, "official": each.official} for each in cases if not each.agree]
        line = {"set": name, "kind": kind, "by": by, "scores": len(cases), **right, "apart": apart}
        lines.append(line)
        print(
            f"| {name} | {kind} | {len(cases)} | {len(cases) - len(apart)} | {right['ours']:g} | {right['official']:g} |"
        )
        for each in apart:
            print(f"{name} {each['id']}, {kind}: ours {each['ours']:g}, official {each['official']:g}", file=sys.stderr)
    kept = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    lines += [each for each in kept if each["set"] not in {line["set"] for line in lines}]
    lines.sort(key=lambda line: line["set"])  # stable: a set's lines stay in their order
    RESULTS.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
