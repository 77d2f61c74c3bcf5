"""The paper's inner step: layer-wise gradients of the batch, then theta_k <- optim_call(theta_k, {g_k}); no race."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import Sequence

from flowbot.optimize.backward import Gradients, backward_all
from flowbot.optimize.guard import copied_answer
from flowbot.optimize.prompts import fill
from flowbot.optimize.search import Search
from flowbot.optimize.words import fenced, instruction_text
from flowbot.runtime.together import together
from flowbot.task import Example
from flowbot.workflow import CodeNode, CodeParameters, LLMNode, LLMParameters, Parameters, Workflow, check

LIMIT_WORDS = 80


class Layerwise:
    """Every tunable step is updated once, from the gradients of the whole batch."""

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The workflow with updated instructions and code; an update that is not valid leaves its step as it was."""
        rows = await search.score(workflow, batch, "train", "running the batch")
        search.say("layer-wise gradients", 0, len(rows))
        gradients = await backward_all(search, workflow, rows)
        tunable = [
            name
            for name, node in workflow.sketch.nodes.items()
            if isinstance(node, LLMNode | CodeNode) and not node.frozen
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
    feedback = [each[name] for each in gradients if each.get(name)]
    if not feedback:
        return workflow.parameter(name), ""
    node = workflow.sketch.nodes[name]
    prompt = fill(
        "optim_call",
        goal=search.task.goal,
        step=name,
        kind=node.kind,
        instruction=instruction_text(workflow, name),
        signature=f"{', '.join(node.references())} -> {', '.join(f'{k}: {v}' for k, v in node.out.items())}",
        feedback=feedback,
        limit=LIMIT_WORDS,
    )
    reply = await search.ask_text(prompt, "proposals")
    old = workflow.parameter(name)
    if isinstance(old, CodeParameters):
        new: Parameters = CodeParameters(code=fenced(reply)[:8000])
    elif isinstance(old, LLMParameters):
        if not reply.strip():
            return None, "the reply was empty"
        new = old.model_copy(update={"instruction": reply.strip()[:2000]})
    else:
        return old, ""
    copied = copied_answer(reply, search.task.splits["train"])
    if copied:
        return None, copied
    defects = check(workflow.with_parameter(name, new), tools=search.signatures)
    return (None, f"{defects[0].where}: {defects[0].what}") if defects else (new, "")
