"""The files of a run as data of known types. Whoever reads a run reads it through here.

A run's folder may come from somebody else, or be damaged. What stands in it is checked for type and range once, where it
comes in, and a bad value is one error that names file, line and member; members that are not named here are let be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from flowbot.fields import UserError
from flowbot.fields.files import lines, opened, read_text
from flowbot.fields.foreign import Amount, Count, Gain, Record, Share, Tokens, checked
from flowbot.fields.secrets import hide
from flowbot.fields.yaml import parse_json
from flowbot.run.examples import MOST_BYTES, MOST_LINE
from flowbot.run.examples import NAME as EXAMPLES
from flowbot.run.journal import Event, read_journal
from flowbot.store.rows import DEPTH, load

JOURNAL, RESULT = "journal.jsonl", "result.json"
MOST_RESULT = 16_000_000
"""Bytes of the largest `result.json` that is read."""
_AGAIN = "the command that made the run writes it anew, and pays for nothing twice"
_Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class _Task(Record):
    name: str | None = None
    goal: str | None = None


class _Facts(Record):
    """What a run began with; the result and the first event of the journal have it."""

    task: str | _Task | None = None
    goal: str | None = None
    method: str | None = None
    effort: str | None = None
    seed: _Seed | None = None
    models: dict[str, str | None] | None = None


class _Interval(Record):
    mean: Share
    low: Share
    high: Share
    n: Count | None = None


class _Difference(Record):
    mean: Gain
    low: Gain
    high: Gain
    n: Count | None = None


class _Splits(Record):
    val: _Interval | None = None
    test: _Interval | None = None


class _Differences(Record):
    val: _Difference | None = None
    test: _Difference | None = None


class _Scores(Record):
    start: _Splits | None = None
    final: _Splits | None = None
    difference: _Differences | None = None


class _Point(_Interval):
    calls: Count | None = None
    workflow: str | None = None
    kept: bool | None = None
    what: str | None = None


class _Spent(Record):
    calls: Count
    tokens: Count
    usd: Amount | None = None


class _Used(_Spent):
    requests: Count | None = None


class _Session(Record):
    began: str | None = None


class _Tested(Record):
    run: Count
    of: Count


class _Judge(_Spent):
    model: str
    spread: Amount | None = None


class _Result(_Facts):
    """`result.json`."""

    run_id: str | None = None
    status: str = "unfinished"
    stopped_by: str | None = None
    reason: str | None = None
    scores: _Scores | None = None
    calls: dict[str, Count] | None = None
    spent: _Spent | None = None
    now: _Spent | None = None
    sessions: list[_Session] | None = None
    tested: _Tested | None = None
    by_purpose: dict[str, _Used | None] | None = None
    judge: _Judge | None = None
    seconds: Amount | None = None
    nodes: Count | None = None
    task_hash: str | None = None
    metric: str | None = None
    dropped: list[str] | None = None
    curve: list[_Point] | None = None


class _Start(_Facts):
    workflow: dict[str, Any] | None = None


class _Evaluated(_Point):
    split: str


class _Gradient(Record):
    workflow: str | None = None
    level: str | None = None
    example: str | None = None
    node: str | None = None
    text: str | None = None
    source: str | None = None


class _Proposal(Record):
    id: str
    level: str | None = None
    parent: str | None = None
    workflow: str | None = None
    source: str | None = None
    title: str | None = None
    reason: str | None = None
    changes: list[Any] | None = None
    edits: list[Any] | None = None
    errors: list[str] | None = None
    dump: dict[str, Any] | None = None


class _Verdict(Record):
    id: str
    kept: bool | None = None
    reason: str | None = None
    candidate: Share | None = None
    incumbent: Share | None = None
    n: Count | None = None
    p_better: Share | None = None
    calls: Count | None = None


_EVENTS: Mapping[str, type[Record]] = {
    "start": _Start, "evaluated": _Evaluated, "gradient": _Gradient, "proposal": _Proposal, "verdict": _Verdict,
}  # fmt: skip
"""By the name of an event; others are let be."""


class _Exact(Record, extra="forbid"):
    """What becomes an object of the same members."""


class _Use(_Exact):
    name: str
    arguments: str


class _Message(Record):
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    calls: Sequence[_Use] = ()


class _Usage(Tokens, _Exact):
    pass


class _Call(_Exact):
    tool: str
    arguments: dict[str, Any]
    result: dict[str, Any] | None
    error: str = ""
    seconds: Amount = 0.0


class _Step(Record):
    address: str
    kind: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] | None
    error: str
    messages: list[_Message]
    reply: str
    usage: _Usage
    seconds: Amount
    reads: list[str]
    note: str
    calls: list[_Call]


class _Trace(Record):
    example: str
    inputs: dict[str, Any]
    steps: list[_Step]
    outputs: dict[str, Any] | None
    error: str
    seconds: Amount


class _Side(Record):
    score: Share
    feedback: str | None = None
    parts: dict[str, Share] | None = None
    spread: Amount | None = None
    whole: bool
    trace: _Trace


class _Example(Record):
    """A line of `examples.jsonl`; `flowbot.run.examples`, which writes it, says what is what."""

    id: str
    split: Literal["test", "val", "train"]
    inputs: dict[str, Any]
    expected: dict[str, Any]
    start: _Side | None
    final: _Side | None
    candidates: dict[str, _Side | None]


def read_events(run_dir: Path) -> Sequence[Event]:
    """The events of a run's journal.

    Raises:
        UserError: if it is missing, damaged, or says what cannot be.
    """
    path = run_dir / JOURNAL
    if not os.path.lexists(path):
        raise UserError(
            str(run_dir), f"no {JOURNAL}", "the folder of a run, such as those that optimize makes in runs/"
        )
    events = read_journal(path)
    for number, event in enumerate(events, start=1):
        name = event.get("event")
        kind = _EVENTS.get(name) if isinstance(name, str) else None
        if kind is not None:
            checked(kind, event, f"{path}:{number}", f"with the file moved away {_AGAIN}")
    return events


def read_result(run_dir: Path) -> dict[str, Any]:
    """`result.json`; empty where the run has not written it.

    Raises:
        UserError: if it is damaged, or says what cannot be.
    """
    path = run_dir / RESULT
    if not os.path.lexists(path):
        return {}
    text = read_text(path, limit=MOST_RESULT, links=False)
    data = parse_json(text, str(path), depth=DEPTH, halves=True)
    checked(_Result, data, str(path), _AGAIN)
    return hide(cast("dict[str, Any]", data))


def has_examples(run_dir: Path) -> bool:
    """Whether the run has written its examples: it does when it ends or pauses."""
    return os.path.lexists(run_dir / EXAMPLES)


def read_lines(run_dir: Path) -> Iterator[dict[str, Any]]:
    """The lines of `examples.jsonl`, one by one, since traces are large.

    Raises:
        UserError: if the run has not written them, or a line is damaged or says what cannot be.
    """
    path = run_dir / EXAMPLES
    written = f"what the run writes when it ends; {_AGAIN}"
    if not has_examples(run_dir):
        raise UserError(str(run_dir), f"no {EXAMPLES}", written)
    try:
        with opened(path, limit=MOST_BYTES, links=False) as file:
            for number, raw in enumerate(lines(file, str(path), most=MOST_LINE), start=1):
                try:
                    data = load(raw)
                except ValueError as error:
                    raise UserError(f"{path}:{number}", f"a damaged line ({error})", written) from None
                checked(_Example, data, f"{path}:{number}", _AGAIN)
                yield hide(data)
    except OSError as error:
        raise UserError(str(path), f"a file that cannot be read ({error.strerror or error})", written) from None
