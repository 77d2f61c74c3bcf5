"""A pretend model whose steps are right on the questions that their instruction says, for tests of what rewrites instructions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowbot.lm.client import Request
from flowbot.optimizer.method import Loop
from flowbot.optimizer.search import Search
from flowbot.run.events import Event, Proposal, Verdict
from flowbot.run.journal import read_events
from flowbot.task import Task
from flowbot.testing.fake import ReplyContent
from flowbot.workflow.workflow import Workflow

START = "You are answer. Right: none."


def task(train: int = 12, val: int = 12) -> Task:
    """Questions `question t0`, `question v3`, each with an answer of its own."""
    splits = {
        split: [{"q": f"question {split[0]}{n}", "a": f"the {split} metal {n}"} for n in range(size)]
        for split, size in (("train", train), ("val", val), ("xtest", 2))
    }
    return Task(
        goal="Name the metal.", inputs={"q": "str"}, outputs={"a": "str"}, metric="exact",
        train=splits["train"], val=splits["val"], test=splits["xtest"],
    )  # fmt: skip


def single(instruction: str = START) -> Workflow:
    """One step."""
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"q": "str"},
            "outputs": {"a": "answer.a"},
            "nodes": {"answer": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}}},
            "parameters": {"answer": {"instruction": instruction}},
        }
    )


class World:
    """An instruction `… Right: t1 v2.` makes the step right on these questions, `Right: even.` on those of even numbers.

    Args:
        texts: what the meta model writes, one after another; the last again and again.
        fault: what it says of a run.
    """

    def __init__(self, texts: Sequence[Any], fault: str = "say more") -> None:
        self.texts, self.fault = texts, fault
        self.questions: list[str] = []
        """For new texts."""
        self.gradients: list[str] = []
        self.unanswered: set[str] = set()

    def __call__(self, request: Request) -> ReplyContent:
        prompt = "\n".join(message.content for message in request.messages)
        if prompt.startswith("You are "):
            return self._answer(prompt)
        if "from feedback on its runs" in prompt or "is tuned by feedback" in prompt:
            if prompt in self.unanswered or "That reply is of no use" in prompt:
                return ""  # it is asked again
            self.questions.append(prompt)
            if not (text := self.text(prompt)):
                self.unanswered.add(prompt)
            return text
        self.gradients.append(prompt)
        said = self.gradient()
        return {"fault": said, "part": "instruction"} if request.schema else said

    def gradient(self) -> str:
        """What is said of a run."""
        return self.fault

    def text(self, question: str) -> Any:
        """What is written to a question."""
        return self.texts[min(len(self.questions), len(self.texts)) - 1]

    def _answer(self, prompt: str) -> str:
        split, number = (name := prompt.split("question ")[1].split()[0])[0], int(name[1:])
        right = prompt.split("Right: ")[1].split(".")[0].split()
        knows = name in right or "all" in right or (number % 2 == 0 and ("even" in right or f"even-{split}" in right))
        knows = knows or f"all-{split}" in right
        return f"the { {'t': 'train', 'v': 'val', 'x': 'xtest'}[split] } metal {number}" if knows else "iron"


async def searched(loop: Loop, search: Search) -> list[Event]:
    """The events of a search by a loop."""
    await search.run(search.start, loop.opening(search), "val")
    search.settle()
    await loop.search(search)
    return search.journal.events()


def verdicts(events: Sequence[Event]) -> list[tuple[str, str]]:
    """What was decided, by which rule."""
    return [(each.decision, each.rule) for each in events if isinstance(each, Verdict)]


def proposals(events: Sequence[Event]) -> list[Proposal]:
    """What was proposed."""
    return [each for each in events if isinstance(each, Proposal)]


def journal(folder: Path) -> list[Event]:
    """The journal of a run, but for its first line."""
    return read_events(folder / "journal.jsonl")[1:]
