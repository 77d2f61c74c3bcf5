"""How fast the checker and the edits are: a check of a 50-node workflow, and 10,000 checked edits on a 20-node sketch.

    python benchmarks/edits.py [EDITS]

The workflow has every kind of node, bodies in bodies included. The edits are of every kind, drawn at random with a fixed
seed, each on the same sketch; those that are refused were checked, too. Prints one JSON object and writes it to
benchmarks/results/edits.json. Bounds: a check under 5 ms, the 10,000 edits under 10 s.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from flowbot.fields import Field, ToolSignature
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import apply
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.nodes import walk
from flowbot.workflow.workflow import Workflow

RESULTS = Path(__file__).parent / "results" / "edits.json"
TOOLS = {"search": ToolSignature("search", "", (Field.of("query", "str"),), (Field.of("results", "list[str]"),))}
CODE = {"code": "def run(items):\n    return {'n': len(items)}"}
TOLD = {"instruction": "Do this step with care."}


def block(tail: str, question: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Ten nodes of every kind, names ending in `tail`, that make one text of another; with their parameters."""
    route, listed, few = f"route{tail}", f"list{tail}", f"few{tail}"
    each, refine, total = f"each{tail}", f"refine{tail}", f"total{tail}"
    count, draft, answer, revise = f"count{tail}", f"draft{tail}", f"answer{tail}", f"revise{tail}"
    nodes: dict[str, Any] = {
        listed: {"kind": "llm", "in": {"question": question}, "out": {"items": "list[str]"}},
        count: {"kind": "code", "in": {"items": f"{listed}.items"}, "out": {"n": "int"}},
        route: {
            "kind": "branch", "in": {"n": f"{count}.n"},
            "ways": {few: {"ref": "n", "op": "<", "value": 3}, "many": "else"},
        },
        few: {"kind": "llm", "when": f"{route}.{few}", "in": {"items": f"{listed}.items"}, "out": {"text": "str"}},
        each: {
            "kind": "map", "when": f"{route}.many", "over": f"{listed}.items", "limit": 9, "as": f"item{tail}",
            "out": {"texts": f"look{tail}.results"},
            "nodes": {f"look{tail}": {"kind": "tool", "tool": "search", "in": {"query": f"item{tail}"},
                                      "out": {"results": "list[str]"}}},
        },
        draft: {"kind": "llm", "when": f"{route}.many", "in": {"texts": f"{each}.texts"}, "out": {"text": "str"}},
        total: {"kind": "merge", "how": "first", "in": [f"{few}.text", f"{draft}.text"], "out": {"text": "str"}},
        refine: {
            "kind": "loop", "max": 3, "until": {"ref": f"{revise}.ok", "op": "==", "value": True},
            "carry": {answer: {"type": "str", "start": f"{total}.text", "next": f"{revise}.text"}},
            "nodes": {revise: {"kind": "llm", "in": {"draft": answer, "question": question},
                               "out": {"text": "str", "ok": "bool"}}},
        },
    }  # fmt: skip
    told = dict.fromkeys((listed, few, draft, f"{refine}/{revise}"), TOLD)
    return nodes, told | {count: CODE}, f"{refine}.{answer}"


def workflow(blocks: int) -> Workflow:
    """A workflow of so many blocks of ten nodes, one after another."""
    nodes: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    reference = "question"
    for number in range(blocks):
        more, told, reference = block(str(number), reference)
        nodes |= more
        parameters |= told
    data = {"flowbot": 1, "inputs": {"question": "str"}, "outputs": {"answer": reference}, "nodes": nodes}
    return Workflow.from_data({**data, "parameters": parameters})


@cache
def whole() -> dict[str, Any]:
    """The sketch that the edits are made on, as data."""
    return workflow(2).dump()


