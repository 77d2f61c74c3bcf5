"""The compound edits: patterns of the field, each a few basic changes at once. Data like the basic ones.

A new node's name may be left out; then it is a plain word that is free. Texts that are left out are built from the
instruction of the node that the edit is about.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from flowbot.workflow.conditions import Condition
from flowbot.workflow.nodes import MAX_ITEMS, MAX_STEPS, Node
from flowbot.workflow.parameters import CATALOGUE_SAMPLES, CATALOGUE_TEMPERATURE, CodeParameters, LLMParameters

from .basic import AnEdit, Told, WithNode, told_or_code

SAMPLES = 5
"""How often an ensemble asks (Wang et al. 2023 find most of the gain by then)."""
TEMPERATURE = 0.7
"""At which it asks: that of Wang et al. 2023."""


class Split(AnEdit):
    """An `llm` node becomes two: a new one before it, called `name`, gives `out`, which the old one reads.

    An output that the old node has too moves to the new one. `keep` names the inputs that the old node goes on reading;
    left out: all. Plan and solve (Wang et al. 2023) and decomposed prompting are made so.
    """

    op: Literal["split"] = "split"
    id: str
    name: str
    out: dict[str, str] = Field(min_length=1)
    keep: tuple[str, ...] | None = None
    parameters: LLMParameters


class Fuse(AnEdit):
    """Two `llm` nodes of a body become one call under the id of the second.

    It reads what both read, and gives first what the first gave. Its instruction is both, unless parameters are given.
    """

    op: Literal["fuse"] = "fuse"
    first: str
    second: str
    parameters: Told = None


class Review(AnEdit):
    """An `llm` node drafts; a loop `name` after it asks a critic, and a reviser while the critic finds fault.

    Self-Refine (Madaan et al. 2023). The node stays as it is.
    """

    op: Literal["review"] = "review"
    id: str
    name: str = ""
    rounds: int = Field(default=2, ge=1, le=MAX_STEPS)
    critic: Told = None
    reviser: Told = None


class Ensemble(AnEdit):
    """An `llm` node draws samples; a merge for each output that is read joins them.

    Self-consistency (Wang et al. 2023) by vote; `judge` asks a model for the best, by `instruction`.
    """

    op: Literal["ensemble"] = "ensemble"
    id: str
    samples: int = Field(default=SAMPLES, ge=2, le=CATALOGUE_SAMPLES)
    temperature: float = Field(default=TEMPERATURE, gt=0, le=CATALOGUE_TEMPERATURE)
    how: Literal["vote", "judge"] = "vote"
    instruction: str = ""


class Decompose(AnEdit):
    """An `llm` node works on each item of a list, side by side, and a new step `name` combines what it gives.

    The list is that which the node reads as its input `over`; left out: a new `llm` node divides the task into parts.
    The combining step is Python where `code` is given, else an `llm` node. Least-to-most and map-reduce prompting.
    """

    op: Literal["decompose"] = "decompose"
    id: str
    name: str = ""
    over: str = ""
    limit: int = Field(default=10, ge=1, le=MAX_ITEMS)
    divide: Told = None
    combine: Told = None
    code: str = ""


class InsertBranch(AnEdit):
    """A node runs on one way only, and a new one, `name`, on the other; merges join what both give.

    The ways are called as the nodes. The new node's is taken where `condition` holds over `inputs` (name to reference;
    left out: what the node reads); without a condition a model chooses by `instruction`. The new node is `node`; left
    out: like the old one, to be tuned apart from it.
    """

    op: Literal["insert_branch"] = "insert_branch"
    id: str
    name: str
    inputs: dict[str, str] = Field(default_factory=dict, validation_alias="in", serialization_alias="in")
    condition: Condition | None = None
    instruction: str = ""
    node: Node | None = None
    parameters: Annotated[LLMParameters | CodeParameters | None, BeforeValidator(told_or_code)] = None

    model_config = AnEdit.model_config | {"populate_by_name": True}


class InsertRetrieval(AnEdit):
    """A tool is called before an `llm` node, which then reads what it gives.

    `bind` gives arguments their references; a new `llm` node writes the others that the tool needs.
    """

    op: Literal["insert_retrieval"] = "insert_retrieval"
    id: str
    tool: str
    name: str = ""
    bind: dict[str, str] = Field(default_factory=dict)
    ask: Told = None


class InsertStep(WithNode):
    """A new node `name` beside another: a computing step, mostly.

    `before`: the other reads all that it gives, under the same names. `after`: whoever read an output of the other that
    the new node gives too reads it from there.
    """

    op: Literal["insert"] = "insert"
    id: str
    where: Literal["before", "after"]
    name: str
