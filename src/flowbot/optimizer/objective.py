"""What is better: a higher score, a lower cost, a shorter wait, or all of them by the user's weights; and what is no program at all.

The judge knows gains in score alone. What a program takes more than another has a *price* in score: what it must gain to be worth
that; below 0, what it may lose, since it takes less. So one rule of comparison serves every objective.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import is_number, shown
from flowbot.fields.words import count
from flowbot.run.front import SAME_SHARE
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.nodes import walk

TOLERATED = 0.03
"""Loss in score that a cheaper program may have."""
CALL_WORTH = 0.01
"""Gain in score that one further model call an example must bring."""
TOKENS_OF_A_CALL = 2000
"""Tokens more in the prompts of an example that count as a call more, before it is run."""
SAME_CALLS = 0.1
"""Model calls an example that tell two programs apart at least."""
SAME_WORTH = 0.001
"""The same in score, where the user says what a unit is worth."""
MOST_WEIGHT = 1e6

Axis: TypeAlias = Literal["calls", "tokens", "usd", "seconds"]
AXES: tuple[Axis, ...] = get_args(Axis)
NAMES = ("score", "cost", "latency")
UNITS: Mapping[Axis, float] = {"calls": 1.0, "tokens": 1e-3, "usd": 1e3, "seconds": 1.0}
"""What a weight is of, in units an example: a call, a thousand tokens, a dollar a thousand examples, a second."""
EXPECTED = "score, cost, latency, or weights such as score=1,usd=0.2 (of score, calls, tokens, usd and seconds)"


@dataclass(frozen=True, slots=True)
class Takes:
    """What an example takes on average, or what one program takes more than another.

    Args:
        calls: of the task model, as those of others are counted.
        tokens: read and written, likewise.
        usd: None where a price is unknown.
        seconds: along the critical path, as stored with the replies.
    """

    calls: float = 0.0
    tokens: float = 0.0
    usd: float | None = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Objective:
    """What a search is after.

    `score`: a dearer program must gain `CALL_WORTH` a further call, a cheaper one may lose `TOLERATED`. `cost` and `latency`: the
    cheapest, or fastest, within that loss of the best: what is dearer must gain more than it. Weights: what a unit is worth in score.

    Args:
        name: `score`, `cost`, `latency`, or the weights as `parse` reads them, that of the score being 1.
        weights: by axis; those that are 0 are left out. None of a name.
    """

    name: str = "score"
    weights: Mapping[Axis, float] | None = None

    @property
    def usual(self) -> bool:
        """Whether it is the one that nobody asked for."""
        return self.name == "score"

    def price(self, more: Takes, other: Takes, scale: float, lost: float = 0.0) -> float:
        """What a program must gain in score to be better than another; below 0, what it may lose.

        Args:
            more: what it takes more than the other.
            other: what the other takes.
            scale: of the metric.
            lost: what the other lost already against the best before it, which a chain of cheaper ones must not add up.
        """
        if self.weights is not None:
            worth = math.fsum(
                weight * UNITS[axis] * (getattr(more, axis) or 0.0) for axis, weight in self.weights.items()
            )
            return worth if abs(worth) >= SAME_WORTH else 0.0
        further, tolerated = CALL_WORTH * scale * max(0.0, more.calls), TOLERATED * scale
        if self.usual:
            return further if more.calls >= 0 else -tolerated
        share = self._share(more, other)
        if share > 0:
            return max(tolerated, further)
        return -max(0.0, tolerated - lost) if share < 0 or more.calls < 0 else further

    def expected(self, extra: float, tokens: float, parent: Takes, scale: float) -> float:
        """The same of a change that nobody has run.

        Args:
            extra: model calls an example that it adds.
            tokens: that its prompts grow by.
            parent: what it would change takes.
            scale: of the metric.
        """
        if self.usual:
            return CALL_WORTH * (extra + tokens / TOKENS_OF_A_CALL)
        calls = max(1.0, parent.calls)
        longer = extra * parent.tokens / calls + tokens
        usd = None if parent.usd is None else longer * parent.usd / max(1.0, parent.tokens)
        return self.price(Takes(extra, longer, usd, extra * parent.seconds / calls), parent, scale)

    def _share(self, more: Takes, other: Takes) -> float:
        """What a program takes more, as a share of what the other takes; 0 where that tells nothing. Cost is in dollars; in tokens
        where a price is unknown, or there is none to pay."""
        if self.name == "latency":
            difference, whole = more.seconds, other.seconds
        elif more.usd is None or other.usd is None or not (more.usd or other.usd):
            difference, whole = more.tokens, other.tokens
        else:
            difference, whole = more.usd, other.usd
        share = difference / whole if whole else math.copysign(math.inf, difference) if difference else 0.0
        return share if abs(share) >= SAME_SHARE else 0.0

    @staticmethod
    def parse(given: object) -> Objective:
        """The objective that a user names: a name, weights as text, or weights by axis.

        >>> Objective.parse("usd=0.4,score=2").name
        'score=1,usd=0.2'

        Raises:
            UserError: if it is none.
        """
        if isinstance(given, str) and "=" not in given:
            if given not in NAMES:
                raise UserError("objective", shown(given), one_of(given, NAMES) + ", or weights as score=1,usd=0.2")
            return Objective(given)
        weights = _weights(given) if isinstance(given, str) else given
        if not isinstance(weights, Mapping):
            raise UserError("objective", shown(given), EXPECTED)
        found: dict[str, float] = {"score": 1.0}
        for name, weight in cast("Mapping[object, object]", weights).items():
            if name not in ("score", *AXES):
                raise UserError("objective", shown(name), one_of(name, ("score", *AXES)))
            least = 1 / MOST_WEIGHT if name == "score" else 0.0
            if not is_number(weight) or not least <= weight <= MOST_WEIGHT:
                raise UserError("objective", f"{name}={shown(weight)}", "a number of at least 0, of score above 0")
            found[name] = float(weight)
        of_score = found["score"]
        own: dict[Axis, float] = {axis: weight / of_score for axis in AXES if (weight := found.get(axis, 0.0))}
        return Objective(",".join(["score=1", *(f"{axis}={weight:.12g}" for axis, weight in own.items())]), own)


def _weights(text: str) -> dict[str, object]:
    """`score=1,usd=0.2` as weights by axis."""
    found: dict[str, object] = {}
    for part in text.split(","):
        name, _, value = (each.strip() for each in part.partition("="))
        if name in found:
            raise UserError("objective", f"{name} twice", "each weight once")
        try:
            found[name] = float(value)
        except ValueError:
            raise UserError("objective", shown(part.strip()), EXPECTED) from None
    return found


@dataclass(frozen=True, slots=True)
class Limits:
    """What no program may pass, whatever it scores. None: no limit.

    Args:
        max_calls_per_example: model calls an example at most: every way, step, item, sample and round; asking again aside.
        max_nodes: steps, those in bodies included.
        max_latency: seconds an example on average, along the critical path, as stored with the replies.
    """

    max_calls_per_example: int | None = None
    max_nodes: int | None = None
    max_latency: float | None = None

    def fault(self, program: object) -> str:
        """Why a program is none for this search; "" where it is one. Of what is no workflow nothing is known before it is run."""
        if not isinstance(program, WorkflowProgram):
            return ""
        calls, nodes = program.most_calls, sum(1 for _ in walk(program.workflow.sketch))
        if self.max_calls_per_example is not None and calls > self.max_calls_per_example:
            most = f"more than the {self.max_calls_per_example} that `max_calls_per_example` allows"
            return f"up to {count(calls, 'model call')} an example, {most}"
        if self.max_nodes is not None and nodes > self.max_nodes:
            return f"{count(nodes, 'step')}, more than the {self.max_nodes} that `max_nodes` allows"
        return ""

    def too_slow(self, seconds: float | None) -> bool:
        """Whether an example takes longer than it may."""
        return self.max_latency is not None and seconds is not None and seconds > self.max_latency

    def dump(self) -> dict[str, int | float]:
        """Those that there are, by name."""
        return {name: limit for name in self.__slots__ if (limit := getattr(self, name)) is not None}
