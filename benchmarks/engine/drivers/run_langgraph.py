"""LangGraph with langchain-openai: a graph of three asynchronous nodes, run by `abatch` with `max_concurrency`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from workload import (
    INSTRUCTIONS,
    MAX_TOKENS,
    Setting,
    Tally,
    measured,
    numbers,
    prompt,
    setting,
    warm_up_numbers,
)


class State(TypedDict, total=False):
    """What flows through the graph; `given` is what the step before gave."""

    number: int
    given: str


def graph_of(chosen: Setting, tally: Tally) -> Any:
    """plan -> draft -> answer, compiled; the last one is scored where it is made, so that a cut run counts it."""
    model = ChatOpenAI(
        model="mock", base_url=f"{chosen.base_url}/v1", api_key="mock", max_tokens=MAX_TOKENS, temperature=0.0
    )

    def node(step: str) -> Callable[[State], Awaitable[State]]:
        async def run(state: State) -> State:
            asked = prompt(step, state["number"], state.get("given", ""))
            reply = await model.ainvoke([SystemMessage(INSTRUCTIONS[step]), HumanMessage(asked)])
            if step == "answer":
                tally.score(state["number"], reply.content)
            return {"given": str(reply.content)}

        return run

    graph = StateGraph(State)
    before = START
    for step in INSTRUCTIONS:
        graph.add_node(step, node(step))
        graph.add_edge(before, step)
        before = step
    graph.add_edge(before, END)
    return graph.compile()


async def run(chosen: Setting, asked: range, tally: Tally) -> None:
    """All examples by `abatch`; those that raise are counted as failed."""
    inputs = [State(number=number) for number in asked]
    how = {"max_concurrency": chosen.concurrency}
    for each in await graph_of(chosen, tally).abatch(inputs, config=how, return_exceptions=True):
        if isinstance(each, BaseException):
            tally.fail(each)


async def main(chosen: Setting) -> None:
    """Warm up, then measure."""
    await run(chosen, warm_up_numbers(), Tally())
    with measured(chosen) as tally:
        await run(chosen, numbers(chosen), tally)


if __name__ == "__main__":
    asyncio.run(main(setting()))
