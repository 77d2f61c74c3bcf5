"""What a workflow asks of models: which steps, which model, how often at most."""

from __future__ import annotations

from collections.abc import Iterator

from .nodes import HasNodes, LLMNode, LoopNode, MapNode, walk
from .parameters import ChoiceParameters, LLMParameters
from .workflow import Workflow


def asked_models(workflow: Workflow) -> Iterator[tuple[str, str | None]]:
    """The steps that ask a model, each with the model string in its parameters; None: the run's own model."""
    for path, node in walk(workflow.sketch):
        if node.asks:
            told = workflow.parameter(path)
            yield path, told.model if isinstance(told, LLMParameters | ChoiceParameters) else None


def most_calls(workflow: Workflow) -> int:
    """Model calls that one run of a workflow makes at most, asking again aside: every way, step, item, sample and round."""
    return _calls(workflow, workflow.sketch, "", most=True)


def usual_calls(workflow: Workflow) -> int:
    """Model calls of a run that goes well: every way, each body once, one round of tools. Bounds are there for runs that do not."""
    return _calls(workflow, workflow.sketch, "", most=False)


def _calls(workflow: Workflow, holder: HasNodes, path: str, *, most: bool) -> int:
    calls = 0
    for name, node in holder.nodes.items():
        match node:
            case LLMNode():
                told = workflow.parameter(f"{path}{name}")
                if isinstance(told, LLMParameters):
                    rounds = node.rounds if most else min(1, node.rounds)
                    calls += told.samples * (rounds + 1 if told.tools else 1)
            case LoopNode() | MapNode():
                calls += (node.bound if most else 1) * _calls(workflow, node, f"{path}{name}/", most=most)
            case _:
                calls += node.asks
    return calls
