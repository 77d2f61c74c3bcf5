"""The live page as an app: what it shows of runs, who may ask, what is masked, what it may write."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from report_sample import (
    journal,
    proposal,
    recorded,
    start,
    write_journal,
    write_paused,
    write_recorded,
    write_sample,
)
from web_help import on_port
from yarl import URL

from flowbot.report.report import render
from flowbot.run.events import Event, Noted
from flowbot.run.heartbeat import PAUSE
from flowbot.run.journal import events_in
from flowbot.run.listed_examples import ListedExample, list_examples
from flowbot.run.lock import run_lock
from flowbot.run.view import RunView
from flowbot.view.app import view_app
from flowbot.workflow.parameters import LLMParameters

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_recorded(tmp_path / "first")
    write_paused(tmp_path / "cells" / "second")
    return tmp_path


@pytest.fixture
async def page(runs: Path) -> AsyncIterator[Page]:
    async with (
        on_port(view_app(runs)) as (url, _),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        yield Page(url, http)


class Page:
    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self.http = url, http

    async def get(self, path: str, status: int = 200) -> str:
        async with self.http.get(URL(self.url + path, encoded=True)) as answer:
            assert answer.status == status, await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            return await answer.text()


@contextmanager
def at_work(run: Path) -> Iterator[None]:
    with run_lock(run):
        yield


async def test_all_runs_also_those_in_folders_of_their_own_in_any_order(page: Page) -> None:
    for query, order in (("sort=score", ["first", "cells/second"]), ("sort=score&back", ["cells/second", "first"])):
        text = await page.get(f"/?{query}")
        assert re.findall(r'href="/run/([^"]+)"', text) == order
    assert ">paused<" in text
    assert ">done<" in text


async def test_a_run_tells_what_was_tried_with_the_words_of_its_edits(page: Page) -> None:
    text = await page.get("/run/first")
    assert "The found workflow scores" in text
    changes = re.findall(r'href="(/change/first\?id=p\d)"', text)
    assert len(dict.fromkeys(changes)) == len([each for each in journal() if each.event == "proposal"])
    assert "What came of it" in await page.get(changes[0])
    assert "flowbot optimize" in await page.get("/run/cells/second")


async def test_a_report_is_made_anew_once_the_run_has_gone_on(
    page: Page, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(view: RunView) -> str:
        made.append(1)
        return render(view)

    monkeypatch.setattr("flowbot.view.desk.render", counted)
    assert await page.get("/report/first") == await page.get("/report/first")
    assert len(made) == 1
    with (runs / "first" / "journal.jsonl").open("a") as file:
        file.write(json.dumps(Noted(about="plateau", text="news", spent=9).model_dump()) + "\n")
    assert "news" in await page.get("/report/first")
    assert len(made) == 2


async def test_a_comparison_that_runs_is_told_pair_by_pair(page: Page, runs: Path) -> None:
    run = runs / "first"
    changed = proposal(
        9, start(), start().with_parameter("answer", LLMParameters(instruction="x")), "parameters", "meta", "t"
    )
    write_journal(run, [*journal()[:-1], changed])
    (run / "result.json").unlink()
    ceilings: dict[str, float] = {}
    beat = {
        "pid": 1, "host": socket.gethostname(), "began": 1.0, "beat": 2.0, "ended": False, "phase": "search", "text": "x", "done": 0,
        "total": 0, "calls": 1, "planned": 9, "share": 0.1, "best": None, "usd": 0.0, "ceilings": ceilings,
        "races": {"p9": [[1.0, 0.0], [0.5, 0.75]]},
    }  # fmt: skip
    (run / "live.json").write_text(json.dumps(beat))
    with at_work(run):
        text = await page.get("/run/first")
    assert "<summary>2 pairs: 1 better, 1 worse</summary>" in text
    assert re.findall(r"<li>(.+? against .+?)</li>", text) == ["50 % against 75 %", "100 % against 0 %"]


async def test_a_list_of_examples_that_takes_long_holds_up_no_other_page(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, going_on = threading.Event(), threading.Event()

    def slow(run_dir: Path) -> Iterator[ListedExample]:
        begun.set()
        assert going_on.wait(30)
        return list_examples(run_dir)

    monkeypatch.setattr("flowbot.view.desk.list_examples", slow)
    listed = asyncio.create_task(page.get("/examples/first"))
    assert await asyncio.to_thread(begun.wait, 30)
    assert "The found workflow scores" in await page.get("/run/first")
    going_on.set()
    assert "/example/first" in await listed


async def test_an_example_is_shown_with_its_traces(page: Page) -> None:
    listed = await page.get("/examples/first?only=fixed")
    found = re.findall(r'href="(/example/first\?id=[^"]+)"', listed)
    assert len(found) == 30  # of each six three are fixed
    one = await page.get(found[0])
    assert one.count('class="step"') == 2
    assert "user message" in one
    later = await page.get("/examples/first?at=30")
    assert found[0] not in later


async def test_runs_stand_side_by_side(page: Page, runs: Path) -> None:
    write_recorded(runs / "third", recorded(60))
    text = await page.get("/compare?run=first&run=third")
    assert "B − A" in text
    assert "two or more" in await page.get("/compare?run=first", 404)


@pytest.mark.parametrize(
    "name", ["nothing", "../first", "%2e%2e/first", "first/..", ".hidden", "first/", "", "link", "a%00b", "x" * 300]
)
async def test_what_is_no_run_of_the_folder_is_not_shown(page: Page, runs: Path, name: str) -> None:
    write_sample(runs / ".hidden")
    (runs / "link").symlink_to(runs / "first")
    assert "no such" in await page.get(f"/example/{name}?id=test-001", 404)


async def test_one_run_s_own_folder_is_shown_wherever_one_stands(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = runs / "a run #1 ?"
    (runs / "first").rename(strange)
    monkeypatch.chdir(strange)
    for folder in (Path(), strange):
        async with on_port(view_app(folder)) as (url, _), aiohttp.ClientSession() as http:
            page = Page(url, http)
            found = re.findall(r'href="(/run/[^"]+)"', await page.get("/"))
            text = await page.get(found[0])
            assert "The found workflow scores" in text
            assert f'data-follow="/events/{found[0].removeprefix("/run/")}?seen=' in text
            assert "no such" in await page.get("/run/cells/second", 404)


async def test_a_damaged_run_is_told_and_the_others_are_shown(page: Page, runs: Path) -> None:
    (runs / "first" / "journal.jsonl").write_text("{}\n")
    text = await page.get("/")
    assert ">damaged<" in text
    assert ">paused<" in text
    assert "journal.jsonl" in await page.get("/run/first", 404)
    (runs / "cells" / "second" / "live.json").write_text("{}")
    assert "live.json" in await page.get("/run/cells/second")  # what else is known of it is shown


async def test_what_is_no_unicode_is_shown_without_it(page: Page, runs: Path) -> None:
    with (runs / "first" / "journal.jsonl").open("a") as file:  # as a model may reply
        file.write(json.dumps(Noted(about="plateau", text="half a \ud83d pair", spent=9).model_dump()) + "\n")
    assert "half a ? pair" in await page.get("/run/first")
    assert await page.get("/report/first")
    with suppress(OSError):  # not every file system has such names
        (runs / "cells").rename(os.fsdecode(os.fsencode(runs) + b"/\xff"))
    assert 'href="/run/first"' in await page.get("/")


async def test_what_is_read_of_a_long_journal_is_what_is_new(
    page: Page, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counted(path: Path, data: bytes, first: int) -> list[Event]:
        read.append(data.count(b"\n"))
        return events_in(path, data, first)

    monkeypatch.setattr("flowbot.run.tail.events_in", counted)
    for _ in range(2):
        _ = await page.get("/run/first")
    with (runs / "first" / "journal.jsonl").open("a") as file:
        file.write(json.dumps(Noted(about="plateau", text="news", spent=9).model_dump()) + "\n")
    assert "news" in await page.get("/run/first")
    assert [each for each in read if each] == [len(journal()), 1]


async def test_secrets_are_masked_and_texts_of_runs_are_no_markup(page: Page, runs: Path) -> None:
    evil = f"<script>alert(1)</script> {SECRET}"
    told = start().with_parameter("answer", LLMParameters(instruction=evil))  # programs stand in a journal as they are
    changed = proposal(9, start(), told, "parameters", "meta", evil, reason=evil)
    write_journal(runs / "first", [*journal(evil), changed, Noted(about="plateau", text=evil, spent=9)])
    write_recorded(runs / "other", recorded(6, reply=evil, note=evil))
    places = (
        "/",
        "/run/first",
        "/change/first?id=p9",
        "/examples/other",
        "/example/other?id=test-003",
        "/report/first",
    )
    for place in places:
        text = await page.get(place)
        assert SECRET not in text
        assert "<script>alert" not in text


async def test_other_sites_may_not_ask(page: Page) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        async with page.http.get(page.url + "/", headers=headers) as answer:
            assert answer.status == 403


async def test_pause_takes_the_page_s_own_token_and_a_run_at_work(page: Page, runs: Path) -> None:
    run = runs / "cells" / "second"
    with at_work(run):
        found = TOKEN.search(await page.get("/run/cells/second"))
        assert found is not None

        async def post(token: str, **headers: str) -> int:
            url = f"{page.url}/pause/cells/second"
            async with page.http.post(url, data={"token": token}, headers=headers, allow_redirects=False) as answer:
                return answer.status

        assert await post(found[1]) == 403  # no browser posts without an Origin
        assert await post("another", Origin=page.url) == 403
        assert await post(found[1], Origin="https://evil.example") == 403
        assert not (run / PAUSE).exists()
        assert await post(found[1], Origin=page.url) == 303
        assert (run / PAUSE).exists()
        (run / PAUSE).unlink()
    assert await post(found[1], Origin=page.url) == 409
    assert not (run / PAUSE).exists()
    assert TOKEN.search(await page.get("/run/cells/second")) is None


@pytest.mark.parametrize("foreign", ["", "short", '"a\\012b"', "x" * 33, '"<b>"'])
async def test_a_cookie_of_another_s_making_is_no_token(page: Page, runs: Path, foreign: str) -> None:
    with at_work(runs / "cells" / "second"):
        url, cookie = f"{page.url}/run/cells/second", {"Cookie": f"flowbot-view={foreign}"}
        async with aiohttp.ClientSession() as http, http.get(url, headers=cookie) as answer:
            found = TOKEN.search(await answer.text())
            assert found is not None
            assert re.fullmatch(r"[\w-]{32}", found[1])
            assert answer.cookies["flowbot-view"].value == found[1] != foreign


async def test_an_open_page_is_told_of_what_changes_and_of_nothing_that_it_has_seen(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowbot.view.app.LOOK", 0)
    looks = iter([False, False, False, True] * 4)  # the server ends after three looks
    async with on_port(view_app(runs, closing=lambda: next(looks))) as (url, _), aiohttp.ClientSession() as http:

        async def told(path: str, **headers: str) -> list[str]:
            async with http.get(url + path, headers=headers) as answer:
                return re.findall(r"^id: (.+)$", await answer.text(), re.MULTILINE)

        monkeypatch.setattr("flowbot.view.desk._LOOK", 10**12)  # a minute is news, too
        path = re.findall(r'data-follow="([^"]+)"', await Page(url, http).get("/run/first"))[0]
        assert await told(path) == []
        with (runs / "first" / "journal.jsonl").open("a") as file:
            file.write(json.dumps(Noted(about="plateau", text="news", spent=9).model_dump()) + "\n")
        (now,) = await told(path)
        assert "news" in await Page(url, http).get("/run/first")
        assert await told(path, **{"Last-Event-ID": now}) == []  # as a browser asks that lost the connection
        (runs / "first" / "live.json").write_text("{}")
        assert len(await told(path, **{"Last-Event-ID": now})) == 1
