"""What happened on one example: every step that ran, what it received and gave, what it used. Plain immutable data.

The optimiser's backward pass, the report and `show` read traces and nothing else of a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from flowbot.fields import Usage
from flowbot.fields.words import brief, count, named, printable
from flowbot.lm.client import Message

_NUMBERS = re.compile(r"\[\d+\]|#\d+")


def node_path(address: str) -> str:
    """The path of the node whose call an address names: `refine/critic` for `refine/critic[2]`."""
    return _NUMBERS.sub("", address)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool that a model asked for.

    Args:
        tool: the tool's name, as the model gave it.
        arguments: as the model gave them.
        result: the outputs by name; None when the call failed.
        error: why it failed; "" when it did not.
        seconds: how long it took when it was first made.
    """

    tool: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str = ""
    seconds: float = 0.0

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return _facts(self)

    @staticmethod
    def load(data: Mapping[str, Any]) -> ToolCall:
        """A call from what `dump` gave."""
        return ToolCall(**data)


@dataclass(frozen=True, slots=True)
class StepEdge:
    """One way in which a step inside a program read another.

    Args:
        source: the other's address.
        part: `in.NAME`, the argument that held what it gave; `out`, where this step's result is made of it; "", where it decided
            that this step ran.
        how: it was found: `object`, `text`, `shingles`, `leaf`, `code`, `control`, `time` or `declared`; see `runtime.traced`.
    """

    source: str
    part: str
    how: str


@dataclass(frozen=True, slots=True)
class Step:
    """One node's call.

    Args:
        address: where in the workflow: `plan`, `refine/critic[2]` (the loop's second step), `each/price[7]` (the map's seventh
            item), `each/refine[7]/critic[2]` (both), `solve#3` (the third of several samples).
        kind: the node's kind.
        inputs: values by input name. For a merge, by reference (`plan.query`), those that were there; for a loop the
            values that it starts with; for a map the list.
        outputs: values by output name, for a branch the label as `way`; None when the step failed.
        error: why it failed; "" when it did not.
        messages: what the model was sent; empty for steps without a model.
        reply: the model's last reply as text; "" for steps without a model.
        usage: what the step's model calls used, asking again included; nothing for a node with a body, whose steps count.
        seconds: how long the step's calls took when they were first made. Code and merges count as nothing; a node with
            a body takes as long as the longest chain of its steps.
        reads: addresses of the steps whose outputs it read, through loops and maps, and of the branch that let it run.
        note: what else is to be said, as that a loop stopped at its bound; "" for nothing.
        calls: the tool calls that the model asked for, in order.
        edges: of a step inside a program how each of `reads` was found.
        texts: of a step inside a program the slots whose texts it used, as `app:plan`; the request of a model call holds them.
        function: of a step inside a program the user's function, as `app.Agent.plan`.
    """

    address: str
    kind: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] | None
    error: str = ""
    messages: tuple[Message, ...] = ()
    reply: str = ""
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    reads: tuple[str, ...] = ()
    note: str = ""
    calls: tuple[ToolCall, ...] = ()
    texts: tuple[str, ...] = ()
    edges: tuple[StepEdge, ...] = ()
    function: str = ""

    @property
    def slots(self) -> tuple[str, ...]:
        """The paths of what may be tuned in it: its texts, or else the node."""
        return self.texts or (self.node,)

    @property
    def node(self) -> str:
        """The path of the node: the address without its numbers."""
        return node_path(self.address)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        facts = {
            **_facts(self),
            "messages": [message.dump() for message in self.messages],
            "usage": asdict(self.usage),
            "reads": list(self.reads),
            "calls": [call.dump() for call in self.calls],
            "texts": list(self.texts),
            "edges": [[each.source, each.part, each.how] for each in self.edges],
        }
        return {name: fact for name, fact in facts.items() if fact or name not in ("texts", "edges", "function")}

    @staticmethod
    def load(data: Mapping[str, Any]) -> Step:
        """A step from what `dump` gave."""
        made: dict[str, Any] = {
            "messages": tuple(Message.load(each) for each in data["messages"]),
            "usage": Usage(**data["usage"]),
            "reads": tuple(data["reads"]),
            "calls": tuple(ToolCall.load(each) for each in data["calls"]),
            "texts": tuple(data.get("texts", ())),
            "edges": tuple(StepEdge(*each) for each in data.get("edges", ())),
        }
        return Step(**{**data, **made})


@dataclass(frozen=True, slots=True)
class Trace:
    """One run of a workflow on one example. A notebook shows every step with what it was sent.

        >>> trace = flow.trace(note="Two pens, please")
        >>> trace.step("answer").messages[-1].content
        'Two pens, please'
        >>> trace.outputs, trace.usage.tokens
        ({'total': 2}, 103)

    Args:
        example: the example's id; "" outside of evaluation.
        inputs: the workflow's inputs by name.
        steps: the steps that ran, in the order of `workflow.topological` whatever the order in which they ended; after a
            node with a body those of the body, step by step or item by item. A node whose inputs were missing because an
            earlier step failed, or whose way was not taken, did not run and is not here.
        outputs: the workflow's outputs by name; None when one of them is missing.
        error: why outputs are missing, with the address of the step that failed; "" when they are not.
        seconds: latency along the critical path, from what was stored with each response.
    """

    example: str
    inputs: Mapping[str, Any]
    steps: tuple[Step, ...]
    outputs: Mapping[str, Any] | None
    error: str = ""
    seconds: float = 0.0

    @property
    def usage(self) -> Usage:
        """What all steps used together; its `seconds` is the sum, not the critical path."""
        usages = [step.usage for step in self.steps]
        return sum(usages[1:], usages[0]) if usages else Usage()

    def __repr__(self) -> str:
        example = f"{self.example}, " if self.example else ""
        ending = self.error if self.outputs is None else named(self.outputs, 200)
        said = f"{example}{count(len(self.steps), 'step')}: {ending}"
        return f"Trace({printable(brief(said))})"

    def step(self, address: str) -> Step | None:
        """The step at `address`, or None if it did not run."""
        return next((step for step in self.steps if step.address == address), None)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {**_facts(self), "steps": [step.dump() for step in self.steps]}

    @staticmethod
    def load(data: Mapping[str, Any]) -> Trace:
        """A trace from what `dump` gave."""
        steps: Any = tuple(Step.load(each) for each in data["steps"])
        return Trace(**{**data, "steps": steps})


def _facts(record: ToolCall | Step | Trace) -> dict[str, Any]:
    """Its fields by name, in order, those that are mappings as dicts."""
    facts: dict[str, Any] = {}
    for each in fields(record):
        fact: Any = getattr(record, each.name)
        facts[each.name] = dict(cast("Mapping[str, Any]", fact)) if isinstance(fact, Mapping) else fact
    return facts
