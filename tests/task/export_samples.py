"""Rows as tools export them, in each tool's own layout; made up here, of one little subject: messages to a bicycle shop."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

ROWS = 24
LABELS = ("brakes", "tyres", "lights")


def text(n: int) -> str:
    return f"Part number {n} rattles when I ride downhill, what now?"


def label(n: int) -> str:
    return LABELS[n % 3]


def reply(n: int) -> str:
    return f"Bring the bicycle in on day {n}, and we shall look at it."


def wrong(n: int) -> str:
    return f"I am only a machine and guess {n}."


def of_each(make: Callable[[int], Any]) -> list[Any]:
    return [make(n) for n in range(ROWS)]


def ragas(
    question: str = "question", answer: str = "answer", contexts: str = "contexts", gold: str = "ground_truth"
) -> Any:
    return of_each(
        lambda n: {
            question: text(n),
            contexts: [f"Manual, page {n}.", "Opening hours."],
            answer: wrong(n),
            gold: [reply(n)] if gold == "ground_truths" else reply(n),
            "faithfulness": 0.5 + n / 100,
        }
    )


def argilla() -> Any:
    """Records as version 2 writes them to JSON."""
    return of_each(
        lambda n: {
            "id": f"r{n}",
            "fields": {"text": text(n)},
            "metadata": {"shop": "north"},
            "suggestions": {"topic": {"value": "other", "score": 0.3, "agent": "model-1"}},
            "responses": {"topic": [{"value": label(n), "user_id": "u1"}, {"value": label(n), "user_id": "u2"}]},
            "vectors": {},
            "status": "completed",
            "_server_id": f"s{n}",
        }
    )


def argilla_flat() -> Any:
    return of_each(
        lambda n: {
            "id": f"r{n}",
            "status": "completed",
            "_server_id": f"s{n}",
            "text": text(n),
            "notes": None,
            "topic.suggestion": "other" if n % 2 else label(n),
            "topic.suggestion.score": 0.9,
            "topic.suggestion.agent": "model-1",
            "topic.responses": [label(n)],
            "topic.responses.users": ["u1"],
            "topic.responses.status": ["submitted"],
        }
    )


def argilla_first() -> Any:
    """The flattened data set of version 1."""
    return of_each(
        lambda n: {
            "text": text(n),
            "topic": [{"user_id": "u1", "value": label(n), "status": "submitted"}],
            "topic-suggestion": "other",
            "topic-suggestion-metadata": {"type": None, "score": None, "agent": "model-1"},
            "external_id": None,
            "metadata": "{}",
        }
    )


def argilla_classic() -> Any:
    return of_each(
        lambda n: {
            "text": text(n),
            "inputs": {"text": text(n)},
            "prediction": [{"label": "other", "score": 0.6}],
            "prediction_agent": "model-1",
            "annotation": label(n),
            "annotation_agent": "argilla",
            "multi_label": False,
            "explanation": None,
            "id": f"r{n}",
            "metadata": {},
            "status": "Validated",
            "event_timestamp": None,
            "metrics": {"text_length": 40},
        }
    )


def label_studio() -> Any:
    return of_each(
        lambda n: {
            "id": n,
            "data": {"message": text(n)},
            "annotations": [
                {
                    "id": 100 + n,
                    "completed_by": 1,
                    "result": [
                        {
                            "value": {"choices": [label(n)]},
                            "id": "x1",
                            "from_name": "topic",
                            "to_name": "message",
                            "type": "choices",
                            "origin": "manual",
                        }
                    ],
                    "was_cancelled": False,
                    "ground_truth": False,
                    "created_at": "2026-03-01T10:00:00.000000Z",
                    "lead_time": 4.2,
                }
            ],
            "predictions": [{"result": [{"value": {"choices": ["other"]}, "from_name": "topic", "type": "choices"}]}],
            "total_annotations": 1,
            "created_at": "2026-02-28T10:00:00.000000Z",
            "project": 7,
        }
    )


def label_studio_min() -> Any:
    return of_each(
        lambda n: {
            "message": text(n),
            "id": n,
            "topic": label(n),
            "annotator": 1,
            "annotation_id": 100 + n,
            "created_at": "2026-03-01T10:00:00.000000Z",
            "updated_at": "2026-03-01T10:00:00.000000Z",
            "lead_time": 4.2 + n,
        }
    )


def openai_chats() -> Any:
    return of_each(
        lambda n: {
            "messages": [
                {"role": "system", "content": "You work in a bicycle shop. Answer in one sentence."},
                {"role": "user", "content": text(n)},
                {"role": "assistant", "content": reply(n)},
            ]
        }
    )


def long_chats() -> Any:
    return of_each(
        lambda n: {
            "messages": [
                {"role": "user", "content": text(n)},
                {"role": "assistant", "content": "Which bicycle is it?"},
                {"role": "user", "content": f"The blue one, number {n}."},
                {"role": "assistant", "content": reply(n)},
            ]
        }
    )


def sharegpt() -> Any:
    return of_each(
        lambda n: {
            "id": f"c{n}",
            "conversations": [{"from": "human", "value": text(n)}, {"from": "gpt", "value": reply(n)}],
        }
    )


def preferences() -> Any:
    return of_each(lambda n: {"prompt": text(n), "chosen": reply(n), "rejected": wrong(n)})


def preferences_as_texts() -> Any:
    """Pairs of whole chats, each one text, as the HH-RLHF data has them."""
    return of_each(
        lambda n: {
            "chosen": f"\n\nHuman: {text(n)}\n\nAssistant: {reply(n)}",
            "rejected": f"\n\nHuman: {text(n)}\n\nAssistant: {wrong(n)}",
        }
    )


def openai_preferences() -> Any:
    return of_each(
        lambda n: {
            "input": {"messages": [{"role": "user", "content": text(n)}], "tools": []},
            "preferred_output": [{"role": "assistant", "content": reply(n)}],
            "non_preferred_output": [{"role": "assistant", "content": wrong(n)}],
        }
    )


def promptfoo() -> Any:
    return of_each(
        lambda n: {
            "description": f"case {n}",
            "vars": {"message": text(n), "tone": ["kind", "short"][n % 2]},
            "assert": [{"type": "latency", "threshold": 2000}, {"type": "equals", "value": label(n)}],
        }
    )


def gemini_chats() -> Any:
    return of_each(
        lambda n: {
            "systemInstruction": {"role": "system", "parts": [{"text": "Name the topic."}]},
            "contents": [
                {"role": "user", "parts": [{"text": text(n)}]},
                {"role": "model", "parts": [{"text": label(n)}]},
            ],
        }
    )


def tool_chats() -> Any:
    """Chats in which a tool was called: such a turn has no content."""
    called = {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "stock", "arguments": "{}"}}]}
    return of_each(
        lambda n: {
            "messages": [
                {"role": "user", "content": text(n)},
                called,
                {"role": "tool", "tool_call_id": "c1", "content": "[]"},
                {"role": "assistant", "content": reply(n)},
            ]
        }
    )


def conversations() -> Any:
    """ShareGPT's column with the roles of OpenAI's messages, as newer tools write it."""
    return of_each(
        lambda n: {"conversations": [{"role": "user", "content": text(n)}, {"role": "assistant", "content": reply(n)}]}
    )


def ragas_without_contexts() -> Any:
    return of_each(lambda n: {"user_input": text(n), "response": wrong(n), "reference": reply(n)})


def airtable() -> Any:
    return {
        "records": of_each(
            lambda n: {
                "id": f"rec{n}",
                "createdTime": "2026-02-28T10:00:00.000Z",
                "fields": {"Message": text(n), "Queue": label(n)},
            }
        )
    }


def squad_rows() -> Any:
    return of_each(
        lambda n: {
            "id": f"q{n}",
            "title": "Bicycles",
            "context": f"The {n}th bicycle has {n + 2} gears, and a bell.",
            "question": f"How many gears has the {n}th bicycle?",
            "answers": {"text": [f"{n + 2} gears", str(n + 2)], "answer_start": [20, 20]},
        }
    )


def squad_articles() -> Any:
    def question(n: int) -> Mapping[str, Any]:
        return {
            "id": f"q{n}",
            "question": f"How many gears has the {n}th bicycle?",
            "answers": [{"text": f"{n + 2} gears", "answer_start": 20}],
            "is_impossible": False,
        }

    paragraphs = [
        {
            "context": f"The {n}th bicycle has {n + 2} gears, the {n + 1}th has {n + 3} gears.",
            "qas": [question(n), question(n + 1)],
        }
        for n in range(0, ROWS, 2)
    ]
    return {
        "version": "v2.0",
        "data": [{"title": "One", "paragraphs": paragraphs[:5]}, {"title": "Two", "paragraphs": paragraphs[5:]}],
    }


def openai_evals() -> Any:
    return of_each(
        lambda n: {
            "input": [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": text(n)}],
            "ideal": label(n),
        }
    )


def braintrust() -> Any:
    return of_each(
        lambda n: {"id": f"b{n}", "input": text(n), "expected": label(n), "metadata": {"shop": "north"}, "tags": ["a"]}
    )


def braintrust_experiment() -> Any:
    return [{**row, "output": wrong(n), "scores": {"Levenshtein": 0.2}} for n, row in enumerate(braintrust())]


def alpaca() -> Any:
    return of_each(
        lambda n: {
            "instruction": "Name the topic of the message.",
            "input": text(n),
            "output": reply(n),
            "text": f"### Instruction:\nName the topic.\n\n### Input:\n{text(n)}\n\n### Response:\n{reply(n)}",
        }
    )


def langsmith() -> Any:
    return of_each(
        lambda n: {
            "id": f"l{n}",
            "inputs": {"question": text(n)},
            "outputs": {"answer": reply(n)},
            "metadata": {"dataset_split": ["base"]},
            "created_at": "2026-02-28T10:00:00Z",
        }
    )


def deepeval() -> Any:
    return of_each(
        lambda n: {
            "input": text(n),
            "actual_output": wrong(n),
            "expected_output": reply(n),
            "retrieval_context": [f"Manual, page {n}."],
            "source_file": None,
        }
    )


def jira() -> Any:
    return {
        "expand": "names,schema",
        "startAt": 0,
        "total": ROWS,
        "issues": of_each(
            lambda n: {
                "id": str(10000 + n),
                "key": f"SHOP-{n}",
                "self": "https://example.org/rest",
                "fields": {
                    "summary": text(n),
                    "description": f"More words on {n}.",
                    "priority": {"id": str(n % 3), "name": label(n)},
                    "assignee": {"displayName": f"Person {n % 4}"},
                    "status": {"name": "Done"},
                    "resolution": {"name": "Fixed"},
                },
            }
        ),
    }


def jsonl(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
