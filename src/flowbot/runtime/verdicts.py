"""What a judge says, read as it is meant: where an endpoint enforces no schema, a verdict comes as `YES.`, `1` or "yes, because …".

What names no verdict, or more than one, is not guessed at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flowbot.fields import Field, ValueMismatch
from flowbot.lm.answers import read_values
from flowbot.lm.mending import mended, unfenced
from flowbot.task import Judge

_AROUND = " \t\r\n.,;:!*_`\"'()[]“”„’"
_VERDICT = r"(?:(?:final )?(?:verdict|score|rating|judge?ment)(?: is)?\W{1,6}|^(?:final )?answer\W{0,3}:\W{0,3})"
"""What a verdict follows. "The answer is …" may tell of the answer that is judged; a line that begins with "Answer:" does not."""
_NAMES = ("verdict", "score", "rating", "answer", "judgment", "judgement", "result")
_REASONS = ("reason", "reasoning", "explanation", "why", "rationale", "feedback")
_MEANS = {
    **dict.fromkeys(("true", "correct", "pass", "passed", "y"), "yes"),
    **dict.fromkeys(("false", "incorrect", "fail", "failed", "n"), "no"),
}
_NUMBER = re.compile(r"\d{1,4}(?:\.\d{1,4})?")
_FLAGS = re.IGNORECASE | re.MULTILINE
_LEAST_WORDS = 3
_OUT_OF = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/|out of)\s*(\d+)")


def read_verdicts(judge: Judge, text: str, fields: Sequence[Field]) -> dict[str, Any]:
    """A reply's values for `fields`, which are those of `judge.reply_fields`.

    Raises:
        ValueMismatch: as `read_values`, if a criterion has no verdict that can be told.
    """
    try:
        return read_values(text, fields)
    except ValueMismatch as error:
        found = _object(text)
        if len(judge.criteria) == 1:
            values = _decided(judge, text if found is None else found)
        else:
            each = {field.name: _decided(judge, (found or {}).get(field.name)) for field in fields}
            values = None if None in each.values() else each
        if values is None:
            raise error
        return values


def verdict_in(judge: Judge, said: Any) -> str | None:
    """The verdict that a value or a text names; None if it names none, or several.

    A number that is no verdict's name is what the verdict is worth: 1 is the best, 0 the worst.
    """
    if isinstance(said, bool):
        return verdict_in(judge, "true" if said else "false") or verdict_in(judge, int(said))
    if isinstance(said, int | float):
        return _by_name(judge, f"{said:g}") or next((name for name, worth in judge.scale if worth == said), None)
    if not isinstance(said, str):
        return None
    text = said.strip(_AROUND)
    if (found := _by_name(judge, text)) or not text:
        return found
    if (share := _OUT_OF.fullmatch(text)) and share[2] in (judge.verdicts[-1], "1"):
        text = share[1]
    if _NUMBER.fullmatch(text):
        return verdict_in(judge, float(text))
    options = "|".join(re.escape(each) for each in sorted([*judge.verdicts, *_MEANS], key=len, reverse=True))
    ends = r"(?=\W*\Z|[*_\"'`]*(?:[.,;:!\n]|\s+(?:because|since|[-–—])))"
    named = re.findall(rf"\b{_VERDICT}({options})\b", text, _FLAGS)
    named += re.findall(r"\banswer is (correct|incorrect)(?=\W*\Z|[.;!\n])", text, _FLAGS)
    if leading := re.match(rf"{_VERDICT}?({options}){ends}", text, _FLAGS):
        rest = text[leading.end() :]  # "Correct: no", or "1 - 5": it names another at once
        beside = re.match(rf"[*_\"'`]*:\W*({options})\b|\W*({options})\W*\Z", rest, _FLAGS)
        named += [leading[1], *(each for each in (beside.groups() if beside else ()) if each)]
    told = {_by_name(judge, each) for each in named}
    return told.pop() if len(told) == 1 else None


def _by_name(judge: Judge, text: str) -> str | None:
    folded = {each.casefold(): each for each in judge.verdicts}
    said = text.casefold()
    return folded.get(said) or folded.get(_MEANS.get(said, said))


def _decided(judge: Judge, given: Any) -> dict[str, Any] | None:
    """Reason and verdict in what is said of one criterion; None if it names no verdict."""
    if isinstance(given, Mapping):
        members = {str(name).casefold(): value for name, value in cast("Mapping[Any, Any]", given).items()}
        said = next((members[name] for name in _NAMES if name in members), None)
        reason = next((members[name] for name in _REASONS if isinstance(members.get(name), str)), "")
    else:
        said, reason = given, given if isinstance(given, str) else ""
    verdict = verdict_in(judge, said)
    if verdict is None:
        return None
    if said is reason and len(reason.split()) < _LEAST_WORDS:
        reason = ""  # the verdict stands alone
    return {"reason": reason, "verdict": verdict}


def _object(text: str) -> dict[str, Any] | None:
    body = unfenced(text)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = mended(body) if "{" in body else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
