"""What was tried in the search so far and what it measured, as questions to the meta model show it: one way to write it."""

from __future__ import annotations

from flowbot.optimizer.population import Candidate, Population
from flowbot.optimizer.rendering import instruction_text, value_text
from flowbot.optimizer.step_view import has_step
from flowbot.runtime.program import WorkflowProgram

BEST, FAILED = 3, 5
"""Of all tries the best ones that a question shows, and the last ones of those that gained nothing."""


def tried(population: Population, program: WorkflowProgram, path: str) -> list[str]:
    """What candidates told a step anew, in the search so far, each with what it measured; the best first.

    Args:
        population: of the search.
        program: what is to be changed; what it tells the step now is left out.
        path: of the step.
    """
    now = instruction_text(program.workflow, path)
    found: list[tuple[Candidate, str]] = []
    for each in population.members:
        if each.parent is None or not all(has_step(one.program.workflow, path) for one in (each, each.parent)):
            continue
        said, before = (instruction_text(one.program.workflow, path) for one in (each, each.parent))
        if said not in (now, before):
            found.append((each, said))
    found.sort(key=lambda pair: -pair[0].belief.mean)
    return [f"({measured(population, each)}) {value_text(said)}" for each, said in found]


def tried_changes(population: Population) -> list[str]:
    """The `BEST` changes that gained something, the best first, then the last `FAILED` others, each as `KIND: CLAIM (GAIN ± SD, n ROWS)`."""
    members = [each for each in population.members if each.parent is not None]
    gained = sorted((each for each in members if each.belief.mean > 0), key=lambda each: -each.belief.mean)[:BEST]
    failed = [each for each in members if each.belief.mean <= 0][-FAILED:]
    return [f"{each.arm.kind}: {each.title.rstrip('.')} ({measured(population, each)})" for each in (*gained, *failed)]


def measured(population: Population, candidate: Candidate) -> str:
    """`+0.08 ± 0.05, n 24`: the gain over its parent that is believed of a candidate, its standard deviation, and the rows that
    it was run on."""
    rows = len(population.outcomes(candidate.program))
    if not rows:
        return "not known yet"
    return f"{candidate.belief.mean:+.2f} ± {candidate.belief.spread:.2f}, n {rows}"
