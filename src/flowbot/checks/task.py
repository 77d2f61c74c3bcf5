"""The part of `flowbot check` that looks at a task: its file, its examples, its tools and its metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from flowbot.draft.scoring import UNFINISHED
from flowbot.fields import Field, InfrastructureError, ToolSignature, UserError
from flowbot.fields.words import count
from flowbot.power import examples_needed, smallest_difference
from flowbot.runtime.engine import Engine
from flowbot.runtime.reference_answers import (
    TRIED,
    known_answers,
    lopsided,
    score_baseline,
    score_expected,
    spread,
    telling_apart,
)
from flowbot.runtime.toolbox import opened_tools
from flowbot.task import Example, Task
from flowbot.task.defects import read_whole
from flowbot.task.quality import Remark, remarks_on, short
from flowbot.task.splits import Split

from .findings import Findings

if TYPE_CHECKING:
    from flowbot.lm.session import Session
    from flowbot.runtime.reference_answers import AnswerScore, Baseline
    from flowbot.task.defects import ReadTask

SHOWN = 5
"""Rows that are named one by one because their own expected outputs do not score 1; those alike count as one."""
SMALL = 0.2
"""A split is small if it cannot show an improvement of this size."""
_TO: Mapping[Split, str] = {"train": "learn from", "val": "choose by", "test": "report on"}
_TARGETS = (0.2, 0.1)
_EXACT = 0.05
"""A difference below which tenths of a point are shown."""
_COMMON = 0.1
"""Share of the commonest answer below which nobody would give it always."""
_MEND = "mend the metric or the row: what is expected must score 1"
_LONGEST = 200
"""Characters of a type that are shown."""
_NAMES: Mapping[Split, str] = {"train": "training", "val": "validation", "test": "test"}


def read_task(path: Path, findings: Findings) -> ReadTask:
    """Read a task file with all its faults. Imports the user's Python."""

    read = read_whole(path)
    for fault in read.faults:
        findings.fault(fault)
    return read


def look_at(read: ReadTask, tools: Mapping[str, ToolSignature], findings: Findings) -> None:
    """Say what the task is, and what its examples are like."""

    task = read.task
    if task is None:
        return
    sizes: dict[Split, int] = {split: len(read.rows.get(split, ())) for split in _NAMES}
    partly = " without a defect of their own" if read.faults else ""
    findings.facts["task"] = {
        "name": task.name,
        "goal": task.goal,
        "inputs": {field.name: str(field.type) for field in task.inputs},
        "outputs": {field.name: str(field.type) for field in task.outputs},
        "metric": task.metric.name,
        "examples": sizes,
        "tools": list(tools),
        "gold": None,
        "baseline": None,
        "smallest_difference": {},
    }
    findings.rows += [
        ("Goal", task.goal),
        ("Inputs", ", ".join(_shown(field) for field in task.inputs)),
        ("Outputs", ", ".join(_shown(field) for field in task.outputs)),
        ("Metric", task.metric.name),
    ]
    if read.rows:
        findings.rows.append(("Examples", ", ".join(f"{size:,} {split}" for split, size in sizes.items()) + partly))
    if tools:
        findings.rows.append(("Tools", ", ".join(tools)))
    findings.warnings += remarks_on(read.rows, task.inputs, task.outputs)
    if any(UNFINISHED in each.text for judge in task.metric.judges.values() for each in judge.criteria):
        mend = "say what a good answer has and what makes one bad: the judge knows nothing else"
        findings.warnings.append(Remark("metric.judge.rubric", f"still as drafted: “({UNFINISHED} …)”", mend))
    if not read.faults:
        _sizes(sizes, findings)


def _shown(field: Field) -> str:
    """Name and type; of many labels the first are enough to know them by."""
    text = str(field.type)
    if len(text) > _LONGEST:
        text = (
            f"{text[:_LONGEST]}… ({len(field.type.options)} labels)"
            if field.type.kind == "literal"
            else f"{text[:_LONGEST]}…"
        )
    return f"{field.name}: {text}"


async def open_tools(
    task: Task, findings: Findings, *, cache_dir: Path | None, say: Callable[[str], None]
) -> Mapping[str, ToolSignature]:
    """What the task's tools take and give; they are opened once, which shows whether they can be, and closed."""

    declared = (*task.tools, *task.sources)
    signatures = {tool.signature.name: tool.signature for tool in task.tools}
    try:
        async with opened_tools(declared, cache_dir=cache_dir, say=say) as tools:
            signatures = {name: tool.signature for name, tool in tools.items()}
    except (UserError, InfrastructureError) as first:
        faults = len(findings.defects)
        for each in task.sources:  # each alone, so that the fault of one does not hide another's
            try:
                async with opened_tools([each], cache_dir=cache_dir, say=say) as tools:
                    signatures |= {name: tool.signature for name, tool in tools.items()}
            except (UserError, InfrastructureError) as error:
                _tool_fault(error, each.where, findings)
        if len(findings.defects) == faults:  # such as two tools of one name
            _tool_fault(first, "tools", findings)
    findings.warnings += [
        Remark(
            f"tool {name}",
            "writes, and has no stand-in: optimize and eval refuse to start",
            "`simulate:`, a stand-in to call instead; `effects: reads` if it changes nothing; or --allow-writes",
        )
        for name, signature in signatures.items()
        if signature.effects == "writes" and not signature.simulated
    ]
    return signatures


