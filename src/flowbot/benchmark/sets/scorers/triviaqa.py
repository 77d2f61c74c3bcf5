"""TriviaQA's exact match and F1 (Joshi et al. 2017): the best over the aliases of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from flowbot.fields import Score
from flowbot.task import Example

from .tokens import token_f1, trivia_form
from .wording import wrong

ALIASES = "aliases"
"""The column of all names of the right answer."""


def triviaqa_exact(example: Example, outputs: Mapping[str, Any]) -> Score:
    """Whether the answer is one of the aliases after normalisation; the part `f1` is the best token F1 with one of them."""
    aliases = cast("Sequence[str]", example.extra[ALIASES])
    found = trivia_form(outputs["answer"])
    forms = [trivia_form(each) for each in aliases]
    em = float(found in forms)
    named = list(dict.fromkeys([example.expected["answer"], *aliases]))
    f1 = max((token_f1(found.split(), each.split()) for each in forms), default=0.0)
    said = "" if em else f"{wrong('answer', outputs['answer'], named)} (token F1 {f1:.2f})"
    return Score(em, said, {"f1": f1})
