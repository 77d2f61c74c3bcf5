"""A program in words in its three forms on the same rows: carried out at a call a step, question by question as published, and lifted to
typed nodes. Score with interval, model calls and tokens a row, and the paired difference from the first.

    python benchmarks/core_forms.py [--task examples/orders/task.yaml] [--program examples/orders/count.core.txt]
        [--model local/qwen2.5-coder-0.5b] [--split val] [--rows 20] [--out FILE.jsonl]

Resumable: what was asked is in the store. Where the program cannot be lifted its third form is left out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import flowbot as fb
from flowbot.stats import paired_difference
from flowbot.task import Task
from flowbot.workflow.core_lift import lift_core
from flowbot.workflow.starts.core import core_workflow

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Evaluate the forms and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", type=Path, default=ROOT / "examples/orders/task.yaml")
    parser.add_argument("--program", type=Path, default=ROOT / "examples/orders/count.core.txt")
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--split", default="val")
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--cache-dir", default=None)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    task, text = Task.load(options.task), options.program.read_text(encoding="utf-8")
    task = replace(task, splits={**task.splits, options.split: task.splits[options.split][: options.rows]})
    forms = {
        each: core_workflow(text, task.inputs, task.outputs, max_steps=12, interpreter=each)
        for each in ("compact", "faithful")
    }
    lifted, why = lift_core(forms["compact"], "plan")
    if lifted is None:
        print(f"not lifted: {why}")
    else:
        forms["lifted"] = lifted
    first: list[float] = []
    for name, workflow in forms.items():
        more: dict[str, Any] = {} if options.cache_dir is None else {"cache_dir": options.cache_dir}
        found = fb.evaluate(workflow, task, split=options.split, lm=options.model, **more)
        scores = [row.score.value for row in found.rows]
        first = first or scores
        versus = paired_difference(scores, first)
        row = {
            "form": name,
            "model": options.model,
            "rows": len(scores),
            "score": found.mean,
            "low": found.low,
            "high": found.high,
            "calls": sum(each.usage.calls for each in found.rows) / len(scores),
            "tokens": sum(each.usage.tokens for each in found.rows) / len(scores),
            "failed": sum(bool(each.error) for each in found.rows),
            "minus_compact": [versus.low, versus.mean, versus.high],
        }
        print(json.dumps(row), flush=True)
        if options.out is not None:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
