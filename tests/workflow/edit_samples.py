"""A workflow with every kind of node, for the tests of edits."""

from __future__ import annotations

from typing import Any

from flowbot.fields import Field, ToolSignature
from flowbot.workflow.edits.applying import Applied, applied
from flowbot.workflow.edits.edit import dump_edits
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.workflow import Workflow

TOOLS = {"lookup": ToolSignature("lookup", "finds a price", (Field.of("name", "str"),), (Field.of("price", "float"),))}


def stock() -> Workflow:
    """A list, a count, a branch with a merge, a map over tool calls, and a loop of reviser and critic."""
    return Workflow.from_data({
        "flowbot": 1,
        "inputs": {"question": "str"},
        "outputs": {"answer": "refine.draft", "prices": "each.prices"},
        "nodes": {
            "list": {"kind": "llm", "in": {"question": "question"}, "out": {"items": "list[str]"}},
            "count": {"kind": "code", "in": {"items": "list.items"}, "out": {"n": "int"}},
            "route": {"kind": "branch", "in": {"n": "count.n"},
                      "ways": {"many": {"ref": "n", "op": ">", "value": 20}, "few": "else"}},
            "careful": {"kind": "llm", "when": "route.many", "in": {"question": "question"}, "out": {"n": "int"}},
            "total": {"kind": "merge", "how": "first", "in": ["careful.n", "count.n"], "out": {"n": "int"}},
            "each": {"kind": "map", "over": "list.items", "limit": 20, "out": {"prices": "price.price"},
                     "nodes": {"price": {"kind": "tool", "tool": "lookup", "in": {"name": "item"}, "out": {"price": "float"}}}},
            "refine": {"kind": "loop", "max": 3, "until": {"ref": "critic.ok", "op": "==", "value": True},
                       "carry": {"draft": {"type": "int", "start": "total.n", "next": "revise.draft"}},
                       "nodes": {
                           "revise": {"kind": "llm", "in": {"draft": "draft", "question": "question"}, "out": {"draft": "int"}},
                           "critic": {"kind": "llm", "in": {"draft": "revise.draft"}, "out": {"ok": "bool"}}}},
        },
        "parameters": {
            "list": {"instruction": "List the things."},
            "count": {"code": "def run(items):\n    return {'n': len(items)}"},
            "careful": {"instruction": "Count with care.",
                        "demonstrations": [{"inputs": {"question": "a, b"}, "outputs": {"n": 2}, "example": "e1"}]},
            "refine/critic": {"instruction": "Is it right?"},
            "refine/revise": {"instruction": "Make it right."},
        },
    })  # fmt: skip


def made(*edits: dict[str, Any], on: Workflow | None = None) -> Applied:
    """Edits that are written as JSON, survive a round trip, and are made."""
    parsed = parse_edits(list(edits))
    assert parse_edits(dump_edits(parsed)) == parsed
    return applied(on or stock(), parsed, tools=TOOLS)


def nodes(workflow: Workflow) -> dict[str, Any]:
    """The nodes of a workflow as they stand in a file."""
    return workflow.dump()["nodes"]
