"""Models without a model for a planted world: what runs steps, what runs code, and the meta model that is right with probability p."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from flowbot.fields import StepError
from flowbot.lm.client import Request
from flowbot.testing.fake import ReplyContent
from flowbot.testing.fake_behaviours import chance

from .world import CARE, CURE, HASTE, WAYS, World, code_of, is_whole, told

FAVOURED = 0.5
"""A critic that is wrong names its favourite so often, else any other step."""
HARMS = 0.5
"""A text that is written without insight is spoiled so often."""
NO_CHANGE, NOT_HERE = "no change", "not here"
"""What a gradient says of a step, or of a part of a call, that is to stay."""
INSIGHT = f"Work {CARE}, as is not done here."
ERROR = "Work faster."
"""What it says that is right about a spoiled one, and what it says where it sees a fault that is none."""
FROM_BEFORE = "It came in wrong."
"""What it says of an input."""

ASKED: ContextVar[tuple[str, int]] = ContextVar("ASKED", default=("", 0))
"""The purpose of the question that the meta model is asked, and its draw."""

_NAME = re.compile(r"You are (\w+)\.")
_STEP = re.compile(r"[Ss]tep `([^`]+)`")
_INPUT = re.compile(r"\bx: (\d+)")
_EVIDENCE = re.compile(r"^(?:In the end )?right y: ", re.MULTILINE)
"""A question for a text that shows mistakes by themselves needs no gradient."""


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
            raise StepError(f"ValueError: {INSIGHT}")
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
    """The meta model. It knows a spoiled text when it sees one, and is right with probability p, anew at every question.

    Which step went wrong: with p a spoiled one, else its favourite or any other; of a run whose row is labelled wrongly only by chance.
    A gradient: with p what is wrong with a spoiled step, that a whole one is to stay, or that what it read was wrong; else the opposite.
    A new text: with p the repair of a spoiled step where somebody said, or mistakes show, what is wrong, and no change of a whole one
    of which nobody said otherwise; else the old text, or another that is as likely spoiled as whole. Of several texts that are asked for
    at once each is right with p.

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
        if request.schema is None:
            return self._said(text, key) if purpose == "gradients" else self._written(text, key)
        wanted = cast("Mapping[str, Mapping[str, Any]]", request.schema["properties"])
        if "step" in wanted:
            return {**dict.fromkeys(wanted, ""), "step": self._named(text, wanted["step"]["enum"], key)}
        for several in ("hypotheses", "proposals"):
            if several in wanted:
                return {several: self._several(text, key, list(_members(request.schema, wanted[several])))}
        said = self._of_parts(text, wanted["part"]["enum"] if "part" in wanted else list(wanted), key)
        if "part" not in wanted:
            return {name: said.get(name, NOT_HERE) for name in wanted}
        part, fault = next(iter(said.items()), ("none", NOT_HERE))
        return {"fault": fault, "part": part}

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
        whole = HASTE not in text.partition("It received")[0]
        if self._right(key):
            return NO_CHANGE if whole else INSIGHT
        return ERROR if whole else NO_CHANGE

    def _of_parts(self, text: str, names: list[str], key: str) -> dict[str, str]:
        """A gradient on parts of a call, by the names of those at fault."""
        told_of = {name: _part(text, name) for name in names}
        spoiled = [name for name, said in told_of.items() if HASTE in said]
        read = [name for name in names if name.startswith("input_")]
        if self._right(key):
            return dict.fromkeys(spoiled, INSIGHT) if spoiled else dict.fromkeys(read, FROM_BEFORE)
        if spoiled:
            return dict.fromkeys(read, FROM_BEFORE)
        return dict.fromkeys([name for name in names if name not in read][:1], ERROR)

    def _written(self, text: str, key: str) -> str:
        """A new text of one step, or a line more."""
        if (line := _LINE.search(text)) is not None:
            care = self._care(text, line[1], key)
            return {CARE: CURE, None: "Go on."}.get(care, f"Work {HASTE}.")
        now = _now(text)
        made = self._new(text, now, key)
        return f"```\n{made}\n```" if "```" in text or now.startswith("def ") else made

    def _several(self, text: str, key: str, members: list[str]) -> list[dict[str, str]]:
        """Four texts, each right with p as any other."""
        now = _now(text)
        found: list[dict[str, str]] = []
        for number in range(4):
            made = self._new(text, now, f"{key}/{number}")
            found.append(
                {each: made if each == "text" else "reword" if each == "edit" else "a guess" for each in members}
            )
        return found

    def _new(self, text: str, now: str, key: str) -> str:
        care = self._care(text, now, key)
        if care is None:
            return now
        version = 1 + int(1000 * chance(key, "version"))
        if now.startswith("def "):
            return code_of(_name(now), care, version)
        return told(_name(now), care, version) if _name(now) else f"Write {care}. Version {version}."

    def _care(self, text: str, now: str, key: str) -> str | None:
        """How the step is told to work; None: as now."""
        right = self._right(key)
        if HASTE not in now:
            if ERROR not in text and right:
                return None
            return HASTE if chance(key, "harms") < HARMS else CARE
        if right and (INSIGHT in text or _EVIDENCE.search(text)):
            return CARE
        return HASTE if chance(key, "harms") < HARMS else None

    def _right(self, key: str) -> bool:
        return chance(key, "right") < self.p


def _name(text: str) -> str:
    found = _NAME.search(text)
    return found[1] if found else ""


_NOW = re.compile(r"(?:^Now|Its text now|^Text now)[^\n]*:\n(.*)", re.DOTALL | re.MULTILINE)
_END = re.compile(r"\n\n|\n(?:Feedback:|Wrong:|Right, and|Tried on|```)")
_LINE = re.compile(r"one line to append.*is told:\n([^\n]*)", re.DOTALL)


def _now(text: str) -> str:
    """The text that a question wants anew: what stands after the words that announce it, or the first that is fenced."""
    found = _NOW.search(text)
    after = (found[1] if found else text.partition("```")[2]).removeprefix("```").lstrip("\n")
    now = _END.split(after, maxsplit=1)[0].strip()
    assert now, f"no text of a step is found in this question, whose form is new:\n{text}"
    return now


def _members(schema: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The members of the objects of a list."""
    items = wanted["items"]
    if "$ref" in items:
        for part in str(items["$ref"]).removeprefix("#/").split("/"):
            schema = schema[part]
        items = schema
    return items["properties"]


def _part(text: str, name: str) -> str:
    """What a question about parts says of one."""
    found = re.search(
        rf"^- {re.escape(name)}\b(.*?)(?=^- |^It received|\Z)", text.partition("Parts:")[2], re.DOTALL | re.MULTILINE
    )
    return found[1] if found else ""


def _told_of(text: str, path: str) -> str:
    """What a question shows a step to be told."""
    name = path.rpartition("/")[2]
    place = text.find(f"You are {name}.")
    end = text.find("You are ", place + 1)
    return "" if place < 0 else text[place : end if end > 0 else None]
