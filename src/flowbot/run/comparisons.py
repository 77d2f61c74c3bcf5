"""Runs of one task side by side: scores on the examples in common, paired differences, spread over seeds, cost.

Runs compare where they have one task and one metric, or one metric and enough equal examples. Differences are tested by pairs,
those of groups with what their seeds show of others (`stats.difference_over_seeds`). Among several comparisons the p values
are corrected (Holm 1979); the intervals are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, get_args

from flowbot.fields import UserError
from flowbot.fields.arguments import checked_arguments, choice
from flowbot.stats import Estimate, difference_over_seeds, estimate_mean, holm, paired_difference

from .examples import RIGHT, RecordedExample, Side, has_examples, read_examples
from .folders import RUN, RunLike, run_folder
from .sources import by_source
from .taken import logical
from .view import RunView, read_run

Split = Literal["val", "test"]
FEWEST = 10
"""Examples that runs of different tasks must have in common; with fewer nothing can be said of a difference."""
LEVEL = 0.05
"""A corrected p value below this is no chance."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One run of a comparison.

    Args:
        label: A, B, C… in the order given.
        view: the run.
        examples: those of the split by id, without texts; empty where the run has not written them.
        start, found, gain: scores on the examples in common; None where it was not tested.
    """

    label: str
    view: RunView
    examples: Mapping[str, RecordedExample]
    start: Estimate | None = None
    found: Estimate | None = None
    gain: Estimate | None = None

    @property
    def tested(self) -> bool:
        """Whether the found workflow has scores on the split."""
        return any(each.final is not None for each in self.examples.values())

    @property
    def kind(self) -> tuple[str, ...]:
        """What runs have in common that differ in their seed alone: method, effort, models, start, task."""
        started, result = self.view.started, self.view.result
        models = ", ".join(f"{role} {name}" for role, name in sorted(started.models.items()))
        task = started.task if result is None else result.task_hash
        limits = [f"{name} {limit:g}" for name, limit in started.limits.items()]
        return (", ".join([started.method_text, *limits]), self.view.effort, models, started.start, task)

    @property
    def before(self) -> str | None:
        """Id of the run that it took up; None where it took up none, or is not done."""
        taken = self.view.result and self.view.result.before
        return taken.run_id if taken else None

    @property
    def usage(self) -> tuple[int, float | None]:
        """Tokens and US dollars of all logical calls; dollars are None where a price is unknown."""
        _, _, tokens, usd = logical(self.view.by_purpose)
        return tokens, usd if self.view.by_purpose else None

    def scores(self, names: Sequence[str], side: Literal["start", "final"] = "final") -> list[float]:
        """Of these examples; 0 where the workflow was not run."""
        sides = [self.examples[name].start if side == "start" else self.examples[name].final for name in names]
        return [0.0 if each is None else each.score for each in sides]

    def scored(self, common: Sequence[str]) -> ComparedRun:
        """The same with its scores on the examples in common, where it has some."""
        if not self.tested or not common:
            return self
        start, found = self.scores(common, "start"), self.scores(common)
        gain = paired_difference(found, start)
        return replace(self, start=estimate_mean(start), found=estimate_mean(found), gain=gain)

    def dump(self) -> dict[str, Any]:
        """The object that `compare --json` prints for it."""
        view, result = self.view, self.view.result
        tokens, usd = self.usage
        return {
            "label": self.label,
            "run_id": view.started.run,
            "run_dir": str(view.run_dir),
            "status": view.status,
            "stopped_by": view.stopped_by or None,
            "method": view.started.method,
            "effort": view.effort,
            "seed": view.started.seed,
            "meta_mode": view.started.meta_mode,
            "feedback": view.started.feedback,
            "order": view.started.order,
            "objective": view.started.objective,
            "limits": dict(view.started.limits),
            "models": dict(view.started.models),
            "before": self.before,
            **{
                name: each and each.dump()
                for name, each in zip(("start", "found", "gain"), self._estimates, strict=True)
            },
            "calls": {purpose: used.calls for purpose, used in view.by_purpose.items()},
            "tokens": tokens,
            "usd": usd,
            "spent": view.spent.model_dump(),
            "seconds": result and result.seconds,
            "sources": {origin: each.dump() for origin, each in by_source(view.changes).items()},
            "nodes": view.found and len(view.found.sketch.nodes),
            "front": [each.model_dump() for each in view.front],
        }

    @property
    def _estimates(self) -> tuple[Estimate | None, ...]:
        return self.start, self.found, self.gain


@dataclass(frozen=True, slots=True)
class Group:
    """Tested runs that differ in their seed alone.

    Args:
        name: the method, and what else tells the group from the others.
        runs: their labels.
        mean: of the found workflows' mean scores.
        deviation: their standard deviation over seeds; None for one run.
        low, high: the worst and the best of them.
    """

    name: str
    runs: tuple[str, ...]
    mean: float
    deviation: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """`second` minus `first` on the same examples: labels of runs, or names of groups whose seeds are averaged."""

    first: str
    second: str
    estimate: Estimate
    p: float
    p_corrected: float

    @property
    def clear(self) -> bool:
        """Whether it is no chance, the number of comparisons taken into account."""
        return self.p_corrected < LEVEL

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        sides = {"first": self.first, "second": self.second, **self.estimate.dump()}
        return {**sides, "p": self.p, "p_corrected": self.p_corrected, "clear": self.clear}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` shows.

    Args:
        split: which examples.
        examples: ids of those in common, in the first tested run's order.
        other_examples: how many a run has that are not in common, by label; those with none are left out.
        runs: in the order given.
        groups: in the order of their first runs.
        by_group: whether the differences are between groups, since one of them has several runs.
        differences: of every pair.
        only: ids of the examples that one run alone gets right, by label.
        all_right: ids that every tested run gets right.
        none_right: ids that none does.
        same_task: whether all runs are of the very same task.
    """

    split: Split
    examples: tuple[str, ...]
    other_examples: Mapping[str, int]
    runs: tuple[ComparedRun, ...]
    groups: tuple[Group, ...]
    by_group: bool
    differences: tuple[Difference, ...]
    only: Mapping[str, tuple[str, ...]]
    all_right: tuple[str, ...]
    none_right: tuple[str, ...]
    same_task: bool

    def dump(self) -> dict[str, Any]:
        """The object that `compare --json` prints."""
        return {
            "task": self.runs[0].view.started.task,
            "same_task": self.same_task,
            "split": self.split,
            "n": len(self.examples),
            "not_in_common": dict(self.other_examples),
            "runs": [each.dump() for each in self.runs],
            "groups": [{**asdict(each), "runs": list(each.runs)} for each in self.groups],
            "differences_of": "groups" if self.by_group else "runs",
            "differences": [each.dump() for each in self.differences],
            "only_right": {label: list(names) for label, names in self.only.items()},
            "all_right": list(self.all_right),
            "none_right": list(self.none_right),
        }


