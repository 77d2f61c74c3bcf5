"""Our inner loop: find the step to blame, change its parameters one thing at a time, and keep what wins a race.

Blame costs nothing where a rule can see it (a step that failed, an only tunable step); else the meta model names the first
wrong step of a few runs. What is tried on that step, in this order: demonstrations from the step's own good runs (Khattab
et al. 2023, bootstrapping), an instruction written from layer-wise gradients, and mended code. A gradient that is wrong
costs one race.
"""

from __future__ import annotations

from asyncio import create_task
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from flowbot.fields import Field, Type
from flowbot.optimizer.backward import backward_all, feedback_on
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.search import Candidate, Search
from flowbot.optimizer.words import instruction_text, right_text, run_text, values_text
from flowbot.run.events import Arm, Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.together import together
from flowbot.runtime.trace import Step, node_path
from flowbot.task import Example
from flowbot.workflow.graph import paths
from flowbot.workflow.nodes import asks_model, is_frozen, node_at
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.prompt import slots
from flowbot.workflow.workflow import Workflow

from .layerwise import update

ASKED = 3
"""Failing runs that the meta model is asked about."""
SHOWN = 2
"""Demonstrations of one proposal."""
PERFECT = 1.0
FIRST_WRONG = "This is the first step that went wrong."


async def blamed_step(search: Search, workflow: Workflow, wrong: Sequence[Row]) -> tuple[str | None, list[Feedback]]:
    """The step with a model that most failing runs speak against; by rule where one can see it, else by the meta model.

    Args:
        search: the running search.
        workflow: the workflow that made the runs.
        wrong: scored runs that are not perfect, at least one.

    Returns:
        its path, None where no such step may be changed; and what the meta model said against it, where it was asked.
    """
    suspects = [
        path
        for path in paths(workflow.sketch)
        if asks_model(node_at(workflow.sketch, path)) and not is_frozen(workflow.sketch, path)
    ]
    if len(suspects) <= 1:
        return (suspects[0] if suspects else None), []
    said: list[Feedback] = []
    votes: Counter[str] = Counter()
    for row in wrong:
        failed = node_path(row.trace.error.partition(": ")[0])
        if failed in suspects:
            votes[failed] += 1
    if not votes:
        asked = wrong[:ASKED]
        names = await together([create_task(_ask_blame(search, workflow, row, suspects)) for row in asked])
        for row, name in zip(asked, names, strict=True):
            if name:
                said.append(search.feedback(workflow, row.example.id, name, FIRST_WRONG))
        votes.update(name for name in names if name)
    blamed = max(suspects, key=lambda name: votes[name]) if votes else suspects[-1]
    return blamed, [each for each in said if each.place == blamed]


async def _ask_blame(search: Search, workflow: Workflow, row: Row, suspects: list[str]) -> str:
    steps = [{"step": name, "instruction": instruction_text(workflow, name)} for name in suspects]
    system = fill("blame_step", goal=search.task.goal, steps=steps)
    user = f"{run_text(row)}\n{right_text(row, search.task.metric)}"
    fields = [Field("step", Type("literal", options=tuple(suspects)))]
    reply = await search.ask_fields(system, user, fields, "gradients", max_tokens=40)
    return str(reply["step"]) if reply else ""


