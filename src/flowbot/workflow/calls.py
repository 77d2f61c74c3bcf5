"""What a workflow asks of models: which steps, which model, how often at most."""

from __future__ import annotations

from collections.abc import Iterator

from .nodes import HasNodes, LLMNode, LoopNode, MapNode, asks_model, walk
from .parameters import ChoiceParameters, LLMParameters
from .workflow import Workflow


def asked_models(workflow: Workflow) -> Iterator[tuple[str, str | None]]:
    """The steps that ask a model, each with the model string in its parameters; None: the run's own model."""
    for path, node in walk(workflow.sketch):
        if asks_model(node):
            told = workflow.parameter(path)
            yield path, told.model if isinstance(told, LLMParameters | ChoiceParameters) else None


def most_calls(workflow: Workflow) -> int:
    """Model calls that one run of a workflow makes at most, asking again aside: every way, step, item, sample and round."""
    return _most(workflow, workflow.sketch, "")


def _most(workflow: Workflow, holder: HasNodes, path: str) -> int:
    calls = 0
    for name, node in holder.nodes.items():
        match node:
            case LLMNode():
                told = workflow.parameter(f"{path}{name}")
                if isinstance(told, LLMParameters):
                    calls += told.samples * (node.rounds + 1 if told.tools else 1)
            case LoopNode():
                calls += node.bound * _most(workflow, node, f"{path}{name}/")
            case MapNode():
                calls += node.bound * _most(workflow, node, f"{path}{name}/")
            case _:
                calls += asks_model(node)
    return calls
