"""What to do next, from what a run shows: a few sentences, each with the figure that it rests on."""

from __future__ import annotations

import math

from flowbot.fields.words import count, in_points, percent
from flowbot.power import measured_difference, smallest_difference
from flowbot.run.result import PLAN_USED
from flowbot.run.view import RunView

from .examples import Group, failed_runs, grouped

MOST = 4
"""Pieces of advice at most."""
MANY_ERRORS = 0.1
"""Share of runs without a result above which errors are the first thing to look at."""
FULL = 0.97
"""Score above which little room is left."""
_EFFORTS = (500, 2000)
"""Planned search calls that are advised, where fewer found nothing."""


def advice(run: RunView) -> tuple[str, ...]:
    """What to do next, the most pressing first."""
    if not run.done:
        return _go_on(run)
    said = [*_errors(run), *_unchanged(run), *_chance(run), *_broken(run), *_next(run)]
    return tuple(said[:MOST])


def _go_on(run: RunView) -> tuple[str, ...]:
    mend = {
        "infrastructure": "See that the model's endpoint answers (`flowbot models NAME`), then",
        "metric": "Mend the metric, which raised the error above, then",
        "callback": "Mend the progress callback, then",
        "seconds": "Raise `--max-seconds` or leave it out, and",
    }.get(run.stopped_by, "To go on,")
    return (f"{mend} give the same command again: what was paid for is stored, and nothing is paid for twice.",)


def _errors(run: RunView) -> list[str]:
    failed = failed_runs(run.examples, "final")
    known = sum(each.final is not None for each in run.examples)
    if not known or failed / known < MANY_ERRORS:
        return []
    return [
        f"{failed} of {count(known, 'test run')} of the {'start' if run.unchanged else 'found workflow'} gave no result at "
        "all. Look at the errors below first: a higher token limit or a simpler output often mends them."
    ]


def _unchanged(run: RunView) -> list[str]:
    if not run.unchanged:
        return []
    final = run.score("final", "test") or run.start_val
    if final is not None and final.mean >= FULL:
        return [f"The start scores {percent(final.mean)} already: harder examples would show more than another search."]
    if final is not None and final.mean == 0:
        return [
            "The start is never right. See with `flowbot check` that the metric takes the expected answers, and read one "
            "run with `flowbot show`: a wrong format looks just like a wrong answer."
        ]
    said: list[str] = []
    if run.stopped_by == "budget":
        said.append("A ceiling ended the search early. A higher one goes on from here and pays for nothing twice.")
    why = run.result.stopped_because if run.result else ""
    more = next((each for each in _EFFORTS if each > run.started.effort), None)
    if why not in ("", PLAN_USED) and run.stopped_by != "budget":  # more calls would have been left over, too
        said.append(f"The search ended because {why}: try another `--method`, or another start (`flowbot starts`).")
    elif more:
        said.append(f"Try more: `--effort {more}`, another `--seed`, or another start (`flowbot starts`).")
    if run.changes and run.started.models.get("meta") == run.started.models.get("task"):
        said.append("A stronger model to find faults and write changes often helps: `--meta-model`.")
    return said


def _chance(run: RunView) -> list[str]:
    difference = run.score("difference", "test")
    if difference is None or run.unchanged or difference.low > 0 or difference.high < 0 or not difference.n:
        return []
    # As far as these scores vary; where no pair differs, nothing is known of that.
    seen = measured_difference(difference.low, difference.high) or smallest_difference(difference.n)
    more = ""
    if difference.mean > 0.01:
        needed = math.ceil(difference.n * (seen / difference.mean) ** 2)  # the interval narrows with the root of n
        more = f"; one of {in_points(difference.mean, sign=False)} needs about {needed:,}"
    return [
        f"{count(difference.n, 'test example')} like these show a difference reliably from about "
        f"{in_points(seen, sign=False)} on{more}. More test examples would settle it."
    ]


def _broken(run: RunView) -> list[str]:
    if not _all_known(run):
        return []
    groups = {group.outcome: group for group in grouped(run.examples)}
    worse = groups.get("broken") or groups.get("worse")
    if worse is None or run.unchanged:
        return []
    one = worse.count == 1
    return [
        f"{count(worse.count, 'example')} that the start did better {'stands' if one else 'stand'} under Examples{_first(worse)}: "
        f"see whether you can live with what was lost."
    ]


def _all_known(run: RunView) -> bool:
    """Whether the run kept every example of its test; an older one kept some."""
    final = run.score("final", "test")
    return final is not None and len(run.examples) >= final.n


def _first(group: Group) -> str:
    return f" (first `{group.shown[0].id}`)" if group.shown else ""


def _next(run: RunView) -> list[str]:
    if run.unchanged or run.found is None:
        return []
    said = ["Use the found workflow as it is, or begin another search at it: `--start found.flow.yaml`."]
    final = run.score("final", "test")
    wrong = next((group for group in grouped(run.examples) if group.outcome == "wrong"), None)
    if final is not None and wrong is not None and final.mean < FULL and _all_known(run):
        said.append(
            f"{count(wrong.count, 'example')} got no better. More training examples like "
            f"{'it' if wrong.count == 1 else 'them'} give the next search something to learn from."
        )
    return said
