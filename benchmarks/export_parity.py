"""Every start of the library and of the examples, exported to every target and compared with the workflow: the table of docs/export.md.

The model is the mock endpoint of this machine, which thinks, calls tools, and at times replies what cannot be read: what is compared is
what is asked, and nothing of models. Files for frameworks run in environments of their own, which are made in the cache folder.

    python benchmarks/export_parity.py [--write docs/export.md] [--only NAME] [--cache-dir CACHE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from first_jobs.model import Asked, Thinker, lot
from flowbot.benchmark.environment import make_environment
from flowbot.export.export import read_export
from flowbot.export.framework import Framework
from flowbot.export.scored import ScoredParity
from flowbot.export.target import Target, targets
from flowbot.fields import Field, UserError, fields_schema
from flowbot.lm.stop import StopSignal
from flowbot.task import Task
from flowbot.testing.fake_behaviours import fill
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import list_starts
from flowbot.workflow.workflow import Workflow
from parity_tools import search

ROWS = 12
MODEL = "openai/mini"
ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- parity: made by benchmarks/export_parity.py -->", "<!-- parity ends -->"
UNREADABLE = 0.1
"""Share of structured replies that are prose."""
CALLS = 0.6
"""Share of replies that call a tool where some are offered."""


def answer(asked: Asked) -> dict[str, Any] | str:
    """An answer of the form that is asked for, decided by the request alone."""
    drawn = lot(asked.text, "kind")
    if asked.tools and asked.schema is None and drawn < CALLS:
        return {"call": asked.tools[0], "query": f"about {int(1000 * drawn)}"}
    if asked.schema is None:
        return f"text {int(1000 * drawn)}"
    if drawn < UNREADABLE:
        return f"I am not sure about {int(1000 * drawn)}."
    return fill(asked.schema, asked.text, texts=lambda schema, place: f"{place} {int(1000 * drawn)}")


def workflows() -> list[tuple[str, Workflow, Task]]:
    """Name, workflow and task of all that is exported."""
    found = [
        (f"start {start.name}", _on_one_model(start.workflow), _task(start.workflow, start.goal))
        for start in list_starts()
    ]
    for path in sorted((ROOT / "examples").glob("*/start.flow.yaml")):
        task = Task.load(path.parent)
        rows = {split: examples[:ROWS] for split, examples in task.splits.items()}
        found.append((f"example {path.parent.name}", Workflow.load(path), replace(task, splits=rows)))
    return found


async def outcome(name: str, workflow: Workflow, task: Task, target: Target, folder: Path, python: str) -> str:
    """How the check of one export ended, in words."""
    file = folder / f"{name.split()[-1]}.flow.yaml"
    workflow.save(file)
    try:
        ready = read_export(file, target.name, model=MODEL, task=task, trust_code=True, python=python)
        result = await ready.write(folder / target.name / name.replace(" ", "-"), cache_dir=folder / "cache")
    except UserError as error:
        return f"refused: {error.what}"
    if result.parity is None:
        return f"written; {result.unchecked}"
    if isinstance(result.parity, ScoredParity):
        parity = result.parity
        differs = "" if parity.ok else "DIFFERS: "
        alike = f"the same outputs on {parity.alike} of {parity.examples} examples"
        if parity.same == parity.requests == parity.made:
            return f"{differs}same {parity.requests} requests, {alike}"
        return f"{differs}{parity.same} of {parity.requests} requests ({parity.made} made), {alike}"
    if result.parity.first is not None:
        return f"DIFFERS on {result.parity.first.example}: {result.parity.first.what}"
    return f"same {result.parity.requests} requests on {result.parity.examples} examples"


async def interpreters(cache_dir: Path, folder: Path) -> dict[str, str]:
    """By target the interpreter of an environment that has what its files need."""
    found: dict[str, str] = {}
    for name, target in targets().items():
        if isinstance(target, Framework):
            requirements = folder / f"{name}.txt"
            requirements.write_text("\n".join(target.needs), encoding="utf-8")
            made = await make_environment(requirements, cache_dir, stop=StopSignal(), say=print)
            found[name] = str(made / "bin" / "python")
    return found


async def table(only: str, cache_dir: Path) -> str:
    """All of it, as a table in Markdown."""
    known = targets()
    lines = [f"| workflow | {' | '.join(f'`{each}`' for each in known)} |", "|" + "---|" * (len(known) + 1)]
    with tempfile.TemporaryDirectory() as temporary:
        pythons = await interpreters(cache_dir, Path(temporary))
        for name, workflow, task in workflows():
            if only in name:
                ended = [
                    await outcome(name, workflow, task, each, Path(temporary), pythons.get(each.name, ""))
                    for each in known.values()
                ]
                lines.append(f"| {name} | {' | '.join(ended)} |")
                print(lines[-1], flush=True)
    return "\n".join(lines)


def _on_one_model(workflow: Workflow) -> Workflow:
    """The workflow without models of its own: the mock endpoint has one."""
    return workflow.model_copy(
        update={
            "parameters": {
                path: each.model_copy(update={"model": None}) if isinstance(each, LLMParameters) else each
                for path, each in workflow.parameters.items()
            }
        }
    )


def _task(workflow: Workflow, goal: str) -> Task:
    fields = [Field.of(name, text) for name, text in workflow.sketch.inputs.items()]
    rows = [fill(fields_schema(fields), f"row {number}", texts=_words(number)) for number in range(ROWS)]
    outputs = {f"out_{name}" if name in workflow.sketch.inputs else name: "str" for name in workflow.sketch.outputs}
    val = [{**row, **dict.fromkeys(outputs, "x")} for row in rows]
    return Task(
        goal=goal,
        inputs=dict(workflow.sketch.inputs),
        outputs=outputs,
        metric="exact",
        val=val,
        tools=[search],
        source=__file__,
    )


def _words(number: int) -> Callable[[Any, str], str]:
    return lambda schema, place: f"What of {place} {number}?"


def main() -> None:
    """Print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--cache-dir", type=Path, default=Path(tempfile.gettempdir()) / "flowbot-export-parity")
    options = parser.parse_args()
    with Thinker(answer) as thinker:
        os.environ |= {"OPENAI_BASE_URL": thinker.url, "OPENAI_API_KEY": "none"}
        made = asyncio.run(table(options.only, options.cache_dir))
    if options.write is not None:
        before, _, rest = options.write.read_text(encoding="utf-8").partition(BEGIN)
        behind = rest.partition(END)[2]
        options.write.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{behind}", encoding="utf-8")
    print(json.dumps({"differ": made.count("DIFFERS")}))


if __name__ == "__main__":
    main()
