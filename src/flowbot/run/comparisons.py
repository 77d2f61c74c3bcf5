"""Runs of one task side by side: scores on the examples in common, paired differences, spread over seeds, cost.

The test is that of a run's own closing comparison (`optimize.acceptance`): a percentile bootstrap over paired examples.
Among several comparisons the p values are corrected (Holm 1979); the intervals are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from flowbot.stats import Estimate, estimate_mean, holm, paired_difference, paired_p

from .compared import ComparedRun, Split, in_common, read_runs
from .examples import RIGHT
from .folders import RunLike, run_folder

LEVEL = 0.05
"""A corrected p value below this is no chance."""


@dataclass(frozen=True, slots=True)
class RunScores:
    """A run with its scores on the examples in common; None where it was not tested."""

    run: ComparedRun
    start: Estimate | None
    found: Estimate | None
    gain: Estimate | None


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
    runs: tuple[RunScores, ...]
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
            "task": self.runs[0].run.view.started.task,
            "same_task": self.same_task,
            "split": self.split,
            "n": len(self.examples),
            "not_in_common": dict(self.other_examples),
            "runs": [_dump_run(each) for each in self.runs],
            "groups": [
                {
                    "name": each.name,
                    "runs": list(each.runs),
                    "mean": each.mean,
                    "deviation": each.deviation,
                    "low": each.low,
                    "high": each.high,
                }
                for each in self.groups
            ],
            "differences_of": "groups" if self.by_group else "runs",
            "differences": [
                {
                    "first": each.first,
                    "second": each.second,
                    **each.estimate.dump(),
                    "p": each.p,
                    "p_corrected": each.p_corrected,
                    "clear": each.clear,
                }
                for each in self.differences
            ],
            "only_right": {label: list(names) for label, names in self.only.items()},
            "all_right": list(self.all_right),
            "none_right": list(self.none_right),
        }


def compare(*runs: RunLike, split: Split = "test") -> Comparison:
    """Runs of one task side by side: scores, cost, and paired differences with intervals. Asks no model.

        >>> found = fb.compare("runs/a", "runs/b")
        >>> [(each.first, each.second, each.estimate.mean, each.clear) for each in found.differences]
        [('A', 'B', 0.08, True)]

    Args:
        runs: two or more: results, folders, or names in runs/. Runs that differ in their seed alone form a group.
        split: the examples to compare on: `test`, or `val` (which chose the workflows, so it flatters them).

    Raises:
        UserError: if there is no such run, or they do not compare.
    """
    compared = read_runs([run_folder(run) for run in runs], split)
    common = in_common(compared)
    tested = [run for run in compared if run.tested]
    kinds = dict.fromkeys(run.kind for run in tested)
    members = [[run for run in tested if run.kind == kind] for kind in kinds]
    by_group = len(members) > 1 and any(len(each) > 1 for each in members)
    names = _names(list(kinds))
    units = dict(zip(names, members, strict=True))
    if not by_group:
        units = {run.label: [run] for run in tested}
    right = {run.label: {name for name in common if _found(run, name) >= RIGHT} for run in tested}
    hashes = {run.view.result.task_hash for run in compared if run.view.result is not None}
    return Comparison(
        split=split,
        examples=common,
        other_examples={run.label: more for run in tested if (more := len(run.examples) - len(common))},
        runs=tuple(_scores(run, common) for run in compared),
        groups=tuple(_group(name, each, common) for name, each in zip(names, members, strict=True)) if common else (),
        by_group=by_group,
        differences=_differences(units, common),
        only={label: _only(label, right, common) for label in right},
        all_right=tuple(name for name in common if all(name in each for each in right.values())),
        none_right=tuple(name for name in common if not any(name in each for each in right.values())),
        same_task=len(hashes) <= 1,
    )


def _found(run: ComparedRun, name: str) -> float:
    return run.examples[name].found or 0.0


def _scores(run: ComparedRun, common: Sequence[str]) -> RunScores:
    if not run.tested or not common:
        return RunScores(run, None, None, None)
    start, found = [run.examples[name].start or 0.0 for name in common], [_found(run, name) for name in common]
    return RunScores(run, estimate_mean(start), estimate_mean(found), paired_difference(found, start))


def _names(kinds: Sequence[tuple[str, ...]]) -> list[str]:
    """The method of each kind, with the parts in which kinds differ: effort, models, start, task."""
    differing = [place for place in (1, 2, 3, 4) if len({kind[place] for kind in kinds}) > 1]
    forms = {1: "{} effort", 2: "{}", 3: "start {:.6}", 4: "task {:.6}"}

    def part(kind: tuple[str, ...], place: int) -> str:
        return forms[place].format(kind[place])

    return [", ".join([kind[0] or "unknown", *(part(kind, place) for place in differing)]) for kind in kinds]


def _group(name: str, runs: Sequence[ComparedRun], common: Sequence[str]) -> Group:
    means = [fmean(_found(run, each) for each in common) for run in runs]
    deviation = stdev(means) if len(means) > 1 else None
    return Group(name, tuple(run.label for run in runs), fmean(means), deviation, min(means), max(means))


def _differences(units: Mapping[str, Sequence[ComparedRun]], common: Sequence[str]) -> tuple[Difference, ...]:
    """Every pair of units, each example's score averaged over a unit's runs."""
    if not common:
        return ()
    scores = {unit: [fmean(_found(run, name) for run in runs) for name in common] for unit, runs in units.items()}
    pairs = list(combinations(scores, 2))
    p_values = [paired_p(scores[second], scores[first]) for first, second in pairs]
    return tuple(
        Difference(first, second, paired_difference(scores[second], scores[first]), p, corrected)
        for (first, second), p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
    )


def _only(label: str, right: Mapping[str, set[str]], common: Sequence[str]) -> tuple[str, ...]:
    others = set[str]().union(*(names for other, names in right.items() if other != label))
    return tuple(name for name in common if name in right[label] and name not in others)


def _dump_run(scores: RunScores) -> dict[str, Any]:
    run, view, result = scores.run, scores.run.view, scores.run.view.result
    tokens, usd = run.usage
    return {
        "label": run.label,
        "run_id": view.started.run,
        "run_dir": str(view.run_dir),
        "status": view.status,
        "stopped_by": view.stopped_by or None,
        "method": view.started.method,
        "effort": view.effort,
        "seed": view.started.seed,
        "models": dict(view.started.models),
        "start": scores.start.dump() if scores.start else None,
        "found": scores.found.dump() if scores.found else None,
        "gain": scores.gain.dump() if scores.gain else None,
        "calls": {purpose: used.calls for purpose, used in view.by_purpose.items()},
        "tokens": tokens,
        "usd": usd,
        "spent": view.spent.model_dump(),
        "seconds": result and result.seconds,
        "nodes": view.found and len(view.found.sketch.nodes),
    }
