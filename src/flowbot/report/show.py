"""One example of a run with all that is known of it, for `flowbot show`: the traces, and the feedback on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.run.changes import Change, FeedbackText, by_text
from flowbot.run.examples import RecordedExample, Side, read_examples
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


def read_shown(run_dir: Path, example: str) -> ShownExample:
    """One example of a run.

    Raises:
        UserError: if there is no such run or example, or a file is damaged.
    """
    run = read_run(run_dir)
    known: list[str] = []
    for each in read_examples(run_dir):
        if each.id == example:
            return ShownExample(run, each, by_text(said for said in run.feedback if said.example == example))
        known.append(each.id)
    expected = one_of(example, known) if known else "one that the run has recorded; it has none"
    raise UserError(str(run_dir), f"no example {example!r}", expected)


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
