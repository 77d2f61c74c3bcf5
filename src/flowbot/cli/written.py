"""What `--write-source` and `export --to source` say of a program's own file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbot.export.source.write import Written

    from .console import Console


def say_written(console: Console, written: Written) -> None:
    """Which literals were written, and a line for each that was not."""
    console.result(str(written), "good" if written.files else "")
    for each in written.left:
        console.paragraph(f"{each.where}: {each.what}; {each.mend}", "warn", indent=2)
