"""How the rows of a form are taken: what in them is given, what is wanted, and what stands beside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from flowbot.fields import canonical_json

Values = Mapping[str, Any]
Taker = Callable[[Sequence[Values]], "list[list[Taken]]"]
_SPEAKERS = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
}  # fmt: skip
_NAMES_AN_ANSWER = ("equals", "contains", "icontains", "starts-with", "similar", "factuality")
_KEPT = ("id", "external_id", "status", "inserted_at", "updated_at", "vectors")
"""Columns of a flattened record that are neither given nor wanted."""
_NOTHING: Values = {}
_RUBRICS = ("llm-rubric", "model-graded-closedqa", "g-eval")


@dataclass(frozen=True, slots=True)
class Taken:
    """A row that is taken.

    Args:
        given: what may be an input.
        wanted: what is expected, None where it is not known.
        beside: what is neither.
        prompt: the prompt that goes with it, as a list of messages in JSON.
        metric: how its answer is to be compared, "" where the form does not say.
    """

    given: Values = field(default_factory=dict[str, Any])
    wanted: Values = field(default_factory=dict[str, Any])
    beside: Values = field(default_factory=dict[str, Any])
    prompt: str = ""
    metric: str = ""


def by_columns(given: Sequence[str], wanted: Sequence[str]) -> Taker:
    """Rows that are taken as they are, columns by these names; "a|b" is either, what is in none is beside."""

    def take(rows: Sequence[Values]) -> list[list[Taken]]:
        found: list[list[Taken]] = []
        for row in rows:
            inputs = {name: row[name] for each in given for name in each.split("|") if name in row}
            outputs = {name: _single(row[name]) for each in wanted for name in each.split("|") if name in row}
            found.append([Taken(inputs, outputs, _without(row, *inputs, *outputs))])
        return found

    return take


def chat(column: str, role: str, content: str) -> Taker:
    """Rows with a list of messages: the assistant's last one is wanted, what the user says is given."""

    def take(rows: Sequence[Values]) -> list[list[Taken]]:
        chats = [[(each.get(role), _text_of(each.get(content))) for each in _objects(row.get(column))] for row in rows]
        told = [[("system", row["system"])] if isinstance(row.get("system"), str) else [] for row in rows]
        beside = [_without(row, column, "system") for row in rows]
        return _chats([[*one, *other] for one, other in zip(told, chats, strict=True)], beside)

    return take


def preference(rows: Sequence[Values]) -> list[list[Taken]]:
    """Rows with a preferred answer and another one."""
    names = ("input", "prompt", "question", "chosen", "preferred_output", "rejected", "non_preferred_output")
    chats: list[list[tuple[Any, str | None]]] = []
    for row in rows:
        asked = next((name for name in names[:3] if name in row), "")
        chosen = row.get("chosen", row.get("preferred_output"))
        chats.append([*_said(row.get(asked, []), "user"), *_said(chosen, "assistant")])
    return _chats(chats, [_without(row, *names) for row in rows])


def _said(value: Any, speaker: str) -> list[tuple[Any, str | None]]:
    if isinstance(value, Mapping):
        value = cast("Values", value).get("messages", [value])
    if isinstance(value, list):
        return [(each.get("role"), _text_of(each.get("content"))) for each in _objects(value)]
    return [(speaker, _text_of(value))]


def _chats(chats: Sequence[Sequence[tuple[Any, str | None]]], beside: Sequence[Values]) -> list[list[Taken]]:
    """One input of text where each chat is a question and its answer, else the list of the messages before the answer."""
    spoken = [[(_SPEAKERS.get(str(who).casefold(), str(who)), text) for who, text in each] for each in chats]
    systems = ["\n\n".join(text or "" for who, text in each if who == "system") for each in spoken]
    turns = [[(who, text) for who, text in each if who != "system"] for each in spoken]
    single = all([who for who, _ in each[:-1]] == ["user"] for each in turns if len(each) > 1)
    same = len(set(systems)) == 1
    name = "message" if single else "conversation"
    shown = [{"role": "system", "content": systems[0]}] * bool(same and systems[0])
    prompt = json.dumps([*shown, {"role": "user", "content": f"{{{name}}}"}], ensure_ascii=False) if shown else ""
    found: list[list[Taken]] = []
    for system, each, rest in zip(systems, turns, beside, strict=True):
        answered = len(each) > 1 and each[-1][0] == "assistant"
        before = each[:-1] if answered else each
        said: Any = [{"role": who, "text": text or ""} for who, text in before]
        given: dict[str, Any] = {} if same else {"system": system}
        given[name] = (before[0][1] if before else None) if single else said
        found.append([Taken(given, {"answer": each[-1][1] if answered else None}, rest, prompt)])
    return found


