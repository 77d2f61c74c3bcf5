"""What is believed of the gain of each kind of change before a run shows anything; shipped as `priors.json`.

Of a kind of change more may be known on a kind of task: `benchmarks/priors.py` measures that, and writes the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from statistics import fmean
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
    tasks: Mapping[str, Mapping[str, Gain]] = Field(default_factory=dict[str, Mapping[str, Gain]])
    """Of kinds of changes, means by kind of task (see `task_kinds`), where they are known."""
    spreads: Mapping[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict[str, float])
    """Standard deviation of the gains of a kind of change of parameters, where it is not `PRIOR_SPREAD`."""

    def belief(self, kind: str, level: Level = "structure", tasks: Iterable[str] = ()) -> Belief:
        """What is believed of a kind of change, on a task of these kinds. What is known by several of them is averaged, not added: they
        were measured on the same few tasks; where what the step gives is not among them, the kind is believed to gain what it is of any
        task. What gains much may gain nothing on another task: the spread is the mean at least."""
        known, mine = self.tasks.get(kind, {}), [*tasks]
        found = [known[each] for each in mine if each in known]
        if _gives(known) and not _gives(mine) & _gives(known):
            found = []
        mean = fmean(found) if found else (self.structure if level == "structure" else self.parameters).get(kind, 0.0)
        spread = PRIOR_SPREAD if level == "structure" else self.spreads.get(kind, PRIOR_SPREAD)
        return Belief(mean, max(spread, abs(mean)))


def _gives(tasks: Iterable[str]) -> set[str]:
    """Those kinds of task that say what a step gives."""
    return {each for each in tasks if each.startswith("output ")}


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
