"""From the places of a program to the nodes of a workflow: what is always the same is the prompt, the rest is read by reference."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowbot.fields import Type, UserError, canonical_json
from flowbot.runtime.adapter import show_value
from flowbot.runtime.services import DEFAULT_MAX_TOKENS
from flowbot.task import Tool
from flowbot.task.tools import tool_of
from flowbot.workflow.prompt import Part, Ref

from .calls import CallMade, Defeat, Known, shown
from .templates import Joining, Torn, joinings, template

_SAID = ("model", "temperature", "max_tokens")
"""What a node's parameters say of a request, besides its messages."""
_WHOLE = "make the function that makes it a step (@fb.step), or hand on what a step gave as it is"
LONGER = 4
"""How many times the longest reply a step may write, where the program names no limit."""
Rows = Sequence[CallMade]


@dataclass
class Body:
    """The nodes of one body while they are drafted.

    Args:
        known: what may be read in it.
        types: of that, by reference.
        prefix: of the paths of its nodes.
        parameters: of all nodes, by path.
        tools: of all nodes, by name.
        notes: what is not quite as in the program.
        used: names that are taken.
    """

    known: Known
    types: dict[str, str]
    prefix: str = ""
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    notes: list[str] = field(default_factory=list[str])
    used: set[str] = field(default_factory=set[str])
    nodes: dict[str, Any] = field(default_factory=dict[str, Any])

    def within(self, known: Known, types: Mapping[str, str], prefix: str, names: Sequence[str] = ()) -> Body:
        """A body in it."""
        used = {*self.used, *names, *(each.partition(".")[0] for each in known)}
        return Body(known, dict(types), prefix, {}, {}, [], used)

    def free(self, name: str) -> str:
        """A name like this one that no node has."""
        base = "".join(letter if letter.isalnum() else "_" for letter in name).strip("_") or "step"
        base = base if base[0].isalpha() else f"step_{base}"
        numbers = (base if number == 1 else f"{base}_{number}" for number in range(1, 10_000))
        found = next(each for each in numbers if each not in self.used)
        self.used.add(found)
        return found

    def add(self, rows: Rows) -> None:
        """The node of a place.

        Args:
            rows: its calls, one for each time that it was come to.

        Raises:
            Defeat: if there is none.
        """
        (self._model if rows[0].kind == "model" else self._tool)(rows)

    def _model(self, rows: Rows) -> None:
        first = rows[0]
        _require_sayable(rows)
        prompt: list[tuple[str, tuple[Part, ...]]] = []
        for number, message in enumerate(first.messages):
            texts = [row.messages[number].content for row in rows]
            prompt.append((message.role, self._parts(texts, first)))
        name = self.free(first.name)
        read = dict.fromkeys(part.ref for _, parts in prompt for part in parts if isinstance(part, Ref))
        inputs: dict[str, str] = {}
        for reference in read:
            inputs[_input_name(reference, inputs)] = reference
        names = {reference: key for key, reference in inputs.items()}
        settings = {**first.settings}
        if settings.get("max_tokens") is None:
            settings["max_tokens"] = limit = max(DEFAULT_MAX_TOKENS, *(LONGER * row.took for row in rows))
            self.notes.append(f"{first.name} ({first.where}) names no token limit; its step has one of {limit}")
        self.nodes[name] = {"kind": "llm", "in": inputs, "out": {"text": "str"}}
        self.parameters[f"{self.prefix}{name}"] = {
            "messages": [
                {"role": role, "parts": [{"ref": names[each.ref]} if isinstance(each, Ref) else each for each in parts]}
                for role, parts in prompt
            ],
            **{key: settings[key] for key in _SAID if settings.get(key) is not None},
        }
        self.give(f"{name}.text", "str", [row.gave for row in rows])

    def _tool(self, rows: Rows) -> None:
        first = rows[0]
        if first.call is None:
            raise Defeat(
                first, "is no function of a module, which a task file could name as a tool", "one at the top of a file"
            )
        try:
            tool = tool_of(inspect.unwrap(first.call), name=first.name)
        except UserError as error:
            raise Defeat(first, f"cannot be a tool: {error.what}", error.mend) from None
        optional = {name: each.default for name, each in inspect.signature(first.call).parameters.items()}
        inputs: dict[str, str] = {}
        for field_ in tool.signature.inputs:
            column = [row.given.get(field_.name) for row in rows]
            reference = self.find(column)
            if reference is not None:
                inputs[field_.name] = reference
            elif not all(each == optional.get(field_.name, inspect.Parameter.empty) for each in column):
                value = shown(show_value(column[0]))
                raise Defeat(
                    first, f"is handed {value} as {field_.name}, which no input and no step gave whole", _WHOLE
                )
        name = self.free(first.name)
        outputs = {each.name: each.type for each in tool.signature.outputs}
        self.tools[first.name] = tool
        self.nodes[name] = {
            "kind": "tool", "tool": first.name, "in": inputs, "out": {key: str(kind) for key, kind in outputs.items()},
        }  # fmt: skip
        for key, kind in outputs.items():
            self.give(f"{name}.{key}", str(kind), [row.gave if tool.plain else row.gave.get(key) for row in rows])

    def give(self, reference: str, kind: str, values: list[Any]) -> None:
        """From now on it may be read."""
        self.known[reference] = values
        self.types[reference] = kind

    def find(self, column: Sequence[Any], *, last: bool = False) -> str | None:
        """What has these values: of several the first, or the last that was given."""
        names = reversed(self.known) if last else iter(self.known)
        return next((name for name in names if _equal(self.known[name], column)), None)

    def _parts(self, texts: Sequence[str], step: CallMade) -> tuple[Part, ...]:
        """A message's parts; where it holds a list's items in a row, a node joins them first."""
        values = {name: [show_value(each) for each in column] for name, column in self.known.items()}
        joins: dict[str, tuple[str, Joining]] = {}
        for name, column in self.known.items():
            if Type.parse(self.types[name]) == Type("list", item=Type("str")):
                for number, joining in enumerate(joinings(texts, column)):
                    joins[f"{name} joined {number}"] = (name, joining)
                    values[f"{name} joined {number}"] = [joining.joined(items) for items in column]
        try:
            parts = template(texts, values)
        except Torn as torn:
            one, other = (shown(each) for each in torn.found)
            behind = f" behind {shown(torn.before[-60:])}" if torn.before else ""
            what = f"asks{behind} {one} here and {other} there, which no input and no step gave whole"
            raise Defeat(step, what, _WHOLE) from None
        if not parts:
            raise Defeat(step, "sends a message without a text", "leave the message out")
        made: dict[str, str] = {}
        for part in parts:
            if isinstance(part, Ref) and part.ref in joins and part.ref not in made:
                made[part.ref] = self._join(*joins[part.ref])
        return tuple(Ref(ref=made[part.ref]) if isinstance(part, Ref) and part.ref in made else part for part in parts)

    def _join(self, reference: str, joining: Joining) -> str:
        name = self.free("join")
        self.nodes[name] = {"kind": "code", "in": {"items": reference}, "out": {"text": "str"}}
        self.parameters[f"{self.prefix}{name}"] = {"code": joining.code}
        self.give(f"{name}.text", "str", [joining.joined(items) for items in self.known[reference]])
        return f"{name}.text"


