"""All programs of a search: how each did on each row, on every axis, and what was decided of it.

Who is best on some row is the *instance front* of GEPA (Agrawal et al. 2025, arXiv 2507.19457); whom nobody beats in score, cost and
latency at once is told at the end of a run, see `flowbot.run.front`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, Generic, Literal, Protocol

from typing_extensions import TypeVar

from flowbot.run.events import Arm, Level, Source
from flowbot.runtime.program import WorkflowProgram

from .belief import Belief
from .objective import SAME_CALLS, TOLERATED, Axis, Limits, Objective, Takes

State = Literal["open", "adopted", "dropped", "set aside"]


class Hashed(Protocol):
    """What a population holds: anything that its hash stands for."""

    @property
    def hash(self) -> str:
        """The same for programs that do the same."""
        ...

    def dump(self) -> Mapping[str, Any]:
        """It as JSON data."""
        ...


P = TypeVar("P", bound=Hashed, default=WorkflowProgram)
"""What is searched over: workflows, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one program did on one row.

    Args:
        score: in [0, 1].
        calls: logical calls that it took.
        tokens: read and written.
        usd: None where a price is unknown.
        seconds: along the critical path.
        weighed: `calls`, each counted as what it costs beside one of the task model; None: all cost alike. See `step_models`.
    """

    score: float
    calls: float = 1.0
    tokens: float = 0.0
    usd: float | None = 0.0
    seconds: float = 0.0
    weighed: float | None = None

    @property
    def counted(self) -> float:
        """What it took in calls of the task model."""
        return self.calls if self.weighed is None else self.weighed

    @property
    def counted_tokens(self) -> float:
        """What it took in tokens of the task model."""
        return self.tokens * self.counted / self.calls if self.calls else self.tokens


@dataclass(eq=False, slots=True)
class Candidate(Generic[P]):
    """A valid proposal, and what became of it.

    Args:
        id: of its proposal; `start` for the program that the search began with.
        program: what is run.
        parent: what it is compared with, the incumbent of the time; None for the start.
        arm: the kind of change about a place.
        key, draw: what the planner remembers it by, and how often that was drawn before; see `seams.Option` and `seams.Focus`.
        level: which loop changed it.
        prior: what was believed of its gain before any pair.
        plain: the same without the critic's votes.
        votes: share of the ballots that named it.
        shown: ids of rows that its author was shown, or the authors of changes that it has and `parent` has not; they are no
            evidence for it.
        title: the change, in words.
        source: who thought of it.
        origin: what it was made from, where that is not `parent`.
    """

    id: str
    program: P
    parent: Candidate[P] | None
    arm: Arm
    prior: Belief
    key: str = ""
    draw: int = 0
    level: Level = "structure"
    plain: Belief | None = None
    votes: float = 0.0
    shown: frozenset[str] = frozenset()
    title: str = ""
    source: Source = "prior"
    origin: Candidate[P] | None = None
    state: State = "open"
    belief: Belief = field(init=False)
    """What is believed of its gain now."""

    def __post_init__(self) -> None:
        self.belief = self.prior

    @property
    def history(self) -> list[Candidate[P]]:
        """From the start to this one, by what each was made from: whose changes it holds."""
        return _from_start(self, lambda each: each.origin or each.parent)

    @property
    def lineage(self) -> list[Candidate[P]]:
        """From the start to this one."""
        return _from_start(self, lambda each: each.parent)


def _from_start(last: Candidate[P], before: Callable[[Candidate[P]], Candidate[P] | None]) -> list[Candidate[P]]:
    chain: list[Candidate[P]] = []
    here: Candidate[P] | None = last
    while here is not None:
        chain.append(here)
        here = before(here)
    return chain[::-1]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A candidate and its parent on the same training rows, in the order in which they were run."""

    rows: Sequence[str]
    mine: Sequence[float]
    theirs: Sequence[float]

    @property
    def differences(self) -> list[float]:
        """Gain on each row."""
        return [mine - theirs for mine, theirs in zip(self.mine, self.theirs, strict=True)]

    def __len__(self) -> int:
        return len(self.rows)