def promptfoo(rows: Sequence[Values]) -> list[list[Taken]]:
    """Tests with variables and assertions."""
    found: list[list[Taken]] = []
    for row in rows:
        checks = [each for each in _objects(row.get("assert")) if isinstance(each.get("value"), str | int | float)]
        named = [each for each in checks if each.get("type") in _NAMES_AN_ANSWER]
        metric = "contains" if named and str(named[0]["type"]).endswith("contains") else ""
        rubrics = [str(each["value"]) for each in checks if each.get("type") in _RUBRICS]
        beside = _without(row, "vars", "assert") | ({"feedback": "\n".join(rubrics)} if rubrics else {})
        found.append([Taken(row["vars"], {"expected": named[0]["value"] if named else None}, beside, metric=metric)])
    return found


def squad(rows: Sequence[Values]) -> list[list[Taken]]:
    """Questions on a passage, with one or more answers and where they begin; no answer where there is none in it."""
    return [[_squad_row(row, row, _without(row, "context", "question", "answers"))] for row in rows]


def squad_articles(rows: Sequence[Values]) -> list[list[Taken]]:
    """The same as it is published: articles of paragraphs of questions."""
    return [
        [
            _squad_row(paragraph, question, {"title": row.get("title"), "id": question.get("id")})
            for paragraph in _objects(row["paragraphs"])
            for question in _objects(paragraph["qas"])
        ]
        for row in rows
    ]


def _squad_row(passage: Values, row: Values, beside: Values) -> Taken:
    answers = row.get("answers")
    texts = [each.get("text") for each in _objects(answers)] or _list(_mapping(answers).get("text"))
    first = texts[0] if texts else None
    given = {name: held[name] for name, held in (("context", passage), ("question", row)) if name in held}
    return Taken(given, {"answer": first}, {**beside, "answers": texts})


def label_studio(rows: Sequence[Values]) -> list[list[Taken]]:
    """Tasks with what people annotated; of several annotators the first counts that did not skip."""
    found: list[Taken] = []
    for row in rows:
        every = _objects(row.get("annotations", row.get("completions")))
        held = next((each for each in every if not each.get("was_cancelled") and each.get("result")), _NOTHING)
        wanted: dict[str, list[Any]] = {}
        for each in _objects(held.get("result")):
            if value := _annotated(each):
                wanted.setdefault(str(each.get("from_name", "label")), []).extend(value)
        beside = {name: value for name, value in row.items() if name in ("id", "meta")}
        found.append(Taken(row["data"], wanted, beside))
    # Choices of which no row has several are one; texts that are marked are always a list.
    lists = {name for each in found for name, value in each.wanted.items() if len(value) > 1}
    lists |= {name for each in found for name, value in each.wanted.items() if isinstance(value[0], Mapping)}
    names = dict.fromkeys(name for each in found for name in each.wanted)
    return [
        [
            Taken(
                each.given,
                {name: each.wanted.get(name) if name in lists else _single(each.wanted.get(name)) for name in names},
                each.beside,
            )
        ]
        for each in found
    ]


def _annotated(result: Values) -> list[Any]:
    """What one result says; nothing for boxes and the like, which are no text."""
    value = _mapping(result.get("value"))
    for kind in ("choices", "text", "taxonomy"):
        if kind in value and "labels" not in value:
            return [
                " / ".join(map(str, _list(each))) if isinstance(each, list) else each for each in _list(value[kind])
            ]
    for kind in ("rating", "number", "datetime"):
        if kind in value:
            return [value[kind]]
    return [{"text": value["text"], "label": each} for each in _list(value.get("labels"))] if "text" in value else []


def argilla(rows: Sequence[Values]) -> list[list[Taken]]:
    """Records with fields, and people's responses by question or by person."""
    found: list[Taken] = []
    for row in rows:
        said: dict[str, list[Any]] = {
            name: [one.get("value") for one in _objects(each) if _counts(one)]
            for name, each in _mapping(row.get("responses")).items()
        }
        for one in filter(_counts, _objects(row.get("responses"))):
            for name, each in _mapping(one.get("values")).items():
                said.setdefault(name, []).append(_mapping(each).get("value", each))
        wanted = {name: _commonest(values) for name, values in said.items()}
        beside = {name: value for name, value in row.items() if name in ("id", "metadata")}
        found.append(Taken(row["fields"], wanted, beside))
    names = dict.fromkeys(name for each in found for name in each.wanted)
    return [[Taken(each.given, {name: each.wanted.get(name) for name in names}, each.beside)] for each in found]


