"""What keeps a small local model's replies from running away: bounds in the grammar, a repetition penalty, DRY.

    python benchmarks/local_sampling.py OUT.jsonl [--questions 20] [--tasks orders …] [--variants greedy bounds …]
        [--model local/NAME?threads=2]

Four tasks from data of this project: the demo's orders, with a short reasoning before the total; the same as a typed list
that code adds up; and sums in words, made by a seed, with a reasoning before the answer and with a list of steps before it.
Each question is asked at temperature 0 with at most 300 tokens. One JSON line a question goes to OUT: right, cut (the reply
ended at its limit), tokens read, tokens of these from the server's cache, tokens written, seconds. Resumable: questions that
have their line are not asked again. A table is printed; its seconds are those of all replies, several at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from flowbot.fields import Field, ModelError, ValueMismatch, fields_schema
from flowbot.lm.answers import read_values
from flowbot.lm.client import Request
from flowbot.lm.local import open_local
from flowbot.lm.local.client import LocalClient
from flowbot.lm.local.fitting import Fitting
from flowbot.runtime.adapter import messages
from flowbot.store import default_cache_dir
from flowbot.task import Task
from flowbot.workflow.nodes import LLMNode
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts import single_call

MODEL = "local/qwen2.5-coder-0.5b"
TOKENS = 300
SEED = 8
ORDERS = Path(__file__).parents[1] / "examples" / "orders" / "task.yaml"


class Unbound(Fitting):
    """A fitting that leaves the schema as it is."""

    def schema(self, schema: Mapping[str, Any], *, last: bool = True) -> dict[str, Any]:
        """The schema itself."""
        return dict(schema)


DRY = (("dry_multiplier", 0.8), ("dry_base", 1.75), ("dry_allowed_length", 2), ("dry_penalty_last_n", 256))
VARIANTS: dict[str, Fitting] = {
    "greedy": Unbound(),
    "bounds": Fitting(),
    "penalty": Unbound(penalty=1.1),
    "dry": Unbound(sampling=DRY),
    "text 400": Fitting(text=400),
    "bounds+penalty": Fitting(penalty=1.1),
    "bounds+dry": Fitting(sampling=DRY),
}


@dataclass(frozen=True)
class Job:
    """One task: a node and its prompt, questions with their answers, and how a reply's values answer."""

    node: LLMNode
    parameters: LLMParameters
    questions: Sequence[tuple[Mapping[str, Any], int]]
    answer: Callable[[Mapping[str, Any]], int]

    @property
    def fields(self) -> list[Field]:
        """What is asked for."""
        return [Field.of(name, kind) for name, kind in self.node.out.items()]


def jobs(questions: int) -> dict[str, Job]:
    """The tasks with so many questions each."""
    orders = Task.load(ORDERS)
    rows = [(row.inputs, row.expected["total"]) for row in orders.splits["val"][:questions]]
    listing = LLMParameters(instruction="List the things that the customer orders, each with its amount.")
    listed = LLMNode.model_validate({"in": {"note": "note"}, "out": {"items": "list[{name: str, amount: int}]"}})
    return {
        "orders": _demo(orders, rows),
        "list": Job(listed, listing, rows, lambda values: sum(item["amount"] for item in values["items"])),
        "sums": _stepwise("reasoning: str", questions),
        "steps": _stepwise("steps: list[str]", questions),
    }


def _demo(task: Task, questions: Sequence[tuple[Mapping[str, Any], int]]) -> Job:
    flow = single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    (name,) = flow.sketch.nodes
    node, parameters = flow.sketch.nodes[name], flow.parameter(name)
    assert isinstance(node, LLMNode)
    assert isinstance(parameters, LLMParameters)
    return Job(node, parameters, questions, lambda values: values["total"])


def _stepwise(thought: str, questions: int) -> Job:
    name, _, kind = thought.partition(": ")
    node = LLMNode.model_validate({"in": {"question": "question"}, "out": {name: kind, "answer": "int"}})
    prompt = LLMParameters(instruction="Solve the problem step by step.")
    return Job(node, prompt, _sums(questions), lambda values: values["answer"])


