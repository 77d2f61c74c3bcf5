"""The thoughts that models write before their answer, in the marks of the families whose servers leave them in the text."""

from __future__ import annotations

import json
import re

_BLANK = r"[\s\u200b-\u200d\u2060\ufeff]"
_TAGS = r"think|thinking|thoughts?|reasoning|seed:think"
_PAIRS = (
    (rf"<(?P<tag>{_TAGS})>", r"</(?P=tag)>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    (r"◁think▷", r"◁/think▷"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
)
_FLAGS = re.DOTALL | re.IGNORECASE
_OPENED = tuple(re.compile(rf"{begins}(?:.*?(?P<end>{ends}))?", _FLAGS) for begins, ends in _PAIRS)
_OPENS = re.compile(rf"<(?:{_TAGS})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|START_THINKING\|>", _FLAGS)
_CLOSES = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|END_THINKING\|>", _FLAGS)
_SOLUTION = re.compile(
    r"<\|(?:begin_of_solution|START_RESPONSE)\|>(.*?)(?:<\|(?:end_of_solution|END_RESPONSE)\|>|\Z)", re.DOTALL
)
_CHANNELS = re.compile(r"(?:<\|start\|>assistant)?(?:<\|channel\|>|(?:analysis|final)<\|message\|>)")
_FINAL = re.compile(
    r"(?:<\|channel\|>)?final\b[^<]{0,80}(?:<\|constrain\|>\w+)?<\|message\|>(.*?)(?=<\|(?:return|end|start|channel)\|>|\Z)",
    re.DOTALL,
)
_FINAL_WITHOUT_MARKS = re.compile(r"analysis(?=[^a-z\s]).*assistantfinal(.*)", re.DOTALL)
"""What is left of channels where a server takes the marks alone."""
_SPOKEN_OF_BEFORE = re.compile(r"(?:[`\"'(\[{«“‘]|^[ \t]*(?:[-*+|]|\d+[.)])[ \t]*)\Z", re.MULTILINE)
_SPOKEN_OF_AFTER = re.compile(r"[ \t]*(?:\||</)|`(?!``)|[\"'.,;:)\]}»”’]")
"""What stands beside a mark that is quoted, named in a sentence, listed, or part of other markup."""
_BEGINS = re.compile(rf"{_BLANK}*")


def without_thought(text: str) -> str:
    """A reply without the thoughts before it; "" where it holds nothing else. Marks that a text only speaks of stay."""
    text = _stripped(text)
    if not may_hold_thought(text):
        return text
    if _CHANNELS.match(text):
        answers = _FINAL.findall(text)
        return _stripped(answers[-1]) if answers else ""
    if unmarked := _FINAL_WITHOUT_MARKS.match(text):
        return _stripped(unmarked[1])
    while opened := next((found for pattern in _OPENED if (found := pattern.match(text))), None):
        if opened["end"] is None:
            return ""
        text = _stripped(text[opened.end() :])
    closed = _CLOSES.search(text)
    if closed is not None and not _is_json(text) and _ends_thought(text[: closed.start()], text[closed.end() :]):
        # Where a chat template has opened the thought itself, the reply begins within it.
        text = _stripped(text[closed.end() :])
    solution = _SOLUTION.match(text)
    return _stripped(solution[1]) if solution else text


def may_hold_thought(text: str) -> bool:
    """Whether any of what each mark has is there: most texts have none."""
    return "<" in text or "[" in text or "◁" in text or "assistantfinal" in text


def _ends_thought(before: str, after: str) -> bool:
    """Whether a closing mark without an opening one ends a thought, and does not stand in a sentence, code or a table about it."""
    if _OPENS.search(before) or _SPOKEN_OF_BEFORE.search(before) or _SPOKEN_OF_AFTER.match(after):
        return False
    if before.count("```") % 2 and after.count("```") % 2:
        return False
    if not before.rstrip(" ").endswith("\n") and before[-1:].isspace() and before.strip():
        rest = after.lstrip(" ")
        # "… </think> tags": a word goes on.
        return rest[:1] == "\n" or (bool(rest) and not rest[0].islower() and rest[0] not in ".,;:)")
    return True


def _is_json(text: str) -> bool:
    """Whether the text is JSON, all of it: a mark within is part of what it says."""
    try:
        return text[:1] in ("{", "[") and json.loads(text) is not None
    except (ValueError, RecursionError):
        return False


def _stripped(text: str) -> str:
    """Without blanks at the ends, those without a width too."""
    if text.isascii():
        return text.strip()
    begins = _BEGINS.match(text)
    return text[begins.end() if begins else 0 :].rstrip(" \t\r\n\v\f\u200b\u200c\u200d\u2060\ufeff").strip()
