"""`flowbot optimize` on public benchmark data with the local models: object counting and question types.

    python benchmarks/public_tasks.py DATA OUT [--rows 40 40 100]

DATA holds a folder a task with train.jsonl, dev.jsonl and test.jsonl (see `TASKS`; the data is not part of this project). The
first rows of each are used. Each task becomes a folder in OUT with a task file and a start (one call with a reasoning field, its
reply bounded by 200 tokens), then the command line does the rest. Resumable: the same command goes on where it stopped. One JSON
line a run goes to OUT/public_tasks.jsonl, and a table is printed. The choice of tasks is fixed; none is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from flowbot.fields.yaml_out import dump_yaml
from flowbot.task import Task
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import single_call

REPLY_TOKENS = 200
TASKS: dict[str, dict[str, Any]] = {
    "bbh_object_counting": {
        "goal": "Count the things that the question asks for.",
        "inputs": {"input": {"type": "str", "about": "the question"}},
        "outputs": {"answer": {"type": "int", "about": "how many"}},
        "metric": "numeric",
    },
    "trec6": {
        "goal": "Say what kind of answer the question asks for: ABBR an abbreviation, DESC a description, ENTY a thing, "
        "HUM a person or group, LOC a place, NUM a number.",
        "inputs": {"question": "str"},
        "outputs": {"answer": "Literal['ABBR', 'DESC', 'ENTY', 'HUM', 'LOC', 'NUM']"},
        "metric": "exact",
    },
}
MODELS = ("--model", "local/qwen2.5-coder-0.5b", "--meta-model", "local/qwen2.5-coder-1.5b")


def prepare(name: str, data: Path, folder: Path, rows: list[int]) -> None:
    """Write the task file, its rows and the start."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = {"train": "train.jsonl", "val": "val.jsonl", "test": "test.jsonl"}
    wanted = [*TASKS[name]["inputs"], *TASKS[name]["outputs"]]
    for split, source, count in zip(splits, ("train", "dev", "test"), rows, strict=True):
        lines = (data / name / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
        kept = [{key: json.loads(line)[key] for key in ("id", *wanted)} for line in lines]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        (folder / splits[split]).write_text(text, encoding="utf-8")
    (folder / "task.yaml").write_text(dump_yaml({"flowbot": 1, **TASKS[name], "data": splits}), encoding="utf-8")
    task = Task.load(folder / "task.yaml")
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    for node in start.sketch.nodes:
        parameters = start.parameter(node)
        assert isinstance(parameters, LLMParameters)
        start = start.with_parameter(node, parameters.model_copy(update={"max_tokens": REPLY_TOKENS}))
    start.save(folder / "start.flow.yaml")


def optimize(name: str, folder: Path, effort: str) -> dict[str, Any]:
    """One run as its JSON object; a paused one is run again."""
    command = [sys.executable, "-m", "flowbot", "optimize", str(folder / "task.yaml"), *MODELS, "--json"]
    command += ["--start", str(folder / "start.flow.yaml"), "--effort", effort, "--run-dir", str(folder / "run")]
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            shown = {**json.loads(done.stdout), "run_dir": name, "workflow": f"{name}/found.flow.yaml"}
            return {"task": name, **shown}
    raise SystemExit(f"{name}: exit status {done.returncode}\n{done.stderr}")


def main() -> None:
    """Run all, keep the raw results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, nargs=3, default=[40, 40, 100], metavar=("TRAIN", "VAL", "TEST"))
    parser.add_argument("--effort", default="medium", choices=["low", "medium", "high"])
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    print("| task | start, test | found, test | difference, points (95 %) | calls | minutes | kept, from |")
    print("|---|---|---|---|---|---|---|")
    for name in TASKS:
        prepare(name, options.data, options.out / name, options.rows)
        results.append(result := optimize(name, options.out / name, options.effort))
        scores, gap = result["scores"], result["scores"]["difference"]["test"]
        print(
            f"| {name} | {scores['start']['test']['mean']:.0%} | {scores['final']['test']['mean']:.0%} "
            f"| {100 * gap['mean']:+.0f} ({100 * gap['low']:+.0f} to {100 * gap['high']:+.0f}) "
            f"| {sum(result['calls'].values())} | {result['seconds'] / 60:.1f} | {'; '.join(result['kept_from'])} |",
            flush=True,
        )
        with (options.out / "public_tasks.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in results)


if __name__ == "__main__":
    main()
