"""How the rows of a form are read: what in them is an input, what is expected, and what stands beside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from flowbot.fields import canonical_json

Values = Mapping[str, Any]
NOTHING: Values = {}
_NAMES_AN_ANSWER = ("equals", "contains", "icontains", "starts-with", "similar", "factuality")
_CHECK = re.compile(
    r"((?:not-)?(?:equals|contains(?:-any|-all|-json)?|icontains(?:-any|-all)?|starts-with|regex|is-json|similar|levenshtein"
    r"|rouge-n|factuality|latency|cost|python|javascript|fn|eval|grade|llm-rubric|model-graded-closedqa|g-eval"
    r"|answer-relevance))(?:\([\d.]+\))?:\s*(.*)\Z",
    re.DOTALL,
)
"""An assertion as a cell of a table has it: `contains: Paris`, `similar(0.8): text`; any other text is what is equal."""
_KEPT = ("id", "external_id", "status", "inserted_at", "updated_at", "vectors")
"""Columns of a flattened record that are neither given nor wanted."""
_RUBRICS = ("llm-rubric", "grade", "model-graded-closedqa", "g-eval")


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A row of an export, as a row of a task.

    Args:
        inputs: what may be an input.
        expected: what is expected, None where it is not known.
        extra: what is neither.
        prompt: the prompt that goes with it, as a list of messages in JSON.
        metric: how its answer is to be compared, "" where the form does not say.
    """

    inputs: Values = field(default_factory=dict[str, Any])
    expected: Values = field(default_factory=dict[str, Any])
    extra: Values = field(default_factory=dict[str, Any])
    prompt: str = ""
    metric: str = ""


Reader = Callable[[Sequence[Values]], list[list[ExportRow]]]
"""The rows of a task that the rows of a file make: several or none for each."""


def each_row(read: Callable[[Values], ExportRow]) -> Reader:
    """The reader of a form in which each row makes one, whatever the others are."""
    return lambda rows: [[read(row)] for row in rows]


def objects(value: Any) -> list[Values]:
    """The objects of a list; none of what is no list."""
    listed = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Values", each) for each in listed if isinstance(each, Mapping)]


def mapping(value: Any) -> Values:
    """An object as it is, an empty one for anything else."""
    return cast("Values", value) if isinstance(value, Mapping) else NOTHING


def as_list(value: Any) -> list[Any]:
    """A list as it is, a value as a list of one, nothing as an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else [] if value is None else [value]


def only(row: Values, *names: str) -> dict[str, Any]:
    """These columns of the row alone."""
    return {name: value for name, value in row.items() if name in names}


def without(row: Values, *names: str) -> dict[str, Any]:
    """The row without these columns."""
    return {name: value for name, value in row.items() if name not in names}


def by_columns(input_names: Sequence[str], expected_names: Sequence[str]) -> Reader:
    """Rows as they are, columns by these names; "a|b" is either, what is in none is beside."""

    @each_row
    def read(row: Values) -> ExportRow:
        inputs = {name: row[name] for each in input_names for name in each.split("|") if name in row}
        outputs = {name: _single(row[name]) for each in expected_names for name in each.split("|") if name in row}
        return ExportRow(inputs, outputs, without(row, *inputs, *outputs))

    return read


@each_row
def promptfoo(row: Values) -> ExportRow:
    """Tests with variables and assertions."""
    checks = [each for each in objects(row.get("assert")) if isinstance(each.get("value"), str | int | float)]
    told = [(str(each.get("type")), each["value"]) for each in checks]
    return _asserted(row["vars"], told, without(row, "vars", "assert"))


@each_row
def promptfoo_table(row: Values) -> ExportRow:
    """The same in a table: a column for each variable, and assertions in columns that begin with `__`."""
    cells = [str(value) for name, value in row.items() if name.startswith("__expected") and value is not None]
    told = [(found[1], found[2]) if (found := _CHECK.match(cell)) else ("equals", cell) for cell in cells]
    return _asserted({name: value for name, value in row.items() if not name.startswith("__")}, told, {})


def _asserted(inputs: Values, checks: Sequence[tuple[str, Any]], extra: Values) -> ExportRow:
    """A test with its assertions, each a kind and a value."""
    named = [check for check in checks if check[0] in _NAMES_AN_ANSWER]
    metric = "contains" if named and named[0][0].endswith("contains") else ""
    rubrics = "\n".join(str(value) for kind, value in checks if kind in _RUBRICS)
    wanted = {"expected": named[0][1] if named else None}
    return ExportRow(inputs, wanted, {**extra, **({"feedback": rubrics} if rubrics else {})}, metric=metric)


@each_row
def squad(row: Values) -> ExportRow:
    """Questions on a passage, with one or more answers and where they begin; no answer where there is none in it."""
    return _squad_row(row, row, without(row, "context", "question", "answers"))


def squad_articles(rows: Sequence[Values]) -> list[list[ExportRow]]:
    """The same as it is published: articles of paragraphs of questions."""
    return [
        [
            _squad_row(paragraph, question, {"title": row.get("title"), "id": question.get("id")})
            for paragraph in objects(row["paragraphs"])
            for question in objects(paragraph["qas"])
        ]
        for row in rows
    ]


def _squad_row(passage: Values, row: Values, beside: Values) -> ExportRow:
    answers = row.get("answers")
    texts = [each.get("text") for each in objects(answers)] or as_list(mapping(answers).get("text"))
    first = texts[0] if texts else None
    given = {name: held[name] for name, held in (("context", passage), ("question", row)) if name in held}
    return ExportRow(given, {"answer": first}, {**beside, "answers": texts})


def label_studio(rows: Sequence[Values]) -> list[list[ExportRow]]:
    """Tasks with what people annotated; of several annotators the first counts that did not skip."""
    every: list[dict[str, list[Any]]] = []
    for row in rows:
        annotations = objects(row.get("annotations", row.get("completions")))
        held = next((each for each in annotations if not each.get("was_cancelled") and each.get("result")), NOTHING)
        wanted: dict[str, list[Any]] = {}
        for each in objects(held.get("result")):
            if value := _annotated(each):
                wanted.setdefault(str(each.get("from_name", "label")), []).extend(value)
        every.append(wanted)
    # Choices of which no row has several are one; texts that are marked are always a list.
    several = [
        (name, len(value) > 1 or isinstance(value[0], Mapping)) for each in every for name, value in each.items()
    ]
    lists = {name for name, is_list in several if is_list}
    return [
        [
            ExportRow(
                row["data"],
                {name: value if name in lists else _single(value) for name, value in wanted.items()},
                only(row, "id", "meta"),
            )
        ]
        for row, wanted in zip(rows, every, strict=True)
    ]


def _annotated(result: Values) -> list[Any]:
    """What one result says; nothing for boxes and the like, which are no text."""
    value = mapping(result.get("value"))
    for kind in ("choices", "text", "taxonomy"):
        if kind in value and "labels" not in value:
            return [
                " / ".join(map(str, as_list(each))) if isinstance(each, list) else each for each in as_list(value[kind])
            ]
    for kind in ("rating", "number", "datetime"):
        if kind in value:
            return [value[kind]]
    return [{"text": value["text"], "label": each} for each in as_list(value.get("labels"))] if "text" in value else []


@each_row
def argilla(row: Values) -> ExportRow:
    """Records with fields, and people's responses by question or by person."""
    said: dict[str, list[Any]] = {
        name: [one.get("value") for one in objects(each) if _counts(one)]
        for name, each in mapping(row.get("responses")).items()
    }
    for one in filter(_counts, objects(row.get("responses"))):
        for name, each in mapping(one.get("values")).items():
            said.setdefault(name, []).append(mapping(each).get("value", each))
    wanted = {name: _commonest(values) for name, values in said.items()}
    return ExportRow(row["fields"], wanted, only(row, "id", "metadata"))


