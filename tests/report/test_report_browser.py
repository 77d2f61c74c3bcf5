"""The report in a real browser: widths, themes, keyboard, screen readers, contrast, print, no network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from browser_probes import FAINT, HEADINGS, HIDDEN_IN_PRINT, NAMELESS, OPEN_ALL, PAINTED, TOO_WIDE
from playwright.sync_api import Browser, Page, sync_playwright
from report_sample import (
    everywhere,
    recorded,
    rewrite,
    write_journal,
    write_nested,
    write_paused,
    write_recorded,
    write_sample,
    write_unchanged,
)

from flowbot.report.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="Chromium is not installed (with CI set this would fail)"
)
WIDTHS = (360, 390, 768, 1280)
THEMES = ("light", "dark")
HOSTILE = (
    "</script></style><script>alert(1)</script>\"' <img src=x onerror=alert(2)> \u202eright to left\u202c مرحبا "
    + "w" * 400
)


def write_hostile(run_dir: Path) -> Path:
    """Every text that a run holds, out to break the page."""
    run = write_recorded(run_dir, recorded(8, reply=HOSTILE, note=HOSTILE))
    write_journal(run, everywhere(HOSTILE))
    rewrite(run, task=HOSTILE, method=HOSTILE, models={"task": HOSTILE, "meta": HOSTILE}, dropped=[HOSTILE])
    return run


RUNS: dict[str, Callable[[Path], Path]] = {
    "old": write_sample,
    "recorded": write_recorded,
    "nested": write_nested,
    "unchanged": write_unchanged,
    "paused": write_paused,
    "hostile": write_hostile,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "Chromium is not installed: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: write_report(write(folder / name)).as_uri() for name, write in RUNS.items()}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.mark.parametrize("run", RUNS)
def test_nothing_sticks_out_at_any_width(run: str, pages: dict[str, str], page: Page) -> None:
    for folded in (True, False):
        page.goto(pages[run])
        if not folded:
            page.evaluate(OPEN_ALL)
        for width in WIDTHS:
            for theme in THEMES:
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=theme)
                page.evaluate(PAINTED)
                found = page.evaluate(TOO_WIDE)
                assert found["over"] == [], (width, theme, folded)
                assert found["page"] <= found["window"] == width, (width, theme, folded)


@pytest.mark.parametrize("run", RUNS)
def test_no_request_no_console_line_no_dialog(run: str, pages: dict[str, str], page: Page) -> None:
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda line: heard.append(line.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.goto(pages[run])
    page.evaluate(OPEN_ALL)
    page.wait_for_load_state("networkidle")
    assert heard == [pages[run]]
    assert page.locator("img, link, iframe, script[src]").count() == 0


@pytest.mark.parametrize("clipboard", [True, False])
def test_a_prompt_is_copied_as_it_stands(clipboard: bool, pages: dict[str, str], browser: Browser) -> None:
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        if not clipboard:  # as where the page is not trusted with it
            page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.goto(pages["recorded"])
        prompt = page.locator(".prompt").first
        prompt.locator("button.copy").click()
        page.wait_for_function("document.querySelector('button.copy').textContent === 'Copied'")
        paper = context.new_page()
        paper.goto(pages["recorded"])
        got = paper.evaluate("navigator.clipboard.readText()")
        assert got == prompt.locator("pre").text_content()
        assert got.startswith("[system]\n")


def test_without_scripts_the_prompts_are_read_and_no_button_stands_there(
    pages: dict[str, str], browser: Browser
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(pages["recorded"])
        assert page.locator(".prompt pre").first.is_visible()
        assert not page.locator("button.copy").first.is_visible()


@pytest.mark.parametrize("run", RUNS)
def test_headings_follow_each_other_and_pictures_have_names(run: str, pages: dict[str, str], page: Page) -> None:
    page.goto(pages[run])
    levels: list[int] = page.evaluate(HEADINGS)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("main").count() == 1


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("theme", THEMES)
def test_every_text_stands_out(run: str, theme: str, pages: dict[str, str], page: Page) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(pages[run])
    page.evaluate(OPEN_ALL)
    found = page.evaluate(FAINT)
    assert found["count"] > 50
    assert found["faint"] == []


def test_contrast_is_really_measured(pages: dict[str, str], page: Page) -> None:
    page.goto(pages["old"])
    page.add_style_tag(content=":root { --soft: #b9bec4 !important; }")
    assert len(page.evaluate(FAINT)["faint"]) > 3


def test_every_folded_part_opens_by_keyboard(pages: dict[str, str], page: Page) -> None:
    page.goto(pages["recorded"])
    top = page.locator("details:not(details details) > summary")
    reached: set[int] = set()
    for _ in range(250):
        page.keyboard.press("Tab")
        at = page.evaluate(
            "[...document.querySelectorAll('details:not(details details) > summary')].indexOf(document.activeElement)"
        )
        if at >= 0 and at not in reached:
            reached.add(at)
            before = page.evaluate("document.activeElement.parentElement.open")
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open") is not before
            page.keyboard.press("Enter")
        if len(reached) == top.count():
            break
    assert len(reached) == top.count() > 10


def test_links_lead_to_what_they_name(pages: dict[str, str], page: Page) -> None:
    page.goto(pages["recorded"])
    ends = page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert ends
    assert all(end.startswith("#") and page.locator(end).count() == 1 for end in ends)


@pytest.mark.parametrize("run", ["recorded", "unchanged", "hostile"])
def test_paper_has_every_section_unfolded_on_white(run: str, pages: dict[str, str], page: Page) -> None:
    page.goto(pages[run])
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate(PAINTED)
    assert page.evaluate(HIDDEN_IN_PRINT) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert all(page.locator("h2").nth(number).is_visible() for number in range(page.locator("h2").count()))
    assert page.evaluate(FAINT)["faint"] == []
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    assert paper.count(b"/Type /Page\n") >= 3
