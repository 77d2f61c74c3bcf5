"""Asking again with the strongest model where a check on the answer fails: a cascade (Chen et al. 2023, FrugalGPT, arXiv 2305.05176).

The check is declared: the call says itself whether it is sure, or two samples agree (Yue et al. 2023, arXiv 2310.03094).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowbot.workflow.conditions import Test
from flowbot.workflow.edits.basic import AddNode, ReplaceNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.inserts import InsertStep
from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import BranchNode, CodeNode, LLMNode, MergeNode
from flowbot.workflow.parameters import CodeParameters, LLMParameters

from .change import Call, Change, Place
from .patterns import SAMPLING_TEMPERATURE

SURE = "Set {name} to false unless you are certain that the answer is right."


def escalate(place: Place) -> Iterator[Change]:
    """The same call with the strongest model, where the step is not sure, or two samples of it differ."""
    if (
        not isinstance(place, Call)
        or place.node.model
        or place.told.samples > 1
        or not place.models.stronger(place.told.model)
    ):
        return
    if any(_asks_again(name, place) for name in place.scope.nodes):
        return
    again = "Where {}, make the LLM call again with the strongest model."
    yield Change(
        "escalate", place.path, again.format("the LLM call says that it is not sure"), lambda _: _unsure(place), "sure"
    )
    if not place.gives_text():
        title = again.format("two samples of the LLM call differ")
        yield Change("escalate", place.path, title, lambda _: _differ(place), "agree")


def _asks_again(name: str, call: Call) -> bool:
    """Whether a step asks the strongest model from what the call reads."""
    node, told = call.scope.nodes[name], call.workflow.parameter(f"{call.scope.path}{name}")
    strongest = call.models.named(call.models.strongest)
    return isinstance(told, LLMParameters) and told.model == strongest and node.references() == call.node.references()


def _unsure(call: Call) -> list[Edit]:
    sure = free_name("sure", (*call.node.out, *call.node.inputs))
    hint = f"{call.told.format_hint}\n{SURE.format(name=sure)}".strip()
    told = call.told.model_copy(update={"format_hint": hint, "demonstrations": ()})
    asked = call.node.model_copy(update={"out": {**call.node.out, sure: "bool"}})
    return [ReplaceNode(id=call.path, node=asked, parameters=told), *_again(call, f"{call.name}.{sure}")]


def _differ(call: Call) -> list[Edit]:
    prefix, node = call.scope.path, call.node
    twin, same = call.fresh(f"{call.name}_twin"), call.fresh("same")
    pairs = {
        f"{side}_{name}": f"{source}.{name}"
        for name in call.answers
        for side, source in (("one", call.name), ("other", twin))
    }
    alike = " and ".join(f"one_{name} == other_{name}" for name in call.answers)
    code = f"def run({', '.join(pairs)}):\n    return {{'agree': {alike}}}"
    told = call.told.model_copy(update={"temperature": SAMPLING_TEMPERATURE})
    compared = CodeNode(when=node.when, inputs=pairs, out={"agree": "bool"})
    return [
        *_again(call, f"{same}.agree"),
        AddNode(id=f"{prefix}{twin}", node=node.model_copy(update={"feedback_from": ()}), parameters=told),
        AddNode(id=f"{prefix}{same}", node=compared, parameters=CodeParameters(code=code)),
    ]


def _again(call: Call, check: str) -> Iterator[Edit]:
    """The call once more where what `check` refers to is false, and of each output that is read that of the call made last."""
    prefix, node = call.scope.path, call.node
    unsure, again = call.fresh("unsure"), call.fresh(f"{call.name}_again")
    ways: Mapping[str, Test | str] = {"again": Test(ref="check", op="==", value=False), "keep": "else"}
    for name, kind in node.out.items():
        own = f"{call.name}.{name}"
        if own in call.leaves() or any(own in each.references() for each in call.scope.nodes.values()):
            merge = MergeNode(when=node.when, how="first", inputs=(f"{again}.{name}", own), out={name: kind})
            yield InsertStep(id=call.path, where="after", name=call.fresh(f"{call.name}_{name}"), node=merge)
    yield AddNode(
        id=f"{prefix}{unsure}",
        node=BranchNode.model_validate({"when": node.when, "in": {"check": check}, "ways": ways}),
    )
    yield AddNode(
        id=f"{prefix}{again}",
        node=LLMNode(when=f"{unsure}.again", inputs=node.inputs, out=node.out, rounds=node.rounds),
        parameters=call.told.model_copy(update={"model": call.models.named(call.models.strongest)}),
    )
