"""Reads the runs that are to be compared, and makes sure that they can be: one task, one metric, the same examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from flowbot.fields import UserError, stable_hash

from .examples import has_examples, read_examples
from .taken import logical
from .view import RunView, read_run

Split = Literal["val", "test"]
FEWEST = 10
"""Examples that runs of different tasks must have in common; with fewer nothing can be said of a difference."""


@dataclass(frozen=True, slots=True)
class ScoredExample:
    """One example as one run has it: a digest of its inputs and expected outputs, and both scores."""

    digest: str
    start: float | None
    found: float | None


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One run of a comparison.

    Args:
        label: A, B, C… in the order given.
        view: the run.
        examples: those of the split by id; empty where the run has not written them.
    """

    label: str
    view: RunView
    examples: Mapping[str, ScoredExample] = field(default_factory=dict[str, ScoredExample])

    @property
    def tested(self) -> bool:
        """Whether the found workflow has scores on the split."""
        return any(each.found is not None for each in self.examples.values())

    @property
    def kind(self) -> tuple[str, ...]:
        """What runs have in common that differ in their seed alone: method, effort, models, start, task."""
        started, result = self.view.started, self.view.result
        models = [f"{role} {name}" for role, name in sorted(started.models.items())]
        task = started.task if result is None else result.task_hash
        return (started.method, self.view.effort, ", ".join(models), started.start, task)

    @property
    def usage(self) -> tuple[int, float | None]:
        """Tokens and US dollars of all logical calls; dollars are None where a price is unknown."""
        _, _, tokens, usd = logical(self.view.by_purpose)
        return tokens, usd if self.view.by_purpose else None


def read_runs(folders: Sequence[Path], split: Split) -> tuple[ComparedRun, ...]:
    """The runs, in the order given.

    Raises:
        UserError: if there are fewer than two, one stands there twice, one is no run, or they do not compare.
    """
    if len(folders) < 2:
        raise UserError("compare", "one run" if folders else "no run", "two or more")
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise UserError(str(folder), "the same run twice", "each run once")
        seen[folder.resolve()] = folder
    runs = tuple(_read(folder, _label(number), split) for number, folder in enumerate(folders))
    _require_same_task(runs, split)
    return runs


def in_common(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Ids of the examples on which every tested run has both scores, with equal inputs and expected outputs."""
    tested = [run for run in runs if run.tested]
    if not tested:
        return ()
    first = tested[0].examples

    def same(name: str) -> bool:
        found = [run.examples.get(name) for run in tested]
        return all(
            each is not None and each.digest == first[name].digest and None not in (each.start, each.found)
            for each in found
        )

    return tuple(name for name in first if same(name))


def _read(folder: Path, label: str, split: Split) -> ComparedRun:
    view = read_run(folder)
    examples: dict[str, ScoredExample] = {}
    if has_examples(folder):
        for each in read_examples(folder):
            if each.split == split:
                digest = stable_hash([dict(each.inputs), dict(each.expected)])
                start, found = (side.score if side else None for side in (each.start, each.final))
                examples[each.id] = ScoredExample(digest, start, found)
    return ComparedRun(label, view, examples)


def _require_same_task(runs: Sequence[ComparedRun], split: Split) -> None:
    """Refuse what cannot be compared. Equal tasks can; others if metric and enough examples are the same."""
    first = runs[0]
    others = [run for run in runs[1:] if not _same_task(first, run)]
    for run in others:
        metrics = ["unknown" if each.view.result is None else each.view.result.metric for each in (first, run)]
        if metrics[0] != metrics[1]:
            one, other = (metric.partition("@")[0] for metric in metrics)
            how = f"the metric {other}" if one != other else f"another version of the metric {one}"
            raise UserError(
                str(run.view.run_dir),
                f"another task, {run.view.started.task}, with {how}",
                f"a run scored like {first.label}",
            )
    if others:
        together = [first, *others] if all(run.tested for run in (first, *others)) else []
        shared = len(in_common([run for run in runs if run.tested] if together else []))
        if shared < FEWEST:
            run = others[0]
            raise UserError(
                str(run.view.run_dir),
                f"another task, {run.view.started.task}, and only {shared} {split} examples in common",
                f"the task of {first.view.run_dir}, or at least {FEWEST} examples in common",
            )


def _same_task(one: ComparedRun, other: ComparedRun) -> bool:
    if (
        one.view.result is None or other.view.result is None
    ):  # killed: it has no scores to compare, and is shown as it stands
        first, second = one.view.started, other.view.started
        return (first.task, first.goal) == (second.task, second.goal)
    return one.view.result.task_hash == other.view.result.task_hash


def _label(number: int) -> str:
    """A to Z, then A2 to Z2…"""
    letter, round_ = chr(ord("A") + number % 26), number // 26
    return f"{letter}{round_ + 1}" if round_ else letter