def _sums(questions: int) -> list[tuple[Mapping[str, Any], int]]:
    rng = random.Random(SEED)
    made: list[tuple[Mapping[str, Any], int]] = []
    for _ in range(questions):
        pens, cost, books, price, paid = (rng.randint(*ends) for ends in ((3, 12), (2, 9), (2, 6), (11, 30), (1, 4)))
        text = (
            f"Ann buys {pens} pens at {cost} euros each and {books} books at {price} euros each. She has a voucher of "
            f"{paid * 5} euros. How many euros does she pay?"
        )
        made.append(({"question": text}, pens * cost + books * price - paid * 5))
    return made


async def ask(client: LocalClient, job: Job, number: int) -> dict[str, Any]:
    """One question's figures."""
    inputs, wanted = job.questions[number]
    fields = job.fields
    prompt = messages(job.node, job.parameters, inputs, fields)
    began = time.perf_counter()
    reply = await client.complete(Request(prompt, TOKENS, schema=fields_schema(fields)))
    try:
        right = job.answer(read_values(reply.text, fields)) == wanted
    except (ValueMismatch, ModelError):
        right = False
    return {
        "right": right,
        "cut": reply.finish == "length",
        "read": reply.usage.input_tokens,
        "cached": reply.usage.cached_tokens,
        "written": reply.usage.output_tokens,
        "seconds": round(time.perf_counter() - began, 2),
        "text": reply.text,
    }


async def measure(
    model: str, variant: str, tasks: Mapping[str, Job], out: Path, done: set[tuple[str, str, int]]
) -> None:
    """Ask what has no line yet, as many at once as there are slots."""
    left = [
        (name, number)
        for name, job in tasks.items()
        for number in range(len(job.questions))
        if (variant, name, number) not in done
    ]
    if not left:
        return
    client = open_local(model.removeprefix("local/"), default_cache_dir(), say=_say, fitting=VARIANTS[variant])
    assert isinstance(client, LocalClient)
    gate = asyncio.Semaphore(client.default_concurrency)

    async def one(name: str, number: int) -> None:
        async with gate:
            figures = await ask(client, tasks[name], number)
        line = {"model": model, "variant": variant, "task": name, "question": number, **figures}
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    try:
        await asyncio.gather(*(one(name, number) for name, number in left))
    finally:
        await client.close()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The figures by task and variant."""
    lines = [f"{'task':8}{'variant':16}{'n':>4}{'right':>7}{'cut':>5}{'written':>9}{'cached':>8}{'seconds':>9}"]
    for task in dict.fromkeys(row["task"] for row in rows):
        for variant in VARIANTS:
            of = [row for row in rows if row["task"] == task and row["variant"] == variant]
            if of:
                sums = {
                    key: sum(row[key] for row in of) for key in ("right", "cut", "read", "written", "cached", "seconds")
                }
                lines.append(
                    f"{task:8}{variant:16}{len(of):4}{sums['right']:7}{sums['cut']:5}{sums['written']:9,}"
                    f"{sums['cached'] / sums['read']:8.0%}{sums['seconds']:9.0f}"
                )
    return "\n".join(lines)


def lines_of(out: Path) -> list[dict[str, Any]]:
    """The lines that there are."""
    if not out.exists():
        return []
    return [cast("dict[str, Any]", json.loads(line)) for line in out.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Measure what is left, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--tasks", nargs="+", choices=jobs(0), default=list(jobs(0)))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--model", default=MODEL)
    given = parser.parse_args()
    tasks = {name: job for name, job in jobs(given.questions).items() if name in given.tasks}
    done = {
        (row["variant"], row["task"], row["question"]) for row in lines_of(given.out) if row["model"] == given.model
    }
    for variant in given.variants:
        asyncio.run(measure(given.model, variant, tasks, given.out, done))
    print(table([row for row in lines_of(given.out) if row["model"] == given.model]))


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
