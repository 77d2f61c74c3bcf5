"""`flowbot compare`: runs of one task side by side, with paired differences on the same examples."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowbot.fields.words import count, duration, in_points, interval, money, percent, points

from .console import Console
from .options import Output

if TYPE_CHECKING:
    from flowbot.run.comparisons import ComparedRun, Comparison, Difference

MOST_DIFFERENCES = 20
"""Differences that are shown, the clearest first; --json has all."""
MOST_NAMES = 6
"""Examples that are named in a line."""
TAKEN = (
    "Calls, tokens and cost are what a run takes with an empty store; paid, and in that time, is what it really was."
)
FRONT = "Scores are of training examples, by which the search chose, so they flatter. --json has all, and a run's folder `front` the files."
MOST_OF_FRONT = 6
"""Workflows of a run's front that are shown, the best first; --json has all."""
NONE = "–"
SPLITS = {"test": "test", "val": "validation"}


def compare(
    *runs: Annotated[Path, Parameter(name="RUN", negative=())],
    split: Literal["test", "val"] = "test",
    output: Output = Output(),  # noqa: B008
) -> int:
    """Compare runs of one task: scores, cost, and paired differences with intervals. Asks no model.

    Parameters
    ----------
    runs
        Two or more runs: folders, or names in runs/. Runs that differ in their seed alone form a group.
    split
        The examples to compare on. Validation chose the workflows, so it flatters them.
    """
    from flowbot.run import comparisons

    console = Console.open(output)
    comparison = comparisons.compare(*runs, split=split)
    console.json(comparison.dump())
    show(comparison, console.page())
    return 0


def show(comparison: Comparison, console: Console) -> None:
    """Show a comparison to a person: tables, then sentences."""
    runs = comparison.runs
    n = len(comparison.examples)
    common = f"on {count(n, f'{SPLITS[comparison.split]} example')} in common" if n else "no scores to compare yet"
    console.paragraph(f"{runs[0].view.started.task}: {count(len(runs), 'run')}, {common}", "title")
    console.say()
    _legend(runs, console)
    console.say()
    _scores(comparison, console)
    console.say()
    _cost(runs, console)
    _sources(runs, console)
    _front(runs, console)
    if _has_seeds(comparison):
        console.say()
        _groups(comparison, console)
    if comparison.differences:
        console.say()
        _differences(comparison, console)
    if len(comparison.only) > 1 and comparison.examples:
        console.say()
        console.say("Which examples are right", "title")
        only = ((f"Only {label}", ids) for label, ids in comparison.only.items())
        for name, ids in (("All runs", comparison.all_right), ("No run", comparison.none_right), *only):
            console.paragraph(f"{name}: {len(ids)}{_some(ids)}", indent=2, hang=2)
    for text in _remarks(comparison):
        console.say()
        console.paragraph(text, "warn")


def _legend(runs: Sequence[ComparedRun], console: Console) -> None:
    models = {run.label: ", ".join(f"{role} {name}" for role, name in run.view.started.models.items()) for run in runs}
    same = len(set(models.values())) == 1
    for run in runs:
        console.say(f"{run.label}  {run.view.run_dir}" + ("" if run.view.status == "done" else f" ({run.view.status})"))
        if not same:
            console.say(f"{'':<{len(run.label)}}  {models[run.label]}", "soft")
    if same and models[runs[0].label]:
        console.say(f"Models: {models[runs[0].label]}", "soft")


def _scores(comparison: Comparison, console: Console) -> None:
    rows = [
        (
            each.label,
            each.view.started.method_text,
            each.view.effort,
            str(each.view.started.seed),
            percent(each.start.mean) if each.start else NONE,
            percent(each.found.mean) if each.found else NONE,
            interval(each.found) if each.found else each.view.status,
            f"{points(each.gain.mean)} ({interval(each.gain, difference=True)})" if each.gain else NONE,
        )
        for each in comparison.runs
    ]
    head = ("Run", "Method", "Effort", "Seed", "Start", "Found", "95 % interval", "Gain on start")
    console.table(head, rows, left=(0, 1, 2, 6, 7))


def _cost(runs: Sequence[ComparedRun], console: Console) -> None:
    rows: list[tuple[str, ...]] = []
    for run in runs:
        result, by_purpose, (tokens, usd) = run.view.result, run.view.by_purpose, run.usage
        calls = sum(used.calls for used in by_purpose.values())
        rows.append(
            (
                run.label,
                NONE if run.view.found is None else str(len(run.view.found.sketch.nodes)),
                *((f"{calls:,}", f"{tokens:,}", money(usd)) if by_purpose else (NONE,) * 3),
                *((NONE,) * 2 if result is None else (money(result.spent.usd), duration(result.seconds))),
            )
        )
    console.table(("Run", "Nodes", "Calls", "Tokens", "Cost", "Paid", "Time"), rows)
    console.paragraph(TAKEN, "soft", indent=2, hang=2)
    if purposes := dict.fromkeys(purpose for run in runs for purpose in run.view.by_purpose):
        console.say()
        used = {run.label: {name: f"{each.calls:,}" for name, each in run.view.by_purpose.items()} for run in runs}
        rows = [(label, *(calls.get(name, NONE) for name in purposes)) for label, calls in used.items()]
        console.table(("Calls", *purposes), rows)


def _sources(runs: Sequence[ComparedRun], console: Console) -> None:
    from flowbot.run.sources import ORIGINS, by_source

    rows = [
        (
            run.label,
            ORIGINS[origin],
            *(str(number) for number in (each.proposals, each.valid, each.adopted)),
            NONE if each.gain is None else points(each.gain),
        )
        for run in runs
        for origin, each in by_source(run.view.changes).items()
    ]
    if rows:
        console.say()
        console.table(("Run", "Changes from", "Proposed", "Valid", "Adopted", "Mean gain"), rows, left=(0, 1))


