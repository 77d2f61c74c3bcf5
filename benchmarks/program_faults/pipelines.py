"""Eleven pipelines as users write them, and who reads whom in each: the truth that inference is measured against."""

# ruff: noqa: D101, D103 - users seldom write docstrings

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

import flowbot as fb
from program_faults.model import replied

PLAN, ANSWER = fb.Param("plan", "PLAN: write a search query."), fb.Param("answer", "ANSWER: answer from the documents.")
EXTRACT, WRITE = (
    fb.Param("extract", "EXTRACT: list the names as JSON."),
    fb.Param("write", "WRITE: sum up what is known."),
)
DRAFT, CRITIC = fb.Param("draft", "DRAFT: write a first draft."), fb.Param("critic", "CRITIC: say what is wrong.")
REVISE = fb.Param("revise", "REVISE: write the draft again.")
SPLIT, EACH = fb.Param("split", "SPLIT: divide into parts, a line each."), fb.Param("each", "EACH: work on the part.")
COMBINE = fb.Param("combine", "COMBINE: put the parts together.")
ROUTE, BILLING = fb.Param("route", "ROUTE: name the queue."), fb.Param("billing", "BILLING: answer as billing does.")
TECH, POLISH = fb.Param("tech", "TECH: answer as support does."), fb.Param("polish", "POLISH: make it polite.")
THINK, FINAL = fb.Param("think", "THINK: what do you look up next?"), fb.Param("final", "FINAL: answer from all of it.")
SOLVE, JUDGE = fb.Param("solve", "SOLVE: solve it."), fb.Param("judge", "JUDGE: choose the best.")
ROLE, STYLE = fb.Param("role", "ROLE: you are a clerk."), fb.Param("style", "STYLE: be brief.")
CHECK = fb.Param("check", "CHECK: is it complete?")
SUMMARY, TONE = fb.Param("summary", "SUMMARY: sum it up."), fb.Param("tone", "TONE: say how it is felt.")
FACTS, LETTER = fb.Param("facts", "FACTS: list what must be so."), fb.Param("letter", "LETTER: write the letter.")
LAWYER, DOCTOR = fb.Param("lawyer", "LAWYER: as a lawyer sees it."), fb.Param("doctor", "DOCTOR: as a doctor does.")
CLERK, PANEL = fb.Param("clerk", "CLERK: as a clerk does."), fb.Param("panel", "PANEL: weigh the three.")
PROFILE, TURN = fb.Param("profile", "PROFILE: who asks?"), fb.Param("turn", "TURN: go on.")
CLOSE = fb.Param("close", "CLOSE: answer for this person.")


