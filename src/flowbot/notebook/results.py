"""What a notebook shows of scores, evaluations and runs: scores, drawings and failures."""

from __future__ import annotations

from html import escape

from flowbot.fields import Score
from flowbot.fields.words import brief, count, duration, in_points, interval, percent
from flowbot.run.eval_result import EvalResult, EvalRow
from flowbot.run.result import RunResult
from flowbot.run.taken import account, caveats
from flowbot.stats import Estimate
from flowbot.workflow.diff import changed_nodes

from .markup import Markup, bar, card, facts, folded, line, soft, strong, table
from .workflow import drawing, prompts

MOST_ROWS = 20
"""Rows of an evaluation that are shown, those that are not right first."""


def score_html(score: Score) -> Markup:
    """Value, parts and the feedback."""
    spread = {"spread": f"{score.spread:.3f}"} if score.spread is not None else {}
    parts = {name: f"{number:g}" for name, number in score.parts.items()}
    why = {"why": score.feedback} if score.feedback else {}
    return card(f"Score {score.value:g}", facts({**parts, **spread, **why}))


def eval_html(found: EvalResult) -> Markup:
    """Mean and interval, cost, and the rows: failures first."""
    right = [row for row in found.rows if row.score.value >= 1]
    shown = [*found.failures, *right][:MOST_ROWS]
    left = len(found.rows) - len(shown)
    dropped = f"Left out, since they are refused on every try: {', '.join(found.dropped)}"
    return card(
        f"{percent(found.mean)} on {count(found.estimate.n, f'{found.split} example')}",
        soft(f" of {found.task}, 95 % interval {interval(found.estimate)} "),
        bar(found.mean, found.low, found.high),
        line(soft(f"{found.cost}, {duration(found.seconds)}")),
        line(strong(dropped, "warn")) if found.dropped else "",
        folded(
            f"{count(len(found.failures), 'example')} not right, {len(right)} right",
            table((_eval_row(row) for row in shown), ("", "score", "given", "expected", "found", "why")),
            line(soft(f"and {left} more: `.rows`, or `.table()` for a data frame")) if left else "",
            opened=True,
        ),
    )


def run_html(result: RunResult) -> Markup:
    """The verdict, scores with intervals, both drawings, cost, and where everything is."""
    return card(
        result.verdict,
        line(strong(result.reason, "warn")) if result.reason else "",
        _scores(result),
        *(line(soft(told)) for told in (*account(result), *caveats(result))),
        *_workflows(result),
        line(soft("Files: "), *_files(result)),
    )


def _scores(result: RunResult) -> Markup:
    rows: list[tuple[object, ...]] = []
    for split, name in (("val", "validation"), ("test", "test")):
        start: Estimate | None = getattr(result.start_scores, split)
        final: Estimate | None = getattr(result.final_scores, split)
        difference: Estimate | None = getattr(result.difference, split)
        for who, score, tone in (("start", start, ""), ("found", final, "good")):
            if score is not None:
                spread = bar(score.mean, score.low, score.high, tone=tone)
                rows.append((f"{name}, {who}", percent(score.mean), spread, interval(score), f"n = {score.n}"))
        if difference is not None:
            between = interval(difference, difference=True)
            rows.append((f"{name}, difference", in_points(difference.mean), "", between, ""))
    return table(rows, ("", "score", "", "95 % interval", "")) if rows else Markup("")


def _workflows(result: RunResult) -> list[Markup]:
    if result.unchanged:
        return [folded("The workflow", drawing(result.start), prompts(result.start), opened=True)]
    changed = changed_nodes(result.start, result.workflow)
    return [
        folded(f"Found: {result.workflow.summary}", drawing(result.workflow, highlight=changed), opened=True),
        folded("Prompts and code of what was found", prompts(result.workflow)),
        folded(f"Start: {result.start.summary}", drawing(result.start), prompts(result.start)),
        folded("Where the changes came from", *(line(each) for each in result.kept_from)),
    ]


def _files(result: RunResult) -> list[object]:
    """Links to the report, once it is written, and to the workflow; relative, so that they work where the notebook is."""
    report = result.report_path
    found = [path for path in (report, result.workflow_path) if path is not None and path.exists()]
    missing = "" if report else f"; fb.write_report({str(result.run_dir)!r}) writes its report"
    links = [f'<a href="{escape(str(path))}" target="_blank">{escape(path.name)}</a> ' for path in found]
    return [*(Markup(link) for link in links), soft(f"in {result.run_dir}{missing}")]


def _eval_row(row: EvalRow) -> tuple[object, ...]:
    outputs: object = soft("nothing") if row.outputs is None else _plain(row.outputs)
    tone = "good" if row.score.value >= 1 else "bad"
    score = strong(f"{row.score.value:.2f}".rstrip("0").rstrip("."), tone)
    given, wanted = _plain(dict(row.example.inputs)), _plain(dict(row.example.expected))
    return soft(row.example.id), score, given, wanted, outputs, row.feedback


def _plain(values: dict[str, object]) -> object:
    """One value as it is; several with their names."""
    if len(values) == 1:
        return next(iter(values.values()))
    return ", ".join(f"{name}: {brief(value, 120)}" for name, value in values.items())
