"""What is tried next: a bandit over kinds of change (Thompson sampling over beliefs), with a critic whose weight is learned.

No order between prompts and structure is fixed. The belief about a change is the shipped prior of its kind, the gains of its
kind in this run, what an earlier parent's run of the same change showed, and the critic's votes; a change that needs more calls
or longer prompts must gain more. Of changes that were each measured the belief of both together is the sum of theirs. Explicit selection by a bandit beats choice by the model itself (OPTS: Ashizawa et al. 2025, arXiv 2503.01163).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeAlias

from flowbot.run.events import Level, Noted, Verdict

from .belief import Belief, mean_and_variance
from .judge import PRIOR_SPREAD, unpaired
from .objective import Objective, Takes
from .order import in_turn
from .population import Candidate, P
from .seams import Ballots, Context, Critic, Focus, Option, Order, Pick, Proposer

PRIOR_WEIGHT = 2
"""Tries in this run that the shipped prior of a kind weighs as much as."""
CARRIED = 0.8
"""What a gain on the old incumbent counts on the new one."""
CARRIED_SPREAD = 0.05
"""By how much it may differ there besides."""
VOTE_WORTH = 0.10
"""Gain in score that all ballots for a change are first taken to mean."""
LEAST_SPREAD = 0.06
"""Of a candidate's prior: a kind that was tried often is known, this one of it is not."""
PATIENCE = 8
"""Draws in a row whose candidates were closed without an adoption, after which another parent is tried."""
SETTLED = 1 / 3
"""Share of the planned calls: where no more of them are left, the structure is taken to have settled."""
DEAR = 2
"""Further calls an example from which on a change waits until the structure has settled: once it is adopted, every later comparison
takes as many more."""
LEAST_WEIGHT = 0.02
"""A critic whose votes are worth less is not asked any more."""
Draw: TypeAlias = tuple[str, int]
"""Key of an option, and how often it was drawn before: several candidates may come of it (see `Option.at_once`)."""


@dataclass(slots=True)
class VoteWeight:
    """How much a critic's votes are worth: a Beta belief about "what it named did better than was believed without it".

    It begins at three out of four and fades to nothing where the critic is right half of the time, which is chance.
    """

    right: float = 3.0
    wrong: float = 1.0
    _named: dict[Draw, bool] = field(default_factory=dict[Draw, bool])

    @property
    def value(self) -> float:
        """Gain that all ballots for one change stand for."""
        share = (self.right + sum(self._named.values())) / (self.right + self.wrong + len(self._named))
        return VOTE_WORTH * min(1.0, max(0.0, 4 * (share - 0.5)))

    def learn(self, draw: Draw, *, better: bool) -> None:
        """A change that it named was tried; it was right where anything that came of the draw did better."""
        self._named[draw] = better or self._named.get(draw, False)


