"""AutoFlow's author: one chat in which a model writes a program in words, is told what it was worth, and writes another one.

The published one (in context, for closed models) sends the whole chat and the score of the last program, or the text of an exception. Here
what is written is checked before anything runs, and what is wrong with it is answered in the same chat; the chat is made of what stands in
the population, so that it replays. Author's chats are bounded: the question stays, of what was tried the last programs, and
fewer of them where no reply comes.
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
from flowbot.optimizer.rendering import mistake_texts
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.check import check
from flowbot.workflow.core import dump_core, read_core
from flowbot.workflow.nodes import CoreNode, walk
from flowbot.workflow.parameters import CoreParameters
from flowbot.workflow.starts.core import core_workflow
from flowbot.workflow.workflow import Workflow

from .asking import STEPS, program_of, question

KIND = "program in words"
TRIES = 3
"""Replies that one program may take."""
REMEMBERED = {"small": 3, "large": 10}
"""Programs of the chat, the last ones."""
EXAMPLES, WORST = 2, 2
"""Rows of which the model is told what comes in; runs that it is shown of a program, where it is told words."""
MAX_TOKENS = 900
TEMPERATURE = 1.0


@dataclass(slots=True)
class Writer:
    """Writes programs, and is told rewards.

    Args:
        words: whether it is told what was said of the worst runs, too; the published one knows the reward alone.
    """

    words: bool = False
    _asked: int = 0
    _most: int | None = None

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One: another program."""
        prior = Belief(0.0, PRIOR_SPREAD)
        return [Option(Arm(kind=KIND), f"{KIND} {self._asked}", "another program in words", prior, cost=TRIES)]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """One program that was not tried before, or what was wrong with every try.

        Args:
            parent: the start of the search, which the chat begins with.
            focus: its rows are those that every program is scored on.
            want: programs; there is one.
            context: of the search.
        """
        tools = {tool.signature.name: tool.signature for tool in context.task.tools}
        rows = [each for each in context.task.splits["train"] if each.id in set(context.training[:EXAMPLES])]
        asked = question(context.task, tools, rows)
        faults: list[str] = []
        refused: list[Message] = []
        while len(faults) < TRIES:
            draw, self._asked = self._asked, self._asked + 1
            history, shown = self._history(parent, focus.rows, context)
            reply = await _reply(context, [Message("user", asked), *history, *refused], draw)
            if not reply and self._most != 0:  # as of a chat that is longer than the model's context
                self._most = min(self._remembered(context), len(_written(parent, context))) // 2
                continue
            text = program_of(reply)
            after, why = self._program(text, parent, context)
            if after is not None:
                title = f"a program in words of {len(text.splitlines())} steps"
                return [Proposal(after, title, "meta", edits=(text,), faults=tuple(faults), shown=shown)]
            faults.append("; ".join(why))
            if context.meta_mode == "large":  # a small one writes what it reads there in place of a program
                refused = [Message("assistant", text or "(nothing)"), Message("user", fill("core_refused", faults=why))]
        return [Proposal(None, "a program in words", "meta", faults=tuple(faults))]

    def _program(self, text: str, parent: Candidate, context: Context) -> tuple[WorkflowProgram | None, list[str]]:
        """The workflow with a program in place of the start's; or what is wrong with it."""
        program, defects = read_core(text)
        if defects:
            return None, [str(each) for each in defects]
        if len(program.steps) > STEPS:
            return None, [f"it has {len(program.steps)} steps, and {STEPS} are the most"]
        workflow = parent.program.workflow
        after = with_program(workflow, dump_core(program), context.task)
        if defects := check(after):
            return None, [each.what for each in defects]
        if why := context.guard.copied(after, workflow):
            return None, [why]
        made = WorkflowProgram(after)
        same = next((each for each in context.population.members if each.program.hash == made.hash), None)
        return (made, []) if same is None else (None, [f"that program was tried before ({same.id})"])

    def _history(
        self, start: Candidate, rows: Sequence[str], context: Context
    ) -> tuple[list[Message], tuple[str, ...]]:
        """The chat after the question, of the start and the last programs: each, and what it was worth; and ids of the runs that it tells of. Where
        none may be told, it is the start and its reward alone."""
        written = _written(start, context)
        scores = [context.population.mean_score(each.program, rows) for each in (start, *written)]
        most = self._remembered(context)
        left_out = max(0, len(written) - most)
        found: list[Message] = []
        shown: list[str] = []
        for number, each in enumerate((start, *written)):
            if 0 < number <= left_out:
                continue
            worst = self._worst(each, rows, context) if most else []
            words = mistake_texts(
                context.told(each.program, context.recorded(each.program, worst)), context.task.metric
            )
            best = percent(max(scores[: number + 1]))
            reward = fill("core_reward", score=percent(scores[number]), best=best, words=words)
            text = core_text(each.program.workflow)
            if text is None:
                found.append(Message("user", f"Now there is a workflow without a program in words. {reward}"))
            else:
                found += [Message("assistant", text), Message("user", reward)]
            shown += worst
        return found, tuple(dict.fromkeys(shown))

    def _remembered(self, context: Context) -> int:
        """How many programs the chat may tell of."""
        return REMEMBERED[context.meta_mode] if self._most is None else self._most

    def _worst(self, program: Candidate, rows: Sequence[str], context: Context) -> list[str]:
        """Ids of the runs that the model is shown of a program."""
        wrong = failing(context.recorded(program.program, rows)) if self.words else []
        return [row.example.id for row in sorted(wrong, key=lambda row: row.score.value)[:WORST]]


