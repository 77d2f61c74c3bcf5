"""The paper's inner step: layer-wise gradients of the batch, then theta_k <- optim_call(theta_k, {g_k}); no race."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import Sequence

from flowbot.optimize.backward import Gradients, backward_all, feedback_on, is_tuned
from flowbot.optimize.prompts import fill
from flowbot.optimize.search import Search
from flowbot.optimize.words import fenced, instruction_text
from flowbot.runtime.together import together
from flowbot.task import Example
from flowbot.workflow import (
    BranchNode,
    ChoiceParameters,
    CodeParameters,
    LLMParameters,
    Parameters,
    Scope,
    Workflow,
    check,
    is_frozen,
    node_at,
    walk,
)

LIMIT_WORDS = 80


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
                source="meta",
                title="update of all steps from the batch's gradients",
                reason=next((text for each in gradients for text in each.values()), ""),
                changes=changed,
                errors=errors,
            )
        return updated


async def update(
    search: Search, workflow: Workflow, name: str, gradients: Sequence[Gradients]
) -> tuple[Parameters | None, str]:
    """New parameters of one step from its gradients, or None with the reason."""
    feedback = feedback_on(name, gradients)
    if not feedback:
        return workflow.parameter(name), ""
    node = node_at(workflow.sketch, name)
    prompt = fill(
        "optim_call",
        goal=search.task.goal,
        step=name,
        kind=node.kind,
        instruction=instruction_text(workflow, name),
        signature=f"{', '.join(node.references())} -> {gives_text(workflow, name)}",
        feedback=feedback,
        limit=LIMIT_WORDS,
    )
    reply = await search.ask_text(prompt, "proposals")
    old = workflow.parameter(name)
    if isinstance(old, CodeParameters):
        new: Parameters = CodeParameters(code=fenced(reply)[:8000])
    elif isinstance(old, LLMParameters | ChoiceParameters):
        if not reply.strip():
            return None, "the reply was empty"
        new = old.model_copy(update={"instruction": reply.strip()[:2000]})
    else:
        return old, ""
    if why := search.guard.copied_text(reply, workflow):
        return None, why
    defects = check(workflow.with_parameter(name, new), tools=search.signatures)
    return (None, f"{defects[0].where}: {defects[0].what}") if defects else (new, "")


def gives_text(workflow: Workflow, path: str) -> str:
    """What a node gives, as `n: int, why: str`; for a branch its labels."""
    node = node_at(workflow.sketch, path)
    if isinstance(node, BranchNode):
        return f"one of {', '.join(node.ways)}"
    scope, name = Scope.of(workflow.sketch).at(path), path.rpartition("/")[2]
    return ", ".join(f"{output}: {scope.type_text(f'{name}.{output}')}" for output in node.gives)
