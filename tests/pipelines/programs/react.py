"""An agent with tools: one history that grows, until the model calls no more."""

import json

from openai import OpenAI

import flowbot as fb

SYSTEM = fb.Param("agent", "You plan trips. Use the tools. Answer in one sentence.")
FARES = {("Bergen", "Oslo"): 499, ("Oslo", "Trondheim"): 389}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": fields}}}
    for name, fields in {
        "find_route": {"start": {"type": "string"}, "goal": {"type": "string"}},
        "fare": {"start": {"type": "string"}, "goal": {"type": "string"}},
    }.items()
]


@fb.step(kind="tool")
def find_route(start, goal):
    return {"legs": [[start, "Oslo"], ["Oslo", goal]]}


@fb.step(kind="tool")
def fare(start, goal):
    return {"price": FARES[(start, goal)], "currency": "NOK"}


CALLABLE = {"find_route": find_route, "fare": fare}


class Agent:
    def __init__(self, model="gpt-4.1"):
        self.client = OpenAI(max_retries=0)
        self.model = model
        self.history = []

    def turn(self):
        reply = self.client.chat.completions.create(model=self.model, messages=self.history, tools=TOOLS)
        return reply.choices[0].message

    def run(self, goal, most=8):
        self.history = [{"role": "system", "content": str(SYSTEM)}, {"role": "user", "content": goal}]
        for _ in range(most):
            message = self.turn()
            self.history.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                return message.content
            for call in message.tool_calls:
                result = CALLABLE[call.function.name](**json.loads(call.function.arguments))
                self.history.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
        return "I could not find it."


def trip(request):
    return Agent().run(request)
