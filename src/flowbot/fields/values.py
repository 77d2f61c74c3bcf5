"""What flows through a workflow besides values: a score, and what a call used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Score:
    """What a metric returns.

    Args:
        value: in [0, 1], 1 is right.
        feedback: why, in words, when the metric can say it.
        parts: named partial scores, each in [0, 1].

    Raises:
        ValueError: if `value` or a part is not a number in [0, 1].
    """

    value: float
    feedback: str = ""
    parts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name, number in {"value": self.value, **self.parts}.items():
            if not math.isfinite(number) or not 0.0 <= number <= 1.0:
                raise ValueError(f"Score.{name} is {number!r}; expected a number from 0 to 1")


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls used. Tokens as the endpoint counts them; `usd` is None when a price is unknown.

    `cached_tokens` is the part of `input_tokens` that the endpoint read from its prompt cache; `seconds` is latency.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            usd,
            self.seconds + other.seconds,
        )
