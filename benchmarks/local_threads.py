"""How fast the local server writes, alone and beside a busy process, with threads that spin and threads that sleep.

    python benchmarks/local_threads.py [MODEL]

Default: local/qwen2.5-coder-0.5b. Prints tokens written a second, in all, for 16 questions side by side.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time

from flowbot.lm.client import Message, Request
from flowbot.runtime.open_model import open_client

QUESTIONS = 16
TOKENS = 40


async def speed(model: str, round_: str) -> float:
    """Tokens a second over the questions; `round_` makes them new to the server's prompt cache."""
    client = open_client(model)
    system = Message("system", "Count how many items the customer orders in all.")

    async def ask(number: int) -> int:
        user = Message("user", f"{round_}: I want {number} lamps, three chairs and two cups. Explain.")
        reply = await client.complete(Request((system, user), TOKENS))
        return reply.usage.output_tokens

    try:
        await ask(99)
        began = time.perf_counter()
        written = await asyncio.gather(*(ask(number) for number in range(QUESTIONS)))
        return sum(written) / (time.perf_counter() - began)
    finally:
        await client.close()


def main() -> None:
    """Measure and print."""
    model = sys.argv[1] if len(sys.argv) > 1 else "local/qwen2.5-coder-0.5b"
    results: dict[str, float] = {}
    for policy in ("passive", "active"):
        os.environ["OMP_WAIT_POLICY"] = policy
        results[f"{policy}, alone"] = round(asyncio.run(speed(model, f"{policy} alone")), 1)
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            results[f"{policy}, beside a busy process"] = round(asyncio.run(speed(model, f"{policy} busy")), 1)
        finally:
            busy.kill()
            busy.wait()
    print(json.dumps({"model": model, "tokens_a_second": results}, indent=1))


if __name__ == "__main__":
    main()
