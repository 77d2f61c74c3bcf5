"""LangGraph's ready-made agent with two tools."""

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent

import flowbot as fb

SYSTEM = fb.Param("system", "Use the tools. Answer with one number and its unit.")


@tool
@fb.step(kind="tool")
def stock(part: str) -> str:
    """How many of a part are there."""
    return {"M6 bolt": "412 pieces in bay 7", "M8 bolt": "none"}.get(part, "unknown part")


@tool
@fb.step(kind="tool")
def weigh(bay: str) -> str:
    """The weight of what lies in a bay."""
    return f"{bay} holds 3.9 kg"


def ask(question):
    agent = create_react_agent(ChatOpenAI(model="gpt-4.1", max_retries=0), [stock, weigh], prompt=str(SYSTEM))
    ended = agent.invoke({"messages": [("user", question)]})
    return ended["messages"][-1].content
