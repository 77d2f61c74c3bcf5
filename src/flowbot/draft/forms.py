"""The forms in which tools export rows: by what each is known, and how a row of it is read.

A form is known by its columns and by what stands in them, never by a file's name. What a model or a system answered is
never what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from .chats import chat, preference
from .exports import (
    Reader,
    Values,
    argilla,
    argilla_flat,
    argilla_old,
    by_columns,
    fields_as_columns,
    label_studio,
    promptfoo,
    promptfoo_table,
    squad,
    squad_articles,
)


def _any(_: Values) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Known:
    """A form that rows may have.

    Args:
        name: with its article, as in "the file is {name}".
        has: a column that there is for each; "a|b" is either.
        read: the rows of a task that the rows of the file make, several or none for each.
        when: what else is true of every row.
        remark: what of it is worth a word.
    """

    name: str
    has: tuple[str, ...]
    read: Reader
    when: Callable[[Values], bool] = field(default=_any)
    remark: str = ""


def _lists(column: str, *names: str) -> Callable[[Values], bool]:
    """Whether a column has lists of objects that have all these names."""

    def lists(row: Values) -> bool:
        value: object = row.get(column)
        items = cast("list[Any]", value) if isinstance(value, list) else []
        return bool(items) and all(_has(one, *names) for one in items)

    return lists


def _object(column: str, *names: str) -> Callable[[Values], bool]:
    """Whether a column has objects that have all these names."""
    return lambda row: _has(row.get(column), *names)


def _has(value: Any, *names: str) -> bool:
    return isinstance(value, Mapping) and set(names) <= cast("Values", value).keys()


def _are_answers(row: Values) -> bool:
    return any(form("answers", "text", "answer_start")(row) for form in (_lists, _object)) or row.get("answers") == []


_CONVERSATIONS = ("conversations", "conversation")
_QUESTION, _CONTEXTS = "question|user_input|query", "contexts|retrieved_contexts"
_REFERENCE = "ground_truth|ground_truths|reference"
_ASSERTED = "expected is what the first assertion that names an answer says; rubrics are kept as feedback"
_TRIED = "the answers of the system that was tried are not expected"
_RESPONSES = "expected is what most people answered; suggestions are a model's"
FORMS: tuple[Known, ...] = (
    Known("SQuAD's articles", ("paragraphs",), squad_articles, _lists("paragraphs", "context", "qas")),
    Known(
        "rows of SQuAD's form",
        ("question", "answers", "context|id"),
        squad,
        _are_answers,
        "where an answer begins is not asked for; of several the first is expected",
    ),
    Known(
        "a Label Studio export",
        ("data", "annotations|completions"),
        label_studio,
        _object("data"),
        "expected is what people annotated; predictions are a model's",
    ),
    Known("an Argilla export", ("fields", "responses"), argilla, _object("fields"), _RESPONSES),
    Known("a flattened Argilla export", ("*.responses|*-suggestion",), argilla_flat, remark=_RESPONSES),
    Known(
        "a classic Argilla export",
        ("annotation", "prediction", "inputs|text"),
        argilla_old,
        remark="expected is the annotation; predictions are a model's",
    ),
    *(
        Known(
            "fine-tuning chats",
            (column,),
            chat(column, "role", "content"),
            _lists(column, "role"),  # a call of a tool has no content
            "expected is the last answer of the assistant, the input what goes before",
        )
        for column in ("messages", *_CONVERSATIONS)
    ),
    Known(
        "chats of Gemini's form",
        ("contents",),
        chat("contents", "role", "parts"),
        _lists("contents", "role", "parts"),
        "expected is the last answer of the model, the input what goes before",
    ),
    *(
        Known(
            "chats of ShareGPT's form",
            (column,),
            chat(column, "from", "value"),
            _lists(column, "from", "value"),
            "expected is the last answer, the input what goes before",
        )
        for column in _CONVERSATIONS
    ),
    Known(
        "preference pairs",
        ("chosen|preferred_output", "rejected|non_preferred_output"),
        preference,
        remark="expected is what was preferred",
    ),
    Known("promptfoo tests", ("vars",), promptfoo, _object("vars"), _ASSERTED),
    Known("promptfoo tests in a table", ("__expected|__expected1",), promptfoo_table, remark=_ASSERTED),
    Known(
        "a Ragas export",
        (_QUESTION, "answer|response", _CONTEXTS, _REFERENCE),
        by_columns((_QUESTION, _CONTEXTS), (_REFERENCE,)),
        remark=_TRIED,
    ),
    Known(
        "a Ragas export",
        ("user_input", "response", "reference"),
        by_columns(("user_input",), ("reference",)),
        remark=_TRIED,
    ),
    Known(
        "a Ragas test set",
        ("user_input", "reference", "synthesizer_name|reference_contexts"),
        by_columns((_QUESTION,), (_REFERENCE,)),
        remark="reference_contexts are no input: the question alone is known in use",
    ),
    Known(
        "DeepEval goldens",
        ("input", "actual_output", "expected_output"),
        by_columns(("input", "retrieval_context"), ("expected_output",)),
        remark=_TRIED,
    ),
    Known("a Jira export", ("key", "fields"), fields_as_columns, _object("fields", "summary")),
    Known("Airtable's records", ("createdTime", "fields"), fields_as_columns, _object("fields")),
)


def form_of(columns: Sequence[str], rows: Sequence[Values]) -> Known | None:
    """The form that all the rows have; None for rows that are a table as it is."""
    there = set(columns)
    for form in FORMS:
        if all(any(_is_there(name, there) for name in each.split("|")) for each in form.has) and all(
            map(form.when, rows)
        ):
            return form
    return None


def _is_there(name: str, columns: set[str]) -> bool:
    return any(each.endswith(name[1:]) for each in columns) if name.startswith("*") else name in columns
