"""The changes that a search proposed, each with its verdict and the gradients that asked for it, from the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from flowbot.runtime.trace import node_path
from flowbot.workflow.diff import changed_nodes, changed_parameters
from flowbot.workflow.workflow import Workflow

from .interval import Interval

BLAME = "the first wrong step"
"""What the journal says of a step that the meta model blamed."""
_GRADIENT = ("level", "example", "node", "text", "source")

Outcome = Literal["kept", "won", "rejected", "invalid", "passed", "open"]


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
        changes: the edits of the wiring and the names of the texts that changed, a line each.
        parameters: every parameter that it changed, a line each: the node, its old value and its new one.
        errors: why something that was proposed on the way, or all of it, is not valid.
        kept: None when no verdict was reached (not valid, not raced, or the run ended before).
        candidate: mean score in the race; `incumbent` is that of what it was raced against, on the same `n` examples.
        in_final: whether the final workflow descends from it.
        blamed: what names the step as the one to change, where the meta model was asked for it.
        spent: logical calls from the event before that counted them to its verdict, its gradients among them; None
            without a verdict.
        followed: whether the search went on from it, with a race or without.
        round: which bilevel loop proposed it, from 1.
        val: its score on validation, where it came so far.
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
    blamed: tuple[Gradient, ...] = ()
    spent: int | None = None
    followed: bool = False
    round: int = 1
    val: Interval | None = None
    parameters: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What became of it.

        `kept`: the final workflow has it; `won`: it won its race, and the final workflow does without it; `rejected`: it
        lost its race; `invalid`: it never ran; `passed`: the search went on from it without a race, and left it later;
        `open`: not decided (the run stopped before).
        """
        if self.in_final:
            return "kept"
        if self.kept is not None:
            return "won" if self.kept else "rejected"
        if self.workflow is None:
            return "invalid"
        return "passed" if self.followed else "open"


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
    leading, spent = _lineage(events, final), _spent(events)
    rounds, scores = _rounds(events), _validation(events)
    gone_on = {str(event.get("parent")) for event in events if event.get("event") == "proposal"} | set(scores)
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
            name, made = str(event.get("id")), str(event.get("workflow"))
            change = _change(event, verdicts.get(event.get("id")), batch, workflows)
            changes.append(
                replace(
                    change,
                    in_final=name in leading,
                    spent=spent.get(name),
                    followed=made in gone_on,
                    round=rounds[name],
                    val=scores.get(made),
                )
            )
    return tuple(changes)


def _change(
    event: Mapping[str, Any],
    verdict: Mapping[str, Any] | None,
    batch: Sequence[Gradient],
    workflows: Mapping[str, Workflow],
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
        in_final=False,
        blamed=_blamed(batch, parent, workflow),
        parameters=_parameters(parent, workflow),
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
    fitting = [each for each in batch if each.level == level and each.text and each.text != BLAME]
    quoted = [each for each in fitting if each.text in str(event.get("reason") or "")]
    changed = _changed_nodes(parent, workflow)
    return _joined(quoted or [each for each in fitting if node_path(each.node) in changed] or fitting)


def _blamed(batch: Sequence[Gradient], parent: Workflow | None, workflow: Workflow | None) -> tuple[Gradient, ...]:
    """What the meta model said of the steps that a proposal changes when it was asked for the first wrong one."""
    changed = _changed_nodes(parent, workflow)
    return _joined([each for each in batch if each.text == BLAME and node_path(each.node) in changed])


def _joined(gradients: Sequence[Gradient]) -> tuple[Gradient, ...]:
    """Each text once, with all its examples."""
    joined: dict[tuple[str, str, str], Gradient] = {}
    for each in gradients:
        key = (each.node, each.text, each.source)
        known = joined[key].example.split(", ") if key in joined else []
        joined[key] = replace(each, example=", ".join(dict.fromkeys([*known, each.example])))
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


def _spent(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Calls by proposal: what was counted at its verdict beyond the count before."""
    spent: dict[str, int] = {}
    before = 0
    for event in events:
        if "calls" not in event:
            continue
        now = int(event["calls"] or 0)
        if event.get("event") == "verdict":
            spent[str(event.get("id"))] = max(0, now - before)
        before = max(before, now)
    return spent


def _rounds(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The bilevel loop of each proposal: a change of structure after one of parameters begins another."""
    rounds: dict[str, int] = {}
    number, inner = 1, False
    for event in events:
        if event.get("event") == "proposal":
            structure = event.get("level") == "structure"
            number += structure and inner
            inner = not structure
            rounds[str(event.get("id"))] = number
    return rounds


def _validation(events: Sequence[Mapping[str, Any]]) -> dict[str, Interval]:
    """Scores on validation by workflow."""
    scores: dict[str, Interval] = {}
    for event in events:
        score = Interval.of(event)
        if event.get("event") == "evaluated" and event.get("split") == "val" and score is not None:
            scores.setdefault(str(event.get("workflow")), score)
    return scores


def _parameters(parent: Workflow | None, workflow: Workflow | None) -> tuple[str, ...]:
    """From the workflows themselves: a journal says of them what it likes."""
    if parent is None or workflow is None:
        return ()
    return tuple(
        f"{each['node']}, {each['parameter']}: {_value(each['old'])} → {_value(each['new'])}"
        for each in changed_parameters(parent, workflow)
    )


def _value(value: object) -> str:
    return "unset" if value is None else _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
