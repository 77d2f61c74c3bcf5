"""The floor: aiohttp alone, a gather and a semaphore. No store, no retries.

Variants: "calls" limits calls, first come first served; "examples" limits examples, as most peers do.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager, nullcontext

import aiohttp
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
    by_call = chosen.variant != "examples"
    calls: AbstractAsyncContextManager[object] = asyncio.Semaphore(chosen.concurrency) if by_call else nullcontext()
    headers = {"Authorization": "Bearer mock", "Content-Type": "application/json"}
    url = f"{chosen.base_url}/v1/chat/completions"

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def ask(step: str, number: int, given: str = "") -> str:
            messages = [
                {"role": "system", "content": INSTRUCTIONS[step]},
                {"role": "user", "content": prompt(step, number, given)},
            ]
            body = {"model": "mock", "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0.0}
            async with calls, session.post(url, data=json.dumps(body).encode()) as response:
                return json.loads(await response.read())["choices"][0]["message"]["content"]

        async def run(asked: range, tally: Tally) -> None:
            async def example(number: int) -> None:
                plan = await ask("plan", number)
                draft = await ask("draft", number, plan)
                tally.score(number, await ask("answer", number, draft))

            await limited(example, asked, chosen.n if by_call else chosen.concurrency, tally)

        await run(warm_up_numbers(), Tally())
        with measured(chosen) as tally:
            await run(numbers(chosen), tally)


if __name__ == "__main__":
    asyncio.run(main(setting()))
