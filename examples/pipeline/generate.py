"""Writes the rows of the pipeline from the questions that stand beside the help pages: python generate.py [FOLDER]."""

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
SIZES = {"train": 40, "val": 40, "test": 60}


def main(folder: Path) -> None:
    """Write the three files."""
    lines = (HERE / "articles.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [(page["title"], *asked) for page in map(json.loads, lines) for asked in page["asked"]]
    # Mixed, but questions after one fact of a page stand beside each other, so that they are in one split.
    rows.sort(key=lambda row: (hashlib.sha256(f"{row[0]} {row[2]}".encode()).hexdigest(), row[1]))
    for split, size in SIZES.items():
        part, rows = rows[:size], rows[size:]
        texts = (json.dumps({"message": message, "answer": answer}, ensure_ascii=False) for _, message, answer in part)
        (folder / f"{split}.jsonl").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
