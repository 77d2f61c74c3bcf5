"""Exports as tools write them: known by their form, what is expected taken from people alone, and said in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import export_samples as samples
import pytest
from export_samples import LABELS, ROWS, label, reply, text, wrong

from flowbot.fields import UserError
from flowbot.task import Task
from flowbot.task.draft import Draft, Wishes, draft_task, read_table, write_folder

LITERAL = f"Literal[{', '.join(map(repr, sorted(LABELS)))}]"
QUESTION = "How many gears has the 0th bicycle?"


def drafted(folder: Path, content: Any, name: str = "rows.json", wishes: Wishes | None = None, **more: Any) -> Draft:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return draft_task(read_table([path], **more), wishes)


def fields(made: Draft) -> tuple[dict[str, str], dict[str, str]]:
    return (
        {field.name: str(field.type) for field in made.inputs},
        {field.name: str(field.type) for field in made.outputs},
    )


def said(made: Draft, what: str) -> str:
    return "; ".join(f"{each.guess} ({each.why})" for each in made.guesses if each.what == what)


def rows_of(made: Draft) -> list[dict[str, Any]]:
    return [dict(row) for split in made.splits.values() for row in split]


MESSAGE = {"message": "str"}
FORMS: list[tuple[Callable[[], Any], dict[str, str], dict[str, str], Callable[[int], Any]]] = [
    (samples.ragas, {"question": "str", "contexts": "list[str]"}, {"ground_truth": "str"}, reply),
    (
        lambda: samples.ragas("user_input", "response", "retrieved_contexts", "reference"),
        {"user_input": "str", "retrieved_contexts": "list[str]"},
        {"reference": "str"},
        reply,
    ),
    (
        lambda: samples.ragas(gold="ground_truths"),
        {"question": "str", "contexts": "list[str]"},
        {"ground_truths": "str"},
        reply,
    ),
    (samples.argilla, {"text": "str"}, {"topic": LITERAL}, label),
    (samples.argilla_flat, {"text": "str"}, {"topic": LITERAL}, label),
    (samples.argilla_first, {"text": "str"}, {"topic": LITERAL}, label),
    (samples.argilla_classic, {"text": "str"}, {"annotation": LITERAL}, label),
    (samples.label_studio, MESSAGE, {"topic": LITERAL}, label),
    (samples.label_studio_min, MESSAGE, {"topic": LITERAL}, label),
    (samples.openai_chats, MESSAGE, {"answer": "str"}, reply),
    (samples.long_chats, {"conversation": "list[{role: str, text: str}]"}, {"answer": "str"}, reply),
    (samples.sharegpt, MESSAGE, {"answer": "str"}, reply),
    (samples.preferences, MESSAGE, {"answer": "str"}, reply),
    (samples.openai_preferences, MESSAGE, {"answer": "str"}, reply),
    (samples.promptfoo, {"message": "str", "tone": "str"}, {"expected": LITERAL}, label),
    (samples.squad_rows, {"context": "str", "question": "str"}, {"answer": "str"}, lambda n: f"{n + 2} gears"),
    (samples.squad_articles, {"context": "str", "question": "str"}, {"answer": "str"}, lambda n: f"{n + 2} gears"),
    (samples.openai_evals, {"input": "list[{role: str, content: str}]"}, {"ideal": LITERAL}, label),
    (samples.braintrust, {"input": "str"}, {"expected": LITERAL}, label),
    (samples.braintrust_experiment, {"input": "str"}, {"expected": LITERAL}, label),
    (samples.alpaca, {"input": "str"}, {"output": "str"}, reply),
    (samples.langsmith, {"inputs": "{question: str}"}, {"outputs": "{answer: str}"}, lambda n: {"answer": reply(n)}),
    (samples.deepeval, {"input": "str", "retrieval_context": "list[str]"}, {"expected_output": "str"}, reply),
]


@pytest.mark.parametrize(("make", "inputs", "outputs", "gold"), FORMS)
def test_a_tools_export_is_taken_in_its_own_layout(
    tmp_path: Path,
    make: Callable[[], Any],
    inputs: dict[str, str],
    outputs: dict[str, str],
    gold: Callable[[int], Any],
) -> None:
    made = drafted(tmp_path, make())
    assert fields(made) == (inputs, outputs)
    assert made.labelled
    (output,) = outputs
    answers = [row[output] for row in rows_of(made)]
    assert len(answers) == ROWS
    assert sorted(map(json.dumps, answers)) == sorted(json.dumps(gold(n)) for n in range(ROWS))
    assert not any(wrong(n) in json.dumps([row[name] for name in inputs]) for row in rows_of(made) for n in range(ROWS))
    write_folder(made, tmp_path / "made")
    task = Task.load(tmp_path / "made")
    assert sum(map(len, task.splits.values())) == ROWS
