"""The program that checks instructions, in a process of its own: some checkers never end on a text that repeats itself."""

from __future__ import annotations

from typing import Any

from flowbot.benchmark.sets.scorers.helper_process import serve
from flowbot.benchmark.sets.scorers.instructions import checkers, followed


def checked(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to a question: what `followed` gives for it, or the NLTK data that went away."""
    try:
        return {"found": followed(question["kind"], question["asked"], question["prompt"], question["response"])}
    except LookupError as error:
        return {"lacking": str(error)[:1000]}


if __name__ == "__main__":
    _ = checkers("ifeval"), checkers("ifbench")  # before it says that it is ready: this takes seconds
    serve(checked)
