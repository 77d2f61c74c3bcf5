"""Models without a model for a planted world: what runs steps, what runs code, and the meta model that is right with probability p."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from flowbot.fields import StepError
from flowbot.lm.client import Request
from flowbot.runtime.trace import node_path
from flowbot.testing.fake import ReplyContent
from flowbot.testing.fake_behaviours import chance

from .world import CARE, HASTE, WAYS, World, code_of, is_whole, told

FAVOURED = 0.5
"""A critic that is wrong names its favourite so often, else any other step."""
HARMS = 0.5
"""A text that is written without insight is spoiled so often."""
NO_CHANGE = "no change"
INSIGHT = f"Work {CARE}, as this step does not."
ERROR = "Work faster."
"""What a gradient says that is right about a spoiled step, and one that sees a fault where there is none."""

ASKED: ContextVar[tuple[str, int]] = ContextVar("ASKED", default=("", 0))
"""The purpose of the question that the meta model is asked, and its draw."""

_NAME = re.compile(r"You are (\w+)\.")
_STEP = re.compile(r"[Ss]tep `([^`]+)`")
_INPUT = re.compile(r"\bx: (\d+)")


@dataclass(frozen=True)
class Steps:
    """The task model, and the sandbox of its code: each step turns what it reads into another number.

    Args:
        share_wrong: of what a spoiled step is given, it fails on this share.
        raises: whether spoiled code raises an error where it fails.
        seed: of the world.
    """

    share_wrong: float
    raises: bool
    seed: int

    identity = "simulated"

    def __call__(self, request: Request) -> ReplyContent:
        """What a step with a model replies."""
        system, read = request.messages[0].content, request.messages[-1].content
        value = self._value(system, read)
        if request.schema is None:
            return value
        if "choice" in request.schema["properties"]:
            return {"choice": WAYS[int(value) % 2]}
        return {"v": [value, value[::-1]]}

    async def run(self, code: str, inputs: Mapping[str, Any], **limits: float) -> Any:
        """What code returns, as of `Sandbox.run`."""
        read = str(inputs["v"])
        if self.raises and not is_whole(code) and self._fails(code, read):
            raise StepError("ValueError: in haste")
        return {"v": self._value(code, read)}

    async def close(self) -> None:
        """Nothing is open."""

    def _value(self, text: str, read: str) -> str:
        name = _name(text)
        wrong = not is_whole(text) and self._fails(text, read)
        return str(1000 + int(9000 * chance(str(self.seed), name, read, "wrong" if wrong else "")))

    def _fails(self, text: str, read: str) -> bool:
        return chance(str(self.seed), _name(text), read, "fails") < self.share_wrong


@dataclass(frozen=True)
class Critic:
    """The meta model. It knows a spoiled text when it sees one, and says so with probability p.

    Asked which step went wrong it names a spoiled one with p, else another; of a run whose row is labelled wrongly it can only name one
    by chance. Asked for a gradient it says with p what is wrong with a spoiled step, and with p that a whole one is to stay. Asked for a
    new text it repairs a spoiled step with p where somebody told it what is wrong, and with p leaves a whole one as it is of which
    nobody said otherwise; else it leaves a spoiled text, or writes another without insight.

    Args:
        world: what it is asked about.
        p: how often it is right.
    """

    world: World
    p: float

    def __call__(self, request: Request) -> ReplyContent:
        """Its reply."""
        text = "\n".join(message.content for message in request.messages)
        purpose, draw = ASKED.get()
        key = f"{self.world.seed}/{draw}/{text}"
        options = _options(request)
        if options is not None:
            return {name: self._named(text, paths, key) for name, paths in options.items()}
        return self._said(text, key) if purpose == "gradients" else self._written(text, key)

    def _named(self, text: str, paths: list[str], key: str) -> str:
        spoiled = [path for path in paths if HASTE in _told_of(text, path)]
        row = _INPUT.search(text)
        known = spoiled and not (row and row[1] in self.world.mislabelled)
        if known and self._right(key):
            return spoiled[0]
        others = [path for path in paths if path not in spoiled] or paths
        favours = self.world.favourite in others and chance(key, "favours") < FAVOURED
        return self.world.favourite if favours else others[int(chance(key, "other") * len(others))]

    def _said(self, text: str, key: str) -> str:
        """A gradient on one call."""
        path = node_path(_STEP.search(text)[1])  # pyright: ignore[reportOptionalSubscript]
        right, whole = self._right(key), is_whole(text.partition("It received")[0])
        if right:
            return NO_CHANGE if whole else INSIGHT
        return f"{ERROR} ({path})" if whole else NO_CHANGE

    def _written(self, text: str, key: str) -> str:
        """A new text of one step."""
        now = text.partition("Now:\n")[2].partition("\nFeedback:")[0].strip()
        name = _name(now)
        if (care := self._care(text, now, key)) is None:
            return now
        write = code_of if now.startswith("def ") else told
        made = write(name, care, 1 + int(1000 * chance(key, "version")))
        return f"```python\n{made}\n```" if write is code_of else made

    def _care(self, text: str, now: str, key: str) -> str | None:
        """How the step is told to work; None: as now."""
        if is_whole(now):
            if ERROR not in text and self._right(key):
                return None
            return HASTE if chance(key, "harms") < HARMS else CARE
        if INSIGHT in text and self._right(key):
            return CARE
        return HASTE if chance(key, "harms") < HARMS else None

    def _right(self, key: str) -> bool:
        return chance(key, "right") < self.p


def _name(text: str) -> str:
    found = _NAME.search(text)
    return found[1] if found else ""


def _options(request: Request) -> dict[str, list[str]] | None:
    """The paths among which a question wants one, by field; None for a question that wants a text."""
    if request.schema is None:
        return None
    return {name: each["enum"] for name, each in request.schema["properties"].items() if "enum" in each}


def _told_of(text: str, path: str) -> str:
    """What a question shows a step to be told."""
    name = path.rpartition("/")[2]
    place = text.find(f"You are {name}.")
    end = text.find("You are ", place + 1)
    return "" if place < 0 else text[place : end if end > 0 else None]
