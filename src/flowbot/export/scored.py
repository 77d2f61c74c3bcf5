"""Does an export score as the workflow does? Both run on the same examples: a paired comparison, for targets whose framework has a say in what
is sent.

Where the export asks for what the workflow asked for, it gets the same reply, at no cost; anything else the model is asked.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from flowbot.fields import RefusedError, UserError
from flowbot.runtime.scoring import scored
from flowbot.runtime.trace import Trace
from flowbot.stats import Estimate, paired_difference
from flowbot.task import Example, Task

from .comparison import Keys
from .exported import Exported
from .framework import Framework
from .parity_program import Played, play
from .record import Recording


@dataclass(frozen=True, slots=True)
class ScoredParity:
    """What came of a comparison of scores.

    Args:
        split: whose examples.
        requests, same: how many requests the workflow made on them, and how many of these the export made as well.
        made: how many requests the export made.
        alike: on how many examples both gave the same.
        absent, own: as of the recording: ids of examples that could not be compared.
        workflow, export: the mean scores.
        difference: the export's less the workflow's, over the same examples.
        failed: ids of examples on which the export failed and the workflow did not.
        fault: why it failed on the first of them.
    """

    split: str
    requests: int
    same: int
    made: int
    alike: int
    absent: tuple[str, ...]
    own: tuple[str, ...]
    workflow: float
    export: float
    difference: Estimate
    failed: tuple[str, ...]
    fault: str

    @property
    def examples(self) -> int:
        """On how many it was compared."""
        return self.difference.n

    @property
    def ok(self) -> bool:
        """Whether nothing tells that the export is worse: the difference's interval does not lie below 0."""
        return self.difference.high >= 0 and len(self.failed) < max(1, self.examples)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        facts = asdict(self)
        scores = {name: facts.pop(name) for name in ("workflow", "export", "difference")}
        return {"ok": self.ok, "examples": self.examples, **facts, "scores": scores}


async def check_scored(
    exported: Exported,
    file: Path,
    recording: Recording,
    task: Task,
    examples: Sequence[Example],
    *,
    python: str = "",
) -> ScoredParity:
    """Run an exported program on the recorded examples, and score it.

    Args:
        exported: what was exported.
        file: the program.
        recording: of the same workflow.
        task: has the metric.
        examples: those that were recorded, and perhaps more.
        python: the interpreter that has the framework; this one when "".

    Raises:
        InfrastructureError, BudgetExceeded, Paused: as running the workflow does.
    """
    keys = Keys(recording, loose=True)
    beside = task.source.parent if task.source is not None else file.parent
    played = await play(exported, file, recording, keys, python=python or sys.executable, live=True, beside=beside)
    known = {example.id: example for example in examples}
    scores: list[tuple[float, float]] = []
    same = made = requests = alike = 0
    failed: dict[str, str] = {}
    for each in played:
        wanted = Counter(keys.of(sent.model, sent.request, sent.sample) for sent in each.row.sent)
        same += (wanted & Counter(each.asked)).total()
        made, requests = made + len(each.asked), requests + wanted.total()
        traces = (each.row.trace, _trace(each))
        alike += traces[0].outputs == traces[1].outputs
        try:
            start, own = [(await scored(recording.engine, task, known[trace.example], trace)).value for trace in traces]
        except RefusedError:
            continue
        scores.append((start, own))
        if traces[1].outputs is None and traces[0].outputs is not None:
            failed[traces[0].example] = traces[1].error
    starts, owns = [start for start, _ in scores], [own for _, own in scores]
    return ScoredParity(
        split=recording.split,
        requests=requests,
        same=same,
        made=made,
        alike=alike,
        absent=recording.absent,
        own=recording.own,
        workflow=fmean(starts) if starts else 0.0,
        export=fmean(owns) if owns else 0.0,
        difference=paired_difference(owns, starts),
        failed=tuple(failed),
        fault=next(iter(failed.values()), ""),
    )


def require_modules(target: Framework, python: str) -> None:
    """Raise unless an interpreter, this one when "", has what the files of a target need.

    Raises:
        UserError: if it is none, or lacks something; says what to install.
    """
    python = python or sys.executable
    code = (
        "import importlib.util, sys; print(*(each for each in sys.argv[1:] if importlib.util.find_spec(each) is None))"
    )
    try:
        done = subprocess.run([python, "-c", code, *target.modules], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        done = None
    if done is None or done.returncode:
        raise UserError("--python", repr(python), "a Python interpreter")
    if missing := done.stdout.split():
        install = f"{python} -m pip install {shlex.join(target.needs)}; or --python with one that has it"
        raise UserError(python, f"no module {' and '.join(missing)}", install)


def _trace(played: Played) -> Trace:
    """What the program gave, as a run of the workflow."""
    outputs = played.answer.get("outputs")
    return replace(played.row.trace, outputs=outputs, error=str(played.answer.get("error", "")))
