"""Raw lines of a measurement that goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowbot.fields import stable_hash
from flowbot.optimizer.priors import shipped_priors

Line = dict[str, Any]


def beliefs() -> str:
    """Hash of what a search believes of kinds of changes: with other beliefs it is another search."""
    return stable_hash(shipped_priors().model_dump(exclude={"source"}))[:12]


def read_lines(path: Path) -> list[Line]:
    """The lines that there are; one that breaks off, as where it was killed, is left out."""
    if not path.exists():
        return []
    found: list[Line] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


@dataclass
class Kept:
    """A file of lines, each made once.

    Args:
        path: of the file; a last line that breaks off is taken out.
    """

    path: Path
    lines: list[Line] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = read_lines(self.path)
        self.path.write_text("".join(_text(each) for each in self.lines), encoding="utf-8")

    async def line(self, key: Mapping[str, Any], make: Callable[[], Awaitable[Line]]) -> Line:
        """The line that has all of `key`, or one that is made, and written at once."""
        for each in self.lines:
            if key.items() <= each.items():
                return each
        self.lines.append(line := {**key, **await make()})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_text(line))
        return line


def _text(line: Line) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"
