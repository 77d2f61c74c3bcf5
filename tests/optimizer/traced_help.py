"""Recorded runs of a pretend program, written by hand, for tests of what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbot.fields import Score
from flowbot.lm.client import Message
from flowbot.runtime.evaluation import Row
from flowbot.runtime.trace import Step, StepEdge, Trace
from flowbot.task import Example
from flowbot.workflow.workflow import Workflow


def program(texts: Mapping[str, Any], max_calls: int = 20, **values: Any) -> Workflow:
    """A workflow that is a program from `q` to `a`."""
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"q": "str"},
            "outputs": {"a": "app.a"},
            "nodes": {"app": {"kind": "program", "call": "app.py:run", "in": {"q": "q"}, "out": {"a": "str"}, "max_calls": max_calls}},
            "parameters": {"app": {"texts": dict(texts), **({"values": values} if values else {})}},
        }
    )  # fmt: skip


def model(address: str, reply: str, *reads: str, texts: Sequence[str] = (), user: str = "q") -> Step:
    """A model call that holds some texts and read what some steps gave; `!ADDRESS` let it run."""
    return _step(address, "model", {"user": user}, {"reply": reply}, reads, tuple(f"app:{each}" for each in texts))


def function(address: str, result: Any, *reads: str, kind: str = "step", error: str = "", **given: Any) -> Step:
    """A call of a function; `>ADDRESS` is an inner step that its result is made of."""
    return _step(address, kind, given, None if error else {"result": result}, reads, (), error)


def _step(
    address: str, kind: str, inputs: Mapping[str, Any], outputs: Any, reads: Sequence[str], texts: Sequence[str], error: str = ""
) -> Step:  # fmt: skip
    parts = {"!": "", ">": "out"}
    edges = [StepEdge(each.lstrip("!>"), parts.get(each[0], "in.given"), "text") for each in reads]
    messages = (Message("user", str(inputs)),) if kind == "model" else ()
    return Step(
        address, kind, inputs, outputs, error=error, messages=messages, texts=tuple(texts), edges=tuple(edges),
        reads=tuple(each.source for each in edges),
    )  # fmt: skip


def row(*steps: Step, gave: str | None = "no", right: str = "yes", made_of: Sequence[str] = (), error: str = "") -> Row:
    """A run of the program on an example: its steps, and what its result is made of."""
    outputs = None if gave is None else {"a": gave}
    edges = tuple(StepEdge(each, "out", "text") for each in made_of)
    own = Step("app", "program", {"q": "q"}, outputs, error=error, edges=edges, reads=tuple(made_of))
    trace = Trace("t1", {"q": "q"}, (*steps, own), outputs, error=f"app: {error}" if error else "")
    return Row(Example("t1", {"q": "q"}, {"a": right}), trace, Score(float(gave == right)))
