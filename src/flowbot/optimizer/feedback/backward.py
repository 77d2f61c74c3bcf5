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
from collections.abc import Iterable, Mapping, Sequence

from flowbot.optimizer.prompts import fill
from flowbot.optimizer.seams import Context
from flowbot.optimizer.words import expected_text, instruction_text, loss_text, output_text, values_text
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of, together
from flowbot.runtime.trace import Step, node_path
from flowbot.workflow.nodes import CodeNode, Node, node_at

Gradients = Mapping[str, Feedback]
"""Feedback by the address of a call, the last call first."""
MAX_TOKENS = 100
MOST_CALLS = 4
"""Calls of one node in one run (steps of a loop, items of a map, samples) that are asked about: the last ones, since what stands
after a loop reads its last step."""


def is_tuned(node: Node) -> bool:
    """Whether what a node does may be changed by its parameters: its text is a model's instruction or code."""
    return isinstance(node, CodeNode) or node.asks


def feedback_on(path: str, gradients: Iterable[Gradients]) -> list[Feedback]:
    """What was said of the calls of one node, run by run."""
    return [said for each in gradients for address, said in each.items() if node_path(address) == path]


def readers(program: WorkflowProgram, row: Row, until: str | None = None) -> dict[str, list[Step]]:
    """The calls that gradients are made of, by address and in order, each with the later calls that read what it gave.

    Args:
        program: what was run.
        row: a recorded run of it.
        until: path of a node: the calls alone on which the gradients of its calls depend.
    """
    left = Counter(step.node for step in row.trace.steps)
    steps: list[Step] = []
    for step in row.trace.steps:
        if step.kind not in ("loop", "map") and left[step.node] <= MOST_CALLS:
            steps.append(step)
        left[step.node] -= 1
    found: dict[str, list[Step]] = {}
    wanted: set[str] = set()
    for place, step in enumerate(steps):
        if step.address not in wanted and until not in (None, step.node):
            continue
        around = step.node.rpartition("/")[0]
        skips = {f"{around}/{each}".lstrip("/") for each in node_at(program.workflow.sketch, step.node).feedback_from}
        later = [each for each in steps[place + 1 :] if step.address in each.reads or each.node in skips]
        found[step.address] = later
        wanted.update(each.address for each in later)
    return found


def most_questions(program: WorkflowProgram, row: Row, until: str | None = None) -> int:
    """Questions to the meta model that `backward` takes."""
    return sum(
        is_tuned(node_at(program.workflow.sketch, node_path(address))) for address in readers(program, row, until)
    )


async def backward(
    search: Context[WorkflowProgram], program: WorkflowProgram, row: Row, until: str | None = None
) -> Gradients:
    """Gradients of one scored run in reverse order of its calls, back to the calls of the node at `until`, or to the first.

    A node with a body has none: its steps have. What the meta model failed to say is left out.
    """
    links = readers(program, row, until)
    tasks: dict[str, AsyncTask[Feedback]] = {}

    async def gradient(step: Step) -> Feedback:
        later = [(each, await tasks[each.address]) for each in links[step.address]]
        if tuned := is_tuned(node_at(program.workflow.sketch, step.node)):
            text = await _ask(search, program, row, step, [(each, said.text) for each, said in later])
        else:
            expected = f"Expected of the workflow: {expected_text(row)}. Score: {loss_text(row)}"
            text = "\n".join(said.text for _, said in later) or expected
        return search.feedback(
            program.hash,
            row.example.id,
            step.address,
            text,
            source="meta" if tuned else "rule",
            after=[said.id for _, said in later if said.text],
        )

    for step in reversed(row.trace.steps):
        if step.address in links:
            tasks[step.address] = create_task(gradient(step))
    found = await together(list(tasks.values()))
    return {each.place: each for each in found if each.text}


async def backward_all(
    search: Context[WorkflowProgram], program: WorkflowProgram, rows: Sequence[Row], until: str | None = None
) -> list[Gradients]:
    """Gradients of several runs side by side, in the order of the rows."""
    return await all_of(backward(search, program, row, until) for row in rows)


async def _ask(
    search: Context[WorkflowProgram], program: WorkflowProgram, row: Row, step: Step, later: Sequence[tuple[Step, str]]
) -> str:
    shared = {
        "goal": search.task.goal,
        "step": step.address,
        "instruction": instruction_text(program.workflow, step.node),
        "inputs": values_text(step.inputs),
        "output": output_text(step),
    }
    if later:
        shown = [{"step": each.address, "output": output_text(each), "feedback": text} for each, text in later]
        prompt = fill("grad_call", **shared, successors=shown)
    else:
        prompt = fill("grad_loss", **shared, expected=expected_text(row), loss=loss_text(row))
    return await search.ask_text(prompt, "gradients", max_tokens=MAX_TOKENS)
