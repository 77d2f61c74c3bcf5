"""What is kept of a training: a line for every step, the best program, and a page with the curve."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.files import read_text, write_text
from flowbot.fields.foreign import Count, Record, checked

CURVE, SETTINGS = "curve.jsonl", "settings.json"
MOST_CURVE = 200_000_000
"""Bytes of the largest curve that is read."""
WINDOW = 5
"""Steps of the running mean."""


class Step(Record):
    """One step.

    Args:
        step: counted from 0.
        rewards: of its samples, their own also where a control tells the learner others.
        programs: the samples, as programs.
        valid: how many could be run.
        taught: whether the learner was told anything: samples of equal reward teach nothing.
        calls: model calls of the whole training by then.
    """

    step: Count
    rewards: list[float]
    programs: list[str]
    valid: Count
    taught: bool
    calls: Count = 0

    @property
    def mean(self) -> float:
        """Mean reward."""
        return fmean(self.rewards)


@dataclass(slots=True)
class Curve:
    """The steps of a training in its folder.

    Args:
        folder: of the training.
        steps: that were done, in order.
    """

    folder: Path
    steps: list[Step] = field(default_factory=list[Step])

    @staticmethod
    def open(folder: Path, settings: dict[str, Any], done: int) -> Curve:
        """The curve of a folder, made if need be, up to the last checkpoint: what was noted after it is made anew.

        Args:
            folder: of the training.
            settings: that decide what is learnt; a folder is for one training.
            done: steps of the checkpoint.

        Raises:
            UserError: if the folder holds another training, or a line that is none of its steps.
        """
        folder.mkdir(parents=True, exist_ok=True)
        file, text = folder / SETTINGS, json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True)
        if file.exists() and read_text(file, limit=1_000_000) != text:
            raise UserError(str(folder), "a training with other settings", "another folder: --out")
        write_text(file, text)
        curve = Curve(folder)
        if (folder / CURVE).exists():
            for number, line in enumerate(read_text(folder / CURVE, limit=MOST_CURVE).splitlines()[:done], 1):
                where = f"{folder / CURVE}:{number}"
                try:
                    curve.steps.append(checked(Step, json.loads(line), where))
                except ValueError:
                    raise UserError(where, "no JSON", "a step of the training") from None
        return curve

    def add(self, step: Step) -> None:
        """Note a step; a killed training finds it again."""
        self.steps.append(step)
        write_text(self.folder / CURVE, "".join(f"{each.model_dump_json()}\n" for each in self.steps))
        if (best := self.best) is not None:
            write_text(self.folder / "best.core.txt", best[1] + "\n")

    @property
    def best(self) -> tuple[float, str] | None:
        """The first program of the highest reward, and that; None where none was valid."""
        found = [pair for each in self.steps for pair in zip(each.rewards, each.programs, strict=True) if pair[0] >= 0]
        return max(found, key=lambda pair: pair[0], default=None)

    def summary(self) -> dict[str, Any]:
        """Mean rewards of the first and the last `WINDOW` steps, and what else is to be said in numbers."""
        first, last = ([each.mean for each in some] for some in (self.steps[:WINDOW], self.steps[-WINDOW:]))
        return {
            "steps": len(self.steps),
            "first": fmean(first) if first else None,
            "last": fmean(last) if last else None,
            "window": min(WINDOW, len(self.steps)),
            "skipped": sum(not each.taught for each in self.steps),
            "best": None if self.best is None else {"reward": self.best[0], "program": self.best[1]},
        }

    def report(self, about: str) -> None:
        """Write `report.md`: what is to be said of the training, with the curve."""
        valid, all_of = sum(each.valid for each in self.steps), sum(len(each.rewards) for each in self.steps)
        lines = [
            "# A generator that learns from reward",
            about,
            f"{valid} of {all_of} programs could be run.",
            curve_chart([each.mean for each in self.steps]),
        ]
        if (best := self.best) is not None:
            lines.append(f"The best program, reward {best[0]:.3f}:\n\n```text\n{best[1]}\n```")
        write_text(self.folder / "report.md", "\n\n".join(lines) + "\n")


def curve_chart(means: Sequence[float]) -> str:
    """Mean rewards by step, and the running mean of `WINDOW` steps, as a chart in Mermaid's words."""
    running = [fmean(means[max(0, end - WINDOW) : end]) for end in range(1, len(means) + 1)]
    lines = (f"  line [{', '.join(f'{value:.3f}' for value in each)}]" for each in (means, running))
    axes = f'  x-axis "step" 0 --> {max(1, len(means) - 1)}\n  y-axis "mean reward"'
    return "\n".join(["```mermaid", "xychart-beta", axes, *lines, "```"])
