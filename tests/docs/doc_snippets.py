"""The snippets of README and documentation: what stands between fences, and indented blocks, which are commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from flowbot.fields.yaml import parse_data

ROOT = Path(__file__).parents[2]
GENERATED = ("cli.md", "python.md")
COMMANDS = ("bash", "console", "")
"""Languages of blocks that hold commands; an indented block has none. In `console` they stand behind a dollar sign."""
OTHERS = ("text",)
"""Languages of blocks that nobody can run: output, formulas."""


@dataclass(frozen=True)
class Snippet:
    """A block of code on a page, with the line where it begins."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README and all pages that are written by hand."""
    return [ROOT / "README.md", *sorted(each for each in (ROOT / "docs").glob("*.md") if each.name not in GENERATED)]


def snippets(*languages: str) -> list[Snippet]:
    """The snippets in these languages, page by page; all of them where none is named."""
    return [each for page in pages() for each in _of(page) if not languages or each.language in languages]


def _of(page: Path) -> Iterator[Snippet]:
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            line = token.map[0] + 1 if token.map else 0
            yield Snippet(str(page.relative_to(ROOT)), line, token.info.strip(), token.content)


@dataclass(frozen=True)
class Command:
    """One command of a snippet, as the words that a shell would make of it."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place} {' '.join(self.words[:3])}"


def commands() -> list[Command]:
    """All commands, those that `&&` joins one by one."""
    found: list[Command] = []
    for snippet in snippets(*COMMANDS):
        for number, line in enumerate(snippet.text.replace("\\\n", " ").splitlines()):
            if snippet.language == "console" and not line.startswith("$ "):
                continue
            words: list[str] = []
            for word in [*shlex.split(line.removeprefix("$ "), comments=True), "&&"]:
                if word != "&&":
                    words.append(word)
                elif words:
                    found.append(Command(f"{snippet.page}:{snippet.line + number}", tuple(words)))
                    words = []
    return found


def readme_task() -> dict[str, Any]:
    """The task file of the README's five-minute path."""
    first = next(each for each in snippets("yaml") if each.page == "README.md")
    return parse_data(first.text, str(first))
