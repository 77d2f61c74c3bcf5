"""An agent of a shop as a LangGraph graph of three model calls: are the pages that were found enough? If not, search anew; then answer.

Knows nothing of whoever tunes it: its texts are asked for by name, and its model is handed over.
"""

from collections.abc import Callable
from typing import Any, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from pages import search

TEXTS = {
    "check": "Do the help pages answer the customer's message? Answer yes or no.",
    "rephrase": "Write a search query for the customer's message.",
    "reply": "Answer the customer's message from the help pages.",
}


class State(TypedDict, total=False):
    message: str
    pages: list[str]
    enough: bool
    answer: str


def build(text: Callable[[str], str], model: ChatOpenAI) -> Any:
    """The compiled graph.

    Args:
        text: gives a text of `TEXTS` as it is now.
        model: answers all three.
    """

    def ask(name: str, user: str) -> str:
        return model.invoke([("system", text(name)), ("user", user)]).text.strip()

    def about(state: State) -> str:
        return "Help pages:\n{}\n\nMessage: {}".format("\n\n".join(state["pages"]), state["message"])

    def find(state: State) -> State:
        return {"pages": search(state["message"], 1)}

    def check(state: State) -> State:
        return {"enough": "yes" in ask("check", about(state)).lower()}

    def rephrase(state: State) -> State:
        return {"pages": search(ask("rephrase", state["message"]), 3)}

    def reply(state: State) -> State:
        return {"answer": ask("reply", about(state))}

    def way(state: State) -> str:
        return "reply" if state["enough"] else "rephrase"

    graph = StateGraph(State)
    for node in (find, check, rephrase, reply):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "find")
    graph.add_edge("find", "check")
    graph.add_conditional_edges("check", way, ["reply", "rephrase"])
    graph.add_edge("rephrase", "reply")
    graph.add_edge("reply", END)
    return graph.compile()
