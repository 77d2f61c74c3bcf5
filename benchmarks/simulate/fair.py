"""How a new structure may be judged: only after it was tuned itself, as a variant of the product's planner and judge; parents that
are drawn from the instance front; and a judge that gives up early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from flowbot.optimizer.allocator import FIRST
from flowbot.optimizer.judge import PosteriorJudge, Ruling
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.population import Candidate, Population
from flowbot.optimizer.seams import Option, Pick, Proposer
from simulate.product import Simulated, Texts
from simulate.world import Program

WORST = -0.15
"""A structure that looks worse than that is given up without being tuned."""
TUNED_PAIRS = 12
"""A tuned one gets so many before it may be dropped."""
LITTLE, HOPE = 0.03, 0.3
"""A gain that is hardly worth more rows, and how likely more than that must be."""


def _tried(each: Candidate[Program], population: Population[Program], rows: Sequence[str]) -> bool:
    """Whether it is a new structure on the incumbent that has its first pairs."""
    adds = each.level == "structure" and each.origin is None and not each.title.startswith("-")
    return adds and each.parent is population.incumbent and len(population.pairs(each, rows)) >= FIRST


def _better_half(population: Population[Program], rows: Sequence[str]) -> list[Candidate[Program]]:
    """Of the new structures on the incumbent, the best first."""
    tried = [each for each in population.members[1:] if _tried(each, population, rows)]
    middle = median(each.belief.mean for each in tried) if tried else 0.0
    better = [each for each in tried if each.belief.mean >= max(middle, WORST * population.scale)]
    return sorted(better, key=lambda each: -each.belief.mean)


@dataclass(slots=True)
class EarlyJudge(PosteriorJudge[Program]):
    """Drops what most likely gains next to nothing as soon as it could be adopted, so that rows go to new changes."""

    def ruling(
        self,
        candidate: Candidate[Program],
        population: Population[Program],
        rows: Sequence[str],
        extra: float,
        *,
        last: bool = False,
    ) -> Ruling:
        """As of `Judge`."""
        found = PosteriorJudge.ruling(self, candidate, population, rows, extra, last=last)
        open_ = found.decision is None and len(found.pairs) >= self.fewest
        if open_ and found.belief.above(LITTLE * population.scale) <= HOPE:
            return replace(found, decision="drop")
        return found


@dataclass(slots=True)
class FairJudge(PosteriorJudge[Program]):
    """Drops no structure of the better half, and no tuned one before its pairs; what is not dropped is tuned, see `FairBandit`."""

    def ruling(
        self,
        candidate: Candidate[Program],
        population: Population[Program],
        rows: Sequence[str],
        extra: float,
        *,
        last: bool = False,
    ) -> Ruling:
        """As of `Judge`."""
        found = PosteriorJudge.ruling(self, candidate, population, rows, extra, last=last)
        if found.decision != "drop" or found.belief.mean <= WORST * population.scale:
            return found
        of_structure = candidate.origin is not None and candidate.origin.level == "structure"
        if of_structure and len(found.pairs) < TUNED_PAIRS and not last:
            return replace(found, decision=None)
        return replace(found, decision="set aside") if candidate in _better_half(population, rows) else found


@dataclass(slots=True)
class FairBandit(Bandit[Program]):
    """Before anything else each structure of the better half gets an inner draw, and the best of them two."""

    async def picks(self, want: int, context: Simulated) -> Sequence[Pick[Program]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As of `Planner`."""
        found: list[Pick[Program]] = []
        for each, offers in self._due(context)[:want]:
            self._asked += 1
            proposer, option = self._drawn(offers, None, context.rng(f"plan/{self._asked}"))
            self._tries[option.key] += 1
            found.append(Pick(each, proposer, self._focus(option, None, self._behind(each, context))))
        more = await Bandit.picks(self, want - len(found), context) if len(found) < want else []
        return [*found, *more]

    def _due(self, context: Simulated) -> list[tuple[Candidate[Program], list[tuple[Proposer[Program], Option]]]]:
        population, left = context.population, context.left
        due: list[tuple[Candidate[Program], list[tuple[Proposer[Program], Option]]]] = []
        for place, each in enumerate(_better_half(population, context.rows)):
            made = sum(member.origin is each for member in population.members)
            offers = [
                (texts, option)
                for texts in self.proposers
                if isinstance(texts, Texts)
                for option in texts.options(each, context)
                if self._tries[option.key] < option.most and option.cost <= left
            ]
            if made < 1 + (place == 0) and offers and each.state != "adopted":
                due.append((each, offers))
        return due


@dataclass(slots=True)
class FrontBandit(Bandit[Program]):
    """Half of the time changes are made of a member of the instance front, drawn by the rows on which it is best, as by GEPA."""

    def _offers(self, context: Simulated) -> tuple[Candidate[Program], list[tuple[Proposer[Program], Option]]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        population, rng = context.population, context.rng(f"front/{self._asked}")
        wins = population.instance_front(context.rows)
        members = [each for each in population.members if wins[each.id]]
        if members and rng.random() < 0.5:
            parent = rng.choices(members, [wins[each.id] for each in members])[0]
            if offers := self._untried(parent, context):
                return parent, offers
        return Bandit._offers(self, context)