def _written(start: Candidate, context: Context) -> list[Candidate]:
    """The programs that were scored, but for the start."""
    return [each for each in context.population.members if each.arm.kind == KIND and each is not start]


async def _reply(context: Context, chat: Sequence[Message], draw: int) -> str:
    """The next message of a chat; two of one role in a row are one message."""
    context.watch.step("asking for a program in words")
    joined: list[Message] = []
    for each in chat:
        if joined and joined[-1].role == each.role:
            joined[-1] = Message(each.role, f"{joined[-1].content}\n\n{each.content}")
        else:
            joined.append(each)
    try:
        return await context.ask(Request(tuple(joined), MAX_TOKENS, TEMPERATURE), "proposals", draw)
    except (ModelError, RefusedError):
        return ""


def require_writable(start: Workflow, task: Task) -> None:
    """Refuse a start that no program could replace, before anything is paid for.

    Raises:
        UserError: if a step of it is frozen, or the task has more tools than a program may call.
    """
    frozen = next((path for path, node in walk(start.sketch) if node.frozen), None)
    if frozen is not None:
        raise UserError(frozen, "a frozen step, and a method that replaces all", "another method, or no frozen step")
    with_program(start, "Answer:::terminal:::Do the task.:::", task)


def core_text(workflow: Workflow) -> str | None:
    """The first program in words of a workflow; None where it has none."""
    found = _core(workflow)
    return None if found is None else found[1].program.strip()


def with_program(workflow: Workflow, text: str, task: Task) -> Workflow:
    """A workflow with another program in the place of its first one; where it has none, a workflow that is nothing else.

    Raises:
        UserError: if the task has more tools than that one may call.
    """
    if (found := _core(workflow)) is not None:
        path, told = found
        return workflow.with_parameter(path, told.model_copy(update={"program": text}))
    names = [tool.signature.name for tool in task.tools]
    return core_workflow(text, task.inputs, task.outputs, tools=names, max_steps=STEPS)


def _core(workflow: Workflow) -> tuple[str, CoreParameters] | None:
    nodes = (path for path, node in walk(workflow.sketch) if isinstance(node, CoreNode))
    told = ((path, workflow.parameter(path)) for path in nodes)
    return next(((path, each) for path, each in told if isinstance(each, CoreParameters)), None)


def asked_for(option: Option, rows: Sequence[str]) -> Focus:
    """The focus of one program more, scored on these rows."""
    return replace(Focus(option, 0, option.prior, option.prior), rows=tuple(rows))
