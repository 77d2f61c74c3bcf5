"""What a check found: defects, warnings, and facts for people and programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbot.fields import UserError
from flowbot.task.quality import Remark

if TYPE_CHECKING:
    from flowbot.workflow.workflow import Workflow


@dataclass
class Findings:
    """Grows while a file is checked.

    Args:
        defects: what is wrong.
        warnings: what is worth a second look.
        facts: what was seen, for programs: `task`, and `model`, `meta_model`, `judge_model`, and by name `models`, where they were asked.
        rows: the same for people, a name and a text each.
        workflow: the workflow that was checked, where it has no defect.
    """

    defects: list[Remark] = field(default_factory=list["Remark"])
    warnings: list[Remark] = field(default_factory=list["Remark"])
    facts: dict[str, Any] = field(default_factory=lambda: dict[str, Any](task=None, model=None))
    rows: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    workflow: Workflow | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no defect."""
        return not self.defects

    def fault(self, error: UserError) -> None:
        """Add a defect that was raised."""
        self.defects.append(Remark(error.where, error.what, error.mend))

    def dump(self) -> dict[str, Any]:
        """The object for programs."""
        return {
            "ok": self.ok,
            "defects": [each.dump() for each in self.defects],
            "warnings": [each.dump() for each in self.warnings],
            **self.facts,
        }
