from __future__ import annotations

from typing import Any

import pytest

from flowbot.runtime.merge import merge


@pytest.mark.parametrize(
    ("values", "wanted"), [(["", "b"], "b"), ([[], {}, 0, 1], 0), ([None, " "], None), ([False, True], False)]
)
def test_first_takes_the_first_that_is_not_empty(values: list[Any], wanted: Any) -> None:
    assert merge("first", values) == wanted


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, 2, 2], 2),
        ([1, 2, 3], 1),
        ([2, 1, 1, 2], 2),
        ([" Yes", "no", "yes "], " Yes"),
        (["tea", "caf\u00e9", "cafe\u0301\u00a0"], "caf\u00e9"),
        ([{"a": 1, "b": 2}, {"c": 1}, {"b": 2, "a": 1}], {"a": 1, "b": 2}),
        ([["a"], ["A"], ["A"]], ["A"]),
    ],
)
def test_vote_takes_the_most_frequent_and_the_earlier_of_equals(values: list[Any], wanted: Any) -> None:
    assert merge("vote", values) == wanted


def test_concat_joins_lists_and_texts() -> None:
    assert merge("concat", [[1], [], [2, 1]]) == [1, 2, 1]
    assert merge("concat", ["a", "b"]) == "a\nb"
