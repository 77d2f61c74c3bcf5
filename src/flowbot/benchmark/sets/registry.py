"""The sets of the field by name. A set's module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.words import kind_of
from flowbot.task import Task
from flowbot.task.examples import Checked

from .benchmark_set import BenchmarkSet
from .read import set_rows

_OTHERS = {
    "ifbench": "instruction_following",
    "ifeval": "instruction_following",
    "math": "competition_math",
    "text2sql_spider": "spider",
}
_OWN = "banking77 bbh drop facility_support fever gsm8k hotpotqa hover humaneval mbpp pupa trec6 triviaqa"
MODULES: Mapping[str, str] = MappingProxyType({name: name for name in _OWN.split()} | _OTHERS)
"""Modules of this package by the names of the sets in them; of a family, such as `bbh/navigate`, by what stands before the `/`."""


def load_set(name: str, data: str | Path, *, rows: Sequence[int] | None = None, variant: str = "") -> Task:
    """The task of a set of the field.

    Args:
        name: of the set; see `list_sets`.
        data: where its rows are: a folder with `train.jsonl`, `dev.jsonl` and `test.jsonl`, or with the publisher's own files; one
            such file; or `hf:NAME`, `hf:` alone for the publisher's own name on the hub.
        rows: how many of train, val and test; None: all that there are.
        variant: which form of the task; "" for the usual one.

    Raises:
        UserError: naming `set`, `data`, `rows` or `variant`, or a file and its line, and what should stand there.
    """
    wanted = find_set(name)
    if variant not in ("", *wanted.variants):
        raise UserError(
            "variant", repr(variant)[:80], one_of(variant, [each for each in wanted.variants if each] or ["no variant"])
        )
    form = variant or wanted.variants[0]
    found, revision = set_rows(wanted, data, rows, form)
    task = wanted.make(found, form)
    called = f"{wanted.name}-{variant}" if variant else wanted.name
    read = {**task.revisions, **({"data": revision} if revision else {})}
    return replace(
        task, name=called, revisions=read, splits={split: Checked(each) for split, each in task.splits.items()}
    )


def find_set(name: str) -> BenchmarkSet:
    """The set of that name.

    Raises:
        UserError: naming `set`, with the nearest name that there is.
    """
    if not isinstance(cast("object", name), str):
        raise UserError("set", kind_of(name), "the name of a set")
    module = MODULES.get(name.partition("/")[0])
    found = _sets(module) if module else ()
    for each in found:
        if each.name == name:
            return each
    names = [each.name for each in found] or [each.name for each in list_sets()]
    raise UserError("set", repr(name)[:80], one_of(name, names))


def list_sets() -> tuple[BenchmarkSet, ...]:
    """All sets, by name."""
    modules = dict.fromkeys(MODULES.values())
    return tuple(sorted((each for module in modules for each in _sets(module)), key=lambda each: each.name))


def _sets(module: str) -> Sequence[BenchmarkSet]:
    found = import_module(f"{__package__}.{module}")
    return getattr(found, "SETS", None) or (found.SET,)
