"""A mean with its 95 % interval, as the run's files have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval over `n` examples."""

    mean: float
    low: float
    high: float
    n: int

    @staticmethod
    def of(data: object) -> Interval | None:
        """From `{mean, low, high, n}`; None for anything else."""
        if not isinstance(data, Mapping):
            return None
        given = cast("Mapping[str, Any]", data)
        if not all(isinstance(given.get(name), int | float) for name in ("mean", "low", "high")):
            return None
        return Interval(float(given["mean"]), float(given["low"]), float(given["high"]), int(given.get("n") or 0))
