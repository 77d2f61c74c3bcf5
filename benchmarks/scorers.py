"""Whether sets score as their publishers do: our scorers beside the publishers' own, on a hundred real cases of each set.

    python benchmarks/scorers.py DATA [SET ...]

DATA holds a folder a set with train.jsonl, dev.jsonl and test.jsonl (the data is not part of this project). Each file in
benchmarks/official is a set's part: `cases(folder)` gives its `Case`s. Raw results, without anything of the data but ids, go to
benchmarks/results/scorers.jsonl, in place of those of the same sets; a table is printed, and each case in which the two differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "scorers.jsonl"
CASES = 100


@dataclass(frozen=True, slots=True)
class Case:
    """One answer as both score it.

    Args:
        set: name of the set.
        id: of the row.
        kind: how the answer was made: the reference itself, another form of it, another row's, one made wrong.
        ours: score in [0, 1].
        official: score in [0, 1].
    """

    set: str
    id: str
    kind: str
    ours: float
    official: float

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
    options = parser.parse_args()
    names = options.sets or list(parts())
    found = list(all_cases(options.data, names))
    kept = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    rows = [each for each in kept if each["set"] not in {case.set for case in found}] + [asdict(each) for each in found]
    rows.sort(key=lambda row: row["set"])  # stable: a set's rows stay in their order
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print("| set | kind of answer | cases | agree | ours right | official right |\n|---|---|---|---|---|---|")
    for name, kind in Counter((each.set, each.kind) for each in found):
        those = [each for each in found if (each.set, each.kind) == (name, kind)]
        right = [sum(getattr(each, whose) for each in those) for whose in ("ours", "official")]
        print(f"| {name} | {kind} | {len(those)} | {sum(each.agree for each in those)} | {right[0]:g} | {right[1]:g} |")
    for each in found:
        if not each.agree:
            print(f"{each.set} {each.id}, {each.kind}: ours {each.ours:g}, official {each.official:g}")


if __name__ == "__main__":
    main()