def _body(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {"model": "gpt-4.1-mini", "temperature": 0, "messages": [*messages]}


def _handle(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=replied(json.loads(request.content)))


URL = "https://api.openai.com/v1/chat/completions"
ASYNC, SYNC = (each(transport=httpx.MockTransport(_handle)) for each in (httpx.AsyncClient, httpx.Client))


async def ask(system: object, user: str) -> str:
    """One call."""
    sent = await ASYNC.post(
        URL, json=_body([{"role": "system", "content": str(system)}, {"role": "user", "content": user}])
    )
    return sent.json()["choices"][0]["message"]["content"]


def tell(messages: Sequence[Mapping[str, str]]) -> str:
    """One call by a client that blocks."""
    return SYNC.post(URL, json=_body(messages)).json()["choices"][0]["message"]["content"]


def words(text: str) -> list[str]:
    """Words of five letters and more."""
    return [each.strip(".,:") for each in text.split() if len(each) > 4]


@fb.step(kind="tool", pure=True)
def search(query: str) -> list[str]:
    """Documents for a query."""
    return [
        f"Document on {each}: {each[::-1]} was seen beside {each.upper()} in the year {len(each) + 1900}."
        for each in words(query)[:2]
    ]


@fb.step
async def plan(question: str) -> str:
    return await ask(PLAN, question)


@fb.step
async def answer(question: str, docs: list[str]) -> str:
    listed = "\n".join(f"- {each}" for each in docs)
    return await ask(ANSWER, f"Documents:\n{listed}\n\nQuestion: {question}")


async def rag(question: str) -> str:
    return await answer(question, search(await plan(question)))


@dataclass
class Entity:
    name: str
    note: str = ""


@fb.step
def parse(text: str) -> list[Entity]:
    return [Entity(each) for each in json.loads(text)]


@fb.step(kind="tool")
def look_up(entity: Entity) -> Entity:
    return Entity(entity.name, f"{entity.name[::-1]} of {len(entity.name)} letters")


@fb.step
async def write(entities: list[Entity]) -> str:
    return await ask(WRITE, "; ".join(f"{each.name}: {each.note}" for each in entities))


async def extraction(question: str) -> str:
    return await write([look_up(each) for each in parse(await ask(EXTRACT, question))])


async def refining(question: str) -> str:
    draft = await ask(DRAFT, question)
    for _ in range(2):
        remark = await ask(CRITIC, f"Draft: {draft}")
        draft = await ask(REVISE, f"Draft: {draft}\nRemark: {remark}")
    return draft


@fb.step
async def part(text: str) -> str:
    return await ask(EACH, text)


async def mapping(question: str) -> str:
    lines = (await ask(SPLIT, question)).splitlines()
    done = await asyncio.gather(*(part(each) for each in lines))
    return await ask(COMBINE, "\n".join(done))


async def routing(question: str) -> str:
    queue = await ask(ROUTE, question)
    said = await ask(BILLING if "billing" in queue else TECH, question)
    return await ask(POLISH, said)


def history(question: str) -> str:
    messages = [{"role": "user", "content": question}]
    for _ in range(2):
        thought = tell([{"role": "system", "content": str(THINK)}, *messages])
        messages += [
            {"role": "assistant", "content": thought},
            {"role": "user", "content": f"Found: {search(thought)}"},
        ]
    return tell([{"role": "system", "content": str(FINAL)}, *messages])


def voting(question: str) -> str:
    def solved(number: int) -> str:
        return tell([{"role": "user", "content": f"{SOLVE}\nTry {number} on: {question}"}])

    with ThreadPoolExecutor(3) as pool:
        tries = list(pool.map(solved, (1, 2, 3)))
    return tell([{"role": "system", "content": str(JUDGE)}, {"role": "user", "content": "\n".join(tries)}])


async def peers(question: str) -> str:
    said = await ask(f"{ROLE}\n{STYLE}", question)
    return f"{said} {await ask(CHECK, said)}"


async def letter(question: str) -> str:
    summary, tone = await ask(SUMMARY, question), await ask(TONE, question)
    facts = await ask(FACTS, summary)
    return await ask(LETTER, f"Summary: {summary}\nTone: {tone}\nFacts: {facts}")


async def panel(question: str) -> str:
    views = await asyncio.gather(*(ask(each, question) for each in (LAWYER, DOCTOR, CLERK)))
    return await ask(PANEL, "\n\n".join(views))


async def remembering(question: str) -> str:
    profile, said = await ask(PROFILE, question), question
    for _ in range(2):
        said = await ask(TURN, said)
    return await ask(CLOSE, f"{said}\nPerson: {profile}")


Truth = Mapping[str, Sequence[str]]
"""By a call's name, `call TEXT` for a model's, which it read: the latest of `NAME`, or of `NAME|OTHER`, or all of `NAME*`. `!NAME` decided that it
ran. "" is the result."""
PIPELINES: Mapping[Callable[[str], str | Awaitable[str]], Truth] = {
    rag: {"search": ["plan"], "answer": ["search"], "call ANSWER": ["search"], "": ["answer"]},
    extraction: {"parse": ["call EXTRACT"], "look_up": ["parse"], "write": ["look_up*"], "call WRITE": ["look_up*"], "": ["write"]},
    refining: {"call CRITIC": ["call REVISE|call DRAFT"], "call REVISE": ["call CRITIC", "call REVISE|call DRAFT"], "": ["call REVISE"]},
    mapping: {"part": ["call SPLIT"], "call EACH": ["call SPLIT"], "call COMBINE": ["part*"], "": ["call COMBINE"]},
    routing: {
        "call BILLING": ["!call ROUTE"], "call TECH": ["!call ROUTE"], "call POLISH": ["call BILLING|call TECH"], "": ["call POLISH"],
    },
    history: {"search": ["call THINK"], "call THINK": ["search*", "call THINK*"], "call FINAL": ["search*", "call THINK*"], "": ["call FINAL"]},
    voting: {"call JUDGE": ["call SOLVE*"], "": ["call JUDGE"]},
    letter: {"call FACTS": ["call SUMMARY"], "call LETTER": ["call SUMMARY", "call TONE", "call FACTS"], "": ["call LETTER"]},
    panel: {"call PANEL": ["call LAWYER", "call DOCTOR", "call CLERK"], "": ["call PANEL"]},
    remembering: {"call TURN": ["call TURN"], "call CLOSE": ["call TURN", "call PROFILE"], "": ["call CLOSE"]},
    peers: {"call CHECK": ["call ROLE"], "": ["call ROLE", "call CHECK"]},
}  # fmt: skip
