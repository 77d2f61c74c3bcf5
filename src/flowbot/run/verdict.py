"""What came of a run, in one sentence that claims no more than the closing test shows."""

from __future__ import annotations

from typing import Protocol

from flowbot.fields.words import count, interval, percent, points


class Measured(Protocol):
    """A mean with its interval; `optimize.Estimate` is one."""

    @property
    def mean(self) -> float: ...  # noqa: D102
    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102
    @property
    def n(self) -> int: ...  # noqa: D102


def verdict_on(
    *,
    status: str | None,
    stopped_by: str | None,
    unchanged: bool,
    start: Measured | None,
    final: Measured | None,
    difference: Measured | None,
) -> str:
    """The verdict.

    Args:
        status: `done`, `paused` or `failed`.
        stopped_by: what ended the search.
        unchanged: the start was kept.
        start, final: on the test, None where they were not tested.
        difference: final minus start, paired.
    """
    if status == "paused":
        return "The run is paused. Nothing is lost: the same command goes on from here."
    if status != "done":
        return "The run did not finish: what follows is as far as it came."
    if unchanged:
        why = "a ceiling ended it early" if stopped_by == "budget" else "no change proved better"
        kept = f"The search ended with the workflow that it began with: {why}."
        tested = (
            f"It scores {percent(final.mean)} on {count(final.n, 'test example')}" if final else "It was not tested"
        )
        return f"{kept} {tested}."
    if start is None or final is None or difference is None:
        return "A workflow was found, but not tested against the start: no claim is made."
    scores = (
        f"The found workflow scores {percent(final.mean)} on {count(final.n, 'test example')}, "
        f"the start {percent(start.mean)}"
    )
    inside = f"95 % interval {interval(difference, difference=True)}"
    if difference.low > 0:
        return f"{scores}: better by {points(difference.mean, sign=False)} points ({inside})."
    if difference.high < 0:
        return f"{scores}: worse by {points(-difference.mean, sign=False)} points ({inside})."
    return f"{scores}: a difference of {points(difference.mean)} points, which may be chance ({inside})."
