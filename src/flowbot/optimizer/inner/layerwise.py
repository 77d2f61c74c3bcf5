"""The paper's inner step: layer-wise gradients of the batch, then theta_k <- optim_call(theta_k, {g_k}); no race."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import Sequence

from flowbot.optimizer.backward import Gradients, backward_all, feedback_on, is_tuned
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.search import META_TOKENS, Search
from flowbot.optimizer.words import MOST_PROMPT, fenced, instruction_text, value_text
from flowbot.run.events import Arm
from flowbot.runtime.together import together
from flowbot.task import Example
from flowbot.workflow.check import check
from flowbot.workflow.nodes import BranchNode, is_frozen, node_at, walk
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, LLMParameters, Parameters
from flowbot.workflow.prompt import Slot, around, slots
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

LIMIT_WORDS = 80
"""Of a new instruction; a text of the user's own may grow by a fifth where it is longer."""
TOKENS_PER_WORD = 3
LETTERS_PER_WORD = 12
PART = "[PART]"
"""Stands for the text that is written anew where the rest of its prompt is shown."""


class Layerwise:
    """Every tunable step is updated once, from the gradients of the whole batch."""

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The workflow with updated instructions and code; an update that is not valid leaves its step as it was."""
        rows = await search.score(workflow, batch, "train", "running the batch")
        search.watch.step("layer-wise gradients", 0, len(rows))
        gradients = await backward_all(search, workflow, rows)
        tunable = [
            path for path, node in walk(workflow.sketch) if is_tuned(node) and not is_frozen(workflow.sketch, path)
        ]
        updates = await together([create_task(update(search, workflow, name, gradients)) for name in tunable])
        updated, changed = workflow, list[str]()
        errors: list[str] = []
        for name, (parameters, error) in zip(tunable, updates, strict=True):
            if parameters is None:
                errors.append(f"{name}: {error}")
            elif parameters != workflow.parameter(name):
                updated = updated.with_parameter(name, parameters)
                changed.append(f"{name}: new {'code' if isinstance(parameters, CodeParameters) else 'instruction'}")
        if changed or errors:
            search.propose(
                updated if changed else None,
                workflow,
                level="parameters",
                arm=Arm(kind="update"),
                source="meta",
                title="update of all steps from the batch's gradients",
                because=[one for name in tunable for one in feedback_on(name, gradients)],
                shown=[row.example.id for row in rows],
                edits=changed,
                faults=errors,
            )
        return updated


async def update(
    search: Search, workflow: Workflow, name: str, gradients: Sequence[Gradients], slot: int = 0
) -> tuple[Parameters | None, str]:
    """New parameters of one step from its gradients, or None with the reason.

    Of a prompt of the user's own one text is written anew, the longest or that of number `slot` in that order: one decision
    at a time, and whatever the reply is, the places stay.
    """
    feedback = feedback_on(name, gradients)
    if not feedback:
        return workflow.parameter(name), ""
    node = node_at(workflow.sketch, name)
    old = workflow.parameter(name)
    part = _part(old, slot)
    limit = LIMIT_WORDS if part is None else max(LIMIT_WORDS, len(part.text.split()) * 6 // 5)
    prompt = fill(
        "optim_call",
        goal=search.task.goal,
        step=name,
        kind=node.kind,
        instruction=instruction_text(workflow, name) if part is None else part.text,
        around="" if part is None else _around(old, part),
        signature=f"{', '.join(node.references())} -> {gives_text(workflow, name)}",
        feedback=[each.text for each in feedback],
        limit=limit,
    )
    reply = await search.ask_text(prompt, "proposals", max_tokens=max(META_TOKENS, TOKENS_PER_WORD * limit))
    if isinstance(old, CodeParameters):
        new: Parameters = CodeParameters(code=fenced(reply)[:8000])
    elif isinstance(old, LLMParameters | ChoiceParameters):
        if not reply.strip():
            return None, "the reply was empty"
        said = reply.strip()[: max(2000, LETTERS_PER_WORD * limit)]
        new = old.told(said, part) if isinstance(old, LLMParameters) else old.model_copy(update={"instruction": said})
    else:
        return old, ""
    if why := search.guard.copied_text(reply, workflow):
        return None, why
    defects = check(workflow.with_parameter(name, new), tools=search.signatures)
    return (None, f"{defects[0].where}: {defects[0].what}") if defects else (new, "")


def _part(told: Parameters, number: int) -> Slot | None:
    """The text of a prompt that is to be written anew; None for a step that has an instruction, or nothing but places."""
    return dict(enumerate(slots(told.messages))).get(number) if isinstance(told, LLMParameters) else None


def _around(told: Parameters, part: Slot) -> str:
    """The prompt in which a text stands, where there is more of it."""
    assert isinstance(told, LLMParameters)  # it has a prompt
    shown = around(told.messages, part, PART)
    return "" if shown == PART else value_text(shown, MOST_PROMPT)


def gives_text(workflow: Workflow, path: str) -> str:
    """What a node gives, as `n: int, why: str`; for a branch its labels."""
    node = node_at(workflow.sketch, path)
    if isinstance(node, BranchNode):
        return f"one of {', '.join(node.ways)}"
    scope, name = Scope.of(workflow.sketch).at(path), path.rpartition("/")[2]
    return ", ".join(f"{output}: {scope.type_text(f'{name}.{output}')}" for output in node.gives)
