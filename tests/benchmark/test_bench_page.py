"""The page of a comparison: links, what is missing, names of anybody, and nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from bench_cells import cell, searched

from flowbot.benchmark import plot
from flowbot.benchmark.page import bench_page, link
from flowbot.benchmark.published import read_published
from flowbot.benchmark.table import compare_cells

FLAT = [1.0, 0.0] * 10
BETTER = [1.0] * 14 + [0.0] * 6
BEST = [1.0] * 20
BAD = "</title><script>alert(1)</script>\u202e\ud800{{ 7*7 }}"


class Tags(HTMLParser):
    """What tags and addresses a page has, and whether all are closed."""

    VOID = frozenset({"meta", "br", "link", "input", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.wrong: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        self.wrong += [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_every_cell_links_to_its_run_and_the_page_needs_nothing_else() -> None:
    cells = [
        cell("cot", FLAT),
        searched("ours", BEST, 200),
        searched("ours", BETTER, 200, seed=1),
        cell("gepa", effort=200),
    ]
    tags = Tags(bench_page(compare_cells(cells, baseline="cot"), title="Orders"))
    assert (tags.wrong, tags.open) == ([], [])
    linked = sorted(each for each in tags.links if not each.startswith("#"))
    assert linked == sorted(2 * [each.page for each in cells])  # in its row, and among all cells
    assert not {"script", "link", "img", "iframe"} & set(tags.seen)


def test_names_of_anybody_are_texts() -> None:
    cells = [cell(BAD, FLAT, task=BAD, models=BAD, found=BAD), cell("b", task=BAD, models=BAD, error=BAD)]
    columns = read_published({"<b>x": {"model": "<i>", "source": "<u>", "scores": {"<s>": 50}}})
    page = bench_page(compare_cells(cells, baseline=BAD, published=columns), title=BAD)
    page.encode()
    tags = Tags(page)
    assert (tags.wrong, tags.open) == ([], [])
    assert not {"script", "b", "i", "u", "s"} & set(tags.seen)
    assert "{{ 7*7 }}" in page
    assert "\u202e" not in page


@pytest.mark.parametrize("page", ["javascript:alert(1)", "https://example.org", "data:text/html,x"])
def test_an_address_with_a_scheme_is_a_file_of_that_name(page: str) -> None:
    assert ":" not in link(page)


@pytest.mark.parametrize("page", ["", "/etc/passwd", "//example.org/x", "../other/report.html", "a/../../b"])
def test_an_address_outside_the_folder_is_no_link(page: str) -> None:
    assert link(page) == ""


def test_the_page_says_what_is_clear_and_what_is_missing() -> None:
    cells = [cell("cot", FLAT), searched("ours", BEST, 200), cell("gepa", effort=200, error="no module named dspy")]
    page = bench_page(compare_cells(cells, baseline="cot"))
    text = re.sub(r"<[^>]+>", "", page.partition("</head>")[2])
    assert "1 of 1 comparison with cot is clear: ours on orders +50 points." in text
    assert "orders/gepa/small/200/0: failed: no module named dspy" in text
    assert "2 of 3" in text


def test_a_page_without_matplotlib_says_how_to_get_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(plot, "import_module", missing)
    page = bench_page(compare_cells([cell("cot", FLAT)], baseline=None))
    assert "pip install &#39;flowbot[bench]&#39;" in page
