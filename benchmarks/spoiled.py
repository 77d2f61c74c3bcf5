"""Is the right step blamed, and is it repaired? One instruction of a working workflow is spoiled, in twelve ways.

    python benchmarks/spoiled.py OUT [--methods blame layerwise …] [--ways opposite …] [--effort 100] [--seeds 0]

Each method of tuning (`none+NAME`), and `any-step`, which is `blame` with a step drawn by lot in place of the one that is blamed, begins
with the spoiled workflow; so does `"without KIND"`, `blame` without a kind of change, where it is named. The workflow and the ways stand in `inner/spoils.yaml`. Told of each cell: which share of the proposals'
changes are of the spoiled step; how much of what spoiling lost is won back on test rows, half of it or more being a repair; and the
calls of the search until the found workflow was adopted. A way that costs less than ten points (`--harm`) is no fault: it is measured,
and no search begins there.

Raw: OUT/spoiled.jsonl, a line a way (its method is "none") and a line a cell; runs and replies are kept, so the same command goes on where it stopped, and cells that are
there are not run again.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from flowbot.benchmark.search_cell import AtEffort
from flowbot.fields import stable_hash
from flowbot.optimizer.evaluate import evaluate_async
from flowbot.optimizer.feedback.blame import Blame, Blamed
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.method import Method
from flowbot.optimizer.methods import PoolMethod, find_method, tuning
from flowbot.optimizer.pool_method import Proposers
from flowbot.optimizer.run import optimize_async
from flowbot.optimizer.seams import Context
from flowbot.run.events import Proposal, Started, Verdict
from flowbot.run.journal import read_events
from flowbot.run.result import RunResult
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.workbench import Workbench
from flowbot.stats import wilson
from inner.kept import Kept, Line, beliefs
from inner.spoils import Spoil, Spoils, read_spoils
from without import KINDS
from without import method_of as less_of

METHODS = ("blame", "any-step", "layerwise", "autodiff", "textgrad", "gepa", "mipro")
PARTS = tuple(f"without {kind}" for kind in KINDS)
"""`blame` without a kind of change."""
REPAIRED = 0.5
"""Share of the loss that is won back in a repair."""


class AnyStep(Blame):
    """The control: nobody is asked, and any step is as likely to be blamed."""

    def cost(self, program: WorkflowProgram, rows: Sequence[Row]) -> int:
        """No call."""
        return 0

    async def of(self, search: Context[WorkflowProgram], program: WorkflowProgram) -> Blamed:
        """Nothing is known of any step."""
        return Blamed(dict.fromkeys(suspects(program), 0))


def any_step() -> Proposers:
    """What `blame` is made of, with the control in its place."""
    found, nobody = tuning(), AnyStep()
    for each in found:
        if hasattr(each, "blame"):
            cast("Any", each).blame = nobody
    return found


def method_of(name: str) -> Method:
    """A method of tuning by its name here, held to the effort."""
    if name == "any-step":
        return AtEffort(PoolMethod("none+any-step", any_step, critic=None))
    if name in PARTS:
        return AtEffort(less_of(name))
    return AtEffort(find_method(f"none+{name}"))


@dataclass(frozen=True, slots=True)
class Setting:
    """What all cells share."""

    spoils: Spoils
    bench: Workbench
    lm: str
    meta_lm: str
    rows: Sequence[int]
    effort: int
    harm: float
    out: Path

    def key(self, method: str, way: str, seed: int) -> Line:
        """What tells a cell from others."""
        return {
            "method": method,
            "way": way,
            "seed": seed,
            "effort": self.effort,
            **self.about(),
            "meta_model": self.meta_lm,
            "beliefs": beliefs(),
        }

    def about(self) -> Line:
        """What tells what is measured without a search."""
        return {"rows": list(self.rows), "model": self.lm}


async def harm(setting: Setting, way: Spoil) -> Line:
    """What a way costs, in score on test rows."""
    task = setting.spoils.task(setting.rows)
    pair = [
        await evaluate_async(each, task, split="test", lm=setting.lm, traces=False, workbench=setting.bench)
        for each in (setting.spoils.workflow, setting.spoils.spoiled(way))
    ]
    return {"step": way.step, "working": pair[0].mean, "spoiled": pair[1].mean}


async def cell(setting: Setting, name: str, way: Spoil, seed: int, cost: Line) -> Line:
    """One search from a spoiled workflow."""
    key = setting.key(name, way.name, seed)
    folder = setting.out / "runs" / f"{name}-{way.name.replace(' ', '-')}-{seed}-{stable_hash(key)[:8]}"
    task = setting.spoils.task(setting.rows)
    result = await optimize_async(
        task,
        lm=setting.lm,
        meta_lm=setting.meta_lm,
        start=setting.spoils.spoiled(way),
        method=method_of(name),
        effort=setting.effort,
        seed=seed,
        run_dir=folder,
        workbench=setting.bench,
    )
    if result.status != "done":
        raise SystemExit(f"{name}, {way.name}: {result.status}, {result.reason}; the same command goes on")
    scores = (result.start_scores if result.unchanged else result.final_scores).test
    assert scores is not None  # a run that is done has tested
    return {
        **{part: cost[part] for part in ("step", "working", "spoiled")},
        "found": scores.mean,
        **aim(result, way.step),
        "calls": sum(used.calls for purpose, used in result.by_purpose.items() if purpose != "test"),
        "kept": list(result.kept_from),
    }


def aim(result: RunResult, step: str) -> Line:
    """What the journal of a run says of its proposals.

    Args:
        result: of the run.
        step: the spoiled one.

    Returns:
        `aimed`: for each valid proposal the share of the steps that it changes which are the spoiled one; `adopted_at`: calls of the run
        until the found workflow was adopted, None where it is the start.
    """
    programs: dict[str, Mapping[str, Any]] = {}
    aimed: list[float] = []
    names: dict[str, str] = {}
    adopted: dict[str, int] = {}
    for event in read_events(result.run_dir / "journal.jsonl"):
        if isinstance(event, Started):
            programs[event.start] = event.program["parameters"]
        elif isinstance(event, Proposal) and event.program is not None and event.dump is not None:
            told, before = event.dump["parameters"], programs[event.parents[0]]
            programs[event.program], names[event.id] = told, event.program
            different = [path for path in {**before, **told} if before.get(path) != told.get(path)]
            aimed.append((step in different) / max(1, len(different)))
        elif isinstance(event, Verdict) and event.decision == "adopt":
            adopted.setdefault(names[event.proposal], event.spent)
    return {"aimed": aimed, "adopted_at": None if result.unchanged else adopted.get(result.workflow.hash)}


def table(lines: Sequence[Line], steps: int) -> str:
    """The cells as a Markdown table, a row a method.

    Args:
        lines: the cells.
        steps: that may be blamed; chance aims at one of them.
    """
    text = [
        f"| method | ways | aimed at the spoiled step (by lot 1 in {steps}) | repaired (95 %) | loss won back | search calls | calls to a repair |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(each["method"] for each in lines):
        cells = [each for each in lines if each["method"] == method and each["working"] > each["spoiled"]]
        if not cells:  # only where `--harm` is 0 or less
            text.append(f"| {method} | 0 | – | – | – | – | – |")
            continue
        back = [(each["found"] - each["spoiled"]) / (each["working"] - each["spoiled"]) for each in cells]
        fixed = [each for each, share in zip(cells, back, strict=True) if share >= REPAIRED]
        low, high = wilson(len(fixed), len(cells))
        aimed = [share for each in cells for share in each["aimed"]]
        until = [each["calls"] if each["adopted_at"] is None else each["adopted_at"] for each in fixed]
        text.append(
            f"| {method} | {len(cells)} | {f'{fmean(aimed):.0%} of {len(aimed)}' if aimed else '–'} "
            f"| {len(fixed)} ({low:.0%} to {high:.0%}) | {fmean(back):.0%} | {fmean(each['calls'] for each in cells):.0f} "
            f"| {f'{fmean(until):.0f}' if until else '–'} |"
        )
    return "\n".join(text)


async def measure(options: argparse.Namespace) -> str:
    """Run what is missing."""
    kept, spoils, shown = Kept(options.out / "spoiled.jsonl"), read_spoils(), list[Line]()
    async with Workbench(cache_dir=options.cache_dir) as bench:
        setting = Setting(
            spoils, bench, options.model, options.meta_model, options.rows, options.effort, options.harm, options.out
        )
        for way in spoils.ways:
            if way.name not in options.ways:
                continue
            about = {"method": "none", "way": way.name, **setting.about()}
            cost = await kept.line(about, partial(harm, setting, way))
            print(f"{way.name}: {cost['working']:.0%} → {cost['spoiled']:.0%}", flush=True)
            if round(cost["working"] - cost["spoiled"], 9) < setting.harm:
                continue
            for seed, name in product(options.seeds, options.methods):
                key = setting.key(name, way.name, seed)
                found = await kept.line(key, partial(cell, setting, name, way, seed, cost))
                print(f"{way.name}, {name}: {found['spoiled']:.0%} → {found['found']:.0%}", flush=True)
                shown.append(found)
    return table(shown, len(spoils.suspects))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, keep the raw lines, print the table."""
    ways = [each.name for each in read_spoils().ways]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", nargs="+", choices=(*METHODS, *PARTS), default=list(METHODS))
    parser.add_argument("--ways", nargs="+", choices=ways, default=ways)
    parser.add_argument("--effort", type=int, default=100, help="planned search calls")
    parser.add_argument("--harm", type=float, default=0.1, help="loss in score from which on a way is a fault")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rows", type=int, nargs=3, default=[40, 40, 60], metavar=("TRAIN", "VAL", "TEST"))
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--meta-model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--cache-dir", type=Path, default=None)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    print(asyncio.run(measure(options)))


if __name__ == "__main__":
    main()
