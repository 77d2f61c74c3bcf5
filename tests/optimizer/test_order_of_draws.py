"""W draws are made, all W blocks are awaited, and verdicts come in the order of the draws: whoever ends first decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import permutations

import pytest
from pool_world import Lookup, Named

from flowbot.fields import BudgetExceeded
from flowbot.optimizer.allocator import FIRST
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.judge import Ruling
from flowbot.optimizer.pool import Pool, affordable
from flowbot.optimizer.population import Candidate, Population
from flowbot.optimizer.seams import Focus, Option, Pick, PlanUsed, Proposal
from flowbot.run.events import Arm, Verdict

NAMES = ("a", "b", "c")


class Late(Lookup):
    """Programs end in the order that `after` says; what goes on is noted."""

    def __init__(self, after: Sequence[str], planned: float = 1000.0) -> None:
        super().__init__(lambda program, row: float(row % 2), 24, planned)
        self.after, self.noted = list(after), list[str]()

    async def run(self, program: Named, rows: Sequence[str], why: str) -> None:
        turn = self.after.index(program.hash) if program.hash in self.after else 0
        for _ in range(10 * turn):
            await asyncio.sleep(0)
        await super().run(program, rows, why)
        self.noted.append(f"ran {program.hash}")


class Once:
    """A planner that has one round of changes, and keeps what it is told."""

    def __init__(self, proposer: Maker) -> None:
        self.proposer, self.asked = proposer, 0
        self.learned: list[str] = []
        self.carried: list[str] = []

    async def picks(self, want: int, context: Lookup) -> list[Pick[Named]]:
        self.asked += 1
        if self.asked > 1:
            return []
        belief = Belief(0.0, 0.1)
        options = [Option(Arm(kind=name), name, name, belief) for name in NAMES]
        parent = context.population.incumbent
        return [Pick(parent, self.proposer, Focus(each, 0, belief, belief)) for each in options]

    def learn(self, outcomes: Sequence[tuple[Candidate[Named], Verdict]]) -> None:
        self.learned.extend(each.program.hash for each, _ in outcomes)

    def carry(self, candidates: Sequence[Candidate[Named]]) -> None:
        self.carried.extend(each.program.hash for each in candidates)


class Maker:
    """Makes the program that its option names; the first to be asked ends last."""

    async def propose(
        self, parent: Candidate[Named], focus: Focus, want: int, context: Lookup
    ) -> list[Proposal[Named]]:
        for _ in range(20 - 5 * NAMES.index(focus.option.title)):
            await asyncio.sleep(0)
        return [Proposal(Named(focus.option.title), focus.option.title, "prior")]


class Backwards:
    """Draws all candidates, the youngest first, `FIRST` rows at a time."""

    def blocks(
        self, candidates: Sequence[Candidate[Named]], context: Lookup
    ) -> list[tuple[Candidate[Named], Sequence[str]]]:
        found: list[tuple[Candidate[Named], Sequence[str]]] = []
        for each in reversed(candidates):
            rows = context.population.missing(each.program, context.rows)[:FIRST]
            found.append((each, rows))
        return found


class Rules:
    """A judge that notes whom it is asked about, and says what it was told to say of them."""

    def __init__(self, decisions: dict[str, str]) -> None:
        self.decisions, self.asked = decisions, list[str]()

    def ruling(
        self,
        candidate: Candidate[Named],
        population: Population[Named],
        rows: Sequence[str],
        extra: float,
        *,
        last: bool = False,
    ) -> Ruling:
        self.asked.append(candidate.program.hash)
        decision = self.decisions.get(candidate.program.hash)
        return Ruling(decision, "own", candidate.belief, population.pairs(candidate, rows), 0.5)  # pyright: ignore[reportArgumentType]

    def believe(self, candidate: Candidate[Named], population: Population[Named], rows: Sequence[str]) -> Belief:
        return Belief(0.05, 0.05)


async def searched(context: Late, decisions: dict[str, str]) -> tuple[str, Once, Rules]:
    planner, judge = Once(Maker()), Rules(decisions)
    why = await Pool(planner, Backwards(), judge).search(context)
    return why, planner, judge


@pytest.mark.parametrize("after", list(permutations(NAMES)))
async def test_verdicts_come_in_the_order_of_the_draws_whoever_ends_first(after: Sequence[str]) -> None:
    context = Late(after)
    why, planner, judge = await searched(context, dict.fromkeys(NAMES, "drop"))
    proposals = [each.title for each in context.events if each.event == "proposal"]
    assert proposals == [*NAMES], "also proposals, though the first was made last"
    assert [each for each in context.noted if each != "ran start"] == [f"ran {name}" for name in after]
    assert judge.asked == ["c", "b", "a"]
    assert planner.learned == ["c", "b", "a"]
    ids = {each.id: each.title for each in context.events if each.event == "proposal"}
    assert [ids[each.proposal] for each in context.events if each.event == "verdict"] == ["c", "b", "a"]
    assert why == "nothing is left to try"


@pytest.mark.parametrize("after", list(permutations(NAMES)))
async def test_the_first_of_the_draws_that_is_adopted_sets_the_others_aside(after: Sequence[str]) -> None:
    context = Late(after)
    _, planner, _ = await searched(context, {"b": "adopt", "a": "adopt", "c": "drop"})
    verdicts = [(each.proposal, each.decision) for each in context.events if each.event == "verdict"]
    assert verdicts == [("p3", "drop"), ("p2", "adopt"), ("p1", "set aside")]
    assert context.population.incumbent.program.hash == "b"
    assert planner.carried == ["a"], "what it showed is carried to the new incumbent"
    assert planner.learned == ["c", "b"], "and is no verdict on it"


async def test_no_verdict_is_taken_while_a_block_is_out() -> None:
    context = Late(("c", "a", "b"))
    record = context.record

    def noted(event: object) -> None:
        record(event)  # pyright: ignore[reportArgumentType]
        if getattr(event, "event", "") == "verdict":
            context.noted.append("verdict")

    context.record = noted  # pyright: ignore[reportAttributeAccessIssue]
    await searched(context, dict.fromkeys(NAMES, "drop"))
    runs, verdicts = context.noted[:4], context.noted[4:]
    assert verdicts == [*["verdict"] * 3, "ran start"], "at last on the rows that are left, for more mistakes"
    assert sorted(runs) == ["ran a", "ran b", "ran c", "ran start"]


@pytest.mark.parametrize("planned", range(16, 40))
async def test_a_block_is_as_large_as_the_plan_surely_allows_in_the_order_of_the_draws(planned: int) -> None:
    context = Late(NAMES, planned)
    population = context.population
    for name in NAMES:
        population.add(Candidate(name, Named(name + "!"), population.start, Arm(kind=name), Belief(0.0, 0.1)))
    blocks = affordable(context, Backwards().blocks(population.open, context))
    rows = {each.id: list(rows) for each, rows in blocks}
    paid = sum(2 * len(each) for each in rows.values()) + len({row for each in rows.values() for row in each})
    assert paid <= planned, "each candidate takes two calls a row, and the start's row is paid for once"
    assert list(rows) == [name for name in ("c", "b", "a") if name in rows]
    full = [len(each) == FIRST for each in rows.values()]
    assert full == sorted(full, reverse=True), "whoever was drawn first gets all of its rows first"
    if not all(full) or len(full) < 3:
        assert planned - paid < 3


class Dear(Late):
    """Replies are asked for again, so that a block takes twice the calls; whoever passes the plan is refused and forgotten."""

    def __init__(self, planned: float) -> None:
        super().__init__(NAMES, planned)
        self.unsettled: list[tuple[str, str]] = []

    async def run(self, program: Named, rows: Sequence[str], why: str) -> None:
        for row in rows:
            await asyncio.sleep(0)
            if self.spent + 2 > self.planned:
                raise PlanUsed("no call is left", ceiling="calls")
            self.spent += 2
            await super().run(program, [row], why)
            self.spent -= 1
            self.unsettled.append((program.hash, row))

    def settle(self) -> None:
        for program, row in self.unsettled:
            self.population.forget(program, row)
        self.unsettled.clear()

    def record(self, event: object) -> None:
        self.unsettled.clear()
        super().record(event)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("planned", [10, 40, 47, 60, 75])
async def test_where_the_plan_ends_in_mid_block_the_search_ends_with_what_stood_before(planned: int) -> None:
    context = Dear(planned)
    why, _, judge = await searched(context, {})
    assert why == "the planned calls are used"
    assert context.spent <= planned
    seen = [context.population.outcomes(each.program) for each in context.population.members]
    assert all(len(rows) % FIRST in (0, 16 % FIRST) for rows in seen), "of a block that was cut short no row is left"
    assert context.population.incumbent is context.population.start
    closed = [each.decision for each in context.events if each.event == "verdict"]
    assert closed == ["set aside"] * (len(context.population.members) - 1)
    assert len(judge.asked) - len(closed) <= 4


async def test_a_ceiling_of_the_users_is_not_the_plan() -> None:
    class Bound(Late):
        async def run(self, program: Named, rows: Sequence[str], why: str) -> None:
            raise BudgetExceeded("the ceiling", ceiling="calls")

    with pytest.raises(BudgetExceeded):
        await searched(Bound(NAMES), {})


async def test_at_the_end_of_the_calls_the_best_that_was_run_is_taken_where_the_judge_would_adopt_it() -> None:
    for last, expected in (({"c": "adopt"}, "c"), ({}, "start")):
        context = Late(NAMES, 16 + 3 * FIRST)
        planner, judge = Once(Maker()), Rules({})

        def ending(*given: object, last: bool = False, say: dict[str, str] = last, judge: Rules = judge) -> Ruling:
            judge.decisions = say if last else {}
            return Rules.ruling(judge, *given, last=last)  # pyright: ignore[reportArgumentType]

        judge.ruling = ending  # pyright: ignore[reportAttributeAccessIssue]
        judge.believe = lambda candidate, population, rows: Belief(  # pyright: ignore[reportAttributeAccessIssue]
            0.1 if candidate.program.hash == "c" else 0.0, 0.1
        )
        assert await Pool(planner, Backwards(), judge).search(context) == "the planned calls are used"
        assert context.population.incumbent.program.hash == expected


@pytest.mark.parametrize(
    ("incumbent", "name", "p", "taken"),
    [
        ("start", "c!", 0.85, True),  # validation compares it with the start
        ("a", "c!", 0.85, False),
        ("a", "c!", 0.95, True),
        ("a", "c", 0.85, True),  # it takes no further call
    ],
)
async def test_at_the_end_of_the_calls_a_dearer_change_of_what_was_adopted_must_be_likelier_better(
    incumbent: str, name: str, p: float, taken: bool
) -> None:
    context = Late((), 100)
    population = context.population
    if incumbent != "start":
        adopted = Candidate(
            incumbent, Named(incumbent), population.start, Arm(kind="a"), Belief(0.1, 0.1), state="adopted"
        )
        population.add(adopted)
        population.incumbent = population.members[-1]
    population.add(Candidate(name, Named(name), population.incumbent, Arm(kind="c"), Belief(0.1, 0.1)))
    for each in {incumbent, name}:
        await context.run(Named(each), context.rows[:FIRST], "train")
    judge = Rules({})
    judge.ruling = lambda candidate, population, rows, extra, last=False: Ruling(  # pyright: ignore[reportAttributeAccessIssue]
        "adopt" if last else None, "own", candidate.belief, population.pairs(candidate, rows), p
    )
    Pool(Once(Maker()), Backwards(), judge)._take_likely(context)  # pyright: ignore[reportPrivateUsage]
    assert (population.incumbent.program.hash == name) == taken
