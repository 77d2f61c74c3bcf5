"""The course of one run: the start's first rows, the search, the choice, and the one closing test.

Room for the closing test is set aside first, by an estimate, then by the replies that were seen. Nothing here depends on time or
on the order of answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from flowbot.fields import BudgetExceeded, InfrastructureError, ModelError, RefusedError, UserError
from flowbot.fields.words import count, interval, percent
from flowbot.lm.budget import Hold
from flowbot.lm.lm import LM
from flowbot.lm.thinking import PURPOSE as PROBE
from flowbot.lm.thinking import QUESTION
from flowbot.run.events import Difference, Ended, Noted, Split
from flowbot.run.front import FOLDER as FRONT
from flowbot.run.front import front_of, ran
from flowbot.run.result import PLAN_USED, ClosingTest, CostEstimate, RunResult, Scores
from flowbot.runtime.evaluation import Row
from flowbot.runtime.judge import require_verdicts
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.stats import Estimate, estimate_mean, paired_difference, stopped_difference

from .ceilings import BLOCK, FEWEST
from .estimate import phases
from .method import Loop
from .population import Candidate
from .program_calls import PROBED, runs_program
from .reserve import Reserve
from .scored import scored
from .seams import PlanUsed
from .search import SPLITS, Search


async def carry_out(
    search: Search,
    loop: Loop,
    planned: CostEstimate,
    blank: RunResult,
    hold: Hold,
    models: Sequence[LM],
    given_up: ExitStack,
) -> RunResult:
    """Search, choose, test once.

    Args:
        search: the run's context.
        loop: how it is searched and chosen.
        planned: what was estimated, by which progress is measured.
        blank: the result so far.
        hold: room for the smallest closing test.
        models: all that are asked.
        given_up: holds what a ceiling left over and nobody counts on.
    """
    stopped_by, why = "budget", "a ceiling is reached before the search"
    reserve: Reserve | None = None
    best = search.population.start
    with ExitStack() as kept:
        kept.enter_context(hold)
        try:
            await _open(search, loop, planned, models)
            reserve = Reserve(search, given_up)
        except BudgetExceeded:
            await _cut_short(search)
            given_up.enter_context(search.session.budget.hold_rest())  # see `Reserve.give_up_rest`
        if reserve is not None:
            kept.enter_context(hold.exchanged(reserve.closing))
            stopped_by, why = await _search(search, loop, reserve)
        _record_end(search, why)
        if reserve is not None:
            cuts = search.cuts
            try:
                best = await _chosen(search, loop)
            except PlanUsed:  # a closing of the user's let it through: nothing is chosen
                search.watch.news("The planned calls did not allow to choose: the start is returned")
            except BudgetExceeded as error:
                await _cut_short(search)
                stopped_by, why = "budget", f"the ceiling of {error.ceiling} is reached"
            search.settle()  # of rows that were cut short the comparison on validation knows nothing
            if search.cuts > cuts:
                reserve.give_up_rest()  # while the room for the test is set aside still
    search.end_plan()
    fewest = min(FEWEST, len(search.order("test")))
    if reserve is not None and best.parent and reserve.testable([search.start, best.program], fewest) < fewest:
        search.watch.news(f"Left out, since a ceiling leaves no room to test it: {best.title}")
        best, stopped_by = search.population.start, "budget"
    return await _close(search, best, stopped_by, why, blank, reserve)


async def _open(search: Search, loop: Loop, planned: CostEstimate, models: Sequence[LM]) -> None:
    """The start's first rows, by which everything else is planned."""
    with suppress(PlanUsed):  # it is met again below
        for each in models:
            await each.limit(0)  # how each is asked is settled before the first of them is
        for each in search.models.weights:
            with suppress(ModelError, RefusedError):  # it answers; a name or key that is refused is found now
                await search.engine.model(each).ask(QUESTION, purpose=PROBE)
        await search.measure()
    if search.models.weights:
        text = str(search.models)
        search.watch.news(text)
        search.record(Noted(about="models", text=text, spent=search.spent))
    search.session.budget.forget_largest()
    if runs_program(search.start):
        with suppress(PlanUsed):  # it is met again below
            await search.run(search.start, search.training[:PROBED], "train")
        search.settle()
    rows = loop.opening(search)
    validates = set(rows) <= set(search.validation)
    search.watch.plan = phases(planned, search.calls_of(search.start) * len(rows), validates=validates)
    search.watch.enter("start", len(rows))
    try:
        await search.run(search.start, rows, "val" if validates else "train")
    except PlanUsed:
        rows = ()  # so few calls are planned that the replies that were asked for again took them
    search.settle()
    examples = search.examples(rows)
    require_verdicts(search.task.metric, examples, len(search.recorded(search.start, rows)))
    seconds = search.population.takes(search.start).seconds
    if search.limits.too_slow(seconds):
        text = f"The start takes {seconds:.1f} s an example, longer than max_latency allows: a program within it may score less"
        search.watch.news(text)
        search.record(Noted(about="start", text=text, spent=search.spent))
    if fault := failure(search.recorded(search.start, rows)):
        text = f"The start gave no answer on any of {count(len(rows), 'row')}; most often: {fault}"
        search.watch.news(text)
        search.record(Noted(about="start", text=text, spent=search.spent))


