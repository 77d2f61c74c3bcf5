"""How a run does beside an earlier one that it took up, on the test examples that both have."""

from __future__ import annotations

from flowbot.fields.foreign import Count, Record
from flowbot.fields.words import count, in_points, interval, percent

from .events import Difference, Measure, Texts


class Means(Record):
    """Of the workflow that a run began with and of the one that it found; None where there are none."""

    start: Measure | None
    found: Measure | None


class Gains(Record):
    """Of what this run began with, and of what it found, over what the earlier one had found; None where nothing is shared."""

    start: Difference | None
    found: Difference | None


class Before(Record):
    """An earlier run beside the one that began with what it found.

    Args:
        run_id, run_dir, method, models: of the earlier run.
        n: test examples that both have, with both scores of each.
        scores: the earlier run's on these, as it was then.
        now: this run's on the same; its start is what the earlier one found, with the models of now.
        difference: of both over what the earlier run had found, paired on these, with 95 % intervals.
        notes: what of the earlier workflow was left out, and what speaks against a comparison.
    """

    run_id: str
    run_dir: str
    method: str
    models: dict[str, str]
    n: Count
    scores: Means
    now: Means
    difference: Gains
    notes: Texts

    @property
    def sentences(self) -> list[str]:
        """All of it in words."""
        who = f"The run that was taken up, {self.run_id} ({self.models.get('task', 'another model')})"
        start, found, now, new = self.scores.start, self.scores.found, self.now.start, self.now.found
        if start is None or found is None or now is None or new is None:
            return [f"{who}, has no test example in common with this one that both have scored.", *self.notes]
        said = [
            f"{who}, began with {percent(start.mean)} and found {percent(found.mean)} on the {count(self.n, 'test example')} that both have.",
            f"What it found scores {percent(now.mean)} now: {_over(self.difference.start)}.",
        ]
        if new != now or self.difference.found != self.difference.start:
            said.append(
                f"What this run found scores {percent(new.mean)}: {_over(self.difference.found)} over what the earlier one had found."
            )
        return [*said, *self.notes]


def _over(difference: Difference | None) -> str:
    assert difference is not None  # both or neither
    return f"{in_points(difference.mean)} (95 % interval {interval(difference, difference=True)})"
