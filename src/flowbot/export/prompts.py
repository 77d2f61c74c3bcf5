"""The prompts alone: a Markdown file a step, the messages as they go over the wire, the drawing, and what belongs where."""

from __future__ import annotations

from collections.abc import Mapping

from .exported import Exported, Grade


class Prompts:
    """A folder of prompts to read and to copy from."""

    name = "prompts"
    about = "the prompt of each step as Markdown, and its messages as JSON"
    grade: Grade = "exact"

    def refuses(self, exported: Exported) -> list[str]:
        """Nothing: what is no prompt is told in the README."""
        return []

    def files(self, exported: Exported) -> Mapping[str, str]:
        """The files."""
        return {"README.md": f"# {exported.name}\n"}
