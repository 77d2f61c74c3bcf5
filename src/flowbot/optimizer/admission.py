"""How a protocol that takes or compares what is proposed journals it: each proposal under a name of its own, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Generic, Literal

from flowbot.run import events

from .belief import Belief
from .judge import Ruling
from .population import Candidate, P, Pairs, State
from .seams import Context, Pick, PlanUsed, Proposal

STATES: Mapping[Literal["adopt", "drop", "set aside"], State] = {
    "adopt": "adopted",
    "drop": "dropped",
    "set aside": "set aside",
}
TAKEN = Belief(0.0, 0.0)
"""Of a change that is taken without being judged nothing is believed."""
UNKNOWN = 0.5
"""How likely it is that a change is better where nobody reckons it."""


@dataclass(slots=True)
class Admissions(Generic[P]):
    """The proposals of one loop.

    Args:
        once: feedback that several proposals rest on is journalled with the first of them alone.
        number: how many were journalled.
    """

    once: bool = False
    number: int = 0
    _written: set[str] = field(default_factory=set[str])

    def journalled(self, context: Context[P], pick: Pick[P], proposal: Proposal[P]) -> str:
        """Journal a proposal, and before it what was said to bring it about; its name."""
        self._say(context, proposal)
        self.number += 1
        name = f"p{self.number}"
        context.record(proposed(name, pick, proposal))
        return name

    def _say(self, context: Context[P], proposal: Proposal[P]) -> None:
        for each in proposal.feedback:
            if not self.once or each.id not in self._written:
                self._written.add(each.id)
                context.record(each)

    def admitted(
        self,
        context: Context[P],
        pick: Pick[P],
        proposal: Proposal[P],
        state: State = "open",
    ) -> Candidate[P] | None:
        """Journal a proposal; a program that differs from its parent becomes a candidate."""
        proposal = within(context, proposal)
        if proposal.program is None and not proposal.faults:
            self._say(context, proposal)  # and nothing else was to be said
            return None
        name = self.journalled(context, pick, proposal)
        if proposal.program is None or proposal.program.hash == pick.parent.program.hash:
            return None
        candidate = admitted(name, pick, proposal, proposal.program, pick.parent, state)
        context.population.add(candidate)
        return candidate

    def taken(
        self,
        context: Context[P],
        pick: Pick[P],
        proposal: Proposal[P],
    ) -> Candidate[P]:
        """The program to go on with: what is proposed, as it is, if it is another one."""
        candidate = self.admitted(context, pick, proposal, "adopted")
        if candidate is None:
            return pick.parent
        ruling = Ruling(None, "always", TAKEN, Pairs((), (), ()), UNKNOWN)
        context.record(decided(candidate, ruling, "adopt", context.spent))
        return candidate

    def compared(
        self,
        context: Context[P],
        candidate: Candidate[P],
        decision: Literal["adopt", "drop", "set aside"],
        rule: str,
        pairs: Pairs,
    ) -> None:
        """Journal what two means decided: the gain is the one that was seen, and nothing is reckoned of chance."""
        context.population.close(candidate, STATES[decision])
        candidate.belief = Belief(fmean(pairs.differences) if len(pairs) else 0.0, 0.0)
        ruling = Ruling(None, rule, candidate.belief, pairs, UNKNOWN)
        context.record(decided(candidate, ruling, decision, context.spent))


def require_planned(context: Context[P], calls: float) -> None:
    """See that something may be begun: that the planned calls surely allow to end it.

    Raises:
        PlanUsed: if they do not.
    """
    if calls > context.left:
        raise PlanUsed("another step does not fit the planned calls", ceiling="calls")


def within(context: Context[P], proposal: Proposal[P]) -> Proposal[P]:
    """A proposal, without its program where that passes a limit of the user's: such a one is never run."""
    fault = "" if proposal.program is None else context.population.limits.fault(proposal.program)
    return replace(proposal, program=None, faults=(*proposal.faults, fault)) if fault else proposal


def admitted(
    name: str,
    pick: Pick[P],
    proposal: Proposal[P],
    program: P,
    against: Candidate[P],
    state: State = "open",
) -> Candidate[P]:
    """The candidate of a valid proposal, to be compared with `against`."""
    focus = pick.focus
    held = {each.id for each in against.history}
    theirs = (each.shown for each in pick.parent.history if each.id not in held)  # whose changes it brings besides
    return Candidate(
        name,
        program,
        against,
        focus.option.arm,
        prior=focus.belief,
        key=focus.option.key,
        draw=focus.draw,
        level=focus.option.level,
        plain=focus.plain,
        votes=focus.votes,
        shown=frozenset(proposal.shown).union(focus.shown, *theirs),
        title=proposal.title,
        source=proposal.source,
        state=state,
        origin=None if pick.parent is against else pick.parent,
    )


def proposed(name: str, pick: Pick[P], proposal: Proposal[P]) -> events.Proposal:
    """The event of a proposal."""
    focus = pick.focus
    return events.Proposal(
        id=name,
        level=focus.option.level,
        arm=focus.option.arm,
        parents=(pick.parent.program.hash,),
        program=None if proposal.program is None else proposal.program.hash,
        dump=None if proposal.program is None else proposal.program.dump(),
        edits=proposal.edits,
        title=proposal.title,
        source=proposal.source,
        reason=proposal.reason,
        because=proposal.because,
        votes=events.Votes(won=round(focus.votes * focus.ballots), of=focus.ballots) if focus.ballots else None,
        code_by=proposal.code_by,
        shown=tuple(dict.fromkeys((*proposal.shown, *focus.shown))),
        faults=proposal.faults,
    )


def decided(candidate: Candidate[P], ruling: Ruling, decision: events.Decision, spent: int) -> events.Verdict:
    """The event of a verdict."""
    pairs, parent = ruling.pairs, candidate.parent
    return events.Verdict(
        proposal=candidate.id,
        incumbent="" if parent is None else parent.program.hash,
        decision=decision,
        rule=ruling.rule,
        n=len(pairs),
        mine=sum(pairs.mine) / max(1, len(pairs)),
        theirs=sum(pairs.theirs) / max(1, len(pairs)),
        gain=max(-1.0, min(1.0, ruling.belief.mean)),
        spread=ruling.belief.spread,
        p=ruling.p,
        spent=spent,
    )