@dataclass(slots=True)
class Bandit(Generic[P]):
    """Draws changes for the incumbent.

    Args:
        proposers: whose options there are.
        critic: None: nobody votes.
        even: True: every option is as likely as any other: the control that shows what choosing is worth.
        wanders: False: it stays with the incumbent, whatever plateau there is.
        dear: further calls an example from which on a change waits until the structure has settled.
        order: which of structure and parameters comes first; see `seams.Order`.
    """

    proposers: Sequence[Proposer[P]]
    critic: Critic[P] | None = None
    even: bool = False
    wanders: bool = True
    dear: float = DEAR
    order: Order = "free"
    weight: VoteWeight = field(default_factory=VoteWeight)
    _gains: dict[tuple[Level, str], dict[Draw, float]] = field(
        default_factory=lambda: defaultdict[tuple[Level, str], dict[Draw, float]](dict)
    )
    _tries: Counter[str] = field(default_factory=Counter[str])
    _carried: dict[tuple[str, str], Belief] = field(default_factory=dict[tuple[str, str], Belief])
    _ballots: dict[str, Ballots] = field(default_factory=dict[str, Ballots])
    _failed: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict[str, Counter[str]](Counter[str]))
    _objective: Objective = field(default_factory=Objective)
    _takes: Takes = field(default_factory=Takes)
    _scale: float = 1.0
    _asked: int = 0
    _parent: Candidate[P] | None = None
    _left_behind: set[str] = field(default_factory=set[str])
    _barren: set[Draw] = field(default_factory=set[Draw])
    _settled: bool = False

    async def picks(self, want: int, context: Context[P]) -> Sequence[Pick[P]]:
        """As of `Planner`: for each pick one change of every kind is drawn, and the kind whose belief is drawn highest is tried."""
        parent, offers = self._offers(context)
        if not offers:
            return []
        population = context.population
        self._objective, self._scale = population.objective, population.scale
        self._takes = population.takes(parent.program)
        ballots = await self._votes(parent, context)
        behind = self._behind(parent, context)
        found: list[Pick[P]] = []
        left = context.left
        for _ in range(want):
            self._asked += 1
            rng = context.rng(f"plan/{self._asked}")
            open_ = [each for each in offers if self._tries[each[1].key] < each[1].most and each[1].cost <= left]
            if not open_:
                break
            open_ = in_turn(self.order, open_, ballots, self._asked, self._failed[parent.program.hash])
            proposer, option = rng.choice(open_) if self.even else self._drawn(open_, ballots, rng)
            found.append(Pick(parent, proposer, self._focus(option, ballots, behind)))
            self._tries[option.key] += 1
            left -= option.cost
        return found

    def _drawn(
        self, offers: Sequence[tuple[Proposer[P], Option]], ballots: Ballots | None, rng: Random
    ) -> tuple[Proposer[P], Option]:
        """Thompson sampling in two stages: the best draw of each kind, then the best of the kinds, each drawn anew.

        In one stage a kind would be tried by the number of its places: the highest of ten draws is high, whatever is believed.
        """
        kinds: dict[tuple[Level, str], list[tuple[float, int]]] = {}
        for place, (_, option) in enumerate(offers):
            drawn = (self.belief(option, ballots).draw(rng), -place)
            kinds.setdefault((option.level, option.arm.kind), []).append(drawn)
        best: list[tuple[float, int]] = []
        for draws in kinds.values():
            value, place = max(draws)
            best.append((value if len(draws) == 1 else self.belief(offers[-place][1], ballots).draw(rng), place))
        return offers[-max(best)[1]]

    def _offers(self, context: Context[P]) -> tuple[Candidate[P], list[tuple[Proposer[P], Option]]]:
        """What may be tried, on the incumbent or, on a plateau, on another member: the next of the instance front (GEPA's parents)
        that was not tried since the last adoption. With none left it is the incumbent's turn until nothing is left there."""
        population = context.population
        parent = self._parent or population.incumbent
        offers = self._untried(parent, context)
        if len(self._barren) >= PATIENCE and not self._settled:
            self._settled = True
            offers = self._untried(parent, context)
            if any(
                option.late or option.extra >= self.dear for _, option in offers
            ):  # which comes before other parents
                self._barren.clear()
                why = f"{PATIENCE} candidates in a row were not better: now what takes more calls, and other models"
                context.record(Noted(about="plateau", text=why, spent=context.spent))
        while self.wanders and (len(self._barren) >= PATIENCE or not offers):
            if parent is population.incumbent and not offers:
                why = "nothing is left to try on the incumbent"
            elif not offers:
                why = "nothing is left to try on this parent"
            else:
                why = f"{PATIENCE} candidates in a row were not better"
            self._left_behind.add(parent.program.hash)
            other = self._elsewhere(context)
            if other is None and parent is population.incumbent:
                break
            parent = other or population.incumbent
            self._parent = parent
            self._barren.clear()
            context.record(Noted(about="plateau", text=f"{why}: now from {parent.title}", spent=context.spent))
            offers = self._untried(parent, context)
        return parent, offers

    def _untried(self, parent: Candidate[P], context: Context[P]) -> list[tuple[Proposer[P], Option]]:
        """What is left to try on a parent; what is for a settled structure only once a plateau was met, few calls are left, or nothing
        else is."""
        offers = self._all(parent, context)
        if self._settled or context.left <= SETTLED * (context.left + context.spent):
            return offers
        return [each for each in offers if not each[1].late and each[1].extra < self.dear] or offers

    def _all(self, parent: Candidate[P], context: Context[P]) -> list[tuple[Proposer[P], Option]]:
        return [
            (proposer, option)
            for proposer in self.proposers
            for option in proposer.options(parent, context)
            if self._tries[option.key] < option.most and option.cost <= context.left
        ]

    def _elsewhere(self, context: Context[P]) -> Candidate[P] | None:
        """Another parent: of the instance front, that which is best on most rows and was not left behind."""
        population = context.population
        wins = population.instance_front(context.rows)
        members = [each for each in population.members if wins[each.id] and each.program.hash not in self._left_behind]
        return max(members, key=lambda each: (wins[each.id], each.id), default=None)

    def _behind(self, parent: Candidate[P], context: Context[P]) -> Belief:
        """What is believed of a parent over the incumbent."""
        population = context.population
        if parent is population.incumbent:
            return Belief(0.0, 0.0)
        pairs = population.pairs(parent, context.rows, population.incumbent)
        prior = Belief(0.0, PRIOR_SPREAD * population.scale)
        return prior.updated(*mean_and_variance(pairs.differences, unpaired(population))) if pairs.rows else prior

    def learn(self, outcomes: Sequence[tuple[Candidate[P], Verdict]]) -> None:
        """What a kind gained tells of its other places; what was named by votes tells of the critic. Of what came of one draw the best
        counts: whoever draws again may have the best of several again."""
        for candidate, verdict in outcomes:
            draw = candidate.key, candidate.draw
            self._barren.add(draw)
            if verdict.decision == "adopt":
                self._parent = None
                self._barren.clear()
                self._left_behind.clear()
                self._settled = self._settled and candidate.level != "structure"
            elif candidate.level == "parameters" and (made_from := candidate.origin or candidate.parent):
                self._failed[made_from.program.hash][candidate.arm.place] += 1
            if candidate.origin is not None:
                continue  # its gain is over the incumbent, not over what it was made from
            gains = self._gains[candidate.level, candidate.arm.kind]
            if candidate.belief.mean >= gains.get(draw, -math.inf):
                gains[draw] = candidate.belief.mean
                if _change(candidate) in self._carried:
                    self.carry([candidate])  # tried again since; that is what is known of it now
            if candidate.votes and candidate.plain is not None and verdict.n:
                self.weight.learn(draw, better=verdict.mine - verdict.theirs > candidate.plain.mean)

    def carry(self, candidates: Collection[Candidate[P]]) -> None:
        """As of `Planner`, shrunk: a change need not do on the new incumbent what it did on the old one."""
        for each in sorted(candidates, key=lambda each: each.belief.mean):  # the best of one draw last
            if each.level != "structure" or each.origin is not None:
                continue  # another draw of a text is another text
            spread = math.hypot(each.belief.spread, CARRIED_SPREAD)
            self._carried[_change(each)] = Belief(CARRIED * each.belief.mean, spread)

    def belief(self, option: Option, ballots: Ballots | None = None, *, bold: bool = True) -> Belief:
        """What is believed of an option's gain, votes and calls included; `bold` as of `plain`."""
        plain = self.plain(option, bold=bold)
        share = ballots.won.get(option.key, 0) / max(1, ballots.asked) if ballots else 0.0
        return Belief(plain.mean + self.weight.value * share, plain.spread)

    def plain(self, option: Option, *, bold: bool = True) -> Belief:
        """The same without votes. What calls and a longer prompt take must be gained back: among equals the cheaper is tried.

        Args:
            option: a change.
            bold: whether what its kind gained on other tasks counts whole. So it does for what is tried; a candidate's pairs are to
                judge it, and not that another task's were far better.
        """
        carried = option.prior if option.measured else self._carried.get(_change(option))
        if carried is None:
            prior = option.prior
            if not bold and prior.mean > PRIOR_SPREAD:
                prior = Belief(PRIOR_SPREAD, PRIOR_SPREAD)
            gains = self._gains[option.level, option.arm.kind].values()
            mean = (PRIOR_WEIGHT * prior.mean + sum(gains)) / (PRIOR_WEIGHT + len(gains))
            carried = Belief(mean, prior.spread / math.sqrt(1 + len(gains) / PRIOR_WEIGHT))
        price = self._objective.expected(option.extra, option.tokens, self._takes, self._scale)
        return Belief(carried.mean - price, carried.spread)

    async def _votes(self, parent: Candidate[P], context: Context[P]) -> Ballots | None:
        """Asked once a parent, while votes are worth it, and of what waits until the structure has settled, too."""
        critic = self.critic
        if critic is None or parent.program.hash in self._ballots:
            return self._ballots.get(parent.program.hash)
        options = [each for _, each in self._all(parent, context) if each.level == "structure"]
        if not options or self.weight.value < LEAST_WEIGHT or critic.cost > context.left:
            return None
        self._ballots[parent.program.hash] = ballots = await critic.vote(parent, options, context)
        for each in ballots.feedback:
            context.record(each)
        return ballots

    def _focus(self, option: Option, ballots: Ballots | None, behind: Belief) -> Focus:
        won = ballots.won.get(option.key, 0) if ballots else 0
        because = ballots.because.get(option.key, ()) if ballots else ()
        seen = [each.example for each in ballots.feedback if each.id in because] if ballots else []
        return Focus(
            option,
            draw=self._tries[option.key],
            belief=_sum(behind, _prior(self.belief(option, ballots, bold=False))),
            plain=_sum(behind, self.plain(option, bold=False)),
            votes=won / max(1, ballots.asked) if ballots else 0.0,
            ballots=ballots.asked if ballots else 0,
            reason=ballots.reasons.get(option.key, "") if ballots else "",
            because=because,
            shown=tuple(dict.fromkeys(seen)),
        )


def _prior(belief: Belief) -> Belief:
    return Belief(belief.mean, max(LEAST_SPREAD, belief.spread))


def _change(of: Option | Candidate[P]) -> tuple[str, str]:
    """What is the same change on another parent."""
    return str(of.arm), of.title


def _sum(one: Belief, other: Belief) -> Belief:
    return Belief(one.mean + other.mean, math.hypot(one.spread, other.spread))
