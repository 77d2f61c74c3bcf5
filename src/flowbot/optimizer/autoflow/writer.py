"""AutoFlow's author: one chat in which a model writes a program in words, is told what it was worth, and writes another one.

The published one (in context, for closed models) sends the whole chat and the score of the last program, or the text of an exception. Here
what is written is checked before anything runs, and what is wrong with it is answered in the same chat; the chat is made of what stands in
the population, so that it replays. Author's chats are bounded: the question stays, of what was tried the last programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flowbot.fields import ModelError, RefusedError, UserError
from flowbot.fields.words import percent
from flowbot.lm.client import Message, Request
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.feedback.runs import failing
from flowbot.optimizer.judge import PRIOR_SPREAD
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import mistake_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.core import dump_core, read_core
from flowbot.workflow.nodes import CoreNode, walk
from flowbot.workflow.parameters import CoreParameters
from flowbot.workflow.starts.core import core_workflow
from flowbot.workflow.workflow import Workflow

from .asking import STEPS, program_of, question
from .lines import written

KIND = "program in words"
TRIES = {"small": 2, "large": 3}
"""Replies that one program may take; of a small model each is some lines."""
REMEMBERED = {"small": 3, "large": 10}
"""Programs of the chat, the last ones."""
EXAMPLES, WORST = 2, 2
"""Rows of which the model is told what comes in; runs that it is shown of a program, where it is told words."""
MAX_TOKENS = 900
TEMPERATURE = 1.0
_Parent = Candidate[WorkflowProgram]
_Context = Context[WorkflowProgram]


@dataclass(slots=True)
class Writer:
    """Writes programs, and is told rewards.

    Args:
        words: whether it is told what was said of the worst runs, too; the published one knows the reward alone.
    """

    words: bool = False
    _asked: int = 0

    def options(self, parent: _Parent, context: _Context) -> Sequence[Option]:
        """One: another program; none where the user froze a step, since what it writes replaces all."""
        if any(node.frozen for _, node in walk(parent.program.workflow.sketch)):
            return []
        cost = TRIES[context.meta_mode] * (STEPS if context.meta_mode == "small" else 1)
        return [
            Option(
                Arm(kind=KIND),
                f"{KIND} {self._asked}",
                "another program in words",
                Belief(0.0, PRIOR_SPREAD),
                cost=cost,
            )
        ]

    async def propose(
        self, parent: _Parent, focus: Focus, want: int, context: _Context
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """One program that was not tried before, or what was wrong with every try.

        Args:
            parent: the start of the search, which the chat begins with.
            focus: its rows are those that every program is scored on.
            want: programs; there is one.
            context: of the search.
        """
        tools = {tool.signature.name: tool.signature for tool in context.task.tools}
        shown = [each for each in context.task.splits["train"] if each.id in set(context.training[:EXAMPLES])]
        asked, history = question(context.task, tools, shown), self._history(parent, focus.rows, context)
        faults: list[str] = []
        refused: list[Message] = []
        small = context.meta_mode == "small"
        while len(faults) < TRIES[context.meta_mode]:
            draw, self._asked = self._asked, self._asked + 1
            if small:
                text = await written(context, asked, _flat([*history, *refused]), draw)
            else:
                text = program_of(await self._reply(context, [Message("user", asked), *history, *refused], draw))
            after, why = self._program(text, parent, context)
            if after is not None:
                told = [row for each in self._tried(parent, context) for row in self._worst(each, focus.rows, context)]
                return [_proposal(after, text, tuple(faults), tuple(dict.fromkeys(told)))]
            faults.append("; ".join(why))
            refused = [Message("assistant", text or "(nothing)"), Message("user", fill("core_refused", faults=why))]
        return [Proposal(None, "a program in words", "meta", faults=tuple(faults))]

    async def _reply(self, context: _Context, chat: Sequence[Message], draw: int) -> str:
        context.watch.step("asking for a program in words")
        joined: list[Message] = []
        for each in chat:  # two of one role in a row are one message
            if joined and joined[-1].role == each.role:
                joined[-1] = Message(each.role, f"{joined[-1].content}\n\n{each.content}")
            else:
                joined.append(each)
        try:
            return await context.ask(Request(tuple(joined), MAX_TOKENS, TEMPERATURE), "proposals", draw)
        except (ModelError, RefusedError):
            return ""

    def _program(self, text: str, parent: _Parent, context: _Context) -> tuple[WorkflowProgram | None, list[str]]:
        """The workflow with a program in place of the start's; or what is wrong with it."""
        program, defects = read_core(text)
        if defects:
            return None, [str(each) for each in defects]
        if len(program.steps) > STEPS:
            return None, [f"it has {len(program.steps)} steps, and {STEPS} are the most"]
        workflow = parent.program.workflow
        try:
            after = with_program(workflow, dump_core(program), context)
        except UserError as error:
            return None, [str(error)]
        if why := context.guard.copied(after, workflow):
            return None, [why]
        made = WorkflowProgram(after)
        same = next((each for each in context.population.members if each.program.hash == made.hash), None)
        return (made, []) if same is None else (None, [f"that program was tried before ({same.id})"])

    def _history(self, start: _Parent, rows: Sequence[str], context: _Context) -> list[Message]:
        """The chat after the question: each program that was tried, and what it was worth."""
        found: list[Message] = []
        best, scores = 0.0, dict[str, float]()
        for each in self._tried(start, context, all_of_them=True):
            scores[each.id] = context.population.mean_score(each.program, rows)
            best = max(best, scores[each.id])
        for each in self._tried(start, context):
            text = core_text(each.program.workflow)
            told = context.told(each.program, context.recorded(each.program, self._worst(each, rows, context)))
            words = [mistake_text(row, number, context.task.metric) for number, row in enumerate(told, start=1)]
            reward = fill("core_reward", score=percent(scores[each.id]), best=percent(best), words=words)
            if text is None:
                found.append(Message("user", f"Now there is a workflow without a program in words. {reward}"))
            else:
                found += [Message("assistant", text), Message("user", reward)]
        return found

    def _tried(self, start: _Parent, context: _Context, *, all_of_them: bool = False) -> list[_Parent]:
        """The start, and the programs that were written: the last ones."""
        others = [each for each in context.population.members if each.arm.kind == KIND and each is not start]
        return [start, *(others if all_of_them else others[-REMEMBERED[context.meta_mode] :])]

    def _worst(self, program: _Parent, rows: Sequence[str], context: _Context) -> list[str]:
        """Ids of the runs that the model is shown of a program."""
        wrong = failing(context.recorded(program.program, rows)) if self.words else []
        return [row.example.id for row in sorted(wrong, key=lambda row: row.score.value)[:WORST]]


