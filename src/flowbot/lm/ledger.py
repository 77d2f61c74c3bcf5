"""Who called for what: every call charged to a purpose, as it counts (logical) and as it was paid (spent)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from flowbot.fields import Usage

from .client import members


class Ledger:
    """Sums of a run.

    Logical is what the run takes with an empty store: each different call once, with all that it took when it was first
    paid. Requests are what endpoints served for it: one for each call, and one for each answer that was not used (an empty
    one, the second of two that raced). Spent is what endpoints have charged this process for.
    """

    def __init__(self) -> None:
        self._logical, self._logical_of_models, self._spent, self._spent_by_models = (_Sums() for _ in range(4))
        self.requests: dict[str, int] = {}
        """Requests that were served, by purpose; at least as many as the logical calls."""
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
        self._logical.add(purpose, usage)
        self._logical_of_models.add(model, usage)

    def pay(self, purpose: str, usage: Usage, *, model: str) -> None:
        """Count what an endpoint has charged for: every reply, also one that is not used.

        Args:
            purpose: as of `charge`.
            usage: as the endpoint counts it.
            model: the model string.
        """
        self._spent.add(purpose, usage)
        self._spent_by_models.add(model, usage)
        self.noted()

    @property
    def logical_by(self) -> dict[str, Usage]:
        """Logical usage by purpose, in order of first use; its `calls` are logical calls."""
        return self._logical.usages()

    @property
    def logical_by_model(self) -> dict[str, Usage]:
        """The same by model."""
        return self._logical_of_models.usages()

    @property
    def spent_by(self) -> dict[str, Usage]:
        """What was really paid, by purpose."""
        return self._spent.usages()

    @property
    def spent_by_model(self) -> dict[str, Usage]:
        """What was really paid, by model."""
        return self._spent_by_models.usages()

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


class _Sums:
    """Usages added up by name, in place: to make a new one for each call would cost many times as much."""

    def __init__(self) -> None:
        self._by: dict[str, _Sum] = {}

    def add(self, name: str, usage: Usage) -> None:
        sums = self._by.get(name)
        if sums is None:
            sums = self._by[name] = _Sum()
        sums.calls += usage.calls
        sums.input_tokens += usage.input_tokens
        sums.output_tokens += usage.output_tokens
        sums.cached_tokens += usage.cached_tokens
        sums.usd = None if sums.usd is None or usage.usd is None else sums.usd + usage.usd
        sums.seconds += usage.seconds

    def usages(self) -> dict[str, Usage]:
        return {name: Usage(**members(sums)) for name, sums in self._by.items()}


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0
