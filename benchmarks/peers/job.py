"""What every peer here does alike: read its job, ask the metric and the models, stop at the ceiling, write what it found.

Standard library alone. A peer in another language does the same by itself: see docs/peers.md.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

Answers = dict[str, dict[str, Any] | None]
"""Outputs by the row's id; None where the program gives none."""


class OverBudget(Exception):
    """The ceiling of search calls is reached: go to the test with the best so far."""


class NotScored(Exception):
    """A judge gives no verdict on these outputs."""


class Job:
    """A job file.

    Args:
        path: of `job.json`.
    """

    def __init__(self, path: str) -> None:
        self.folder = Path(path).parent
        facts: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        self.task: dict[str, Any] = facts["task"]
        self.models: dict[str, str] = facts["models"]
        self.search_url: str = facts["search_url"]
        self.test_url: str = facts["test_url"]
        self.score_url: str = facts["score_url"]
        self.budget_url: str = facts["budget_url"]
        self.effort: int = facts["effort"]
        self.seed: int = facts["seed"]
        self.out = Path(facts["out"])
        self.train, self.val, self.test = (self._rows(facts[split]) for split in ("train", "val", "test"))

    def _rows(self, name: str) -> list[dict[str, Any]]:
        lines = (self.folder / name).read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines if line]

    def score(self, split: str, name: str, outputs: dict[str, Any]) -> tuple[float, str]:
        """The task's metric on outputs for a training or validation row: the score in [0, 1] and why, in words.

        Raises:
            OverBudget: if a judge would have to be asked and the ceiling is reached.
            NotScored: if a judge gives no verdict.
        """
        found = _post(self.score_url, {"split": split, "id": name, "outputs": outputs})
        return found["score"], found["feedback"]

    def calls_left(self) -> int:
        """Search calls that may still be made."""
        with urllib.request.urlopen(self.budget_url) as answer:
            calls = json.load(answer)["calls"]
        return max(0, (self.effort if calls["ceiling"] is None else calls["ceiling"]) - calls["used"])

    def write(self, predictions: Answers, program: dict[str, Any], *, val: Answers | None = None) -> None:
        """Write the result.

        Args:
            predictions: outputs by the test row's id; None where there are none, which scores 0.
            program: what was found; `summary` in it is shown in the comparison.
            val: the same for the validation rows, where they are known.
        """
        (self.out / "program.json").write_text(json.dumps(program, indent=1, default=str), encoding="utf-8")
        for name, answers in {"val": val or {}, "predictions": predictions}.items():
            rows = [{"id": row, "outputs": each} for row, each in answers.items()]
            if rows or name == "predictions":
                text = "".join(json.dumps(row) + "\n" for row in rows)
                (self.out / f"{name}.jsonl").write_text(text, encoding="utf-8")


def ask(url: str, model: str, messages: list[dict[str, str]], **options: Any) -> str:
    """A model's reply.

    Raises:
        OverBudget: if the ceiling is reached.
    """
    found = _post(f"{url}/chat/completions", {"model": model, "messages": messages, **options})
    return found["choices"][0]["message"]["content"] or ""


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The address itself tells who asks, so no key is sent."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        if "budget_exceeded" in said:
            raise OverBudget(said) from None
        if "not_scored" in said:
            raise NotScored(said) from None
        raise RuntimeError(f"{url} gives status {error.code}: {said}") from None
