"""A model that answers in many ways, a workflow of all kinds, and a task for it: what the tests of exports share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flowbot.fields import stable_hash
from flowbot.lm.client import Request, ToolUse
from flowbot.lm.providers import add_provider
from flowbot.task import Task
from flowbot.testing.fake import FakeClient
from flowbot.testing.fake_behaviours import chance, fill

MODEL = "scripted/any"
FLOW: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"question": "str"},
    "outputs": {"answer": "best.answer", "total": "total.n", "notes": "each.notes", "draft": "refine.draft"},
    "nodes": {
        "list": {"kind": "llm", "in": {"question": "question"}, "out": {"items": "list[str]", "n": "int"}},
        "route": {
            "kind": "branch",
            "in": {"n": "list.n"},
            "ways": {"many": {"any": [{"ref": "n", "op": ">", "value": 3}, {"ref": "n", "op": "in", "value": [0, 1]}]}, "few": "else"},
        },
        "careful": {"kind": "llm", "when": "route.many", "in": {"question": "question", "items": "list.items"}, "out": {"n": "int"}},
        "total": {"kind": "merge", "how": "first", "in": ["careful.n", "list.n"], "out": {"n": "float"}},
        "tone": {"kind": "branch", "in": {"question": "question"}, "ways": ["warm", "cold"]},
        "greet": {"kind": "llm", "when": "tone.warm", "in": {"question": "question"}, "out": {"text": "str"}},
        "cool": {"kind": "llm", "when": "tone.cold", "in": {"question": "question"}, "out": {"text": "str"}},
        "said": {"kind": "merge", "how": "concat", "in": ["greet.text", "cool.text"], "out": {"text": "str"}},
        "each": {
            "kind": "map", "over": "list.items", "limit": 3, "out": {"notes": "note.note"},
            "nodes": {
                "price": {"kind": "tool", "tool": "lookup", "in": {"name": "item"}, "out": {"result": "int"}},
                "note": {"kind": "llm", "in": {"item": "item", "price": "price.result", "said": "said.text"}, "out": {"note": "str"}},
            },
        },
        "join": {"kind": "code", "in": {"notes": "each.notes"}, "out": {"text": "str"}},
        "act": {"kind": "llm", "in": {"question": "question", "notes": "join.text"}, "out": {"fact": "str"}, "rounds": 2},
        "refine": {
            "kind": "loop", "max": 3, "until": {"ref": "critic.ok", "op": "==", "value": True},
            "carry": {"draft": {"type": "str", "start": "act.fact", "next": "revise.draft"}},
            "nodes": {
                "revise": {"kind": "llm", "in": {"draft": "draft", "question": "question"}, "out": {"draft": "str"}},
                "critic": {"kind": "llm", "in": {"draft": "revise.draft"}, "out": {"why": "str", "ok": "bool"}},
            },
        },
        "solve": {"kind": "llm", "in": {"question": "question"}, "out": {"why": "str", "answer": "Literal['yes', 'no', \"it's open\"]"}},
        "vote": {"kind": "merge", "how": "vote", "in": ["solve.answer"], "out": {"answer": "str"}},
        "own": {"kind": "llm", "in": {"question": "question", "draft": "refine.draft"}, "out": {"answer": "str"}},
        "best": {
            "kind": "merge", "how": "judge", "in": ["solve.answer", "vote.answer", "own.answer"], "given": {"question": "question"},
            "out": {"answer": "str"},
        },
    },
    "parameters": {
        "list": {
            "instruction": "List the \"things\"\\ in {question}.\n{{question}} stays.",
            "demonstrations": [{"inputs": {"question": "pens?"}, "outputs": {"items": ["pens"], "n": 1}, "example": "t0"}],
        },
        "careful": {"instruction": "Count again.", "max_tokens": 100},
        "tone": {"instruction": "Which tone?"},
        "greet": {"instruction": "Greet."},
        "cool": {"instruction": "Say little.", "format_hint": "No {greeting}."},
        "refine/revise": {"instruction": "Better it."},
        "refine/critic": {"instruction": "Is it good?"},
        "each/note": {"instruction": "Note it.\n\"\"\"; import os  # '''"},
        "join": {"code": "import json\n\ndef run(notes):\n    glue = '''\n'''\n    return {'text': glue.join(notes)}"},
        "act": {"instruction": "Look it up.", "tools": ["lookup"]},
        "solve": {"instruction": "Solve it.", "samples": 3, "temperature": 0.7},
        "own": {"messages": [
            {"role": "system", "parts": ["Answer {shortly}."]},
            {"role": "user", "parts": ["Q: ", {"ref": "question"}, "\nDraft: ", {"ref": "draft"}, "{{draft}}"]},
        ]},
        "best": {"instruction": "Which is best?"},
    },
}  # fmt: skip


def lookup(name: str, limit: int = 3) -> int:
    """Look a thing up.

    Args:
        name: which.
    """
    if "x" in name:
        raise KeyError(name)
    return len(name) + limit


def task(number: int = 6) -> Task:
    """Questions."""
    rows = [
        {"id": f"v{each}", "question": f"How {'very ' * each}much, {each}?", "answer": "yes"} for each in range(number)
    ]
    return Task(
        goal="Answer the question.",
        inputs={"question": str},
        outputs={"answer": str},
        metric="exact",
        train=[{"id": "t0", "question": "pens?", "answer": "no"}],
        val=rows,
        tools=[lookup],
    )


def answered(request: Request) -> str | Mapping[str, Any] | list[ToolUse]:
    """A reply that the request and nothing else decides: often of use, at times prose or of a wrong type, at times calls."""
    key = stable_hash(request.dump())
    drawn = chance(key, "kind")
    if request.may_call and drawn < 0.7:
        names = ["box", "a box", f"thing {key[:2]}", "axe"]
        calls = [
            ToolUse("lookup", json.dumps({"name": names[int(4 * chance(key, "a"))]})),
            ToolUse("lookup", '{"name": "axe"}'),
        ]
        return calls[: 1 + int(2 * chance(key, "b"))] if drawn < 0.6 else [ToolUse("look", '{"nam')]
    if request.schema is None:
        return f"  text {key[:6]} \n" if drawn < 0.9 else ""
    if drawn < 0.12:
        return f"I think {key[:4]}."
    filled: dict[str, Any] = fill(request.schema, key, texts=lambda schema, place: key[:5])
    if drawn < 0.24:
        filled.pop(next(reversed(filled)))
    return {name: 1 if isinstance(each, str) and drawn > 0.95 else each for name, each in filled.items()}


def scripted(name: str) -> FakeClient:
    """The client of such a model."""
    client = FakeClient(answered, name=name)
    client.identity = replace(client.identity, provider="scripted")
    return client


add_provider("scripted", scripted)


def evaluated(source: str, **names: Any) -> Any:
    """What an expression of an exported file is worth, with these names and no others."""
    return eval(source, {"__builtins__": {}, **names})  # noqa: S307 - of our own making, and nothing can be called
