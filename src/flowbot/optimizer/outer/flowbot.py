"""Our outer loop: the meta model chooses among concrete changes, races decide, and a wrong choice costs a few calls.

A structure gradient here is one short decision: shown two mistakes, the meta model names the fault and picks a change by
letter. It is asked several times with the options in other orders, because small models favour a letter; votes rank the
changes. Each candidate structure is tuned by the race alone at first; the inner loop then works on the winner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flowbot.fields import Field, Type, stable_hash
from flowbot.optimizer.inner.blame import blamed_step
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.search import Candidate, Search
from flowbot.optimizer.words import mistake_text, sentence
from flowbot.run.events import Arm, Feedback, Votes
from flowbot.runtime.evaluation import Row
from flowbot.task import Example
from flowbot.workflow.edits import Edit, EditError, apply, describe
from flowbot.workflow.workflow import Workflow

from .catalogue import Change, changes
from .code import Author, write_codes

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MISTAKES = 2
PERFECT = 1.0
DRAWN = "Drawn at random from the catalogue: this method asks nobody."
NEXT = "No feedback asked for it: it was the next in the catalogue of known patterns."


@dataclass(frozen=True, slots=True)
class Choice:
    """A change that is to be tried: who asked for it, or why it is tried all the same."""

    change: Change
    reason: str = ""
    because: Sequence[Feedback] = ()
    votes: Votes | None = None


class Choosing:
    """Outer steps that choose from the catalogue: by the meta model's votes, or at random (the baseline)."""

    def __init__(self, by: Literal["votes", "chance"]) -> None:
        self._by = by

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The best of the workflow and the candidates raced against it."""
        rows = await search.score(workflow, batch[: search.effort.race], "train", "looking for mistakes")
        wrong = [row for row in rows if row.score.value < PERFECT]
        if not wrong:
            return workflow
        node, blame = await blamed_step(search, workflow, wrong)
        if node is None:
            return workflow
        options = [
            each
            for each in changes(workflow, search.task, node)
            if (_parent(workflow), each.key) not in search.tried and (each.computes is None or search.can_compute)
        ]
        if not options:
            return workflow
        ranked = await self._rank(search, workflow, options, wrong, number)
        best, margin = workflow, 0.0
        for choice in ranked[: search.effort.candidates]:
            candidate = await self._build(search, workflow, choice, blame, batch)
            if candidate is None:
                continue
            verdict = await search.race(candidate, workflow, batch)
            gain = verdict.candidate - verdict.incumbent
            if verdict.kept and gain > margin:
                best, margin = candidate.workflow, gain
        return best

    async def _rank(
        self, search: Search, workflow: Workflow, options: list[Change], wrong: list[Row], number: int
    ) -> list[Choice]:
        rng = search.rng(f"outer/{number}")
        if self._by == "chance":
            drawn = rng.sample(options, k=min(len(options), search.effort.candidates))
            return [Choice(change, DRAWN) for change in drawn]
        said: dict[str, list[Sequence[Feedback]]] = {}
        shown = options[: len(LETTERS)]
        for ballot in range(search.effort.ballots):
            order = rng.sample(shown, k=len(shown))
            mistakes = rng.sample(wrong, k=min(MISTAKES, len(wrong)))
            choice = await self._ballot(search, workflow, order, mistakes, ballot)
            if choice is not None:
                said.setdefault(choice[0].key, []).append(choice[1])
        # Where votes tie, the catalogue's order decides; what nobody chose comes last and is marked as the prior's.
        ranked = sorted(options, key=lambda change: -len(said.get(change.key, ())))
        return [
            Choice(
                change, because=[each for ballot in ballots for each in ballot],
                votes=Votes(won=len(ballots), of=search.effort.ballots),
            )
            if (ballots := said.get(change.key))
            else Choice(change, NEXT)
            for change in ranked
        ]  # fmt: skip

    async def _ballot(
        self, search: Search, workflow: Workflow, order: list[Change], mistakes: list[Row], ballot: int
    ) -> tuple[Change, list[Feedback]] | None:
        letters = LETTERS[: len(order)]
        listed = [{"letter": letter, "title": change.title} for letter, change in zip(letters, order, strict=True)]
        system = fill("choose_change", goal=search.task.goal, workflow=sentence(workflow), changes=listed)
        user = (
            "\n\n".join(mistake_text(row, index, search.task.metric) for index, row in enumerate(mistakes, start=1))
            + "\n\nFault and choice?"
        )
        search.watch.step(f"asking the meta model what to change ({ballot + 1} of {search.effort.ballots})")
        fields = [Field.of("fault", "str"), Field("choice", Type("literal", options=tuple(letters)))]
        reply = await search.ask_fields(system, user, fields, "gradients", max_tokens=150)
        if reply is None:
            return None
        change = order[letters.index(reply["choice"])]
        fault = str(reply["fault"]).strip()
        return change, [search.feedback(workflow, row.example.id, "", fault) for row in mistakes]

    async def _build(
        self,
        search: Search,
        workflow: Workflow,
        choice: Choice,
        blame: Sequence[Feedback],
        batch: Sequence[Example],
    ) -> Candidate | None:
        change = choice.change
        search.tried.add((_parent(workflow), change.key))
        codes: Sequence[tuple[str, Author | None]] = [("", None)]
        errors: list[str] = []
        if change.computes is not None:
            codes, errors = await write_codes(search, workflow, *change.computes)
        built: list[tuple[Workflow, list[Edit], Author | None]] = []
        edits: list[Edit] = []
        for code, author in codes:
            edits = change.build(code)
            try:
                built.append((apply(workflow, edits, tools=search.signatures), edits, author))
            except EditError as error:
                errors.append(str(error))
        changed: Workflow | None = None
        code_by: Author | None = None
        if built:
            changed, edits, code_by = await self._best(search, built, batch)
        kind, _, place = change.key.rpartition(":")
        return search.propose(
            changed,
            workflow,
            level="structure",
            arm=Arm(kind=kind, place=place),
            source="meta" if choice.votes else "prior",
            title=change.title,
            reason=choice.reason,
            because=[*blame, *choice.because],
            votes=choice.votes,
            code_by=code_by,
            shown=list(dict.fromkeys(each.example for each in choice.because)),
            edits=[describe(edit) for edit in edits],
            faults=errors,
        )

    async def _best(
        self, search: Search, built: list[tuple[Workflow, list[Edit], Author | None]], batch: Sequence[Example]
    ) -> tuple[Workflow, list[Edit], Author | None]:
        """The best of workflows that differ in code alone, on the first block: what comes before the code is asked once."""
        if len(built) == 1:
            return built[0]
        means: list[float] = []
        for workflow, _, _ in built:
            rows = await search.score(workflow, batch[: search.effort.block], "train", "trying code")
            means.append(sum(row.score.value for row in rows) / max(len(rows), 1))
        return built[means.index(max(means))]


def _parent(workflow: Workflow) -> str:
    return stable_hash(workflow.sketch.dump())
