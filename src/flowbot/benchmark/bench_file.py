"""The bench file: which methods are compared on which tasks, with which models, seeds, efforts and ceilings.

    flowbot: 1
    tasks: {orders: examples/orders/task.yaml, trec: {set: trec6, data: data/trec6, rows: [40, 40, 60]}}
    methods: {cot: {start: chain-of-thought}, ours: {method: flowbot+blame}, other: {command: [python, other.py]}}
    models: {small: {task: local/qwen2.5-coder-0.5b, meta: local/qwen2.5-coder-1.5b}}
    baseline: cot
    seeds: [0, 1, 2]
    effort: [200]
    budget: {usd: 20, cell: {usd: 1}}

Reading it opens tasks and their data, and runs nothing but the Python that task files name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError
from flowbot.fields.foreign import checked
from flowbot.fields.near import one_of
from flowbot.fields.numbers import MOST, shown
from flowbot.fields.words import kind_of
from flowbot.fields.yaml import read_data
from flowbot.lm.providers import split_model
from flowbot.optimizer.effort import planned_calls
from flowbot.optimizer.methods import find_method
from flowbot.optimizer.program_start import PROGRAM
from flowbot.task import Task
from flowbot.task.hub import is_of_hub
from flowbot.task.splits import SPLITS
from flowbot.workflow.starts import Start, find_start, list_starts
from flowbot.workflow.workflow import Workflow

from .entries import (
    MethodEntry,
    ModelsEntry,
    PeerMethod,
    SearchMethod,
    SharedCeilings,
    StartMethod,
    TaskOfFile,
    TaskOfSet,
)
from .published import Published, read_published

KEYS = ("flowbot", "name", "tasks", "methods", "models", "seeds", "effort", "budget", "baseline", "published")
LONGEST_NAME = 64
MOST_ENTRIES = 200
"""Tasks, methods, pairs of models, seeds and efforts in a file, each."""
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_+-]|\.(?=[0-9]))*\Z")
_FORM = f"a name of letters, digits, _, - and +, and points before digits; at most {LONGEST_NAME}"
_FOLDERS = "names that differ in more than upper and lower case, since each is a folder"


@dataclass(frozen=True, slots=True)
class BenchFile:
    """A bench file, read and checked.

    Args:
        path: the file.
        name: of the comparison.
        tasks: by name; those of files and of sets alike.
        methods, models: by name.
        starts: of the methods that name one: a workflow, a start that is made to fit each task, or the name of one of the task's programs.
        seeds, efforts: efforts as planned search calls.
        budget: ceilings.
        baseline: the method that the others are compared with; "" where the file names none.
        published: others' figures.
    """

    path: Path
    name: str
    tasks: Mapping[str, Task]
    methods: Mapping[str, MethodEntry]
    models: Mapping[str, ModelsEntry]
    starts: Mapping[str, Workflow | Start | str]
    seeds: tuple[int, ...]
    efforts: tuple[int, ...]
    budget: SharedCeilings
    baseline: str
    published: tuple[Published, ...]

    @property
    def folder(self) -> Path:
        """What paths in the file are relative to."""
        return self.path.parent


def read_bench(path: Path | str, only: Sequence[str] = ()) -> BenchFile:
    """A bench file, with all tasks and starts that it names.

    Args:
        path: the file.
        only: patterns of the cells that are wanted; a task of none of them is left out where its data is not there. All when empty.

    Raises:
        UserError: naming file and place, if anything of it is wrong.
    """
    path = Path(path)
    data = _mapping(read_data(path), str(path))
    if unknown := [key for key in data if key not in KEYS]:
        raise UserError(str(path), f"the unknown key {shown(unknown[0])}", one_of(unknown[0], KEYS))
    if repr(data.get("flowbot", 1)) != "1":  # true and 1.0 equal 1
        raise UserError(f"{path}: flowbot", repr(data["flowbot"]), "1, the version of the format")
    entries = {key: _entries(data, key, path) for key in ("tasks", "methods", "models")}
    methods = {name: _method(entry, f"{path}: methods.{name}") for name, entry in entries["methods"].items()}
    for name, method in methods.items():
        for task in method.tasks or ():
            if task not in entries["tasks"]:
                raise UserError(f"{path}: methods.{name}.tasks", shown(task), one_of(task, entries["tasks"]))
    models = {name: checked(ModelsEntry, entry, f"{path}: models.{name}") for name, entry in entries["models"].items()}
    for name, entry in models.items():
        _check_models(entry, f"{path}: models.{name}")
    seeds = _numbers(data.get("seeds", [0]), f"{path}: seeds", _seed)
    efforts = _numbers(data.get("effort", [200]), f"{path}: effort", planned_calls)
    budget = checked(SharedCeilings, data.get("budget", {}), f"{path}: budget")
    baseline = data.get("baseline", "")
    if not isinstance(baseline, str) or (baseline and baseline not in methods):
        raise UserError(f"{path}: baseline", shown(baseline), f"a method of the file: {one_of(baseline, methods)}")
    return BenchFile(
        path=path,
        name=_named(data.get("name", path.name.split(".")[0]), f"{path}: name"),
        methods=methods,
        models=models,
        starts={
            name: _start(entry.start, f"{path}: methods.{name}.start", path.parent)
            for name, entry in methods.items()
            if not isinstance(entry, PeerMethod) and entry.start is not None
        },
        seeds=seeds,
        efforts=efforts,
        budget=budget,
        baseline=baseline,
        published=read_published(data.get("published"), f"{path}: published"),
        tasks=_tasks(entries["tasks"], path, [each.partition("/")[0] for each in only]),  # last: it reads the data
    )


def _tasks(entries: Mapping[str, Any], path: Path, only: Sequence[str]) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for name, entry in entries.items():
        try:
            found[name] = _task(name, entry, path)
        except UserError:
            if not only or any(fnmatchcase(name, pattern) for pattern in only):
                raise
    return found


def _entries(data: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    """A mapping of names to what they stand for; at least one, no two that would share a folder."""
    where = f"{path}: {key}"
    if key not in data:
        raise UserError(str(path), f"no {key!r}", "tasks, methods and models")
    entries = _mapping(data[key], where)
    if not 0 < len(entries) <= MOST_ENTRIES:
        raise UserError(where, f"{len(entries)} of them", f"1 to {MOST_ENTRIES}, by name")
    folders: dict[str, str] = {}
    for name in entries:
        _named(name, where)
        before = folders.setdefault(name.casefold(), name)
        if before != name:
            raise UserError(where, f"{before!r} and {name!r}", _FOLDERS)
    return entries


def _named(name: Any, where: str) -> str:
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not _NAME.match(name):
        raise UserError(where, f"the name {shown(name)}", _FORM)
    return name


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(where, kind_of(value), "a mapping")
    return cast("dict[str, Any]", value)


def _method(entry: Any, where: str) -> MethodEntry:
    """What a method is, told by its keys."""
    kinds: dict[str, type[MethodEntry]] = {"command": PeerMethod, "method": SearchMethod, "start": StartMethod}
    given = _mapping(entry, where)
    kind = next((kinds[key] for key in kinds if key in given), None)
    if kind is None:
        raise UserError(where, f"only {', '.join(map(shown, given))}" if given else "nothing", one_of("", kinds))
    method = checked(kind, given, where)
    if isinstance(method, SearchMethod):
        try:
            find_method(method.method)
        except UserError as error:
            raise error.at(f"{where}.method") from None
    return method


def _start(text: str, where: str, folder: Path) -> Workflow | Start | str:
    """A start of the library by its name, a workflow's file relative to the bench file, or a program as the task's file names it."""
    if PROGRAM.fullmatch(text):
        return text
    if text not in {each.name for each in list_starts()} and (Path(text).suffix or (folder / text).exists()):
        return Workflow.load(folder / text)
    try:
        return find_start(text)
    except UserError as error:
        raise error.at(where) from None


def _check_models(entry: ModelsEntry, where: str) -> None:
    named = [(role, getattr(entry, role)) for role in ("task", "meta", "judge")]
    for role, name in (*named, *((f"others[{place}]", each) for place, each in enumerate(entry.others or ()))):
        if name is None:
            continue
        try:
            split_model(name)
        except UserError as error:
            raise UserError(f"{where}.{role}", what=error.what, mend=error.mend) from None


def _numbers(value: Any, where: str, read: Any) -> tuple[int, ...]:
    """A list of whole numbers, none twice."""
    given = cast("list[Any]", value) if isinstance(value, list) else []
    if not 0 < len(given) <= MOST_ENTRIES:
        what = f"{len(given)} of them" if isinstance(value, list) else shown(value)
        raise UserError(where, what, f"a list of 1 to {MOST_ENTRIES}")
    found = [read(each, f"{where}[{place}]") for place, each in enumerate(given)]
    if len(set(found)) < len(found):
        raise UserError(where, f"{next(each for each in found if found.count(each) > 1)} twice", "each once")
    return tuple(found)


def _seed(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise UserError(where, shown(value), "a whole number from 0 to 10^15")
    return value


def _task(name: str, entry: Any, path: Path) -> Task:
    """The task of a file, or of a set, by the name that it has here."""
    where = f"{path}: tasks.{name}"
    if isinstance(entry, str) or (isinstance(entry, dict) and "file" in entry):
        of = TaskOfFile(file=entry) if isinstance(entry, str) else checked(TaskOfFile, entry, where)
        if not of.file or not (path.parent / of.file).exists():
            raise UserError(where, f"no file {path.parent / of.file}", "a task file, or its folder")
        found = Task.load(path.parent / of.file)
        if of.rows is not None:
            most = dict(zip(SPLITS, of.rows, strict=True))
            found = replace(found, splits={split: rows[: most[split]] for split, rows in found.splits.items()})
    elif isinstance(entry, dict):
        from .sets.registry import load_set

        given = checked(TaskOfSet, entry, where)
        place = given.data if is_of_hub(given.data) else path.parent / given.data
        rows = None if given.rows is None else (given.rows[0], given.rows[1], given.rows[2])
        try:
            found = load_set(given.set, place, rows=rows, variant=given.variant)
        except UserError as error:
            raise error.at(f"{where}: {error.where}") from None
    else:
        raise UserError(
            where,
            kind_of(entry),
            "the path of a task file, {file: PATH, rows: [TRAIN, VAL, TEST]}, or {set: NAME, data: FOLDER}",
        )
    return found if found.name == name else replace(found, name=name)
