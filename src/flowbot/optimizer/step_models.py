"""The models that a step may be given, cheapest first, and what a call of each counts as.

Calls of different models are not equal, so a comparison counts each by what it costs beside a call of the task model; then the one
rule for cheaper and dearer (`judge.weighed`) holds for them, too. Cascades of models by price: Chen et al. 2023 (FrugalGPT,
arXiv 2305.05176).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowbot.fields import Usage
from flowbot.lm.lm import LM
from flowbot.lm.local.weights import catalogue
from flowbot.lm.providers import split_model
from flowbot.runtime.open_model import names_file
from flowbot.runtime.trace import Trace
from flowbot.task import Metric
from flowbot.workflow.calls import asked_models, usual_calls
from flowbot.workflow.nodes import BranchNode, LLMNode, MergeNode, is_frozen, walk
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters
from flowbot.workflow.workflow import Workflow

STEP = 2.0
"""What a call counts as beside one of the model before it, where neither prices nor sizes tell."""
BY_ORDER = "in the order given, since prices do not tell them apart: each as twice the one before"


@dataclass(frozen=True, slots=True)
class StepModels:
    """The models of a run that a step may have.

    Args:
        own: the task model, which a step has that names none.
        weights: by model string, cheapest first: what a call counts as, in calls of the task model. Fewer than two: there is no choice.
        by: what says so, in words.
    """

    own: str = ""
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    by: str = BY_ORDER

    def cheaper(self, model: str | None) -> list[str]:
        """Those before a step's model, cheapest first."""
        names = list(self.weights)
        return names[: names.index(model or self.own)] if (model or self.own) in names else []

    def stronger(self, model: str | None) -> list[str]:
        """Those after it, likewise: what costs more, or was given later, is taken to be able to do more."""
        names = list(self.weights)
        return names[names.index(model or self.own) + 1 :] if (model or self.own) in names else []

    @property
    def strongest(self) -> str:
        """The last of them."""
        return list(self.weights)[-1] if self.weights else self.own

    def named(self, model: str) -> str | None:
        """It as a step's parameters have it."""
        return None if model == self.own else model

    def weight(self, model: str | None) -> float:
        """What a call of a step's model counts as."""
        return self.weights.get(model or self.own, 1.0)

    def further(self, changed: Workflow, than: Workflow) -> float:
        """What a run of a workflow that goes well takes more than one of another, in calls of the task model."""
        return usual_calls(changed, self.weight) - usual_calls(than, self.weight)

    def calls(self, workflow: Workflow, trace: Trace) -> float | None:
        """The calls of a run, each as what it counts as; None where there is no choice of models."""
        if len(self.weights) < 2:
            return None
        asked = dict(asked_models(workflow))
        return sum(step.usage.calls * self.weight(asked.get(step.node)) for step in trace.steps)

    def __str__(self) -> str:
        counted = ", ".join(f"{name} ({weight:.3g})" for name, weight in self.weights.items())
        return f"Models of steps, with what a call counts as {self.by}: {counted}"


def choices(own: str, models: Sequence[str] | None, metric: Metric) -> tuple[str, ...]:
    """The models that a search may give to steps, the task model included: of the user's list those that no judge of the task's
    file names and that are no file of this machine, which no workflow may name. Empty where there is no other than the task model.

    Args:
        own: the task model; first where the list does not name it.
        models: the user's list.
        metric: of the task.
    """
    judges = {judge.model for judge in metric.judges.values()}
    listed = [each for each in models or () if each == own or (each not in judges and not names_file(each))]
    found = dict.fromkeys(listed if own in listed else (own, *listed))
    return tuple(found) if len(found) > 1 else ()


def step_models(
    own: str, names: Sequence[str], usage: Callable[[str], Usage], opened: Callable[[str], LM]
) -> StepModels:
    """The models in order of price for a typical call, with what a call counts as. Where a price is unknown, that of the
    task model is nothing, or all are the same, the sizes of models on this machine tell, else the order given.

    Args:
        own: the task model.
        names: see `choices`.
        usage: what a typical call of a model takes.
        opened: the model behind a model string.
    """
    priced = {name: opened(name).cost(usage(name)) for name in names}
    sized = {name: _size(name) for name in names}
    for by, costs in (("by price", priced), ("by size, since none has a price", sized)):
        known = {name: cost for name, cost in costs.items() if cost is not None}
        if len(known) == len(names) and known.get(own) and len(set(known.values())) > 1:
            ordered = sorted(names, key=known.__getitem__)
            return StepModels(own, {name: round(known[name] / known[own], 6) for name in ordered}, by)
    return StepModels(own, {name: STEP ** (place - names.index(own)) for place, name in enumerate(names)})


def _size(model: str) -> float | None:
    """Bytes of a model on this machine, by which it takes its time; None where it is another, or no size is known."""
    provider, rest = split_model(model)
    known = catalogue().get(rest.partition("?")[0]) if provider == "local" else None
    return None if known is None else known.bytes


def choosable(workflow: Workflow) -> Iterator[tuple[str, LLMParameters | ChoiceParameters]]:
    """The steps that ask a model which is not pinned, with what they are told, in the order of the sketch."""
    for path, node in walk(workflow.sketch):
        told = workflow.parameter(path)
        if (
            isinstance(node, LLMNode | BranchNode | MergeNode)
            and isinstance(told, LLMParameters | ChoiceParameters)
            and node.asks
            and node.model is None
            and not is_frozen(workflow.sketch, path)
        ):
            yield path, told
