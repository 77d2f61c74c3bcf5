"""What every change gains on the design tasks, and the shipped priors made of it.

    python benchmarks/priors.py OUT [--tasks orders trec6 …] [--starts single-call own …] [--levels structure parameters] [--rows 40]
    python benchmarks/priors.py OUT --write [FILE]

Each change of the catalogue is made once by the product's own proposer (a computing step once with the meta model's code and once with the
plain prior's), each change of a step's parameters as often as `--draws` says and there are others, and all are run beside the start on the
same rows. Tasks are those for design: the sets of `design.txt`, train and dev rows, and the examples of this repository. No test row is read.
The start `own` is the workflow that stands beside an example's task; where there is none it is left out.

Raw: OUT/priors.jsonl, a line a program: task, start and models; kind and place of its change ("": the start) and the kinds of task; its
scores by row, or what was wrong. Resumable: what has a line is not run again, and replies come from the
store (`--cache-dir`). Lines of several starts, models and days add up; `--write` asks no model, and makes the data file of all of them: of a
kind on a kind of task (`task_kinds`) the mean is drawn from what was assumed towards its gains on all other tasks, one gain a task, and from
there towards its gains on these. What was assumed stays for outputs on which a kind was not measured. The model is a
mixture of two normals (`drawn`), with the noise of the rows and a spread of a kind's gains from task to task that is estimated from them (`between_tasks`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import NormalDist, fmean, variance
from typing import Any, get_args

from flowbot.fields.yaml import read_data
from flowbot.optimizer.pool_method import Proposers, tuning
from flowbot.optimizer.priors import load_priors
from flowbot.optimizer.seams import Focus, MetaMode
from flowbot.optimizer.search import Search
from flowbot.optimizer.structure.catalogue_changes import CatalogueChanges
from flowbot.optimizer.task_kinds import task_kinds
from flowbot.run.events import Level
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.starts import starts
from flowbot.runtime.workbench import Workbench
from flowbot.task import Task
from flowbot.workflow.workflow import Workflow
from inner.kept import Line, read_lines
from inner.lists import DATA, read_lists, task_of
from inner.searching import Ground, searching

HERE = Path(__file__).resolve().parents[1]
EXAMPLES = ("orders", "review", "support", "wiki")
OWN = "own"
FILE = HERE / "src" / "flowbot" / "optimizer" / "priors.json"
USUAL, GREAT, SHARE = 0.05, 0.4, 0.05
"""Standard deviations of what is assumed of a kind about its true mean gain: of most kinds, and of the `SHARE` that matter far more, as
computing the answer does. One normal cannot say both: it believes nothing of the great ones, or too much of the luck of all others."""
MEASURED = " Measured since: "
"""Begins what `--write` adds to the source."""


def design_task(name: str, data: Path, train: int, rows: int) -> Task:
    """A design task: `train` training rows, of which mistakes are, and so many rows of dev.

    Raises:
        ValueError: for a task that is not for design.
    """
    if name in EXAMPLES:
        task = Task.load(HERE / "examples" / name / "task.yaml")
        cut = {"train": task.splits["train"][:train], "val": task.splits["val"][:rows], "test": task.splits["test"][:1]}
        return replace(task, splits=cut)
    if name not in read_lists().design:
        raise ValueError(f"{name}: not for design; there are {', '.join((*EXAMPLES, *read_lists().design))}")
    return task_of(name, data, train, rows)[0]


def start_of(name: str, task: Task, start: str) -> Workflow | None:
    """What is changed: a start of the library, or the workflow beside an example's task; None where there is none."""
    if start != OWN:
        return starts(start, task)
    path = HERE / "examples" / name / "start.flow.yaml"
    return Workflow.load(path) if path.exists() else None


