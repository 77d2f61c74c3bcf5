"""One example of a run as lines for a person: prompts as sent, replies as received, scores, gradients; bounded."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowbot.fields.secrets import hide_text
from flowbot.fields.words import count, duration, money, percent
from flowbot.report.diffs import node_texts
from flowbot.run.examples import as_text
from flowbot.run.verdict import SOURCES, decided

from .console import Style
from .text import wrap

if TYPE_CHECKING:
    from flowbot.fields import Usage
    from flowbot.report.show import ShownExample
    from flowbot.run.examples import Side
    from flowbot.runtime.trace import Step, ToolCall
    from flowbot.workflow.workflow import Workflow

Line = tuple[str, Style]

MOST_CHARACTERS = 1600
"""Characters of a text that are shown without --full."""
MOST_LINES = 24
"""Lines of a text that are shown without --full."""
MOST_STEPS = 24
"""Steps of a trace that are shown without --full."""
MOST_GRADIENTS = 12
"""Gradients that are shown without --full."""
SPLITS = {"test": "a test example", "val": "a validation example", "train": "a training example"}


def lines_of(shown: ShownExample, sides: Sequence[str], *, full: bool, width: int) -> Iterator[Line]:
    """The whole example.

    Args:
        shown: the example.
        sides: which runs of it: `start`, `found`, hashes of candidates.
        full: show long texts whole.
        width: columns at most; only a name longer than that passes it.
    """
    page = _Page(full, width)
    example, names = shown.example, shown.names
    yield f"{example.id}: {SPLITS.get(example.split, example.split)} of {shown.run.started.task}", "title"
    yield "", ""
    yield "Inputs", "title"
    yield from page.values(example.inputs, 2)
    yield "Expected", "title"
    if example.expected:
        yield from page.values(example.expected, 2)
    else:
        yield "  (none is given)", "soft"
    for name in sides:
        yield "", ""
        if name == "found" and "start" in sides and shown.run.unchanged:
            yield "Found workflow: the start was kept.", "title"
        elif name == "start":
            yield from page.side("Start workflow", example.start, "it was not run on this example", shown.run.start)
        elif name == "found":
            missing = "it was not run on this example" if shown.run.done else "there is none yet"
            yield from page.side("Found workflow", example.final, missing, shown.run.found)
        else:
            title = names.get(name, "A candidate")
            yield from page.side(
                title[:1].upper() + title[1:], shown.side_of(name), "its run is not recorded", shown.workflow(name)
            )
    yield "", ""
    yield from page.gradients(shown)


class _Page:
    """How texts are set: cut unless `full`, wrapped to `width` columns."""

    def __init__(self, full: bool, width: int) -> None:
        self.full = full
        self.width = width

    def side(self, title: str, side: Side | None, missing: str, workflow: Workflow | None) -> Iterator[Line]:
        """What one workflow did; `missing` says why that is not known, `workflow` has the code of its steps."""
        if side is None:
            yield from self.paragraph(f"{title}: {missing}.", 0, "title")
            return
        yield from self.paragraph(f"{title}: scored {percent(side.score)}", 0, "title")
        if side.parts:
            parts = ", ".join(f"{name} {percent(value)}" for name, value in side.parts.items())
            yield from self.paragraph(f"Parts: {parts}", 2)
        if side.spread is not None:
            yield f"  Spread of the judge's verdicts: {side.spread:.2f}", "soft"
        if side.feedback:
            yield "  Feedback", "soft"
            yield from self.verbatim(side.feedback, 4)
        trace = side.trace
        if trace.error:
            yield from self.paragraph(f"No result: {trace.error}", 2, "bad")
        elif trace.outputs is not None:
            yield "  Gave", "soft"
            yield from self.values(trace.outputs, 4)
        if not side.whole:
            yield from self.paragraph("The run was too large to keep the steps of every example.", 2, "soft")
            return
        steps = trace.steps
        took = f", {duration(trace.seconds)}" if trace.seconds >= 1 else ""
        yield f"  Took {_usage(trace.usage)}{took}; {count(len(steps), 'step')}", "soft"
        for number, step in enumerate(steps if self.full else steps[:MOST_STEPS], start=1):
            yield "", ""
            yield from self.step(number, step, workflow)
        if len(steps) > MOST_STEPS and not self.full:
            yield "", ""
            yield f"  … {count(len(steps) - MOST_STEPS, 'more step')} (--full shows all, --step PATH one)", "soft"

    def step(self, number: int, step: Step, workflow: Workflow | None) -> Iterator[Line]:
        """One step: what it was sent, what came back, what it gave."""
        yield f"  {number}. {step.address} ({step.kind})", "accent"
        facts = [_usage(step.usage)] if step.usage.calls else []
        facts += [f"{step.seconds:.1f} s"] if step.seconds >= 0.05 else []
        facts += [f"reads {', '.join(step.reads)}"] if step.reads else []
        if facts:
            yield from self.paragraph("; ".join(facts), 5, "soft")
        for message in step.messages:
            yield f"     {message.role}", "soft"
            text = message.content
            for call in message.calls:
                text += f"\n→ {call.name} {call.arguments}"
            yield from self.verbatim(text.removeprefix("\n"), 7)
        if not step.messages and step.inputs:
            yield "     received", "soft"
            yield from self.values(step.inputs, 7)
        if step.kind == "code" and workflow is not None:
            yield "     code", "soft"
            yield from self.verbatim(node_texts(workflow, step.node).get("code", ""), 7)
        for call in step.calls:
            yield from self.call(call)
        if step.reply:
            yield "     reply", "soft"
            yield from self.verbatim(step.reply, 7)
        if step.outputs is not None:
            yield "     gave", "soft"
            yield from self.values(step.outputs, 7)
        if step.error:
            yield from self.paragraph(f"failed: {step.error}", 5, "bad")
        if step.note:
            yield from self.paragraph(step.note, 5, "warn")

    def call(self, call: ToolCall) -> Iterator[Line]:
        """One call of a tool that the model asked for."""
        took = f" ({call.seconds:.1f} s)" if call.seconds >= 0.05 else ""
        yield f"     tool {call.tool}{took}", "soft"
        yield from self.values(call.arguments, 7)
        if call.error:
            yield from self.paragraph(f"failed: {call.error}", 7, "bad")
        else:
            yield from self.verbatim(f"→ {as_text(dict(call.result or {}))}", 7)

    def gradients(self, shown: ShownExample) -> Iterator[Line]:
        """What the search said of this example, workflow by workflow, and what came of it."""
        gradients, names = shown.gradients, shown.names
        if not gradients:
            yield "The search wrote no gradient on this example.", "title"
            return
        yield f"The search wrote {count(len(gradients), 'gradient')} on this example", "title"
        about: str | None = None
        for each in gradients if self.full else gradients[:MOST_GRADIENTS]:
            if each.about != about:
                about = each.about
                told = names.get(about, "a workflow of the search") + self.result(shown.side_of(about))
                yield "", ""
                yield from self.paragraph(f"On {told}", 2, "accent")
            where = f"step {each.place}" if each.place else "the structure"
            often = f", {each.times} times" if each.times > 1 else ""
            yield f"    {where}, by {SOURCES[each.source]}{often}", "soft"
            yield from self.verbatim(each.text, 6)
            for change in each.used_by:
                told = f"→ {change.id}: {change.proposal.title.strip().rstrip('.')}; {decided(change)}."
                yield from self.paragraph(told, 6, "good" if change.in_final else "", hang=2)
        if len(gradients) > MOST_GRADIENTS and not self.full:
            yield "", ""
            yield f"  … {count(len(gradients) - MOST_GRADIENTS, 'more gradient')} (--full shows all)", "soft"

    def result(self, side: Side | None) -> str:
        """What a run came to, as a clause."""
        if side is None:
            return ""
        trace = side.trace
        given = ", ".join(f"{name}: {as_text(value)}" for name, value in (trace.outputs or {}).items())
        gave = f"gave {textwrap.shorten(hide_text(given), 80, placeholder='…')}" if given else "gave no result"
        return f", which {gave} and scored {percent(side.score)}"

    def values(self, values: Mapping[str, Any], indent: int) -> Iterator[Line]:
        """Named values: short ones on the name's line."""
        for name, value in values.items():
            text = as_text(value)
            if "\n" not in text and indent + len(name) + 2 + len(text) <= self.width:
                yield f"{' ' * indent}{name}: {text}", ""
            else:
                yield f"{' ' * indent}{name}:", ""
                yield from self.verbatim(text, indent + 2)

    def verbatim(self, text: str, indent: int) -> Iterator[Line]:
        """A text as it is, line by line behind a bar, long lines wrapped; cut where it is very long."""
        text = hide_text(text)
        kept, left = (text, 0) if self.full else cut(text)
        bar = f"{' ' * indent}| "
        for line in kept.splitlines() or [""]:
            wrapped = wrap(line, self.width - len(bar), replace_whitespace=False, drop_whitespace=False)
            for number, part in enumerate(wrapped or [""]):
                yield f"{bar}{part.lstrip(' ') if number else part}".rstrip(), ""
        if left:
            yield f"{' ' * indent}… {left:,} more characters (--full shows all)", "soft"

    def paragraph(self, text: str, indent: int, style: Style = "", *, hang: int = 0) -> Iterator[Line]:
        """Running text, wrapped; cut where it is very long."""
        text = hide_text(text)
        kept, left = (text, 0) if self.full else cut(text)
        more = f" … {left:,} more characters (--full shows all)" if left else ""
        first, later = " " * indent, " " * (indent + hang)
        for line in wrap(kept + more, self.width, initial_indent=first, subsequent_indent=later):
            yield line, style


def cut(text: str) -> tuple[str, int]:
    """The text's beginning, and how many characters are left out: none of a text that is only a little too long."""
    kept = "\n".join(text.splitlines()[:MOST_LINES])[:MOST_CHARACTERS]
    left = len(text) - len(kept)
    return (text, 0) if left <= MOST_CHARACTERS // 10 and text.count("\n") <= MOST_LINES * 1.1 else (kept, left)


def _usage(usage: Usage) -> str:
    tokens = f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens"
    cost = "" if usage.usd == 0 else ", price unknown" if usage.usd is None else f", {money(usage.usd)}"
    return f"{count(usage.calls, 'call')}, {tokens}{cost}" if usage.calls else "no model call"
