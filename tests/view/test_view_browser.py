"""The live page in a real browser, over a run of another process: it follows, through a kill, to a pause."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from browser_probes import FAINT, HEADINGS, NAMELESS, OPEN_ALL, PAINTED, TOO_WIDE
from playwright.sync_api import Browser, Page, expect, sync_playwright
from report_sample import journal, write_journal, write_nested, write_paused, write_recorded

from flowbot.run.events import Event, dump, load

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="Chromium is not installed (with CI set this would fail)"
    ),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
LONG = 90_000
"""Milliseconds after which waiting for something that should come ends the test."""
TASK = Path(__file__).parents[2] / "examples" / "orders" / "task.yaml"
SLOW = "fake/counter?latency=0.3&clock=real"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "Chromium is not installed: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def address(runs: Path) -> Iterator[str]:
    """Of the page, served by a process of its own."""
    command = [sys.executable, "-m", "flowbot", "view", str(runs), "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            assert server.wait(60) == 0, "an open page does not keep the server"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of which nothing may go wrong, and which may ask nobody else."""
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    heard: list[str] = []
    opened.on("console", lambda line: heard.append(line.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith(address) else heard.append(request.url))
    opened.set_default_timeout(LONG)
    yield opened
    opened.close()
    assert heard == []


def optimize(runs: Path) -> subprocess.Popen[bytes]:
    options = ["--effort", "100", "--model", SLOW, "--concurrency", "2", "--cache-dir", str(runs.parent / "cache")]
    command = [
        sys.executable,
        "-m",
        "flowbot",
        "optimize",
        str(TASK),
        *options,
        "--run-dir",
        str(runs / "slow"),
        "--quiet",
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ten_thousand() -> list[Event]:
    """A journal of that many events: the sample's again and again, under other names."""
    first, *rest = journal()
    found, number = [first], 0
    while len(found) < 10_000:
        number += 1
        for event in rest:
            data = json.loads(re.sub(r'"(id|proposal)": "([pg]\d+)"', rf'"\1": "\2x{number}"', json.dumps(dump(event))))
            found.append(load({**data, **({"because": []} if "because" in data else {})}, "sample"))
    return found


def test_it_follows_a_run_of_another_process_through_a_kill_to_a_pause(runs: Path, address: str, page: Page) -> None:
    expect.set_options(timeout=LONG)
    page.goto(address)
    expect(page.locator("#state")).to_have_text("live")
    run = optimize(runs)
    try:
        page.get_by_role("link", name="slow").click()  # it came by itself
        calls = page.locator(".tiles div", has_text="Model calls").locator("strong")
        for number in range(2):
            before = calls.inner_text() if number else "0"
            expect(calls).not_to_have_text(before)
        expect(page.locator(".change").first).to_be_attached()
        page.locator("#settings summary").click()
        run.send_signal(signal.SIGKILL)
        expect(page.locator("#top .badge")).to_have_text("broken off")
        expect(page.locator("#settings")).to_have_attribute("open", "")  # what was unfolded stays so
        assert run.wait(60) == -signal.SIGKILL
        run = optimize(runs)
        expect(page.locator("#top .badge")).to_have_text("at work")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#top .badge")).to_have_text("paused")
        assert run.wait(60) == 3
        expect(page.locator(".reason")).to_contain_text("somebody stopped it")
    finally:
        run.kill()
        _ = run.wait(60)


def test_without_the_script_the_same_page_is_read_by_reloading(runs: Path, address: str, browser: Browser) -> None:
    write_recorded(runs / "first")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.get_by_role("link", name="first").click()
    expect(page.locator("#top .badge")).to_have_text("done")
    shown = page.locator(".change").count()
    assert shown > 2
    write_journal(runs / "first", [event for event in journal() if event.event != "proposal" or event.id == "p1"])
    page.reload()
    assert page.locator(".change").count() < shown
    page.get_by_role("link", name="Examples").click()
    page.get_by_role("link", name="test-000").click()
    expect(page.locator(".step")).not_to_have_count(0)
    context.close()


def test_a_run_that_was_moved_away_is_told_and_followed_once_it_is_back(
    runs: Path, address: str, browser: Browser
) -> None:
    expect.set_options(timeout=LONG)
    write_recorded(runs / "first")
    page = browser.new_page()
    page.goto(f"{address}/run/first")
    expect(page.locator("#state")).to_have_text("live")
    (runs / "first").rename(runs.parent / "aside")
    expect(page.locator("h1")).to_have_text("There is no such page")
    (runs.parent / "aside").rename(runs / "first")
    expect(page.locator("#top .badge")).to_have_text("done")
    expect(page.locator("#changes .change").first).to_be_attached()
    page.get_by_role("link", name="The report").click()
    expect(page.locator("button.copy").first).to_be_visible()  # its script runs
    page.close()


def test_every_page_is_read_at_any_width_in_both_themes_and_by_a_screen_reader(
    runs: Path, address: str, page: Page
) -> None:
    write_recorded(runs / "first")
    write_nested(runs / "second")
    write_paused(runs / "third")
    one = ("/run/first", "/run/third", "/change/first?id=p1", "/examples/first", "/example/second?id=test-001")
    for path in ("/", *one, "/compare?run=first&run=second"):
        page.goto(address + path)
        page.evaluate(OPEN_ALL)
        levels = page.evaluate(HEADINGS)
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert page.evaluate(NAMELESS) == [], path
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                page.evaluate(PAINTED)
                found = page.evaluate(TOO_WIDE)
                assert (found["over"], found["page"]) == ([], width), path
                assert page.evaluate(FAINT)["faint"] == [], (path, theme)


def test_ten_thousand_events_make_no_page_longer(runs: Path, address: str, page: Page) -> None:
    write_recorded(runs / "long")
    page.goto(f"{address}/run/long")
    write_journal(runs / "long", ten_thousand())
    expect(page.locator("#changes nav").last).to_contain_text("older")
    assert page.locator(".change").count() == 30
    assert len(page.content()) < 200_000
    page.get_by_role("link", name="older").click()
    expect(page.locator("#changes nav").last).to_contain_text("newer")
    page.wait_for_load_state()  # the style sheet, too
    page.wait_for_function("document.documentElement.scrollWidth == 390")