async def measured(
    search: Search, about: Mapping[str, str], done: set[tuple[str, ...]], levels: Sequence[Level], draws: int
) -> AsyncIterator[Line]:
    """The lines of the start and of every change of it that are not done."""
    parent, rows = search.population.start, [each.id for each in search.order("val")]
    proposers: Proposers = [
        *([CatalogueChanges()] if "structure" in levels else []), *(tuning() if "parameters" in levels else [])
    ]  # fmt: skip
    if _key({**about, "change": ""}) not in done:
        await search.run(search.start, rows, "val")
        yield {**about, "change": "", "scores": _scores(search, search.start, rows)}
    for proposer in proposers:
        for option in proposer.options(parent, search):
            of = task_kinds(
                search.task, search.start.workflow, option.arm.place, search.recorded(search.start, search.training)
            )
            seen = {search.start.hash}
            for draw in range(min(draws, option.most) if option.level == "parameters" else 1):
                change = {
                    "change": f"{option.title} ({option.arm.place})" + (f", draw {draw + 1}" if draw else ""),
                    "kind": option.arm.kind, "place": option.arm.place, "level": option.level,
                }  # fmt: skip
                focus = Focus(option, draw, option.prior, option.prior)
                for made in await proposer.propose(parent, focus, option.at_once, search):  # once more from the store
                    line = {**about, **change, "tasks": list(of), "extra": option.extra, "by": made.code_by or ""}
                    line |= {"made": made.title}
                    if made.program is None:
                        if _key(line) not in done:
                            yield {**line, "fault": "; ".join(made.faults)}
                        continue
                    if made.program.hash in seen or (seen.add(made.program.hash) or _key(line) in done):
                        continue
                    await search.run(made.program, rows, "val")
                    yield {**line, "scores": _scores(search, made.program, rows)}


def _scores(search: Search, program: WorkflowProgram, rows: Sequence[str]) -> dict[str, float]:
    return {row.example.id: row.score.value for row in search.recorded(program, rows)}


def _key(line: Line) -> tuple[str, ...]:
    """The change of a start that a line is about, and whose code it has."""
    return (*(str(line[part]) for part in ("task", "start", "model", "meta_model", "change")), line.get("by", ""))


async def measure(options: argparse.Namespace) -> None:
    """Measure what is missing, task by task; what is known of a program is written down at once."""
    path = options.out / "priors.jsonl"
    lines = read_lines(path)
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines), encoding="utf-8")
    done = {_key(each) for each in lines}
    models = {"model": options.model, "meta_model": options.meta_model}
    async with Workbench(cache_dir=options.cache_dir) as bench:
        ground = Ground(bench, options.model, options.meta_model, options.out, options.seed)
        for name in options.tasks:
            task = design_task(name, options.data, options.train, options.rows)
            for start in options.starts:
                about = {"task": name, "start": start, **models}
                workflow = start_of(name, task, start)
                if workflow is None:
                    continue
                number = 0
                async with searching(ground, task, workflow, meta_mode=options.meta_mode) as search:
                    async for line in measured(search, about, done, options.levels, options.draws):
                        with path.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(line, ensure_ascii=False) + "\n")
                        number += 1
                print(f"{name}, {start}: {number} programs", flush=True)


@dataclass(frozen=True)
class Gain:
    """Of one kind of change on one task.

    Attributes:
        mean: over the start, of all its changes, starts and models, on rows that both ran.
        noise: variance of that mean by the rows alone.
        tasks: kinds of task that all of them have.
    """

    mean: float
    noise: float
    tasks: frozenset[str]


def gains(lines: Sequence[Line]) -> dict[str, dict[str, Gain]]:
    """By kind of change and task. Of a change with several codes the best counts: a search tries them at once. Where no row was ever right, before or
    after any change, nothing is learnt."""
    parents = {_key(each)[:-2]: each["scores"] for each in lines if not each["change"]}
    best: dict[tuple[str, ...], tuple[dict[str, float], Line]] = {}
    for each in lines:
        theirs, change = parents.get(_key(each)[:-2], {}), _key(each)[:-1]
        pairs = {row: score - theirs[row] for row, score in each.get("scores", {}).items() if row in theirs}
        if each["change"] and pairs and (change not in best or fmean(pairs.values()) > fmean(best[change][0].values())):
            best[change] = pairs, each
    by_row: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    tasks: dict[tuple[str, str], frozenset[str]] = {}
    says_something = {_key(each)[:-2] for each in lines if any(each.get("scores", {}).values())}
    for pairs, each in best.values():
        if _key(each)[:-2] in says_something:
            of = each["kind"], each["task"]
            tasks[of] = tasks.get(of, frozenset(each["tasks"])) & frozenset(each["tasks"])
            for row, gain in pairs.items():
                by_row[of][row].append(gain)
    found: dict[str, dict[str, Gain]] = defaultdict(dict)
    for (kind, task), rows in by_row.items():
        means = [fmean(of) for of in rows.values()]  # several changes of a kind on one row are not independent
        # Rows that are all alike, or one alone, are not known without error.
        spread = max(variance(means) if len(means) > 1 else 1.0, 1 / (len(means) + 2))
        found[kind][task] = Gain(fmean(means), spread / len(means), tasks[kind, task])
    return found


