"""What `merge` nodes do with the values that arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, cast

from flowbot.fields import canonical_json
from flowbot.fields.forms import look_alike
from flowbot.workflow.conditions import is_empty


def merge(how: Literal["first", "vote", "concat"], values: Sequence[Any]) -> Any:
    """One value from several of one type.

    Args:
        how: `first`: the first that is not empty (all empty: the first); `vote`: the most frequent, the earlier one
            where two are as frequent, texts that differ in case, blanks or form alone are one; `concat`: lists one after another,
            anything else as text, a line each.
        values: those that arrived, in declared order, at least one.
    """
    match how:
        case "first":
            return next((value for value in values if not is_empty(value)), values[0])
        case "vote":
            ballots = [_ballot(value) for value in values]
            counts = Counter(ballots)  # keeps the order of first appearance, which max() keeps among equals
            return values[ballots.index(max(counts, key=lambda ballot: counts[ballot]))]
        case "concat":
            if all(isinstance(value, list) for value in values):
                return [item for value in values for item in cast("list[Any]", value)]
            return "\n".join(value if isinstance(value, str) else canonical_json(value) for value in values)


def _ballot(value: Any) -> str:
    return look_alike(value) if isinstance(value, str) else canonical_json(value)
