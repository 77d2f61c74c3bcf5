"""Reading a task file and what stands beside it: data, metric and tools."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import Field, UserError
from flowbot.fields.plugins import find_plugin
from flowbot.fields.words import kind_of
from flowbot.fields.yaml import read_data

from .data import read_rows
from .examples import Placed, placed_examples
from .faults import RAISED, Faults, KeptFaults
from .goal import fields_of, goal_of
from .hub import hub_rows, is_of_hub
from .identity import file_identity
from .load_tools import load_tools
from .mapping import mapping
from .metrics import FORMS, METRICS, Metric, MetricError
from .modules import Modules, reference
from .read_metric import plainly, read_metric
from .sources import ToolSource
from .splits import SPLITS, Split, divide
from .tools import Tool

NO_GOAL = "(no goal is given)"
"""Stands where a goal that has a fault would."""
KEYS = ("flowbot", "goal", "inputs", "outputs", "metric", "data", "tools")


@dataclass(kw_only=True)
class TaskParts:
    """What a task file says, as far as it could be read: a part that has a fault is None, a row that has one left out."""

    path: Path
    goal: str | None = None
    inputs: tuple[Field, ...] | None = None
    outputs: tuple[Field, ...] | None = None
    metric: Metric | None = None
    rows: dict[Split, list[Placed]] | None = None
    sources: dict[str, str] = field(default_factory=dict[str, str])
    tools: list[Tool | ToolSource] | None = None

    def arguments(self, *, rows: bool = True) -> dict[str, Any]:
        """What makes a `Task` of them; without `rows`, one that has no examples, for which data and tools need not be there."""
        placed = self.rows if rows else {}
        if self.inputs is None or self.outputs is None or self.metric is None or placed is None:
            raise AssertionError("a part of the task could not be read")
        return {
            "goal": NO_GOAL if self.goal is None else self.goal,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "metric": self.metric,
            "splits": placed,
            "tools": self.tools or (),
            "name": _name(self.path),
            "source": self.path,
            "revisions": self.sources,
        }


def read_parts(path: Path, *, callables: bool, faults: Faults = RAISED) -> TaskParts:
    """The parts of a task file or folder, none of them checked against another.

    Args:
        path: the file or folder.
        callables: whether the user's Python is imported; see `Task.load`.
        faults: where mistakes go. As it stands the first is raised, and so all parts are there.

    Raises:
        UserError: naming file and place.
    """
    if path.is_dir():
        path = path / "task.yaml"
    parts = TaskParts(path=path)
    with faults:
        data = read_data(path)
        with faults:
            mapping(data, str(path), KEYS)
        if isinstance(data, dict):
            _read(cast("dict[str, Any]", data), parts, Modules(run=callables), faults)
    return parts


def _read(data: dict[str, Any], parts: TaskParts, modules: Modules, faults: Faults) -> None:
    path = parts.path
    for key in KEYS[:-1]:
        with faults:
            if key not in data:
                raise UserError(str(path), f"no {key!r}", f"the keys {', '.join(KEYS[:-1])} (and tools)")
    with faults:
        if repr(data.get("flowbot", 1)) != "1":  # true and 1.0 equal 1
            raise UserError(f"{path}: flowbot", repr(data["flowbot"]), "1, the version of the format")
    with faults, naming(path):
        parts.goal = goal_of(data["goal"]) if "goal" in data else None
    if "inputs" in data:
        parts.inputs = _fields(data["inputs"], "inputs", path, faults)
    if "outputs" in data:
        parts.outputs = _fields(data["outputs"], "outputs", path, faults)
    with faults:
        if "data" in data:
            parts.rows = _rows(data["data"], parts, faults)
    with faults:
        if "metric" in data:
            parts.metric = _metric(data["metric"], path, modules)
    with faults:
        parts.tools = load_tools(data.get("tools"), path, modules, faults)


def _fields(given: Any, role: str, path: Path, faults: Faults) -> tuple[Field, ...] | None:
    """The fields, each read by itself, so that the fault of one does not hide another's."""
    single = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    alone = [{name: each} for name, each in single.items()] or [given]
    found: list[Field] = []
    for each in alone:
        with faults, naming(path):
            found += fields_of(each, role)
    return tuple(found) if len(found) == len(alone) else None


