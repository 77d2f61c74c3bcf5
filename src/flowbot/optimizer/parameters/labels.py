"""Labels that a new text lists and the task has not: a step that is told of them gives answers that can never be right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from flowbot.optimizer.guard import folded, options_of
from flowbot.optimizer.step_view import step_at
from flowbot.task import Task
from flowbot.workflow.scope import parsed
from flowbot.workflow.workflow import Workflow

_BETWEEN = re.compile(r"(\s*[,/|;]\s*(?:or\s+|and\s+)?|\s+(?:or|and)\s+)")
_MARKS = " \t\"'`“”‘’*()[]{}<>.:"
_NO_LABEL = {"etc", "please", "respectively", "otherwise", "else"}
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*([^\n:–—(]{1,40}?)\s*(?:$|:|–|—| - |\()", re.MULTILINE)


def foreign_label(text: str, workflow: Workflow, path: str, task: Task) -> str:
    """A label that a text lists among those of the task, and that is none of them; "" where there is none.

    Only lists are looked at in which labels of the task stand, and at most as many others, and of these only those that are written as
    the labels beside them are: `Read.` is no label among `billing` and `technical`. What else a text names it may name.

    Args:
        text: what a step is to be told.
        workflow: what has the step.
        path: of the step.
        task: its outputs have labels, too.
    """
    labels = list(dict.fromkeys(_labels(workflow, path, task)))
    if len(labels) < 2:
        return ""
    ours = {folded(each) for each in labels}
    inputs, outputs = workflow.sketch.inputs, workflow.sketch.outputs
    known = folded(f"{task.goal} {workflow.parameter(path)} {' '.join((*inputs, *outputs))}")
    for items in _lists(text):
        beside = [each for each in items if folded(each) in ours]
        strange = [each for each in items if folded(each) not in ours]
        if len(beside) >= max(2, len(strange)):
            for each in strange:
                if _like(each, beside, labels) and f" {folded(each)} " not in f" {known} ":
                    return each.strip(_MARKS)
    return ""


def _like(item: str, beside: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether something that is listed looks like one of the labels: as short, and written as those in the same list are."""
    words = folded(item).split()
    if not words or folded(item) in _NO_LABEL or len(words) > max(len(folded(each).split()) for each in labels):
        return False
    if all(each.isupper() for each in labels):
        return item.isupper()
    return _form(item) in map(_form, beside)


def _form(item: str) -> tuple[bool, bool]:
    """Whether it begins with a large letter, and whether it ends as a sentence does."""
    return item.strip(_MARKS)[:1].isupper(), item.rstrip().endswith(".")


def _labels(workflow: Workflow, path: str, task: Task) -> Iterator[str]:
    step = step_at(workflow, path)
    yield from step.ways
    types = [parsed(text or "") for text in step.types().values()]
    for each in (*types, *(field.type for field in task.outputs)):
        if each is not None:
            yield from options_of(each)


def _lists(text: str) -> Iterator[list[str]]:
    """What a text lists: on lines with bullets, and in a sentence between commas, bars or strokes, up to the first `or`."""
    yield _BULLET.findall(text)
    for clause in re.split(r"[\n.;:!?]\s", f"{text} "):
        # What stands around a list is not of it: before its first item stand words.
        parts = _BETWEEN.split(clause)
        items = [_last_word(parts[0])]
        for between, item in zip(parts[1::2], parts[2::2], strict=True):
            items.append(item)
            if between.strip(" ,/|;"):  # an `or` ends it
                yield items
                items = [_last_word(item)]
        yield items


def _last_word(text: str) -> str:
    return text.rstrip().rpartition(" ")[2]
