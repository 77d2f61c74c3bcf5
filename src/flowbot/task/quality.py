"""What a task's examples are like, and what in them is worth a second look although nothing is wrong.

An output with few different values is called a label here: a class, a yes or no, a rating.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.fields import Field, canonical_json
from flowbot.fields.forms import look_alike, plain_form
from flowbot.fields.words import as_text, count, cut, some

from .delimited import is_spreadsheet_error
from .example import Example
from .leaks import leak
from .splits import SPLITS, Split

LABELS = 30
"""Different values that a label has at most."""
GRADES = 7
"""The same for numbers: a grade is a label, an amount is not."""
REPEATED = 4
"""How often each value of a label occurs at least, in the mean."""
SHOWN = 3
"""Places that one remark names."""
_LEAST = 5
"""Examples below which nothing is said of what they have in common."""
_LONG = 40

Rows = Mapping[Split, Sequence[Example]]
_InSplit = tuple[Split, Example]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something worth a second look: where, what is seen, and what to do about it. Each part is one line."""

    where: str
    what: str
    mend: str

    def dump(self) -> dict[str, str]:
        """As JSON data."""
        return {"where": self.where, "what": self.what, "mend": self.mend}


def remarks_on(rows: Rows, inputs: Sequence[Field], outputs: Sequence[Field]) -> list[Remark]:
    """Remarks on the examples of a task.

    Args:
        rows: by split.
        inputs: the task's inputs.
        outputs: the task's outputs.
    """
    by_split: list[_InSplit] = [(split, row) for split in SPLITS for row in rows.get(split, ())]
    every = [row for _, row in by_split]
    remarks = [*_empty_inputs(every, inputs), *_contradictions(by_split), *_nearly_equal(by_split)]
    remarks += [*_leaks(every, inputs, outputs), *_spreadsheet_errors(every, outputs)]
    for field in outputs:
        remarks += _label(rows, field)
    return remarks


def commonest(examples: Iterable[Example]) -> tuple[Mapping[str, Any], float] | None:
    """The expected outputs that occur most often, the first of equals, and their share; None without any."""
    seen: dict[str, Mapping[str, Any]] = {}
    times: Counter[str] = Counter()
    for row in examples:
        if row.expected:
            key = canonical_json(row.expected)
            seen.setdefault(key, row.expected)
            times[key] += 1
    if not times:
        return None
    key, most = times.most_common(1)[0]
    return seen[key], most / times.total()


def short(value: Any) -> str:
    """A value on one short line, as JSON but for texts."""
    return cut(" ".join(as_text(value).split()), _LONG)


def places(rows: Sequence[Example]) -> str:
    """The first places by the names of their files, and how many more."""
    return some([_place(row) for row in rows], SHOWN)


def _empty_inputs(rows: Sequence[Example], inputs: Sequence[Field]) -> list[Remark]:
    remarks: list[Remark] = []
    for field in inputs:
        values = [row.inputs[field.name] for row in rows]
        blank = [row for row in rows if _is_blank(row.inputs[field.name])]
        if blank and len(blank) == len(rows):
            remarks.append(Remark(f"input {field.name}", "empty in every row", "fill it in, or leave the field out"))
        elif blank:
            what = f"empty in {len(blank):,} of {len(rows):,} rows ({places(blank)})"
            remarks.append(Remark(f"input {field.name}", what, "fill it in, or leave these rows out"))
        elif len(rows) >= _LEAST and len({canonical_json(value) for value in values}) == 1:
            what = f"the same in every row: {short(values[0])}"
            mend = "leave the field out, and say what is always so in the goal"
            remarks.append(Remark(f"input {field.name}", what, mend))
    return remarks


def _contradictions(rows: Sequence[_InSplit]) -> list[Remark]:
    """Rows with equal inputs and different expected outputs."""
    found = _like_another(
        rows, lambda row: canonical_json(row.inputs), lambda one, other: one[1].expected != other[1].expected
    )
    what = (
        f"{count(len(found), 'row has', 'rows have')} the inputs of another and other expected outputs: {_pairs(found)}"
    )
    return [Remark("data", what, "decide which is right: no workflow can be right on both")] if found else []


def _nearly_equal(rows: Sequence[_InSplit]) -> list[Remark]:
    """Rows of two splits whose inputs differ in case and blanks alone."""
    found = _like_another(
        rows,
        lambda row: " ".join(canonical_json(row.inputs).replace("\\n", " ").casefold().split()),
        lambda one, other: one[0] != other[0] and one[1].inputs != other[1].inputs,
    )
    many = count(len(found), "row differs", "rows differ")
    what = f"{many} from a row of another split in case or blanks alone: {_pairs(found)}"
    mend = "leave one of each pair out: what is learned from one answers the other"
    return [Remark("data", what, mend)] if found else []


def _like_another(
    rows: Sequence[_InSplit], key: Callable[[Example], str], differ: Callable[[_InSplit, _InSplit], bool]
) -> list[tuple[Example, Example]]:
    """The first row of each key, and every other one of it that differs from that."""
    first: dict[str, _InSplit] = {}
    both = [(first.setdefault(key(each[1]), each), each) for each in rows]
    return [(one[1], other[1]) for one, other in both if differ(one, other)]


