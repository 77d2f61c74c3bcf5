"""The site builds without the network and without a warning, and no page of it fetches anything from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_snippets import ROOT

OUTSIDE = re.compile(r'<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="?(?:https?:)?//[^">]*')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    around = {
        **os.environ,
        "NO_MKDOCS_2_WARNING": "1",
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_documentation_is_there(site: Path) -> None:
    pages = {each.stem for each in (ROOT / "docs").glob("*.md")}
    assert {each.stem for each in site.glob("*.html")} == {*pages, "404"}


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    found = [match[0] for page in site.glob("*.html") for match in OUTSIDE.finditer(page.read_text(encoding="utf-8"))]
    assert found == []


def test_links_of_the_readme_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [each.partition("#")[0] for each in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in each]
    assert [each for each in links if each and not (ROOT / each).exists()] == []
