"""Pictures of a run's report, as they stand in docs/images: desk and phone width, light and dark.

    python docs/screenshots.py RUN OUT [--chromium PATH]

Needs Playwright (a development dependency) and a Chromium that is installed already; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from flowbot.report.report import write_report

SHOTS = {
    "report.png": (1280, 1500, "light", ""),
    "report-dark.png": (1280, 1500, "dark", "#story"),
    "report-phone.png": (390, 1300, "light", ""),
    "report-phone-dark.png": (390, 1300, "dark", "#scores"),
}
"""File name: width and height in CSS pixels, colour scheme, and the section that the picture begins with."""


def main() -> None:
    """Write the report of RUN anew and take its pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium", help="the browser's program")
    parser.add_argument("--whole", action="store_true", help="the whole page instead of its beginning")
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
        browser.close()


if __name__ == "__main__":
    main()
