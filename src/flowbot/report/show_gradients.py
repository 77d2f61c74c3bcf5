"""The textual gradients on one example: which workflow and step each is about, and which proposals came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowbot.runtime.trace import node_path
from flowbot.workflow.diff import changed_nodes

from .changes import Change
from .data import RunView
from .run_files import read_events

Event = Mapping[str, Any]
_Key = tuple[str, str, str, str]
"""Workflow, level, node and text of a gradient."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A textual gradient on the example.

    Args:
        level: `call`, on one step, or `workflow`, on the structure.
        node: the step's address; "" on the structure.
        text: the feedback.
        source: `meta`, or `rule` where no model was asked.
        workflow: hash of the workflow whose run it is about; "" where the journal does not say.
        times: how often it was given in the same words.
        used_by: the proposals that were made from it, in order.
    """

    level: str
    node: str
    text: str
    source: str
    workflow: str
    times: int
    used_by: tuple[Change, ...]


def count_gradients(run_dir: Path) -> Mapping[str, int]:
    """Textual gradients in a run's journal by example; those in the same words on the same step count once."""
    events = [event for event in read_events(run_dir) if _is_gradient(event)]
    return Counter(example for example, *_ in dict.fromkeys((str(event["example"]), *_key(event)) for event in events))


def read_gradients(run: RunView, example: str) -> tuple[Heard, ...]:
    """The gradients on one example in the order of the search.

    Raises:
        UserError: if the run's journal is missing or damaged.
    """
    changes = {change.id: change for change in run.changes}
    found: dict[_Key, Heard] = {}
    for batch, proposals in _batches(read_events(run.run_dir)):
        made = [changes[str(each["id"])] for each in proposals]
        texts = {(level, text) for _, level, _, text in map(_key, batch)}
        for event in batch:
            if str(event["example"]) != example:
                continue
            key = _key(event)
            before = found.get(key) or Heard(*key[1:], str(event.get("source") or ""), key[0], 0, ())
            users = [change for change in made if _made_from(change, key, example, texts)]
            used_by = tuple({change.id: change for change in (*before.used_by, *users)}.values())
            found[key] = replace(before, times=before.times + 1, used_by=used_by)
    return tuple(found.values())


def workflow_names(run: RunView) -> dict[str, str]:
    """What the workflows of a run are called, by hash."""
    names: dict[str, str] = {}
    for change in run.changes:
        if change.workflow is not None:
            names.setdefault(change.workflow.hash, f"proposal {change.id} ({change.title})")
    if run.found is not None:
        names[run.found.hash] = "the found workflow"
    if run.start is not None:
        names[run.start.hash] = "the start"
    return names


def _batches(events: Iterable[Event]) -> Iterator[tuple[list[Event], list[Event]]]:
    """The gradients that were written one after the other, each time with the proposals up to the next gradient."""
    batch: list[Event] = []
    proposals: list[Event] = []
    for event in events:
        if _is_gradient(event):
            if proposals:
                yield batch, proposals
                batch, proposals = [], []
            batch.append(event)
        elif event.get("event") == "proposal":
            proposals.append(event)
    yield batch, proposals


def _is_gradient(event: Event) -> bool:
    return event.get("event") == "gradient" and bool(event.get("text")) and "example" in event


def _key(event: Event) -> _Key:
    workflow, level, node, text = (str(event.get(name) or "") for name in ("workflow", "level", "node", "text"))
    return workflow, level, node, text


def _made_from(change: Change, key: _Key, example: str, texts: Collection[tuple[str, str]]) -> bool:
    """Whether a proposal was made from a gradient of the batch before it, as far as the journal tells.

    On a step: the proposals of the meta model that change this step of the same workflow. On the structure: those that
    quote it; a proposal that gives the first text of a batch as its whole reason was made from all of the batch.

    Args:
        change: the proposal.
        key: the gradient.
        example: its example.
        texts: level and text of every gradient of the batch.
    """
    workflow, level, node, text = key
    if change.parent is None or change.parent.hash != workflow:
        return False
    if any(each.text == text and each.node == node and _names(each.example, example) for each in change.blamed):
        return True
    if change.source != "meta" or (level == "workflow") != (change.level == "structure"):
        return False
    if level == "workflow":
        return text in change.reason or (level, change.reason) in texts
    if change.workflow is None:
        return change.reason == text or any(error.startswith(f"{node_path(node)}: ") for error in change.errors)
    return (level, change.reason) in texts and node_path(node) in changed_nodes(change.workflow, change.parent)


def _names(examples: str, example: str) -> bool:
    return f", {example}," in f", {examples},"
