"""A long text in chunks, each summed up beside the others, then put together; a semaphore, as everybody has one."""

import asyncio

from openai import AsyncOpenAI

import flowbot as fb

SUMMARY = fb.Param("summary", "Sum up this section in one sentence.")
MERGE = fb.Param("merge", "Merge the section summaries into one paragraph.")


async def complete(client, prompt, **options):
    out = await client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], **options
    )
    return out.choices[0].message.content


@fb.step
async def summarize(client, section):
    return await complete(client, f"{SUMMARY}\n\n{section}", temperature=0)


@fb.step
async def merge(client, summaries):
    joined = "\n".join("- " + s for s in summaries)
    return await complete(client, f"{MERGE}\n{joined}")


@fb.step
async def title(client, text):
    return (await complete(client, "Give a title of five words:\n" + text[:160])).strip('" \n')


async def digest(document):
    client = AsyncOpenAI(max_retries=0)
    gate = asyncio.Semaphore(2)

    async def one(section):
        async with gate:
            return await summarize(client, section)

    sections = [s for s in document.split("\n\n") if s.strip()]
    summaries = await asyncio.gather(*(one(s) for s in sections))
    body = await merge(client, summaries)
    head = await title(client, body)
    return {"title": head, "summary": body}
