"""A pretend model that does what its texts say, and what a spoiled one makes of it: twelve ways."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

SYLLABLES = (
    "ba",
    "cor",
    "dil",
    "fen",
    "gar",
    "hul",
    "ist",
    "jon",
    "kel",
    "lum",
    "mar",
    "nev",
    "os",
    "pir",
    "qua",
    "ril",
)
SPOILED = re.compile(r" \[(\d+)\]")
"""Stands in a spoiled text, and says in which way it is."""


def pseudo(seed: str, number: int) -> list[str]:
    """So many words that say nothing, the same for the same seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    return ["".join(SYLLABLES[digest[(3 * each + place) % 32] % 16] for place in range(3)) for each in range(number)]


def right(role: str, received: str) -> str:
    """What a model replies that is told well."""
    made = pseudo(f"{role}/{received}", 9)
    if role == "EXTRACT":
        return json.dumps([each.capitalize() for each in made[:3]])
    if role == "SPLIT":
        return "\n".join(" ".join(made[place : place + 3]) for place in (0, 3, 6))
    if role == "ROUTE":
        return f"the {('billing', 'support')[len(made[0]) % 2]} queue"
    return f"{' '.join(made[:5])}. {' '.join(made[5:])}."


WAYS: Mapping[str, Callable[[str, str, str], str]] = {
    "another thing": lambda role, received, said: right(role, f"{received} "),
    "nothing": lambda role, received, said: "",
    "cut off": lambda role, received, said: said[: len(said) // 3],
    "refuses": lambda role, received, said: "I am sorry, I cannot help with that.",
    "repeats its input": lambda role, received, said: received[-200:],
    "announces it": lambda role, received, said: f"Sure! Here it is:\n{said}",
    "capitals": lambda role, received, said: said.upper(),
    "backwards": lambda role, received, said: " ".join(reversed(said.split())),
    "always the same": lambda role, received, said: "Everything is in order as far as one can see.",
    "half and half": lambda role, received, said: f"{said[: len(said) // 2]} {right(role, received + ' ')}",
    "another form": lambda role, received, said: json.dumps({"reply": said}),
    "another's work": lambda role, received, said: right("OTHER", received),
}


def replied(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of an endpoint."""
    told = "\n".join(each["content"] for each in body["messages"])
    spoiled, told = SPOILED.search(told), SPOILED.sub("", told)
    role = next(each for each in re.findall(r"\b([A-Z]{4,}): ", told))
    said = right(role, told)
    if spoiled is not None:
        said = [*WAYS.values()][int(spoiled[1])](role, told, said)
    message = {"role": "assistant", "content": said}
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
    }
