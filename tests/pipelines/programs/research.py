"""One state that every step gets and hands on, searches side by side, a check that sends the writer back once."""

import asyncio
import json

from openai import AsyncOpenAI

import flowbot as fb

PLAN = fb.Param("plan", "Name two things to look up, as a JSON list of strings.")
WRITE = fb.Param("write", "Write the answer from the notes, in one sentence.")
CHECK = fb.Param("check", "Score the answer from 0 to 10. Reply with the number alone.")
PAGES = {
    "tide tables": "High water at the mole comes about fifty minutes later every day.",
    "moon orbit": "The moon needs roughly twenty seven days for one turn around the earth.",
}


async def call(prompt, text):
    async with AsyncOpenAI(max_retries=0) as client:
        reply = await client.chat.completions.create(
            model="gpt-4.1-mini", messages=[{"role": "user", "content": f"{prompt}\n\n{text}"}]
        )
        return reply.choices[0].message.content


@fb.step
async def plan(state):
    topics = json.loads(await call(PLAN, state["question"]))
    return {**state, "topics": topics}


@fb.step(kind="tool")
async def look_up(topic):
    await asyncio.sleep(0)
    return PAGES.get(topic.lower(), "nothing")


@fb.step
async def gather_notes(state):
    pages = await asyncio.gather(*[look_up(topic) for topic in state["topics"]])
    return {**state, "notes": pages}


@fb.step
async def write(state):
    notes = "\n".join(state["notes"])
    again = f"\nYour last answer was too weak: {state['answer']}" if state.get("answer") else ""
    return {**state, "answer": await call(WRITE, f"Question: {state['question']}\nNotes:\n{notes}{again}")}


@fb.step
async def check(state):
    return int(await call(CHECK, f"{state['question']}\n{state['answer']}"))


async def investigate(question):
    state = {"question": question}
    for node in (plan, gather_notes):
        state = await node(state)
    score = 0
    for _ in range(2):
        state = await write(state)
        score = await check(state)
        if score >= 7:
            break
    return f"{state['answer']} (confidence {score}/10)"
