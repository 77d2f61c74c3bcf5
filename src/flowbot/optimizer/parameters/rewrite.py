"""Rewrite what one step is told: a large meta model gives several labelled hypotheses at once, each a claim about the fault and the
text with the least change that it asks for (labelled hypotheses: VISTA, arXiv 2603.18388).

Which step, blame says; from which runs, the draw. Where later steps read what the step gives, textual gradients through them say what is
wrong there; a last step's own runs and the metric's words do. A small model is not asked: its free rewrites were never adopted
(docs/results.md); `Rule` has its part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple

from flowbot.fields import Field
from flowbot.fields.words import count
from flowbot.optimizer.feedback.backward import (
    Gradients,
    all_said,
    backward_all,
    feedback_on,
    most_questions,
    said_of,
)
from flowbot.optimizer.feedback.blame import Blame
from flowbot.optimizer.feedback.history import tried
from flowbot.optimizer.feedback.parts import is_not_here, peers, suspects
from flowbot.optimizer.feedback.runs import calls_of, failing, good
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import instruction_text, right_text, run_text, sentence, value_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.step_view import step_at
from flowbot.run.events import Arm, Feedback
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import Once
from flowbot.workflow.parameters import LLMParameters, Parameters

from .accept import accepted
from .step_change import Aim, aim, option, proposal, task_outputs, text_steps
from .update import TOKENS_PER_WORD
from .wording import Wording, text_at, texts_of

AT_ONCE = 4
"""Hypotheses of one reply."""
GRADIENTS = 3
"""Of the mistakes that a reply is made from, those that textual gradients are asked of: they take most of the questions."""
TURNS = 4
"""Texts that have a turn each before the next hypothesis on any of them."""
CLAIM_TOKENS = 100
HYPOTHESES = [Field.of("hypotheses", "list[{claim: str, text: str}]", "what is wrong, and the text that mends it")]


class _Reply(NamedTuple):
    """What one reply brought: shared by the draws that take a hypothesis each."""

    aim: Aim
    now: Wording
    question: str
    quotable: tuple[str, ...]
    shown: tuple[str, ...]
    feedback: tuple[Feedback, ...]
    because: tuple[Feedback, ...]
    hypotheses: list[Mapping[str, str]]


@dataclass(slots=True)
class Rewrite:
    """Lets a large meta model rewrite the instruction of a step, its format hint, or one text of a prompt of the user's own.

    The arm names the step where only one may be changed. Else each reply is for one drawn by Thompson sampling over the blame. The first
    draw of a reply pays for it, those after it cost nothing. Where there are several texts that could be at fault the first hypotheses on
    some of them come before the second one on any: rows are what a try costs, and where one failed the fault is as likely elsewhere.

    Args:
        replies: how often it is asked for one program, more often where it has more texts: each has a turn.
        mistakes, right: runs that a reply is made from: failing ones, and good ones that must stay so.
        history: earlier tries on the step that it is shown.
        blame: finds the step; proposers may share one.
    """

    replies: int = 2
    mistakes: int = 6
    right: int = 2
    history: int = 8
    blame: Blame = field(default_factory=Blame)
    _replies: Once[_Reply] = field(default_factory=Once[_Reply])
    _handed: dict[str, int] = field(default_factory=dict[str, int])
    _turns: dict[str, int] = field(default_factory=dict[str, int])
    _changed: int = 0
    _unchanged: int = 0

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One, where runs went wrong in which a step ran that may be changed, and the meta model is a large one."""
        program = parent.program
        rows = context.recorded(program, context.training)
        wrong = failing(rows)
        if context.meta_mode != "large" or not (paths := text_steps(program, wrong, whole=True)):
            return []
        gradients = sorted((most_questions(program, row) for row in wrong), reverse=True)[:GRADIENTS]
        cost = self.blame.cost(program, rows) + (sum(gradients) if len(suspects(program)) > 1 else 0) + 1
        texts = sum(len(texts_of(program.workflow.parameter(path))) for path in paths)
        _ = self._turns.setdefault(program.hash, min(TURNS, texts))
        if self._place(program, self._handed.get(program.hash, 0))[1]:
            cost = 0  # the next draws are paid for
        arm = Arm(kind="instruct", place=paths[0] if len(paths) == 1 else "")
        most = AT_ONCE * max(self.replies, texts)
        found = option(program, arm, "rewrite a step from its mistakes", cost=cost, most=most)
        # A meta model that repeats what it read costs questions and gains nothing: the belief is as large as the share of rewrites
        # that changed something, with one on credit.
        share = (1 + self._changed) / (1 + self._changed + self._unchanged)
        return [replace(found, prior=found.prior.shrunk(share, 0.0))]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """As many hypotheses as are wanted, from that of this draw on, of one reply."""
        program, (number, first) = parent.program, self._place(parent.program, focus.draw)
        want = min(want, AT_ONCE - first)
        self._handed[program.hash] = max(focus.draw + want, self._handed.get(program.hash, 0))
        reply = await self._replies.of((program.hash, number), lambda: self._ask(context, program, focus, number))
        wanted = reply.hypotheses[first : first + want] or [None]
        made = [_proposed(context, program, focus, reply, each) for each in wanted]
        self._changed += sum(each.program is not None for each in made)
        self._unchanged += sum(each.program is None for each in made)
        return made

    def _place(self, program: WorkflowProgram, draw: int) -> tuple[int, int]:
        """Which reply a draw takes, and which of its hypotheses."""
        turns = self._turns.get(program.hash, 1)
        round_, place = divmod(draw, turns * AT_ONCE)
        return round_ * turns + place % turns, place // turns

    async def _ask(self, context: Context, program: WorkflowProgram, focus: Focus, number: int) -> _Reply:
        """Ask for a step's hypotheses."""
        aimed = await aim(context, program, focus, self.blame, number, whole=True)
        path, rows = aimed.path, aimed.mistakes(self.mistakes, number)
        told = program.workflow.parameter(path)
        now = Wording.of(program.workflow, path, aimed.tries % len(texts_of(told))).growing
        gradients: Sequence[Gradients] = []
        if len(suspects(program)) > 1 and not task_outputs(context, program, path):
            context.watch.step(f"gradients of {count(len(rows[:GRADIENTS]), 'run')}")
            gradients = await backward_all(context, program, rows[:GRADIENTS], until=path)
        nothing: Gradients = {}
        gradients = [*gradients, *[nothing] * (len(rows) - len(gradients))]
        texts = [
            [each.text for each in feedback_on(path, [row], [run]) if not is_not_here(each.text)]
            for row, run in zip(rows, gradients, strict=True)
        ]
        ran = [row for row in context.recorded(program, focus.rows or context.training) if calls_of(row, path)]
        kept = good(ran)[: self.right]
        history = tried(context.population, program, path)[: self.history]
        right = [right_text(row, context.task.metric) for row in context.told(program, rows)]
        question = fill(
            "hypotheses",
            goal=context.task.goal,
            workflow=sentence(program.workflow),
            step=path,
            signature=step_at(program.workflow, path).gives_text,
            text=now.text,
            what=now.what,
            around=now.around,
            beside="; ".join(filter(None, [_beside(told, now), *_told_beside(program, peers(rows, path))])),
            mistakes=[
                {"run": run_text(row), "right": wanted, "feedback": said}
                for row, wanted, said in zip(rows, right, texts, strict=True)
            ],
            right=[run_text(row) for row in kept],
            tried=history,
            number=AT_ONCE,
            limit=now.limit,
        )
        tokens = AT_ONCE * (TOKENS_PER_WORD * now.limit + CLAIM_TOKENS)
        reply = await context.ask_fields(
            question, "Hypotheses?", HYPOTHESES, "proposals", max_tokens=tokens, draw=number
        )
        names = (*(row.example.id for row in (*rows, *kept)), *aimed.blamed.shown)
        return _Reply(
            aimed,
            now,
            question,
            (*history, *right, *chain.from_iterable(texts)),
            tuple(dict.fromkeys(names)),
            (*aimed.blamed.feedback, *all_said(gradients)),
            (
                *aimed.blamed.on(path),
                *(
                    said
                    for row, run in zip(rows, gradients, strict=True)
                    for call in said_of(path, row, run)
                    for said in run[call]
                ),
            ),
            [] if reply is None else list(reply["hypotheses"]),
        )


