"""DSPy's chain of thought, as it is: no search."""

from __future__ import annotations

from dspy_peer import run

if __name__ == "__main__":
    run(lambda setting: setting.program(), "dspy.ChainOfThought")