async def _search(search: Search, loop: Loop, reserve: Reserve) -> tuple[str, str]:
    """Search with what is not set aside; says what ended it, and why in words."""
    with reserve.validation():
        search.watch.enter("search", 1)
        cuts = search.cuts
        try:
            stopped_by, why = "finished", await loop.search(search)
        except PlanUsed:
            stopped_by, why = "finished", PLAN_USED
        except BudgetExceeded as error:
            stopped_by, why = "budget", f"the ceiling of {error.ceiling} is reached"
            await _cut_short(search)
        if search.cuts > cuts:
            reserve.give_up_rest()  # while the room for validation is set aside still
        return stopped_by, why


async def _cut_short(search: Search) -> None:
    """A ceiling was met: which rows were run by then, and what they left over, is by chance, and counts for nothing."""
    search.cut_short()
    await search.session.drain()  # calls that were sent go on, and what they take is known when they end


def _record_end(search: Search, why: str) -> None:
    """Why the search stopped, and how every program did that it ran: each axis of each of them."""
    search.record(Noted(about="stopped", text=why, spent=search.spent))
    for program in {each.program.hash: each.program for each in search.population.members}.values():
        if any(row in search.population.outcomes(program) for row in search.training):
            search.record(scored(search, program, "train", search.training))


async def _chosen(search: Search, loop: Loop) -> Candidate:
    """What is returned, with what is said of it."""
    search.watch.enter("validation", 1)
    likely = search.population.incumbent
    text = (
        "Validating" if search.validation else "Nothing is validated, since the search had the rows of validation, too"
    )
    search.watch.news(
        f"{text}: {likely.title}" if likely.parent else "Nothing proved better: there is nothing to validate"
    )
    best, start = await loop.choose(search), search.population.start
    while best.parent is not None and search.population.slows(best, start):
        text = f"It takes longer than max_latency allows, as seen at last: {best.title}"
        search.watch.news(text)
        search.record(Noted(about="left out", text=text, spent=search.spent))
        best = best.origin or best.parent
    return best


