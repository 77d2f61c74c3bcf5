"""Answers a customer from the help pages of a shop for outdoor goods: plan a search, search, answer."""

import json
import math
import os
import re
from collections import Counter
from pathlib import Path

from openai import AsyncOpenAI

import flowbot as fb

MODEL = os.environ.get("SUPPORT_MODEL", "gpt-4.1-mini")
PLAN = fb.Param("plan", "Write a search query for the customer's message.", turns=[])
REPLY = fb.Param("reply", "Answer the customer's message from the help pages.", turns=[])
TOP_K = fb.Value("top_k", 2, choices=[1, 2, 4])

client = AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"))
lines = Path(__file__).with_name("articles.jsonl").read_text(encoding="utf-8").splitlines()
PAGES = [f"{page['title']}: {page['text']}" for page in map(json.loads, lines)]


def words(text: str) -> list[str]:
    return [word.rstrip("s") for word in re.findall(r"\w+", text.lower())]


COUNTS = [Counter(words(page)) for page in PAGES]
RARITY = {word: math.log(len(PAGES) / sum(word in each for each in COUNTS)) for each in COUNTS for word in each}


@fb.step(kind="tool", pure=True)
def search(query: str, k: int) -> list[str]:
    """The help pages that share the rarest words with the query."""
    asked = set(words(query))
    scores = [sum(RARITY[word] for word in asked & each.keys()) for each in COUNTS]
    best = sorted(range(len(PAGES)), key=lambda number: (-scores[number], number))
    return [PAGES[number] for number in best[:k]]


async def ask(told: fb.Param, user: str) -> str:
    messages = [{"role": "system", "content": str(told)}, *told.turns(), {"role": "user", "content": user}]
    reply = await client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=80)
    return (reply.choices[0].message.content or "").strip()


@fb.step
async def plan(message: str) -> str:
    return await ask(PLAN, message)


@fb.step
async def reply(message: str, pages: list[str]) -> str:
    found = "\n\n".join(pages)
    return await ask(REPLY, f"Help pages:\n{found}\n\nMessage: {message}")


async def answer(message: str) -> str:
    query = await plan(message)
    return await reply(message, search(query, TOP_K()))
