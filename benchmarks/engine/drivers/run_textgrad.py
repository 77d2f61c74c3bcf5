"""TextGrad: three `BlackboxLLM`s in a row, for its cache on disk, which is always on.

Variants: "threads" is a pool of as many threads as the limit, as its own examples do it; "serial" is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import textgrad
from textgrad.engine.openai import ChatOpenAI
from workload import INSTRUCTIONS, Setting, Tally, measured, numbers, prompt, setting, warm_up_numbers

Models = dict[str, textgrad.BlackboxLLM]


def example(models: Models, tally: Tally, number: int) -> None:
    """plan -> draft -> answer."""
    given = ""
    for step, model in models.items():
        shown = textgrad.Variable(prompt(step, number, given), requires_grad=False, role_description="question")
        given = model(shown).value
    tally.score(number, given)


def run(chosen: Setting, models: Models, asked: Iterable[int], tally: Tally) -> None:
    """All examples."""
    one = partial(example, models, tally)
    if chosen.variant == "serial":
        for number in asked:
            one(number)
        return
    with ThreadPoolExecutor(chosen.concurrency) as pool:
        for _ in pool.map(one, asked):
            pass


def main(chosen: Setting) -> None:
    """Warm up, then measure."""
    engine = ChatOpenAI(model_string="mock")
    models = {step: textgrad.BlackboxLLM(engine, system_prompt=said) for step, said in INSTRUCTIONS.items()}
    run(chosen, models, warm_up_numbers(), Tally())
    with measured(chosen) as tally:
        run(chosen, models, numbers(chosen), tally)


if __name__ == "__main__":
    main(setting())
