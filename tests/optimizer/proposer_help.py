"""What tests of proposers need: a draw of one kind of change on the start of a search, and a pretend model with two roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowbot.lm.client import Request
from flowbot.optimizer.seams import Focus, Proposal, Proposer
from flowbot.optimizer.search import Search
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.testing.fake import ReplyContent
from flowbot.workflow.parameters import LLMParameters


class Roles:
    """A pretend model: steps, told "You are NAME. …", are answered by `step` from NAME and the last message, all else by `meta`.

    What it was asked as the meta model is kept in `prompts`.
    """

    def __init__(self, step: Callable[[str, str], ReplyContent], meta: Callable[[str], ReplyContent]) -> None:
        self.prompts: list[str] = []
        self.step, self._meta = step, meta

    def __call__(self, request: Request) -> ReplyContent:
        prompt = "\n".join(message.content for message in request.messages)
        if prompt.startswith("You are "):
            return self.step(prompt.split()[2].strip("."), request.messages[-1].content)
        self.prompts.append(prompt)
        return self._meta(prompt)

    def asked(self, start: str) -> list[str]:
        """The prompts of the meta model that begin so."""
        return [each for each in self.prompts if each.startswith(start)]


def task_of(rows: list[dict[str, Any]], **more: Any) -> Task:
    """A task with a question and an answer, scored by equality; all splits but training are of one row."""
    other = [[{"q": f"question of {split}", "a": "nothing"}] for split in ("val", "test")]
    settings: dict[str, Any] = {"inputs": {"q": "str"}, "outputs": {"a": "str"}, "metric": "exact", **more}
    return Task(goal="Answer.", train=rows, val=other[0], test=other[1], **settings)


async def drawn(
    proposer: Proposer[WorkflowProgram], search: Search, kind: str, draw: int = 0
) -> Proposal[WorkflowProgram]:
    """A draw of the only option of that kind on the start."""
    parent = search.population.start
    (option,) = [each for each in proposer.options(parent, search) if each.arm.kind == kind]
    (made,) = await proposer.propose(parent, Focus(option, draw, option.prior, option.prior), 1, search)
    return made


def told(made: Proposal[WorkflowProgram], path: str) -> LLMParameters:
    """What a proposal tells a step."""
    assert made.program is not None, made.faults
    parameters = made.program.workflow.parameter(path)
    assert isinstance(parameters, LLMParameters)
    return parameters
