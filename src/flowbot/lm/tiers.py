"""Service tiers of endpoints: the same model, sooner or cheaper. What a tier costs stands in `tiers.json`, with its source."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.bounds import NAME, bounded
from flowbot.fields.files import read_text
from flowbot.fields.near import one_of

USUAL = ("auto", "default", "standard", "on_demand")
"""How providers call the tier that one gets without asking."""
BATCH = "batch"
"""The tier of what came by a batch, which nobody asks for by that name; its price stands in `batches.json`."""
FLEX = "flex"
"""The tier that may let wait: it is asked again patiently, and cut off late."""
_DATA = Path(__file__).with_name("tiers.json")
_MOST_DATA = 1_000_000


@dataclass(frozen=True, slots=True)
class Tier:
    """The tier in which a model is asked, and what its replies cost by the tier that served them.

    Args:
        provider: of the model.
        model: its name there.
        asked: the tier that the user asks for; "" for none.
        own: whether the price is the user's own: that of every tier, but for a batch.
    """

    provider: str
    model: str
    asked: str = ""
    own: bool = False

    def require(self) -> None:
        """Refuse a tier that there is none of.

        Raises:
            UserError: naming what there is.
        """
        if not self.asked or _row(self.provider, self.asked, self.model) is not None:
            return
        there = [each for each in _names(self.provider) if _row(self.provider, each, self.model) is not None]
        raise UserError(
            f"model {self.provider}/{self.model}",
            f"service_tier={self.asked}, which this model is not known to have",
            f"{one_of(self.asked, there)}, or no service_tier" if there else "no service_tier",
        )

    def factor(self, served: str = "") -> float | None:
        """By what the listed price is multiplied; None where the price is not known.

        Args:
            served: the tier that the reply names. Where it names none it is the dearer of the usual tier and the one asked for.
        """
        if served == BATCH:
            row = batch_row(self.provider, self.model)
            return None if row is None else row["factor"]
        if self.own:
            return 1.0
        if served:
            row = _row(self.provider, served, self.model)
            # What one gets without asking is the usual tier, by whatever name.
            return row["factor"] if row is not None else None if self.asked else 1.0
        return self.most

    def served_in(self, served: object) -> str:
        """The tier that an answer names; "" where it names none, or the usual one to who asked for none."""
        if not isinstance(served, str) or (served in USUAL and not self.asked):
            return ""
        return bounded(served, NAME)

    @property
    def expected(self) -> float | None:
        """The factor of the tier that is asked for."""
        return 1.0 if not self.asked else self.factor(self.asked)

    @property
    def most(self) -> float | None:
        """The dearer of the usual tier and the one asked for: no sending is reserved less for."""
        expected = self.expected if self.asked else 1.0
        return None if expected is None else max(1.0, expected)


def _row(provider: str, tier: str, model: str) -> dict[str, Any] | None:
    for row in _rows():
        fits = row["provider"] == provider and re.fullmatch(row["tier"], tier) and re.fullmatch(row["models"], model)
        if fits:
            return row if row.get("offered", True) else None
    return None


def batch_row(provider: str, model: str) -> dict[str, Any] | None:
    """What is known of a model's batches: `factor`, and the `form` of the endpoint; None where it has none."""
    fits = (row for row in _batches() if row["provider"] == provider and re.fullmatch(row["models"], model))
    return next(fits, None)


def _names(provider: str) -> list[str]:
    return sorted({name for row in _rows() if row["provider"] == provider for name in row["tier"].split("|")})


@lru_cache(maxsize=1)
def _batches() -> list[dict[str, Any]]:
    return json.loads(read_text(_DATA.with_name("batches.json"), limit=_MOST_DATA))["batches"]


@lru_cache(maxsize=1)
def _rows() -> list[dict[str, Any]]:
    return json.loads(read_text(_DATA, limit=_MOST_DATA))["tiers"]
