"""pydantic-ai: an agent with a tool and a typed result, and a second agent that is handed it."""

from pydantic import BaseModel
from pydantic_ai import Agent

import flowbot as fb

FIND = fb.Param("find", "Find the room for the meeting. Use the tool.")
INVITE = fb.Param("invite", "Write the invitation in one sentence.")


class Room(BaseModel):
    name: str
    floor: int


async def invite(meeting):
    finder = Agent("openai-chat:gpt-4.1-mini", system_prompt=str(FIND), output_type=Room)

    @finder.tool_plain
    @fb.step(kind="tool")
    def rooms(people: int) -> list[str]:
        """Rooms that hold so many people."""
        return ["Birch (floor 4)", "Alder (floor 1)"] if people < 9 else ["Hall (floor 0)"]

    room = (await finder.run(meeting)).output
    writer = Agent("openai-chat:gpt-4.1", system_prompt=str(INVITE))
    return (await writer.run(f"{meeting}\nRoom {room.name} on floor {room.floor}")).output
