"""The changes that a search proposed, each with the feedback that asked for it, its verdicts and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from flowbot.fields.words import as_text
from flowbot.workflow.diff import changed_parameters
from flowbot.workflow.workflow import Workflow

from .events import Event, Feedback, Measure, Measured, Proposal, Started, Verdict

Outcome: TypeAlias = Literal["kept", "won", "rejected", "invalid", "passed", "open"]
_SEARCH = ("adopt", "drop", "set aside")


@dataclass(frozen=True)
class Change:
    """One proposal and what became of it.

    Args:
        proposal: what was proposed, by whom and why.
        because: the feedback that asked for it.
        parent, workflow: what it was made from and what it made; None where that is not known or not valid.
        verdict: what the search decided of it last, on a comparison; None where there was none (not valid, taken as it was, or
            not run before the end).
        closing: what validation said of it at the end, if it was asked and had rows.
        in_final: whether the final workflow descends from it; `is_result`: whether it made that workflow.
        followed: whether the search went on from it.
        repeats: what made the same workflow before, `the start` or the id of a proposal; "" where nothing did.
        val: its score on validation, where it came so far.
    """

    proposal: Proposal
    because: tuple[Feedback, ...]
    parent: Workflow | None
    workflow: Workflow | None
    verdict: Verdict | None
    closing: Verdict | None
    in_final: bool
    is_result: bool
    followed: bool
    repeats: str
    val: Measure | None

    @property
    def id(self) -> str:
        """Of the proposal."""
        return self.proposal.id

    @property
    def kept(self) -> bool | None:
        """Whether the search adopted it; None where that was not decided."""
        decision = self.verdict.decision if self.verdict is not None else "set aside"
        return None if decision == "set aside" else decision == "adopt"

    @property
    def refuted(self) -> bool:
        """Whether validation was asked and did not confirm it."""
        return self.closing is not None and self.closing.decision == "refute"

    @property
    def outcome(self) -> Outcome:
        """What became of it.

        `kept`: the final workflow has it; `won`: it was adopted, and the final workflow does without it; `rejected`: it was
        dropped, or validation did not confirm it; `invalid`: it never ran; `passed`: the search went on from it without a
        comparison, and left it later; `open`: not decided.
        """
        if self.in_final:
            return "kept"
        if self.kept is False or self.refuted:
            return "rejected"
        if self.kept:
            return "won"
        if self.proposal.program is None:
            return "invalid"
        return "passed" if self.followed and self.verdict is None else "open"

    @cached_property
    def feedback(self) -> tuple[FeedbackText, ...]:
        """The feedback that asked for it, each text once with all the examples that it speaks of."""
        return by_text(self.because)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Every parameter that it changed, a line each: the node, its old value and its new one."""
        if self.parent is None or self.workflow is None:
            return ()
        return tuple(
            f"{each['node']}, {each['parameter']}: {_value(each['old'])} → {_value(each['new'])}"
            for each in changed_parameters(self.parent, self.workflow)
        )


@dataclass(frozen=True, slots=True)
class FeedbackText:
    """What was said in the same words of one place of a workflow, once or more often."""

    each: tuple[Feedback, ...]

    @property
    def about(self) -> str:
        """Hash of the workflow whose runs it is about."""
        return self.each[0].about

    @property
    def place(self) -> str:
        """Address of the step; "" on the structure."""
        return self.each[0].place

    @property
    def text(self) -> str:
        """What was said."""
        return self.each[0].text

    @property
    def source(self) -> Literal["meta", "rule"]:
        """`meta`, or `rule` where no model was asked."""
        return self.each[0].source

    @property
    def examples(self) -> tuple[str, ...]:
        """Ids of the examples on whose runs it was said."""
        return tuple(dict.fromkeys(each.example for each in self.each if each.example))


def by_text(feedback: Iterable[Feedback]) -> tuple[FeedbackText, ...]:
    """Each text on the same place of the same workflow once, in the order of the search."""
    joined: dict[tuple[str, str, str, str], list[Feedback]] = {}
    for each in feedback:
        if each.text:
            joined.setdefault((each.about, each.place, each.text, each.source), []).append(each)
    return tuple(FeedbackText(tuple(same)) for same in joined.values())


def read_changes(events: Sequence[Event], workflows: Mapping[str, Workflow], final: str | None) -> tuple[Change, ...]:
    """The proposals of a run, in order.

    Args:
        events: the journal.
        workflows: every workflow that is known, by hash.
        final: hash of the workflow that was found, if one was.
    """
    proposals = [event for event in events if isinstance(event, Proposal)]
    feedback = {event.id: event for event in events if isinstance(event, Feedback)}
    verdicts = [event for event in events if isinstance(event, Verdict)]
    compared = [each for each in verdicts if each.n]
    searched = {each.proposal: each for each in compared if each.decision in _SEARCH}
    closing = {each.proposal: each for each in compared if each.decision not in _SEARCH}
    scores: dict[str, Measure] = {}
    for event in events:
        if isinstance(event, Measured) and event.split == "val":
            scores.setdefault(event.program, event.score)
    leading = _leading(events, final)
    followed = {parent for each in proposals for parent in each.parents} | set(scores)
    repeated = _repeated(events, proposals)
    taken = {each.proposal for each in verdicts if each.decision == "adopt"}
    return tuple(
        Change(
            proposal=each,
            because=tuple(feedback[name] for name in each.because if name in feedback),
            parent=workflows.get(each.parents[0]),
            workflow=workflows.get(each.program or ""),
            verdict=searched.get(each.id),
            closing=closing.get(each.id),
            in_final=each.id in leading,
            is_result=each.id in leading and each.program == final,
            followed=each.id in taken or (each.program in followed and not repeated[each.id]),
            repeats=repeated[each.id],
            val=scores.get(each.program or ""),
        )
        for each in proposals
    )


def _leading(events: Sequence[Event], program: str | None) -> set[str]:
    """Ids of the proposals from the start to the program of that hash, each made from the one before. The first that made a
    program counts; none where the program is the start, though a proposal may have led back to it."""
    starts = {event.start for event in events if isinstance(event, Started)}
    makers: dict[str | None, Proposal] = {}
    for event in events:
        if isinstance(event, Proposal) and event.program is not None and event.program not in starts:
            makers.setdefault(event.program, event)
    found: set[str] = set()
    while (maker := makers.pop(program, None)) is not None:  # a circle ends: each is taken once
        found.add(maker.id)
        program = maker.parents[0]
    return found


def _repeated(events: Sequence[Event], proposals: Sequence[Proposal]) -> dict[str, str]:
    """By proposal, what made the same workflow before it."""
    makers: dict[str | None, str] = {event.start: "the start" for event in events if isinstance(event, Started)}
    repeated: dict[str, str] = {}
    for each in proposals:
        maker = each.id if each.program is None else makers.setdefault(each.program, each.id)
        repeated[each.id] = "" if maker == each.id else maker
    return repeated


def _value(value: object) -> str:
    return "unset" if value is None else as_text(value)
