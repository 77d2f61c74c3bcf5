"""Reading a task file and what stands beside it: data, metric and tools."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import Field, UserError
from flowbot.fields.numbers import is_number, shown
from flowbot.fields.plugins import find_plugin
from flowbot.fields.words import kind_of
from flowbot.fields.yaml import read_data

from .data import read_rows
from .example import Example
from .examples import Checked, checked_examples
from .faults import RAISED, Faults
from .goal import fields_of, goal_of
from .hub import hub_rows, is_of_hub
from .identity import file_identity
from .load_tools import load_tools
from .mapping import mapping
from .metrics import FORMS, METRICS, Metric, MetricError
from .modules import Modules, reference
from .programs import UserProgram, load_programs
from .read_metric import plainly, read_metric
from .sources import ToolSource
from .splits import SPLITS, Split, divide
from .tools import Tool

NO_GOAL = "(no goal is given)"
"""Stands where a goal that has a fault would."""
KEYS = ("flowbot", "goal", "inputs", "outputs", "metric", "data")
MAY = ("tools", "programs", "builtin_tools")
"""Keys that a task file may leave out."""


@dataclass(kw_only=True)
class TaskParts:
    """What a task file says, as far as it could be read: a part that has a fault is None, a row that has one left out."""

    path: Path
    goal: str | None = None
    inputs: tuple[Field, ...] | None = None
    outputs: tuple[Field, ...] | None = None
    metric: Metric | None = None
    rows: Mapping[Split, Sequence[Example]] | None = None
    sources: dict[str, str] = field(default_factory=dict[str, str])
    tools: list[Tool | ToolSource] | None = None
    programs: list[UserProgram] = field(default_factory=list[UserProgram])
    builtin_tools: bool = True

    def arguments(self, *, rows: bool = True) -> dict[str, Any]:
        """What makes a `Task` of them; without `rows`, one that has no examples, for which data and tools need not be there."""
        examples: Mapping[Split, Sequence[Example]] | None = self.rows if rows else {}
        if self.inputs is None or self.outputs is None or self.metric is None or examples is None:
            raise AssertionError("a part of the task could not be read")
        return {
            "goal": NO_GOAL if self.goal is None else self.goal,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "metric": self.metric,
            "splits": {split: Checked(each) for split, each in examples.items()},
            "tools": self.tools or (),
            "programs": self.programs,
            "builtin_tools": self.builtin_tools,
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
            mapping(data, str(path), (*KEYS, *MAY))
        if isinstance(data, dict):
            _read(cast("dict[str, Any]", data), parts, Modules(run=callables), faults)
    return parts


def _read(data: dict[str, Any], parts: TaskParts, modules: Modules, faults: Faults) -> None:
    path = parts.path
    for key in KEYS:
        with faults:
            if key not in data:
                raise UserError(str(path), f"no {key!r}", f"the keys {', '.join(KEYS)} (and {', '.join(MAY)})")
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
    with faults:
        parts.programs = load_programs(data.get("programs"), path, modules, faults)
    with faults:
        if type(given := data.get("builtin_tools", True)) is not bool:
            raise UserError(f"{path}: builtin_tools", shown(given), "true or false")
        parts.builtin_tools = given


def _fields(value: Any, role: str, path: Path, faults: Faults) -> tuple[Field, ...] | None:
    """The fields, each read by itself, so that the fault of one does not hide another's."""
    single = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    alone = [{name: each} for name, each in single.items()] or [value]
    found: list[Field] = []
    for each in alone:
        with faults, naming(path):
            found += fields_of(each, role)
    return tuple(found) if len(found) == len(alone) else None


def _rows(value: Any, parts: TaskParts, faults: Faults) -> Mapping[Split, Sequence[Example]] | None:
    """The examples by split; None where a file cannot be read, or the fields are not known."""
    where = f"{parts.path}: data"
    whole = isinstance(value, dict) and ("all" in value or "split" in value)
    data = mapping(value, where, (*(("all", "split") if whole else SPLITS), "group", "feedback"))
    named = {key: _column(data.get(key) or "", f"{where}.{key}") for key in ("group", "feedback")}
    for key in ("all", "split") if whole else ():
        if key not in data:
            raise UserError(where, f"no {key!r}", "all: FILE and split: [train, val, test]")
    if not whole and not any(split in data for split in SPLITS):
        raise UserError(where, "no files", "train, val and test, or all and split")

    columns: set[str] = set()
    read: dict[str, Sequence[Example]] = {}
    for key in ("all",) if whole else SPLITS:
        with faults:
            found = _file_rows(data[key], key, parts, named, columns, faults) if key in data else Checked()
            if found is not None:
                read[key] = found
    fractions = cast("list[Any]", data["split"] if isinstance(data.get("split"), list) else [data.get("split")])
    if whole and not all(map(is_number, fractions)):
        raise UserError(f"{where}.split", repr(fractions), "three fractions that sum to 1, such as [0.4, 0.2, 0.4]")
    if len(read) < (1 if whole else len(SPLITS)):
        return None
    fields = {field.name for field in (*(parts.inputs or ()), *(parts.outputs or ()))}
    feedback = named["feedback"]
    if feedback and (feedback not in columns or feedback in fields):
        wrong = f"{feedback!r}, which is {'a field' if feedback in columns else 'in no file'}"
        raise UserError(f"{where}.feedback", wrong, "a column of people's words beside the fields")
    if not whole:
        return {split: read[split] for split in SPLITS}
    # Where rows were left out, that too few are left is no fault of its own.
    with Faults(keep=True) if faults.met else faults:
        return divide(read["all"], fractions, f"{where}.split")
    return None


def _file_rows(
    file: Any, key: str, parts: TaskParts, named: Mapping[str, str], columns: set[str], faults: Faults
) -> Sequence[Example] | None:
    """The examples of one data file or data set; None where the fields are not known. Adds what columns it has."""
    where = f"{parts.path}: data.{key}"
    if not isinstance(file, str) or not file:
        raise UserError(where, repr(file), "a .jsonl or .csv file beside the task file")
    if is_of_hub(file):
        inside = faults.within(file)
        rows, parts.sources[key] = hub_rows(file, "" if key == "all" else key, where)
    else:
        inside = faults.within(str(parts.path.parent / file))
        rows = read_rows(parts.path.parent / file, inside)
    if parts.inputs is None or parts.outputs is None:
        return None
    columns.update(name for row in rows for name in row.values)
    return checked_examples(rows, where=file, inputs=parts.inputs, outputs=parts.outputs, faults=inside, **named)


def _column(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(where, kind_of(value), "the name of a column")
    return value


def _metric(value: Any, path: Path, modules: Modules) -> Metric:
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

    return read_metric(value, f"{path}: metric", named)


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
        if re.split(r"[.\[]", error.where)[0] in (*KEYS, *MAY):
            raise error.at(f"{path}: {error.where}") from None
        raise


def _name(path: Path) -> str:
    stem = path.name.split(".")[0]
    return path.resolve().parent.name if stem == "task" else stem