@checked_arguments(runs=RUN, split=choice(get_args(Split)))
def compare(*runs: RunLike, split: Split = "test") -> Comparison:
    """Runs of one task side by side: scores, cost, and paired differences with intervals. Asks no model.

        >>> found = fb.compare("runs/a", "runs/b")
        >>> [(each.first, each.second, each.estimate.mean, each.clear) for each in found.differences]
        [('A', 'B', 0.08, True)]

    Args:
        runs: two or more: results, folders, or names in runs/. Runs that differ in their seed alone form a group.
        split: the examples to compare on: `test`, or `val` (which chose the workflows, so it flatters them).

    Raises:
        UserError: if there are fewer than two, one stands there twice, one is no run, or they do not compare.
    """
    folders = [run_folder(run) for run in runs]
    if len(folders) < 2:
        raise UserError("compare", "one run" if folders else "no run", "two or more")
    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            raise UserError(str(folder), "the same run twice", "each run once")
        seen.add(folder.resolve())
    compared = tuple(_read(folder, _label(number), split) for number, folder in enumerate(folders))
    _require_same_task(compared, split)
    common = _in_common(compared)
    tested = [run for run in compared if run.tested]
    kinds = list(dict.fromkeys(run.kind for run in tested))
    members = {
        name: [run for run in tested if run.kind == kind] for name, kind in zip(_names(kinds), kinds, strict=True)
    }
    by_group = len(members) > 1 and any(len(each) > 1 for each in members.values())
    right = {
        run.label: {name for name, score in zip(common, run.scores(common), strict=True) if score >= RIGHT}
        for run in tested
    }
    hashes = {run.view.result.task_hash for run in compared if run.view.result is not None}
    return Comparison(
        split=split,
        examples=common,
        other_examples={run.label: more for run in tested if (more := len(run.examples) - len(common))},
        runs=tuple(run.scored(common) for run in compared),
        groups=tuple(_group(name, each, common) for name, each in members.items()) if common else (),
        by_group=by_group,
        differences=_differences(members if by_group else {run.label: [run] for run in tested}, common),
        only={label: _only(label, right, common) for label in right},
        all_right=tuple(name for name in common if all(name in each for each in right.values())),
        none_right=tuple(name for name in common if not any(name in each for each in right.values())),
        same_task=len(hashes) <= 1,
    )


