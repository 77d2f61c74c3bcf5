"""Pictures of a run's report and of the live page, as they stand in docs/images: desk and phone width, light and dark.

    python docs/screenshots.py RUN OUT [--view RUNS] [--chromium PATH]

With `--view` also of the live page over RUNS as they are in this moment: the run that changed last, and all of them. Needs Playwright (a development dependency) and a Chromium that is installed already; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from flowbot.report.report import write_report
from flowbot.run.listing import runs

SHOTS = {
    "report.png": (1280, 1500, "light", ""),
    "report-dark.png": (1280, 1500, "dark", "#story"),
    "report-phone.png": (390, 1300, "light", ""),
    "report-phone-dark.png": (390, 1300, "dark", "#scores"),
}
"""File name: width and height in CSS pixels, colour scheme, and the section that the picture begins with."""
VIEW_SHOTS = {
    "view.png": (1280, 1300, "light", True),
    "view-phone.png": (390, 1000, "light", False),
    "view-dark.png": (1280, 1000, "dark", False),
    "view-phone-dark.png": (390, 1300, "dark", True),
}
"""The same of the live page; whether the picture is of one run."""


@contextmanager
def viewed(folder: Path) -> Generator[str]:
    """The address of the live page over the runs in a folder."""
    command = [sys.executable, "-m", "flowbot", "view", str(folder), "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def take_views(folder: Path, out: Path, browser: Browser) -> None:
    """Pictures of the live page."""
    newest = runs(folder)[0].run_dir.relative_to(folder).as_posix()
    with viewed(folder) as address:
        for name, (width, height, scheme, one) in VIEW_SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(f"{address}/run/{newest}" if one else address)
            page.locator("#state.live").wait_for()
            page.screenshot(path=out / name)
            page.close()


def main() -> None:
    """Write the report of RUN anew and take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium", help="the browser's program")
    parser.add_argument("--whole", action="store_true", help="the whole page instead of its beginning")
    parser.add_argument("--view", type=Path, help="a folder of runs: pictures of the live page, too")
    given = parser.parse_args()
    page_file = write_report(given.run)
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        for name, (width, height, scheme, section) in SHOTS.items():
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            page.goto(page_file.resolve().as_uri() + section)
            page.screenshot(path=given.out / name, full_page=given.whole)
            page.close()
        if given.view is not None:
            take_views(given.view, given.out, browser)
        browser.close()


if __name__ == "__main__":
    main()
