"""Every start of the library on 20 examples of a fitting task: score, calls, tokens and seconds of each.

    python benchmarks/starts.py DATA OUT [--examples 20] [--starts react papillon ...] [--model local/qwen2.5-coder-0.5b]

DATA holds the folders bbh_object_counting, hotpotqa, hover and mbpp (see `start_tasks.py`; the data is not part of this project).
Each task becomes a folder in OUT, each start a workflow made to fit it, its replies bounded by 256 tokens, and `flowbot eval` does
the rest, with a store of its own, so that the seconds are those of all calls (and of loading the model). Resumable: what stands in
OUT/starts.jsonl for the same model and number of examples is not run again. A table is printed at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from flowbot.runtime.starts import starts
from flowbot.task import Task
from flowbot.workflow.nodes import Sketch
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import find_start, fit
from flowbot.workflow.workflow import Workflow
from start_tasks import read, write_task

REPLY_TOKENS = 256
RUNS = {
    "object_counting": (
        "single-call",
        "chain-of-thought",
        "self-consistency",
        "self-refine",
        "debate",
        "program-of-thought",
        "plan-and-solve",
    ),
    "hotpotqa": ("single-call", "react", "retrieve-then-read", "multi-hop-qa"),
    "hover": ("multi-hop-claims",),
    "mbpp": ("single-call", "generate-test-revise"),
    "letters": ("papillon",),
}
"""The starts that each task is run with; a single call beside the others where it can solve the task at all."""


def workflow_for(name: str, task: Task, model: str, untrusted: str) -> Workflow:
    """A start made to fit a task; PAPILLON also gives what it asked the untrusted model, for the metric."""
    start = find_start(name)
    if start.models:
        pins = {step: untrusted if step == "untrusted" else model for step in start.models}
        made = fit(start, task.inputs, task.outputs[:1], task.goal, models=pins)
        outputs = {**made.sketch.outputs, task.outputs[1].name: "redact.question"}
        sketch = Sketch(inputs=made.sketch.inputs, outputs=outputs, nodes=made.sketch.nodes)
        made = Workflow(sketch=sketch, parameters=made.parameters)
    else:
        made = starts(start.name, task)
    for path, told in made.parameters.items():
        if isinstance(told, LLMParameters):
            made = made.with_parameter(path, told.model_copy(update={"max_tokens": REPLY_TOKENS}))
    return made


def evaluate(flow: Path, task: Path, model: str, untrusted: str, cache: Path) -> dict[str, Any]:
    """What `flowbot eval` says of a workflow on the test rows, with an empty store."""
    shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-m", "flowbot", "eval", str(flow), str(task), "--split", "test", "--json"]
    done = subprocess.run(
        [*command, "--model", model, "--models", untrusted, "--cache-dir", str(cache)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{flow}: exit status {done.returncode}\n{done.stderr}")
    shutil.rmtree(cache, ignore_errors=True)
    return json.loads(done.stdout)


def table(results: list[dict[str, Any]]) -> str:
    """The results as a Markdown table; calls, tokens and seconds are those of one example."""
    lines = [
        "| task | start | score (95 %) | gave nothing | calls | tokens | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in results:
        per = {key: each[key] / each["n"] for key in ("calls", "tokens", "seconds")}
        lines.append(
            f"| {each['task']} | {each['start']} | {each['mean']:.0%} ({each['low']:.0%} to {each['high']:.0%}) "
            f"| {each['errors']} of {each['n']} | {per['calls']:.1f} | {per['tokens']:,.0f} | {per['seconds']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is not there yet, keep the raw results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--examples", type=int, default=20)
    parser.add_argument("--starts", nargs="+", default=sorted({name for names in RUNS.values() for name in names}))
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--untrusted", default="local/qwen2.5-coder-1.5b", help="the other model of papillon")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "starts.jsonl"
    done = list(read(kept)) if kept.is_file() else []
    settings = {"model": options.model, "examples": options.examples}
    shown: list[dict[str, Any]] = []
    for task_name, names in RUNS.items():
        wanted = [name for name in names if name in options.starts]
        folder = options.out / task_name
        for name in wanted:
            key = {"task": task_name, "start": name, **settings}
            result = next((each for each in done if key.items() <= each.items()), None)
            if result is None:
                task = write_task(task_name, options.data, folder, options.examples)
                flow = folder / f"{name}.flow.yaml"
                workflow_for(name, Task.load(task), options.model, options.untrusted).save(flow)
                facts = evaluate(flow, task, options.model, options.untrusted, folder / "cache")
                wanted_facts = ("n", "mean", "low", "high", "errors", "calls", "tokens", "seconds", "rows")
                result = {**key, **{fact: facts[fact] for fact in wanted_facts}}
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result, ensure_ascii=False) + "\n")
                print(
                    f"{task_name}, {name}: {result['mean']:.0%}, {result['seconds']:.0f} s", file=sys.stderr, flush=True
                )
            shown.append(result)
    print(table(shown))


if __name__ == "__main__":
    main()
