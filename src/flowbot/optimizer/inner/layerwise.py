"""The paper's inner step: layer-wise gradients of the batch, then theta_k <- optim_call(theta_k, {g_k}); no race."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import Sequence

from flowbot.optimizer.feedback.backward import backward_all, feedback_on, is_tuned
from flowbot.optimizer.parameters.update import update
from flowbot.optimizer.search import Search
from flowbot.runtime.together import together
from flowbot.task import Example
from flowbot.workflow.nodes import is_frozen, walk
from flowbot.workflow.parameters import CodeParameters
from flowbot.workflow.workflow import Workflow


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
        updates = await together(
            [create_task(update(search, workflow, name, feedback_on(name, gradients))) for name in tunable]
        )
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
