"""A judge: what a model is to say of an answer, as data. It is asked by `flowbot.runtime`; no model is known here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from flowbot.fields import UserError, stable_hash
from flowbot.fields.numbers import is_number
from flowbot.fields.words import kind_of

from .mapping import mapping, placed

MOST_CRITERIA = 12
"""The most criteria of one judge: they are asked about in one question."""
MOST_REPEATS = 20
"""The most times that one answer is judged."""
MOST_WEIGHT = 1e9
"""The largest weight: so many more times than one of 1 nothing else would count."""
SCALE: tuple[tuple[str, float], ...] = (("no", 0.0), ("partly", 0.5), ("yes", 1.0))
"""The verdicts, unless the user names others: does the answer do what the criterion asks?"""
_NAME = 40

Rubric = str | Sequence[Any] | Mapping[str, Any]
"""One text; a list of criteria, each a text or `{name, text, weight}`; or `{name: text}`."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that a judge decides.

    Args:
        name: of the part of the score; unique in its judge.
        text: what a good answer does, for the model.
        weight: its share of the score, beside the others' weights.
    """

    name: str
    text: str
    weight: float = 1.0


@dataclass(frozen=True, init=False)
class Judge:
    """A model that scores answers by a rubric.

        >>> fb.Judge(["The reply answers the question.", "It is polite."], model="openai/gpt-4.1", repeats=3)

    Args of the constructor:
        rubric: what a good answer does; see `Rubric`.
        model: model string of the judge; None: what the run says (`--judge-model`), else its meta model, else its task
            model.
        repeats: how often each answer is judged. Once is asked at temperature 0; several times at a higher one, and
            the mean counts.
        scale: the verdicts: `{verdict: value}` with the best worth 1, or a list of them, the worst first.

    Attributes:
        criteria: the rubric, at least one.
        scale: (verdict, value), the worst first; see `SCALE`.
        place: where it stands in a task's file, which may name no model that the user does not; "" of one made in Python.

    Raises:
        UserError: for anything wrong in what was given, naming the place from `judge` on.
    """

    criteria: tuple[Criterion, ...]
    model: str | None
    repeats: int
    scale: tuple[tuple[str, float], ...]
    place: str = field(default="", compare=False, repr=False)

    def __init__(
        self,
        rubric: Rubric,
        *,
        model: str | None = None,
        repeats: int = 1,
        scale: Mapping[Any, float] | Sequence[Any] | None = None,
    ) -> None:
        _check_calls(model, repeats)
        for name, value in {
            "criteria": _criteria(rubric),
            "model": model,
            "repeats": repeats,
            "scale": SCALE if scale is None else _scale(scale),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def identity(self) -> str:
        """Equal for judges that are asked the same."""
        criteria = [[each.name, each.text, each.weight] for each in self.criteria]
        return f"judge@{stable_hash([criteria, self.model, self.repeats, self.scale])}"

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The names of the scale, the worst first."""
        return tuple(name for name, _ in self.scale)

    def value(self, verdicts: Mapping[str, str]) -> float:
        """The score of one verdict on each criterion, by the criteria's names and weights."""
        worth = dict(self.scale)
        total = sum(each.weight for each in self.criteria)
        return min(1.0, sum(each.weight * worth[verdicts[each.name]] for each in self.criteria) / total)


def read_judge(value: Any, where: str) -> Judge:
    """A judge as it stands in a task file: `{rubric, model, repeats, scale}`, or the rubric's text alone.

    Raises:
        UserError: naming `where` (the judge's place) and what in it is wrong.
    """
    known = ("rubric", "model", "repeats", "scale")
    data: dict[str, Any] = {"rubric": value} if isinstance(value, str) else mapping(value, where, known)
    if "rubric" not in data:
        raise UserError(where, "no 'rubric'", "what a good answer does, in words")
    with placed("judge", where):
        judge = Judge(**data)
    object.__setattr__(judge, "place", where)
    return judge