def argilla_flat(rows: Sequence[Values]) -> list[list[ExportRow]]:
    """The same with a column for each thing."""
    columns = dict.fromkeys(name for row in rows for name in row)
    dotted = [name.removesuffix(".responses") for name in columns if name.endswith(".responses")]
    dashed = [name.removesuffix("-suggestion") for name in columns if name.endswith("-suggestion")]
    asked = {name: f"{name}.responses" for name in dotted} | {name: name for name in dashed if name in columns}
    own = tuple(f"{name}{mark}" for name in asked for mark in (".", "-"))
    found: list[list[ExportRow]] = []
    for row in rows:
        wanted = {name: _responded(row.get(column), row.get(f"{column}.status")) for name, column in asked.items()}
        rest = {name: value for name, value in row.items() if name not in asked and not name.startswith(own)}
        beside = {name: value for name, value in rest.items() if name.startswith(("_", "metadata")) or name in _KEPT}
        found.append([ExportRow(without(rest, *beside), wanted, beside)])
    return found


def _responded(value: Any, states: Any) -> Any:
    """What a cell of responses says: a value, or several people's, of which those count that were handed in."""
    if isinstance(value, Mapping):  # a column of a data set: {"value": [...], "status": [...]}
        value, states = mapping(value).get("value"), mapping(value).get("status")
    if not isinstance(value, list):
        return value
    told = as_list(states) if isinstance(states, list) else []
    every: list[Values] = [
        mapping(each)
        if isinstance(each, Mapping)
        else {"value": each, "status": told[number] if number < len(told) else None}
        for number, each in enumerate(as_list(value))
    ]
    return _commonest([each.get("value") for each in every if _counts(each)])


def _counts(response: Values) -> bool:
    """Whether a response was handed in, neither a draft nor thrown away."""
    return response.get("status") in (None, "submitted")


@each_row
def argilla_old(row: Values) -> ExportRow:
    """Records with one annotation, as the tool's first version has them."""
    inputs = row.get("inputs")
    given = cast("Values", inputs) if isinstance(inputs, Mapping) else {"text": row.get("text", inputs)}
    return ExportRow(given, {"annotation": row.get("annotation")}, only(row, "id", "metadata"))


@each_row
def fields_as_columns(row: Values) -> ExportRow:
    """Records with their fields as columns; what has a name is its name. Which of them is wanted is not said."""
    named = {name: _named(value) for name, value in row["fields"].items()}
    return ExportRow(extra={"id": row.get("key", row.get("id")), **named})


def _named(value: Any) -> Any:
    if isinstance(value, list):
        return [_named(each) for each in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        held = cast("Values", value)
        return next((held[name] for name in ("name", "displayName", "value") if name in held), held)
    return value


def _single(value: Any) -> Any:
    """The one item of a list, or the value; None for an empty list."""
    if not isinstance(value, list):
        return value
    every = as_list(value)
    return every[0] if len(every) == 1 else every or None


def _commonest(values: Sequence[Any]) -> Any:
    """What most say, the first of equals."""
    told = [value for value in values if value is not None]
    times = Counter(map(canonical_json, told))
    return max(told, key=lambda value: times[canonical_json(value)]) if told else None