def _proposed(
    context: Context, program: WorkflowProgram, focus: Focus, reply: _Reply, given: Mapping[str, str] | None
) -> Proposal:
    """The proposal of one hypothesis."""
    path, claim = reply.aim.path, "" if given is None else given["claim"].strip()
    parameters, fault = None, "the meta model had no further hypothesis"
    if given is not None:
        parameters, fault = accepted(
            context,
            program.workflow,
            path,
            given["text"],
            question=reply.question,
            quotable=reply.quotable,
            part=reply.now.part,
            limit=reply.now.limit,
        )
        if parameters is not None and len(given["text"].split()) > reply.now.limit:
            parameters, fault = None, f"it has {len(given['text'].split())} words, and {reply.now.limit} are the most"
    return proposal(
        program,
        path,
        parameters,
        fault,
        "rewritten",
        title=f"rewrite step `{path}`: {value_text(claim, 200)}" if claim else f"rewrite step `{path}`",
        source="meta",
        reason=claim,
        shown=reply.shown,
        feedback=reply.feedback,
        because=(*focus.because, *(each.id for each in reply.because)),
    )


def _told_beside(program: WorkflowProgram, paths: Sequence[str]) -> list[str]:
    """What stands in the same requests."""
    return [f"`{each}` in the same request: {value_text(instruction_text(program.workflow, each))}" for each in paths]


def _beside(told: Parameters, now: Wording) -> str:
    """What the step is told besides."""
    if not isinstance(told, LLMParameters):
        return ""
    shown = count(len(told.demonstrations), "worked example") if told.demonstrations else ""
    other = text_at(told, texts_of(told)[0]) if now.part == "format_hint" else told.format_hint
    return "; ".join(each for each in (other, shown) if each)
