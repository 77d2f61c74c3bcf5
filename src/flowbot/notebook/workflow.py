"""What a notebook shows of a workflow: its drawing, with the prompts below."""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.draw.svg import draw_svg
from flowbot.fields.words import listed
from flowbot.workflow.captions import kind_text
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, CoreParameters, LLMParameters
from flowbot.workflow.prompt import prompt_text
from flowbot.workflow.workflow import Workflow

from .markup import Markup, card, facts, folded, line, soft, strong, table, text

_TOLD = {"instruction", "messages", "format_hint", "demonstrations"}
"""Parameters that are told otherwise than as settings."""


def workflow_html(workflow: Workflow) -> Markup:
    """The drawing, and below it what each step is told."""
    return card(
        "Workflow",
        soft(f" {listed(workflow.sketch.inputs, 5)} → {listed(workflow.sketch.outputs, 5)}"),
        drawing(workflow),
        prompts(workflow),
    )


def drawing(workflow: Workflow, *, highlight: frozenset[str] = frozenset()) -> Markup:
    """The picture alone; see `draw_svg`."""
    return line(Markup(draw_svg(workflow, highlight=highlight)))


def prompts(workflow: Workflow) -> Markup:
    """What each step is told, folded: instruction, format, worked examples, code, settings."""
    told = [(path, node, list(_told(workflow, path))) for path, node in walk(workflow.sketch)]
    parts = [folded(f"{path} · {kind_text(node)}", *each) for path, node, each in told if each]
    return Markup("".join(parts)) if parts else line(soft("No step has a prompt or code."))


def _told(workflow: Workflow, path: str) -> Iterator[Markup]:
    given = workflow.parameters.get(path)
    match given:
        case LLMParameters():
            said = given.instruction or prompt_text(given.messages)
            yield text(said) if said else line(soft("no instruction"))
            if given.format_hint:
                yield text(given.format_hint)
            if given.demonstrations:
                shown = [(each.inputs, each.outputs) for each in given.demonstrations]
                yield line(strong(f"Worked examples: {len(shown)}"), table(shown, ("given", "answered")))
            yield from _settings(given)
        case ChoiceParameters() if given.instruction:
            yield text(given.instruction)
        case CodeParameters() if given.code:
            yield text(given.code)
        case CoreParameters():
            yield text(given.program)
        case _:
            return


def _settings(given: LLMParameters) -> Iterator[Markup]:
    named = given.model_dump(exclude_defaults=True, exclude=_TOLD)
    if named:
        yield facts(named)