def _front(runs: Sequence[ComparedRun], console: Console) -> None:
    """What else each run found, the best first."""
    rows = [
        (
            run.label if place == 0 else "",
            percent(each.score.mean),
            f"{each.calls:.1f}",
            f"{each.tokens:,.0f}",
            NONE if each.usd is None else money(1000 * each.usd),
            f"{each.seconds:.1f} s",
            textwrap.shorten(each.title if each.role == "tried" else each.role, 48, placeholder=" …"),
        )
        for run in runs
        for place, each in enumerate(run.view.front[:MOST_OF_FRONT])
    ]
    if not rows:
        return
    console.say()
    console.paragraph("What none of a run's workflows beats on all axes at once, an example", "title")
    console.table(("Run", "Score", "Calls", "Tokens", "Per 1,000", "Waiting", "Workflow"), rows, left=(0, 6))
    console.paragraph(FRONT, "soft", indent=2, hang=2)


def _groups(comparison: Comparison, console: Console) -> None:
    console.say("Over seeds, found workflow", "title")
    rows = [
        (
            group.name,
            textwrap.shorten(" ".join(group.runs), 16, placeholder=" …"),
            percent(group.mean),
            NONE if group.deviation is None else in_points(group.deviation, sign=False),
            percent(group.low),
            percent(group.high),
        )
        for group in comparison.groups
    ]
    console.table(("Method", "Runs", "Mean", "Deviation", "Worst", "Best"), rows, left=(0, 1))


def _differences(comparison: Comparison, console: Console) -> None:
    between = "methods, each example's score averaged over seeds" if comparison.by_group else "runs"
    console.paragraph(f"Paired differences between {between}, in points", "title")
    tests = len(comparison.differences)
    ranked: Sequence[Difference] = comparison.differences
    if tests > MOST_DIFFERENCES:
        ranked = sorted(ranked, key=lambda each: each.p)[:MOST_DIFFERENCES]
    for each in ranked:
        inside = f"95 % interval {interval(each.estimate, difference=True)}"
        text = f"{each.second} against {each.first}: {points(each.estimate.mean)} ({inside}), {_chance(each)}"
        console.paragraph(text, "accent" if each.clear else "", indent=2, hang=2)
    if tests > MOST_DIFFERENCES:
        more = count(tests - MOST_DIFFERENCES, "more pair")
        console.say(f"  … {more}, less clear (--json has all)", "soft")
    note = "Intervals are by t, p values of a permutation test by pairs"
    if tests > 1:
        note += f"; the p values are corrected for {tests} comparisons (Holm), the intervals are not"
    if comparison.by_group:
        note += ". Where a method has several seeds, both allow for other seeds too"
    elif _has_seeds(comparison):
        note += ". They say nothing of how much another seed would change: see the deviation over seeds"
    console.paragraph(f"{note}.", "soft", indent=2, hang=2)


def _has_seeds(comparison: Comparison) -> bool:
    return any(len(group.runs) > 1 for group in comparison.groups)


def _chance(difference: Difference) -> str:
    p = difference.p_corrected
    text = f"p {p:.2f}" if p >= 0.01 else f"p {p:.3f}" if p >= 0.001 else "p below 0.001"
    if not difference.clear:
        return f"{text}: may be chance"
    return f"{text}: {'better' if difference.estimate.mean > 0 else 'worse'}"


def _some(ids: Sequence[str]) -> str:
    more = f", and {len(ids) - MOST_NAMES} more" if len(ids) > MOST_NAMES else ""
    return f" ({', '.join(ids[:MOST_NAMES])}{more})" if ids else ""


def _remarks(comparison: Comparison) -> Iterator[str]:
    runs = comparison.runs
    seeds = {run.label: str(run.view.started.seed) for run in runs}
    found: dict[str, list[str]] = {}
    for run in runs:
        if run.tested and run.view.found is not None:
            found.setdefault(run.view.found.hash, []).append(run.label)
    for *labels, last in found.values():
        if labels:
            yield f"{', '.join(labels)} and {last} found the same workflow."
    labels_of = {run.view.started.run: run.label for run in runs}
    for run in runs:
        if run.before in labels_of:
            yield f"{run.label} took up {labels_of[run.before]}: it began with what that found."
    if not comparison.same_task:
        yield "These are not runs of the very same task; only examples with equal inputs and outputs are compared."
    if comparison.other_examples:
        left = ", ".join(f"{number} of {label}" for label, number in comparison.other_examples.items())
        yield f"Left out, since not every run has scored them: {left}."
    for group in comparison.groups:
        if len({seeds[label] for label in group.runs}) < len(group.runs):
            same = ", ".join(f"{label} {seeds[label]}" for label in group.runs)
            yield f"Some runs of a group have the same seed, so their spread is not one over seeds: {same}."
    untested = [run for run in runs if not run.tested]
    if open_ := ", ".join(f"{run.label} ({run.view.status})" for run in untested if run.view.status != "done"):
        yield f"Without scores of a found workflow: {open_}. The command that began such a run goes on, and ends it."
    if ended := ", ".join(run.label for run in untested if run.view.status == "done"):
        why = "as at a ceiling" if comparison.split == "test" else "as where a search has nothing to validate"
        yield f"Ended without scores of both workflows on {SPLITS[comparison.split]} examples, {why}: {ended}."
