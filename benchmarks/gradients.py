"""Does the gradient matter? What single proposals gain, with what is said of a mistake, with another one's, with nothing, by rule alone.

    python benchmarks/gradients.py OUT --task gsm8k [--proposals 20] [--rows 60] [--full] [--data FOLDER]

A step that answers in one call is told anew, by the product's own proposers. Four arms, each with so many different proposals:
`real`, as the product asks; `shuffled`, told what was expected and said of another failing run; `blind`, told neither; `rule`, a line
by rule, without a question. Each proposal is run on the same rows, which nobody saw: dev of a task for design, test of one for
reports (`design.txt`). A gain is over the parent on the same rows; intervals allow for other proposals and other rows. Then: how
many choices of the critic and of blame change when only the mistakes are swapped.

A small meta model (`--meta-mode small`) writes what a label means, and a label stands in what was expected: it has no `blind` arm.

Raw: OUT/gradients.jsonl, a line a draw, and OUT/choices.jsonl. Resumable: replies come from the store (`--cache-dir`), so the
same command goes on where it stopped, and more proposals or rows begin with those that are there. `--full` is 100 proposals on 200 rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from flowbot.optimizer.feedback.blame import ASKED
from flowbot.optimizer.methods import tuning
from flowbot.optimizer.rendering import instruction_text
from flowbot.optimizer.seams import FeedbackMode, Focus, MetaMode, Option, Proposal, Proposer
from flowbot.optimizer.search import Search
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.starts import starts
from flowbot.runtime.together import all_of
from flowbot.runtime.workbench import Workbench
from flowbot.stats import Estimate, difference_over_seeds, wilson
from flowbot.task import Task
from flowbot.workflow.nodes import walk
from inner.choices import SHOWN, Changed, Question, Shown, changed, listened
from inner.lists import DATA, task_of
from inner.searching import Ground, searching
from inner.spoils import read_spoils

DRAWS = 3
"""Draws for each proposal that is wanted: those that repeat one, or are refused, are counted and not run."""
BLAMED = 16
"""Rows that each spoiled workflow is run on, for questions which step it is: some to show, and others to swap them with."""
FULL = {"proposals": 100, "rows": 200}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of making proposals.

    Args:
        feedback: what questions tell of a mistake.
        asks: whether the meta model writes the text.
    """

    feedback: FeedbackMode
    asks: bool = True

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of change, of which the first is taken that there is; see `flowbot.run.events.Arm`."""
        return ("instruct", "rule") if self.asks else ("rule",)


ARMS: Mapping[str, Arm] = {
    "real": Arm("real"),
    "shuffled": Arm("shuffled"),
    "blind": Arm("blind"),
    "rule": Arm("blind", asks=False),
}
Line = dict[str, Any]
"""A draw: arm, number, what the step would be told, what was wrong with it, and scores by row where it was run."""


async def drawn(
    ground: Ground, task: Task, split: Literal["val", "test"], name: str, wanted: int, mode: MetaMode
) -> list[Line]:
    """The draws of one arm, until there are so many different proposals; the parent's line comes first."""
    arm = ARMS[name]
    # What is written by rule is what a small model is not asked about.
    mode = mode if arm.asks else "small"
    async with searching(ground, task, starts("single-call", task), arm.feedback, meta_mode=mode) as search:
        rows = [each.id for each in search.order(split)]
        await search.run(search.start, rows, split)
        lines = [_line(search, name, -1, search.start, rows)]
        offered = _offered(search, arm)
        if offered is None:
            return lines
        known: dict[str, int] = {}
        while len(known) < wanted and len(lines) <= DRAWS * wanted:
            draws = range(len(lines) - 1, len(lines) - 1 + wanted - len(known))
            for draw, made in zip(draws, await all_of(_propose(search, *offered, each) for each in draws), strict=True):
                program = made.program
                if program is not None and (made.source == "meta") != arm.asks:
                    lines.append({"arm": name, "draw": draw, "fault": f"not of this arm: its source is {made.source}"})
                elif program is None:
                    lines.append({"arm": name, "draw": draw, "fault": "; ".join(made.faults)})
                elif program.hash in known:
                    lines.append({"arm": name, "draw": draw, "fault": f"the same as draw {known[program.hash]}"})
                else:
                    known[program.hash] = draw
                    await search.run(program, rows, split)
                    lines.append(_line(search, name, draw, program, rows))
        used = search.session.ledger.calls
        lines[0]["meta_calls"] = used.get("gradients", 0) + used.get("proposals", 0)
        return lines


