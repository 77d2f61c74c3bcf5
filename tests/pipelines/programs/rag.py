"""Retrieval as it is mostly written: f-strings, a list of documents, one client."""

import re

from openai import OpenAI

import flowbot as fb

REWRITE = fb.Param("rewrite", "Turn the question into a short search query. Give the query alone.")
ANSWER = fb.Param("answer", "Answer from the passages only. Cite passages by number.")
LIBRARY = [
    ("Kestrel", "The kestrel hovers over open fields and hunts voles by their ultraviolet trails."),
    ("Heron", "The grey heron stands motionless in shallow water and stabs at fish and frogs."),
    ("Swift", "Swifts sleep on the wing and land only to breed under the eaves of old houses."),
    ("Dipper", "The dipper walks under fast streams, gripping stones, to look for caddis larvae."),
]
client = OpenAI(max_retries=0)


def ask(system: str, user: str) -> str:
    reply = client.chat.completions.create(
        model="gpt-4.1-mini",
        temperature=0,
        messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
    )
    return (reply.choices[0].message.content or "").strip()


@fb.step
def rewrite(question: str) -> str:
    return ask(str(REWRITE), question)


@fb.step(kind="tool")
def search(query: str, k: int = 2) -> list[str]:
    wanted = set(re.findall(r"\w+", query.lower()))
    ranked = sorted(LIBRARY, key=lambda row: -len(wanted & set(re.findall(r"\w+", row[1].lower()))))
    return [text for _, text in ranked[:k]]


@fb.step
def respond(question: str, passages: list[str]) -> str:
    block = "\n".join(f"[{i}] {p}" for i, p in enumerate(passages, 1))
    return ask(f"{ANSWER}", f"Passages:\n{block}\n\nQuestion: {question}\nAnswer:")


def answer(question: str) -> str:
    query = rewrite(question)
    passages = search(query, k=2)
    return respond(question, passages)