def between_tasks(found: Mapping[str, Mapping[str, Gain]]) -> float:
    """Variance of the true gains of one kind from task to task: what its gains vary beyond their noise, all kinds pooled (the estimator
    of random effects by the analysis of variance, with equal weights: Cochran 1954)."""
    beyond, freedom = 0.0, 0
    for of in found.values():
        if (more := len(of) - 1) > 0:
            noise = fmean(each.noise for each in of.values())
            beyond += more * (variance(each.mean for each in of.values()) - noise)
            freedom += more
    return max(beyond / freedom, 0.0) if freedom else 0.0


def drawn(towards: Sequence[Gain], center: float, tasks: float) -> float:
    """The posterior mean of a kind that is assumed to gain `center`, after these gains, with the variance `tasks` from task to task.

    About `center` the true mean is normal with the standard deviation `USUAL`, or with probability `SHARE` with `GREAT`.
    """
    if not towards:
        return center
    mean, noise = fmean(each.mean for each in towards), (tasks + fmean(each.noise for each in towards)) / len(towards)
    weights, means = list[float](), list[float]()
    for share, spread in ((1 - SHARE, USUAL), (SHARE, GREAT)):
        weights.append(share * NormalDist(center, sqrt(spread**2 + noise)).pdf(mean))
        means.append(center + spread**2 / (spread**2 + noise) * (mean - center))
    return round(fmean(means, weights), 4)


def written(data: Mapping[str, Any], lines: Sequence[Line]) -> dict[str, Any]:
    """The data of the priors after these lines; the same lines again change nothing.

    Args:
        data: as it stands in the file.
        lines: all that was measured.
    """
    found = gains(lines)
    between = between_tasks(found)
    assumed = dict.fromkeys(found, 0.0) | {
        kind: mean for level in get_args(Level) for kind, mean in data[level].items()
    }
    tasks = {kind: of for kind, of in data.get("tasks", {}).items() if kind not in found}
    for kind, by_task in found.items():
        seen = [gain.tasks for gain in by_task.values()]
        # What all tasks have tells none apart, but for what they give: of other outputs nothing is known then.
        apart = frozenset[str]().union(*seen) - frozenset.intersection(*seen)
        tasks[kind] = {}
        for each in sorted(apart | {each for of in seen for each in of if each.startswith("output ")}):
            mine = [gain for gain in by_task.values() if each in gain.tasks]
            others = [gain for gain in by_task.values() if each not in gain.tasks]
            tasks[kind][each] = drawn(mine, drawn(others, assumed[kind], between), between)
    names = {part: sorted({each[part] for each in lines}) for part in ("model", "meta_model")}
    names["task"] = sorted({task for of in found.values() for task in of})
    source = f"{data['source'].partition(MEASURED)[0]}{MEASURED}the means by kind of task, on {', '.join(names['task'])} with \
{', '.join(names['model'])} (meta model {', '.join(names['meta_model'])}), by benchmarks/priors.py: drawn from what is assumed towards the gains on other tasks, and from there towards those on these, by a mixture of \
two normals with spreads of {USUAL} and {GREAT} ({SHARE:.0%} of the kinds), a spread of {sqrt(between):.2f} from task to task, and the noise of the rows."
    return {**data, "source": source, "tasks": tasks}


def report(lines: Sequence[Line]) -> Iterator[str]:
    """A line a kind of change: its gain on each task, in points."""
    found = gains(lines)
    names = sorted({task for of in found.values() for task in of})
    yield f"| kind | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for kind, of in sorted(found.items()):
        yield f"| {kind} | {' | '.join(f'{100 * of[each].mean:+.1f}' if each in of else '–' for each in names)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or write the data file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--write", type=Path, nargs="?", const=FILE, help="make the data file of what was measured")
    parser.add_argument("--tasks", nargs="+", default=[*EXAMPLES, *read_lists().design])
    parser.add_argument("--starts", nargs="+", default=["single-call", OWN], help="that are changed")
    parser.add_argument("--levels", nargs="+", choices=get_args(Level), default=get_args(Level), help="of the changes")
    parser.add_argument("--draws", type=int, default=6, help="of each change of parameters")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with a folder of rows for every set")
    parser.add_argument("--train", type=int, default=16, help="rows that the start is run on first")
    parser.add_argument("--rows", type=int, default=40, help="dev rows that each program is run on")
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--meta-model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--meta-mode", choices=get_args(MetaMode), default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache-dir", type=Path, default=None)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "priors.jsonl"
    if options.write is None:
        asyncio.run(measure(options))
    elif lines := read_lines(path):
        source = options.write if options.write.exists() else FILE
        data = written(read_data(source), lines)
        options.write.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        load_priors(options.write)
    print("\n".join(report(read_lines(path))))


if __name__ == "__main__":
    main()
