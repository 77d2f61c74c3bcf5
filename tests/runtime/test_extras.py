"""What an extra brings is all that its tools need, and what is missing is told by the extra that brings it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]  # fmt: skip
PACKAGES = {"search": "bm25s", "mcp": "mcp", "sandbox": "pydantic_monty"}

OPENING = """
import asyncio, sys
from pathlib import Path
{without}
from flowbot.runtime.toolbox import opened_tools
from flowbot.task import CalculatorSource, MCPSource, SearchSource
Path("notes.jsonl").write_text('{{"text": "a red pear"}}\\n')
source = {source}
async def main():
    async with opened_tools([source], cache_dir="cache") as tools:
        print(list(tools))
asyncio.run(main())
"""
SEARCH = "SearchSource(corpus='notes.jsonl')"
SERVER = f"MCPSource(only={{'add': 'add'}}, command=(sys.executable, {str(Path(__file__).with_name('mcp_test_server.py'))!r}))"


def opened(source: str, folder: Path, *, without: str) -> subprocess.CompletedProcess[str]:
    """Open a source where the packages of another extra are not installed."""
    names = [name for name in ("bm25s", "mcp", "xllamacpp", "pydantic_monty") if name in without.split()]
    code = OPENING.format(source=source, without="\n".join(f"sys.modules[{name!r}] = None" for name in names))
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("source", "without", "tools"),
    [(SEARCH, "mcp pydantic_monty xllamacpp", "['search']"), (SERVER, "bm25s pydantic_monty xllamacpp", "['add']")],
    ids=["search", "mcp"],
)
def test_an_extra_is_all_that_its_tools_need(tmp_path: Path, source: str, without: str, tools: str) -> None:
    done = opened(source, tmp_path, without=without)
    assert done.stdout.strip() == tools, done.stderr


@pytest.mark.parametrize(("source", "extra"), [(SEARCH, "search"), (SERVER, "mcp")])
def test_what_is_missing_is_told_with_its_extra(tmp_path: Path, source: str, extra: str) -> None:
    done = opened(source, tmp_path, without=PACKAGES[extra])
    assert f"install it: pip install 'flowbot[{extra}]'" in done.stderr


def test_extras_hold_what_they_are_named_for_and_tools_holds_them_all() -> None:
    for extra, package in PACKAGES.items():
        assert any(each.startswith(package.replace("_", "-")) for each in EXTRAS[extra])
        assert extra in EXTRAS["tools"][0]
    assert not any("mcp" in each for each in EXTRAS["search"])
    assert not any("numpy" in each or "bm25s" in each for each in EXTRAS["mcp"])


def test_extras_that_are_named_are_ones_that_there_are() -> None:
    pages = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    named = {
        extra
        for page in pages
        for group in re.findall(r"(?:flowbot|'\.)\[([a-z,]+)\]", page.read_text(encoding="utf-8"))
        for extra in group.split(",")
    }
    assert named >= {"search", "mcp", "sandbox", "local", "otel"}
    assert named <= set(EXTRAS)
