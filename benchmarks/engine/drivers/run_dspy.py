"""DSPy: a module of three predictors.

Variants: "evaluate" is `dspy.Evaluate` with as many threads as the limit; "async" is `acall`, a gather and a semaphore.
With `cache` both of its tiers are on, as by default, the one on disk in the driver's folder.
"""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
from workload import (
    INSTRUCTIONS,
    MAX_TOKENS,
    Setting,
    Tally,
    limited,
    measured,
    numbers,
    question,
    setting,
    warm_up_numbers,
)

MOST_ERRORS = 1_000_000


class Chain(dspy.Module):
    """plan(question) -> draft(question, plan) -> answer(question, draft)."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = dspy.Predict(dspy.Signature("question -> plan", INSTRUCTIONS["plan"]))
        self.draft = dspy.Predict(dspy.Signature("question, plan -> draft", INSTRUCTIONS["draft"]))
        self.answer = dspy.Predict(dspy.Signature("question, draft -> answer", INSTRUCTIONS["answer"]))

    def forward(self, question: str) -> Any:
        """One example."""
        plan = self.plan(question=question).plan
        draft = self.draft(question=question, plan=plan).draft
        return self.answer(question=question, draft=draft)

    async def aforward(self, question: str) -> Any:
        """One example, without a thread."""
        plan = (await self.plan.acall(question=question)).plan
        draft = (await self.draft.acall(question=question, plan=plan)).draft
        return await self.answer.acall(question=question, draft=draft)


def examples_of(asked: range) -> list[Any]:
    """As DSPy wants them."""
    return [dspy.Example(number=number, question=question(number)).with_inputs("question") for number in asked]


def evaluate(chosen: Setting, examples: list[Any], tally: Tally) -> None:
    """By `dspy.Evaluate`."""

    def metric(example: Any, prediction: Any) -> float:
        return tally.score(example.number, prediction.answer)

    dspy.Evaluate(devset=examples, metric=metric, num_threads=chosen.concurrency, max_errors=MOST_ERRORS)(Chain())


def gather(chosen: Setting, examples: list[Any], tally: Tally) -> None:
    """By `acall`."""
    chain = Chain()

    async def example(place: int) -> None:
        each = examples[place]
        tally.score(each.number, (await chain.acall(question=each.question)).answer)

    asyncio.run(limited(example, range(len(examples)), chosen.concurrency, tally))


def main(chosen: Setting) -> None:
    """Warm up, then measure."""
    if chosen.cache:
        dspy.configure_cache(disk_cache_dir=f"{chosen.folder}/dspy")
    dspy.configure(
        lm=dspy.LM(
            "openai/mock",
            api_base=f"{chosen.base_url}/v1",
            api_key="mock",
            cache=chosen.cache,
            max_tokens=MAX_TOKENS,
            temperature=0.0,
        )
    )
    run = gather if chosen.variant == "async" else evaluate
    run(chosen, examples_of(warm_up_numbers()), Tally())
    examples = examples_of(numbers(chosen))
    with measured(chosen) as tally:
        run(chosen, examples, tally)


if __name__ == "__main__":
    main(setting())
