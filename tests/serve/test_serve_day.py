"""What a day may cost: over restarts, over processes, and until the next day."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from serve_help import ONE, Bench, served

from flowbot.fields import BudgetExceeded, InfrastructureError, Usage, UserError
from flowbot.serve.spending import FILE, Held, Spending

NOON = 1_800_000_000.0
ASKED = {"question": "a"}


def spending(folder: Path, *, name: str = "shop", now: float = NOON) -> Spending:
    return Spending(folder / FILE, name, 1.0, now=lambda: now)


async def served_until_refused(bench: Bench) -> int:
    """How many requests are served before one is refused for its cost."""
    for number in range(10):
        status, body, _ = await bench.post("/run", ASKED)
        if status != 200:
            assert (status, body["error"]["code"]) == (402, "budget")
            assert body["error"]["message"].startswith("today: ")
            return number
    raise AssertionError("never refused")


async def test_a_day_has_a_ceiling_that_is_kept_over_restarts_and_is_whole_the_next_day(tmp_path: Path) -> None:
    async with served(ONE, lambda request, _: "yes", price=0.3, spending=spending(tmp_path)) as bench:
        assert (await bench.post("/run", ASKED))[0] == 200
    async with served(ONE, lambda request, _: "yes", price=0.3, spending=spending(tmp_path)) as bench:
        assert await served_until_refused(bench) == 2
        assert "flowbot_usd_today 0.9" in (await bench.get("/metrics"))[1]
    async with served(
        ONE, lambda request, _: "yes", price=0.3, spending=spending(tmp_path, now=NOON + 86_400)
    ) as bench:
        assert await served_until_refused(bench) == 3
    async with served(ONE, lambda request, _: "yes", price=0.3, spending=spending(tmp_path, name="b")) as bench:
        assert (await bench.post("/run", ASKED))[0] == 200


async def test_processes_of_one_name_share_it(tmp_path: Path) -> None:
    async with (
        served(ONE, lambda request, _: "yes", price=0.25, spending=spending(tmp_path)) as one,
        served(ONE, lambda request, _: "yes", price=0.25, spending=spending(tmp_path)) as other,
    ):
        assert [(await one.post("/run", ASKED))[0] for _ in range(3)] == [200] * 3
        assert (await other.post("/run", ASKED))[0] == 200
        assert [(await each.post("/run", ASKED))[0] for each in (one, other)] == [402, 402]
        assert [(await each.get("/readyz"))[0] for each in (one, other)] == [503, 503]
        async with one.http.get(f"{one.url}/readyz") as answer:
            assert answer.headers["Retry-After"] == str(int(86_400 - NOON % 86_400))


def test_calls_under_way_in_several_processes_do_not_pass_it(tmp_path: Path) -> None:
    one, other, dear = spending(tmp_path), spending(tmp_path), Usage(calls=1, usd=0.4)
    first, second = one.budget.try_reserve(dear), other.budget.try_reserve(dear)
    assert first is not None
    assert second is not None
    with pytest.raises(Held, match=r"0\.4000 set aside"):
        other.budget.try_reserve(dear)
    first.settle(Usage(calls=1, usd=0.1))
    one.look()
    assert other.budget.try_reserve(dear) is not None
    with pytest.raises(BudgetExceeded) as refused:
        one.budget.try_reserve(Usage(calls=1, usd=0.95))
    assert not isinstance(refused.value, Held)
    assert refused.value.budget is one.budget


def test_what_could_not_be_written_is_not_kept(tmp_path: Path) -> None:
    one, dear = spending(tmp_path), Usage(calls=1, usd=0.4)
    one._db.execute("PRAGMA query_only = ON")  # pyright: ignore[reportPrivateUsage] - as a full disk
    for _ in range(2):
        with pytest.raises(InfrastructureError):
            one.budget.try_reserve(dear)
    one._db.execute("PRAGMA query_only = OFF")  # pyright: ignore[reportPrivateUsage]
    assert one.budget.try_reserve(dear) is not None
    with pytest.raises(Held):
        spending(tmp_path).budget.try_reserve(Usage(calls=1, usd=0.8))


def test_what_a_killed_process_has_kept_is_free_again_after_a_while(tmp_path: Path) -> None:
    killed, dear = spending(tmp_path), Usage(calls=1, usd=0.8)
    assert killed.budget.try_reserve(dear) is not None
    with pytest.raises(Held):
        spending(tmp_path, now=NOON + 60).budget.try_reserve(dear)
    assert spending(tmp_path, now=NOON + 1000).budget.try_reserve(dear) is not None


async def test_who_is_refused_for_the_day_is_told_when_the_next_one_begins(tmp_path: Path) -> None:
    async with served(ONE, lambda request, _: "yes", price=0.6, spending=spending(tmp_path)) as bench:
        assert (await bench.post("/run", ASKED))[0] == 200
        status, _, headers = await bench.post("/run", ASKED)
        assert (status, headers["Retry-After"]) == (402, str(int(86_400 - NOON % 86_400)))


async def test_at_midnight_a_server_goes_on_with_a_new_day(tmp_path: Path) -> None:
    now = [NOON]
    day = Spending(tmp_path / FILE, "shop", 1.0, now=lambda: now[0])
    async with served(ONE, lambda request, _: "yes", price=0.5, spending=day) as bench:
        assert await served_until_refused(bench) == 2
        now[0] += 86_400
        assert await served_until_refused(bench) == 2
    assert spending(tmp_path, now=now[0]).over() == ""
    again = spending(tmp_path, now=now[0])
    again.look()
    assert (again.paid, again.over()) == (1.0, "today's 1 USD are spent")


async def test_a_call_whose_price_nobody_knows_takes_nothing_from_what_the_day_has_cost(tmp_path: Path) -> None:
    async with served(ONE, lambda request, _: "yes", price=0.3, spending=spending(tmp_path)) as bench:
        assert (await bench.post("/run", ASKED))[0] == 200
        bench.service.engine.session.ledger.pay("serve", Usage(calls=1, usd=None), model="fake/scripted")
        assert (await bench.post("/run", ASKED))[0] == 200
    again = spending(tmp_path)
    again.look()
    assert again.paid == 0.6


async def test_what_cannot_be_counted_is_not_paid(tmp_path: Path) -> None:
    day = spending(tmp_path)
    async with served(ONE, lambda request, _: "yes", price=0.1, spending=day) as bench:
        with sqlite3.connect(tmp_path / FILE) as db:
            db.execute("DROP TABLE spent")
        status, body, headers = await bench.post("/run", ASKED)
        assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "disk", "5")
        assert not bench.client.sent


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("no database, but a text that somebody has put here\n" * 100)
    with pytest.raises(UserError, match="found a file that cannot be used"):
        spending(tmp_path)
