"""`examples.jsonl`: what a run knows of each of its examples when it ends, for `show` and `compare`.

One line an example, test, validation and training, each in the run's own order:

    {"id", "split", "inputs", "expected", "start": side or null, "final": side or null, "candidates": {hash: side}}
    side: {"score", "feedback", "parts", "spread", "whole", "trace"}

A side is null where that workflow was not run on the example; `trace` is `Trace.dump()`, with prompts as sent and replies
as received. `candidates` are the other workflows on whose runs of this example the search wrote gradients. Traces are large:
beyond `MOST_TRACES` they are kept without their steps, and `whole` is false. Secrets are masked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError
from flowbot.fields.files import replaced
from flowbot.fields.secrets import hide
from flowbot.optimizer.search import Search
from flowbot.runtime.evaluation import Row
from flowbot.workflow.workflow import Workflow

from .events import Event, Feedback, Split

NAME = "examples.jsonl"
MOST_TRACES = 64_000_000
"""Characters that whole traces take on disk at most."""
MOST_BYTES = 512_000_000
"""Bytes of the largest file of examples that is read."""
MOST_LINE = 64_000_000
"""Bytes of its longest line that is read."""
_ORDER: tuple[Split, ...] = ("test", "val", "train")


def record_examples(search: Search, start: Workflow, final: Workflow | None, run_dir: Path) -> None:
    """Write `run_dir/examples.jsonl`; a kill leaves the old file or the new one.

    Args:
        search: the search that scored them.
        start: the workflow that it began with.
        final: the workflow that it found; None where it has not ended.
        run_dir: the run's folder.

    Raises:
        InfrastructureError: if the disk fails.
    """
    path = run_dir / NAME
    try:
        with replaced(path) as file:
            file.writelines(line.encode("ascii") for line in _lines(search, start, final))
    except OSError as error:
        raise InfrastructureError(f"{path}: {error.strerror or error}", kind="disk") from None


def _lines(search: Search, start: Workflow, final: Workflow | None) -> Iterator[str]:
    room = MOST_TRACES
    two = [start.hash, final.hash if final is not None else ""]
    asked = _asked_about(search.journal.events())
    for split in _ORDER:
        for example in search.order(split):
            sides: dict[str, dict[str, Any]] = {}
            for workflow in dict.fromkeys([*two, *asked.get(example.id, ())]):
                row = search.row(workflow, example.id)
                if row is not None:
                    sides[workflow] = side = _side(row, whole=room > 0)
                    room -= len(json.dumps(side["trace"])) if room > 0 else 0
            line = {
                "id": example.id,
                "split": split,
                "inputs": dict(example.inputs),
                "expected": dict(example.expected),
                "start": sides.get(two[0]),
                "final": sides.get(two[1]),
                "candidates": {workflow: side for workflow, side in sides.items() if workflow not in two},
            }
            yield json.dumps(hide(line)) + "\n"  # ASCII: a text may hold half a surrogate pair


def _asked_about(events: Sequence[Event]) -> dict[str, list[str]]:
    """Hashes of the workflows on whose runs there are gradients, by example."""
    asked: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, Feedback):
            asked.setdefault(event.example, []).append(event.about)
    return asked


def _side(row: Row, *, whole: bool) -> dict[str, Any]:
    trace = row.trace.dump()
    return {
        "score": row.score.value,
        "feedback": row.score.feedback,
        "parts": dict(row.score.parts),
        "spread": row.score.spread,
        "whole": whole,
        "trace": trace if whole else {**trace, "steps": []},
    }