def argilla_flat(rows: Sequence[Values]) -> list[list[Taken]]:
    """The same with a column for each thing."""
    columns = dict.fromkeys(name for row in rows for name in row)
    dotted = [name.removesuffix(".responses") for name in columns if name.endswith(".responses")]
    dashed = [name.removesuffix("-suggestion") for name in columns if name.endswith("-suggestion")]
    asked = {name: f"{name}.responses" for name in dotted} | {name: name for name in dashed if name in columns}
    own = tuple(f"{name}{mark}" for name in asked for mark in (".", "-"))
    found: list[list[Taken]] = []
    for row in rows:
        wanted = {name: _responded(row.get(column), row.get(f"{column}.status")) for name, column in asked.items()}
        rest = {name: value for name, value in row.items() if name not in asked and not name.startswith(own)}
        beside = {name: value for name, value in rest.items() if name.startswith(("_", "metadata")) or name in _KEPT}
        found.append([Taken(_without(rest, *beside), wanted, beside)])
    return found


def _responded(value: Any, states: Any) -> Any:
    """What a cell of responses says: a value, or several people's, of which those count that were handed in."""
    if isinstance(value, Mapping):  # a column of a data set: {"value": [...], "status": [...]}
        value, states = _mapping(value).get("value"), _mapping(value).get("status")
    if not isinstance(value, list):
        return value
    told = _list(states) if isinstance(states, list) else []
    every: list[Values] = [
        _mapping(each)
        if isinstance(each, Mapping)
        else {"value": each, "status": told[number] if number < len(told) else None}
        for number, each in enumerate(_list(value))
    ]
    return _commonest([each.get("value") for each in every if _counts(each)])


def _counts(response: Values) -> bool:
    """Whether a response was handed in, neither a draft nor thrown away."""
    return response.get("status") in (None, "submitted")


def argilla_old(rows: Sequence[Values]) -> list[list[Taken]]:
    """Records with one annotation, as the tool's first version has them."""
    found: list[list[Taken]] = []
    for row in rows:
        inputs = row.get("inputs")
        given = cast("Values", inputs) if isinstance(inputs, Mapping) else {"text": row.get("text", inputs)}
        beside = {name: value for name, value in row.items() if name in ("id", "metadata")}
        found.append([Taken(given, {"annotation": row.get("annotation")}, beside)])
    return found


def jira(rows: Sequence[Values]) -> list[list[Taken]]:
    """Issues with their fields as columns; what has a name is its name. Which of them is wanted is not said."""
    return [
        [Taken(beside={"id": row["key"], **{name: _named(value) for name, value in row["fields"].items()}})]
        for row in rows
    ]


def _named(value: Any) -> Any:
    if isinstance(value, list):
        return [_named(each) for each in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        held = cast("Values", value)
        return next((held[name] for name in ("name", "displayName", "value") if name in held), held)
    return value


def _objects(value: Any) -> list[Values]:
    """The objects of a list; none of what is no list."""
    return (
        [cast("Values", each) for each in _list(value) if isinstance(each, Mapping)] if isinstance(value, list) else []
    )


def _mapping(value: Any) -> Values:
    return cast("Values", value) if isinstance(value, Mapping) else _NOTHING


def _list(value: Any) -> list[Any]:
    """A list as it is, a value as a list of one, nothing as an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else [] if value is None else [value]


def _text_of(content: Any) -> str | None:
    """A message's text; None for none, as of a call of a tool."""
    if isinstance(content, list):
        texts = [part.get("text") for part in _objects(content)]
        content = "\n".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) and content.strip() else None


def _single(value: Any) -> Any:
    """The one item of a list, or the value; None for an empty list."""
    if not isinstance(value, list):
        return value
    every = _list(value)
    return every[0] if len(every) == 1 else every or None


def _commonest(values: Sequence[Any]) -> Any:
    """What most say, the first of equals."""
    told = [value for value in values if value is not None]
    times = Counter(map(canonical_json, told))
    return max(told, key=lambda value: times[canonical_json(value)]) if told else None


def _without(row: Values, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
