"""What keeps a small model's reply by a schema from running away: bounds in the grammar, and a repetition penalty.

A model of half a billion parameters that writes free text before its answer repeats itself until the reply is cut, and a
list repeats one item, so that the right structure scores nothing. A bound in the schema ends the text, and the rest of
the reply follows; a penalty on what it has just said keeps it from beginning (`benchmarks/local_sampling.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

MOST_REPEATED = 5000
"""Up to here the server's grammar was seen to take a bound."""
OPTIONS = ("text", "last", "items", "penalty")
_TOKENS = {"string": 2, "object": 3, "array": 3}
"""By how much lists of these are shorter than lists of numbers and labels: each item takes more."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """Bounds of what a schema leaves open. They are sent to the local server alone, and part of its identity.

    They hold for replies of some 500 tokens; where fewer are allowed, see `within`. A reply without a schema, such as code or one plain text, is asked for as it is.

    Args:
        text: characters of a text that other fields follow, such as a reasoning, and of texts in lists.
        last: characters of a text that ends the reply: it may be the answer itself, a mail or a summary.
        items: of a list of numbers or labels; half as many texts, a third as many objects or lists.
        penalty: on tokens among the last 64, of prompt and reply; 1 is none.
        sampling: further parameters of the server's sampler.
    """

    text: int = 800
    last: int = 2000
    items: int = 60
    penalty: float = 1.0
    sampling: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        """As it stands in the identity."""
        told = {name: getattr(self, name) for name in OPTIONS} | dict(self.sampling)
        return ", ".join(f"{name} {value:g}" for name, value in told.items())

    def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request's body with its schema bounded and what the sampler is to do; without a schema as it is."""
        form = body.get("response_format", {})
        if "json_schema" not in form:
            return dict(body)
        schema = self.within(body["max_tokens"]).schema(form["json_schema"]["schema"])
        named = {**form["json_schema"], "schema": schema}
        asked = {**body, "response_format": {**form, "json_schema": named}, **dict(self.sampling)}
        return asked | {"repeat_penalty": self.penalty} if self.penalty != 1 else asked

    def within(self, tokens: int) -> Fitting:
        """Tighter bounds where a reply has few tokens, so that one text or list leaves room for what follows it.

        A token is three to four characters of prose, a number in a list takes three tokens and a short object twenty.
        """
        text, last, items = min(self.text, 2 * tokens), min(self.last, 3 * tokens), min(self.items, max(3, tokens // 8))
        return replace(self, text=text, last=last, items=items)

    def schema(self, schema: Mapping[str, Any], *, last: bool = True) -> dict[str, Any]:
        """The schema with a bound wherever it has none of its own.

        Args:
            schema: JSON schema.
            last: nothing follows in the reply.
        """
        fitted = dict(schema)
        kind = schema.get("type")
        if kind == "string" and not schema.keys() & {"enum", "const", "pattern", "format"}:
            fitted.setdefault("maxLength", max(self.last if last else self.text, schema.get("minLength", 0)))
        if kind == "array":
            items = cast("Mapping[str, Any]", schema.get("items") or {})
            long = _TOKENS.get(items.get("type", ""), 1) if "enum" not in items else 1
            fitted.setdefault("maxItems", max(self.items // long, schema.get("minItems", 0)))
            if items:
                fitted["items"] = self.schema(items, last=False)
        members = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties") or {})
        if members:
            end = list(members)[-1]
            fitted["properties"] = {
                name: self.schema(member, last=last and name == end) for name, member in members.items()
            }
        if "anyOf" in schema:
            fitted["anyOf"] = [self.schema(way, last=last) for way in schema["anyOf"]]
        if "$defs" in schema:
            fitted["$defs"] = {name: self.schema(each, last=False) for name, each in schema["$defs"].items()}
        return fitted
