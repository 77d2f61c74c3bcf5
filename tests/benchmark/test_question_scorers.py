"""Answers scored by the published rules of HotpotQA, DROP, TriviaQA, HoVer, FEVER, PUPA and AFlow: their hard cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from flowbot.benchmark.sets.scorers.assignment import best_assignment
from flowbot.benchmark.sets.scorers.drop import drop_aflow, drop_f1, drop_form
from flowbot.benchmark.sets.scorers.evidence import MOST_TITLES, all_titles_found, right_label
from flowbot.benchmark.sets.scorers.hotpotqa import hotpotqa_aflow, hotpotqa_exact, hotpotqa_f1
from flowbot.benchmark.sets.scorers.pupa import privacy
from flowbot.benchmark.sets.scorers.triviaqa import triviaqa_exact
from flowbot.fields import Score
from flowbot.task import Example


def row(expected: str | Sequence[str], output: str = "answer", **extra: Any) -> Example:
    return Example("row", {}, {output: expected}, extra=extra)


def drop(found: str, *references: str | list[str]) -> tuple[float, float]:
    """F1 and exact match."""
    score = drop_f1(row("", references=list(references)), {"answer": found})
    return score.value, score.parts["em"]


@pytest.mark.parametrize(
    ("found", "expected", "f1", "em"),
    [
        ("The  BEATLES!", "beatles", 1.0, 1.0),
        ("a band from Leeds", "Leeds", 0.5, 0.0),  # 1 of 3 words right once the article is gone, and all found
        ("Jean-Luc", "jeanluc", 1.0, 1.0),  # punctuation goes without a trace
        ("1,000", "1000", 1.0, 1.0),
        ("1000.0", "1000", 0.0, 0.0),  # digits are compared as letters are
        ("yes", "Yes.", 1.0, 1.0),
        ("yes, both are", "yes", 0.0, 0.0),
        ("no", "no one knows", 0.0, 0.0),
        ("noanswer", "the answer", 0.0, 0.0),
        ("", "Leeds", 0.0, 0.0),
    ],
)
def test_hotpotqa_counts_words_but_yes_and_no_as_a_whole(found: str, expected: str, f1: float, em: float) -> None:
    score = hotpotqa_f1(row(expected), {"answer": found})
    assert (score.value, score.parts) == (pytest.approx(f1), {"em": em, "f1": pytest.approx(f1)})
    exact = hotpotqa_exact(row(expected), {"answer": found})
    assert (exact.value, exact.parts["f1"]) == (em, pytest.approx(f1))


def test_aflow_gives_a_share_where_hotpotqa_wants_yes_alone() -> None:
    assert hotpotqa_aflow(row("yes"), {"answer": "yes, both"}).value == pytest.approx(2 / 3)
    assert hotpotqa_aflow(row("The Hague"), {"answer": "hague"}).value == 1.0


def test_an_accent_is_the_same_however_it_is_written_where_gepas_rule_holds() -> None:
    composed, decomposed = "Café", "Cafe\u0301"
    assert hotpotqa_exact(row(composed), {"answer": decomposed}).value == 1.0
    assert hotpotqa_f1(row(composed), {"answer": decomposed}).value == 0.0


def test_feedback_says_what_was_expected_and_what_it_follows_from() -> None:
    example = row("yes", facts=["Leeds: Leeds is a city.", "York: York is a city."])
    score = hotpotqa_f1(example, {"answer": "yes, both are"})
    assert score.feedback == (
        'answer: found "yes, both are", expected "yes": that word and nothing else (token F1 0.00). '
        "It follows from: Leeds: Leeds is a city. York: York is a city."
    )
    assert hotpotqa_f1(example, {"answer": "yes"}).feedback == ""


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The 12.0 Yards", "12.0 yards"),
        ("1,200", "1200.0"),
        ("$1.5", "15.0"),  # no number as it stands: the marks go first, and the point with them
        ("1.5e3", "1500.0"),
        ("22-yard", "22.0 yard"),
        ("5%", "5.0"),
        ("U.S. Army", "us army"),
        ("an  apple a day", "apple day"),
        ("the", ""),
    ],
)
def test_drop_compares_numbers_by_value_and_hyphens_part_words(text: str, form: str) -> None:
    assert drop_form(text) == form


@pytest.mark.parametrize(
    ("found", "references", "f1", "em"),
    [
        ("3", (["3.0"],), 1.0, 1.0),
        ("3 yards", (["4 yards"],), 0.0, 0.0),  # the number differs, so nothing counts
        ("yards", (["4 yards"],), 0.0, 0.0),
        ("4", (["4 yards"],), 0.67, 0.0),
        ("Smith John", (["John Smith"],), 1.0, 0.0),  # sets of words: F1 does not see the order
        ("7", (["6"], ["7"]), 1.0, 1.0),  # the best of the references
        ("London | Paris", (["Paris", "London"],), 1.0, 1.0),
        ("London", (["Paris", "London"],), 0.5, 0.0),
        ("London|Paris|Rome|Oslo", (["Paris", "London"],), 0.5, 0.0),
        ("Anna Hill | Joe Berg", (["Joe Hill", "Anna Berg"],), 0.5, 0.0),  # one partner each
        ("2 | 2 miles", (["2 miles", "9 miles"],), 0.5, 0.0),
        ("London and Paris", ("London and Paris",), 1.0, 1.0),
        ("London | Paris", ("London and Paris",), 1.0, 1.0),  # a reference in one text: so is the answer
        ("12 May 1990", (["12 May 1990"],), 1.0, 1.0),
        ("May 1990", (["12 May 1990"],), 0.8, 0.0),  # one of its numbers is there
        ("May", ([" May "], ["31"]), 1.0, 1.0),
        ("May", ([" "], ["June"]), 0.0, 0.0),  # a reference without text does not count
        ("", ([" "],), 0.0, 0.0),
        ("York | York", (["York"],), 0.5, 0.0),
        ("the", (["an"],), 1.0, 1.0),  # nothing is left of either
    ],
)
def test_drop_pairs_spans_and_takes_the_best_reference(
    found: str, references: tuple[str | list[str], ...], f1: float, em: float
) -> None:
    assert drop(found, *references) == (f1, em)


def test_drop_tells_spans_apart_in_its_feedback() -> None:
    example = row("", references=[["Paris", "London"], ["Paris", "London"], ["Rome"]])
    said = drop_f1(example, {"answer": "Oslo"}).feedback
    assert said == 'answer: found "Oslo", expected "Paris | London" or "Rome" (F1 0.00)'


def test_aflow_takes_the_best_text_between_bars() -> None:
    example = row("", references=["3300", "200 horse and 1,000 foot soldiers", ["London", "Paris"]])
    assert drop_aflow(example, {"answer": "1|3300"}).value == 1.0
    assert drop_aflow(example, {"answer": "London"}).value == pytest.approx(0.5)  # of "London and Paris"
    assert drop_aflow(example, {"answer": "3300.0"}).value == 0.0  # digits are compared as letters are
    assert drop_aflow(row("", references=["a|b c"]), {"answer": "b c"}).value == 1.0


@given(st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(st.sampled_from([0, 0.25, 0.5, 0.67, 1]), min_size=n, max_size=n), min_size=1, max_size=7)))  # fmt: skip
def test_the_best_assignment_gains_as_much_as_scipys(gains: list[list[float]]) -> None:
    table = np.array(gains)
    pairs = best_assignment(gains)
    assert len(pairs) == len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(table.shape)
    wanted = table[linear_sum_assignment(-table)].sum()
    assert sum(gains[row][column] for row, column in pairs) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("found", "em", "f1"),
    [
        ("The Sunset_Boulevard", 1.0, 1.0),
        ("sunset blvd.", 1.0, 1.0),
        ("‘Sunset Blvd’", 1.0, 1.0),
        ("rock-n-roll", 1.0, 1.0),  # punctuation parts words
        ("it is Sunset Boulevard", 0.0, 2 / 3),
        ("Evita", 0.0, 0.0),
    ],
)
def test_triviaqa_takes_any_alias(found: str, em: float, f1: float) -> None:
    example = row("Sunset Boulevard", aliases=["sunset boulevard", "sunset blvd", "rock n roll"])
    score = triviaqa_exact(example, {"answer": found})
    assert (score.value, score.parts["f1"]) == (em, pytest.approx(f1))
    assert ("expected" in score.feedback) == (em == 0)


def titles(*found: str) -> Score:
    example = Example("row", {}, {"titles": ["Oslo", "The Café (film)"]}, extra={"facts": ["Oslo."]})
    return all_titles_found(example, {"titles": list(found)})


def test_all_titles_must_be_found_and_the_missing_ones_are_named() -> None:
    assert titles("Bergen", "oslo", "Cafe\u0301 film").value == 1.0
    score = titles("Bergen", "The Café (film)")
    assert (score.value, score.parts) == (0.0, {"recall": 0.5})
    assert score.feedback == "titles: not found: Oslo; found: The Café (film). It follows from: Oslo."
    late = titles(*["x"] * MOST_TITLES, "Oslo", "The Café (film)")
    assert late.parts == {"recall": 0.0}
    assert "Only the first 24 titles count; 2 more were given." in late.feedback


def test_a_label_is_right_or_wrong() -> None:
    assert right_label(row("REFUTES", "label"), {"label": "REFUTES"}).value == 1.0
    score = right_label(row("REFUTES", "label", facts=["It is blue."]), {"label": "SUPPORTS"})
    assert (score.value, score.feedback) == (
        0.0,
        'label: found "SUPPORTS", expected "REFUTES". It follows from: It is blue.',
    )


@pytest.mark.parametrize(
    ("sent", "value", "said"),
    [
        ("Write to a landlord about heating", 1.0, ""),
        ("Write for ANNA  Berg, an announcement", 0.5, "told the untrusted model: Anna Berg"),
        ("Johanna Bergman moved to 4, Mill Lane", 0.5, "told the untrusted model: 4 Mill Lane"),
        ("Anna Berg of 4 Mill Lane", 0.0, "told the untrusted model: Anna Berg, 4 Mill Lane"),
        (" . ", 0.0, "nothing was sent to the untrusted model; expected a request without private details"),
    ],
)
def test_private_details_are_counted_word_for_word(sent: str, value: float, said: str) -> None:
    score = privacy(row("", "reply", pii=["Anna Berg", "4 Mill Lane", " "]), {"sent": sent})
    assert (score.value, score.feedback) == (value, said)