def _rows(given: Any, parts: TaskParts, faults: Faults) -> dict[Split, list[Placed]] | None:
    """The examples by split; None where a file cannot be read, or the fields are not known."""
    path, inputs, outputs = parts.path, parts.inputs, parts.outputs
    where = f"{path}: data"
    columns: set[str] = set()
    whole = isinstance(given, dict) and ("all" in given or "split" in given)
    data = mapping(given, where, (*(("all", "split") if whole else SPLITS), "group", "feedback"))
    group, feedback = (_column(data.get(key) or "", f"{where}.{key}") for key in ("group", "feedback"))

    placed: list[Placed] | None = None

    def read(key: str) -> list[Placed] | None:
        file = data[key]
        if not isinstance(file, str) or not file:
            raise UserError(f"{where}.{key}", repr(file), "a .jsonl or .csv file beside the task file")
        if is_of_hub(file):
            own = faults.within(file)
            found, parts.sources[key] = hub_rows(file, "" if key == "all" else key, f"{where}.{key}")
        else:
            own = faults.within(str(path.parent / file))
            found = read_rows(path.parent / file, own)
        if inputs is None or outputs is None:
            return None
        columns.update(name for row in found for name in row.values)
        examples = placed_examples(
            found, where=file, inputs=inputs, outputs=outputs, group=group, feedback=feedback, faults=own
        )
        return examples

    def check_feedback() -> None:
        fields = {field.name for field in (*(inputs or ()), *(outputs or ()))}
        if feedback and (feedback not in columns or feedback in fields):
            found = f"{feedback!r}, which is {'a field' if feedback in columns else 'in no file'}"
            raise UserError(f"{where}.feedback", found, "a column of people's words beside the fields")

    if not whole:
        if not any(split in data for split in SPLITS):
            raise UserError(where, "no files", "train, val and test, or all and split")
        by_split: dict[Split, list[Placed] | None] = dict.fromkeys(SPLITS)
        for split in SPLITS:
            with faults:
                by_split[split] = read(split) if split in data else []
        complete: dict[Split, list[Placed]] = {split: rows for split, rows in by_split.items() if rows is not None}
        if len(complete) < len(SPLITS):
            return None
        check_feedback()
        return complete
    for key in ("all", "split"):
        if key not in data:
            raise UserError(where, f"no {key!r}", "all: FILE and split: [train, val, test]")
    with faults:
        placed = read("all")
    fractions = cast("list[Any]", data["split"]) if isinstance(data["split"], list) else [data["split"]]
    if not all(isinstance(part, int | float) and not isinstance(part, bool) for part in fractions):
        raise UserError(f"{where}.split", repr(fractions), "three fractions that sum to 1, such as [0.4, 0.2, 0.4]")
    if placed is None:
        return None
    check_feedback()
    # Where rows were left out, that too few are left is no fault of its own.
    with KeptFaults() if faults.met else faults:
        return divide(placed, fractions, f"{where}.split")
    return None


def _column(given: object, where: str) -> str:
    if not isinstance(given, str):
        raise UserError(where, kind_of(given), "the name of a column")
    return given


def _metric(given: Any, path: Path, modules: Modules) -> Metric:
    """The metric, the user's Python looked up beside the task file; see `read_metric` for the forms."""

    def named(text: Any, pure: bool, where: str) -> Metric:
        if not isinstance(text, str):
            raise UserError(where, "nothing" if text is None else repr(text), FORMS)
        if ":" not in text:
            plugin = None if modules.run or text in METRICS else find_plugin("metrics", text)
            return plainly(text, pure, where) if plugin is None else _unread(text, pure, plugin.identity())
        file, name = reference(text, where, path.parent)
        # The file that the task names is hashed, so that the identity is the same whether it is imported or not.
        identity = file_identity(name, file)
        if not modules.run:
            return _unread(name, pure, identity)
        return replace(plainly(modules.load(file, name, where), pure, where), identity=identity, kept=True)

    return read_metric(given, f"{path}: metric", named)


def _unread(name: str, pure: bool, identity: str) -> Metric:
    """A metric that cannot be called, since its Python is not to be imported."""

    def call(example: Any, outputs: Mapping[str, Any]) -> float:
        raise MetricError("the task was loaded without its Python", metric=name, example=example.id)

    return Metric(name, pure, identity, call)


@contextmanager
def naming(path: Path) -> Generator[None, None, None]:
    """An error that names a place inside the task file names the file too."""
    try:
        yield
    except UserError as error:
        if re.split(r"[.\[]", error.where)[0] in KEYS:
            raise error.at(f"{path}: {error.where}") from None
        raise


def _name(path: Path) -> str:
    stem = path.name.split(".")[0]
    return path.resolve().parent.name if stem == "task" else stem
