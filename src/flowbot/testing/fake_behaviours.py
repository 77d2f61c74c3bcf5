"""What the built-in fake models answer: `echo` repeats, `counter` pretends to be a small model that counts and adds,
`judge` gives verdicts and is otherwise `counter`.

A behaviour is a pure function of the request and a key text made of request and seed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from flowbot.lm.client import Request, ToolUse
from flowbot.lm.native_tools import parameters_schema

ReplyContent = str | Mapping[str, Any] | Sequence[ToolUse]
"""A reply: a text, a mapping that is sent as JSON, or tool calls."""
Behaviour = Callable[[Request, str], ReplyContent]
"""From a request and a seed text (unique to request and seed) to a reply."""

Schema = Mapping[str, Any]
TextOf = Callable[[Schema, str], Any]
"""A value for a schema without members, at a place (a path text)."""

ARRAY_WRONG = 0.2
SUM_WRONG = 0.7
SUM_WRONG_SHOWN = 0.6
_DEEPEST = 8
_TAGGED = re.compile(r"^<(\w+)>\n(.*)\n</\1>$", re.MULTILINE)
_LONGEST_ARGUMENT = 200

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_ONES = (*_DIGITS, "ten", "eleven", "twelve", *_TEENS)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {
    **{word: number for number, word in enumerate(_ONES)},
    **{word: 10 * (number + 2) for number, word in enumerate(_TENS)},
    "dozen": 12,
    "hundred": 100,
}
_COMPOUND = re.compile(rf"({'|'.join(_TENS)})[- ]({'|'.join(_ONES[1:10])})")
_NUMBER = re.compile(
    rf"\b(?P<word>{_COMPOUND.pattern}|{'|'.join(_WORDS)})\b|(?<![\w.])(?P<digits>-?\d+(?:\.\d+)?)", re.I
)


def chance(*parts: str) -> float:
    """A number in [0, 1) that depends on the texts alone."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def echo(request: Request, key: str) -> str | Mapping[str, Any]:
    """What the user said last; where a schema is given, in each of its texts."""
    said = last_user(request)
    return said if request.schema is None else fill(request.schema, key, texts=lambda schema, place: said)


def counter(request: Request, key: str) -> str | Mapping[str, Any]:
    """Finds the numbers in what the user said last.

    Asked for a list of objects with a number it lists them (wrong for about 20 % of the requests); asked for a number
    at once it adds them (wrong for about 70 %, or 60 % if demonstrations stand before); an enumeration is answered by
    lot, a text by a sentence, and a wish for Python code by a function that sums.
    """
    said = "\n".join(message.content for message in request.messages)
    if request.schema is None:
        return code(said) if "```" in said or "def run" in said else sentence(key)
    listed = numbers(last_user(request))
    shown = any(message.role == "assistant" for message in request.messages)
    total = sum(number for number, _ in listed)
    if chance(key, "sum") < (SUM_WRONG_SHOWN if shown else SUM_WRONG):
        total += 1 + int(chance(key, "by how much") * 5)
    if chance(key, "list") < ARRAY_WRONG:
        listed = _spoil(listed, key)

    def text(schema: Schema, place: str) -> str:
        return code(said) if place.endswith(".code") else sentence(key + place)

    return fill(request.schema, key, texts=text, listed=listed, total=total)


def judge(request: Request, key: str) -> str | Mapping[str, Any]:
    """Gives verdicts: the best where an answer equals the right one, the worst where it does not, else by lot.

    Answer and right answer are read from the tags of a judge's question; verdicts are taken to be listed from the worst on.
    At a temperature every fifth verdict is another one. What is no such question is answered as by `counter`.
    """
    said: dict[str, str] = dict(_TAGGED.findall(last_user(request)))
    if request.schema is None or "answer" not in said or "verdict" not in json.dumps(request.schema):
        return counter(request, key)
    right = (
        chance(said["answer"]) if "right_answer" not in said else float(_agree(said["answer"], said["right_answer"]))
    )
    if request.temperature > 0 and chance(key, "slip") < 0.2:
        right = 1 - right
    return fill(_ranked(request.schema, right), key, texts=lambda schema, place: f"it is {right:.1f} right")


def _agree(answer: str, right: str) -> bool:
    """Whether an answer holds all that is in the right one."""
    given, wanted = json.loads(answer), json.loads(right)
    return all(given.get(name) == value for name, value in wanted.items())


