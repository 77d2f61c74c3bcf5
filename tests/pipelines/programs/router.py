"""A classifier decides which prompt answers; the facts come out of JSON."""

import json

from openai import OpenAI

import flowbot as fb

CLASSIFY = fb.Param("classify", "Which desk is this for? Answer with one word: billing, technical or other.")
FACTS = fb.Param("facts", 'Read the ticket. Reply as JSON: {"customer": ..., "product": ..., "mood": ...}')
DESKS = {
    "billing": fb.Param("billing", "You answer for accounts. Be exact about amounts."),
    "technical": fb.Param("technical", "You answer for engineering. Ask for logs where you need them."),
}


def llm(prompt, text, json_mode=False):
    extra = {"response_format": {"type": "json_object"}} if json_mode else {}
    r = OpenAI(max_retries=0).chat.completions.create(
        model="gpt-4.1-nano",
        messages=[{"role": "system", "content": str(prompt)}, {"role": "user", "content": text}],
        **extra,
    )
    return r.choices[0].message.content


@fb.step
def classify(ticket):
    return llm(CLASSIFY, ticket).strip().lower().rstrip(".")


@fb.step
def facts(ticket):
    return json.loads(llm(FACTS, ticket, json_mode=True))


@fb.step
def account_reply(ticket, customer):
    return llm(DESKS["billing"], f"Customer: {customer}\n\n{ticket}")


@fb.step
def technical_reply(ticket, product, mood):
    tone = "Apologise first.\n" if mood == "angry" else ""
    return llm(DESKS["technical"], f"{tone}Product: {product}\n\n{ticket}")


def handle(ticket):
    if not ticket.strip():
        return "Nothing to do."
    found = facts(ticket)
    desk = classify(ticket)
    if desk == "billing":
        return account_reply(ticket, found["customer"])
    if desk == "technical":
        return technical_reply(ticket, found["product"], found["mood"])
    return "Forwarded to a person."
