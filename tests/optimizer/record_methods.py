"""Records a run of each method with a pretend meta model that really proposes edits: what `test_recorded_methods.py` replays.

    python tests/optimizer/record_methods.py [METHOD ...]

A folder `recorded_methods/METHOD` holds the start, every request with its reply (`replies.jsonl.gz`: lines as of a model
`recorded/FILE`, packed because they repeat one another) and what came of it (`expected.json`). The clerk answers from the
request alone. Of `paper+none` the recording is older than the loop that makes it now; the others were made
anew, since the inner loop of `paper+blame` is judged in another way, and the `layerwise` ones pay for no text of a step that all feedback leaves as it
is, and tell a step before one that is not at fault what went wrong. That of `aflow+none` is asked as a large model is, for edits, whatever the catalogue offers a small one. Its steps count as `fake/counter` does, often wrongly; as the meta model it edits one call into a list and a
sum, then puts a plan before it, then finds no valid edit; some of its edits and texts are refused on purpose.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from outcomes import outcome

from flowbot.lm.client import Request
from flowbot.optimizer.run import optimize_async
from flowbot.testing.fake import chance
from flowbot.testing.fake_behaviours import BEHAVIOURS, ReplyContent, counter

RECORDED = Path(__file__).with_name("recorded_methods")
METHODS = ("paper+layerwise", "none+layerwise", "paper+none", "paper+blame", "aflow+none")

ITEMS = "list[{what: str, amount: int}]"
COPY = "Put us down for one apple turnover and 1 eclair; ah yes, 1 sourdough loaf too."
"""Of a training example: the guard refuses it."""
GRADIENTS = (
    "The amounts are right but were added up wrongly; leave adding to a step that computes.",
    "Times and addresses were taken for amounts; only what is ordered counts.",
    "A dozen is twelve and half a dozen six; amounts in words were passed over.",
    "One thing was left out; read to the end of the note.",
    "no change",
)
INSTRUCTIONS = (
    "List every thing that is ordered with its amount; a pair is two, a dozen twelve.",
    "Read the note to its end. Times, dates and addresses are no amounts.",
    "Take each thing once, with the amount that stands before it.",
    "Write amounts in digits, whatever the note does.",
    COPY,
)
SUM = "def run(items):\n    return {'total': sum(item['amount'] for item in items)}"
CODES = (
    SUM,
    "def run(items):\n    total = 0\n    for item in items:\n        total += item['amount']\n    return {'total': total}",
    "def run(items):\n    return {'total': items[0]['amount'] + items[1]['amount'] + items[2]['amount']}",
    "def run(items):\n    return {'total': sum(",
    "def run(items):\n    return {'total': len(items)}",
)
UNKNOWN = {"op": "rewire", "id": "answer", "input": "note", "to": "reader.items"}
COMPUTE = {
    "op": "rewrite",
    "outputs": {"total": "sum.total"},
    "nodes": {
        "list": {"kind": "llm", "in": {"note": "note"}, "out": {"items": ITEMS}},
        "sum": {"kind": "code", "in": {"items": "list.items"}, "out": {"total": "int"}},
    },
    "parameters": {"list": {"instruction": "List what is ordered."}, "sum": {"code": SUM}},
}
PLAN = {
    "op": "split",
    "id": "list",
    "name": "plan",
    "out": {"plan": "str"},
    "parameters": {"instruction": "Say how the note is to be read."},
}
COPIED = {**PLAN, "id": "plan", "name": "before", "out": {"hint": "str"}, "parameters": {"instruction": COPY}}


def clerk(request: Request, key: str) -> ReplyContent:
    """The pretend model; `key` is a text unique to request and seed."""
    said = request.messages[0].content
    if said.startswith("Change the structure"):
        return _edits(request)
    if said.startswith(("Here is an LLM workflow", "A step of an LLM workflow")):
        return _one_of(GRADIENTS, key)
    if said.startswith("Improve the Python function"):
        return f"```python\n{_one_of(CODES, key)}\n```"
    if said.startswith("Improve"):
        return _one_of(INSTRUCTIONS, key)
    return counter(request, key)


def _edits(request: Request) -> ReplyContent:
    """By the workflow that it is shown, and by what it replied before where that was refused."""
    found = re.search(r"\nWorkflow:\n(\{.*\})\n", request.messages[0].content)
    nodes = json.loads(found[1])["nodes"] if found else {}
    again = len(request.messages) > 1
    if "sum" not in nodes:
        return {"edits": [COMPUTE if again else UNKNOWN]}
    if "plan" not in nodes:
        return {"edits": [PLAN]}
    if not again:
        return {"edits": []}
    return "I would change nothing." if '"edits"' in request.messages[1].content else {"edits": [COPIED]}


def _one_of(texts: tuple[str, ...], key: str) -> str:
    return texts[int(chance(key, "which") * len(texts))]


async def run(method: str, model: str, folder: Path) -> dict[str, Any]:
    """The outcome of the recorded run of a method, by the model of that string."""
    result = await optimize_async(
        RECORDED / "task.yaml",
        lm=model,
        start=RECORDED / method / "start.flow.yaml",
        method=method,
        effort="low",
        seed=0,
        meta_mode="large" if method.startswith("aflow") else "small",
        run_dir=folder / "run",
        cache_dir=folder / "cache",
    )
    return outcome(result.run_dir, result)


def record(method: str) -> None:
    """Write the recording of a method anew."""
    with tempfile.TemporaryDirectory() as name, patch.dict(BEHAVIOURS, clerk=clerk):
        replies = Path(name) / "replies.jsonl"
        found = asyncio.run(run(method, f"recorded/{replies}?record=fake/clerk", Path(name)))
        # Calls side by side end in whatever order; sorted, the same replies are the same file.
        lines = sorted(replies.read_bytes().splitlines(keepends=True))
    (RECORDED / method / "replies.jsonl.gz").write_bytes(gzip.compress(b"".join(lines), mtime=0))
    expected = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    (RECORDED / method / "expected.json").write_text(expected, encoding="utf-8")


if __name__ == "__main__":
    for each in sys.argv[1:] or METHODS:
        record(each)
