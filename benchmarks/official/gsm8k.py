"""GSM8K: the publisher's rule on texts, `#### ` and the number behind it without commas, compared letter by letter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.scorers.gsm8k import score
from flowbot.task import Example
from scorers import Case, first_rows

_NUMBER = re.compile(r"#### (-?[0-9.,]+)")


def official(found: str, wanted: str) -> float:
    """The publisher's score of a text."""
    told = _NUMBER.search(found)
    return float(told is not None and told[1].strip().replace(",", "") == wanted)


def cases(folder: Path) -> Iterator[Case]:
    """The reference's solution, with other numbers and other ends."""
    for row in first_rows(folder):
        number = int(row["answer"])
        kinds = {
            "reference solution": f"{row['rationale']}\n#### {number}",
            "thousands with commas": f"{row['rationale']}\n#### {number:,}",
            "one more": f"{row['rationale']}\n#### {number + 1}",
            "negated": f"#### {-number}",
            "a tenth": f"#### {number / 10}",
            "no number after the mark": f"{row['rationale']}\n#### it is {number}",
            "a second mark": f"#### {number}\n#### {number + 1}",
        }
        for kind, found in kinds.items():
            ours = score(Example(row["id"], {}, {"answer": number}), {"answer": found}).value
            yield Case("gsm8k", row["id"], kind, ours, official(found, row["answer"]))
