"""The examples of a run, and one with all that is known of it: the traces, and the feedback on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, overload

from flowbot.fields import UserError
from flowbot.fields.arguments import checked, one_kind
from flowbot.fields.near import one_of
from flowbot.run.changes import Change, FeedbackText, by_text
from flowbot.run.examples import OUTCOMES, RecordedExample, Side, read_examples
from flowbot.run.folders import RUN, RunLike, run_folder
from flowbot.run.verdict import decided
from flowbot.run.view import RunView, read_run
from flowbot.runtime.trace import Step, node_path
from flowbot.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class ShownExample:
    """An example of a run: what the run recorded of it, and the gradients on it in the order of the search."""

    run: RunView
    example: RecordedExample
    gradients: tuple[FeedbackText, ...]

    def side_of(self, workflow: str) -> Side | None:
        """The run of the workflow with that hash on this example, where it is recorded."""
        if workflow == self.run.start.hash:
            return self.example.start
        if self.run.found is not None and workflow == self.run.found.hash:
            return self.example.final
        return self.example.candidates.get(workflow)

    def workflow(self, workflow: str) -> Workflow | None:
        """The workflow that a proposal made, by its hash."""
        made = (change.workflow for change in self.run.changes if change.workflow is not None)
        return next((each for each in made if each.hash == workflow), None)

    def candidate(self, proposal: str) -> str:
        """The hash of the workflow that a proposal made, `p3` for one.

        Raises:
            UserError: if there is no such proposal, or its run on this example is not recorded.
        """
        made = {change.id: change.workflow.hash for change in self.run.changes if change.workflow is not None}
        known = [name for name, workflow in made.items() if self.side_of(workflow) is not None]
        if proposal not in known:
            expected = f"a proposal that was run on {self.example.id}"
            shown = (
                f"{expected}: {one_of(proposal, known)}" if known else f"no option: none was run on {self.example.id}"
            )
            raise UserError("--candidate", repr(proposal), shown)
        return made[proposal]

    def only(self, path: str) -> ShownExample:
        """The same with the steps and gradients of one step alone: a node's path, or the address of one call.

        Raises:
            UserError: if no workflow ran such a step here.
        """
        example = self.example
        steps = [step for side in example.sides for step in side.trace.steps]
        if not any(_matches(step, path) for step in steps):
            known = dict.fromkeys([step.node for step in steps] + [step.address for step in steps])
            raise UserError("--step", repr(path), one_of(path, known) if known else "a step; none is recorded here")

        def kept(side: Side) -> Side:
            steps = tuple(step for step in side.trace.steps if _matches(step, path))
            return side.model_copy(update={"trace": replace(side.trace, steps=steps)})

        gradients = tuple(each for each in self.gradients if each.place and path in (each.place, node_path(each.place)))
        return replace(self, example=example.with_sides(kept), gradients=gradients)

    def dump(self) -> dict[str, Any]:
        """The object that `show --json` prints."""
        example, names = self.example, self.run.names
        return {
            "run_dir": str(self.run.run_dir),
            "status": self.run.status,
            "id": example.id,
            "split": example.split,
            "inputs": dict(example.inputs),
            "expected": dict(example.expected),
            "outcome": example.outcome,
            "unchanged": self.run.unchanged,
            "start": None if example.start is None else _dump_side(example.start),
            "found": None if example.final is None else _dump_side(example.final),
            "candidates": [
                {"workflow": workflow, "about": names.get(workflow, ""), **_dump_side(side)}
                for workflow, side in example.candidates.items()
            ],
            "gradients": [
                {
                    "node": each.place,
                    "text": each.text,
                    "source": each.source,
                    "workflow": each.about,
                    "times": len(each.each),
                    "used_by": [_dump_change(change) for change in self.run.made_from(each)],
                    "about": names.get(each.about, ""),
                }
                for each in self.gradients
            ],
        }


@dataclass(frozen=True, slots=True)
class ExampleScores:
    """An example of a run in short: both scores, None where it was not run, and how many texts of feedback it got."""

    id: str
    split: str
    start: float | None
    found: float | None
    outcome: str
    gradients: int


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run, with its examples: those fixed and broken first."""

    run: RunView
    examples: tuple[ExampleScores, ...]

    def dump(self) -> dict[str, Any]:
        """The object that `show --json` prints."""
        return {
            "run_dir": str(self.run.run_dir),
            "status": self.run.status,
            "unchanged": self.run.unchanged,
            "notes": [{"about": each.about, "text": each.text, "calls": each.spent} for each in self.run.notes],
            "examples": [asdict(each) for each in self.examples],
        }


@overload
def show(run: RunLike, example: None = None) -> ShownRun: ...
@overload
def show(run: RunLike, example: str) -> ShownExample: ...
@checked(run=RUN, example=(one_kind(str), "an example's id"))
def show(run: RunLike, example: str | None = None) -> ShownRun | ShownExample:
    """What a run did on one example: prompts as sent, replies as received, tools, scores, feedback. Asks no model.

        >>> broken = [each.id for each in fb.show(result).examples if each.outcome == "broken"]
        >>> shown = fb.show(result, broken[0])
        >>> shown.example.final.trace, shown.gradients

    Args:
        run: its result, its folder, or its name in runs/.
        example: the example's id; None for all of them, in short.

    Raises:
        UserError: if there is no such run or example, or a file is damaged.
    """
    folder = run_folder(run)
    view = read_run(folder)
    if example is None:
        gradients = Counter(name for each in by_text(view.feedback) for name in each.examples)
        # Without their traces: a split may be larger than memory.
        rows = [_in_short(each, gradients[each.id]) for each in read_examples(folder)]
        return ShownRun(
            view, tuple(sorted(rows, key=lambda row: (OUTCOMES.index(row.outcome), SPLITS.index(row.split))))
        )
    known: list[str] = []
    for each in read_examples(folder):
        if each.id == example:
            return ShownExample(view, each, by_text(said for said in view.feedback if said.example == example))
        known.append(each.id)
    expected = one_of(example, known) if known else "one that the run has recorded; it has none"
    raise UserError(str(folder), f"no example {example!r}", expected)


SPLITS = ("test", "val", "train")


def _in_short(example: RecordedExample, gradients: int) -> ExampleScores:
    start, found = (None if each is None else each.score for each in (example.start, example.final))
    return ExampleScores(example.id, example.split, start, found, example.outcome, gradients)


def _matches(step: Step, path: str) -> bool:
    """Whether a step is the call at the address `path`, or a call of the node at that path."""
    return path in (step.address, step.node)


def _dump_side(side: Side) -> dict[str, Any]:
    return {**side.dump(), "usage": asdict(side.trace.usage)}


def _dump_change(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "level": change.proposal.level,
        "source": change.proposal.source,
        "title": change.proposal.title,
        "changes": list(change.proposal.edits),
        "parameters": list(change.parameters),
        "outcome": change.outcome,
        "in_final": change.in_final,
        "told": decided(change),
    }
