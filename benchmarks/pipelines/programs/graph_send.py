"""LangGraph: a plan fans out by Send, the notes come together by a reducer; nodes are marked as steps."""

import operator
from typing import Annotated, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

import flowbot as fb

PLAN = fb.Param("plan", "Name two aspects, one a line.")
NOTE = fb.Param("note", "Write one fact about this aspect.")
JOIN = fb.Param("join", "Join the facts into one sentence.")


class State(TypedDict, total=False):
    question: str
    aspects: list[str]
    notes: Annotated[list[str], operator.add]
    answer: str


async def say(prompt, text):
    return (await ChatOpenAI(model="gpt-4.1-mini", max_retries=0).ainvoke(f"{prompt}\n\n{text}")).content


@fb.step
async def plan(state):
    return {"aspects": (await say(PLAN, state["question"])).splitlines()}


@fb.step
async def note(state):
    return {"notes": [await say(NOTE, state["aspect"])]}


@fb.step
async def join(state):
    return {"answer": await say(JOIN, "\n".join(state["notes"]))}


async def answer(question):
    built = StateGraph(State)
    for name, node in {"plan": plan, "note": note, "join": join}.items():
        built.add_node(name, node)
    built.add_edge(START, "plan")
    built.add_conditional_edges(
        "plan", lambda state: [Send("note", {"aspect": each}) for each in state["aspects"]], ["note"]
    )
    built.add_edge("note", "join")
    built.add_edge("join", END)
    return (await built.compile().ainvoke({"question": question}))["answer"]
