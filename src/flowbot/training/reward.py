"""What a program in words is worth to the generator that learns: its mean score, or how far it is from being one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from flowbot.optimizer.autoflow.asking import program_of
from flowbot.workflow.core import CoreProgram, read_core
from flowbot.workflow.defects import Defect

FAR = -0.5
"""The reward of a text of which no line is right; that of a program that is valid and solves nothing is 0."""
MOST_SHARE = 0.9
"""Of the way from `FAR` to 0 what a text with a defect gets at most."""


def nearly(text: str, program: CoreProgram, defects: Sequence[Defect]) -> float:
    """The reward of a text with defects: the more of its lines are right, the nearer to 0, so that there is a slope.

    Args:
        text: one program, without blank lines.
        program: what could be read of it: a line that is a step with a defect is half right.
        defects: as `read_core` found them; one of the program as a whole counts as a wrong line more.
    """
    places = {each.where for each in defects}
    lines = len(text.splitlines())
    wrong = sum(place.startswith("line ") for place in places)
    half = sum(f"line {step.line}" in places for step in program.steps)
    return FAR * (1 - MOST_SHARE * (lines - wrong + half / 2) / max(1, lines + len(places) - wrong))


def told(program: CoreProgram) -> list[dict[str, Any]]:
    """The steps of a program as plain data, for a reward of the user's own."""
    return [
        {
            "name": step.name,
            "type": step.kind,
            "instruction": step.instruction,
            "branches": [list(way) for way in step.branches],
        }
        for step in program.steps
    ]


def read(reply: str) -> tuple[str, CoreProgram | None, float]:
    """The program of a reply; where it is not valid None, and its reward."""
    text = program_of(reply)
    program, defects = read_core(text)
    return (text, None, nearly(text, program, defects)) if defects else (text, program, 0.0)


def taught(rewards: Sequence[float], *, shuffled: Random | None) -> list[float | None]:
    """What the learner is told of the rewards of one step: nothing where all are the same, since these teach nothing.

    Args:
        rewards: of the samples.
        shuffled: the control: the rewards are dealt to the samples by chance; None: each gets its own.
    """
    if max(rewards) - min(rewards) < 1e-9:
        return [None] * len(rewards)
    order = list(rewards)
    if shuffled is not None:
        shuffled.shuffle(order)
    return [*order]
