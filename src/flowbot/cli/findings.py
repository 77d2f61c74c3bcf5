"""What `flowbot check` found: defects, warnings, and facts for people and programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.words import count
from flowbot.task.quality import Remark

from .console import Console

ALIKE = 3
"""Defects in a row that say the same of other places, as many rows can, and are all written out."""


@dataclass
class Findings:
    """Grows while a file is checked.

    Args:
        defects: what is wrong.
        warnings: what is worth a second look.
        facts: what was seen, for programs: `task`, and `model`, `meta_model`, `judge_model` where they were asked.
        rows: the same for people, a name and a text each.
        drawing: lines of a workflow's drawing.
    """

    defects: list[Remark] = field(default_factory=list["Remark"])
    warnings: list[Remark] = field(default_factory=list["Remark"])
    facts: dict[str, Any] = field(default_factory=lambda: dict[str, Any](task=None, model=None))
    rows: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    drawing: list[str] = field(default_factory=list[str])

    def fault(self, error: UserError) -> None:
        """Add a defect that was raised."""
        self.defects.append(Remark(error.where, error.what, error.mend))

    def dump(self) -> dict[str, Any]:
        """The object for programs."""
        return {
            "ok": not self.defects,
            "defects": [each.dump() for each in self.defects],
            "warnings": [each.dump() for each in self.warnings],
            **self.facts,
        }


def show(findings: Findings, name: str, console: Console) -> None:
    """Say what was found, for a person: defects first, with `--quiet` they alone."""
    defects, warnings = findings.defects, findings.warnings
    for _, group in groupby(defects, key=lambda each: (each.what, each.mend)):
        same = list(group)
        for each in same if len(same) <= ALIKE + 1 else same[:ALIKE]:
            console.result(_line(each), "bad")
        if len(same) > ALIKE + 1:
            console.result(f"… and {len(same) - ALIKE} more like that", "bad")
    if defects:
        console.say(f"{count(len(defects), 'defect')} in {name}.")
    else:
        console.say(f"{name} is sound.", "good")
    for line in findings.drawing:
        console.say(f"{'':<14}{line}".rstrip())
    for title, text in findings.rows:
        console.row(title, text)
    if warnings:
        console.say()
        console.say(f"Worth a second look ({len(warnings)})", "title")
        for each in warnings:
            console.paragraph(_line(each), "warn", indent=2)


def _line(each: Remark) -> str:
    return f"{each.where}: {each.what}; {each.mend}".rstrip("; ")
