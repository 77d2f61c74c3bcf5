"""Every start of the library and of the examples, and what searches have found of the examples, exported to every target and compared
with the workflow: the tables of docs/export.md.

The model is the mock endpoint of this machine, which thinks, calls tools, and at times replies what cannot be read: what is compared is
what is asked, and nothing of models. With `--model` it is a real one, and scores are compared as well. Files for frameworks run in
environments of their own, which are made in the cache folder. Each comparison is one line appended to `--out`, of which the last ones
make the tables.

    python benchmarks/export_parity.py [--only NAME] [--write docs/export.md]
    python benchmarks/export_parity.py --model local/qwen2.5-coder-0.5b --rows 20 --only found [--write docs/export.md]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from first_jobs.model import Asked, Thinker, lot
from flowbot.benchmark.environment import make_environment
from flowbot.export.export import read_export
from flowbot.export.framework import Framework
from flowbot.export.target import Target, targets
from flowbot.fields import Field, UserError, fields_schema
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.program_start import program_workflow
from flowbot.task import Task
from flowbot.testing.fake_behaviours import fill
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import list_starts
from flowbot.workflow.workflow import Workflow
from parity_tools import search

MOCK = "openai/mini"
ROOT = Path(__file__).parents[1]
FOUND = ROOT / "benchmarks" / "results" / "found"
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


def workflows(rows: int) -> list[tuple[str, Workflow, Task]]:
    """Name, workflow and task of all that is exported."""
    made = [
        (f"start {start.name}", _on_one_model(start.workflow), _task(start.workflow, start.goal, rows))
        for start in list_starts()
    ]
    for kind, paths in (
        ("example", (ROOT / "examples").glob("*/start.flow.yaml")),
        ("found", FOUND.glob("*.flow.yaml")),
    ):
        for path in sorted(paths):
            name = path.parent.name if kind == "example" else path.name.partition(".")[0]
            made.append((f"{kind} {name}", Workflow.load(path), _few(Task.load(ROOT / "examples" / name), rows)))
    pipeline = _few(Task.load(ROOT / "examples" / "pipeline"), rows)
    made.append(("example pipeline", program_workflow(pipeline.programs[0], pipeline), pipeline))
    return made


async def compared(workflow: Workflow, task: Task, target: Target, folder: Path, **given: Any) -> dict[str, Any]:
    """How the check of one export ended."""
    file = folder / "flow.flow.yaml"
    workflow.save(file)
    try:
        ready = read_export(file, target.name, task=task, trust_code=True, model=given["model"], python=given["python"])
        result = await ready.write(folder / "out", **given["settings"])
    except UserError as error:
        return {"refused": error.what}
    if result.parity is None:
        return {"unchecked": result.unchecked}
    told = result.parity.dump()
    names = (
        "ok",
        "examples",
        "requests",
        "same",
        "made",
        "alike",
        "absent",
        "own",
        "failed",
        "fault",
        "scores",
        "first",
    )
    return {name: told[name] for name in names if told.get(name)}


def said(line: dict[str, Any]) -> str:
    """A comparison in words."""
    if reason := line.get("refused") or line.get("unchecked"):
        return f"{'refused' if 'refused' in line else 'written'}: {reason}"
    if first := line.get("first"):
        return f"DIFFERS on {first['example']}: {first['what']}"
    if "scores" not in line:
        return f"same {line['requests']} requests on {line['examples']} examples"
    made, wanted, same = line.get("made", 0), line["requests"], line.get("same", 0)
    asked = f"same {wanted} requests" if same == wanted == made else f"{same} of {wanted} requests ({made} made)"
    words = f"{'' if line.get('ok') else 'DIFFERS: '}{asked}, the same outputs on {line.get('alike', 0)} of {line['examples']} examples"
    if line["model"] == MOCK:
        return words
    scores, points = line["scores"], {name: f"{100 * each:+.0f}" for name, each in line["scores"]["difference"].items()}
    score = f"{100 * scores['workflow']:.0f} → {100 * scores['export']:.0f} %"
    return f"{words}; {score}, {points['mean']} points ({points['low']} to {points['high']})"


def tables(lines: list[dict[str, Any]]) -> str:
    """The last comparison of each workflow with each target, a table a model."""
    last = {(line["model"], line["workflow"], line["target"]): line for line in lines}
    known, made = targets(), list[str]()
    for model in dict.fromkeys(model for model, _, _ in sorted(last, key=lambda each: each[0] != MOCK)):
        named = "the mock endpoint" if model == MOCK else f"`{model}`"
        made += ["", f"With {named}:", "", f"| workflow | {' | '.join(f'`{each}`' for each in known)} |"]
        made.append("|" + "---|" * (len(known) + 1))
        for workflow in dict.fromkeys(name for which, name, _ in last if which == model):
            cells = ["" if (line := last.get((model, workflow, each))) is None else said(line) for each in known]
            refused = [
                "refused, as before" if each == before and "refused" in each else each
                for before, each in pairwise(["", *cells])
            ]
            made.append(f"| {workflow} | {' | '.join(refused)} |")
    return "\n".join(made).strip()


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


async def compare(given: argparse.Namespace) -> None:
    """Export and compare all that is asked for, a line each."""
    settings = {"cache_dir": given.cache_dir / "store"} if given.model == MOCK else {}
    with tempfile.TemporaryDirectory() as temporary, given.out.open("a", encoding="utf-8") as lines:
        pythons = await interpreters(given.cache_dir, Path(temporary))
        for name, workflow, task in workflows(given.rows):
            for target in targets().values():
                if given.only not in name:
                    continue
                folder = Path(temporary) / name.replace(" ", "-") / target.name
                folder.mkdir(parents=True)
                asked = {"model": given.model, "python": pythons.get(target.name, ""), "settings": settings}
                line = {"commit": commit(), "model": given.model, "workflow": name, "target": target.name}
                line |= await compared(workflow, task, target, folder, **asked)
                print(json.dumps(line, ensure_ascii=False), file=lines, flush=True)
                print(f"{name}: {target.name}: {said(line)}", flush=True)


def commit() -> str:
    """The state that is compared."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _few(task: Task, rows: int) -> Task:
    return replace(task, splits={split: examples[:rows] for split, examples in task.splits.items()})


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


def _task(workflow: Workflow, goal: str, count: int) -> Task:
    fields = [Field.of(name, text) for name, text in workflow.sketch.inputs.items()]
    rows = [fill(fields_schema(fields), f"row {number}", texts=_words(number)) for number in range(count)]
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
    """Compare, and write the tables where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--write", type=Path, help="the page whose tables are made anew")
    parser.add_argument("--only", default="", help="workflows with this in their name; none for the tables alone")
    parser.add_argument("--model", default=MOCK)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--out", type=Path, default=FOUND.parent / "export_parity.jsonl")
    parser.add_argument("--cache-dir", type=Path, default=Path(tempfile.gettempdir()) / "flowbot-export-parity")
    given = parser.parse_args()
    with Thinker(answer) as thinker:
        if given.model == MOCK:
            os.environ |= {"OPENAI_BASE_URL": thinker.url, "OPENAI_API_KEY": "none"}
        if given.only != "none":
            asyncio.run(compare(given))
    lines = [json.loads(line) for line in given.out.read_text(encoding="utf-8").splitlines()]
    if given.write is not None:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(BEGIN)
        behind = rest.partition(END)[2]
        given.write.write_text(f"{before}{BEGIN}\n\n{tables(lines)}\n\n{END}{behind}", encoding="utf-8")
    print(json.dumps({"differ": tables(lines).count("DIFFERS")}))


if __name__ == "__main__":
    main()
