"""TREC: what kind of answer a question asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from flowbot.fields import UserError
from flowbot.fields.files import read_bytes
from flowbot.fields.words import cut
from flowbot.task import Task
from flowbot.task.data import read_rows
from flowbot.task.decode import MOST_DATA
from flowbot.task.row import Row

from .benchmark_set import BenchmarkSet, SetRows
from .read import task_rows, text_column, with_id

_FINE = {
    "ABBR": "abb exp",
    "DESC": "def desc manner reason",
    "ENTY": "animal body color cremat currency dismed event food instru lang letter other plant product religion sport substance "
    "symbol techmeth termeq veh word",
    "HUM": "desc gr ind title",
    "LOC": "city country mount other state",
    "NUM": "code count date dist money ord other perc period speed temp volsize weight",
}
"""Fine classes (Li and Roth 2002, table 1) by coarse one."""
_LINE = re.compile(r"(?P<fine>(?P<coarse>[A-Z]+):[a-z]+)\s+(?P<question>\S.*)")
_GOAL = (
    "Say what kind of answer the question asks for: ABBR an abbreviation or what one stands for, DESC a description or an "
    "explanation, ENTY a thing, HUM a person or a group, LOC a place, NUM a number or a date."
)
_FINE_GOAL = " Give the kind, a colon and the finer kind."


def label_rows(path: Path) -> Sequence[Row]:
    """The rows of a publisher's file: `COARSE:fine question` on each line, in Latin-1.

    Raises:
        UserError: naming file and line.
    """
    if path.suffix != ".label":
        return read_rows(path)
    rows: list[Row] = []
    for number, line in enumerate(read_bytes(path, limit=MOST_DATA).decode("latin-1").split("\n"), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise UserError(f"{path}:{number}", repr(cut(line.strip(), 60)), "COARSE:fine and the question")
        named = {"question": found["question"], "answer": found["coarse"], "fine": found["fine"]}
        rows.append(Row(f"{path}:{number}", {"id": f"{path.stem}-{number}", **named}))
    return rows


def _fields(row: Row, variant: str) -> dict[str, str]:
    names = ("answer", "coarse_label", "label-coarse") if variant == "coarse" else ("fine", "fine_label")
    return with_id(row, {"question": text_column(row, "question", "text"), "answer": text_column(row, *names)})


def _make(rows: SetRows, variant: str) -> Task:
    fine = [f"{coarse}:{each}" for coarse in _FINE for each in _FINE[coarse].split()]
    return Task(
        goal=_GOAL + (_FINE_GOAL if variant == "fine" else ""),
        inputs={"question": "str"},
        outputs={"answer": f"Literal{list(_FINE) if variant == 'coarse' else fine}"},
        metric="exact",
        splits=task_rows(rows, lambda row: _fields(row, variant)),
    )


SET = BenchmarkSet(
    name="trec6",
    about="What kind of answer a question asks for: six kinds, or fifty.",
    source="Li and Roth 2002, Learning Question Classifiers: train_5500.label and TREC_10.label",
    licence="none stated; free for research",
    make=_make,
    variants=("coarse", "fine"),
    files={"train": ("train_5500.label",), "test": ("TREC_10.label",)},
    hub="CogComp/trec",
    metric="the label is the right one",
    together=("question", "text"),
    reader=label_rows,
)
