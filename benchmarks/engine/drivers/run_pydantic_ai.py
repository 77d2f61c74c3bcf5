"""Pydantic AI: three agents in a row, a gather and a semaphore over examples (it has no facility of its own)."""

from __future__ import annotations

import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from workload import (
    INSTRUCTIONS,
    MAX_TOKENS,
    Setting,
    Tally,
    limited,
    measured,
    numbers,
    prompt,
    setting,
    warm_up_numbers,
)


async def main(chosen: Setting) -> None:
    """Warm up, then measure."""
    model = OpenAIChatModel("mock", provider=OpenAIProvider(base_url=f"{chosen.base_url}/v1", api_key="mock"))
    how = ModelSettings(max_tokens=MAX_TOKENS, temperature=0.0)
    agents = {step: Agent(model, instructions=said, model_settings=how) for step, said in INSTRUCTIONS.items()}

    async def run(asked: range, tally: Tally) -> None:
        async def example(number: int) -> None:
            given = ""
            for step, agent in agents.items():
                given = (await agent.run(prompt(step, number, given))).output
            tally.score(number, given)

        await limited(example, asked, chosen.concurrency, tally)

    await run(warm_up_numbers(), Tally())
    with measured(chosen) as tally:
        await run(numbers(chosen), tally)


if __name__ == "__main__":
    asyncio.run(main(setting()))
