"""What a workflow asks of models: which steps, which model, how often at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .core import read_core
from .nodes import CoreNode, HasNodes, LLMNode, LoopNode, MapNode, ProgramNode, walk
from .parameters import ChoiceParameters, CoreParameters, LLMParameters, Parameters, ProgramParameters
from .workflow import Workflow


def asked_models(workflow: Workflow) -> Iterator[tuple[str, str | None]]:
    """The steps that ask a model, each with the model string in its parameters; None: the run's own model."""
    for path, node in walk(workflow.sketch):
        if node.asks:
            yield path, _model(workflow.parameter(path))
        for name, filling in fillings(workflow, path):
            yield from ((f"{path}:{name}/{inner}", model) for inner, model in asked_models(filling))


def fillings(workflow: Workflow, path: str) -> Iterator[tuple[str, Workflow]]:
    """What fills the places of the program at a path: the place's name, and the workflow.

    Raises:
        UserError: if what stands there is no workflow.
    """
    told = workflow.parameters.get(path)
    for name in told.slots if isinstance(told, ProgramParameters) else ():
        yield name, workflow.filling(path, name)


def most_calls(workflow: Workflow) -> int:
    """Model calls that one run of a workflow makes at most, asking again aside: every way, step, item, sample and round."""
    return int(_calls(workflow, workflow.sketch, "", lambda model: 1, most=True))


def usual_calls(workflow: Workflow, weight: Callable[[str | None], float] = lambda model: 1) -> float:
    """Model calls of a run that goes well: every way, each body once, one round of tools. Bounds are there for runs that do not.

    Args:
        workflow: that is run.
        weight: what a call of a step's model counts as.
    """
    return _calls(workflow, workflow.sketch, "", weight, most=False)


def _calls(
    workflow: Workflow, holder: HasNodes, path: str, weight: Callable[[str | None], float], *, most: bool
) -> float:
    calls = 0.0
    for name, node in holder.nodes.items():
        told = workflow.parameter(f"{path}{name}")
        match node:
            case LLMNode():
                if isinstance(told, LLMParameters):
                    rounds = node.rounds if most else min(1, node.rounds)
                    calls += told.samples * (rounds + 1 if told.tools else 1) * weight(told.model)
            case LoopNode() | MapNode():
                calls += (node.bound if most else 1) * _calls(workflow, node, f"{path}{name}/", weight, most=most)
            case ProgramNode():
                # Its own clients call what models they like: those of its source. Where it goes well, a call for each text.
                texts = len(told.texts) if isinstance(told, ProgramParameters) else 0
                calls += node.max_calls if most else min(node.max_calls, max(1, texts)) * weight(None)
                for _, filling in fillings(workflow, f"{path}{name}"):
                    calls += _calls(filling, filling.sketch, "", weight, most=most)
            case CoreNode():
                if isinstance(told, CoreParameters):
                    steps = node.max_steps if most else min(node.max_steps, len(read_core(told.program)[0].steps))
                    calls += _core_calls(node, steps, tools=bool(told.tools), most=most) * weight(told.model)
            case _:
                calls += node.asks * weight(_model(told))
    return calls


def _core_calls(node: CoreNode, steps: int, *, tools: bool, most: bool) -> int:
    """Model calls of so many steps of a program in words."""
    if node.interpreter == "compact":
        return steps * (2 if tools and most else 1)
    # The instruction, the branch, and in the last step the outputs; with tools each result so far, which tool, its arguments twice, a summary.
    noted = steps * (steps - 1) // 2 if most else 0
    return 2 * steps + 1 + (noted + steps * (5 if most else 1) if tools else 0)


def _model(told: Parameters) -> str | None:
    return told.model if isinstance(told, LLMParameters | ChoiceParameters | CoreParameters) else None
