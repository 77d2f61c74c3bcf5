"""Changes that only some LLM calls call for: several samples, free text, lists, choices among the inputs, tools.

Sources: vote, Wang et al. 2023 (self-consistency); refine, Madaan et al. 2023 (Self-Refine), for free text alone, since models
seldom find their own errors in sums and facts (Huang et al. 2024); best, Chen et al. 2023 (universal self-consistency); each, map
and combine; apart, a prompt of its own for one kind of input; use, Yao et al. 2023 (ReAct).
"""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.fields import Type
from flowbot.workflow.conditions import Test
from flowbot.workflow.edits.basic import ReplaceNode
from flowbot.workflow.edits.inserts import Decompose, InsertBranch
from flowbot.workflow.edits.patterns import Ensemble, Review

from .change import Call, Change, Place

SAMPLES = 3
SAMPLING_TEMPERATURE = 0.7
ROUNDS = 2
MOST_OPTIONS = 4
"""Options of an input that are offered a call of their own."""


def vote(place: Place) -> Iterator[Change]:
    """Several samples, and the answer of most of them."""
    if isinstance(place, Call):
        edit = Ensemble(id=place.path, samples=SAMPLES, temperature=SAMPLING_TEMPERATURE)
        title = "Run the same LLM call three times and return the answer that occurs most often."
        yield Change("vote", place.path, title, lambda _: [edit])


def refine(place: Place) -> Iterator[Change]:
    """A critic and a revision of free text."""
    if isinstance(place, Call) and place.gives_text():
        edit = Review(id=place.path, rounds=ROUNDS)
        title = "Let a second LLM call criticise the answer and a third one revise it, at most twice."
        yield Change("refine", place.path, title, lambda _: [edit])


def best(place: Place) -> Iterator[Change]:
    """Several samples of free text, and a judge that picks one."""
    if isinstance(place, Call) and place.gives_text():
        edit = Ensemble(id=place.path, samples=SAMPLES, temperature=SAMPLING_TEMPERATURE, how="judge")
        title = "Run the same LLM call three times and let another LLM call choose the best answer."
        yield Change("best", place.path, title, lambda _: [edit])


def each_item(place: Place) -> Iterator[Change]:
    """One call an item of a list, and one that combines."""
    if not isinstance(place, Call):
        return
    for name, type_ in place.input_types().items():
        if type_.kind == "list":
            edit = Decompose(id=place.path, over=name)
            title = f"Run the LLM call on each item of `{name}` alone, and combine the results in another LLM call."
            yield Change("each", place.path, title, lambda _, edit=edit: [edit], variant=name)


def by_kind(place: Place) -> Iterator[Change]:
    """A call of their own for the inputs of one kind."""
    if not isinstance(place, Call):
        return
    for name, type_ in place.input_types().items():
        for option in _options(type_):
            edit = InsertBranch(
                id=place.path,
                name=place.fresh(f"{place.name}_apart"),
                inputs={name: place.node.inputs[name]},
                condition=Test(ref=name, op="==", value=option),
            )
            said = str(option).lower() if isinstance(option, bool) else f"`{option}`"
            title = f"Give the inputs whose `{name}` is {said} an LLM call of their own."
            yield Change("apart", place.path, title, lambda _, edit=edit: [edit], variant=f"{name}={option}")


def use_tools(place: Place) -> Iterator[Change]:
    """Let the call use the task's own tools that change nothing. Of those that are at hand `calculate` and `program` make use, at fewer calls."""
    if not isinstance(place, Call) or place.told.tools:
        return
    own = (tool.signature for tool in place.task.tools)
    names = tuple(each.name for each in own if each.effects != "writes" or each.simulated)
    if names:
        edit = ReplaceNode(id=place.path, node=place.node, parameters=place.told.model_copy(update={"tools": names}))
        yield Change("use", place.path, "Let the LLM call use the tools itself before it answers.", lambda _: [edit])


def _options(type_: Type) -> tuple[str | bool, ...]:
    return (True,) if type_.kind == "bool" else type_.options[:MOST_OPTIONS]