def weight_of(value: object, where: str) -> float:
    """A weight.

    Raises:
        UserError: naming `where`, if it is no number above 0, or above `MOST_WEIGHT`.
    """
    if not is_number(value) or not 0 < value <= MOST_WEIGHT:
        raise UserError(where, f"{value!r:.40}", f"a number above 0, at most {MOST_WEIGHT:.0e}")
    return float(value)


def _check_calls(model: object, repeats: object) -> None:
    if model is not None and not (isinstance(model, str) and "/" in model):
        raise UserError("judge.model", repr(model), "a model string, such as openai/gpt-4.1-mini")
    if isinstance(repeats, bool) or not isinstance(repeats, int) or not 1 <= repeats <= MOST_REPEATS:
        raise UserError("judge.repeats", repr(repeats), f"a whole number from 1 to {MOST_REPEATS}")


def _criteria(rubric: object) -> tuple[Criterion, ...]:
    where = "judge.rubric"
    if isinstance(rubric, str):
        return (Criterion("rubric", _text(rubric, where)),)
    if isinstance(rubric, Mapping):
        named = cast("Mapping[object, object]", rubric)
        listed = [_named(name, each, f"{where}.{name}") for name, each in named.items()]
    elif isinstance(rubric, Sequence):
        items = cast("Sequence[object]", rubric)
        listed = [_criterion(each, f"{where}[{index}]") for index, each in enumerate(items)]
    else:
        raise UserError(where, kind_of(rubric), "a text, or a list of criteria")
    if not 1 <= len(listed) <= MOST_CRITERIA:
        raise UserError(where, f"{len(listed)} criteria", f"1 to {MOST_CRITERIA}")
    names = Counter(each.name for each in listed)
    twice = next((name for name, times in names.items() if times > 1), None)
    if twice is not None:
        raise UserError(where, f"the criterion {twice!r} twice", "each name once; {name: NAME, text: TEXT} gives one")
    return tuple(listed)


def _criterion(value: object, where: str) -> Criterion:
    if isinstance(value, Criterion):
        return value
    if isinstance(value, str):
        text = _text(value, where)
        return Criterion(text if len(text) <= _NAME else text[: _NAME - 1].rstrip() + "…", text)
    data = mapping(value, where, ("name", "text", "weight"))
    if "name" not in data and "text" not in data:
        raise UserError(where, "neither name nor text", "what a good answer does")
    text = _text(data.get("text", data.get("name")), f"{where}.text")
    own = _criterion(text, where).name if "name" not in data else _text(data["name"], f"{where}.name")
    return Criterion(own, text, weight_of(data.get("weight", 1), f"{where}.weight"))


def _named(name: object, value: object, where: str) -> Criterion:
    """A criterion under its name: its text, or `{text, weight}`."""
    data = {"text": value} if isinstance(value, str) else mapping(value, where, ("text", "weight"))
    return _criterion({"name": name, "text": name, **data}, where)


def _scale(values: object) -> tuple[tuple[str, float], ...]:
    where = "judge.scale"
    if isinstance(values, Mapping):
        pairs = list(cast("Mapping[object, object]", values).items())
    elif isinstance(values, Sequence) and not isinstance(values, str):
        names = cast("Sequence[object]", values)
        pairs = [(name, index / max(1, len(names) - 1)) for index, name in enumerate(names)]
    else:
        raise UserError(where, kind_of(values), "{verdict: value}, or a list of verdicts, the worst first")
    found: dict[str, float] = {}
    for name, value in pairs:
        label = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
        verdict = _text(label, where)
        if verdict in found:
            raise UserError(where, f"{verdict!r} twice", "each verdict once")
        if not is_number(value) or not 0 <= value <= 1:
            raise UserError(f"{where}.{verdict}", repr(value), "a number from 0 to 1")
        found[verdict] = float(value)
    if len(found) < 2 or max(found.values()) != 1 or min(found.values()) == 1:
        raise UserError(where, str(dict(found)), "two or more verdicts, the best worth 1 and another less")
    return tuple(sorted(found.items(), key=lambda pair: pair[1]))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(where, kind_of(value), "a text")
    if not value.strip():
        raise UserError(where, "nothing", "a text")
    return " ".join(value.split()) if "\n" not in value.strip() else value.strip()
