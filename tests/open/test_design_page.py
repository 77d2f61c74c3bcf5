"""The design page says what the code says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import flowbot.optimizer.confirm
import flowbot.optimizer.judge
import flowbot.optimizer.recipes
import flowbot.optimizer.seams
from flowbot.optimizer import allocator, objective

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src" / "flowbot"


def size(folder: Path) -> int:
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in folder.rglob("*.py"))


def packages() -> set[str]:
    """The packages that hold more than their docstring."""
    return {each.name for each in SOURCE.iterdir() if (each / "__init__.py").is_file() and size(each) > 1}


def test_every_package_is_listed_with_about_its_size() -> None:
    rows = {name: 100 * int(lines) for name, lines in re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)}
    assert rows.keys() == packages()
    assert [name for name, lines in rows.items() if not 0.6 < size(SOURCE / name) / lines < 1.6] == []


def test_the_drawing_of_the_floors_is_the_contract() -> None:
    drawing = (ROOT / "docs" / "images" / "floors.svg").read_text(encoding="utf-8")
    boxes = re.findall(r'<text [^>]*y="(\d+)"[^>]*><tspan [^>]*>(\w+)</tspan>', drawing)
    drawn: dict[int, set[str]] = {}
    for height, name in boxes:
        drawn.setdefault(int(height), set()).add(name)
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    floors = [{each.strip().removeprefix("flowbot.") for each in layer.split("|")} for layer in contract[0]["layers"]]
    there = packages() | {"stats", "power"}
    assert [drawn[height] for height in sorted(drawn)] == [kept for floor in floors if (kept := floor & there)]


def test_every_seam_and_what_serves_it_is_there() -> None:
    table = PAGE.partition("## The seams")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    homes = [getattr(flowbot.optimizer, name) for name in ("seams", "judge", "confirm", "pool_method", "recipes")]
    from flowbot.optimizer.catalogue import catalogue

    homes.append(catalogue)
    named = [name for row in rows for cell in (row[0], row[-1]) for name in re.findall(r"`(\w+)`", cell)]
    assert len(rows) == 7
    assert [name for name in named if not any(hasattr(home, name) for home in homes)] == []


def test_files_that_the_page_names_are_there() -> None:
    named = re.findall(r"`((?:[\w]+/)+\w+(?:\.py)?)`", PAGE)
    assert len(named) > 5
    assert [each for each in named if not any((at / each).exists() for at in (ROOT, SOURCE))] == []


def test_the_figures_of_a_decision_are_those_of_the_judge() -> None:
    judge, confirm = flowbot.optimizer.judge, flowbot.optimizer.confirm
    own = judge.PosteriorJudge[Any]()
    assert (round(own.adopt, 1), own.final, own.drop, own.fewest) == (0.9, 0.8, 0.3, 12)
    assert (objective.CALL_WORTH, objective.TOLERATED, judge.CHEAPER) == (0.01, 0.03, 0.8)
    assert (allocator.BLOCK, confirm.BLOCK) == (6, 10)
    said = "nine in ten on twelve pairs|eight in ten where no rows|At three in ten|gain a point|three points|two in ten|six at a time|ten rows"
    text = " ".join(PAGE.split())
    assert [each for each in said.split("|") if each not in text] == []