def _ranked(schema: Any, share: float) -> Any:
    """The schema with of each enumeration only the member that is that far from the first."""
    if isinstance(schema, list):
        return [_ranked(each, share) for each in cast("list[Any]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    members = {name: _ranked(each, share) for name, each in cast("Mapping[str, Any]", schema).items()}
    if options := members.get("enum"):
        members["enum"] = [options[min(len(options) - 1, int(share * len(options)))]]
    return members


def calls_once(behave: Behaviour) -> Behaviour:
    """The behaviour of a model that calls one of the tools it is offered, once, and then replies as `behave` does.

    Which tool is decided by lot; texts among the arguments are what the user said, numbers are what it adds up to.
    """

    def reply(request: Request, key: str) -> ReplyContent:
        told = any(message.role == "tool" for message in request.messages)
        if not request.tools or request.tool_choice == "none" or told:
            return behave(request, key)
        tool = request.tools[int(chance(key, "tool") * len(request.tools))]
        said = last_user(request)[:_LONGEST_ARGUMENT]
        listed = numbers(said)
        total = sum(number for number, _ in listed)
        arguments = fill(parameters_schema(tool), key, texts=lambda schema, place: said, listed=listed, total=total)
        return [ToolUse(tool.name, json.dumps(arguments, ensure_ascii=False))]

    return reply


BEHAVIOURS: Mapping[str, Behaviour] = {
    "counter": calls_once(counter),
    "echo": calls_once(echo),
    "judge": calls_once(judge),
}
"""The built-in behaviours by name."""


def last_user(request: Request) -> str:
    """The last user message's text."""
    return next((message.content for message in reversed(request.messages) if message.role == "user"), "")


def numbers(text: str) -> list[tuple[float, str]]:
    """The numbers in a text, written in digits or in English words, each with the word after it."""
    found: list[tuple[float, str]] = []
    for match in _NUMBER.finditer(text):
        if match["digits"]:
            value = float(match["digits"])
        else:
            value = float(sum(_WORDS[word] for word in re.split("[- ]", match["word"].casefold())))
        after = re.match(r"\W*(\w+)", text[match.end() :])
        found.append((value, after[1] if after else ""))
    return found


def sentence(key: str) -> str:
    """A short text that depends on the key alone."""
    openings = ("The numbers were read one by one", "Each amount counts once", "Add what is listed", "Check every item")
    endings = ("then added.", "and nothing else counts.", "in the order given.", "before the answer.")
    return f"{openings[int(chance(key, 'a') * 4)]}, {endings[int(chance(key, 'b') * 4)]}"


def code(prompt: str) -> str:
    """A fenced Python function that sums every number it is given, with the names that stand in the prompt."""
    arguments = re.findall(r"def run\(([\w, ]*)\)", prompt)
    keys = re.findall(r"return \{['\"](\w+)['\"]", prompt)
    given = arguments[-1] if arguments else "items"
    result = f"{{'{keys[-1]}': total}}" if keys else "total"
    return f"""```python
def run({given}):
    total = 0
    left = [{given}]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, (int, float)):
            total += value
    return {result}
```"""


def fill(
    schema: Schema, key: str, *, texts: TextOf, listed: list[tuple[float, str]] | None = None, total: float = 0.0
) -> Any:
    """A value that fits a JSON schema.

    Args:
        schema: the schema; `$defs`, `anyOf`, `oneOf`, `enum` and `const` are understood.
        key: decides by lot between alternatives.
        texts: gives the strings.
        listed: what lists of numbers, or of objects with a number, hold.
        total: what a number that stands alone is.
    """
    return _Filler(schema, key, texts, listed or [], total).value(schema, "", 0)


class _Filler:
    def __init__(self, root: Schema, key: str, texts: TextOf, listed: list[tuple[float, str]], total: float) -> None:
        self.root, self.key, self.texts, self.listed, self.total = root, key, texts, listed, total

    def value(self, schema: Schema, place: str, depth: int) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        for choice in ("enum", "anyOf", "oneOf"):
            if options := schema.get(choice):
                # Deep inside a schema that holds itself the first alternative is taken, by custom the simplest.
                picked = options[0 if depth > _DEEPEST else int(chance(self.key, place, choice) * len(options))]
                return picked if choice == "enum" else self.value(picked, place, depth + 1)
        match schema.get("type"):
            case "object":
                return self._object(schema, place, depth)
            case "array":
                return self._array(schema, place, depth)
            case "integer" | "number":
                return _bounded(self.total, schema)
            case "boolean":
                return chance(self.key, place) < 0.5
            case "null":
                return None
            case "string":
                return self.texts(schema, place)
            case _:
                return {}

    def _resolve(self, schema: Schema) -> Schema:
        while reference := schema.get("$ref"):
            found: Any = self.root
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def _object(self, schema: Schema, place: str, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        wanted = set(schema.get("required", properties))
        return {
            name: self.value(each, f"{place}.{name}", depth + 1) for name, each in properties.items() if name in wanted
        }

    def _array(self, schema: Schema, place: str, depth: int) -> list[Any]:
        items = self._resolve(schema.get("items", {}))
        least, most = schema.get("minItems", 0), schema.get("maxItems", 2**31)
        if items.get("type") in ("integer", "number"):
            return [_bounded(number, items) for number, _ in self.listed][:most]
        if self._numeric(items):
            entries = enumerate(self.listed[:most])
            return [self._entry(items, number, word, f"{place}[{n}]") for n, (number, word) in entries]
        count = 0 if depth > _DEEPEST else min(most, max(least, 1 + int(chance(self.key, place, "length") * 2)))
        return [self.value(items, f"{place}[{n}]", depth + 1) for n in range(count)]

    def _numeric(self, items: Schema) -> bool:
        members = [self._resolve(each).get("type") for each in items.get("properties", {}).values()]
        return "integer" in members or "number" in members

    def _entry(self, items: Schema, number: float, word: str, place: str) -> dict[str, Any]:
        entry: dict[str, Any] = {}
        for name, member in items.get("properties", {}).items():
            match self._resolve(member).get("type"):
                case "integer" | "number":
                    entry[name] = _bounded(number, self._resolve(member))
                case "string" if "enum" not in member:
                    entry[name] = word
                case _:
                    entry[name] = self.value(member, f"{place}.{name}", _DEEPEST)
        return entry


def _spoil(listed: list[tuple[float, str]], key: str) -> list[tuple[float, str]]:
    """The list with one of three faults: empty, one entry missing, one number off by one."""
    lot = chance(key, "which fault")
    if not listed or lot < 0.34:
        return []
    if lot < 0.67:
        return listed[:-1]
    return [(listed[0][0] + 1, listed[0][1]), *listed[1:]]


_MOST = 1e15
"""Of a number that a text is full of."""


def _bounded(value: float, schema: Schema) -> int | float:
    value = min(max(value, schema.get("minimum", value), -_MOST), schema.get("maximum", value), _MOST)
    return round(value) if schema.get("type") == "integer" or value == int(value) else value
