"""How fast the user lets an endpoint be called."""

from __future__ import annotations

from dataclasses import dataclass

from flowbot.fields.numbers import require_above_0


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits of the calls to each endpoint, and what may be spent to be faster.

        >>> fb.evaluate(flow, task, pace=fb.Pace(concurrency=8, requests_per_minute=500))

    Args:
        concurrency: calls in flight at most; when None it begins with the endpoint's own default and grows as long as
            the endpoint keeps up.
        requests_per_minute: calls sent in a minute at most; None: no such limit.
        tokens_per_minute: tokens read and written in a minute at most, estimated when a call is sent and corrected when
            it is answered; None: no such limit.
        hedge: send a call that takes much longer than its like a second time and take the answer that comes first. Both
            are paid for.
        batch: run and score examples through the batch endpoints of the models that have one: at half the price, and later.
        wait: with `batch`: wait for it; otherwise the run pauses once it is submitted, and the same call fetches it.
        batch_from: with `batch`: calls that a batch has at least; fewer are made at once.

    Raises:
        UserError: if a limit is not a number above 0.
    """

    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    hedge: bool = False
    batch: bool = False
    wait: bool = False
    batch_from: int = 20

    def __post_init__(self) -> None:
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute", "batch_from"):
            require_above_0(getattr(self, name), f"pace: {name}", whole=name in ("concurrency", "batch_from"))
