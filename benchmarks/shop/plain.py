"""A pipeline in plain Python on the openai package: plan a search, search, answer. `plain.flow.yaml` says the same as a typed workflow."""

import os

from openai import AsyncOpenAI
from pages import search

import flowbot as fb

PLAN = fb.Param("plan", "Write a search query for the customer's message.", turns=[])
REPLY = fb.Param("reply", "Answer the customer's message from the help pages.", turns=[])

client = AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"))


@fb.step(kind="tool", pure=True)
def look_up(query: str) -> list[str]:
    """The help pages that fit a query best."""
    return search(query)


async def ask(told: fb.Param, user: str) -> str:
    messages = [{"role": "system", "content": str(told)}, *told.turns(), {"role": "user", "content": user}]
    reply = await client.chat.completions.create(model="gpt-4.1-mini", messages=messages, temperature=0, max_tokens=80)
    return reply.choices[0].message.content or ""


async def answer(message: str) -> str:
    query = await ask(PLAN, message)
    found = "\n\n".join(look_up(query))
    return await ask(REPLY, f"Help pages:\n{found}\n\nMessage: {message}")
