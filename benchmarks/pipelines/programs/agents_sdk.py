"""OpenAI's Agents SDK: a front desk with a tool hands its answer to a checker."""

from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI

import flowbot as fb

DESK = fb.Param("desk", "Answer guests of the hotel. Look things up.")
CHECK = fb.Param("check", "Shorten the answer and keep every time of day.")


@function_tool
@fb.step(kind="tool")
def hours(place: str) -> str:
    """Opening hours of a place in the hotel."""
    return {"sauna": "from 15:30 until 22:00, towels at the desk"}.get(place, "closed")


async def reply(question):
    model = OpenAIChatCompletionsModel("gpt-4.1-mini", AsyncOpenAI(max_retries=0))
    quiet = RunConfig(tracing_disabled=True)
    desk = Agent(name="desk", instructions=str(DESK), tools=[hours], model=model)
    checker = Agent(name="checker", instructions=str(CHECK), model=model)
    draft = await Runner.run(desk, question, run_config=quiet)
    return (await Runner.run(checker, draft.final_output, run_config=quiet)).final_output
