"""What the peers that tune the LangGraph agent of `benchmarks/shop` have in common: the agent, its score in words, when to end, the test.

A search ends where the calls that are left would not pay for its cheapest step that can be chosen: three rows twice, of which the second
time asks one text alone anew, one question, and one call for each validation row. Where the ceiling comes first, what was best on
whole validations stands (`Ceiling`, no `Exception`, since both packages score those as answers).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_BASE": os.environ.get("OPENAI_BASE_URL", "")}
sys.path.insert(0, str(Path(__file__).parents[1] / "shop"))

import openai
from agent import TEXTS, build
from job import Answers, Job
from langchain_openai import ChatOpenAI

THREADS = 8
MINIBATCH = 3
"""gepa's default."""
Texts = dict[str, str]


class Ceiling(BaseException):
    """The ceiling of search calls is reached."""


class Setting:
    """The job as these peers see it: rows are `{"input", "answer", "split", "id"}`.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.train, self.val = (
            [
                {
                    "input": row["inputs"]["message"],
                    "answer": row["expected"]["answer"],
                    "split": split,
                    "id": row["id"],
                }
                for row in rows
            ]
            for split, rows in (("train", job.train), ("val", job.val))
        )
        self.state: Any = None

    def run(self, texts: Callable[[str], str], message: str, url: str = "") -> dict[str, Any]:
        """The agent's state in the end.

        Raises:
            Ceiling: at the ceiling.
        """
        model = ChatOpenAI(
            model=self.job.models["task"], base_url=url or self.job.search_url, api_key="in-the-url",
            temperature=0, max_tokens=60, max_retries=0, timeout=900,
        )  # fmt: skip
        try:
            return build(texts, model).invoke({"message": message})
        except openai.PermissionDeniedError as error:
            if "budget_exceeded" in str(error):
                raise Ceiling from None
            raise

    def reflection(self) -> ChatOpenAI:
        """The model that writes, at temperature 1 as the other peers of gepa's have it."""
        return ChatOpenAI(
            model=self.job.models["meta"], base_url=self.job.search_url, api_key="in-the-url",
            temperature=1, max_retries=0, timeout=900,
        )  # fmt: skip

    def score(self, row: dict[str, Any], answer: str) -> tuple[float, str]:
        """The task's metric, and why in words, with the task's goal, which our own search is told as well."""
        value, why = self.job.score(row["split"], row["id"], {"answer": answer})
        return value, f"{why or f'This got a score of {value:g} of 1.'} The goal: {self.job.task['goal']}"

    def is_spent(self, state: Any) -> bool:
        """Whether the search is to end: a stopper of gepa's."""
        self.state = state
        return self.job.calls_left() < 3 * MINIBATCH + 1 + len(self.val)

    def settings(self) -> dict[str, Any]:
        """What is said to gepa beside its defaults. `max_metric_calls` is no second ceiling: what a stored reply answers counts there, too."""
        return {
            "stop_callbacks": [self.is_spent],
            "reflection_minibatch_size": MINIBATCH,
            "seed": self.job.seed,
            "max_metric_calls": 10 * self.job.effort,
        }

    def best(self) -> Texts:
        """Of whole validations so far, where the ceiling came first."""
        if self.state is None:
            return TEXTS
        scores = self.state.program_full_scores_val_set
        return self.state.program_candidates[max(range(len(scores)), key=scores.__getitem__)]


def run(search: Callable[[Setting], Texts], name: str) -> None:
    """A peer from its search: run that, answer the test with what it found, and write the result.

    Args:
        search: gives the texts.
        name: of the method and its version, for what is said.
    """
    setting = Setting(Job(sys.argv[1]))
    job, ended = setting.job, "by itself"
    try:
        found = search(setting)
    except Ceiling:
        found, ended = setting.best(), "at the ceiling"

    def answer(row: dict[str, Any]) -> dict[str, Any] | None:
        return {"answer": setting.run(found.__getitem__, row["inputs"]["message"], job.test_url)["answer"]}

    with ThreadPoolExecutor(THREADS) as pool:
        predictions: Answers = dict(zip((row["id"] for row in job.test), pool.map(answer, job.test), strict=True))
    state = setting.state
    looked = 0 if state is None else len(state.program_candidates)
    changed = sorted(key for key in TEXTS if found[key] != TEXTS[key])
    summary = f"{name}, ended {ended}: {looked} candidates validated, changed {', '.join(changed) or 'nothing'}"
    scores = [] if state is None else list(state.program_full_scores_val_set)
    job.write(predictions, {"summary": summary, "texts": found, "val_scores": scores})
    print(json.dumps({"summary": summary, "val_scores": scores}))
