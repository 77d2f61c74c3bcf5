"""Backward: textual gradients through the recorded run, layer by layer, in reverse topological order.

    last layer      g_K = grad_loss(x_K, y, loss)
    earlier layer   g_k = grad_call(x_k, x_{k+1}, g_{k+1})

(FlowBot, arXiv 2604.26258.) A step that feeds several others gets the feedback of all, joined in sketch order. A step that
nothing tunes (tool, merge) passes on what it got, at no cost; where it comes last, what was expected and the score. Steps that do not wait for each other are asked about side
by side.
"""

from __future__ import annotations

from asyncio import Task as AsyncTask
from asyncio import create_task
from collections.abc import Sequence

from flowbot.runtime import Row, Step
from flowbot.runtime.together import together
from flowbot.workflow import CodeNode, LLMNode, Workflow, successors

from .prompts import fill
from .search import Search
from .words import instruction_text, loss_text, output_text, values_text

Gradients = dict[str, str]
"""Feedback text by node."""
MAX_TOKENS = 100


async def backward(search: Search, workflow: Workflow, row: Row) -> Gradients:
    """Gradients of one scored run, by node, for every step that ran, in reverse order of the steps."""
    sketch = workflow.sketch
    steps = {step.address: step for step in row.trace.steps}
    rank = {name: index for index, name in enumerate(steps)}
    tasks: dict[str, AsyncTask[str]] = {}

    async def gradient(name: str) -> str:
        node = sketch.nodes[name]
        heard = dict.fromkeys((*successors(sketch, name), *node.feedback_from))
        later = [each for each in heard if each in steps and rank[each] > rank[name]]
        feedback = [(steps[each], await tasks[each]) for each in later]
        if not isinstance(node, LLMNode | CodeNode):
            expected = f"Expected of the workflow: {values_text(row.example.expected)}. Score: {loss_text(row)}"
            return "\n".join(text for _, text in feedback) or expected
        return await _ask(search, workflow, row, steps[name], feedback)

    for name in reversed(steps):
        tasks[name] = create_task(gradient(name))
    return dict(zip(tasks, await together(list(tasks.values())), strict=True))


async def backward_all(search: Search, workflow: Workflow, rows: Sequence[Row]) -> list[Gradients]:
    """Gradients of several runs side by side; journalled in the order of the rows, whatever came back first."""
    found = await together([create_task(backward(search, workflow, row)) for row in rows])
    for row, gradients in zip(rows, found, strict=True):
        for name, text in gradients.items():
            tuned = isinstance(workflow.sketch.nodes[name], LLMNode | CodeNode)
            search.gradient(
                level="call", example=row.example.id, node=name, text=text, source="meta" if tuned else "rule"
            )
    return found


async def _ask(search: Search, workflow: Workflow, row: Row, step: Step, later: list[tuple[Step, str]]) -> str:
    shared = {
        "goal": search.task.goal,
        "step": step.address,
        "instruction": instruction_text(workflow, step.address),
        "inputs": values_text(step.inputs),
        "output": output_text(step),
    }
    if later:
        shown = [{"step": each.address, "output": output_text(each), "feedback": text} for each, text in later]
        prompt = fill("grad_call", **shared, successors=shown)
    else:
        prompt = fill("grad_loss", **shared, expected=values_text(row.example.expected), loss=loss_text(row))
    return await search.ask_text(prompt, "gradients", max_tokens=MAX_TOKENS)
