"""Answers as SQuAD's and TriviaQA's evaluation scripts compare them: normalised texts, and the F1 of their words."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
"""For `str.translate`: ASCII punctuation goes without a trace."""
_PARTED = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))


def squad_form(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single blanks (Rajpurkar et al. 2016, the evaluation script of SQuAD 1.1).

    Punctuation goes without a trace: `e-mail` is `email`, and `-5` is `5`. HotpotQA and AFlow compare so too.
    """
    return without_articles(text.lower().translate(NO_PUNCTUATION))


def trivia_form(text: str) -> str:
    """As `squad_form`, but that punctuation, with curly quotes and `_` among it, parts words (Joshi et al. 2017)."""
    return without_articles(text.lower().translate(_PARTED))


def token_f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of words, each as often as it stands; 0 where there is nothing in common."""
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted)) if common else 0.0


def without_articles(text: str) -> str:
    """A text without `a`, `an` and `the`, its words parted by single blanks."""
    return " ".join(_ARTICLES.sub(" ", text).split())
