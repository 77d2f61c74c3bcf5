"""Loading a task file and what stands beside it: data, metric and tools."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import Field, UserError
from flowbot.fields.yaml import read_data

from .data import read_rows
from .examples import Placed, placed_examples
from .identity import file_identity
from .load_tools import load_tools
from .mapping import mapping
from .metrics import METRICS, Metric, MetricError
from .modules import Modules, reference
from .splits import SPLITS, Split, divide
from .task import Task, fields_of

KEYS = ("flowbot", "goal", "inputs", "outputs", "metric", "data", "tools")


def load_task(path: Path, *, callables: bool) -> Task:
    """The task of a file or folder; see `Task.load`.

    Raises:
        UserError: naming file and place.
    """
    if path.is_dir():
        path = path / "task.yaml"
    data = mapping(read_data(path), str(path), KEYS)
    for key in KEYS[:-1]:
        if key not in data:
            raise UserError(str(path), f"no {key!r}", f"the keys {', '.join(KEYS[:-1])} (and tools)")
    if repr(data["flowbot"]) != "1":  # true and 1.0 equal 1
        raise UserError(f"{path}: flowbot", repr(data["flowbot"]), "1, the version of the format")
    with _naming(path):
        inputs, outputs = fields_of(data["inputs"], "inputs"), fields_of(data["outputs"], "outputs")
    rows = _rows(data["data"], path, inputs, outputs)
    modules = Modules(run=callables)
    metric = _metric(data["metric"], path, modules)
    tools = load_tools(data.get("tools"), path, modules)
    with _naming(path):
        return Task(
            goal=data["goal"],
            inputs=inputs,
            outputs=outputs,
            metric=metric,
            train=rows["train"],
            val=rows["val"],
            test=rows["test"],
            tools=tools,
            name=_name(path),
            source=path,
        )


def _rows(given: Any, path: Path, inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> dict[Split, list[Placed]]:
    where = f"{path}: data"
    whole = isinstance(given, dict) and ("all" in given or "split" in given)
    data = mapping(given, where, ("all", "split", "group") if whole else (*SPLITS, "group"))
    group = data.get("group") or ""
    if not isinstance(group, str):
        raise UserError(f"{where}.group", f"a {type(group).__name__}", "the name of a column")

    def read(key: str) -> list[Placed]:
        file = data[key]
        if not isinstance(file, str) or not file:
            raise UserError(f"{where}.{key}", repr(file), "a .jsonl or .csv file beside the task file")
        found = read_rows(path.parent / file)
        return placed_examples(found, where=file, inputs=inputs, outputs=outputs, group=group)

    if not whole:
        if not any(split in data for split in SPLITS):
            raise UserError(where, "no files", "train, val and test, or all and split")
        return {split: read(split) if split in data else [] for split in SPLITS}
    for key in ("all", "split"):
        if key not in data:
            raise UserError(where, f"no {key!r}", "all: FILE and split: [train, val, test]")
    fractions = cast("list[Any]", data["split"]) if isinstance(data["split"], list) else [data["split"]]
    if not all(isinstance(part, int | float) and not isinstance(part, bool) for part in fractions):
        raise UserError(f"{where}.split", repr(fractions), "three fractions that sum to 1, such as [0.4, 0.2, 0.4]")
    return divide(read("all"), fractions, f"{where}.split")


def _metric(given: Any, path: Path, modules: Modules) -> Metric:
    """A built-in's name, `metrics.py:score`, or `{call: metrics.py:score, pure: true}`."""
    where = f"{path}: metric"
    pure = False
    if isinstance(given, dict):
        parts = mapping(cast("object", given), where, ("call", "pure"))
        given, pure = parts.get("call"), parts.get("pure", False)
        if not isinstance(pure, bool):
            raise UserError(f"{where}.pure", repr(pure), "true or false")
    if not isinstance(given, str):
        raise UserError(where, repr(given), f"one of {', '.join(METRICS)}, or FILE.py:NAME")
    if ":" not in given:
        with _naming(path):
            return Metric.of(given)
    file, name = reference(given, where, path.parent)
    # The file that the task names is hashed, so that the identity is the same whether it is imported or not.
    identity = file_identity(name, file)
    if not modules.run:
        return Metric(name, pure, identity, _not_imported(name))
    with _naming(path):
        return replace(Metric.of(modules.load(file, name, where), pure=pure), identity=identity, kept=True)


def _not_imported(name: str) -> Callable[..., Any]:
    def call(example: Any, outputs: Mapping[str, Any]) -> float:
        raise MetricError("the task was loaded without its Python", metric=name, example=example.id)

    return call


@contextmanager
def _naming(path: Path) -> Generator[None, None, None]:
    """An error that names a place inside the task file names the file too."""
    try:
        yield
    except UserError as error:
        if re.split(r"[.\[]", error.where)[0] in KEYS:
            raise UserError(f"{path}: {error.where}", error.found, error.expected) from None
        raise


def _name(path: Path) -> str:
    stem = path.name.split(".")[0]
    return path.resolve().parent.name if stem == "task" else stem
