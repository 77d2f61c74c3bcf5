"""Who called for what: every call charged to a purpose, as it counts (logical) and as it was paid (spent)."""

from __future__ import annotations

from flowbot.fields import Usage


class Ledger:
    """Sums of a run.

    Logical is what the run takes with an empty store: each different call once, as it was when first paid.
    Spent is what endpoints have charged this process for, replies that were not used included (empty ones, the second of
    two that raced). It equals logical where the store held nothing and no reply was wasted.
    """

    def __init__(self) -> None:
        self.logical_by: dict[str, Usage] = {}
        """Logical usage by purpose, in order of first use."""
        self.spent_by: dict[str, Usage] = {}
        """What was really paid, by purpose."""
        self.spent_by_model: dict[str, Usage] = {}
        """What was really paid, by model."""
        self.replayed = 0
        """Calls that the store answered."""
        self.retries = 0
        """Calls that were sent again after a fault of the endpoint."""

    def charge(self, purpose: str, usage: Usage, *, stored: bool) -> None:
        """Count one logical call.

        Args:
            purpose: what it was for (`train`, `val`, `test`, `gradients`, `proposals`…).
            usage: what it took, or took when first paid.
            stored: True when the store answered and nothing was paid.
        """
        _count(self.logical_by, purpose, usage)
        self.replayed += stored

    def pay(self, purpose: str, usage: Usage, *, model: str) -> None:
        """Count what an endpoint has charged for: every reply, also one that is not used.

        Args:
            purpose: as of `charge`.
            usage: as the endpoint counts it.
            model: the model string.
        """
        _count(self.spent_by, purpose, usage)
        _count(self.spent_by_model, model, usage)

    @property
    def calls(self) -> dict[str, int]:
        """Logical calls by purpose."""
        return {purpose: usage.calls for purpose, usage in self.logical_by.items()}

    @property
    def logical(self) -> Usage:
        """Logical usage in all."""
        return sum(self.logical_by.values(), Usage())

    @property
    def spent(self) -> Usage:
        """What was really paid in all; `usd` is None when a paid call's price is unknown."""
        return sum(self.spent_by.values(), Usage())


def _count(sums: dict[str, Usage], name: str, usage: Usage) -> None:
    sums[name] = sums.get(name, Usage()) + usage
