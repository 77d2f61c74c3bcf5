"""In which order changes of structure and parameters are tried: freely, prompts first, or in turn; as an option of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_world import Lookup, Named

from flowbot.fields import UserError
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.feedback.ballots import BallotCritic
from flowbot.optimizer.methods import find_method, ordered
from flowbot.optimizer.order import FAILED
from flowbot.optimizer.planner import Bandit
from flowbot.optimizer.pool_method import PoolMethod
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.run import planned
from flowbot.optimizer.seams import Ballots, Focus, Option, Order, Proposal
from flowbot.report.commands import again
from flowbot.run.events import Arm, Verdict
from flowbot.run.view import read_run
from flowbot.task import Task

ORDERS: tuple[Order, ...] = ("free", "prompts-first", "alternate")


class Offers:
    """Structural changes of two steps, of which much is believed, and texts for them."""

    def __init__(self, most: int = 9) -> None:
        structure = [
            Option(Arm(kind=f"s{n}", place=place), f"s{n}", f"s{n}", Belief(0.5, 0.01))
            for n, place in enumerate(["read", "write", "read", "write"])
        ]
        texts = [
            Option(Arm(kind=f"t{place}", place=place), f"t{place}", f"t{place}", Belief(0, 0.01), most=most, level="parameters")
            for place in ("read", "write")
        ]  # fmt: skip
        self.given = [*structure, *texts]

    def options(self, parent: Candidate[Named], context: Lookup) -> Sequence[Option]:
        return self.given

    async def propose(self, *given: Any) -> Sequence[Proposal[Named]]:
        raise AssertionError("a planner proposes nothing")

    def learn(self, outcomes: Any) -> None:
        """Nothing."""


class Voice:
    """A critic that blames these steps, and asks for these options where no prompt could help."""

    cost = 1

    def __init__(self, steps: Sequence[str] = (), beyond: Sequence[str] = ()) -> None:
        self.steps, self.beyond = tuple(steps), tuple(beyond)

    async def vote(self, parent: Candidate[Named], options: Sequence[Option], context: Lookup) -> Ballots:
        return Ballots(1, {}, {}, {}, steps=self.steps, beyond=self.beyond)


def context() -> Lookup:
    return Lookup(lambda program, row: 0.0, 10, 1000)


async def picked(bandit: Bandit[Named], want: int, where: Lookup) -> str:
    """The levels that are tried, a letter each."""
    return "".join(pick.focus.option.key[0] for pick in await bandit.picks(want, where))


def fail(bandit: Bandit[Named], where: Lookup, place: str, decision: Any = "drop", level: Any = "parameters") -> None:
    start = where.population.start
    candidate = Candidate("p", Named("x"), start, Arm(kind="t", place=place), Belief(0, 0.1), level=level)
    verdict = Verdict(
        proposal="p", incumbent="start", decision=decision, rule="posterior", n=6, mine=0.5, theirs=0.5, gain=0.0, spread=0.1,
        p=0.5, spent=1,
    )  # fmt: skip
    bandit.learn([(candidate, verdict)])


async def test_freely_what_is_believed_to_gain_most_comes_first_whatever_it_changes() -> None:
    assert await picked(Bandit([Offers()]), 6, context()) == "sssstt"


async def test_in_turn_there_is_one_of_each() -> None:
    assert await picked(Bandit([Offers()], order="alternate"), 6, context()) == "ststst"
    assert await picked(Bandit([Offers(1)], order="alternate"), 6, context()) == "ststss"


async def test_prompts_come_first_until_some_have_failed_or_none_is_left() -> None:
    bandit, where = Bandit([Offers()], order="prompts-first"), context()
    assert await picked(bandit, 4, where) == "tttt"
    for _ in range(FAILED):
        assert await picked(bandit, 1, where) == "t"
        fail(bandit, where, "read", level="structure")
        fail(bandit, where, "read")
    assert await picked(bandit, 2, where) == "ss"
    assert await picked(Bandit([Offers(1)], order="prompts-first"), 4, context()) == "ttss"


async def test_only_texts_of_the_steps_that_are_blamed_can_fail_for_them() -> None:
    bandit, where = Bandit([Offers()], Voice(["write"]), order="prompts-first"), context()
    for _ in range(FAILED):
        fail(bandit, where, "read")
    assert await picked(bandit, 1, where) == "t"
    for place in ("write", "", "write"):
        fail(bandit, where, place)
    assert await picked(bandit, 1, where) == "s"


async def test_an_adopted_text_is_no_failure() -> None:
    bandit, where = Bandit([Offers()], order="prompts-first"), context()
    for _ in range(FAILED):
        fail(bandit, where, "read", "adopt")
    assert await picked(bandit, 1, where) == "t"


async def test_what_no_prompt_could_do_does_not_wait() -> None:
    bandit = Bandit([Offers()], Voice(beyond=["s1", "s3"]), order="prompts-first")
    picks = await bandit.picks(4, context())
    assert {each.focus.option.key for each in picks[:2]} == {"s1", "s3"}
    assert all(each.focus.option.level == "parameters" for each in picks[2:])


@given(
    st.sampled_from(ORDERS), st.integers(0, 9), st.integers(1, 3), st.sets(st.sampled_from(["read", "write", "gone"])),
    st.sets(st.sampled_from(["s0", "s1", "gone"])), st.integers(0, 5),
)  # fmt: skip
async def test_an_order_leaves_nothing_out(
    order: Order, seed: int, most: int, steps: set[str], beyond: set[str], failures: int
) -> None:
    """Whatever comes first, in the end all that there is was tried, as often as it is worth."""
    where = Lookup(lambda program, row: 0.0, 10, 1000, seed=seed)
    bandit = Bandit([Offers(most)], Voice(sorted(steps), sorted(beyond)), order=order)
    for _ in range(failures):
        fail(bandit, where, "read")
    assert sorted(await picked(bandit, 100, where)) == sorted("ssss" + "t" * 2 * most)


def test_an_order_is_for_searches_that_have_none_of_their_own() -> None:
    for name in ("flowbot+blame", "random", "none+blame"):
        made = ordered(find_method(name), "prompts-first")
        assert isinstance(made, PoolMethod)
        planner: Any = made.planner([], None)
        assert (planner.order, planner.even) == ("prompts-first", name == "random")
    critic: Any = ordered(find_method("flowbot"), "prompts-first")
    assert critic.critic().asks_mends
    assert ordered(find_method("flowbot"), "alternate").critic is BallotCritic
    assert ordered(method := find_method("paper"), "free") is method
    own = replace(find_method("flowbot"), planner=lambda proposers, critic: Focus)
    for method in (find_method("paper"), find_method("aflow"), find_method("none+none"), own):
        with pytest.raises(UserError, match=r"order: found 'alternate'; expected 'free': .* has an order of its own"):
            ordered(method, "alternate")


async def test_it_is_part_of_a_runs_identity_and_of_its_command(orders: Task, tmp_path: Path) -> None:
    few = replace(orders, splits={split: rows[:12] for split, rows in orders.splits.items()})
    names: set[str] = set()
    for order in ORDERS:
        async with planned(
            few, lm="fake/counter", effort=60, order=order, run_dir=tmp_path / order, cache_dir=tmp_path / "cache"
        ) as plan:
            result = await plan.run()
        names.add(result.run_id)
        view = read_run(result.run_dir)
        assert view.started.order == order
        assert (f"--order {order}" in again(view)) == (order != "free")
        assert view.started.method_text == "flowbot+blame" + ("" if order == "free" else f", order {order}")
    assert len(names) == len(ORDERS)


async def test_what_is_none_is_refused(orders: Task) -> None:
    wrong: Any = "first"
    with pytest.raises(UserError, match="order: found 'first'; expected one of free, prompts-first, alternate"):
        async with planned(orders, lm="fake/counter", order=wrong):
            pass
