"""The changes that a search proposed, each with its verdict and the gradients that asked for it, from the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from flowbot.runtime.trace import node_path
from flowbot.workflow import Workflow
from flowbot.workflow.diff import changed_nodes

_GRADIENT = ("level", "example", "node", "text", "source")


@dataclass(frozen=True, slots=True)
class Gradient:
    """Feedback in words, as the journal has it."""

    level: str
    example: str
    node: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Change:
    """One proposal with its verdict and the gradients that stood behind it.

    Args:
        kept: None when no verdict was reached (not valid, or the run ended before).
        in_final: whether the final workflow descends from it.
    """

    id: str
    level: str
    source: str
    title: str
    reason: str
    changes: tuple[str, ...]
    errors: tuple[str, ...]
    kept: bool | None
    verdict: str
    candidate: float | None
    incumbent: float | None
    n: int
    p_better: float | None
    gradients: tuple[Gradient, ...]
    parent: Workflow | None
    workflow: Workflow | None
    in_final: bool

    @property
    def outcome(self) -> Literal["kept", "rejected", "invalid", "open"]:
        """What became of it: `kept` if the final workflow has it or it won its race; `invalid` never ran, `open` was
        not raced (the method races nothing, or the run stopped before)."""
        if self.in_final:
            return "kept"
        if self.kept is not None:
            return "kept" if self.kept else "rejected"
        return "invalid" if self.workflow is None else "open"


def read_changes(
    events: Sequence[Mapping[str, Any]], workflows: Mapping[str, Workflow], final: str | None
) -> tuple[Change, ...]:
    """The proposals in a journal's events.

    Args:
        events: the journal.
        workflows: every workflow that is known, by hash.
        final: hash of the workflow that was found, if one was.
    """
    verdicts = {event.get("id"): event for event in events if event.get("event") == "verdict"}
    leading = _lineage(events, final)
    changes: list[Change] = []
    batch: list[Gradient] = []
    used = False
    for event in events:
        if event.get("event") == "gradient":
            # A gradient after a proposal opens a new batch; proposals in a row answer the same batch.
            batch, used = ([] if used else batch), False
            batch.append(Gradient(*(str(event.get(name) or "") for name in _GRADIENT)))
        elif event.get("event") == "proposal":
            used = True
            changes.append(_change(event, verdicts.get(event.get("id")), batch, workflows, leading))
    return tuple(changes)


def _change(
    event: Mapping[str, Any],
    verdict: Mapping[str, Any] | None,
    batch: Sequence[Gradient],
    workflows: Mapping[str, Workflow],
    leading: frozenset[str],
) -> Change:
    parent, workflow = workflows.get(str(event.get("parent"))), workflows.get(str(event.get("workflow")))
    verdict = verdict or {}
    return Change(
        id=str(event.get("id")),
        level=str(event.get("level") or ""),
        source=str(event.get("source") or ""),
        title=str(event.get("title") or ""),
        reason=str(event.get("reason") or ""),
        changes=tuple(_text(each) for each in event.get("changes") or event.get("edits") or ()),
        errors=tuple(str(each) for each in event.get("errors") or ()),
        kept=bool(verdict["kept"]) if "kept" in verdict else None,
        verdict=str(verdict.get("reason") or ""),
        candidate=verdict.get("candidate"),
        incumbent=verdict.get("incumbent"),
        n=int(verdict.get("n") or 0),
        p_better=verdict.get("p_better"),
        gradients=_asked_for(event, batch, parent, workflow),
        parent=parent,
        workflow=workflow,
        in_final=str(event.get("id")) in leading,
    )


def _asked_for(
    event: Mapping[str, Any], batch: Sequence[Gradient], parent: Workflow | None, workflow: Workflow | None
) -> tuple[Gradient, ...]:
    """The gradients behind a proposal of the meta model; equal texts are joined, with their examples.

    Of a batch these are the ones on its level and, where that tells more, those that its reason quotes or that stand
    at a step which it changes. A proposal from a catalogue or at random was asked for by none.
    """
    if event.get("source") != "meta":
        return ()
    level = "workflow" if event.get("level") == "structure" else "call"
    fitting = [each for each in batch if each.level == level and each.text]
    quoted = [each for each in fitting if each.text in str(event.get("reason") or "")]
    changed = _changed_nodes(parent, workflow)
    fitting = quoted or [each for each in fitting if node_path(each.node) in changed] or fitting
    joined: dict[tuple[str, str, str], Gradient] = {}
    for each in fitting:
        key = (each.node, each.text, each.source)
        others = f"{joined[key].example}, " if key in joined else ""
        joined[key] = replace(each, example=f"{others}{each.example}")
    return tuple(joined.values())


def _changed_nodes(parent: Workflow | None, workflow: Workflow | None) -> frozenset[str]:
    """Paths of the parent's nodes that the workflow lacks or has otherwise."""
    return frozenset() if parent is None or workflow is None else changed_nodes(workflow, parent)


def _lineage(events: Sequence[Mapping[str, Any]], final: str | None) -> frozenset[str]:
    """Ids of the proposals on the way from the start to the workflow with hash `final`."""
    makers: dict[str, Mapping[str, Any]] = {}
    for event in events:
        if event.get("event") == "proposal" and event.get("workflow"):
            makers.setdefault(str(event.get("workflow")), event)
    ids: list[str] = []
    while final in makers and str(makers[final]["id"]) not in ids:
        ids.append(str(makers[final]["id"]))
        final = str(makers[final].get("parent"))
    return frozenset(ids)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
