"""What is kept of a training: a line for every step, the best program, and the curve as a picture and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.files import read_text, write_text
from flowbot.fields.words import count

CURVE, BEST, SETTINGS = "curve.jsonl", "best.core.txt", "settings.json"
MOST_CURVE = 200_000_000
WINDOW = 5
"""Steps of the running mean."""
_WIDTH, _HEIGHT, _EDGE = 640, 240, 36


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Args:
        step: counted from 0.
        rewards: of its samples, their own also where a control tells the learner others.
        programs: the samples, as programs.
        valid: how many could be run.
        taught: whether the learner was told anything: samples of equal reward teach nothing.
        calls: model calls of the whole training by then.
    """

    step: int
    rewards: tuple[float, ...]
    programs: tuple[str, ...]
    valid: int
    taught: bool
    calls: int = 0

    @property
    def mean(self) -> float:
        """Mean reward."""
        return fmean(self.rewards)


@dataclass(slots=True)
class Record:
    """The steps of a training in its folder.

    Args:
        folder: of the training.
        steps: that were done, in order.
    """

    folder: Path
    steps: list[Step] = field(default_factory=list[Step])

    @staticmethod
    def open(folder: Path, settings: dict[str, Any], done: int) -> Record:
        """The record of a folder, made if need be, with the steps that the last checkpoint holds.

        Args:
            folder: of the training.
            settings: that decide what is learnt; a folder is for one training.
            done: steps of the checkpoint. What was noted after it is made anew.

        Raises:
            UserError: if the folder holds another training, or a line that is none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        file, text = folder / SETTINGS, json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True)
        if file.exists() and (before := read_text(file, limit=100_000)) != text:
            other = sorted(name for name, value in settings.items() if _read(before, file).get(name) != value)
            raise UserError(
                str(folder), f"a training with other settings ({', '.join(other)})", "another folder: --out"
            )
        write_text(file, text)
        curve, steps = folder / CURVE, list[Step]()
        if curve.exists():
            for number, line in enumerate(read_text(curve, limit=MOST_CURVE).splitlines()[:done], 1):
                try:
                    row = json.loads(line)
                    steps.append(Step(**{**row, "rewards": tuple(row["rewards"]), "programs": tuple(row["programs"])}))
                except (ValueError, TypeError, KeyError):
                    raise UserError(f"{curve}: line {number}", "no step of a training", "the line as it was") from None
        record = Record(folder, steps)
        write_text(curve, "".join(_line(each) for each in steps))
        return record

    def add(self, step: Step) -> None:
        """Note a step; a killed training finds it again."""
        self.steps.append(step)
        write_text(self.folder / CURVE, "".join(_line(each) for each in self.steps))
        if (best := self.best) is not None:
            write_text(self.folder / BEST, best[1] + "\n")

    @property
    def best(self) -> tuple[float, str] | None:
        """The first program of the highest reward, and that; None where none was valid."""
        found = [pair for each in self.steps for pair in zip(each.rewards, each.programs, strict=True) if pair[0] >= 0]
        return max(found, key=lambda pair: pair[0], default=None)

    def report(self, about: Sequence[str]) -> None:
        """Write `curve.svg` and `report.md`.

        Args:
            about: what is to be said of the training, a sentence each.
        """
        write_text(self.folder / "curve.svg", curve_svg([each.mean for each in self.steps]))
        lines = ["# A generator that learns from reward", "", *about, "", "![Mean reward by step](curve.svg)", ""]
        if self.best is not None:
            lines += [f"The best program, reward {self.best[0]:.3f}:", "", "```text", self.best[1], "```", ""]
        lines += ["| step | mean reward | best | valid | taught |", "|---|---|---|---|---|"]
        lines += [
            f"| {each.step} | {each.mean:.3f} | {max(each.rewards):.3f} | {each.valid} of {len(each.rewards)} | "
            f"{'yes' if each.taught else 'no'} |"
            for each in self.steps
        ]
        write_text(self.folder / "report.md", "\n".join(lines) + "\n")

    def summary(self) -> dict[str, Any]:
        """The first and the last `WINDOW` steps, as data."""
        first, last = self.steps[:WINDOW], self.steps[-WINDOW:]
        return {
            "steps": len(self.steps),
            "first": fmean(each.mean for each in first) if first else None,
            "last": fmean(each.mean for each in last) if last else None,
            "window": WINDOW,
            "skipped": sum(not each.taught for each in self.steps),
            "best": None if self.best is None else {"reward": self.best[0], "program": self.best[1]},
        }


def curve_svg(means: Sequence[float]) -> str:
    """Mean rewards by step as a picture: a dot a step, and the running mean of `WINDOW` steps as a line."""
    low, high = min([*means, 0.0]), max([*means, 0.1])

    def at(step: int, value: float) -> tuple[float, float]:
        across = _EDGE + (_WIDTH - 2 * _EDGE) * step / max(1, len(means) - 1)
        return across, _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - low) / (high - low)

    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in (at(*each) for each in enumerate(means)))
    running = [at(end - 1, fmean(means[max(0, end - WINDOW) : end])) for end in range(1, len(means) + 1)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in running)
    bottom, left = _HEIGHT - _EDGE, _EDGE
    marks = "".join(
        f'<text x="{left - 6}" y="{at(0, value)[1] + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        for value in (low, high)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="11" '
        f'font-family="system-ui,sans-serif" fill="currentColor"><title>Mean reward by step, of {count(len(means), "step")}</title>'
        f"<style>svg:root{{color-scheme:light dark}}</style>"
        f'<path d="M{left},{_EDGE}V{bottom}H{_WIDTH - _EDGE}" fill="none" stroke="currentColor" opacity="0.4"/>{marks}'
        f'<text x="{_WIDTH - _EDGE}" y="{bottom + 18}" text-anchor="end">step {max(0, len(means) - 1)}</text>'
        f'<g opacity="0.4">{dots}</g><polyline points="{line}" fill="none" stroke="currentColor" stroke-width="2"/></svg>\n'
    )


def _line(step: Step) -> str:
    told = {name: getattr(step, name) for name in ("step", "rewards", "programs", "valid", "taught", "calls")}
    return json.dumps(told, ensure_ascii=False) + "\n"


def _read(text: str, file: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(str(file), "no settings of a training", "another folder: --out")
    return found