async def score_task(session: Session, read: ReadTask, findings: Findings) -> None:
    """Score what the examples expect, what others expect, and the commonest answer; as far as no model is needed."""

    task, rows = read.task, known_answers(every_row(read))
    assert task is not None
    own = task.metric.without_model()
    if not rows and any(read.rows.values()):
        mend = "expected outputs on a few rows would show whether it is right"
        findings.warnings.append(
            Remark("metric", "no row has an expected output, so whether it is right was not tried", mend)
        )
    if own is None or not any(read.rows.values()):
        return
    plain = task if own is task.metric else replace(task, metric=own, splits={})
    engine = Engine(None, session)
    try:
        gold = await score_expected(engine, plain, rows)
        if gold:
            _gold(gold, plain, sum(map(len, read.rows.values())), findings)
        if not own.built_in and all(row.score is not None for row in gold):
            findings.warnings += await telling_apart(engine, plain, spread(rows or every_row(read), TRIED))
        if gold and own is task.metric and not read.faults and all(row.score == 1 for row in gold):
            train = read.rows.get("train", ())
            held_out = [row for split in ("val", "test") for row in read.rows.get(split, ())]
            _baseline(await score_baseline(engine, plain, train, held_out), findings)
    finally:
        await engine.close()


def _sizes(sizes: Mapping[Split, int], findings: Findings) -> None:
    """What the splits can show."""

    small: list[str] = []
    large: list[str] = []
    order: tuple[Split, ...] = ("test", "val")
    for split in order:
        size = sizes[split]
        if size:
            smallest = smallest_difference(size)
            findings.facts["task"]["smallest_difference"][split] = round(smallest, 3)
            about = f"{smallest * 100:.0f}" if smallest >= _EXACT else f"{smallest * 100:.1f}"
            below = f"differences below about {about} points may look like chance"
            (small if smallest >= SMALL else large).append(f"{count(size, f'{_NAMES[split]} example')}: {below}")
    if large:
        findings.rows.append(("Shows", "; ".join(large)))
    if small:
        needed = " and ".join(f"{examples_needed(each):,} would show {each * 100:.0f}" for each in _TARGETS)
        findings.warnings.append(Remark("data", "; ".join(small), f"add rows if you can: {needed} points"))
    lacking: list[Split] = [split for split in _NAMES if not sizes[split]]
    if lacking:
        what = f"no examples to {' or to '.join(_TO[split] for split in lacking)} ({', '.join(lacking)})"
        findings.warnings.append(
            Remark("data", what, "optimising needs train, val and test; `split:` divides one file")
        )


def _gold(gold: Sequence[AnswerScore], task: Task, rows: int, findings: Findings) -> None:
    known = [row.score for row in gold if row.score is not None]
    findings.facts["task"]["gold"] = {"n": len(gold), "mean": fmean(known) if known else None}
    wrong = [row for row in gold if row.score != 1]
    if not wrong:
        scored = all_rows(rows) if len(gold) == rows else f"the {len(gold):,} of {rows:,} rows that were tried"
        findings.rows.append(("Gold", f"what is expected scores 1 with the metric, on {scored}"))
        return
    names = {field.name for field in task.outputs}
    partial = [row for row in wrong if names - row.example.expected.keys()]
    # A row that expects only a part of the outputs is no whole answer: the metric may have good reasons.
    whole = [row for row in wrong if row not in partial]
    for bad, into in ((partial, findings.warnings), (whole, findings.defects)):
        alike: dict[tuple[float | None, str], list[AnswerScore]] = {}
        for row in bad:
            alike.setdefault((row.score, row.said), []).append(row)
        groups = list(alike.values())
        into += [_gold_remark(group[0], len(group) - 1) for group in groups[:SHOWN]]
        rest = sum(map(len, groups[SHOWN:]))
        if rest:
            what = f"the expected outputs of {count(rest, 'more row')} do not score 1 ({len(gold):,} were scored)"
            into.append(Remark("metric", what, "mend the metric or the rows"))


def _gold_remark(row: AnswerScore, more: int) -> Remark:
    """What is wrong with a row, and with so many more rows alike."""
    expected = ", ".join(f"{name}: {short(value)}" for name, value in row.example.expected.items())
    if row.score is None:
        what = f"the metric fails on its own expected outputs ({expected}): {row.said}"
    else:
        why = f": {row.said}" if row.said else ""
        what = f"its own expected outputs ({expected}) score {row.score:.3g}, not 1{why}"
    alike = f" (and the same on {count(more, 'more row')})" if more else ""
    return Remark(row.example.place, f"{what}{alike}", _MEND)


def _baseline(found: Baseline | None, findings: Findings) -> None:
    if found is None:
        return
    findings.facts["task"]["baseline"] = {"outputs": dict(found.outputs), "mean": found.mean, "n": found.n}
    if found.share >= _COMMON:
        answer = ", ".join(f"{name}: {short(value)}" for name, value in found.outputs.items())
        findings.rows.append(("To beat", f"always answering {answer} scores {found.mean:.0%} on validation and test"))
    findings.warnings += lopsided(found)


def _tool_fault(error: Exception, where: str, findings: Findings) -> None:
    if isinstance(error, UserError):
        findings.fault(error)
    else:
        findings.defects.append(
            Remark(where, str(error).removeprefix(f"{where}: "), "check that the server is up and its address")
        )


def all_rows(n: int) -> str:
    """`the one row`, `all 40 rows`."""
    return "the one row" if n == 1 else f"all {n:,} rows"


def every_row(read: ReadTask) -> list[Example]:
    """The rows of all splits."""
    return [row for rows in read.rows.values() for row in rows]
