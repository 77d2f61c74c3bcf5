"""A task: what to solve. Fields, metric, examples by split and tools, checked once when it is made."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from flowbot.fields import Field, ToolSignature, UserError, stable_hash
from flowbot.fields.arguments import SWITCH, checked_arguments, one_kind
from flowbot.fields.numbers import shown
from flowbot.fields.words import brief, listed

from .builtin_tools import signatures_of
from .example import Example
from .goal import Fields, fields_of, goal_of
from .labels import check_labels
from .metrics import Metric, MetricGiven
from .programs import UserProgram, programs_of
from .python_rows import DEFAULT_SPLIT, Rows, examples_by_split
from .read_metric import plainly, read_metric
from .sources import ToolSource
from .splits import SPLITS, Split, check_disjoint
from .tools import Tool, tool_of


@dataclass(frozen=True, init=False, eq=False)
class Task:
    """What to solve. A notebook shows its fields, metric, sizes and first examples.

        >>> task = fb.Task(
        ...     goal="Say which department should answer the customer.",
        ...     inputs={"message": str},
        ...     outputs={"department": Literal["billing", "delivery"]},
        ...     metric="exact",
        ...     rows=[("Where is my parcel?", "delivery"), ("The bill is wrong.", "billing"), …],
        ... )
        >>> task
        Task(task: message → department, metric exact, 40 train, 20 val, 40 test)

    Args of the constructor, all by name:
        goal: what is wanted, in a sentence.
        inputs: fields that are given; see `Fields`.
        outputs: fields that are wanted.
        metric: a built-in's name, a callable `(example, outputs)`, a `Judge`, `Parts`, a `Metric`, or a mapping as in a file.
        train: rows to learn from; columns are fields, `id` and `feedback` are optional. See `Rows` for what may be given.
        val: rows to choose by.
        test: rows to report on, used once.
        rows: rows of all three splits, in place of them; divided by `split`.
        split: the parts of train, val and test in `rows`. Rows of one group, and rows with equal inputs, stay together.
        group: the column that names a row's group; "" for none.
        splits: the three together, by name, in place of them; so `dataclasses.replace` works.
        tools: what workflows may call: callables, `Tool`s, and sources that a run opens. The attribute `tools` has those
            that can be called as they are.
        sources: more declared tools, as the attribute has them; so `dataclasses.replace` works.
        name: for people; letters, digits, `-`, `_` and `.`.
        source: the file that it was loaded from.
        programs: pipelines of your own that workflows may run: callables, sync or async; see `fb.Param` and `fb.step`.
        builtin_tools: whether workflows may call `python` and `calculator`, which need no declaration.
        revisions: for rows that are of the hub, what was read, by the key of the task file; part of the task's identity.

    Raises:
        UserError: naming the place, if anything of it is wrong.
    """

    goal: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    metric: Metric
    splits: Mapping[Split, tuple[Example, ...]]
    tools: tuple[Tool, ...]
    sources: tuple[ToolSource, ...]
    programs: tuple[UserProgram, ...]
    builtin_tools: bool
    name: str
    source: Path | None
    revisions: Mapping[str, str]

    def __init__(
        self,
        *,
        goal: str,
        inputs: Fields,
        outputs: Fields,
        metric: MetricGiven | Mapping[str, Any],
        train: Rows = (),
        val: Rows = (),
        test: Rows = (),
        rows: Rows = (),
        split: Sequence[float] = DEFAULT_SPLIT,
        group: str = "",
        splits: Mapping[Split, Rows] | None = None,
        tools: Iterable[Callable[..., Any] | Tool | ToolSource] = (),
        sources: Iterable[ToolSource] = (),
        programs: Iterable[Callable[..., Any] | UserProgram] = (),
        builtin_tools: bool = True,
        name: str = "task",
        source: Path | str | None = None,
        revisions: Mapping[str, str] | None = None,
    ) -> None:
        aim = goal_of(goal)
        taken, wanted = fields_of(inputs, "inputs"), fields_of(outputs, "outputs")
        both = [field.name for field in wanted if field.name in {each.name for each in taken}]
        if both:
            raise UserError("outputs", f"{', '.join(both)}, which is an input too", "names of their own")
        scorer = read_metric(metric, "metric", plainly).for_outputs(wanted)
        given: Mapping[Split, Rows] = {"train": train, "val": val, "test": test} if splits is None else splits
        examples = examples_by_split(given, rows, split, group, inputs=taken, outputs=wanted)
        check_disjoint(examples)
        check_labels([each for split in SPLITS for each in examples[split]], wanted, scorer)
        declared = (*tools, *sources)
        made = tuple(tool_of(each) for each in declared if not isinstance(each, ToolSource))
        if type(builtin_tools) is not bool:
            raise UserError("builtin_tools", shown(builtin_tools), "True or False")
        names = [tool.signature.name for tool in made]
        twice = sorted({each for each in names if names.count(each) > 1})
        if twice:
            raise UserError("tools", f"{', '.join(twice)} twice", "each name once")
        set_once = cast("Callable[[object, str, object], None]", object.__setattr__)
        for attribute, value in {
            "goal": aim,
            "inputs": taken,
            "outputs": wanted,
            "metric": scorer,
            "splits": MappingProxyType(_apart(examples)),
            "tools": made,
            "sources": tuple(each for each in declared if isinstance(each, ToolSource)),
            "programs": programs_of(programs),
            "builtin_tools": builtin_tools,
            "name": re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "task",
            "source": None if source is None else Path(source),
            "revisions": MappingProxyType(dict(revisions or {})),
        }.items():
            set_once(self, attribute, value)

    @staticmethod
    @checked_arguments(path=(one_kind(str, os.PathLike), "the path of a task.yaml, or of its folder"), callables=SWITCH)
    def load(path: Path | str, *, callables: bool = True) -> Task:
        """The task of a `task.yaml` (or JSON) file, or of a folder that holds one.

        Args:
            path: the file or folder; data, metric and tools are looked up beside it.
            callables: False: the user's Python is not imported. The metric then cannot be called, and there are no
                tools; everything else is as with True.

        Raises:
            UserError: naming file and place, if anything of it is wrong.
        """
        from .load import naming, read_parts

        parts = read_parts(Path(path), callables=callables)
        with naming(parts.path):
            return Task(**parts.arguments())

    def __repr__(self) -> str:
        fields = f"{listed((each.name for each in self.inputs), 5)} → {listed((each.name for each in self.outputs), 5)}"
        tools = f", tools {', '.join(self.tool_names)}" if self.tool_names else ""
        said = f"{self.name}: {fields}, metric {self.metric.name}, {self.sizes}{tools}"
        return f"Task({brief(said, 400)})"

    @property
    def sizes(self) -> str:
        """How many examples each split has: `40 train, 40 val, 100 test`."""
        return ", ".join(f"{len(examples)} {split}" for split, examples in self.splits.items())

    @property
    def tool_names(self) -> list[str]:
        """Names of the tools that can be called as they are, and the kinds of the sources of others."""
        kinds = [type(source).__name__.removesuffix("Source") for source in self.sources]
        return [*(tool.signature.name for tool in self.tools), *kinds]

    @property
    def signatures(self) -> dict[str, ToolSignature]:
        """What workflows may call, by name: the tools that can be called as they are, and those that need no declaration."""
        return signatures_of(self.tools, builtin=self.builtin_tools)

    @property
    def train(self) -> tuple[Example, ...]:
        """Examples to learn from."""
        return self.splits["train"]

    @property
    def val(self) -> tuple[Example, ...]:
        """Examples to choose by."""
        return self.splits["val"]

    @property
    def test(self) -> tuple[Example, ...]:
        """Examples to report on, used once."""
        return self.splits["test"]

    @property
    def identity(self) -> dict[str, Any]:
        """What the task is, as JSON data: equal for equal tasks, wherever they stand.

        Raises:
            ValueError: if a declared tool is not opened: what it is, is not known before.
        """
        if self.sources:
            raise ValueError("a task has its identity when its tools are opened: see flowbot.runtime.opened_task")
        rows = {
            split: [
                [e.id, e.inputs, e.expected, e.group, dict(e.extra), *([e.feedback] if e.feedback else [])]
                for e in self.splits[split]
            ]
            for split in SPLITS
        }
        return {
            "goal": self.goal,
            "inputs": [[field.name, str(field.type), field.about] for field in self.inputs],
            "outputs": [[field.name, str(field.type), field.about] for field in self.outputs],
            "metric": self.metric.identity,
            "examples": stable_hash(rows),
            "tools": [[tool.signature.name, tool.signature.effects, tool.identity] for tool in self.tools],
            **(
                {"programs": [[each.name, each.effects, each.identity] for each in self.programs]}
                if self.programs
                else {}
            ),
            **({} if self.builtin_tools else {"builtin_tools": False}),
            **({"revisions": dict(self.revisions)} if self.revisions else {}),
        }


def _apart(examples: Mapping[Split, Sequence[Example]]) -> dict[Split, tuple[Example, ...]]:
    """Examples by split; ids that stand in two splits get the split's name in front, so that an id is one example."""
    splits_of = Counter(name for split in SPLITS for name in {each.id for each in examples[split]})
    return {
        split: tuple(
            replace(each, id=f"{split}/{each.id}") if splits_of[each.id] > 1 else each for each in examples[split]
        )
        for split in SPLITS
    }
