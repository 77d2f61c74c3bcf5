"""LLM-AutoDiff's gradient-driven prompt optimiser (Yin & Wang 2025, arXiv 2501.16673): one text of one step is written anew, from
what was said of its calls, what it is part of, and what was tried on it before.

The gradients come grouped by example, the worst first, and within one in the order in which the calls were made, so that a loop's
first step is read before its second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from flowbot.fields import Field, Type
from flowbot.fields.words import count
from flowbot.optimizer.feedback.backward import Gradients, all_said, backward_all, feedback_on, most_questions
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.feedback.runs import PERFECT, failing
from flowbot.optimizer.meta_questions import META_TOKENS
from flowbot.optimizer.parameters.accept import accepted
from flowbot.optimizer.parameters.step_change import option, proposal
from flowbot.optimizer.parameters.update import TOKENS_PER_WORD
from flowbot.optimizer.parameters.wording import Wording, texts_of
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm, Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import Once
from flowbot.workflow.prompt import Slot

from .question import EDITS, question

KIND = "autodiff"
WRONG, RIGHT = 2, 2
"""Rows of a subset: those that are asked about, and those that are to stay right."""
SEVERAL = 4
"""Proposals of one call, where the meta model can write several."""


@dataclass(slots=True)
class AutoDiff:
    """Rewrites texts of steps, each step for itself.

    Args:
        most: rewrites that are tried on one step of one program.
        refused: why replies became no program, by step; the loop that asks for one after another keeps it.
    """

    most: int = 8
    refused: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _subsets: dict[tuple[str, int], Sequence[str]] = field(default_factory=dict[tuple[str, int], Sequence[str]])
    _made: Once[Sequence[Proposal]] = field(default_factory=Once[Sequence[Proposal]])
    _handed: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """How many draws on a step were asked for: those that one reply gives besides the first are paid for."""

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One for every step that may be tuned, where a run went wrong."""
        program = parent.program
        wrong = failing(context.recorded(program, context.training))
        return [
            option(
                program,
                Arm(kind=KIND, place=path),
                f"rewrite step `{path}` from gradients and history",
                cost=0
                if self._handed[program.hash, path] % self.a_call(context, program, path)
                else 1 + asked(program, wrong, path),
                most=self.most,
            )
            for path in (suspects(program) if wrong else [])
        ]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """Up to `want` rewrites of the step, as many as one reply holds: a large meta model writes several at once, which are those of
        further draws, a small one is asked again for each draw. The rows in focus are a subset; without them there is one for every
        `SEVERAL` draws."""
        program, path = parent.program, focus.option.arm.place
        a_call = self.a_call(context, program, path)
        number, item = divmod(focus.draw, a_call)
        self._handed[program.hash, path] = min(focus.draw + want, (number + 1) * a_call)
        made = await self._made.of((program.hash, path, number), lambda: self._ask(parent, focus, number, context))
        return made[item : item + want] or made[:1]

    async def _ask(self, parent: Candidate, focus: Focus, number: int, context: Context) -> Sequence[Proposal]:
        """The proposals of one reply; the one that says why there are none."""
        program, path = parent.program, focus.option.arm.place
        rows = context.recorded(program, focus.rows or self._subset(program, focus.draw // SEVERAL, context))
        gradients = await gradients_of(context, program, rows, path)
        title = f"rewrite step `{path}` from gradients"
        said, everything = feedback_on(path, rows, gradients), all_said(gradients)
        if not said:
            return [Proposal(None, title, "meta", feedback=everything, faults=(f"nothing is said of {path}",))]
        now = Wording.of(program.workflow, path, _turn(program, path, said, number)).growing
        context.watch.step(f"a new text for `{path}`")
        edits = list(EDITS) if self.a_call(context, program, path) > 1 else []
        asking = question(context, parent, path, now, rows, gradients, edits, self.refused.get(path, ()))
        found: list[Proposal] = []
        for kind, why, text in await _written(context, asking.text, now, edits, number):
            parameters, fault = accepted(
                context,
                program.workflow,
                path,
                text,
                question=asking.text,
                quotable=asking.quotable,
                part=now.part,
                limit=now.limit,
            )
            found.append(
                proposal(
                    program,
                    path,
                    parameters,
                    fault,
                    f"new {now.what}",
                    title=f"{title}: {kind}" if kind else title,
                    source="meta",
                    reason=why or said[0].text,
                    shown=tuple(row.example.id for row in rows),
                    feedback=everything,
                    because=tuple(each.id for each in said),
                    code_by="meta" if now.kind == "code" else None,
                )
            )
        return found

    def a_call(self, context: Context, program: WorkflowProgram, path: str) -> int:
        """Proposals that one reply holds: code is asked for as text, and so alone."""
        several = context.meta_mode == "large" and Wording.of(program.workflow, path).kind != "code"
        return SEVERAL if several else 1

    def _subset(self, program: WorkflowProgram, number: int, context: Context) -> Sequence[str]:
        """The same rows for the same number, whatever was run since: what was said of them is paid for."""
        if (program.hash, number) not in self._subsets:
            rows = context.recorded(program, context.training)
            self._subsets[program.hash, number] = subset(rows, context.rng(f"autodiff/{program.hash}/{number}"))
        return self._subsets[program.hash, number]


def subset(rows: Sequence[Row], rng: Random) -> list[str]:
    """Ids of a few rows that went wrong, and of a few that are to stay right."""
    wrong, right = failing(rows), [row for row in rows if row.score.value >= PERFECT]
    drawn = (*rng.sample(wrong, k=min(WRONG, len(wrong))), *rng.sample(right, k=min(RIGHT, len(right))))
    return [row.example.id for row in drawn]


def asked(program: WorkflowProgram, wrong: Sequence[Row], path: str | None = None) -> int:
    """Questions that the gradients of a subset of these rows take at most."""
    questions = (most_questions(program, row, path, parts=True) for row in wrong)
    return sum(sorted(questions, reverse=True)[:WRONG])


async def gradients_of(
    context: Context, program: WorkflowProgram, rows: Sequence[Row], path: str | None = None
) -> list[Gradients]:
    """Gradients of the rows that went wrong, in the order of the rows; of those that are right nothing is asked."""
    wrong = [row for row in rows if row.score.value < PERFECT]
    context.watch.step(f"gradients of {count(len(wrong), 'run')}")
    found = iter(await backward_all(context, program, wrong, until=path, parts=True))
    return [next(found) if row.score.value < PERFECT else {} for row in rows]


def blamed(path: str, rows: Sequence[Row], gradients: Sequence[Gradients]) -> tuple[int, int]:
    """How much is said of the texts of a step, and of what it gave."""
    said = feedback_on(path, rows, gradients)
    return sum(bool(each.part) for each in said), len(said)


def _turn(program: WorkflowProgram, path: str, said: Sequence[Feedback], number: int) -> int:
    """Which text of a step is written anew at its turn of that number: all of them in turn, that of which most is said first."""
    parts = Counter(each.part for each in said)
    texts = texts_of(program.workflow.parameter(path))
    names = [
        f"messages[{place}]" if isinstance(each, Slot) else each or "instruction" for place, each in enumerate(texts)
    ]
    ranked = sorted(range(len(texts)), key=lambda place: -parts[names[place]])
    return ranked[number % len(ranked)]


async def _written(
    context: Context, prompt: str, now: Wording, edits: Sequence[str], number: int
) -> list[tuple[str, str, str]]:
    """What was written: of each text the kind of edit and why, where these were asked for."""
    room = max(META_TOKENS, TOKENS_PER_WORD * now.limit)
    if not edits:
        return [("", "", await context.ask_text(prompt, "proposals", max_tokens=room, draw=number))]
    one = (("edit", Type("literal", options=tuple(edits))), ("why", Type("str")), ("text", Type("str")))
    fields = [Field("proposals", Type("list", item=Type("object", members=one)))]
    told = fill("autodiff_system")
    reply = await context.ask_fields(told, prompt, fields, "proposals", max_tokens=SEVERAL * room, draw=number)
    texts = [] if reply is None else [(each["edit"], each["why"], each["text"]) for each in reply["proposals"]]
    return [*texts, *[("", "", "")] * SEVERAL][:SEVERAL]
