"""pydantic-ai: a dialogue whose history is handed on, and a summary of the last answer alone."""

from pydantic_ai import Agent

import flowbot as fb

TUTOR = fb.Param("tutor", "You are a patient tutor.")
CARD = fb.Param("card", "Put this on a flash card of six words.")


async def lesson(topic):
    tutor = Agent("openai-chat:gpt-4.1-mini", system_prompt=str(TUTOR))
    first = await tutor.run(f"Explain {topic}.")
    second = await tutor.run("Now with an example.", message_history=first.all_messages())
    card = Agent("openai-chat:gpt-4.1-mini", system_prompt=str(CARD))
    return (await card.run(second.output)).output
