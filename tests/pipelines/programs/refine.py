"""Write, criticise, write again until the critic is content: async, no steps marked, one helper."""

from openai import AsyncOpenAI

import flowbot as fb

WRITE = fb.Param("write", "Write a product description of two sentences.")
CRITIC = fb.Param("critic", "You are a strict editor. If the text is good say APPROVED, else give one concrete fault.")


async def chat(client: AsyncOpenAI, *messages: dict) -> str:
    reply = await client.chat.completions.create(model="gpt-4.1", messages=list(messages), max_tokens=200)
    return reply.choices[0].message.content


async def describe(product: str) -> str:
    async with AsyncOpenAI(max_retries=0) as client:
        draft = await chat(
            client, {"role": "system", "content": f"{WRITE}"}, {"role": "user", "content": f"Product: {product}"}
        )
        for _ in range(3):
            verdict = await chat(
                client, {"role": "system", "content": str(CRITIC)}, {"role": "user", "content": f"Text:\n{draft}"}
            )
            if "APPROVED" in verdict:
                break
            draft = await chat(
                client,
                {"role": "system", "content": f"{WRITE}"},
                {
                    "role": "user",
                    "content": f"Product: {product}\nYour last text: {draft}\nFault: {verdict}\nWrite it again.",
                },
            )
    return draft
