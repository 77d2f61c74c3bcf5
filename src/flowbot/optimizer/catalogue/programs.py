"""Changes around a user's own program. What stands in its Python stays as it is, and in its order.

Sources: vote, Wang et al. 2023 (self-consistency), by copies, since a program's samples are its own business; review, Madaan et al.
2023 (Self-Refine); escalate, Chen et al. 2023 (FrugalGPT), by the agreement of two runs (Yue et al. 2023, arXiv 2310.03094).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowbot.fields import Type
from flowbot.task.programs import named_program
from flowbot.workflow.conditions import Test
from flowbot.workflow.edits.basic import AddNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.inserts import InsertStep
from flowbot.workflow.nodes import BranchNode, CodeNode, LLMNode, MergeNode, ProgramNode
from flowbot.workflow.parameters import CodeParameters, LLMParameters
from flowbot.workflow.starts import REASONING, reasoning_hint

from .change import Change, Place
from .patterns import SAMPLES
from .steps import REVIEW


def around_program(place: Place) -> Iterator[Change]:
    """The vote of several runs, a review of what it gives, and the strongest model where two runs differ. One that changes the world is
    run once."""
    node = place.node
    if not isinstance(node, ProgramNode):
        return
    own = named_program(node.call, place.task.programs)
    writes = own is not None and own.effects == "writes"
    repeats = not writes and all(Type.parse(text).kind != "str" for text in node.out.values())
    if repeats:
        title = "Run the program three times and return the answer that occurs most often."
        yield Change("vote", place.path, title, lambda _: _voted(place, node))
    title = "Add an LLM call that reads what the program gave and writes the answer again."
    yield Change("review", place.path, title, lambda _: _reviewed(place, node))
    if repeats and place.models.stronger(None):
        title = "Where two runs of the program differ, ask the strongest model."
        yield Change("escalate", place.path, title, lambda _: _escalated(place, node), "agree")


def _copies(place: Place, node: ProgramNode, number: int) -> tuple[list[str], list[Edit]]:
    """Further nodes that run the same program, with the same parameters."""
    names = [place.fresh(f"{place.name}_{each}") for each in range(2, number + 1)]
    told = place.workflow.parameter(place.path)
    copy = node.model_copy(update={"feedback_from": ()})
    return names, [AddNode(id=f"{place.scope.path}{name}", node=copy, parameters=told) for name in names]


def _merged(place: Place, node: ProgramNode, others: list[str], how: str) -> Iterator[Edit]:
    """Of each output that is read a merge of it and that of others, read in its place."""
    for name, kind in node.out.items():
        own = f"{place.name}.{name}"
        if own in place.leaves() or any(own in each.references() for each in place.scope.nodes.values()):
            given = [f"{each}.{name}" for each in others]
            inputs = (*given, own) if how == "first" else (own, *given)
            merge = MergeNode.model_validate({"when": node.when, "how": how, "in": inputs, "out": {name: kind}})
            yield InsertStep(id=place.path, where="after", name=place.fresh(f"{place.name}_{name}"), node=merge)


def _voted(place: Place, node: ProgramNode) -> list[Edit]:
    names, copies = _copies(place, node, SAMPLES)
    return [*_merged(place, node, names, "vote"), *copies]


def _reviewed(place: Place, node: ProgramNode) -> list[Edit]:
    drafts = {f"draft_{output}": f"{place.name}.{output}" for output in node.out}
    second = LLMNode(inputs={**node.inputs, **drafts}, out={REASONING: "str", **node.out})
    told = LLMParameters(instruction=f"{place.task.goal} {REVIEW}", format_hint=reasoning_hint(node.out))
    return [InsertStep(id=place.path, where="after", name=place.fresh("review"), node=second, parameters=told)]


def _escalated(place: Place, node: ProgramNode) -> list[Edit]:
    prefix, same, unsure, again = place.scope.path, *map(place.fresh, ("same", "unsure", f"{place.name}_again"))
    (twin,), copies = _copies(place, node, 2)
    sides = (("one", place.name), ("other", twin))
    pairs = {f"{side}_{name}": f"{source}.{name}" for name in node.out for side, source in sides}
    alike = " and ".join(f"one_{name} == other_{name}" for name in node.out)
    code = f"def run({', '.join(pairs)}):\n    return {{'agree': {alike}}}"
    compared = CodeNode(when=node.when, inputs=pairs, out={"agree": "bool"})
    ways: Mapping[str, Test | str] = {"again": Test(ref="check", op="==", value=False), "keep": "else"}
    branch = {"when": node.when, "in": {"check": f"{same}.agree"}, "ways": ways}
    told = LLMParameters(instruction=place.task.goal, model=place.models.named(place.models.strongest))
    asked = LLMNode(when=f"{unsure}.again", inputs=node.inputs, out=node.out)
    return [
        *_merged(place, node, [again], "first"),
        AddNode(id=f"{prefix}{unsure}", node=BranchNode.model_validate(branch)),
        AddNode(id=f"{prefix}{again}", node=asked, parameters=told),
        *copies,
        AddNode(id=f"{prefix}{same}", node=compared, parameters=CodeParameters(code=code)),
    ]
