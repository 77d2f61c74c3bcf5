"""How traces and flows show themselves: a line, and in a notebook every step with what it was sent and gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flowbot.fields.html import Markup, brief, card, facts, folded, line, soft, strong, text
from flowbot.fields.words import count, duration, money, printable
from flowbot.workflow.html import drawing, prompts, workflow_text

if TYPE_CHECKING:
    from .flow import Flow
    from .trace import Step, Trace

MOST_STEPS = 60
"""Steps of a trace that are shown."""


def trace_text(trace: Trace) -> str:
    """`train-001, 2 steps: total=9`."""
    named = f"{trace.example}, " if trace.example else ""
    return printable(brief(f"{named}{count(len(trace.steps), 'step')}: {_ending(trace)}", 300))


def trace_html(trace: Trace) -> Markup:
    """Inputs, each step folded, and the outputs or what went wrong."""
    used = trace.usage
    cost = f"{count(used.calls, 'call')}, {used.tokens:,} tokens, cost {money(used.usd)}, {duration(trace.seconds)}"
    more = len(trace.steps) - MOST_STEPS
    return card(
        f"Trace {trace.example}".strip(),
        facts(trace.inputs),
        *(folded(_title(step), *_step(step)) for step in trace.steps[:MOST_STEPS]),
        line(soft(f"{more} more steps")) if more > 0 else "",
        line(strong(trace.error, "bad")) if trace.outputs is None else facts(trace.outputs),
        line(soft(cost)),
    )


def flow_text(flow: Flow) -> str:
    """The workflow's line, and the model."""
    return f"{workflow_text(flow.workflow)}; lm {flow.lm or 'none'}"


def flow_html(flow: Flow) -> Markup:
    """How it is called, its drawing, and what each step is told."""
    sketch = flow.workflow.sketch
    named = ", ".join(f"{name}: {kind}" for name, kind in sketch.inputs.items())
    call = f"flow({named}) → {', '.join(sketch.outputs)}"
    return card(
        "Flow", line(soft(call)), facts({"lm": flow.lm or "none"}), drawing(flow.workflow), prompts(flow.workflow)
    )


def _title(step: Step) -> Markup:
    outcome = strong(brief(step.error, 120), "bad") if step.error else soft(_values(step.outputs, 120))
    return Markup(f"{strong(f'{step.address} · {step.kind}')} {outcome}")


def _step(step: Step) -> Iterator[Markup]:
    yield facts({**{f"in {name}": value for name, value in step.inputs.items()}, **(step.outputs or {})})
    for message in step.messages:
        yield line(soft(message.role), text(message.content))
    for call in step.calls:
        gave = call.error or brief(dict(call.result or {}))
        yield line(soft(f"called {call.tool}"), text(f"{brief(dict(call.arguments))}\n→ {gave}"))
    if step.reply:
        yield line(soft("replied"), text(step.reply))
    if step.note:
        yield line(soft(step.note))


def _ending(trace: Trace) -> str:
    return trace.error if trace.outputs is None else _values(trace.outputs, 200)


def _values(given: Mapping[str, Any] | None, most: int) -> str:
    if given is None:
        return "no outputs"
    return brief(", ".join(f"{name}={brief(value, 60)}" for name, value in given.items()), most)