def _read(folder: Path, label: str, split: Split) -> ComparedRun:
    view = read_run(folder)
    joined = split == "val" and view.score("final", "val") is None  # its rows were searched with, and choose nothing
    rows = () if joined or not has_examples(folder) else (e for e in read_examples(folder) if e.split == split)
    return ComparedRun(label, view, {each.id: each.with_sides(Side.without_texts) for each in rows})


def _label(number: int) -> str:
    """A to Z, then A2 to Z2…"""
    letter, round_ = chr(ord("A") + number % 26), number // 26
    return f"{letter}{round_ + 1}" if round_ else letter


def _in_common(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """Ids of the examples on which every tested run has both scores, with equal inputs and expected outputs."""
    tested = [run.examples for run in runs if run.tested]

    def same(name: str, first: RecordedExample) -> bool:
        found = [examples[name] for examples in tested if name in examples]
        return len(found) == len(tested) and all(
            (each.inputs, each.expected) == (first.inputs, first.expected) and each.start and each.final
            for each in found
        )

    return tuple(name for name, first in tested[0].items() if same(name, first)) if tested else ()


def _require_same_task(runs: Sequence[ComparedRun], split: Split) -> None:
    """Refuse what cannot be compared. Equal tasks can; others if metric and enough examples are the same."""
    first = runs[0]
    others = [run for run in runs[1:] if not _same_task(first.view, run.view)]
    for run in others:
        metrics = ["unknown" if each.view.result is None else each.view.result.metric for each in (first, run)]
        if metrics[0] != metrics[1]:
            one, other = (metric.partition("@")[0] for metric in metrics)
            how = f"the metric {other}" if one != other else f"another version of the metric {one}"
            found = f"another task, {run.view.started.task}, with {how}"
            raise UserError(str(run.view.run_dir), found, f"a run scored like {first.label}")
    if not others:
        return
    shared = len(_in_common(runs)) if all(run.tested for run in (first, *others)) else 0
    if shared < FEWEST:
        run = others[0].view
        found = f"another task, {run.started.task}, and only {shared} {split} examples in common"
        expected = f"the task of {first.view.run_dir}, or at least {FEWEST} examples in common"
        raise UserError(str(run.run_dir), found, expected)


def _same_task(one: RunView, other: RunView) -> bool:
    if one.result is not None and other.result is not None:
        return one.result.task_hash == other.result.task_hash
    # One was killed: it has no scores to compare, and is shown as it stands.
    return (one.started.task, one.started.goal) == (other.started.task, other.started.goal)


def _names(kinds: Sequence[tuple[str, ...]]) -> list[str]:
    """The method of each kind, with the parts in which kinds differ: effort, models, start, task."""
    forms = {1: "{} effort", 2: "{}", 3: "start {:.6}", 4: "task {:.6}"}
    differing = {place: form for place, form in forms.items() if len({kind[place] for kind in kinds}) > 1}
    parts = ([form.format(kind[place]) for place, form in differing.items()] for kind in kinds)
    return [", ".join([kind[0] or "unknown", *more]) for kind, more in zip(kinds, parts, strict=True)]


def _group(name: str, runs: Sequence[ComparedRun], common: Sequence[str]) -> Group:
    means = [fmean(run.scores(common)) for run in runs]
    deviation = stdev(means) if len(means) > 1 else None
    return Group(name, tuple(run.label for run in runs), fmean(means), deviation, min(means), max(means))


def _differences(units: Mapping[str, Sequence[ComparedRun]], common: Sequence[str]) -> tuple[Difference, ...]:
    """Every pair of units, each example's score averaged over a unit's runs."""
    if not common:
        return ()
    scores = {unit: [run.scores(common) for run in runs] for unit, runs in units.items()}
    pairs = {each: difference_over_seeds(scores[each[1]], scores[each[0]]) for each in combinations(scores, 2)}
    corrected = holm([p for _, p in pairs.values()])
    return tuple(Difference(*names, *found, p) for (names, found), p in zip(pairs.items(), corrected, strict=True))


def _only(label: str, right: Mapping[str, set[str]], common: Sequence[str]) -> tuple[str, ...]:
    others = set[str]().union(*(names for other, names in right.items() if other != label))
    return tuple(name for name in common if name in right[label] and name not in others)