def _offered(search: Search, arm: Arm) -> tuple[Proposer[WorkflowProgram], Option] | None:
    """Who makes the proposals of an arm, and of which option; None where this version has none, or no run went wrong."""
    offers = [(each, option) for each in tuning() for option in each.options(search.population.start, search)]
    return next((offer for kind in arm.kinds for offer in offers if offer[1].arm.kind == kind), None)


async def _propose(
    search: Search, proposer: Proposer[WorkflowProgram], option: Option, draw: int
) -> Proposal[WorkflowProgram]:
    focus = Focus(option, draw, option.prior, option.prior)
    made = await proposer.propose(search.population.start, focus, 1, search)
    return made[0] if made else Proposal(None, "", "prior", faults=("nothing was proposed",))


def _line(search: Search, arm: str, draw: int, program: WorkflowProgram, rows: Sequence[str]) -> Line:
    texts = {path: instruction_text(program.workflow, path) for path, _ in walk(program.workflow.sketch)}
    scores = {row.example.id: row.score.value for row in search.recorded(program, rows)}
    return {"arm": arm, "draw": draw, "told": texts, "scores": scores}


@dataclass(frozen=True, slots=True)
class Gains:
    """What an arm's proposals gained.

    Args:
        drawn: draws in all.
        different: those that are another text than every one before.
        gain: mean gain a proposal; None where none was run.
        better: how many gained.
        meta_calls: questions to the meta model.
        scores: of each proposal, of the same rows.
    """

    drawn: int
    different: int
    gain: Estimate | None
    better: int
    meta_calls: int
    scores: Sequence[Sequence[float]]


def gains(lines: Sequence[Line]) -> Gains:
    """Of one arm's lines. A row that an endpoint refused once is left out everywhere."""
    parent, *draws = lines
    run = [each["scores"] for each in draws if "scores" in each]
    rows = [each for each in parent["scores"] if all(each in scores for scores in run)]
    scores = [[each[row] for row in rows] for each in run]
    theirs = [parent["scores"][row] for row in rows]
    gain = difference_over_seeds(scores, [theirs])[0] if run and rows else None
    better = sum(sum(each) > sum(theirs) for each in scores)
    return Gains(len(draws), len(run), gain, better, parent.get("meta_calls", 0), scores)


def report(lines: Mapping[str, Sequence[Line]], choices: Mapping[str, Changed]) -> str:
    """The tables, as Markdown."""
    found = {arm: gains(each) for arm, each in lines.items()}
    text = [
        "| arm | draws | different | mean gain a proposal, points (95 %) | proposals that gain (95 %) | meta calls |",
        "|---|---|---|---|---|---|",
    ]
    for arm, each in found.items():
        share = "–"
        if each.different:
            low, high = wilson(each.better, each.different)
            share = f"{each.better} of {each.different} ({low:.0%} to {high:.0%})"
        text.append(f"| {arm} | {each.drawn} | {each.different} | {_points(each.gain)} | {share} | {each.meta_calls} |")
    for arm in list(found)[1:]:
        one, other = found[next(iter(found))], found[arm]
        if one.scores and other.scores and len(one.scores[0]) == len(other.scores[0]):
            gap, p = difference_over_seeds(one.scores, other.scores)
            text += ["", f"{next(iter(found))} − {arm}: {_points(gap)} points, p = {p:.2g}"]
    for what, each in choices.items():
        text += ["", f"{what}: of {each.questions} choices {each.swapped} change when only the mistakes are swapped, "
                 f"{each.blind} when none is shown"]  # fmt: skip
    return "\n".join(text)


