"""litellm, async: three voices side by side, a judge names the best by number."""

import asyncio
import re

import litellm

import flowbot as fb

VOICE = fb.Param("voice", "Answer in one sentence, as the person that you are.")
JUDGE = fb.Param("judge", "Which answer is best? Give its number.")
PEOPLE = ["a sailor", "a surgeon", "a gardener"]


async def call(system, text):
    reply = await litellm.acompletion(
        model="openai/gpt-4.1", messages=[{"role": "system", "content": system}, {"role": "user", "content": text}]
    )
    return reply.choices[0].message.content


@fb.step
async def voice(person, question):
    return await call(f"You are {person}. {VOICE}", question)


async def best(question):
    answers = await asyncio.gather(*[voice(person, question) for person in PEOPLE])
    listed = "\n".join(f"{number}. {answer}" for number, answer in enumerate(answers, 1))
    picked = re.search(r"\d", await call(str(JUDGE), f"{question}\n{listed}"))
    return answers[int(picked.group()) - 1]
