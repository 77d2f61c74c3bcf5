"""What a row says, as the Markdown table and the page show it: scores in percent with one digit after the point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor, log10
from typing import NamedTuple

from flowbot.fields.words import MINUS, count, duration, money
from flowbot.stats import Estimate

from .cell import CellResult
from .published import Published
from .rows import Key, Row, has_scores

COLUMNS: Mapping[str, str] = {
    "method": "Method",
    "models": "Models",
    "effort": "Effort",
    "seeds": "Seeds",
    "test": "Test %",
    "deviation": "± seeds",
    "difference": "Difference",
    "p": "p",
    "p_corrected": "p (Holm)",
    "val": "Val %",
    "gap": "Val − test",
    "search_calls": "Search calls",
    "search_requests": "Search requests",
    "search_tokens": "Search tokens",
    "search_usd": "Search USD",
    "search_seconds": "Search time",
    "calls": "Calls / example",
    "tokens": "Tokens / example",
    "usd": "USD / example",
    "nodes": "Nodes",
    "remarks": "Remarks",
}
"""Columns of the table of a task and their headings."""


def percent(score: float | None, *, sign: bool = False) -> str:
    """`47.3`, `+5.0`; "" for None."""
    return points(score and score * 100, sign=sign)


def points(score: float | None, *, sign: bool = False) -> str:
    """The same of a score that is in percent already."""
    if score is None:
        return ""
    text = f"{score:{'+' if sign else ''}.1f}"
    return ("0.0" if float(text) == 0 else text).replace("-", MINUS)


def with_interval(score: Estimate | None, *, sign: bool = False) -> str:
    """`47.3 (39.5 to 55.1)`; "" for None."""
    if score is None:
        return ""
    low, high = (percent(each, sign=sign) for each in (score.low, score.high))
    return f"{percent(score.mean, sign=sign)} ({low} to {high})"


def p_text(p: float) -> str:
    """`0.012`, `<0.0001`."""
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def number(value: float | None) -> str:
    """`1,240`; one digit after the point below 100 where it is no whole number; "" for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:,.1f}"


def texts(row: Row, *, baseline: str | None) -> dict[str, str]:
    """What stands in each of `COLUMNS`; "" where there is nothing to say."""
    difference, search, example = row.difference, row.search, row.example
    done = len(row.scored)
    return {
        "method": row.key.method,
        "models": row.key.models,
        "effort": number(row.key.effort),
        "seeds": str(done) if done == len(row.cells) else f"{done} of {len(row.cells)}",
        "test": with_interval(row.test),
        "deviation": percent(row.deviation),
        "difference": with_interval(difference.estimate, sign=True) + "*" * difference.clear
        if difference
        else ("baseline" if row.key.method == baseline else ""),
        "p": p_text(difference.p) if difference else "",
        "p_corrected": p_text(difference.p_corrected) if difference else "",
        "val": percent(row.val),
        "gap": percent(row.gap, sign=True),
        "search_calls": number(search.calls) if search else "",
        "search_requests": number(search.requests) if search else "",
        "search_tokens": number(search.tokens) if search else "",
        "search_usd": money(search.usd) if search else "",
        "search_seconds": duration(search.seconds) if search else "",
        "calls": number(example.calls) if example else "",
        "tokens": number(example.tokens) if example else "",
        "usd": small_money(example.usd) if example else "",
        "nodes": number(row.nodes),
        "remarks": "; ".join(row.remarks),
    }


def small_money(usd: float | None) -> str:
    """As `money`, with two figures however little it is, as of an example."""
    return f"${usd:.{1 - floor(log10(usd))}f}" if usd is not None and 1e-12 < usd < 0.001 else money(usd)


class Column(NamedTuple):
    """A column of ours in the table of scores."""

    models: str
    effort: int
    method: str


def columns(keys: Iterable[Key]) -> dict[Column, str]:
    """The columns of the table of scores and their headings: the method, with models and effort where there are several."""
    found = list(dict.fromkeys(Column(key.models, key.effort, key.method) for key in keys))
    models = len({each.models for each in found}) > 1
    efforts = len({each.effort for each in found} - {0}) > 1

    def heading(each: Column) -> str:
        effort = [f"{each.effort:,} calls"] if efforts and each.effort else []
        return ", ".join([each.method, *([each.models] if models else []), *effort])

    return {each: heading(each) for each in found}


def without_scores(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The cells without scores and what became of them; seeds of one row with the same fate together."""
    found: dict[tuple[Key, str], list[CellResult]] = {}
    for row in rows:
        for cell in (each for each in row.cells if not has_scores(each)):
            found.setdefault((row.key, f"{cell.status}: {cell.error or 'no test scores'}"), []).append(cell)
    return [
        (", ".join([first.cell.name, *(str(each.seed) for each in others)]), why)
        for (_, why), (first, *others) in found.items()
    ]


def column_source(column: Published) -> str:
    """Where published figures come from, in a line."""
    return f"{column.source}, with {column.model}" + (f" ({column.note})" if column.note else "")


def how_to_read(rows: Sequence[Row], baseline: str | None) -> list[str]:
    """What the figures mean, in a few sentences."""
    comparisons = sum(row.difference is not None for row in rows)
    found = [
        "Test scores are means over the test examples, each example's score averaged over the seeds; ± seeds is the standard "
        "deviation of the seeds' means. 95 % intervals allow for other examples, and where there are several seeds for others "
        "of those; with one seed they are of the one workflow that was found, and say nothing of what its method finds next time."
    ]
    if comparisons:
        found.append(
            f"Differences are to {baseline}, in points, on the same examples; p is of a permutation test by pairs, or of a t test "
            "in which seeds vary too where it is larger. p (Holm) is corrected for all of the table, "
            f"{count(comparisons, 'comparison')}, and * marks those below 0.05. Intervals are not corrected."
        )
    search = (
        "Search figures are means of the searches, validation included; a stored response takes the calls, tokens and USD of "
        "when it was first paid, and no time. Val − test is of other rows than the test's, and so chance as well as flattery."
    )
    return [*found, search]
