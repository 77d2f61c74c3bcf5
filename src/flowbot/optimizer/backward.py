"""Backward: textual gradients through the recorded run, call by call, against the direction of the data.

    last layer      g_K = grad_loss(x_K, y, loss)
    earlier layer   g_k = grad_call(x_k, x_{k+1}, g_{k+1})

(FlowBot, arXiv 2604.26258; through loops and maps as LLM-AutoDiff, arXiv 2501.16673.) What is walked is the run, not the sketch: a
step is linked to those that read what it gave, so a loop unrolls and a map fans out by itself. A step that feeds several others
gets the feedback of all, joined in order. A step that nothing tunes (tool, merge) passes on what it got, at no cost; where it
comes last, what was expected and the score. Steps that do not wait for each other are asked about side by side.
"""

from __future__ import annotations

from asyncio import Task as AsyncTask
from asyncio import create_task
from collections import Counter
from collections.abc import Iterable, Sequence

from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.together import together
from flowbot.runtime.trace import Step, node_path
from flowbot.workflow.nodes import CodeNode, Node, asks_model, node_at
from flowbot.workflow.workflow import Workflow

from .prompts import fill
from .search import Search
from .words import expected_text, instruction_text, loss_text, output_text, values_text

Gradients = dict[str, Feedback]
"""Feedback by the address of a step."""
MAX_TOKENS = 100
MOST_CALLS = 4
"""Calls of one node in one run (steps of a loop, items of a map, samples) that are asked about: the last ones, since what stands
after a loop reads its last step."""


def is_tuned(node: Node) -> bool:
    """Whether the inner loop may change what a node does: its text is a model's instruction or code."""
    return isinstance(node, CodeNode) or asks_model(node)


def feedback_on(path: str, gradients: Iterable[Gradients]) -> list[Feedback]:
    """What was said of the calls of one node, run by run."""
    return [one for each in gradients for address, one in each.items() if one.text and node_path(address) == path]


def readers(workflow: Workflow, row: Row) -> tuple[dict[str, Step], dict[str, list[Step]]]:
    """The calls of a run that are asked about, and for each those after it that read it or whose feedback it takes."""
    left = Counter(step.node for step in row.trace.steps)
    steps: dict[str, Step] = {}
    for step in row.trace.steps:
        if step.kind not in ("loop", "map") and left[step.node] <= MOST_CALLS:
            steps[step.address] = step
        left[step.node] -= 1
    nodes = {step.node: node_at(workflow.sketch, step.node) for step in steps.values()}
    heard: dict[str, list[Step]] = {address: [] for address in steps}
    passed: set[str] = set()
    for step in steps.values():
        passed.add(step.address)
        skips = {f"{step.node.rpartition('/')[0]}/{each}".lstrip("/") for each in nodes[step.node].feedback_from}
        for other in steps.values():
            if other.address not in passed and (step.address in other.reads or other.node in skips):
                heard[step.address].append(other)
    return steps, heard


async def backward(search: Search, workflow: Workflow, row: Row) -> dict[str, str]:
    """Feedback on one scored run, by step, in reverse order of the steps. A node with a body has none: its steps have."""
    steps, heard = readers(workflow, row)
    tasks: dict[str, AsyncTask[str]] = {}

    async def gradient(step: Step) -> str:
        feedback = [(later, await tasks[later.address]) for later in heard[step.address]]
        if not is_tuned(node_at(workflow.sketch, step.node)):
            expected = f"Expected of the workflow: {expected_text(row)}. Score: {loss_text(row)}"
            return "\n".join(text for _, text in feedback) or expected
        return await _ask(search, workflow, row, step, feedback)

    for step in reversed(steps.values()):
        tasks[step.address] = create_task(gradient(step))
    return dict(zip(tasks, await together(list(tasks.values())), strict=True))


async def backward_all(search: Search, workflow: Workflow, rows: Sequence[Row]) -> list[Gradients]:
    """Gradients of several runs side by side; journalled in the order of the rows, whatever came back first."""
    found = await together([create_task(backward(search, workflow, row)) for row in rows])
    journalled: list[Gradients] = []
    for row, texts in zip(rows, found, strict=True):
        _, heard = readers(workflow, row)
        gradients: Gradients = {}
        for address, text in texts.items():
            source = "meta" if is_tuned(node_at(workflow.sketch, node_path(address))) else "rule"
            after = [gradients[later.address].id for later in heard[address]]
            gradients[address] = search.feedback(workflow, row.example.id, address, text, source=source, after=after)
        journalled.append(gradients)
    return journalled


async def _ask(search: Search, workflow: Workflow, row: Row, step: Step, later: list[tuple[Step, str]]) -> str:
    shared = {
        "goal": search.task.goal,
        "step": step.address,
        "instruction": instruction_text(workflow, step.node),
        "inputs": values_text(step.inputs),
        "output": output_text(step),
    }
    if later:
        shown = [{"step": each.address, "output": output_text(each), "feedback": text} for each, text in later]
        prompt = fill("grad_call", **shared, successors=shown)
    else:
        prompt = fill("grad_loss", **shared, expected=expected_text(row), loss=loss_text(row))
    return await search.ask_text(prompt, "gradients", max_tokens=MAX_TOKENS)
