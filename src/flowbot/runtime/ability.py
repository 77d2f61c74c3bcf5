"""How much a meta model can be asked for at once, measured and not guessed from its name: a few small tasks of its trade.

Each is checked by program: edits of an instruction that keep what they must, the step of a run that is at fault with the words that
show it, a text within limits. They are asked in turn, at temperature 0, and stored as every call, until they have decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flowbot.fields import Field, ModelError, RefusedError, Type
from flowbot.lm.client import Message

if TYPE_CHECKING:
    from flowbot.lm.lm import LM

PURPOSE = "ability"
"""What the ledger charges the questions to."""
NEEDED = 3
"""Right answers that make a model large. A proposal of such a one is several of these tasks in one reply: with every second of them wrong
three of four proposals would be of no use, while one slip in four may be bad luck."""
_TOKENS = 300
Mode: TypeAlias = Literal["small", "large"]


@dataclass(frozen=True, slots=True)
class _Task:
    about: str
    """What it asks for, in words that fit behind "not"."""
    prompt: str
    fields: tuple[Field, ...]
    right: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Ability:
    """What the questions showed.

    Args:
        right: how many were answered rightly.
        asked: of how many; those that could not change the outcome were not asked.
        wrong: what was not done.
    """

    right: int
    asked: int
    wrong: tuple[str, ...] = ()

    @property
    def mode(self) -> Mode:
        """How the model is to be asked: `large` with `NEEDED` right answers."""
        return "large" if self.right >= NEEDED else "small"

    def __str__(self) -> str:
        failed = f"; not: {', '.join(self.wrong)}" if self.wrong else ""
        return f"{self.mode} ({self.right} of {self.asked} small tasks of a meta model right, {NEEDED} make it large{failed})"

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "mode": self.mode,
            "right": self.right,
            "asked": self.asked,
            "wrong": list(self.wrong),
            "text": str(self),
        }


async def measure(lm: LM) -> Ability:
    """Ask a model until its mode is decided, by `MOST` questions at most. What it answers badly, or refuses, is wrong.

    Raises:
        BudgetExceeded, InfrastructureError, Paused: as `LM.ask`.
    """
    right, wrong = 0, list[str]()
    for task in TASKS:
        if right >= NEEDED or len(wrong) > len(TASKS) - NEEDED:
            break
        try:
            answer = await lm.ask_fields(
                [Message("user", task.prompt)], task.fields, purpose=PURPOSE, max_tokens=_TOKENS, retries=0
            )
            good = task.right(answer.values)
        except (ModelError, RefusedError):
            good = False
        if good:
            right += 1
        else:
            wrong.append(task.about)
    return Ability(right, right + len(wrong), tuple(wrong))


_OLD = "Read the customer's message and name the product that is asked for in one word."
_ABOUT = ("spelling", "plural", "several")
_EDITS = f"""An instruction of one step of a workflow reads:
{_OLD}

Three mistakes were seen: misspelled products were copied as they stood; products were named in the plural; where several products \
were mentioned, the first one was named and not the one asked for. Write three different edits of the instruction, one for each mistake: \
`spelling`, `plural` and `several`. Each keeps every word of the instruction as it stands and in its order, and adds 3 to 15 words that \
mend its own mistake alone."""


def _edits(values: Mapping[str, Any]) -> bool:
    old = _words(_OLD)
    new = [_words(str(values[name])) for name in _ABOUT]
    kept = all(_within(old, each) and 3 <= len(each) - len(old) <= 15 for each in new)
    return kept and len({tuple(each) for each in new}) == len(new)


def _blame(run: str, guilty: str, shows: str) -> _Task:
    prompt = f"""A workflow counts what is ordered. Its step `list` reads the order and writes what is ordered, each with its number; its step \
`sum` reads that list alone and adds the numbers. One run:

{run}

Which step made the first mistake, and which words show it? Copy them exactly from what that step wrote, at most 10 words, nothing \
else."""
    steps = Field("step", Type("literal", options=("list", "sum")))

    def right(values: Mapping[str, Any]) -> bool:
        quote = str(values["quote"]).strip().strip("\"'`“”.")
        written = run.partition(f"`{guilty}` wrote: ")[2].partition("\n")[0]
        return values["step"] == guilty and shows in quote and quote in written and len(quote.split()) <= 10

    return _Task("the step at fault with its words", prompt, (steps, Field.of("quote", "str")), right)


_LIMITS = """Write the instruction of a step that extracts dates from a letter, in exactly two sentences and at most 20 words in all. It must \
contain the words `ISO format` and `empty list`, and neither digits nor the word `letter`."""


def _limits(values: Mapping[str, Any]) -> bool:
    text = str(values["instruction"]).strip()
    sentences = [each for each in re.split(r"[.!?]+(?:\s+|$)", text) if each.strip()]
    has = all(each in text.casefold() for each in ("iso format", "empty list"))
    return has and len(sentences) == 2 and len(_words(text)) <= 20 and not re.search(r"\d|letter", text.casefold())


TASKS = (
    _Task("three edits that keep the instruction", _EDITS, tuple(Field.of(each, "str") for each in _ABOUT), _edits),
    _Task("an instruction within its limits", _LIMITS, (Field.of("why", "str"), Field.of("instruction", "str")), _limits),
    _blame(
        "Order: Please send 12 rolls, 3 loaves and, if there are any, 4 buns.\n"
        "`list` wrote: 12 rolls, 3 loaves, 4 buns\n`sum` wrote: 12 + 3 + 4 = 20\nExpected: 19",
        "sum",
        "20",
    ),
    _blame(
        "Order: Two dozen eggs and 5 pots of jam; the 8 crates we leave for next week.\n"
        "`list` wrote: 24 eggs, 5 pots of jam, 8 crates\n`sum` wrote: 24 + 5 + 8 = 37\nExpected: 29",
        "list",
        "8 crates",
    ),
)  # fmt: skip
MOST = len(TASKS)
"""Questions at most."""


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’]+", text.casefold().replace("’", "'"))


def _within(words: list[str], longer: list[str]) -> bool:
    """Whether all words stand in the other text in their order."""
    rest = iter(longer)
    return all(each in rest for each in words)
