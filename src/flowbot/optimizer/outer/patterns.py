"""Changes that only some steps call for: free text, lists, choices among the inputs, tools.

Sources: refine, Madaan et al. 2023 (Self-Refine), for free text alone, since models seldom find their own errors in
sums and facts (Huang et al. 2024); best, Chen et al. 2023 (universal self-consistency); each, map and combine; apart, a
prompt of its own for one kind of input; use, Yao et al. 2023 (ReAct).
"""

from __future__ import annotations

from collections.abc import Iterator

from flowbot.fields import Type
from flowbot.workflow.conditions import Test
from flowbot.workflow.edits import Decompose, Edit, Ensemble, InsertBranch, ReplaceNode, Review

from .change import Change, Focus

SAMPLES = 3
SAMPLING_TEMPERATURE = 0.7
ROUNDS = 2
MOST_OPTIONS = 4
"""Options of an input that are offered a call of their own."""


def patterns(focus: Focus) -> Iterator[Change]:
    """The changes that this step calls for, in a fixed order."""
    if focus.gives_text():
        yield _refine(focus)
        yield _best(focus)
    for name, type_ in focus.input_types().items():
        if type_.kind == "list":
            yield _each(focus, name)
        elif type_.kind in ("bool", "literal"):
            yield from _apart(focus, name, type_)
    callable_tools = tuple(
        tool.signature.name
        for tool in focus.task.tools
        if tool.signature.effects != "writes" or tool.signature.simulated
    )
    if callable_tools and not focus.told.tools:
        yield _use(focus, callable_tools)


def _refine(focus: Focus) -> Change:
    edit = Review(id=focus.path, rounds=ROUNDS)
    title = "Let a second LLM call criticise the answer and a third one revise it, at most twice."
    return Change(f"refine:{focus.path}", title, lambda _: [edit])


def _best(focus: Focus) -> Change:
    edit = Ensemble(id=focus.path, samples=SAMPLES, temperature=SAMPLING_TEMPERATURE, how="judge")
    title = "Run the same LLM call three times and let another LLM call choose the best answer."
    return Change(f"best:{focus.path}", title, lambda _: [edit])


def _each(focus: Focus, name: str) -> Change:
    edit = Decompose(id=focus.path, over=name)
    title = f"Run the LLM call on each item of `{name}` alone, and combine the results in another LLM call."
    return Change(f"each:{name}:{focus.path}", title, lambda _: [edit])


def _apart(focus: Focus, name: str, type_: Type) -> Iterator[Change]:
    options: tuple[str | bool, ...] = (True,) if type_.kind == "bool" else type_.options[:MOST_OPTIONS]
    for option in options:
        edit = InsertBranch(
            id=focus.path,
            name=focus.fresh(f"{focus.name}_apart"),
            inputs={name: focus.node.inputs[name]},
            condition=Test(ref=name, op="==", value=option),
        )
        said = str(option).lower() if isinstance(option, bool) else f"`{option}`"
        title = f"Give the inputs whose `{name}` is {said} an LLM call of their own."
        yield Change(f"apart:{name}={option}:{focus.path}", title, lambda _, edit=edit: [edit])


def _use(focus: Focus, names: tuple[str, ...]) -> Change:
    def build(_: str) -> list[Edit]:
        told = focus.told.model_copy(update={"tools": names})
        return [ReplaceNode(id=focus.path, node=focus.node, parameters=told)]

    return Change(f"use:{focus.path}", "Let the LLM call use the tools itself before it answers.", build)