def _leaks(rows: Sequence[Example], inputs: Sequence[Field], outputs: Sequence[Field]) -> list[Remark]:
    """Inputs that tell an output: the score would be of a question that nobody asks."""
    if len(inputs) < 2:
        return []  # what the only input tells is what the task is about
    remarks: list[Remark] = []
    for field in inputs:
        given = [row.inputs[field.name] for row in rows]
        for output in outputs:
            how = leak(given, [row.expected.get(output.name) for row in rows])
            if how:
                mend = "leave it out of the inputs, unless a workflow in use will have it before the answer is known"
                remarks.append(Remark(f"input {field.name}", f"a leak: it {how} ({output.name})", mend))
    return remarks


def _spreadsheet_errors(rows: Sequence[Example], outputs: Sequence[Field]) -> list[Remark]:
    """Outputs that expect what a spreadsheet says where it could not compute a cell."""
    found = {
        field.name: [row for row in rows if is_spreadsheet_error(row.expected.get(field.name))] for field in outputs
    }
    return [
        Remark(
            f"output {name}",
            f"a spreadsheet's error such as {bad[0].expected[name]} is expected ({places(bad)})",
            "mend the cells, or leave these rows out",
        )
        for name, bad in found.items()
        if bad
    ]


def _label(rows: Rows, field: Field) -> list[Remark]:
    """Remarks on the values of one output, if it is a label, a list of labels, or always the same."""
    by_split: dict[Split, list[tuple[str, Example]]] = defaultdict(list)
    for split in SPLITS:
        for row in rows.get(split, ()):
            if field.name in row.expected:
                by_split[split].append((canonical_json(row.expected[field.name]), row))
    values = Counter(value for pairs in by_split.values() for value, _ in pairs)
    where = f"output {field.name}"
    if values.total() < _LEAST:
        return []
    if len(values) == 1:
        what = f"the same in every row: {_said(next(iter(values)))}"
        return [Remark(where, what, "a workflow that always says this is right: nothing can be learned or shown")]
    if not _is_label(field, values):
        return _alike(where, field.type.item.options) if field.type.item else []
    new = [] if field.type.kind == "int" else _unseen(where, by_split)  # a number may well be worked out
    texts = [text for value in values if isinstance(text := json.loads(value), str)]
    return [*_alike(where, field.type.options or sorted(texts)), *new, *_missing(where, field, values)]


def _alike(where: str, labels: Sequence[str]) -> list[Remark]:
    """Labels that one takes for the same."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[look_alike(label)].append(label)
    told = [_told_apart(group) for group in groups.values() if len(group) > 1]
    if not told:
        return []
    more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    what = f"{'; '.join(told[:SHOWN])}{more}: they differ in case, blanks or form alone"
    return [Remark(where, what, "write each label in one way, unless they mean different things")]


def _told_apart(labels: Sequence[str]) -> str:
    """Labels in quotes, with codes for what cannot be seen otherwise."""
    seen = {plain_form(repr(label)) for label in labels}
    return " and ".join(map(repr if len(seen) == len(labels) else ascii, labels))


def _unseen(where: str, by_split: Mapping[Split, Sequence[tuple[str, Example]]]) -> list[Remark]:
    """Values of validation and test that no training row has."""
    train = {value for value, _ in by_split.get("train", ())}
    new: dict[str, list[Example]] = defaultdict(list)
    for split in ("val", "test"):
        for value, row in by_split.get(split, ()):
            if train and value not in train:
                new[value].append(row)
    if not new:
        return []
    where_found = places([row for rows in new.values() for row in rows])
    what = (
        f"{some([_said(value) for value in new], SHOWN)} in validation or test and in no training row ({where_found})"
    )
    return [Remark(where, what, "move rows, so that every value can be learned from; or split one file by `split:`")]


def _missing(where: str, field: Field, values: Mapping[str, int]) -> list[Remark]:
    """Options of the type that no row has."""
    named = {canonical_json(option): option for option in field.type.options}
    never = [option for key, option in named.items() if key not in values]
    if not never:
        return []
    told = ", ".join(never[:LABELS])
    return [Remark(where, f"no row expects {told}", "add rows that do, or leave the option out of the type")]


def _is_label(field: Field, values: Counter[str]) -> bool:
    if field.type.kind in ("bool", "literal"):
        return True
    most = {"str": LABELS, "int": GRADES}.get(field.type.kind, 0)
    return len(values) <= most and values.total() >= REPEATED * len(values)


def _is_blank(value: Any) -> bool:
    return value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def _said(key: str) -> str:
    """A value by its JSON, texts without quotes."""
    return short(json.loads(key))


def _place(row: Example) -> str:
    """Where a row stands, without the folder."""
    return row.place.rpartition("/")[2]


def _pairs(pairs: Sequence[tuple[Example, Example]]) -> str:
    return "; ".join(f"{_place(one)} and {_place(other)}" for one, other in pairs[:SHOWN])
