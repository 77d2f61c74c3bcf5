"""Two tiers: files of several users before one database, which is lost and comes back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from lm_helpers import client_of, make_lm, request

import flowbot as fb
import flowbot.store.postgres as postgres_module
from flowbot.cli.app import run
from flowbot.fields import InfrastructureError, UserError
from flowbot.lm.client import Request
from flowbot.store import Store, open_store, store_file
from postgres_here import PASSWORD, Postgres, binaries

pytest.importorskip("psycopg")
pytestmark = pytest.mark.skipif(binaries() is None, reason="no initdb here")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as found:
        yield found


@pytest.fixture
def database(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """An empty database that the environment names."""
    server.ask_nothing("DROP TABLE IF EXISTS flowbot_responses, flowbot_claims")
    monkeypatch.setenv("FLOWBOT_STORE", server.url)
    monkeypatch.setattr(postgres_module, "PATIENCE", 0.3)
    return server


def users(folder: Path) -> tuple[Store, Store]:
    return open_store(folder / "ada"), open_store(folder / "bob")


async def closed(*stores: Store) -> None:
    for each in stores:
        await each.close()


async def test_the_first_value_stands_for_all_and_in_every_file(database: Postgres, tmp_path: Path) -> None:
    ada, bob = users(tmp_path)
    stood = await asyncio.gather(
        *(each.put(f"k{n}", {"by": who}) for n in range(60) for who, each in (("ada", ada), ("bob", bob)))
    )
    for n in range(60):
        assert stood[2 * n] == stood[2 * n + 1] == await ada.get(f"k{n}") == await bob.get(f"k{n}")
    await ada.put("probe", {"n": 1}, kind="probe", replace=True)
    await bob.put("probe", {"n": 2}, kind="probe", replace=True)
    await closed(ada, bob)
    files = [Path(str(each.path)) for each in (ada, bob)]
    kept = [dict(_rows(file)) for file in files]
    assert kept[0].items() >= {f"k{n}": json.dumps(stood[2 * n], separators=(",", ":")) for n in range(60)}.items()
    assert {key: text for key, text in kept[0].items() if key != "probe"} == {
        key: text for key, text in kept[1].items() if key != "probe"
    }
    assert database.ask("SELECT value FROM flowbot_responses WHERE key = 'probe'") == [('{"n":2}',)]


def _rows(file: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT key, value FROM responses").fetchall()


async def test_what_only_holds_a_place_gives_way_everywhere(database: Postgres, tmp_path: Path) -> None:
    ada, bob = users(tmp_path)
    tries = {"tries": {"calls": 1}}
    assert await ada.put("k", tries, kind="tries") == tries
    assert await bob.get("k") == tries
    assert await bob.put("k", {"n": 1}) == {"n": 1}
    assert await ada.get("k") == {"n": 1}
    assert await ada.put("k", tries, kind="tries") == {"n": 1}
    await closed(ada, bob)


async def test_a_call_that_two_users_want_at_once_is_sent_by_one(database: Postgres, tmp_path: Path) -> None:
    ada, bob = users(tmp_path)
    lms = [make_lm(lambda asked, number: f"reply {number}", store=store) for store in (ada, bob)]
    for each in lms:
        client_of(each).gate.clear()
    wanted = [request(f"question {n}") for n in range(12)]
    asking = [asyncio.create_task(each.ask(one, purpose="t")) for one in wanted for each in lms]
    await asyncio.sleep(0.3)  # both have looked by now
    for each in lms:
        client_of(each).gate.set()
    replies = [each.text for each in await asyncio.gather(*asking)]
    assert replies[::2] == replies[1::2]
    sent = [one for each in lms for one in client_of(each).sent]
    assert sorted(one.messages[0].content for one in sent) == sorted(one.messages[0].content for one in wanted)
    assert [each.session.ledger.spent.calls for each in lms] == [len(client_of(each).sent) for each in lms]
    assert database.ask("SELECT * FROM flowbot_claims") == []
    await closed(ada, bob)


async def test_a_call_that_failed_is_free_for_the_other(database: Postgres, tmp_path: Path) -> None:
    ada, bob = users(tmp_path)

    def fails(asked: Request, number: int) -> Exception:
        return InfrastructureError("no such thing", kind="other", fatal=True)

    one, other = make_lm(fails, store=ada), make_lm(lambda asked, number: "here", store=bob)
    with pytest.raises(InfrastructureError):
        await one.ask(request(), purpose="t")
    assert (await asyncio.wait_for(other.ask(request(), purpose="t"), 5)).text == "here"
    await closed(ada, bob)


async def test_the_claims_of_who_is_gone_end(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = open_store(tmp_path / "ada")
    assert await gone.claim("k") is None
    shared = gone._shared  # type: ignore[attr-defined]
    shared._connection.close()  # as by a kill: nothing was given up
    same, other = open_store(tmp_path / "ada"), open_store(tmp_path / "bob")
    waiting = asyncio.create_task(other.claim("k"))
    await asyncio.sleep(0.3)
    assert not waiting.done()  # it may come back with what it paid for
    assert await asyncio.wait_for(same.claim("k"), 5) is None  # what it had would be in this file
    await same.close()  # which gives it up
    assert await asyncio.wait_for(waiting, 5) is None
    third = open_store(tmp_path / "eve")
    other._shared._connection.close()  # type: ignore[attr-defined]
    monkeypatch.setattr(postgres_module, "UNCLAIMED", 0.2)
    assert await asyncio.wait_for(third.claim("k"), 5) is None
    await closed(third)


async def test_what_was_paid_for_while_the_database_was_away_is_kept_and_brought_there(
    database: Postgres, tmp_path: Path
) -> None:
    ada, bob = users(tmp_path)
    await ada.put("before", {"n": 0})
    database.kill()
    try:
        for key in ("mine", "both"):
            with pytest.raises(InfrastructureError, match="the database cannot be used") as caught:
                await ada.put(key, {"by": "ada"})
            assert PASSWORD not in str(caught.value)
            assert "team" not in str(caught.value)
        assert await ada.get("mine") == {"by": "ada"}
        assert await ada.get("before") == {"n": 0}
        with pytest.raises(InfrastructureError):
            await ada.get("other")
        await ada.close()
        with pytest.raises(InfrastructureError):
            open_store(tmp_path / "ada")
    finally:
        database.start()
    await bob.put("both", {"by": "bob"})
    ada = open_store(tmp_path / "ada")
    assert await ada.get("both") == {"by": "bob"}  # it was the first there
    assert await bob.get("mine") == {"by": "ada"}
    await closed(ada, bob)


async def test_a_database_that_comes_back_is_waited_for(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "PATIENCE", 30.0)
    ada = open_store(tmp_path / "ada")
    assert await ada.claim("k") is None
    database.kill()
    thread = threading.Thread(target=database.start)
    thread.start()
    assert await ada.put("k", {"n": 1}) == {"n": 1}
    thread.join()
    assert database.ask("SELECT key FROM flowbot_responses") == [("k",)]
    assert database.ask("SELECT * FROM flowbot_claims") == []
    await ada.close()


async def test_what_others_wrote_is_not_believed(database: Postgres, tmp_path: Path) -> None:
    ada = open_store(tmp_path / "ada")
    await ada.put("k", {"n": 1})
    for key, kind, text in (
        ("text", "lm", "no JSON"),
        ("list", "lm", "[1]"),
        ("kind", "spell", "{}"),
        ("deep", "lm", "[" * 5000),
    ):
        database.ask_nothing("INSERT INTO flowbot_responses VALUES (%s, %s, %s, 0, 0)", key, kind, text)
        with pytest.raises(InfrastructureError, match=f"the response {key} is damaged"):
            await ada.get(key)
    await ada.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://team:WRONG@127.0.0.1:PORT/postgres", "password authentication failed"),
        ("postgresql://team:PASSWORD@127.0.0.1:PORT/absent", "database"),
        ("postgresql://team:PASSWORD@127.0.0.1:1/postgres?application_name=x", "cannot be used"),
        ("mysql://team:PASSWORD@127.0.0.1/postgres", "no address of a database"),
        ("postgresql://team:PASSWORD@127.0.0.1:PORT/", "no address of a database"),
        ("postgresql://team:PASSWORD@[127.0.0.1/postgres?", "no address of a database"),
    ],
)
def test_no_error_tells_credentials(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv(
        "FLOWBOT_STORE",
        url.replace("PASSWORD", PASSWORD).replace("WRONG", "wrong-" + PASSWORD).replace("PORT", str(database.port)),
    )
    with pytest.raises((UserError, InfrastructureError), match=said) as caught:
        open_store(tmp_path)
    assert "team" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert not list(tmp_path.glob("*.sqlite-wal"))


def test_the_verbs_know_both_tiers(database: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def fill() -> None:
        ada, bob = users(tmp_path)
        await ada.put("a", {"failed": "model", "text": "x"})
        await bob.put("b", {"failed": "model", "text": "y"})
        await closed(ada, bob)

    asyncio.run(fill())

    def cache(*arguments: str) -> dict[str, object]:
        capsys.readouterr()
        assert run(["cache", *arguments, "--json", "--cache-dir", str(tmp_path / "ada")]) == 0
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        return json.loads(out)

    found = cache()
    place = f"postgresql://127.0.0.1:{database.port}/postgres"
    assert found["path"] == str(store_file(tmp_path / "ada"))
    assert found["entries"] == 1
    assert found["shared"] == {"place": place, "kinds": {"lm": {"entries": 2, "bytes": 58}}}
    assert cache("verify")["entries"] == 1
    assert cache("verify", "--shared") == {
        "path": place,
        "ok": True,
        "entries": 2,
        "structure": [],
        "damaged": [],
        "dropped": 0,
    }
    file = str(tmp_path / "all.jsonl.gz")
    assert cache("export", file, "--shared")["entries"] == 2
    assert cache("prune", "--shared", "--kind", "lm", "--dry-run")["entries"] == 2
    database.ask_nothing("UPDATE flowbot_responses SET used = used - 40 WHERE key = 'a'")
    assert cache("prune", "--shared", "--older-than", "30d")["entries"] == 1
    assert cache("import", file, "--shared")["new"] == 1
    database.ask_nothing("UPDATE flowbot_responses SET value = '{}' WHERE key = 'a'")
    assert cache("verify", "--shared", "--repair")["dropped"] == 1
    assert database.ask("SELECT key FROM flowbot_responses") == [("b",)]


def test_without_a_database_there_is_no_second_tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWBOT_STORE", raising=False)
    assert run(["cache", "verify", "--shared", "--cache-dir", str(tmp_path)]) == 2
    monkeypatch.setenv("FLOWBOT_STORE", "postgresql://team@127.0.0.1/postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"pip install -e '.\[postgres\]'"):
        open_store(tmp_path)


def test_one_store_and_two_tiers_lead_to_the_same_journal(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"note": f"{n} pens and {n + 3} cups", "total": 2 * n + 3} for n in range(24)]
    task = fb.Task(goal="Add up.", inputs={"note": str}, outputs={"total": int}, metric="numeric", rows=rows)

    def journal(name: str) -> bytes:
        run = fb.optimize(
            task, lm="fake/counter", effort=30, run_dir=tmp_path / name / "run", cache_dir=tmp_path / name
        )
        assert run.status == "done"
        return (run.run_dir / "journal.jsonl").read_bytes()

    ada, bob = journal("ada"), journal("bob")
    monkeypatch.delenv("FLOWBOT_STORE")
    assert journal("eve") == ada == bob
    assert len(database.ask("SELECT key FROM flowbot_responses WHERE kind = 'lm'")) > 10