class Population(Generic[P]):
    """The start and what was made of it.

    Args:
        start: the program that the search begins with.
        objective: what is better.
        limits: what no program may pass.
    """

    def __init__(self, start: P, objective: Objective | None = None, limits: Limits | None = None) -> None:
        self.objective = objective or Objective()
        self.limits = limits or Limits()
        self.start: Candidate[P] = Candidate(
            "start", start, None, Arm(kind="start"), Belief(0.0, 0.0), title="start", source="start", state="adopted"
        )
        self.incumbent = self.start
        """What candidates are made from, unless a plateau asks for another parent."""
        self.members: list[Candidate[P]] = [self.start]
        self._outcomes: dict[str, dict[str, Outcome]] = {}
        self.version = 0
        """Grows with every outcome and with every decision."""
        self._low, self._high = math.inf, -math.inf

    @property
    def open(self) -> list[Candidate[P]]:
        """Candidates that nothing was decided of, in the order in which they came."""
        return [each for each in self.members if each.state == "open"]

    def add(self, candidate: Candidate[P]) -> None:
        """Take a candidate in."""
        self.members.append(candidate)

    def close(self, candidate: Candidate[P], state: State) -> None:
        """Note what was decided of a candidate."""
        candidate.state = state
        self.version += 1

    @property
    def scale(self) -> float:
        """The range of all scores so far, so that a metric whose scores are a tenth is judged alike; 1 before there are two."""
        return self._high - self._low if self._high > self._low else 1.0

    def record(self, program: str, row: str, outcome: Outcome) -> None:
        """Note how the program of that hash did on a row."""
        self._outcomes.setdefault(program, {})[row] = outcome
        self._low, self._high = min(self._low, outcome.score), max(self._high, outcome.score)
        self.version += 1

    def forget(self, program: str, row: str) -> None:
        """Take back how a program did on a row, from the scale, too: what a ceiling cut short is chance."""
        del self._outcomes[program][row]
        scores = [each.score for seen in self._outcomes.values() for each in seen.values()]
        self._low, self._high = min(scores, default=math.inf), max(scores, default=-math.inf)
        self.version += 1

    def outcomes(self, program: Hashed) -> Mapping[str, Outcome]:
        """How a program did, by row, in the order in which the rows were run."""
        return self._outcomes.get(program.hash, {})

    def missing(self, program: Hashed, rows: Iterable[str]) -> list[str]:
        """Those of the rows that a program was not run on."""
        seen = self.outcomes(program)
        return [row for row in rows if row not in seen]

    def scores(self, program: Hashed, rows: Iterable[str]) -> list[float]:
        """Scores on those of the rows that it was run on."""
        seen = self.outcomes(program)
        return [seen[row].score for row in rows if row in seen]

    def mean_score(self, program: Hashed, rows: Iterable[str]) -> float:
        """Mean of these, 0 where there is none."""
        scores = self.scores(program, rows)
        return fmean(scores) if scores else 0.0

    def pairs(
        self, candidate: Candidate[P], rows: Iterable[str], other: Candidate[P] | None = None, *, shown: bool = False
    ) -> Pairs:
        """A candidate beside its parent (or `other`) on those of the rows that both were run on and that are evidence; with `shown`
        also on those that its author was shown: published protocols compare on them."""
        against = other or candidate.parent
        assert against is not None  # the start is never judged against itself
        mine, theirs = self.outcomes(candidate.program), self.outcomes(against.program)
        both = [row for row in rows if row in mine and row in theirs and (shown or row not in candidate.shown)]
        return Pairs(both, [mine[row].score for row in both], [theirs[row].score for row in both])

    def extra_calls(self, candidate: Candidate[P], other: Candidate[P] | None = None) -> float:
        """Model calls an example that a candidate takes more than its parent (or `other`), on average over the rows that both were run
        on, those of other models counted by their price. Less than `SAME_CALLS` is none: a reply that was asked for again makes no
        program dearer than another."""
        against = other or candidate.parent
        if against is None:
            return 0.0
        mine, theirs = self.outcomes(candidate.program), self.outcomes(against.program)
        more = [mine[row].counted - theirs[row].counted for row in mine if row in theirs]
        mean = fmean(more) if more else 0.0
        return mean if abs(mean) >= SAME_CALLS else 0.0

    def price(self, candidate: Candidate[P], other: Candidate[P] | None = None, *, calls: float | None = None) -> float:
        """What a candidate must gain in score over its parent (or `other`) to be better by the objective; below 0, what it may
        lose: see `Objective.price`. A program within the limit of latency may lose so much to one beyond it, too.

        Args:
            candidate: what is compared.
            other: with what.
            calls: that it takes more, where that is known better than from what was run.
        """
        against = other or candidate.parent
        if against is None:
            return 0.0
        both = [row for row in self.outcomes(candidate.program) if row in self.outcomes(against.program)]
        mine, theirs = (self.takes(each.program, both) for each in (candidate, against))
        further = self.extra_calls(candidate, against) if calls is None else calls
        more = Takes(
            further,
            mine.tokens - theirs.tokens,
            None if mine.usd is None or theirs.usd is None else mine.usd - theirs.usd,
            mine.seconds - theirs.seconds,
        )
        price = self.objective.price(more, theirs, self.scale, _lost(against))
        return min(price, -TOLERATED * self.scale) if self.slows(against, candidate) else price

    def charge(self, candidate: Candidate[P], other: Candidate[P] | None = None) -> float:
        """What its price takes from a candidate's gain where the user names an objective, or the other takes longer than it may; else
        only verdicts look at it."""
        against = other or candidate.parent
        named = not self.objective.usual or (against is not None and self.slows(against, candidate))
        return self.price(candidate, other) if named else 0.0

    def best_of(self, candidates: Sequence[Candidate[P]], score: Callable[[Candidate[P]], float]) -> Candidate[P]:
        """The best by the objective where scores are compared as they are: the highest, the earliest of equals, or one that is better
        than it by what both take, however many replaced another before. None that takes longer than it may, where the first does not.

        Args:
            candidates: at least one.
            score: on rows that all of them were run on.
        """
        fitting = [each for each in candidates if not self.slows(each, candidates[0])]
        best = top = max(fitting, key=score)
        for each in fitting:
            if all(score(each) - score(one) > self.charge(each, one) for one in (best, top)):
                best = each
        return best

    def takes(self, program: Hashed, rows: Iterable[str] | None = None) -> Takes:
        """What an example takes on average, over those of the rows, else all, that a program was run on; nothing where there are none.
        Calls and tokens are of the task model: those of another count as what it costs beside it."""
        seen = self.outcomes(program)
        ran = [seen[row] for row in (seen if rows is None else rows) if row in seen]
        if not ran:
            return Takes()
        known = [each.usd for each in ran if each.usd is not None]
        return Takes(
            fmean(each.counted for each in ran),
            fmean(each.counted_tokens for each in ran),
            fmean(known) if len(known) == len(ran) else None,
            fmean(each.seconds for each in ran),
        )

    def slows(self, candidate: Candidate[P], other: Candidate[P]) -> bool:
        """Whether a candidate takes longer than the limit of latency allows, and the other does not, as far as both were run."""
        mine, theirs = (self.mean(each.program, "seconds") for each in (candidate, other))
        return self.limits.too_slow(mine) and not self.limits.too_slow(theirs)

    def mean(self, program: Hashed, axis: Literal["score"] | Axis) -> float | None:
        """Mean of an axis over the rows that a program was run on; None where it is not known of one, or there is none."""
        values = [getattr(each, axis) for each in self.outcomes(program).values()]
        return None if not values or None in values else fmean(values)

    def instance_front(self, rows: Sequence[str]) -> Counter[str]:
        """Ids of the members that are best on some row, with the number of rows; GEPA's parents are drawn by these.

        A member that is best nowhere without another being so too is left out, as there.
        """
        winners: list[set[str]] = []
        for row in rows:
            scores = {each.id: seen[row].score for each in self.members if row in (seen := self.outcomes(each.program))}
            if scores:
                best = max(scores.values())
                winners.append({name for name, score in scores.items() if score == best})
        kept = set[str]().union(*winners)
        means = {each.id: self.mean(each.program, "score") or 0.0 for each in self.members}
        for name in sorted(kept, key=lambda each: (means[each], each)):
            if len(kept) > 1 and all(len(front & kept) > 1 for front in winners if name in front):
                kept.discard(name)
        return Counter(name for front in winners for name in front & kept)


def _lost(candidate: Candidate[P]) -> float:
    """What a candidate is believed to score less than the best that it descends from."""
    lost = total = 0.0
    for each in candidate.lineage[:0:-1]:
        total -= each.belief.mean
        lost = max(lost, total)
    return lost


def two_valued(scores: Sequence[float]) -> bool:
    """Whether they are of two values at most, as 0 and 1."""
    return set(scores) <= {min(scores, default=0.0), max(scores, default=1.0)}


def split_at(scores: Sequence[float]) -> float:
    """Above this a program does well on a row: half way for two values, else the median of its scores."""
    return (min(scores, default=0.0) + max(scores, default=1.0)) / 2 if two_valued(scores) else median(scores)
