"""Changes for long inputs, and for inputs of several kinds.

Sources: quote, Weston and Sukhbaatar 2023 (System 2 Attention: first what matters of a long context); route, Ong et al. 2024 and the
routing of prompts that agents are built with: one call chooses the kind, and each kind has a call of its own to be tuned apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from flowbot.fields import Type, is_name
from flowbot.workflow.edits.basic import AddNode, ReplaceNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.inserts import InsertStep
from flowbot.workflow.edits.patterns import Split
from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import BranchNode, MergeNode, ToolNode
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters

from .change import Call, Change, Place

LONG = 600
"""Letters of an input, on average, from which passages of it are worth quoting first."""
ROWS_LOOKED_AT = 50
KINDS = (2, 4)
"""Fewest and most kinds that are given calls of their own."""
_KIND = re.compile(r"(?:[-*•]|\d+[.)])?\s*[`*\"]*([A-Za-z][\w -]{0,39}?)[`*\"]*\s*:\s*(\S.{0,299})$")


def quote(place: Place) -> Iterator[Change]:
    """A call before it that copies out the passages that matter, where an input is long or is what a tool found."""
    if not isinstance(place, Call) or not any(_is_long(place, ref) for ref in place.node.inputs.values()):
        return
    told = LLMParameters(
        instruction=f"Copy out, word for word, the passages that matter for this task: {place.task.goal}"
    )
    out = {free_name("quotes", (*place.node.out, *place.node.inputs)): "list[str]"}
    edit = Split(id=place.path, name=place.fresh("quote"), out=out, parameters=told)
    title = "Add an LLM call that first quotes the passages that matter, then answer with these beside the input."
    yield Change("quote", place.path, title, lambda _: [edit])


def route(place: Place) -> Iterator[Change]:
    """A choice of the kind by a model, and a call of its own for each: the kinds are the labels of an output that stands beside others, else
    as the meta model names them, for texts, lists and objects (a number or a label is asked for alike whatever the kind), where no label of
    an input tells them (see `by_kind`)."""
    if not isinstance(place, Call) or place.node.when is not None:
        return
    told = False
    for name, text in place.answers.items() if len(place.answers) > 1 else ():
        options = Type.parse(text).options
        kinds = {_label(option): f"{name} is {option}" for option in options}
        if KINDS[0] <= len(options) <= KINDS[1] and len(kinds) == len(options) and all(map(is_name, kinds)):
            told = True
            title = f"Let a model first choose `{name}`, and give each of {', '.join(options)} an LLM call of its own."
            yield Change("route", place.path, title, lambda _, kinds=kinds: _routed(place, kinds), variant=name)
    types = place.input_types().values()
    ends = any(f"{place.name}.{name}" in place.leaves() for name in place.answers)
    if told or not ends or not place.gives_parts():
        return
    if any(each.kind == "str" for each in types) and not any(each.options for each in types):
        title = "Let a model first choose of which kind the input is, and give each kind an LLM call of its own."
        yield Change("route", place.path, title, lambda text: _routed(place, read_kinds(text)), names_kinds=True)


def read_kinds(text: str) -> dict[str, str]:
    """Kinds by name, from lines `name: what it is`; none where they are too few, too many or not told apart."""
    lines = [match for line in text.splitlines() if (match := _KIND.match(line.strip()))]
    kinds = {_label(match[1]): match[2].strip() for match in lines}
    fine = KINDS[0] <= len(lines) <= KINDS[1] and len(kinds) == len(lines) and all(map(is_name, kinds))
    return kinds if fine else {}


def _is_long(place: Call, reference: str) -> bool:
    """Whether what a reference carries is long text, as far as that is known."""
    source = place.scope.nodes.get(reference.partition(".")[0])
    if source is not None:
        return isinstance(source, ToolNode)
    rows = place.task.train[:ROWS_LOOKED_AT]
    letters = [len(str(example.inputs.get(reference, ""))) for example in rows]
    type_ = place.scope.type_of(reference)
    return type_ is not None and type_.kind in ("str", "list") and sum(letters) > LONG * len(letters)


def _label(option: str) -> str:
    return re.sub(r"\W+", "_", option.strip()).strip("_").lower()


def _routed(place: Call, kinds: Mapping[str, str]) -> list[Edit]:
    """A branch that a model chooses by, the call once for each way, and merges of what they give.

    Args:
        place: the call.
        kinds: labels of the ways, each with what is so on it.
    """
    node, told, labels = place.node, place.told, list(kinds)
    branch = place.fresh("route")
    listed = "\n".join(f"{label}: {what}" for label, what in kinds.items())
    asked = f"Of which kind is the input, for this task? {place.task.goal}\n{listed}"
    choice = ChoiceParameters(instruction=asked, model=told.model)
    paths = [place.path, *(f"{place.scope.path}{place.fresh(f'{place.name}_{label}')}" for label in labels[1:])]
    names = [path.rpartition("/")[2] for path in paths]
    edits: list[Edit] = [
        InsertStep(
            id=place.path,
            where="after",
            name=place.fresh(f"either_{output}"),
            node=MergeNode(how="first", inputs=tuple(f"{each}.{output}" for each in names), out={output: type_}),
        )
        for output, type_ in place.answers.items()
        if _is_read(place, output)
    ]
    edits.append(
        AddNode(
            id=f"{place.scope.path}{branch}",
            node=BranchNode(when=node.when, inputs=node.inputs, ways=dict.fromkeys(labels), model=node.model),
            parameters=choice,
        )
    )
    for path, (label, what) in zip(paths, kinds.items(), strict=True):
        way = node.model_copy(update={"when": f"{branch}.{label}"})
        own = told.with_added_text(f"Here: {what.rstrip('.')}.")
        if path == place.path:
            edits.append(ReplaceNode(id=path, node=way, parameters=own))
        else:
            edits.append(AddNode(id=path, node=way, parameters=own))
    return edits


def _is_read(place: Call, output: str) -> bool:
    reference = f"{place.name}.{output}"
    return reference in place.leaves() or any(reference in each.references() for each in place.scope.nodes.values())