def drawn(rng: Random, tail: str) -> dict[str, Any]:
    """One edit at random, of any kind, about nodes of the block whose names end in `tail`; most can be made."""
    call = rng.choice([f"list{tail}", f"few{tail}", f"draft{tail}", f"refine{tail}/revise{tail}"])
    step = {"kind": "code", "in": {"items": f"list{tail}.items"}, "out": {"items": "list[str]"}}
    code = {"code": "def run(items):\n    return {'items': items}"}
    size = {"kind": "code", "in": {"items": f"list{tail}.items"}, "out": {"size": "int"}}
    node = {"kind": "llm", "in": {"items": f"list{tail}.items"}, "out": {"text": "str"}}
    refine, total = f"refine{tail}", f"total{tail}"
    wiser = {"kind": "llm", "in": {"text": f"{total}.text"}, "out": {"text": "str"}}
    carried = {f"{refine}.answer{tail}": f"{total}.text"}
    rewritten = whole()
    return rng.choice([
        {"op": "add", "id": "spare", "node": wiser, "parameters": TOLD},  # refused: nothing reads it
        {"op": "remove", "id": refine, "bypass": carried},
        {"op": "replace", "id": f"few{tail}", "node": {**node, "when": f"route{tail}.few{tail}"}},
        {"op": "rewire", "id": f"draft{tail}", "input": "question", "to": "question"},
        {"op": "rename", "id": rng.choice([call, refine, f"route{tail}"]), "to": "another"},
        {"op": "output", "output": "answer", "to": f"{total}.text"},  # refused for the last block: the loop is unused
        {"op": "rewrite", "nodes": rewritten["nodes"], "outputs": rewritten["outputs"],
         "parameters": rewritten["parameters"]},
        {"op": "split", "id": call, "name": "notes", "out": {"notes": "str"}, "parameters": TOLD},
        {"op": "fuse", "first": f"list{tail}", "second": f"few{tail}"},  # refused: the second runs on one way only
        {"op": "review", "id": call},
        {"op": "ensemble", "id": call},
        {"op": "decompose", "id": call},
        {"op": "insert_branch", "id": call, "name": "other", "instruction": "Is it hard?"},
        {"op": "insert_retrieval", "id": call, "tool": "search"},
        {"op": "insert", "id": f"list{tail}", "where": "after", "name": "tidy", "node": step, "parameters": code},
        {"op": "insert", "id": f"draft{tail}", "where": "before", "name": "size", "node": size,
         "parameters": {"code": "def run(items):\n    return {'size': len(items)}"}},
    ])  # fmt: skip


def timed_edits(count: int) -> dict[str, Any]:
    """So many edits, applied and checked one at a time on a 20-node sketch."""
    start = workflow(2)
    rng = Random(7)
    edits: list[Edit] = [edit for _ in range(count) for edit in parse_edits([drawn(rng, rng.choice("01"))])]
    spent: Counter[str] = Counter()
    made: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    begun = perf_counter()
    for edit in edits:
        moment = perf_counter()
        try:
            apply(start, [edit], tools=TOOLS)
            made[edit.op] += 1
        except EditError:
            refused[edit.op] += 1
        spent[edit.op] += perf_counter() - moment
    seconds = perf_counter() - begun
    each = {op: round(spent[op] / (made[op] + refused[op]) * 1000, 3) for op in sorted(spent)}
    return {
        "nodes": len(list(walk(start.sketch))),
        "edits": count,
        "made": made.total(),
        "refused": refused.total(),
        "seconds": round(seconds, 2),
        "ms_each": each,
    }


def timed_check(runs: int) -> dict[str, Any]:
    """A check of a 50-node workflow, so many times."""
    large = workflow(5)
    assert check(large, tools=TOOLS) == []
    times: list[float] = []
    for _ in range(runs):
        moment = perf_counter()
        check(large, tools=TOOLS)
        times.append((perf_counter() - moment) * 1000)
    nodes = len(list(walk(large.sketch)))
    return {"nodes": nodes, "runs": runs, "median_ms": round(median(times), 2), "max_ms": round(max(times), 2)}


def main() -> None:
    """Measure, print, and write the results."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "check": timed_check(200),
        "edits": timed_edits(count),
    }
    text = json.dumps(found, indent=1)
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
