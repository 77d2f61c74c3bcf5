"""How a protocol that takes or compares what is proposed journals it: each proposal under a name of its own, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from flowbot.runtime.program import WorkflowProgram

from .belief import Belief
from .judge import Ruling
from .pool import STATES, admitted, decided, proposed, within
from .population import Candidate, Pairs, State
from .seams import Context, Pick, PlanUsed, Proposal

TAKEN = Belief(0.0, 0.0)
"""Of a change that is taken without being judged nothing is believed."""
UNKNOWN = 0.5
"""How likely it is that a change is better where nobody reckons it."""


@dataclass(slots=True)
class Admissions:
    """The proposals of one loop.

    Args:
        once: feedback that several proposals rest on is journalled with the first of them alone.
        number: how many were journalled.
    """

    once: bool = False
    number: int = 0
    _written: set[str] = field(default_factory=set[str])

    def admitted(
        self,
        context: Context[WorkflowProgram],
        pick: Pick[WorkflowProgram],
        proposal: Proposal[WorkflowProgram],
        state: State = "open",
    ) -> Candidate[WorkflowProgram] | None:
        """Journal a proposal; a program that differs from its parent becomes a candidate."""
        proposal = within(context, proposal)
        for each in proposal.feedback:
            if not self.once or each.id not in self._written:
                self._written.add(each.id)
                context.record(each)
        if proposal.program is None and not proposal.faults:
            return None  # nothing was to be said
        self.number += 1
        name = f"p{self.number}"
        context.record(proposed(name, pick, proposal))
        if proposal.program is None or proposal.program.hash == pick.parent.program.hash:
            return None
        candidate = admitted(name, pick, proposal, proposal.program, pick.parent, state)
        context.population.add(candidate)
        return candidate

    def taken(
        self,
        context: Context[WorkflowProgram],
        pick: Pick[WorkflowProgram],
        proposal: Proposal[WorkflowProgram],
    ) -> Candidate[WorkflowProgram]:
        """The program to go on with: what is proposed, as it is, if it is another one."""
        candidate = self.admitted(context, pick, proposal, "adopted")
        if candidate is None:
            return pick.parent
        ruling = Ruling(None, "always", TAKEN, Pairs((), (), ()), UNKNOWN)
        context.record(decided(candidate, ruling, "adopt", context.spent))
        return candidate

    def compared(
        self,
        context: Context[WorkflowProgram],
        candidate: Candidate[WorkflowProgram],
        decision: Literal["adopt", "drop", "set aside"],
        rule: str,
        pairs: Pairs,
    ) -> None:
        """Journal what two means decided: the gain is the one that was seen, and nothing is reckoned of chance."""
        context.population.close(candidate, STATES[decision])
        candidate.belief = Belief(fmean(pairs.differences) if len(pairs) else 0.0, 0.0)
        ruling = Ruling(None, rule, candidate.belief, pairs, UNKNOWN)
        context.record(decided(candidate, ruling, decision, context.spent))


def require_planned(context: Context[WorkflowProgram], calls: float) -> None:
    """See that something may be begun: that the planned calls surely allow to end it.

    Raises:
        PlanUsed: if they do not.
    """
    if calls > context.left:
        raise PlanUsed("another step does not fit the planned calls", ceiling="calls")
