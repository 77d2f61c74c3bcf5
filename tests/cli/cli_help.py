"""What the tests of the command line share: a small task on disk, and a way to run a command and read what it said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from flowbot.cli.app import run

FAKE = ["--model", "fake/counter"]


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on standard error."""
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


def flowbot(capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    capsys.readouterr()
    status = run(list(arguments))
    captured = capsys.readouterr()
    return Said(status, captured.out, captured.err)


def set_lines(what: RenderableType, width: int = 100) -> list[str]:
    """What rich makes of it, line by line."""
    console = Console(width=width, color_system=None, file=StringIO())
    with console.capture() as captured:
        console.print(what)
    return [line.rstrip() for line in captured.get().splitlines()]


def write_task(folder: Path, *, metric: str = "numeric", sizes: Sequence[int] = (16, 8, 8), more: str = "") -> Path:
    """A task of counting, its examples beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, size in zip(("train", "val", "test"), sizes, strict=True):
        lines: list[str] = []
        for _ in range(size):
            number += 1
            row = {"id": f"{split}-{number}", "note": f"{number} pens and {number + 3} cups", "total": 2 * number + 3}
            lines.append(json.dumps(row) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    path = folder / "task.yaml"
    path.write_text(
        f"""flowbot: 1
goal: Add up the amounts.
inputs: {{note: str}}
outputs: {{total: int}}
metric: {metric}
data: {{train: train.jsonl, val: val.jsonl, test: test.jsonl}}
{more}""",
        encoding="utf-8",
    )
    return path


FLOW = """flowbot: 1
inputs: {note: str}
outputs: {total: compute.total}
nodes:
  answer: {kind: llm, in: {note: note}, out: {items: "list[{item: str, number: int}]"}}
  compute: {kind: code, in: {items: answer.items}, out: {total: int}}
parameters:
  answer: {instruction: List each thing with its number.}
  compute: {code: "def run(items):\\n    return {'total': sum(each['number'] for each in items)}"}
"""


def write_flow(folder: Path, text: str = FLOW) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "count.flow.yaml"
    path.write_text(text, encoding="utf-8")
    return path
