"""What is believed of the gain of each kind of change before a run shows anything; shipped as `priors.json`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from flowbot.fields.foreign import Gain, Record, checked
from flowbot.fields.yaml import read_data
from flowbot.run.events import Level

from .belief import Belief
from .judge import PRIOR_SPREAD


class Priors(Record):
    """Mean gains in score by kind of change, for each loop; a kind that is not named is believed to gain nothing."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(min_length=1)
    """Where the values come from."""
    structure: Mapping[str, Gain]
    parameters: Mapping[str, Gain]
    spreads: Mapping[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict[str, float])
    """Standard deviation of the gains of a kind of change of parameters, where it is not `PRIOR_SPREAD`."""

    def belief(self, kind: str, level: Level = "structure") -> Belief:
        """What is believed of a kind of change."""
        if level == "structure":
            return Belief(self.structure.get(kind, 0.0), PRIOR_SPREAD)
        return Belief(self.parameters.get(kind, 0.0), self.spreads.get(kind, PRIOR_SPREAD))


@cache
def shipped_priors() -> Priors:
    """The priors that FlowBot comes with."""
    return load_priors(Path(__file__).with_name("priors.json"))


def load_priors(path: Path) -> Priors:
    """The priors of a JSON file.

    Raises:
        UserError: if it cannot be read, or a member is missing, unknown, of a wrong type or out of range.
    """
    return checked(Priors, read_data(path), str(path))
