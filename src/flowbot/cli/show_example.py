"""One example of a run for a person: prompts as sent, replies as received, scores, gradients; bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from flowbot.fields import Usage
from flowbot.fields.secrets import hide_text
from flowbot.fields.words import as_text, brief, count, duration, money, percent
from flowbot.report.diffs import node_texts
from flowbot.run.examples import Side
from flowbot.run.verdict import SOURCES, decided
from flowbot.runtime.trace import Step, ToolCall
from flowbot.workflow.workflow import Workflow

from .console import Console, Style
from .text import wrap

if TYPE_CHECKING:
    from flowbot.report.show import ShownExample

T = TypeVar("T")
MOST_CHARACTERS = 1600
"""Characters of a text that are shown without --full."""
MOST_LINES = 24
"""Lines of a text that are shown without --full."""
MOST_STEPS = 24
"""Steps of a trace that are shown without --full."""
MOST_GRADIENTS = 12
"""Gradients that are shown without --full."""
SPLITS = {"test": "a test example", "val": "a validation example", "train": "a training example"}


def show_example(shown: ShownExample, sides: Sequence[str], console: Console, *, full: bool) -> None:
    """The whole example.

    Args:
        shown: the example.
        sides: which runs of it: `start`, `found`, hashes of candidates.
        console: where to.
        full: show long texts whole.
    """
    page = _Page(console, full)
    example = shown.example
    console.say(f"{example.id}: {SPLITS.get(example.split, example.split)} of {shown.run.started.task}", "title")
    console.say()
    page.part("Inputs", example.inputs, 0, "title")
    page.part("Expected", example.expected, 0, "title")
    if not example.expected:
        console.say("Expected", "title")
        console.say("  (nothing)", "soft")
    for name in sides:
        console.say()
        if name == "found" and "start" in sides and shown.run.unchanged:
            console.say("Found workflow: the start was kept.", "title")
        elif name == "start":
            page.side("Start workflow", example.start, "it was not run on this example", shown.run.start)
        elif name == "found":
            missing = "it was not run on this example" if shown.run.done else "there is none yet"
            page.side("Found workflow", example.final, missing, shown.run.found)
        else:
            title = shown.run.names.get(name, "a candidate")
            title = title[:1].upper() + title[1:]
            page.side(title, shown.side_of(name), "its run is not recorded", shown.workflow(name))
    console.say()
    page.gradients(shown)


@dataclass(frozen=True, slots=True)
class _Page:
    """How texts are set: cut unless `full`."""

    console: Console
    full: bool

    def side(self, title: str, side: Side | None, missing: str, workflow: Workflow | None) -> None:
        """What one workflow did; `missing` says why that is not known, `workflow` has the code of its steps."""
        score = missing + "." if side is None else f"scored {percent(side.score)}"
        self.paragraph(f"{title}: {score}", 0, "title")
        if side is None:
            return
        if side.parts:
            parts = ", ".join(f"{name} {percent(value)}" for name, value in side.parts.items())
            self.paragraph(f"Parts: {parts}", 2)
        if side.spread is not None:
            self.console.say(f"  Spread of the judge's verdicts: {side.spread:.2f}", "soft")
        self.part("Feedback", side.feedback, 2)
        trace = side.trace
        if trace.error:
            self.paragraph(f"No result: {trace.error}", 2, "bad")
        else:
            self.part("Gave", trace.outputs, 2)
        if not side.whole:
            self.paragraph("The run was too large to keep the steps of every example.", 2, "soft")
            return
        took = f", {duration(trace.seconds)}" if trace.seconds >= 1 else ""
        self.console.say(f"  Took {_usage(trace.usage)}{took}; {count(len(trace.steps), 'step')}", "soft")
        for number, step in enumerate(self.some(trace.steps, MOST_STEPS), start=1):
            self.console.say()
            self.step(number, step, workflow)
        self.more(len(trace.steps) - MOST_STEPS, "more step", "--full shows all, --step PATH one")

    def step(self, number: int, step: Step, workflow: Workflow | None) -> None:
        """One step: what it was sent, what came back, what it gave."""
        self.console.say(f"  {number}. {step.address} ({step.kind})", "accent")
        facts = [_usage(step.usage)] if step.usage.calls else []
        facts += [f"{step.seconds:.1f} s"] if step.seconds >= 0.05 else []
        facts += [f"reads {', '.join(step.reads)}"] if step.reads else []
        self.paragraph("; ".join(facts), 5, "soft")
        for message in step.messages:
            calls = (f"→ {call.name} {call.arguments}" for call in message.calls)
            self.part(message.role, "\n".join(filter(None, (message.content, *calls))) or "\n", 5)
        if not step.messages:
            self.part("received", step.inputs, 5)
        if step.kind == "code" and workflow is not None:
            self.part("code", node_texts(workflow, step.node).get("code", "\n"), 5)
        for call in step.calls:
            self.call(call)
        self.part("reply", step.reply, 5)
        self.part("gave", step.outputs, 5)
        self.paragraph(step.error and f"failed: {step.error}", 5, "bad")
        self.paragraph(step.note, 5, "warn")

    def call(self, call: ToolCall) -> None:
        """One call of a tool that the model asked for."""
        took = f" ({call.seconds:.1f} s)" if call.seconds >= 0.05 else ""
        self.console.say(f"     tool {call.tool}{took}", "soft")
        self.values(call.arguments, 7)
        if call.error:
            self.paragraph(f"failed: {call.error}", 7, "bad")
        else:
            self.verbatim(f"→ {as_text(dict(call.result or {}))}", 7)

    def gradients(self, shown: ShownExample) -> None:
        """What the search wrote on this example, workflow by workflow, and what came of it."""
        number = len(shown.gradients)
        if not number:
            self.console.say("The search wrote no gradient on this example.", "title")
            return
        self.console.say(f"The search wrote {count(number, 'gradient')} on this example", "title")
        about: str | None = None
        for each in self.some(shown.gradients, MOST_GRADIENTS):
            if each.about != about:
                about = each.about
                self.console.say()
                what = shown.run.names.get(about, "a workflow of the search")
                self.paragraph(f"On {what}{_result(shown.side_of(about))}", 2, "accent")
            where = f"step {each.place}" if each.place else "the structure"
            often = f", {len(each.each)} times" if len(each.each) > 1 else ""
            self.part(f"{where}, by {SOURCES[each.source]}{often}", each.text, 4)
            for change in shown.run.made_from(each):
                text = f"→ {change.id}: {change.proposal.title.strip().rstrip('.')}; {decided(change)}."
                self.paragraph(text, 6, "good" if change.in_final else "", hang=2)
        self.more(number - MOST_GRADIENTS, "more gradient", "--full shows all")

    def some(self, every: Sequence[T], most: int) -> Sequence[T]:
        """As many as are shown."""
        return every if self.full else every[:most]

    def more(self, number: int, what: str, how: str) -> None:
        """How many are left out, if any."""
        if number > 0 and not self.full:
            self.console.say()
            self.console.say(f"  … {count(number, what)} ({how})", "soft")

    def part(self, title: str, content: str | Mapping[str, Any] | None, indent: int, style: Style = "soft") -> None:
        """A text or named values under a title; nothing where there are none."""
        if not content:
            return
        self.console.say(f"{' ' * indent}{title}", style)
        if isinstance(content, str):
            self.verbatim(content.strip("\n"), indent + 2)
        else:
            self.values(content, indent + 2)

    def values(self, values: Mapping[str, Any], indent: int) -> None:
        """Named values: short ones on the name's line."""
        for name, value in values.items():
            text = as_text(value)
            short = "\n" not in text and indent + len(name) + 2 + len(text) <= self.console.width
            self.console.say(f"{' ' * indent}{name}:{f' {text}' if short else ''}")
            if not short:
                self.verbatim(text, indent + 2)

    def verbatim(self, text: str, indent: int) -> None:
        """A text as it is, line by line behind a line, long lines wrapped; cut where it is very long."""
        kept, left = self.cut(text)
        edge = f"{' ' * indent}| "
        for line in kept.splitlines() or [""]:
            parts = wrap(line, self.console.width - len(edge), replace_whitespace=False, drop_whitespace=False)
            for number, part in enumerate(parts or [""]):
                self.console.say(f"{edge}{part.lstrip(' ') if number else part}".rstrip())
        if left:
            self.console.say(f"{' ' * indent}… {count(left, 'more character')} (--full shows all)", "soft")

    def paragraph(self, text: str, indent: int, style: Style = "", *, hang: int = 0) -> None:
        """Running text, wrapped; cut where it is very long."""
        kept, left = self.cut(text)
        more = f" … {count(left, 'more character')} (--full shows all)" if left else ""
        self.console.paragraph(kept + more, style, indent=indent, hang=hang)

    def cut(self, text: str) -> tuple[str, int]:
        """The text's beginning, and how many characters are left out: none of one that is only a little too long."""
        text = hide_text(text)
        kept = "\n".join(text.splitlines()[:MOST_LINES])[:MOST_CHARACTERS]
        left = len(text) - len(kept)
        near = left <= MOST_CHARACTERS // 10 and text.count("\n") <= MOST_LINES * 1.1
        return (text, 0) if self.full or near else (kept, left)


def _result(side: Side | None) -> str:
    """What a run came to, as a clause."""
    if side is None:
        return ""
    outputs = ", ".join(f"{name}: {as_text(value)}" for name, value in (side.trace.outputs or {}).items())
    return f", which gave {brief(outputs, 80) or 'no result'} and scored {percent(side.score)}"


def _usage(usage: Usage) -> str:
    tokens = f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens"
    cost = "" if usage.usd == 0 else ", price unknown" if usage.usd is None else f", {money(usage.usd)}"
    return f"{count(usage.calls, 'call')}, {tokens}{cost}" if usage.calls else "no model call"