def core_path(workflow: Workflow) -> str | None:
    """Path of the first step that holds a program in words; None where there is none."""
    return next((path for path, node in walk(workflow.sketch) if isinstance(node, CoreNode)), None)


def core_text(workflow: Workflow) -> str | None:
    """The program in words of a workflow; None where it has none."""
    path = core_path(workflow)
    told = None if path is None else workflow.parameter(path)
    return told.program.strip() if isinstance(told, CoreParameters) else None


def with_program(workflow: Workflow, text: str, context: _Context) -> Workflow:
    """A workflow with another program in its place; where it has none, a workflow that is nothing else.

    Raises:
        UserError: if the program has a defect.
    """
    path = core_path(workflow)
    told = None if path is None else workflow.parameter(path)
    if path is not None and isinstance(told, CoreParameters):
        return workflow.with_parameter(path, told.model_copy(update={"program": text}))
    task = context.task
    names = [tool.signature.name for tool in task.tools]
    return core_workflow(text, task.inputs, task.outputs, tools=names, max_steps=STEPS)


def _proposal(
    after: WorkflowProgram, text: str, faults: tuple[str, ...], shown: tuple[str, ...]
) -> Proposal[WorkflowProgram]:
    lines = len(text.splitlines())
    return Proposal(after, f"a program in words of {lines} steps", "meta", edits=(text,), faults=faults, shown=shown)


def _flat(chat: Sequence[Message]) -> str:
    """A chat as one text, for a question of one message."""
    return "\n\n".join(f"Program:\n{each.content}" if each.role == "assistant" else each.content for each in chat)


def asked_for(option: Option, rows: Sequence[str]) -> Focus:
    """The focus of one program more, scored on these rows."""
    return replace(Focus(option, 0, option.prior, option.prior), rows=tuple(rows))