def _require_sayable(rows: Rows) -> None:
    """Refuse requests that no node makes."""
    first = rows[0]
    for row in rows:
        if any(message.role == "tool" or message.calls for message in row.messages):
            raise Defeat(row, "shows the model its tool calls", "tools in an `llm` node's parameters, written by hand")
        if [message.role for message in row.messages] != [message.role for message in first.messages]:
            sizes = f"{len(first.messages)} messages here and {len(row.messages)} there"
            raise Defeat(row, f"sends {sizes}: a history that grows", "one message that a step makes of it")
        if row.settings != first.settings:
            names = {*row.settings, *first.settings}
            odd = sorted(key for key in names if row.settings.get(key) != first.settings.get(key))
            raise Defeat(row, f"has another {odd[0]} from call to call", "the same in every call")
    more = sorted({*first.settings} - {*_SAID})
    if more:
        raise Defeat(first, f"sends `{more[0]}`, which an `llm` node with a prompt of its own does not", "leave it out")


def _equal(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(type(a) is type(b) and canonical_json(a) == canonical_json(b) for a, b in zip(one, other, strict=True))


def _input_name(reference: str, taken: Mapping[str, str]) -> str:
    node, _, output = reference.partition(".")
    names = [node, f"{node}_{output}", *(f"{node}_{number}" for number in range(2, 1000))]
    return next(each for each in names if each and each not in taken)
