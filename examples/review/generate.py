"""Write the diffs of this example and what is wrong with each.

The changes in `changes-*.txt` were written one by one: what is right, and what to alter for a defect. A block there is

    == FILE, # TITLE, the lines of the diff, and for each of its variants
    ? KIND
    ~ OLD => NEW          alters the one added line that has OLD
    ~ drop 2 TEXT         takes out two added lines from the one that has TEXT on
    ~ dedent 2 TEXT       moves two lines one level to the left
    ~ at TEXT             where the defect is; the line that was altered last, unless said
    : why, in a sentence, and a line with the words of which another explanation must have one

Line numbers are counted here, never typed. All variants of a change go into one split. The seed decides which, and where
in its file a change stands; running it again writes the same files.

    python generate.py [FOLDER]
"""

import json
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SEED = 5
SIZES = {"train": 14, "val": 14, "test": 20}
"""Changes in each split; every change has three variants."""
INDENTS = {".go": "\t", ".js": "  ", ".sh": "  "}


@dataclass
class Variant:
    """One version of a change: the kind of its defect, what is altered for it, why it is one, and words for that."""

    kind: str
    edits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Change:
    """A change to a file: its title, the diff's lines with their marks, and its variants."""

    file: str
    title: str = ""
    lines: list[str] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)


def read_changes(text: str) -> list[Change]:
    """The changes of a file in the form that is described above."""
    changes: list[Change] = []
    for line in text.splitlines():
        if line.startswith("== "):
            changes.append(Change(line[3:]))
            continue
        change = changes[-1]
        if not change.title:
            change.title = line.removeprefix("# ")
        elif line.startswith("? "):
            change.variants.append(Variant(line[2:]))
        elif change.variants and line.startswith("~ "):
            change.variants[-1].edits.append(line[2:])
        elif change.variants:
            change.variants[-1].notes.append(line.removeprefix(": "))
        else:
            change.lines.append(line or " ")
    return changes


def altered(change: Change, variant: Variant) -> tuple[list[str], int | None]:
    """The lines of the diff with the defect in them, and the index of the faulty one; None in a clean variant."""
    lines, place = list(change.lines), None
    for edit in variant.edits:
        if told := re.fullmatch(r"(drop|dedent) (\d) (.+)", edit):
            start, count = index_of(lines, told[3]), int(told[2])
            if told[1] == "drop":
                del lines[start : start + count]
            else:
                indent = "+" + INDENTS.get(Path(change.file).suffix, "    ")
                for index in range(start, start + count):
                    lines[index] = "+" + lines[index].removeprefix(indent)
        elif edit.startswith("at "):
            place = index_of(lines, edit[3:])
        else:
            old, _, new = edit.partition(" => ")
            place = index_of(lines, old)
            lines[place] = lines[place].replace(old, new)
    return lines, place


def index_of(lines: list[str], text: str) -> int:
    """The index of the one added line that has a text.

    Raises:
        ValueError: if there is none, or more than one.
    """
    found = [index for index, line in enumerate(lines) if line.startswith("+") and text in line]
    if len(found) != 1:
        raise ValueError(f"{len(found)} added lines have {text!r}")
    return found[0]


def shown(file: str, lines: list[str], start: int) -> tuple[str, list[int]]:
    """The diff as a review page shows it, new line numbers in the margin; and the number at each of its lines."""
    old, new = (sum(not line.startswith(mark) for line in lines) for mark in "+-")
    text = [f"--- a/{file}", f"+++ b/{file}", f"@@ -{start - (old == 0)},{old} +{start},{new} @@"]
    numbers: list[int] = []
    number = start
    for line in lines:
        numbers.append(number)
        removed = line.startswith("-")
        text.append(f"{'' if removed else number:>3} {line}".rstrip())
        number += not removed
    return "\n".join(text), numbers


def rows_of(change: Change, rng: random.Random) -> list[dict[str, object]]:
    """A row for each variant of a change."""
    rows: list[dict[str, object]] = []
    for variant in change.variants:
        lines, place = altered(change, variant)
        diff, numbers = shown(change.file, lines, rng.randint(4, 180))
        why, *words = variant.notes
        rows.append(
            {
                "title": change.title,
                "diff": diff,
                "line": 0 if place is None else numbers[place],
                "kind": variant.kind,
                "why": why,
                "mentions": [word for line in words for word in line.split(", ")],
                "file": change.file,
            }
        )
    return rows


def deal(changes: list[Change], rng: random.Random) -> dict[str, list[Change]]:
    """The changes of each split, so that all have about the same share of every kind of defect and of every language."""
    traits = {each.file: [Path(each.file).suffix, *(variant.kind for variant in each.variants)] for each in changes}
    common = Counter(trait for own in traits.values() for trait in own)
    dealt: dict[str, list[Change]] = {split: [] for split in SIZES}
    have = {split: Counter[str]() for split in SIZES}

    def lacks(split: str, change: Change) -> float:
        share = SIZES[split] / len(changes)
        return sum(1 - have[split][trait] / (share * common[trait]) for trait in traits[change.file])

    hand = rng.sample(changes, len(changes))
    for change in sorted(hand, key=lambda each: min(common[trait] for trait in traits[each.file])):  # the rarest first
        split = max((each for each in SIZES if len(dealt[each]) < SIZES[each]), key=lambda each: lacks(each, change))
        dealt[split].append(change)
        have[split].update(traits[change.file])
    return dealt


def main(folder: Path) -> None:
    """Write train.jsonl, val.jsonl and test.jsonl into a folder."""
    rng = random.Random(SEED)
    texts = [path.read_text(encoding="utf-8") for path in sorted(HERE.glob("changes-*.txt"))]
    changes = [change for text in texts for change in read_changes(text)]
    for split, own in deal(changes, rng).items():
        rows = [row for change in own for row in rows_of(change, rng)]
        lines = [{"id": f"{split}-{number:03d}", **row} for number, row in enumerate(rng.sample(rows, len(rows)), 1)]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
