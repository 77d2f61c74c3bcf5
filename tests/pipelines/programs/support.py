"""Anthropic's client, a class that keeps what it found, a lookup that may fail."""

import json

from anthropic import Anthropic

import flowbot as fb

TRIAGE = fb.Param("triage", 'Find the order number in the message. Reply with JSON: {"order": "...", "wants": "..."}')
REPLY = fb.Param("reply", "Answer the customer kindly, from the record only.")
CHECK = fb.Param("check", "Does the draft promise anything that the record does not say? Answer yes or no.")
ORDERS = {"A-1042": {"status": "held at customs in Rotterdam", "carrier": "Merel Freight"}}


class Support:
    def __init__(self):
        self.claude = Anthropic(max_retries=0)
        self.notes = {}

    def say(self, system, content):
        message = self.claude.messages.create(
            model="claude-haiku-4-5", max_tokens=300, system=system, messages=[{"role": "user", "content": content}]
        )
        return message.content[0].text

    @fb.step
    def triage(self, message):
        reply = self.say(str(TRIAGE), message)
        self.notes.update(json.loads(reply[reply.index("{") : reply.rindex("}") + 1]))
        return self.notes["order"]

    @fb.step(kind="tool", name="lookup")
    def find(self, order):
        return ORDERS.get(order)

    @fb.step
    def draft(self, message, record):
        return self.say(str(REPLY), f"Wants: {self.notes['wants']}\nRecord: {json.dumps(record)}\n\nMessage: {message}")

    @fb.step
    def safe(self, draft, record):
        verdict = self.say(str(CHECK), f"<record>{record}</record>\n<draft>{draft}</draft>")
        return verdict.strip().lower().startswith("no")

    @fb.step
    def plain(self, record):
        return f"Your order is {record['status']}."

    def run(self, message):
        record = self.find(self.triage(message))
        if record is None:
            return "We could not find your order."
        draft = self.draft(message, record)
        if self.safe(draft, record):
            return draft
        return self.plain(record)


def help_customer(message):
    return Support().run(message)
