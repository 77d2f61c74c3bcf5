"""Who called for what: every call charged to a purpose, as it counts (logical) and as it was paid (spent)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flowbot.fields import Usage


class Ledger:
    """Sums of a run.

    Logical is what the run takes with an empty store: each different call once, with all that it took when it was first
    paid. Requests are what endpoints served for it: one for each call, and one for each answer that was not used (an empty
    one, the second of two that raced). Spent is what endpoints have charged this process for.
    """

    def __init__(self) -> None:
        self.logical_by: dict[str, Usage] = {}
        """Logical usage by purpose, in order of first use; its `calls` are logical calls."""
        self.logical_by_model: dict[str, Usage] = {}
        """The same by model."""
        self.requests: dict[str, int] = {}
        """Requests that were served, by purpose; at least as many as the logical calls."""
        self.spent_by: dict[str, Usage] = {}
        """What was really paid, by purpose."""
        self.spent_by_model: dict[str, Usage] = {}
        """What was really paid, by model."""
        self.replayed = 0
        """Calls that the store answered."""
        self.retries = 0
        """Calls that were sent again after a fault of the endpoint."""
        self.noted: Callable[[], None] = lambda: None
        """Told of every payment, before anything else is done about it. It must not raise."""

    def charge(self, purpose: str, usage: Usage, *, model: str, stored: bool) -> None:
        """Count one logical call.

        Args:
            purpose: what it was for (`train`, `val`, `test`, `gradients`, `proposals`…).
            usage: what it took, or took when first paid.
            model: the model string.
            stored: True when the store answered and nothing was paid.
        """
        self._add(purpose, usage, model, calls=1)
        self.replayed += stored

    def besides(self, purpose: str, usage: Usage, *, model: str) -> None:
        """Count what a logical call took besides its reply: requests and tokens, and no call more.

        Args:
            purpose: as of `charge`.
            usage: what was served and not used; its `calls` are requests.
            model: the model string.
        """
        self._add(purpose, usage, model, calls=0)

    def _add(self, purpose: str, usage: Usage, model: str, *, calls: int) -> None:
        self.requests[purpose] = self.requests.get(purpose, 0) + usage.calls
        if usage.calls != calls:
            usage = replace(usage, calls=calls)
        for sums, name in ((self.logical_by, purpose), (self.logical_by_model, model)):
            _count(sums, name, usage)

    def pay(self, purpose: str, usage: Usage, *, model: str) -> None:
        """Count what an endpoint has charged for: every reply, also one that is not used.

        Args:
            purpose: as of `charge`.
            usage: as the endpoint counts it.
            model: the model string.
        """
        _count(self.spent_by, purpose, usage)
        _count(self.spent_by_model, model, usage)
        self.noted()

    @property
    def calls(self) -> dict[str, int]:
        """Logical calls by purpose."""
        return {purpose: usage.calls for purpose, usage in self.logical_by.items()}

    @property
    def repeated(self) -> int:
        """Requests that were served beyond one for each logical call."""
        return sum(self.requests.values()) - self.logical.calls

    @property
    def logical(self) -> Usage:
        """Logical usage in all."""
        return sum(self.logical_by.values(), Usage())

    @property
    def spent(self) -> Usage:
        """What was really paid in all; `usd` is None when a paid call's price is unknown."""
        return sum(self.spent_by.values(), Usage())


def _count(sums: dict[str, Usage], name: str, usage: Usage) -> None:
    before = sums.get(name)
    sums[name] = usage if before is None else before + usage
