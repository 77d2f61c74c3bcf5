"""LangGraph: a writer and a critic with a conditional way back; nodes are plain functions."""

from typing import TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph

import flowbot as fb

WRITE = fb.Param("write", "Write a slogan.")
JUDGE = fb.Param("judge", "Say KEEP if the slogan is short, else say what to cut.")


class State(TypedDict, total=False):
    topic: str
    slogan: str
    remark: str
    rounds: int


def writer(state):
    text = f"{WRITE}\nTopic: {state['topic']}"
    if state.get("remark"):
        text += f"\nLast: {state['slogan']}\nRemark: {state['remark']}"
    reply = ChatOpenAI(model="gpt-4.1-mini", max_retries=0).invoke(text)
    return {"slogan": reply.content, "rounds": state.get("rounds", 0) + 1}


def critic(state):
    reply = ChatOpenAI(model="gpt-4.1-mini", max_retries=0).invoke([("system", str(JUDGE)), ("user", state["slogan"])])
    return {"remark": reply.content}


def onward(state):
    return END if "KEEP" in state["remark"] or state["rounds"] >= 3 else "writer"


def graph():
    built = StateGraph(State)
    built.add_node("writer", writer)
    built.add_node("critic", critic)
    built.add_edge(START, "writer")
    built.add_edge("writer", "critic")
    built.add_conditional_edges("critic", onward)
    return built.compile()


async def slogan(topic):
    ended = await graph().ainvoke({"topic": topic})
    return ended["slogan"]
