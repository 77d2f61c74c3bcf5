"""The part of `flowbot check` that looks at a user's program: before money is spent it is run on made-up replies."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from flowbot.checks.findings import Findings
from flowbot.checks.task import every_row
from flowbot.fields import UserError
from flowbot.fields.words import count, cut, listed
from flowbot.lm.providers import providers
from flowbot.task import Example, Task
from flowbot.task.programs import CALLS, named_program
from flowbot.task.quality import Remark

from .observed import Observed
from .process import Job, Trial
from .remarks import defects, warnings
from .twice import unlike

if TYPE_CHECKING:
    from flowbot.task.defects import ReadTask

TRIALS = 3
"""Examples that it is run on."""
_SECONDS = 150.0
"""That a process may take."""
_SEEDS = ("1", "2")
"""Orders of sets: `PYTHONHASHSEED`."""


def program_place(text: str, folder: Path | None = None) -> tuple[Path, str] | None:
    """File and name of a program, `FILE.py:NAME`, from a folder or this one; None where it is the path of something else.

    Raises:
        UserError: if there is no such file.
    """
    name, mark, called = text.rpartition(".py:")
    if not mark or not called.isidentifier() or Path(text).is_file():
        return None
    file = (folder or Path()).resolve() / f"{name}.py"
    if not file.is_file():
        raise UserError("program", f"no file {file}", "a Python file")
    return file, called


async def check_program(file: Path, name: str, read: ReadTask | None, findings: Findings) -> None:
    """Run a program twice on made-up replies, in processes of their own, and say what is wrong with it.

    Args:
        file, name: where it stands; the file's whole path.
        read: the task that it is for; without one it is only imported.
        findings: grows.
    """
    program = f"{file.name}:{name}"
    task = None if read is None else read.task
    said = None if task is None else named_program(program, task.programs, file.parent)
    max_calls = CALLS if said is None else said.max_calls
    writes = said is not None and said.effects == "writes"
    rows = [] if read is None or read.task is None or writes else every_row(read)[:TRIALS]
    trials = tuple(Trial(example=row.place, inputs=dict(row.inputs), replies=replies(row)) for row in rows)
    with tempfile.TemporaryDirectory(prefix="flowbot-") as spare:
        outputs = {} if task is None else {each.name: str(each.type) for each in task.outputs}
        job = Job(file=file, name=name, trials=trials, outputs=outputs, spare=(Path(spare),))
        seen = await asyncio.gather(*(_observed(job, seed, Path(spare)) for seed in _SEEDS[: 2 if trials else 1]))
    if fault := next((each for each in seen if isinstance(each, str)), ""):
        findings.defects.append(Remark(program, fault, "mend it, and check again"))
        return
    first, *again = (each for each in seen if isinstance(each, Observed))
    if task is not None:
        findings.defects += signature_defects(first, task, program)
    findings.defects += defects(first, program=program, max_calls=max_calls, writes=writes) if trials else []
    findings.warnings += warnings(first, program=program) if trials else []
    for each in again:
        findings.defects += unlike(first, each, program, datetime.now(UTC).astimezone().date())
    _say(first, program, findings, tried=bool(trials), writes=writes)


def replies(row: Example) -> tuple[str, ...]:
    """What models say on an example: what is expected of it, bare and as JSON, so that the program's own parsing has a chance."""
    values = list(row.expected.values()) or ["yes"]
    bare = values[0] if isinstance(values[0], str) else json.dumps(values[0], ensure_ascii=False)
    return tuple(dict.fromkeys((bare, json.dumps(dict(row.expected), ensure_ascii=False), f'["{bare}"]', "1")))


def signature_defects(seen: Observed, task: Task, program: str) -> list[Remark]:
    """Where the entry's parameters are not the task's inputs."""
    inputs = [field.name for field in task.inputs]
    lacking = [name for name in inputs if name not in seen.takes and not seen.takes_any]
    more = [name for name, needed in seen.takes.items() if needed and name not in inputs]
    found: list[Remark] = []
    if lacking:
        what = f"takes {listed(list(seen.takes)) or 'nothing'}, and the task hands it {listed(lacking)}"
        found.append(Remark(program, what, "a parameter of that name, or **others"))
    if more:
        what = f"needs {listed(more)}, which is no input of the task ({listed(inputs)})"
        found.append(Remark(program, what, "an input of that name in the task, or a default"))
    return found


def _say(seen: Observed, program: str, findings: Findings, *, tried: bool, writes: bool) -> None:
    texts, values = [each.name for each in seen.texts], [each.name for each in seen.values]
    told = {"call": program, "texts": texts, "values": values, "runs": len(seen.runs)}
    findings.facts.setdefault("programs", []).append(told)
    tuned = [f"{count(len(texts), 'text')} ({listed(texts, 8)})"] if texts else []
    tuned += [f"{count(len(values), 'value')} ({listed(values, 8)})"] if values else []
    findings.rows.append(("Program", f"{program}: {' and '.join(tuned) or 'no text and no value'} to tune"))
    if tried:
        runs = [run for run in seen.runs if not run.marked]
        most = max((len(run.asked) for run in runs), default=0)
        text = (
            f"on {count(len(runs), 'example')} with made-up replies: {count(most, 'model call')} at most; none was sent"
        )
        if runs and all(run.error for run in runs):
            text += f"; each ended with an error, as made-up replies may bring about: {cut(runs[0].error, 100)}"
        findings.rows.append(("Tried", text))
    elif writes:
        findings.rows.append(("Tried", "not at all: the task says that it writes"))
    if not texts and not values:
        mend = 'fb.Param("plan", "…") around a prompt; without one only what stands around the program can change'
        findings.warnings.append(Remark(program, "declares no text and no value", mend))


async def _observed(job: Job, seed: str, spare: Path) -> Observed | str:
    """What a process saw; why it saw nothing otherwise."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flowbot.checks.program.process"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=_environment(seed, spare), cwd=job.file.parent,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS):
            out, _ = await child.communicate(job.model_dump_json().encode())
    except TimeoutError:
        child.kill()
        _ = await child.wait()
        return f"did not end within {_SECONDS:g} s on made-up replies"
    try:
        seen = Observed.model_validate_json(out)
    except ValidationError:
        return f"ends its process (exit status {child.returncode})"
    return seen.fault or seen


def _environment(seed: str, spare: Path) -> Mapping[str, str]:
    """The user's, in which clients find a key where there is none: no request goes out."""
    keys = {variable: "made-up" for row in providers().values() for variable in row.keys}
    ours = str(Path(__file__).resolve().parents[3])  # where this package stands, should it be found in no other way
    path = os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH", ""))))
    return {**keys, **os.environ, "PYTHONHASHSEED": seed, "TMPDIR": str(spare), "PYTHONPATH": path}
