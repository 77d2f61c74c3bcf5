"""How much of the prompts the local server reads from its cache, by the order in which the steps of a workflow ask.

    python benchmarks/local_prefix.py [MODEL]

Default: local/qwen2.5-coder-0.5b. Three prompts with a constant part of their own are asked about 16 rows each, as many at once as
there are slots: row by row through all three, and prompt by prompt. Prints the share of tokens read from the cache, and the share
that could be: all constant parts but each one's first.
"""

from __future__ import annotations

import asyncio
import json
import sys

from flowbot.fields import fields_schema
from flowbot.lm.client import Request
from flowbot.runtime.adapter import messages
from flowbot.runtime.open_model import open_client
from local_sampling import Job, jobs

ROWS = 16
NAMES = ("orders", "list", "steps")


async def shares(model: str, order: list[tuple[str, int]], tasks: dict[str, Job]) -> dict[str, float]:
    """The shares for one order of asking, on a server that begins empty."""
    client = open_client(model)
    gate = asyncio.Semaphore(client.default_concurrency)

    async def ask(name: str, row: int) -> tuple[str, int, int]:
        job = tasks[name]
        prompt = messages(job.node, job.parameters, job.questions[row][0], job.fields)
        async with gate:
            reply = await client.complete(Request(prompt, 1, schema=fields_schema(job.fields)))
        return name, reply.usage.input_tokens, reply.usage.cached_tokens

    try:
        replies = await asyncio.gather(*(ask(name, row) for name, row in order))
    finally:
        await client.close()
    constant = {name: max(cached for each, _, cached in replies if each == name) for name in NAMES}
    read = sum(tokens for _, tokens, _ in replies)
    possible = sum(constant[name] for name, _, _ in replies) - sum(constant.values())
    return {"cached": round(sum(cached for *_, cached in replies) / read, 3), "possible": round(possible / read, 3)}


def main() -> None:
    """Measure and print."""
    model = sys.argv[1] if len(sys.argv) > 1 else "local/qwen2.5-coder-0.5b"
    tasks = jobs(ROWS)
    orders = {
        "row by row": [(name, row) for row in range(ROWS) for name in NAMES],
        "prompt by prompt": [(name, row) for name in NAMES for row in range(ROWS)],
    }
    found = {said: asyncio.run(shares(model, order, tasks)) for said, order in orders.items()}
    print(json.dumps({"model": model, **found}, indent=1))


if __name__ == "__main__":
    main()
