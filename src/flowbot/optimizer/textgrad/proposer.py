"""TextGrad's step (Yuksekgonul et al. 2024, arXiv 2406.07496), plain as published: each variable is written anew once, from all that
was said of it in a batch, one thing under the other (`sum`). It knows no history, no other variable and no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowbot.fields.words import count
from flowbot.optimizer.feedback.backward import backward_all, feedback_on, most_questions
from flowbot.optimizer.feedback.blame import suspects
from flowbot.optimizer.parameters.accept import accepted
from flowbot.optimizer.parameters.step_change import changed_steps, option
from flowbot.optimizer.parameters.wording import Wording
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import Priors, shipped_priors
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.search import META_TOKENS
from flowbot.run.events import Arm, Feedback, Verdict
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.workflow.parameters import Parameters

BATCH = 3
"""Rows of a step."""
TITLE = "update of all texts by their joined gradients"
TOKENS_PER_WORD = 3


@dataclass(slots=True)
class TextGrad:
    """Writes the instruction of every LLM step, and the code of every computing step, anew at once.

    Args:
        most: steps that are tried on one program, each from other rows.
        priors: what is believed of it.
    """

    most: int = 4
    priors: Priors = field(default_factory=shipped_priors)

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One: a step, from rows that were run."""
        program = parent.program
        rows, paths = context.recorded(program, context.training), suspects(program)
        if not paths or not rows:
            return []
        questions = sorted((most_questions(program, row) for row in rows), reverse=True)[:BATCH]
        return [
            option(program, Arm(kind="textgrad"), TITLE, self.priors, cost=len(paths) + sum(questions), most=self.most)
        ]

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """The program after one step; a text that is no valid one leaves its step as it was."""
        program = parent.program
        rows = context.recorded(program, focus.rows or self._drawn(program, focus, context))
        context.watch.step(f"gradients of {count(len(rows), 'run')}")
        gradients = await backward_all(context, program, rows)
        feedback = {path: feedback_on(path, gradients) for path in suspects(program)}
        context.watch.step("new texts")
        texts = await all_of(self._updated(context, program, path, said, focus.draw) for path, said in feedback.items())
        updated, edits, faults = changed_steps(program, dict(zip(feedback, texts, strict=True)))
        said = tuple(each for run in gradients for of_call in run.values() for each in of_call)
        return [
            Proposal(
                updated,
                TITLE,
                "meta",
                reason=next((each.text for of_step in feedback.values() for each in of_step), ""),
                edits=edits,
                shown=tuple(row.example.id for row in rows),
                feedback=said,
                because=tuple(each.id for of_step in feedback.values() for each in of_step),
                faults=faults,
            )
        ]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing: the method has no memory."""

    def _drawn(self, program: WorkflowProgram, focus: Focus, context: Context[WorkflowProgram]) -> Sequence[str]:
        """A batch of rows that were run, right ones among them."""
        rows = [row.example.id for row in context.recorded(program, context.training)]
        return context.rng(f"textgrad/{program.hash}/{focus.draw}").sample(rows, k=min(BATCH, len(rows)))

    async def _updated(
        self,
        context: Context[WorkflowProgram],
        program: WorkflowProgram,
        path: str,
        said: Sequence[Feedback],
        draw: int,
    ) -> tuple[Parameters | None, str]:
        """The new parameters of a step, the old ones where nothing is said of it, or None with the reason."""
        if not said:
            return program.workflow.parameter(path), ""
        now = Wording.of(program.workflow, path).growing
        texts = [each.text for each in said]
        prompt = fill("textgrad_update", goal=context.task.goal, step=path, now=now, feedback=texts)
        room = max(META_TOKENS, TOKENS_PER_WORD * now.limit)
        reply = await context.ask_text(prompt, "proposals", max_tokens=room, draw=draw)
        return accepted(
            context, program.workflow, path, reply, question=prompt, quotable=texts, part=now.part, limit=now.limit
        )
