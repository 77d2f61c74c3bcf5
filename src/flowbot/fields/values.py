"""What flows through a workflow besides values: a score, and what a call used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .bounds import NAME, PARTS, bounded
from .words import kind_of

ROUNDING = 1e-6
"""By how much a score may miss 0 or 1 and still mean it: the similarity of a vector with itself is 1.0000001 in 32 bits."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a metric returns.

        >>> def score(example: fb.Example, outputs: dict) -> fb.Score:
        ...     off = abs(outputs["total"] - example.expected["total"])
        ...     return fb.Score(max(0.0, 1 - off / 10), f"{off} too many or too few" if off else "")

    Args:
        value: in [0, 1], 1 is right.
            What rounding misses 0 or 1 by, at most 1e-6, is taken off.
        feedback: why, in words, when the metric can say it; of more than 4,000 characters the middle is left out.
        parts: named partial scores, each in [0, 1]; at most 100, with names of at most 200 characters.
        spread: standard deviation of the value, where a judge was asked several times; None elsewhere.

    Raises:
        ValueError: if `value` or a part is not a number in [0, 1], `feedback` is no text, or there are too many parts.
    """

    value: float
    feedback: str = ""
    parts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    spread: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _settled(self.value))
        told: Any = self.feedback
        if not isinstance(told, str):
            raise ValueError(f"Score.feedback is {kind_of(told)}; expected a text")
        object.__setattr__(self, "feedback", bounded(told))
        if len(self.parts) > PARTS:
            raise ValueError(f"Score.parts are {len(self.parts):,}; expected at most {PARTS}")
        if self.parts:
            settled = {bounded(str(name), NAME): _settled(number) for name, number in self.parts.items()}
            object.__setattr__(self, "parts", settled)
        for name, number in {"value": self.value, **self.parts}.items():
            if not math.isfinite(number) or not 0.0 <= number <= 1.0:
                raise ValueError(f"Score.{name} is {number!r}; expected a number from 0 to 1")


def _settled(number: float) -> float:
    """The number; 0 or 1 where it misses them by rounding alone."""
    near = (whole for whole in (0.0, 1.0) if math.isclose(number, whole, rel_tol=0.0, abs_tol=ROUNDING))
    return next(near, number)


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls used. Tokens as the endpoint counts them; `usd` is None when a price is unknown.

        >>> fb.Usage(calls=1, input_tokens=120, output_tokens=30).tokens
        150

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


def dollars(each: Iterable[float | None]) -> float | None:
    """US dollars together; None where one is unknown."""
    known = list(each)
    return None if None in known else sum(usd for usd in known if usd is not None)