async def _close(
    search: Search, best: Candidate, stopped_by: str, why: str, blank: RunResult, reserve: Reserve | None
) -> RunResult:
    """The closing comparison: start and final on the same validation rows and, once, on test, or on as much as a ceiling allows."""
    start, final = search.start, best.program
    sides = {"the start": start, "the found workflow": final}
    whole = len(search.order("test"))
    compared = {"val": _compared(search, start, final, "val", search.validation)}
    search.watch.enter("test", whole * len({start.hash, final.hash}))
    tested = await run_in_blocks(search, sides, "test", reserve)
    if len(tested) < whole:
        stopped_by = "budget"
        search.watch.news(f"A ceiling left room to test on {len(tested)} of {count(whole, 'example')}")
    compared["test"] = _compared(search, start, final, "test", tested)
    starts, finals, differences = ({split: each[place] for split, each in compared.items()} for place in range(3))
    search.record(
        Ended(
            program=final.hash,
            title=best.title,
            source=best.source,
            stopped_by=stopped_by,
            difference={split: None if each is None else Difference.of(each) for split, each in differences.items()},  # pyright: ignore[reportArgumentType]
        )
    )
    unbeaten = front_of(ran(search.journal.events()))
    members = {each.program.hash: each.program.workflow for each in search.population.members}
    try:
        final.workflow.save(blank.run_dir / "found.flow.yaml")
        (blank.run_dir / FRONT).mkdir(exist_ok=True)
        for old in {*(blank.run_dir / FRONT).glob("*.flow.yaml")} - {each.file(blank.run_dir) for each in unbeaten}:
            old.unlink()  # of an earlier course of the run, as before the task changed
        for each in unbeaten:
            members[each.program].save(each.file(blank.run_dir))
    except OSError as error:
        raise InfrastructureError(f"{blank.run_dir / FRONT}: {error.strerror or error}", kind="disk") from None
    except UserError as error:  # the folder could be written when the run began: nothing the user gave is wrong
        raise InfrastructureError(f"{error.where}: {error.found}", kind="disk") from None
    return replace(
        blank,
        status="done",
        stopped_by=stopped_by,
        found=final.workflow,
        start_scores=Scores(**starts),
        final_scores=Scores(**finals),
        difference=Scores(**differences),
        front=unbeaten,
        stopped_because=why,
        kept=best.title,
        kept_from=tuple(f"{each.source}: {each.title}" for each in best.history[1:]) or ("start",),
        dropped=tuple(sorted(search.dropped)),
        validation_joined=search.joined,
        tested=ClosingTest(run=len(tested), of=whole),
    )


def _compared(
    search: Search, start: WorkflowProgram, final: WorkflowProgram, split: Split, rows: Sequence[str]
) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
    """Start, final and their paired difference on the rows that both were run on; journalled, with every axis."""
    both = [each for each in rows if search.row(start.hash, each) and search.row(final.hash, each)]
    if not both:
        return None, None, None
    found: list[Estimate] = []
    for who, program in (("the start", start), ("the found workflow", final)):
        measured = scored(search, program, split, both)
        search.record(measured)
        found.append(estimate := estimate_mean([row.score.value for row in search.recorded(program, both)]))
        text = f"{who} scores {percent(estimate.mean)} ({interval(estimate)}) on {examples_of(split, estimate.n)}"
        between = (estimate.low, estimate.high)
        search.watch.scored(text[:1].upper() + text[1:], estimate.mean, between, validation=split == "val")
    values = [[row.score.value for row in search.recorded(each, both)] for each in (final, start)]
    # How many validation rows are run depends on what they show, unless all are: the interval must hold wherever one stops.
    fixed = split == "test" or len(both) == len(rows)
    return found[0], found[1], (paired_difference if fixed else stopped_difference)(*values)


async def run_in_blocks(
    search: Search, programs: Mapping[str, WorkflowProgram], split: Split, reserve: Reserve | None
) -> list[str]:
    """Run programs, by what they are called, on a split, block by block where a ceiling may end it.

    A block counts whole or not at all, so that it does not matter which of its calls was the last that fitted.

    Returns:
        ids of the rows on which all of them were run.
    """
    rows = [each.id for each in search.order(split)]
    different = {program.hash: program for program in programs.values()}
    done = 0
    while done < len(rows):
        left = len(rows) - done
        size = min(BLOCK, left) if reserve is None else reserve.block(list(different.values()), left)
        if size == 0:
            break
        try:
            await all_of(search.run(program, rows[done : done + size], split) for program in different.values())
            search.watch.passed(size * len(different))
        except BudgetExceeded:
            if reserve is not None:
                reserve.give_up_rest()
            break
        search.settle()  # what the next block meets does not undo this one
        done += size
    return rows[:done]


def failure(rows: Sequence[Row]) -> str:
    """What most runs ended with, where none of them gave an answer; "" otherwise."""
    errors = Counter(row.trace.error for row in rows)
    return errors.most_common(1)[0][0] if errors and not errors[""] else ""


def examples_of(split: Split, number: int) -> str:
    """`72 validation examples`."""
    return count(number, f"{SPLITS[split]} example")
