"""What a notebook shows of traces, every step with what it was sent and gave, and of flows."""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.fields.words import brief, count, duration, money, named
from flowbot.runtime.flow import Flow
from flowbot.runtime.trace import Step, Trace

from .markup import Markup, card, facts, folded, line, soft, strong, text
from .workflow import drawing, prompts

MOST_STEPS = 60
"""Steps of a trace that are shown."""


def trace_html(trace: Trace) -> Markup:
    """Inputs, each step folded, and the outputs or what went wrong."""
    used = trace.usage
    cost = (
        f"{count(used.calls, 'call')}, {count(used.tokens, 'token')}, cost {money(used.usd)}, {duration(trace.seconds)}"
    )
    more = len(trace.steps) - MOST_STEPS
    return card(
        f"Trace {trace.example}".strip(),
        facts(trace.inputs),
        *(folded(_title(step), *_step(step)) for step in trace.steps[:MOST_STEPS]),
        line(soft(count(more, "more step"))) if more > 0 else "",
        line(strong(trace.error, "bad")) if trace.outputs is None else facts(trace.outputs),
        line(soft(cost)),
    )


def flow_html(flow: Flow) -> Markup:
    """How it is called, its drawing, and what each step is told."""
    sketch = flow.workflow.sketch
    inputs = ", ".join(f"{name}: {kind}" for name, kind in sketch.inputs.items())
    call = f"flow({inputs}) → {', '.join(sketch.outputs)}"
    return card(
        "Flow", line(soft(call)), facts({"lm": flow.lm or "none"}), drawing(flow.workflow), prompts(flow.workflow)
    )


def _title(step: Step) -> Markup:
    gave = "no outputs" if step.outputs is None else named(step.outputs, 120)
    outcome = strong(brief(step.error, 120), "bad") if step.error else soft(gave)
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
