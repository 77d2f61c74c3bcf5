"""The end of a run: the workflows to validate, the closing comparison with the start, and what the run's files say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from flowbot.fields import BudgetExceeded, InfrastructureError, UserError
from flowbot.run.course import lineage
from flowbot.run.events import Difference, Ended, Split
from flowbot.run.result import ClosingTest, RunResult, Scores
from flowbot.stats import Estimate, paired_difference
from flowbot.task import Example
from flowbot.workflow.file import save
from flowbot.workflow.workflow import Workflow

from .room import BLOCK
from .rooms import Rooms
from .search import Member, Search, Who, examples_of


def finalists(pool: list[Member], start: Workflow, most: int | None) -> list[Member]:
    """The workflows of the pool to validate: the best on training first, each once, the start left out; None: all."""
    seen = {start.hash}
    unique: list[Member] = []
    for member in sorted(pool, key=lambda each: -each.train) if most is not None else pool:
        if member.workflow.hash not in seen:
            seen.add(member.workflow.hash)
            unique.append(member)
    return unique if most is None else unique[:most]


async def close(
    search: Search,
    start: Workflow,
    best: Member,
    chosen_on: list[Example],
    stopped_by: str,
    blank: RunResult,
    rooms: Rooms | None,
) -> RunResult:
    """The closing comparison: start and final on validation and, once, on test, or on as much of it as a ceiling allows.

    Args:
        chosen_on: the validation examples on which the final workflow was chosen.
        rooms: what an example takes; None where not even the start could be scored.
    """
    scores: dict[str, dict[str, Estimate | None]] = {"start": {}, "final": {}}
    sides: tuple[tuple[Who, Workflow], ...] = (("start", start), ("final", best.workflow))
    whole = len(search.order("test"))
    search.watch.enter("test", whole * len({start.hash, best.workflow.hash}))
    tested = await on_as_many(search, {"the start": start, "the found workflow": best.workflow}, "test", rooms)
    rows: dict[Split, list[Example]] = {"test": tested, "val": chosen_on}  # the test first: room was kept for it
    if len(rows["test"]) < whole:
        search.watch.news(f"A ceiling left room to test on {len(rows['test'])} of {whole} examples")
    for split, examples in rows.items():
        for what, workflow in sides:
            try:
                scored = await search.score_split(workflow, split, what, examples) if examples else None
            except BudgetExceeded:
                await search.session.drain()
                scored = None
            scores[what][split] = scored
            stopped_by = stopped_by if scored else "budget"
    difference = Scores(
        **{
            split: await _difference(search, start, best.workflow, split, examples)
            for split, examples in rows.items()
            if scores["start"][split] and scores["final"][split]
        }
    )
    changed = best.workflow.hash != start.hash
    steps = lineage(search.journal.events(), best.workflow.hash) if changed else []
    kept_from = tuple(f"{each.source}: {each.title}" for each in steps)
    search.journal.record(
        Ended(
            program=best.workflow.hash,
            title=best.title,
            source=best.source,
            stopped_by=stopped_by,
            difference={split: each and Difference.of(each) for split, each in difference.by_split().items()},
        )
    )
    try:
        save(best.workflow, blank.run_dir / "found.flow.yaml")
    except UserError as error:  # the folder could be written when the run began: nothing the user gave is wrong
        raise InfrastructureError(f"{error.where}: {error.found}", kind="disk") from None
    return replace(
        blank,
        status="done",
        stopped_by=stopped_by,
        found=best.workflow,
        start_scores=Scores(**scores["start"]),
        final_scores=Scores(**scores["final"]),
        difference=difference,
        kept_from=kept_from or ("start",),
        kept=best.title,
        dropped=tuple(sorted(search.dropped)),
        tested=ClosingTest(run=len(rows["test"]), of=whole),
    )


async def on_as_many(
    search: Search, workflows: Mapping[str, Workflow], split: Split, rooms: Rooms | None
) -> list[Example]:
    """Run workflows, by what they are called, on a split, block by block where a ceiling may end it.

    A block counts whole or not at all, so that it does not matter which of its calls was the last that fitted.

    Returns:
        The examples on which all of them were run.
    """
    examples = search.order(split)
    different: dict[str, tuple[str, Workflow]] = {}
    for who, workflow in workflows.items():
        different.setdefault(workflow.hash, (who, workflow))
    runs = list(different.values())
    done = 0
    while done < len(examples):
        left = len(examples) - done
        size = min(BLOCK, left) if rooms is None else rooms.block([workflow for _, workflow in runs], left)
        if size == 0:
            break
        try:
            for who, workflow in runs:
                block = examples[done : done + size]
                await search.score(workflow, block, split, f"{who} on {examples_of(split, len(block))}")
                search.watch.passed(size)
        except BudgetExceeded:
            await search.session.drain()
            if rooms is not None:
                rooms.give_up_rest()
            break
        done += size
    return examples[:done]


def failure(search: Search, workflow: Workflow, examples: Sequence[Example]) -> str:
    """What most runs on these examples ended with, where none of them gave an answer; "" otherwise."""
    rows = [row for each in examples if (row := search.scored(workflow.hash, each.id)) is not None]
    errors = Counter(row.trace.error for row in rows)
    return errors.most_common(1)[0][0] if errors and not errors[""] else ""


async def gain(search: Search, member: Member, start: Workflow, examples: Sequence[Example]) -> float:
    """How much higher a workflow scores than the start, on validation examples on which both were run; no claim, a choice."""
    before, after = await _paired(search, start, member.workflow, "val", examples)
    return fmean(after) - fmean(before) if before else 0.0


async def _paired(
    search: Search, start: Workflow, final: Workflow, split: Split, examples: Sequence[Example]
) -> tuple[list[float], list[float]]:
    before = {row.example.id: row.score.value for row in await search.score(start, examples, split)}
    after = {row.example.id: row.score.value for row in await search.score(final, examples, split)}
    both = [each.id for each in examples if each.id in before and each.id in after]
    return [before[each] for each in both], [after[each] for each in both]


async def _difference(
    search: Search, start: Workflow, final: Workflow, split: Split, examples: Sequence[Example]
) -> Estimate:
    before, after = await _paired(search, start, final, split, examples)
    return paired_difference(after, before)
