"""The compound edits that reshape calls, patterns of the field, each a few basic changes at once.

A new node's name may be left out; then it is a plain word that is free. Texts that are left out are built from the
instruction of the node that the edit is about.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from flowbot.workflow.conditions import Test
from flowbot.workflow.graph import free_name, split_reference
from flowbot.workflow.nodes import MAX_STEPS, BranchNode, Carry, LLMNode, LoopNode, MergeNode, Node
from flowbot.workflow.parameters import CATALOGUE_SAMPLES, CATALOGUE_TEMPERATURE, ChoiceParameters, LLMParameters

from .derived import beside, in_stead, like, lines, merge_each
from .draft import Draft, split
from .edit import Call, Edit, NewCall, Text, listed
from .written import COUNT, TEXT, Written, always, rows

SAMPLES = 5
"""How often an ensemble asks (Wang et al. 2023 find most of the gain by then)."""
TEMPERATURE = 0.7
"""At which it asks: that of Wang et al. 2023."""

CRITIC = "Review the draft. Say in feedback what is wrong and how to mend it, and set ok to true if nothing is."
REVISER = "Write the answer again, mended as the feedback says."
JUDGE = "Choose the best answer."


class Split(Edit):
    """An `llm` node becomes two: a new one before it, called `name`, gives `out`, which the old one reads.

    An output that the old node has too moves to the new one. `keep` names the inputs that the old node goes on reading;
    left out: all. Plan and solve (Wang et al. 2023) and decomposed prompting are made so.
    """

    op = "split"
    needs = frozenset({"llm"})
    id: Call
    name: Text
    out: Annotated[dict[str, str], rows("name", "type")] = Field(min_length=1)
    keep: tuple[str, ...] | None = None
    parameters: Annotated[LLMParameters, Written(lambda _: TEXT, name="instruction")]

    @model_validator(mode="before")
    @classmethod
    def _instruction(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Models write the instruction alone."""
        if "instruction" not in data:
            return data
        return {"parameters": {"instruction": data["instruction"]}} | {
            k: v for k, v in data.items() if k != "instruction"
        }

    def __str__(self) -> str:
        kept = "" if self.keep is None else f" beside {', '.join(self.keep)}" if self.keep else " alone"
        return f"split {self.id}: {self.name} first gives {listed(self.out)}, and {self.id} reads that{kept}"

    def make(self, draft: Draft) -> None:
        """Add the new node, and take from the old one what it gives."""
        node, parameters = draft.llm(self.id)
        prefix, name = split(self.id)
        if unknown := [key for key in self.keep or () if key not in node.inputs]:
            draft.refuse(f"{self.id} reads {', '.join(node.inputs)}, not {unknown[0]}: keep some of these")
        kept = {key: ref for key, ref in node.inputs.items() if self.keep is None or key in self.keep}
        if clash := [output for output in self.out if output in kept]:
            draft.refuse(f"{self.id} reads an input {clash[0]} already: call the new output otherwise")
        rest = {output: text for output, text in node.out.items() if output not in self.out}
        if not rest:
            draft.refuse(f"{self.id} would give nothing: leave it one of {', '.join(node.out)}")
        first = LLMNode(when=node.when, inputs=node.inputs, out=self.out, model=node.model)
        draft.add_beside(prefix, self.name, first, like(node, parameters, self.parameters))
        moved = {output: f"{self.name}.{output}" for output in self.out}
        draft.put(self.id, node.model_copy(update={"inputs": {**kept, **moved}, "out": rest}))
        draft.parameters[self.id] = parameters.model_copy(update={"demonstrations": ()})
        taken = {f"{name}.{output}": reference for output, reference in moved.items()}
        draft.take_over(prefix, taken, but=[name, self.name])


class Fuse(Edit):
    """Two `llm` nodes of a body become one call under the id of the second.

    It reads what both read, and gives first what the first gave. Its instruction is both, unless parameters are given.
    """

    op = "fuse"
    needs = frozenset({"llm"})
    first: Call
    second: Call
    parameters: NewCall = None

    def __str__(self) -> str:
        return f"fuse {self.first} and {self.second} into one call"

    def make(self, draft: Draft) -> None:
        """Give the second what the first has, and remove the first."""
        one, first_parameters = draft.one_answer(self.first)
        two, parameters = draft.one_answer(self.second)
        (prefix, first), (other, second) = split(self.first), split(self.second)
        if prefix != other or first == second:
            draft.refuse("name two nodes of the same body")
        if any(split_reference(reference)[0] == second for reference in one.inputs.values()):
            draft.refuse(f"{first} reads {second}: name them the other way round")
        if (one.model or two.model) and (one.model, first_parameters.model) != (two.model, parameters.model):
            draft.refuse("their models differ, and one is pinned: leave them apart")
        gives: dict[str, str] = {}
        for output in one.out:
            gives[output] = free_name(output, {*two.out, *gives.values()} if output in two.out else gives.values())
        inputs = dict(one.inputs)
        for key, reference in two.inputs.items():
            if split_reference(reference)[0] != first and reference not in inputs.values():
                inputs = beside(inputs, {key: reference})
        out = {**{gives[output]: text for output, text in one.out.items()}, **two.out}
        linked = tuple(dict.fromkeys(n for n in (*two.feedback_from, *one.feedback_from) if n not in (first, second)))
        draft.put(self.second, two.model_copy(update={"inputs": inputs, "out": out, "feedback_from": linked}))
        taken = {f"{first}.{old}": f"{second}.{new}" for old, new in gives.items()}
        draft.take_over(prefix, taken, but=[first, second])
        draft.relink(prefix, first, second)
        draft.drop(self.first)
        both = {
            "instruction": lines(first_parameters.instruction_text, parameters.instruction_text),
            "messages": (),
            "format_hint": lines(first_parameters.format_hint, parameters.format_hint),
            "tools": tuple(dict.fromkeys((*first_parameters.tools, *parameters.tools))),
            "demonstrations": (),
        }
        fused = parameters.model_copy(update=both)
        draft.parameters[self.second] = fused if self.parameters is None else in_stead(two, fused, self.parameters)


