"""The question for a new text: the step within its workflow, what was said of its calls, what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from flowbot.fields.words import count
from flowbot.optimizer.feedback.backward import Gradients, feedback_on
from flowbot.optimizer.feedback.parts import peers, suspects
from flowbot.optimizer.feedback.runs import PERFECT, calls_of
from flowbot.optimizer.parameters.wording import Wording, text_at, texts_of
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import instruction_text, output_text, sentence, value_text, values_text
from flowbot.optimizer.seams import Context, MetaMode
from flowbot.optimizer.step_view import has_step
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step
from flowbot.workflow.parameters import LLMParameters, Parameters
from flowbot.workflow.workflow import Workflow

EDITS: Mapping[str, str] = {
    "add": "add what is missing, such as a rule, a definition or a check",
    "remove": "take out what misleads or is not needed",
    "reword": "say more exactly what is unclear",
    "reorder": "put what decides first, or break the work into numbered steps",
}
"""The kinds of edits that several proposals are to differ in."""
HISTORY, FAILED, REFUSED = 3, 5, 2
"""Texts with their scores, and failed tries, that are shown, and of these at most so many that never ran."""
BRIEF: Mapping[MetaMode, int] = {"small": 240, "large": 1200}
"""Characters of a text or value that is shown beside others."""


class Question(NamedTuple):
    """What is asked, and what of it an answer may repeat."""

    text: str
    quotable: Sequence[str]


def question(
    context: Context,
    parent: Candidate,
    path: str,
    now: Wording,
    rows: Sequence[Row],
    gradients: Sequence[Gradients],
    edits: Sequence[str],
    refused: Sequence[str],
) -> Question:
    """The whole question.

    Args:
        context: of the search.
        parent: whose step is told something new.
        path: of the step.
        now: the text that is written anew.
        rows: recorded runs of a subset.
        gradients: of each of them.
        edits: kinds of edits to differ in; empty: one text is wanted.
        refused: what was written for it and not taken, each with why.
    """
    workflow, most = parent.program.workflow, BRIEF[context.meta_mode]
    others = [each for each in suspects(parent.program) if each != path]
    history = _history(context, parent, path, now)
    failed = [*_failed(context, parent, path, now), *refused[-REFUSED:]][-FAILED:]
    text = fill(
        "autodiff_update",
        goal=context.task.goal,
        workflow=sentence(workflow),
        others=[{"step": each, "text": value_text(instruction_text(workflow, each), most)} for each in others],
        step=path,
        now=now,
        score=_mean(context, parent),
        peers=[*_peers(workflow.parameter(path), now, most), *_beside(workflow, peers(rows, path), most)],
        examples=list(_examples(context, parent.program, path, rows, gradients)),
        history=history,
        failed=failed,
        edits=[f"{name}: {EDITS[name]}" for name in edits],
    )
    return Question(text, [*(each.text for each in feedback_on(path, rows, gradients)), *history, *failed])


def _peers(told: Parameters, now: Wording, most: int) -> Iterator[str]:
    """What the step has besides the text: a new text must go with it."""
    if not isinstance(told, LLMParameters):
        return
    if now.part == "format_hint":
        yield f"instruction: {value_text(text_at(told, texts_of(told)[0]), most)}"
    elif told.format_hint:
        yield f"format: {value_text(told.format_hint, most)}"
    if told.demonstrations:
        first = told.demonstrations[0]
        shown = value_text(f"{values_text(first.inputs)} -> {values_text(first.outputs)}", most)
        yield f"{count(len(told.demonstrations), 'worked example')}, such as {shown}"
    if told.tools:
        yield f"tools that it may call: {', '.join(told.tools)}"
    if told.samples > 1:
        yield f"it is asked {told.samples} times"


def _beside(workflow: Workflow, paths: Sequence[str], most: int) -> Iterator[str]:
    return (f"`{each}` in the same request: {value_text(instruction_text(workflow, each), most)}" for each in paths)


def _examples(
    context: Context, program: WorkflowProgram, path: str, rows: Sequence[Row], gradients: Sequence[Gradients]
) -> Iterator[dict[str, Any]]:
    """Runs with what was said of the step's calls: the worst first, calls in the order in which they were made."""
    told = context.told(program, rows)
    for place in sorted(range(len(rows)), key=lambda each: told[each].score.value):
        right = rows[place].score.value >= PERFECT
        said = gradients[place]
        calls = [step for step in calls_of(rows[place], path) if right or step.address in said]
        if not calls:
            continue
        yield {
            "score": f"{told[place].score.value:.2f}",
            "right": right,
            "calls": [
                _call(step, said.get(step.address, ()), BRIEF[context.meta_mode])
                for step in (calls[-1:] if right else calls)
            ],
        }


def _call(step: Step, said: Sequence[Feedback], most: int) -> dict[str, Any]:
    return {
        "step": step.address,
        "received": value_text(values_text(step.inputs), most),
        "gave": value_text(output_text(step), most),
        "said": [
            {"part": each.part or "what it gave", "text": value_text(each.text, most)}
            for each in said
            if not each.part.startswith("in.")  # that is said of the steps before
        ],
    }


def _history(context: Context, parent: Candidate, path: str, now: Wording) -> list[str]:
    """The best other texts that the step had in what this one was made from, each with its score."""
    found: dict[str, tuple[float, str]] = {}
    for each in parent.history[:-1]:
        text = _text(each.program, path, now)
        if text and text != now.text and (scores := _scores(context, each)):
            known = found.get(text, (-1.0, ""))
            found[text] = max(known, (fmean(scores), _mean(context, each)))
    best = sorted(found, key=lambda text: -found[text][0])[:HISTORY]
    return [f"(score {found[text][1]}) {value_text(text, BRIEF[context.meta_mode])}" for text in best]


def _failed(context: Context, parent: Candidate, path: str, now: Wording) -> Iterator[str]:
    """Texts that were tried in place of this one and did not stay, in the order in which they were tried."""
    for each in context.population.members:
        text = _text(each.program, path, now)
        if (each.origin or each.parent) is not parent or each.state not in ("dropped", "set aside") or text == now.text:
            continue
        for name, split in (("validation", context.validation), ("training", context.training)):
            mine, theirs = (context.population.outcomes(one.program) for one in (each, parent))
            if both := [row for row in split if row in mine and row in theirs]:
                means = [fmean(seen[row].score for row in both) for seen in (mine, theirs)]
                why = f"{means[0]:.2f}, where the text now has {means[1]:.2f}, on {count(len(both), f'{name} row')}"
                yield f"{value_text(text, BRIEF[context.meta_mode])} ({why})"
                break


def _text(program: WorkflowProgram, path: str, now: Wording) -> str:
    """What stands in a program where `now` stands; "" where there is no such step."""
    return text_at(program.workflow.parameter(path), now.part) if has_step(program.workflow, path) else ""


def _scores(context: Context, candidate: Candidate) -> list[float]:
    """Of validation, where it was run there; else of training."""
    scores = context.population.scores
    return scores(candidate.program, context.validation) or scores(candidate.program, context.training)


def _mean(context: Context, candidate: Candidate) -> str:
    scores = _scores(context, candidate)
    return f"{fmean(scores):.2f} on {count(len(scores), 'row')}" if scores else ""
