"""A comparison of runs as lines for a person: tables of at most 80 columns, then sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flowbot.fields.words import count, duration, interval, money, percent, points

from .console import Style
from .text import wrap

if TYPE_CHECKING:
    from flowbot.run.compared import ComparedRun
    from flowbot.run.comparisons import Comparison, Difference, RunScores

Line = tuple[str, Style]

MOST_DIFFERENCES = 20
"""Differences that are shown, the clearest first; --json has all."""
MOST_NAMES = 6
"""Examples that are named in a line."""
TAKEN = (
    "Calls, tokens and cost are what a run takes with an empty store; paid, and in that time, is what it really was."
)
NONE = "–"
SPLITS = {"test": "test", "val": "validation"}


def lines_of(comparison: Comparison, width: int) -> Iterator[Line]:
    """The whole comparison, `width` columns wide at most where names allow it."""
    runs = [each.run for each in comparison.runs]
    yield from _wrapped(_title(comparison), width, "title")
    yield "", ""
    yield from _legend(runs)
    yield "", ""
    yield from _scores(comparison.runs)
    yield "", ""
    yield from _cost(runs, width)
    if any(len(group.runs) > 1 for group in comparison.groups):
        yield "", ""
        yield from _groups(comparison, width)
    if comparison.differences:
        yield "", ""
        yield from _differences(comparison, width)
    if len(comparison.only) > 1 and comparison.examples:
        yield "", ""
        yield from _right(comparison, width)
    for text in _remarks(comparison):
        yield "", ""
        yield from _wrapped(text, width, "warn")


def _title(comparison: Comparison) -> str:
    n = len(comparison.examples)
    on = f"on {count(n, f'{SPLITS[comparison.split]} example')} in common" if n else "no scores to compare yet"
    return f"{comparison.runs[0].run.view.started.task}: {count(len(comparison.runs), 'run')}, {on}"


def _legend(runs: Sequence[ComparedRun]) -> Iterator[Line]:
    models = {run.label: ", ".join(f"{role} {name}" for role, name in run.view.started.models.items()) for run in runs}
    same = len(set(models.values())) == 1
    for run in runs:
        state = "" if run.view.status == "done" else f" ({run.view.status})"
        yield f"{run.label}  {run.view.run_dir}{state}", ""
        if not same:
            yield f"{'':<{len(run.label)}}  {models[run.label]}", "soft"
    if same and models[runs[0].label]:
        yield f"Models: {models[runs[0].label]}", "soft"


def _scores(runs: Sequence[RunScores]) -> Iterator[Line]:
    rows = [["Run", "Method", "Effort", "Seed", "Start", "Found", "95 % interval", "Gain on start"]]
    for each in runs:
        run, start, found, gain = each.run, each.start, each.found, each.gain
        rows.append(
            [
                run.label,
                run.view.started.method,
                run.view.effort,
                str(run.view.started.seed),
                percent(start.mean) if start else NONE,
                percent(found.mean) if found else NONE,
                interval(found) if found else run.view.status,
                f"{points(gain.mean)} ({interval(gain, difference=True)})" if gain else NONE,
            ]
        )
    yield from _table(rows, left=(0, 1, 2, 6, 7))


def _cost(runs: Sequence[ComparedRun], width: int) -> Iterator[Line]:
    purposes = dict.fromkeys(purpose for run in runs for purpose in run.view.by_purpose)
    rows = [["Run", "Nodes", "Calls", "Tokens", "Cost", "Paid", "Time"]]
    for run in runs:
        result, by_purpose = run.view.result, run.view.by_purpose
        tokens, usd = run.usage
        known = bool(by_purpose)
        rows.append(
            [
                run.label,
                NONE if run.view.found is None else str(len(run.view.found.sketch.nodes)),
                f"{sum(used.calls for used in by_purpose.values()):,}" if known else NONE,
                f"{tokens:,}" if known else NONE,
                money(usd) if known else NONE,
                NONE if result is None else money(result.spent.usd),
                NONE if result is None else duration(result.seconds),
            ]
        )
    yield from _table(rows, left=(0,))
    yield from _wrapped(TAKEN, width, "soft", indent=2)
    if not purposes:
        return
    yield "", ""
    rows = [["Calls", *purposes]]
    for run in runs:
        used = run.view.by_purpose
        rows.append([run.label, *(f"{used[name].calls:,}" if name in used else NONE for name in purposes)])
    yield from _table(rows, left=(0,))


def _groups(comparison: Comparison, width: int) -> Iterator[Line]:
    yield "Over seeds, found workflow", "title"
    rows = [["Method", "Runs", "Mean", "Deviation", "Worst", "Best"]]
    for group in comparison.groups:
        rows.append(
            [
                textwrap.shorten(group.name, max(20, width - 50), placeholder="…"),
                textwrap.shorten(" ".join(group.runs), 16, placeholder=" …"),
                percent(group.mean),
                NONE if group.deviation is None else f"{points(group.deviation, sign=False)} points",
                percent(group.low),
                percent(group.high),
            ]
        )
    yield from _table(rows, left=(0, 1))


def _differences(comparison: Comparison, width: int) -> Iterator[Line]:
    between = "methods, each example's score averaged over seeds" if comparison.by_group else "runs"
    yield from _wrapped(f"Paired differences between {between}, in points", width, "title")
    ranked = sorted(comparison.differences, key=lambda each: each.p) if _many(comparison) else comparison.differences
    for each in ranked[:MOST_DIFFERENCES]:
        estimate = each.estimate
        inside = f"95 % interval {interval(estimate, difference=True)}"
        text = f"{each.second} against {each.first}: {points(estimate.mean)} ({inside}), {_chance(each)}"
        yield from _wrapped(text, width, "accent" if each.clear else "", indent=2)
    if _many(comparison):
        left = len(comparison.differences) - MOST_DIFFERENCES
        yield f"  … {count(left, 'more pair')}, less clear (--json has all)", "soft"
    tests = len(comparison.differences)
    told = "Intervals and p values are of a paired bootstrap over the examples, as in a run's closing test"
    if tests > 1:
        told += f"; the p values are corrected for {tests} comparisons (Holm), the intervals are not"
    if any(len(group.runs) > 1 for group in comparison.groups):
        told += ". They say nothing of how much another seed would change: see the deviation over seeds"
    yield from _wrapped(f"{told}.", width, "soft", indent=2)


def _many(comparison: Comparison) -> bool:
    return len(comparison.differences) > MOST_DIFFERENCES


def _chance(difference: Difference) -> str:
    p = difference.p_corrected
    told = f"p {p:.2f}" if p >= 0.01 else f"p {p:.3f}" if p >= 0.001 else "p below 0.001"
    if not difference.clear:
        return f"{told}: may be chance"
    return f"{told}: {'better' if difference.estimate.mean > 0 else 'worse'}"


def _right(comparison: Comparison, width: int) -> Iterator[Line]:
    yield "Which examples are right", "title"
    whole = [("All runs", comparison.all_right), ("No run", comparison.none_right)]
    for name, ids in (*whole, *((f"Only {label}", ids) for label, ids in comparison.only.items())):
        yield from _wrapped(f"{name}: {len(ids)}{_some(ids)}", width, "", indent=2)


def _some(ids: Sequence[str]) -> str:
    if not ids:
        return ""
    more = f", and {len(ids) - MOST_NAMES} more" if len(ids) > MOST_NAMES else ""
    return f" ({', '.join(ids[:MOST_NAMES])}{more})"


def _remarks(comparison: Comparison) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for each in comparison.runs:
        if each.run.tested and each.run.view.found is not None:
            found.setdefault(each.run.view.found.hash, []).append(each.run.label)
    for labels in found.values():
        if len(labels) > 1:
            yield f"{', '.join(labels[:-1])} and {labels[-1]} found the same workflow."
    if not comparison.same_task:
        yield "These are not runs of the very same task; only examples with equal inputs and outputs are compared."
    if comparison.other_examples:
        left = ", ".join(f"{number} of {label}" for label, number in comparison.other_examples.items())
        yield f"Left out, since not every run has scored them: {left}."
    for group in comparison.groups:
        seeds = {
            each.run.label: str(each.run.view.started.seed) for each in comparison.runs if each.run.label in group.runs
        }
        if len(set(seeds.values())) < len(seeds):
            told = ", ".join(f"{label} {seed}" for label, seed in seeds.items())
            yield f"Some runs of a group have the same seed, so their spread is not one over seeds: {told}."
    untested = [each.run for each in comparison.runs if not each.run.tested]
    open_ = ", ".join(f"{run.label} ({run.view.status})" for run in untested if run.view.status != "done")
    if open_:
        yield f"Without scores of a found workflow: {open_}. The command that began such a run goes on, and ends it."
    ended = ", ".join(run.label for run in untested if run.view.status == "done")
    if ended:
        yield f"Ended without scores of every {SPLITS[comparison.split]} example, as at a ceiling or in an older version: {ended}."


def _table(rows: Sequence[Sequence[str]], *, left: Sequence[int]) -> Iterator[Line]:
    """Columns two blanks apart; those in `left` begin left, the others end right. The first row is the head."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip(), "" if number else "soft"


def _wrapped(text: str, width: int, style: Style, *, indent: int = 0) -> Iterator[Line]:
    blank = " " * indent
    for line in wrap(text, width, initial_indent=blank, subsequent_indent=f"{blank}  " if indent else ""):
        yield line, style