class Blame:
    """One change of the parameters of the blamed step, raced against the workflow as it is."""

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The workflow with the change if it won its race, else as it was."""
        rows = await search.score(workflow, batch[: search.effort.race], "train", "looking for mistakes")
        wrong = [row for row in rows if row.score.value < PERFECT]
        if not wrong:
            return workflow
        node, blame = await blamed_step(search, workflow, wrong)
        if node is None:
            return workflow
        told = workflow.parameter(node)
        more = len(slots(told.messages)[1:]) if isinstance(told, LLMParameters) else 0
        tries = [
            ("_mend", self._mend),
            ("_demonstrate", self._demonstrate),
            ("_instruct", self._instruct),
            *((f"_instruct {slot}", partial(self._instruct, slot=slot)) for slot in range(1, more + 1)),
        ]
        for name, propose in tries:
            key = (workflow.hash, f"{name}:{node}")
            if key in search.tried:
                continue
            search.tried.add(key)
            candidate = await propose(search, workflow, node, rows, blame)
            if candidate is None:
                continue
            verdict = await search.race(candidate, workflow, batch)
            return candidate.workflow if verdict.kept else workflow
        return workflow

    async def _demonstrate(
        self, search: Search, workflow: Workflow, node: str, rows: list[Row], blame: list[Feedback]
    ) -> Candidate | None:
        """Show the step its own runs on examples that the whole workflow got right; if it got none right, and the step gives
        the task's own outputs, what is expected of it."""
        given = workflow.parameter(node)
        if not isinstance(given, LLMParameters):
            return None
        own = [
            (row, step)
            for row in rows
            if row.score.value == PERFECT
            for step in row.trace.steps
            if step.node == node and step.outputs is not None
        ]
        chosen = _spread(own or _expected(workflow, node, rows))
        if not chosen:
            return None
        shown = tuple(
            Demonstration(inputs=dict(step.inputs), outputs=dict(step.outputs or {}), example=row.example.id)
            for row, step in chosen
        )
        shown_to = workflow.with_parameter(node, given.model_copy(update={"demonstrations": shown}))
        if shown_to.hash == workflow.hash:
            return None
        ids = [row.example.id for row, _ in chosen]
        names = ", ".join(ids)
        return search.propose(
            shown_to,
            workflow,
            level="parameters",
            arm=Arm(kind="demonstrate", place=node),
            source="prior",
            title=f"show step `{node}` {len(shown)} of its own good runs"
            if own
            else f"show step `{node}` {len(shown)} right answers",
            reason=f"The runs on {names} were right, so the step is shown what it did there."
            if own
            else "No run was right to learn from, so the step is shown what training examples expect.",
            because=blame,
            shown=ids,
            edits=[f"{node}: demonstrations from {names}"],
        )

    async def _instruct(
        self, search: Search, workflow: Workflow, node: str, rows: list[Row], blame: list[Feedback], slot: int = 0
    ) -> Candidate | None:
        """Let the meta model rewrite the instruction, or one text of the user's prompt, from the gradients of some failing runs."""
        return await self._rewrite(search, workflow, node, rows, blame, slot)

    async def _mend(
        self, search: Search, workflow: Workflow, node: str, rows: list[Row], blame: list[Feedback]
    ) -> Candidate | None:
        """Let the meta model rewrite the code of a computing step that failed."""
        failing = [step for row in rows for step in row.trace.steps if step.error]
        codes = [step.node for step in failing if step.kind == "code" and not is_frozen(workflow.sketch, step.node)]
        return await self._rewrite(search, workflow, codes[0], rows, []) if codes else None

    async def _rewrite(
        self, search: Search, workflow: Workflow, node: str, rows: list[Row], blame: list[Feedback], slot: int = 0
    ) -> Candidate | None:
        wrong = [row for row in rows if row.score.value < PERFECT][:ASKED]
        search.watch.step(f"gradients of {len(wrong)} runs")
        gradients = await backward_all(search, workflow, wrong)
        parameters, error = await update(search, workflow, node, gradients, slot)
        if parameters is not None and parameters == workflow.parameter(node):
            parameters, error = None, error or "nothing changed"
        return search.propose(
            workflow.with_parameter(node, parameters) if parameters is not None else None,
            workflow,
            level="parameters",
            arm=Arm(kind="rewrite", place=node),
            source="meta",
            title=f"rewrite step `{node}` from its gradients",
            because=[*blame, *feedback_on(node, gradients)],
            shown=[row.example.id for row in wrong],
            edits=[f"{node}: rewritten"] if parameters is not None else [],
            faults=[error] if error else [],
        )


def _expected(workflow: Workflow, node: str, rows: list[Row]) -> list[tuple[Row, Step]]:
    """The step's runs with what is expected in place of what it gave: where all that it gives are outputs of the task."""
    named = {reference: name for name, reference in workflow.sketch.outputs.items()}
    gives = {each: named.get(f"{node}.{each}", "") for each in node_at(workflow.sketch, node).gives}
    return [
        (row, replace(step, outputs={each: row.example.expected[name] for each, name in gives.items()}))
        for row in rows
        if all(name in row.example.expected for name in gives.values())
        for step in row.trace.steps
        if step.node == node
    ]


def _spread(good: list[tuple[Row, Step]]) -> list[tuple[Row, Step]]:
    """Up to `SHOWN` good runs: the one with the richest output first, then the one most unlike it in length."""
    sized = sorted(good, key=lambda pair: (-len(values_text(pair[1].outputs)), pair[0].example.id))
    return [sized[0], sized[len(sized) // 2]][:SHOWN] if len(sized) > 1 else sized
