"""Edits of the structure that a large meta model writes: several different ones in one reply, each with the node that it is about, a claim
and the gain that is expected.

What was tried before is told with what it measured (OPRO: Yang et al. 2023, arXiv 2309.03409; AFlow's experience: Zhang et al. 2024, arXiv
2410.10762). A small model is not asked: a list of steps as JSON is beyond it.
"""

from __future__ import annotations

import json
from asyncio import Lock
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowbot.fields import stable_hash
from flowbot.optimizer.editing import EDITS, KINDS, structure
from flowbot.optimizer.feedback.history import tried_changes
from flowbot.optimizer.feedback.parts import is_not_here
from flowbot.optimizer.feedback.question import SEEN_TOKENS
from flowbot.optimizer.feedback.runs import failing, varied
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import shipped_priors
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import fair_share, mistake_text, value_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import WRITTEN, Arm
from flowbot.runtime.program import WorkflowProgram

from .several_edits import AT_ONCE, MOST_EDITS, TRIES, Written, several_edits

TITLE = "other edits of the structure, written for these mistakes"


@dataclass(frozen=True, slots=True)
class _Reply:
    """What one reply brought: shared by the draws that take a change each."""

    changes: Sequence[Written]
    shown: tuple[str, ...]
    because: tuple[str, ...]


@dataclass(slots=True)
class WrittenEdits:
    """Lets a large meta model write changes of the structure. The first draw pays for the reply, those after it cost nothing.

    Args:
        mistakes: failing runs that it is shown, beside what was said of the program's runs.
    """

    mistakes: int = 3
    _replies: dict[str, _Reply] = field(default_factory=dict[str, _Reply])
    _asking: dict[str, Lock] = field(default_factory=lambda: defaultdict[str, Lock](Lock))

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One, where runs went wrong and the meta model is a large one."""
        program = parent.program
        if context.meta_mode != "large" or not failing(context.recorded(program, context.training)):
            return []
        cost = 0 if program.hash in self._replies else TRIES
        key = stable_hash([program.hash, WRITTEN])
        return [Option(Arm(kind=WRITTEN), key, TITLE, shipped_priors().belief(WRITTEN), cost=cost, most=AT_ONCE)]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """As many changes as are wanted, from that of this draw on."""
        program = parent.program
        async with self._asking[program.hash]:
            if program.hash not in self._replies:
                self._replies[program.hash] = await self._ask(context, program)
        reply = self._replies[program.hash]
        none = Written(faults=("the meta model had no further change",))
        return [
            _proposal(context, focus, reply, each)
            for each in reply.changes[focus.draw : focus.draw + want] or [none]
        ]  # fmt: skip

    async def _ask(self, context: Context, program: WorkflowProgram) -> _Reply:
        room = SEEN_TOKENS[context.meta_mode]
        wrong = failing(context.recorded(program, context.training))
        rows = varied(wrong, context.rng(f"edits/{program.hash}"))[: self.mistakes]
        # Diagnoses of several runs first, and nothing twice.
        said = {each.text: each for each in context.heard(program.hash) if not is_not_here(each.text)}
        heard = sorted(said.values(), key=lambda each: each.mends is None)
        most = fair_share([each.text for each in heard], room // 2)
        question = fill(
            "write_edits",
            goal=context.task.goal,
            kinds=KINDS,
            edits=EDITS,
            tools="\n".join(f"{name}: {each.about}" for name, each in context.signatures.items()),
            number=AT_ONCE,
            most=MOST_EDITS,
            workflow=json.dumps(program.workflow.sketch.dump(), ensure_ascii=False),
            said=[f"{f'[{each.place}] ' if each.place else ''}{value_text(each.text, most)}" for each in heard],
            tried=tried_changes(context.population),
            mistakes=[
                mistake_text(row, number, context.task.metric, room // (2 * self.mistakes))
                for number, row in enumerate(context.told(program, rows), start=1)
            ],
        )
        changes = await several_edits(context, program.workflow, question)
        names = (*(row.example.id for row in rows), *(each.example for each in heard if each.example))
        return _Reply(changes, tuple(dict.fromkeys(names)), tuple(each.id for each in heard))


def _proposal(context: Context, focus: Focus, reply: _Reply, change: Written) -> Proposal:
    """The proposal of a change; one without program where a candidate has that structure already."""
    after, faults = change.after, change.faults
    if after is not None:
        same = (each.id for each in context.population.members if structure(each.program.workflow) == structure(after))
        if (known := next(same, None)) is not None:
            after, faults = None, (*faults, f"the same structure as {known}")
    about = f"at `{change.node}`: " if change.node else ""
    claim = f"{change.claim.rstrip('.')}." if change.claim else ""
    expected = f" Expected gain: {change.effect:+.2f}." if change.effect is not None else ""
    return Proposal(
        None if after is None else WorkflowProgram(after),
        change.claim or TITLE,
        "meta",
        reason=f"{about}{claim}{expected}" if claim else focus.reason,
        edits=change.edits,
        shown=reply.shown,
        because=tuple(dict.fromkeys((*focus.because, *reply.because))),
        faults=faults,
    )
