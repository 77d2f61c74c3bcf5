"""MATH: whether two answers in LaTeX are the same mathematics, by math-verify, or by the looser rule that AFlow used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flowbot.fields import Score
from flowbot.fields.words import cut
from flowbot.task import Example, Metric

from .helper_process import HelperProcess
from .official import official

SECONDS = 10.0
"""That one comparison may take; one that takes longer scores 0."""
_BOXED = "\\boxed"
_IN_LATEX = re.compile(r"\\boxed|(?<!\\)\$|\\\(|\\\[")
_PROSE = re.compile(r"\b(?:is|are|equals|answer|therefore)\b", re.IGNORECASE)
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_LONGEST = 5_000
"""Letters of an answer that are read, from the end."""
_CLOSE = 1e-3


def math_metric(rule: str) -> Metric:
    """The metric of a rule.

    Args:
        rule: `math-verify`: equal as that package has it; `aflow`: equal as texts, as expressions, or as numbers that differ by
            less than a thousandth (AFlow, Zhang et al. 2024, in its evaluation of MATH).

    Raises:
        UserError: if math-verify is not installed.
    """
    packages = ("math-verify", "latex2sympy2_extended", "sympy")
    return official(rule, aflow if rule == "aflow" else verified, rule=2, pure=False, packages=packages)


def verified(example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 if math-verify takes the answer for the reference's."""
    return _scored(example, outputs, "verify")


def aflow(example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 if the answer is the reference's, or within a thousandth of it."""
    return _scored(example, outputs, "close")


def boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{…}` of a solution; None if nothing does."""
    start = text.rfind(_BOXED)
    if start < 0:
        return None
    rest = text[start + len(_BOXED) :].lstrip()
    if not rest.startswith("{"):  # `\boxed 5`, as a few solutions have it
        return rest.split("$")[0].strip() or None
    depth = 0
    for index, letter in enumerate(rest):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return rest[1:index].strip()
    return None


def _scored(example: Example, outputs: Mapping[str, Any], rule: str) -> Score:
    given, wanted = outputs.get("answer"), str(example.expected.get("answer"))
    if given is None or not str(given).strip():
        return Score(0.0, f"answer: found nothing, expected {wanted}")
    text = str(given)[-_LONGEST:].strip()
    said = f"found {cut(text, 200)}, expected {wanted}"
    if _plain(boxed(text) or text) == _plain(wanted) or (rule == "close" and _near(boxed(text) or text, wanted)):
        return Score(1.0)
    reply = helper().ask({"rule": rule, "expected": _as_latex(wanted), "found": _as_latex(text)})
    if reply is None:
        return Score(0.0, f"answer: {said} (it could not be compared in {SECONDS:g} s)")
    if reply["equal"]:
        return Score(1.0)
    return Score(0.0, f"answer: {said}" + ("" if reply["read"] else " (it cannot be read as mathematics)"))


@cache
def helper() -> HelperProcess:
    """The process that compares, begun at the first question."""
    return HelperProcess(Path(__file__).with_name("math_program.py"), SECONDS)


def _as_latex(text: str) -> str:
    """An answer that is nothing but mathematics, marked as such; a text that marks it itself, or is prose, as it is."""
    return text if _IN_LATEX.search(text) or _PROSE.search(text) else f"{_BOXED}{{{text}}}"


def _plain(text: str) -> str:
    """A text in LaTeX without what is not seen."""
    text = _TEXT.sub(r"\1", text)
    return re.sub(r"\s+|\\left\b|\\right\b|\\[!,;]|\$|(?<=\\)[dt](?=frac)", "", text).removesuffix(".")


def _near(one: str, other: str) -> bool:
    """Whether both are numbers, or percentages, that differ by less than a thousandth."""
    first, second = _number(one), _number(other)
    return first is not None and second is not None and abs(first - second) < _CLOSE


def _number(text: str) -> float | None:
    digits = text.strip().replace(",", "")
    share = 100 if digits.endswith("%") else 1
    try:
        return float(digits.rstrip("%\\")) / share
    except ValueError:
        return None
