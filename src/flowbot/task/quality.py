"""What a task's examples are like, and what in them is worth a second look although nothing is wrong.

An output with few different values is called a label here: a class, a yes or no, a rating.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    in_split: list[_InSplit] = [(split, row) for split in SPLITS for row in rows.get(split, ())]
    every = [row for _, row in in_split]
    return [
        *_inputs(every, inputs),
        *_contradictions(in_split),
        *_nearly_equal(in_split),
        *_leaks(every, inputs, outputs),
        *_spreadsheet_errors(every, outputs),
        *(remark for field in outputs for remark in _label(in_split, field)),
    ]


def commonest(examples: Sequence[Example]) -> tuple[Mapping[str, Any], float] | None:
    """The expected outputs that occur most often, the first of equals, and their share; None without any."""
    known = {canonical_json(row.expected): row.expected for row in examples if row.expected}
    times = Counter(canonical_json(row.expected) for row in examples if row.expected)
    if not times:
        return None
    key, most = times.most_common(1)[0]
    return known[key], most / times.total()


def short(value: Any) -> str:
    """A value on one short line, as JSON but for texts."""
    return cut(" ".join(as_text(value).split()), _LONG)


def places(rows: Sequence[Example]) -> str:
    """The first places by the names of their files, and how many more."""
    return some([_place(row) for row in rows], SHOWN)


def _inputs(rows: Sequence[Example], inputs: Sequence[Field]) -> Iterator[Remark]:
    """Inputs that are empty, or say nothing."""
    for field in inputs:
        where = f"input {field.name}"
        blank = [row for row in rows if _is_blank(row.inputs[field.name])]
        if blank and len(blank) == len(rows):
            yield Remark(where, "empty in every row", "fill it in, or leave the field out")
        elif blank:
            what = f"empty in {len(blank):,} of {len(rows):,} rows ({places(blank)})"
            yield Remark(where, what, "fill it in, or leave these rows out")
        elif len(rows) >= _LEAST and len({canonical_json(row.inputs[field.name]) for row in rows}) == 1:
            what = f"the same in every row: {short(rows[0].inputs[field.name])}"
            yield Remark(where, what, "leave the field out, and say what is always so in the goal")


def _contradictions(rows: Sequence[_InSplit]) -> Iterator[Remark]:
    """Rows with equal inputs and different expected outputs."""
    found = [
        (one, other)
        for (_, one), (_, other) in _like_another(rows, lambda row: canonical_json(row.inputs))
        if one.expected != other.expected
    ]
    if found:
        many = count(len(found), "row has", "rows have")
        what = f"{many} the inputs of another and other expected outputs: {_pairs(found)}"
        yield Remark("data", what, "decide which is right: no workflow can be right on both")


def _nearly_equal(rows: Sequence[_InSplit]) -> Iterator[Remark]:
    """Rows of two splits whose inputs differ in case and blanks alone."""

    def folded(row: Example) -> str:
        return " ".join(canonical_json(row.inputs).replace("\\n", " ").casefold().split())

    found = [
        (one, other)
        for (split, one), (other_split, other) in _like_another(rows, folded)
        if split != other_split and one.inputs != other.inputs
    ]
    if found:
        many = count(len(found), "row differs", "rows differ")
        what = f"{many} from a row of another split in case or blanks alone: {_pairs(found)}"
        yield Remark("data", what, "leave one of each pair out: what is learned from one answers the other")


def _like_another(rows: Sequence[_InSplit], key: Callable[[Example], str]) -> Iterator[tuple[_InSplit, _InSplit]]:
    """The first row of each key, beside each row of that key."""
    first: dict[str, _InSplit] = {}
    return ((first.setdefault(key(each[1]), each), each) for each in rows)


def _leaks(rows: Sequence[Example], inputs: Sequence[Field], outputs: Sequence[Field]) -> Iterator[Remark]:
    """Inputs that tell an output: the score would be of a question that nobody asks."""
    for field in inputs if len(inputs) > 1 else ():  # what the only input tells is what the task is about
        values = [row.inputs[field.name] for row in rows]
        for output in outputs:
            if how := leak(values, [row.expected.get(output.name) for row in rows]):
                mend = "leave it out of the inputs, unless a workflow in use will have it before the answer is known"
                yield Remark(f"input {field.name}", f"a leak: it {how} ({output.name})", mend)


def _spreadsheet_errors(rows: Sequence[Example], outputs: Sequence[Field]) -> Iterator[Remark]:
    """Outputs that expect what a spreadsheet says where it could not compute a cell."""
    for name in (field.name for field in outputs):
        if bad := [row for row in rows if is_spreadsheet_error(row.expected.get(name))]:
            what = f"a spreadsheet's error such as {bad[0].expected[name]} is expected ({places(bad)})"
            yield Remark(f"output {name}", what, "mend the cells, or leave these rows out")


def _label(rows: Sequence[_InSplit], field: Field) -> Iterator[Remark]:
    """Remarks on the values of one output, if it is a label, a list of labels, or always the same."""
    values = [
        (canonical_json(row.expected[field.name]), split, row) for split, row in rows if field.name in row.expected
    ]
    times = Counter(value for value, _, _ in values)
    where = f"output {field.name}"
    if times.total() < _LEAST:
        return
    if len(times) == 1:
        what = f"the same in every row: {_said(values[0][0])}"
        yield Remark(where, what, "a workflow that always says this is right: nothing can be learned or shown")
        return
    if not _is_label(field, times):
        yield from _alike(where, field.type.item.options if field.type.item else ())
        return
    texts = [text for value in times if isinstance(text := json.loads(value), str)]
    yield from _alike(where, field.type.options or sorted(texts))
    learned = {value for value, split, _ in values if split == "train"}
    if learned and field.type.kind != "int":  # a number may well be worked out
        yield from _unseen(where, [(value, row) for value, _, row in values if value not in learned])
    never = [option for option in field.type.options if canonical_json(option) not in times]
    if never:
        yield Remark(
            where,
            f"no row expects {', '.join(never[:LABELS])}",
            "add rows that do, or leave the option out of the type",
        )


def _alike(where: str, labels: Sequence[str]) -> Iterator[Remark]:
    """Labels that one takes for the same."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[look_alike(label)].append(label)
    told = [_told_apart(group) for group in groups.values() if len(group) > 1]
    if told:
        more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        what = f"{'; '.join(told[:SHOWN])}{more}: they differ in case, blanks or form alone"
        yield Remark(where, what, "write each label in one way, unless they mean different things")


def _told_apart(labels: Sequence[str]) -> str:
    """Labels in quotes, with codes for what cannot be seen otherwise."""
    seen = {plain_form(repr(label)) for label in labels}
    return " and ".join(map(repr if len(seen) == len(labels) else ascii, labels))


def _unseen(where: str, held_out: Sequence[tuple[str, Example]]) -> Iterator[Remark]:
    """Values of validation and test that no training row has, each with the rows that have it."""
    if held_out:
        values = list(dict.fromkeys(value for value, _ in held_out))
        rows = [row for value in values for other, row in held_out if other == value]
        told = some([_said(value) for value in values], SHOWN)
        what = f"{told} in validation or test and in no training row ({places(rows)})"
        yield Remark(where, what, "move rows, so that every value can be learned from; or split one file by `split:`")


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
