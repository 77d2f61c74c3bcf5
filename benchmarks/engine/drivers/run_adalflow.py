"""AdalFlow: three generators in a component, run by `AdalComponent.validation_step` with as many threads as the limit.

It speaks OpenAI's Responses API only. tiktoken, which fetches a vocabulary over the network when AdalFlow is imported,
is replaced by a stub that counts words; nothing of the workload uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from workload import INSTRUCTIONS, MAX_TOKENS, Setting, Tally, measured, numbers, prompt, setting, warm_up_numbers


def stub_tiktoken() -> None:
    """Put a tiktoken in place that needs no network."""
    stub = ModuleType("tiktoken")
    stub.get_encoding = lambda name: SimpleNamespace(name=name, encode=str.split)  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules["tiktoken"] = stub


stub_tiktoken()

import adalflow  # noqa: E402
from adalflow.components.model_client.openai_client import OpenAIClient  # noqa: E402
from adalflow.core.types import GeneratorOutput  # noqa: E402


@dataclass(frozen=True)
class Sample:
    """An example as AdalFlow wants it."""

    id: str
    number: int


class Chain(adalflow.Component):
    """plan(question) -> draft(question, plan) -> answer(question, draft)."""

    def __init__(self, chosen: Setting) -> None:
        super().__init__()
        client = OpenAIClient(base_url=f"{chosen.base_url}/v1", api_key="mock")
        how = {"model": "mock", "max_output_tokens": MAX_TOKENS, "temperature": 0.0}

        def step(name: str) -> Any:
            return adalflow.Generator(
                model_client=client,
                model_kwargs=how,
                prompt_kwargs={"task_desc_str": INSTRUCTIONS[name]},
                cache_path=f"{chosen.folder}/adalflow",
                use_cache=chosen.cache,
            )

        self.plan, self.draft, self.answer = step("plan"), step("draft"), step("answer")

    def call(self, sample: Sample) -> GeneratorOutput:
        """One example."""
        output = GeneratorOutput(data="")
        for name, generator in (("plan", self.plan), ("draft", self.draft), ("answer", self.answer)):
            shown = prompt(name, sample.number, output.data)
            output = generator.call(prompt_kwargs={"input_str": shown}, id=sample.id)
            if output.error is not None:
                break
        return output


class Evaluation(adalflow.AdalComponent):
    """How AdalFlow is told to run and score a sample."""

    def __init__(self, task: Chain, tally: Tally) -> None:
        super().__init__(task=task, eval_fn=tally.score)

    def prepare_task(self, sample: Sample) -> tuple[Callable[..., Any], dict[str, Any]]:
        """What to call with what."""
        return self.task.call, {"sample": sample}

    def prepare_eval(self, sample: Sample, y_pred: GeneratorOutput) -> tuple[Callable[..., Any], dict[str, Any]]:
        """How to score what came of it."""
        return self.eval_fn, {"number": sample.number, "answer": y_pred.data}


def main(chosen: Setting) -> None:
    """Warm up, then measure."""
    chain = Chain(chosen)

    def run(asked: range, tally: Tally) -> None:
        samples = [Sample(str(number), number) for number in asked]
        Evaluation(chain, tally).validation_step(samples, 0, num_workers=chosen.concurrency)

    run(warm_up_numbers(), Tally())
    with measured(chosen) as tally:
        run(numbers(chosen), tally)


if __name__ == "__main__":
    main(setting())
