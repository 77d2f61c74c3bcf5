"""AFlow's expansion (section 3.3 there): one modification of one parent, by an author that knows what was tried on it.

A small meta model chooses a change of the catalogue by letter; a large one writes typed edits. The published one writes Python, which
is imported into the optimiser as it is; tells a repetition by the text of its description, in a loop without a bound; and lists what
was tried only if running it came to an end. Here nothing runs that is not valid, a repetition is told by the structure, there are three
tries, and all of them are remembered.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flowbot.fields import Field, Type
from flowbot.fields.words import percent
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.editing import EDITS, KINDS, TRIES, asked_edits, structure
from flowbot.optimizer.feedback.question import LETTERS
from flowbot.optimizer.feedback.runs import failing
from flowbot.optimizer.judge import PRIOR_SPREAD
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import mistake_texts, sentence
from flowbot.optimizer.seams import Context, Focus, Option, Pick, Proposal, Proposer
from flowbot.run.events import WRITTEN, Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.workflow import Workflow

SHOWN = {"small": 2, "large": 3}
"""Mistakes that the author is shown, at random."""
REMEMBERED = {"small": 4, "large": 20}
"""Of what was tried on a parent the last ones that it is told."""
MOST_EDITS = 3
CHOICE_TOKENS = 150
CHOICE = "a change chosen by the meta model"
_NO_CHOICE = Option(Arm(kind="choice"), "", CHOICE, Belief(0.0, PRIOR_SPREAD))


@dataclass(slots=True)
class Author:
    """Modifies one parent at a time.

    Args:
        catalogue: offers the changes that are chosen among.
    """

    catalogue: Proposer
    _tries: Counter[str] = field(default_factory=Counter[str])
    _asked: int = 0

    def offers(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """What may be tried on a parent still."""
        if context.meta_mode == "large":
            key = f"edits {parent.program.hash}"
            return [Option(Arm(kind=WRITTEN), key, "edits by the meta model", Belief(0.0, PRIOR_SPREAD), cost=TRIES)]
        options = self.catalogue.options(parent, context)
        return [replace(each, cost=each.cost + TRIES) for each in options if self._tries[each.key] < each.most]

    async def modified(
        self, parent: Candidate, offers: Sequence[Option], tried: Sequence[str], context: Context
    ) -> tuple[Pick, Proposal]:
        """One modification, or what kept the author from one.

        Args:
            parent: what is modified; it was run on all rows.
            offers: of `offers`, those that it may choose among.
            tried: what was tried on the parent, and what came of it.
            context: of the search.
        """
        program, mode = parent.program, context.meta_mode
        self._asked += 1
        rng = context.rng(f"aflow/author/{self._asked}")
        wrong = failing(context.recorded(program, context.training))
        rows = rng.sample(wrong, k=min(SHOWN[mode], len(wrong)))
        facts: dict[str, Any] = {
            "goal": context.task.goal,
            "score": percent(context.population.mean(program, "score") or 0.0),
            "tried": list(tried[-REMEMBERED[mode] :]),
        }
        if mode == "large":
            return await self._written(parent, offers[0], rows, facts, context)
        drawn = rng.sample(offers, k=min(len(LETTERS), len(offers)))
        faults: list[str] = []
        while True:
            pick, made = await self._chosen(parent, drawn, rows, facts, len(faults), context)
            why = "".join(made.faults[-1:]) if made.program is None else repeated(made.program.workflow, context)
            if not why:
                return pick, replace(made, faults=(*faults, *made.faults))
            faults.append(f"{made.title}: {why}")
            drawn = [each for each in drawn if each.key != pick.focus.option.key]
            if not drawn or len(faults) == TRIES:
                return pick, replace(made, program=None, faults=tuple(faults))

    async def _chosen(
        self,
        parent: Candidate,
        offers: Sequence[Option],
        rows: Sequence[Row],
        facts: Mapping[str, Any],
        draw: int,
        context: Context,
    ) -> tuple[Pick, Proposal]:
        """A change that the meta model chooses by letter."""
        program, letters = parent.program, LETTERS[: len(offers)]
        several = len({each.arm.place for each in offers}) > 1
        changes = [
            {"letter": letter, "title": each.title, "place": each.arm.place if several else ""}
            for letter, each in zip(letters, offers, strict=True)
        ]
        system = fill("aflow_choose", **facts, workflow=sentence(program.workflow), changes=changes)
        user = "\n\n".join([*_mistakes(context, program, rows), "Fault and choice?"])
        fields = [Field.of("fault", "str"), Field("choice", Type("literal", options=tuple(letters)))]
        context.watch.step("asking the meta model which change to make")
        reply = await context.ask_fields(system, user, fields, "proposals", max_tokens=CHOICE_TOKENS, draw=draw)
        if reply is None:
            nothing: Proposal = Proposal(None, CHOICE, "meta", faults=("the meta model chose none",))
            return Pick(parent, self.catalogue, _focus(_NO_CHOICE)), nothing
        option, fault = offers[letters.index(str(reply["choice"]))], str(reply["fault"]).strip()
        said = tuple(context.feedback(program.hash, row.example.id, "", fault) for row in rows) if fault else ()
        focus = replace(
            _focus(option),
            draw=self._tries[option.key],
            votes=1.0,
            reason=fault,
            because=tuple(each.id for each in said),
            ballots=1,
            shown=tuple(row.example.id for row in rows),
        )
        self._tries[option.key] += 1
        (made,) = await self.catalogue.propose(parent, focus, 1, context)
        return Pick(parent, self.catalogue, focus), replace(made, feedback=(*said, *made.feedback))

    async def _written(
        self, parent: Candidate, option: Option, rows: Sequence[Row], facts: Mapping[str, Any], context: Context
    ) -> tuple[Pick, Proposal]:
        """Edits that the meta model writes."""
        workflow = parent.program.workflow
        told = {
            path: each.model_dump(exclude_defaults=True, exclude={"demonstrations"})
            for path, each in workflow.parameters.items()
        }
        question = fill(
            "aflow_modify",
            **facts,
            kinds=KINDS,
            edits=EDITS,
            most=MOST_EDITS,
            tools="\n".join(f"{name}: {each.about}" for name, each in context.signatures.items()),
            workflow=json.dumps({**workflow.sketch.dump(), "parameters": told}, ensure_ascii=False),
            mistakes=_mistakes(context, parent.program, rows),
        )
        made = await asked_edits(
            context, workflow, question, most=MOST_EDITS, refused=lambda after: repeated(after, context)
        )
        after = None if made.workflow is None else WorkflowProgram(made.workflow)
        title, shown = "; ".join(made.edits) or option.title, tuple(row.example.id for row in rows)
        proposal = Proposal(after, title, "meta", edits=made.edits, shown=shown, faults=made.faults)
        return Pick(parent, self.catalogue, _focus(option)), proposal


def repeated(workflow: Workflow, context: Context) -> str:
    """Which earlier candidate had the structure of a workflow, in words; "" where none had."""
    same = structure(workflow)
    for each in context.population.members:
        if structure(each.program.workflow) == same:
            return f"that leads to a structure that was tried before ({each.id}: {each.title})"
    return ""


def _focus(option: Option) -> Focus:
    return Focus(option, 0, option.prior, option.prior)


def _mistakes(context: Context, program: WorkflowProgram, rows: Sequence[Row]) -> list[str]:
    return mistake_texts(context.told(program, rows), context.task.metric)
