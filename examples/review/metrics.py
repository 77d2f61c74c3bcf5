"""How good a review is: the kind of the defect, its line, and whether the reason names it."""

import re
from collections.abc import Mapping
from typing import Any

WEIGHTS = {"kind": 0.4, "line": 0.3, "why": 0.3}
NEXT = 0.5
"""What the line beside the right one is worth."""
LONGEST = 40
"""Words of a reason; more are a list of guesses."""


def score(example: Any, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The weighted parts, and what is wrong in words. Of a clean change only "none" is right, and then all of it is."""
    gold = example.expected
    clean = gold["kind"] == "none"
    kind = outputs["kind"] == gold["kind"]
    if clean:
        return {
            "score": float(kind),
            "feedback": "" if kind else f"the change is right, there is no {outputs['kind']}",
            "parts": dict.fromkeys(WEIGHTS, float(kind)),
        }
    faults: list[str] = []
    if not kind:
        faults.append(f"the defect is {gold['kind']}, not {outputs['kind']}")
    line = {0: 1.0, 1: NEXT}.get(abs(outputs["line"] - gold["line"]), 0.0) if outputs["kind"] != "none" else 0.0
    if line < 1:
        faults.append(f"it is in line {gold['line']}, not {outputs['line']}")
    why = outputs["kind"] != "none" and reason_names(outputs["why"], example.extra["mentions"])
    if not why:
        faults.append(f"the reason does not name it: {gold['why']}")
    parts = {"kind": float(kind), "line": line, "why": float(why)}
    value = sum(weight * parts[part] for part, weight in WEIGHTS.items())
    return {"score": round(value, 6), "feedback": "; ".join(faults), "parts": parts}


def reason_names(why: str, words: list[str]) -> bool:
    """Whether a short reason has one of the words that a right one would have."""
    text = why.casefold()
    named = (re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", text) for word in words)
    return len(text.split()) <= LONGEST and any(named)