def _points(of: Estimate | None) -> str:
    if of is None:
        return "–"
    mean, low, high = (round(100 * each, 1) + 0.0 for each in (of.mean, of.low, of.high))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


async def chosen(ground: Ground, task: Task, questions: int) -> tuple[dict[str, Changed], list[Line]]:
    """How many choices change: ballots on the task's one-call workflow, blame on spoiled workflows."""
    programs: dict[str, list[tuple[Task, Any, int]]] = {
        "what to change": [(task, starts("single-call", task), questions)],
        "which step": [],
    }
    spoils = read_spoils()
    for way in spoils.ways[: -(-questions // ASKED)]:
        programs["which step"].append((spoils.task([BLAMED, 1, 1]), spoils.spoiled(way), 0))
    found: dict[str, Changed] = {}
    lines: list[Line] = []
    for what, asked in programs.items():
        all_choices: list[dict[Shown, dict[Question, tuple[str, str]]]] = []
        for each, start, ballots in asked if questions else ():
            all_choices.append({shown: await listened(ground, each, start, shown, ballots) for shown in SHOWN})
            for shown, answers in all_choices[-1].items():
                for number, (_, choice) in enumerate(answers.values()):
                    about = {"about": what, "program": len(all_choices), "question": number, "shown": shown}
                    lines.append({**about, "chosen": choice})
        found[what] = changed(all_choices)
    return found, lines


def write(path: Path, lines: Sequence[Line]) -> None:
    """JSON lines, in place of those of an earlier start."""
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines), encoding="utf-8")


async def measure(options: argparse.Namespace) -> str:
    """All arms one after another, then the choices; what is known by then is written down after each."""
    task, split = task_of(options.task, options.data, options.train, options.rows)
    lines: dict[str, list[Line]] = {}
    async with Workbench(cache_dir=options.cache_dir) as bench:
        ground = Ground(bench, options.model, options.meta_model, options.out, options.seed)
        about = {"about": "settings", "task": options.task, "split": split, "train": options.train, "rows": options.rows,
                 "proposals": options.proposals, "model": options.model, "meta_model": options.meta_model, "meta_mode": options.meta_mode, "seed": options.seed}  # fmt: skip
        for arm in options.arms:
            lines[arm] = await drawn(ground, task, split, arm, options.proposals, options.meta_mode)
            write(
                options.out / "gradients.jsonl", [about, *(each for arm_lines in lines.values() for each in arm_lines)]
            )
            print(report(lines, {}), flush=True)
        found, said = await chosen(ground, task, options.questions)
    write(options.out / "choices.jsonl", said)
    return report(lines, found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep the raw lines, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", required=True, help="a set of design.txt")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with a folder of rows for every set")
    parser.add_argument("--proposals", type=int, default=20, help="different ones an arm")
    parser.add_argument("--rows", type=int, default=60, help="that each is scored on")
    parser.add_argument("--full", action="store_true", help="100 proposals an arm on 200 rows")
    parser.add_argument("--train", type=int, default=40, help="rows that those who propose see")
    parser.add_argument("--arms", nargs="+", choices=ARMS, help="all; with --meta-mode small all but blind")
    parser.add_argument("--questions", type=int, default=24, help="choices with swapped mistakes, of each kind")
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--meta-model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument(
        "--meta-mode", choices=get_args(MetaMode), default="large", help="small: lines, large: rewrites"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache-dir", type=Path, default=None)
    options = parser.parse_args(arguments)
    small = options.meta_mode == "small"
    if small and "blind" in (options.arms or ()):
        parser.error("--arms blind: --meta-mode small writes nothing but what a label means, and blind it is told none")
    options.arms = options.arms or [each for each in ARMS if not (small and each == "blind")]
    if options.full:
        vars(options).update(FULL)
    options.out.mkdir(parents=True, exist_ok=True)
    print(asyncio.run(measure(options)))


if __name__ == "__main__":
    main()
