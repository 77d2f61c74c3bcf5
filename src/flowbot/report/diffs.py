"""What is different between two workflows, their prompts and code in pieces that are the same, gone or new."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flowbot.fields import UserError
from flowbot.fields.arguments import Check, checked_arguments, one_kind
from flowbot.fields.words import count
from flowbot.run.folders import RunLike, flow_file, run_folder
from flowbot.run.result import RunResult
from flowbot.run.view import read_run
from flowbot.workflow.diff import diff as changes_between
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import (
    ChoiceParameters,
    CodeParameters,
    CoreParameters,
    LLMParameters,
    ProgramParameters,
)
from flowbot.workflow.prompt import prompt_text
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

Piece = tuple[Literal["same", "gone", "new"], str]
LITTLE = 0.5
"""Share of words in common below which a word by word comparison only confuses."""
LONG = 6000
"""Words or lines of both texts above which they are not compared: that takes the product of their lengths."""


@dataclass(frozen=True, slots=True)
class TextDiff:
    """The difference of one text of the node at a path. `code`: to be shown with fixed width, line by line."""

    node: str
    what: str
    code: bool
    pieces: tuple[Piece, ...]

    @property
    def length(self) -> int:
        """Characters of both texts that are shown."""
        return sum(len(text) for _, text in self.pieces)


@dataclass(frozen=True, slots=True)
class DiffSide:
    """One of two workflows, and what it is called."""

    name: str
    workflow: Workflow

    def dump(self) -> dict[str, Any]:
        """As JSON data: also the types of what the workflow takes and gives."""
        sketch = self.workflow.sketch
        scope = Scope.of(sketch)
        outputs = {name: scope.type_text(reference) or "?" for name, reference in sketch.outputs.items()}
        return {"name": self.name, "hash": self.workflow.hash, "inputs": dict(sketch.inputs), "outputs": outputs}


@dataclass(frozen=True, slots=True)
class WorkflowDiff:
    """What is different between two workflows.

    Args:
        a, b: the two.
        changes: steps, wiring and texts, a line each; empty if and only if they are the same.
        texts: every prompt and code text that differs, in pieces.
    """

    a: DiffSide
    b: DiffSide
    changes: tuple[str, ...]
    texts: tuple[TextDiff, ...]

    @property
    def same(self) -> bool:
        """Whether they are the same workflow."""
        return self.a.workflow.hash == self.b.workflow.hash

    @property
    def same_fields(self) -> bool:
        """Whether they take and give the same."""
        one, other = self.a.dump(), self.b.dump()
        return all(one[role] == other[role] for role in ("inputs", "outputs"))

    def dump(self) -> dict[str, Any]:
        """The object that `diff --json` prints."""
        return {
            "a": self.a.dump(),
            "b": self.b.dump(),
            "same": self.same,
            "same_fields": self.same_fields,
            "changes": list(self.changes),
            "texts": [{"node": each.node, "what": each.what, "pieces": each.pieces} for each in self.texts],
        }


_FLOW: Check = (one_kind(Workflow, RunResult, str, os.PathLike), "a workflow, its file, or a run")


@checked_arguments(a=_FLOW, b=_FLOW)
def diff(a: Workflow | RunLike, b: Workflow | RunLike | None = None) -> WorkflowDiff:
    """What is different between two workflows: the steps and their wiring, and every prompt word by word.

        >>> print("\\n".join(fb.diff(result).changes))        # from the start to what the run found

    Args:
        a: a workflow, its file, or a run, of which it is what was found.
        b: the same, compared with `a`; None: `a` is a run, and its start is compared with what it found.

    Raises:
        UserError: if there is no such workflow or run, or the run has found none yet.
    """
    if b is None:
        if isinstance(a, Workflow) or (not isinstance(a, RunResult) and Path(a).is_file()):
            raise UserError("B", "nothing", "a second workflow to compare with, or a run's folder as A alone")
        run = read_run(run_folder(a))
        if run.found is None:
            raise UserError(str(run.run_dir), "a run without a found workflow yet", "a finished run, or two files")
        left, right = DiffSide("start", run.start), DiffSide("found", run.found)
    else:
        left, right = _side(a, "a"), _side(b, "b")
    return WorkflowDiff(
        left,
        right,
        tuple(changes_between(left.workflow, right.workflow)),
        text_diffs(left.workflow, right.workflow),
    )


def _side(given: Workflow | RunLike, name: str) -> DiffSide:
    """The workflow, that of a file, or the one that a run found."""
    if isinstance(given, Workflow):
        return DiffSide(name, given)
    file = flow_file(given)
    own = not isinstance(given, RunResult) and file == Path(given)
    return DiffSide(str(file if own else file.parent), Workflow.load(file))


def joined_diffs(before: Workflow, after: Workflow) -> tuple[tuple[tuple[str, ...], TextDiff], ...]:
    """As `text_diffs`, with equal differences of several nodes said once: the nodes, and the difference."""
    joined: dict[tuple[str, tuple[Piece, ...]], tuple[list[str], TextDiff]] = {}
    # Settings first: which model, which tools. A page that shows only so many differences never leaves these out.
    for diff in sorted(text_diffs(before, after), key=lambda each: each.what != "settings"):
        joined.setdefault((diff.what, diff.pieces), ([], diff))[0].append(diff.node)
    return tuple((tuple(nodes), diff) for nodes, diff in joined.values())


def text_diffs(before: Workflow, after: Workflow) -> tuple[TextDiff, ...]:
    """Every prompt, hint, demonstration list and code text that differs, in the order of the nodes."""
    diffs: list[TextDiff] = []
    for node in dict.fromkeys(path for each in (before, after) for path, _ in walk(each.sketch)):
        old, new = node_texts(before, node), node_texts(after, node)
        for what in dict.fromkeys([*old, *new]):
            left, right = old.get(what, ""), new.get(what, "")
            if left != right:
                code = what in ("code", "program", "demonstrations")
                diffs.append(TextDiff(node, what, code, pieces(left, right, lines=code)))
    return tuple(diffs)


def pieces(before: str, after: str, *, lines: bool) -> tuple[Piece, ...]:
    """Pieces from `before` to `after`: whole lines, or words. Texts with little in common change as a whole."""
    left, right = _split(before, lines), _split(after, lines)
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    if len(left) + len(right) > LONG or (not lines and matcher.ratio() < LITTLE):
        whole: tuple[Piece, Piece] = (("gone", before), ("new", after))
        return tuple(piece for piece in whole if piece[1])
    found: list[Piece] = []
    for op, a, b, c, d in matcher.get_opcodes():
        if op == "equal":
            found.append(("same", "".join(left[a:b])))
            continue
        if b > a:
            found.append(("gone", "".join(left[a:b])))
        if d > c:
            found.append(("new", "".join(right[c:d])))
    return tuple(found)


def _split(text: str, lines: bool) -> Sequence[str]:
    return text.splitlines(keepends=True) if lines else re.findall(r"\w+|\s+|[^\w\s]", text)


def node_texts(workflow: Workflow, node: str) -> dict[str, str]:
    """The prompt texts or the code of the node at a path, by name, and its settings; what is empty is left out."""
    try:
        parameters = workflow.parameter(node)
    except KeyError:  # the other workflow's
        return {}
    texts: dict[str, str] = {}
    if isinstance(parameters, LLMParameters):
        texts = {
            "instruction": parameters.instruction,
            "messages": prompt_text(parameters.messages),
            "format hint": parameters.format_hint,
            "demonstrations": "\n".join(
                f"{_line(each.inputs)} → {_line(each.outputs)}" for each in parameters.demonstrations
            ),
            "settings": _settings(parameters),
        }
    elif isinstance(parameters, ChoiceParameters):
        texts = {"instruction": parameters.instruction, "settings": _settings(parameters)}
    elif isinstance(parameters, CodeParameters):
        texts = {"code": parameters.code}
    elif isinstance(parameters, CoreParameters):
        tools = f"tools {', '.join(parameters.tools)}" if parameters.tools else ""
        texts = {"program": parameters.program, "settings": tools}
    elif isinstance(parameters, ProgramParameters):
        texts = {name: parameters.readable(name) for name in parameters.texts}
        texts["values"] = ", ".join(f"{name} {value}" for name, value in parameters.values.items())
    return {name: text for name, text in texts.items() if text}


def _settings(parameters: LLMParameters | ChoiceParameters) -> str:
    """What is set otherwise than by default, such as `temperature 0.7, 5 samples, tools search`."""
    said = [f"model {parameters.model}"] if parameters.model else []
    if isinstance(parameters, LLMParameters):
        said += [f"temperature {parameters.temperature:g}"] if parameters.temperature else []
        said += [f"at most {count(parameters.max_tokens, 'token')}"] if parameters.max_tokens else []
        said += [f"{parameters.samples} samples"] if parameters.samples > 1 else []
        said += [f"tools {', '.join(parameters.tools)}"] if parameters.tools else []
    return ", ".join(said)


def _line(values: dict[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False)
