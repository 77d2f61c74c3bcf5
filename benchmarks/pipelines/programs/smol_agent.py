"""smolagents: an agent that calls a tool and then gives its final answer."""

from smolagents import OpenAIServerModel, ToolCallingAgent, tool

import flowbot as fb

TASK = fb.Param("task", "Work out what the visitor asks. Use the tool.")


@fb.step(kind="tool", name="depth")
def measured(lake: str) -> str:
    return {"Lake Orn": "61 metres at the northern shore"}.get(lake, "not measured")


@tool
def depth(lake: str) -> str:
    """The depth of a lake.

    Args:
        lake: its name.
    """
    return measured(lake)


def answer(question):
    model = OpenAIServerModel("gpt-4.1")
    agent = ToolCallingAgent(tools=[depth], model=model, max_steps=4, verbosity_level=0)
    return agent.run(f"{TASK}\n{question}")