class Review(Edit):
    """An `llm` node drafts; a loop `name` after it asks a critic, and a reviser while the critic finds fault.

    Self-Refine (Madaan et al. 2023). The node stays as it is.
    """

    op = "review"
    needs = frozenset({"llm", "branch", "merge", "loop"})
    id: Call
    name: Text = ""
    rounds: Annotated[int, always(COUNT)] = Field(default=2, ge=1, le=MAX_STEPS)
    critic: NewCall = None
    reviser: NewCall = None

    def __str__(self) -> str:
        times = "once" if self.rounds == 1 else f"at most {self.rounds} times"
        return f"review what {self.id} gives, and revise it while a critic finds fault, {times}"

    def make(self, draft: Draft) -> None:
        """Add the loop; the reviser runs only where the critic finds fault."""
        node, parameters = draft.one_answer(self.id)
        prefix, name = split(self.id)
        out = draft.read(self.id, node.out)
        loop = self.name or draft.fresh("review")
        critic, route, reviser = draft.fresh("critic"), draft.fresh("route"), draft.fresh("revise")
        carried = {output: draft.fresh(f"draft_{output}" if output == name else output) for output in out}
        kept = {output: draft.fresh(f"kept_{output}") for output in out}
        shown = beside(node.inputs, {f"draft_{output}": carried[output] for output in out})
        mended = {**shown, free_name("feedback", shown): f"{critic}.feedback"}
        fine, done = Test(ref=f"{critic}.ok", op="==", value=True), Test(ref="ok", op="==", value=True)
        nodes: dict[str, Node] = {
            critic: LLMNode(inputs=shown, out={"feedback": "str", "ok": "bool"}, model=node.model),
            route: BranchNode(inputs={"ok": f"{critic}.ok"}, ways={"done": done, "mend": "else"}),
            reviser: LLMNode(when=f"{route}.mend", inputs=mended, out=out, model=node.model, rounds=node.rounds),
        }
        carry: dict[str, Carry] = {}
        for output, kind in out.items():
            inputs = (f"{reviser}.{output}", carried[output])
            nodes[kept[output]] = MergeNode(how="first", inputs=inputs, out={output: kind})
            carry[carried[output]] = Carry(type=kind, start=f"{name}.{output}", next=f"{kept[output]}.{output}")
        around = LoopNode(when=node.when, max=self.rounds, until=fine, carry=carry, nodes=nodes)
        path = draft.add_beside(prefix, loop, around)
        said = parameters.instruction_text
        draft.parameters[f"{path}/{critic}"] = like(node, parameters, self.critic or lines(said, CRITIC))
        draft.parameters[f"{path}/{reviser}"] = in_stead(node, parameters, self.reviser or lines(said, REVISER))
        draft.take_over(prefix, {f"{name}.{output}": f"{loop}.{carried[output]}" for output in out}, but=[loop])


class Ensemble(Edit):
    """An `llm` node draws samples; a merge for each output that is read joins them.

    Self-consistency (Wang et al. 2023) by vote; `judge` asks a model for the best, by `instruction`.
    """

    op = "ensemble"
    needs = frozenset({"merge"})
    id: Call
    # What is taken is less, and says so; a schema that changes would make every stored reply under it worthless.
    samples: Annotated[int, always({"type": "integer", "minimum": 2, "maximum": 100})] = Field(
        default=SAMPLES, ge=2, le=CATALOGUE_SAMPLES
    )
    temperature: float = Field(default=TEMPERATURE, gt=0, le=CATALOGUE_TEMPERATURE)
    how: Literal["vote", "judge"] = "vote"
    instruction: str = ""

    def __str__(self) -> str:
        joined = "read what most of them say" if self.how == "vote" else "read that which a judge finds best"
        return f"ask {self.id} {self.samples} times at temperature {self.temperature:g}, and {joined}"

    def make(self, draft: Draft) -> None:
        """Draw samples, and add the merges."""
        node, parameters = draft.one_answer(self.id)
        drawn = {"samples": self.samples, "temperature": self.temperature}
        draft.parameters[self.id] = parameters.model_copy(update=drawn)
        prefix, name = split(self.id)
        fields: dict[str, Any] = {"how": self.how, "when": node.when}
        choice = None
        if self.how == "judge":
            fields |= {"given": node.inputs, "model": node.model}
            choice = ChoiceParameters(instruction=self.instruction.strip() or JUDGE, model=parameters.model)
        merge_each(draft, prefix, [name], draft.read(self.id, node.out), self.how, choice, **fields)
