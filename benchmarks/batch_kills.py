"""Evaluations by batches whose process is killed (SIGKILL) at every step of submitting, looking and fetching: is anything submitted twice, lost, or charged wrongly?

python benchmarks/batch_kills.py [--form openai|anthropic] [--kills 50] [--out benchmarks/results/batch_kills.jsonl]

`flowbot eval --batch` runs again and again on one cache folder against a mock endpoint (`batch_endpoint.py`) in which a few entries
expire. Each life but the last is killed from the endpoint: in the moment in which a request arrives, before anything is done; once it
is done and before it is answered; or some milliseconds after its answer. The last life runs to its end. An entry of a batch costs half
of what an ordinary call costs. An ordinary call (of an entry that expired) that is under way at a kill is made again, as it is
without batches: `ordinary_twice`. Exit status 1 if a run shows what it should not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from itertools import count, product
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Timer
from typing import Any

from batch_endpoint import READ, WRITTEN, BatchEndpoint, Body

ROWS, FULL, PAUSED = 24, (READ * 0.4 + WRITTEN * 1.6) / 1e6, 3
STEPS = {
    "openai": (
        *("newest batches", "POST files", "POST batches", "GET batches"),
        *("GET batches/ID", "GET files/9/content", "GET files/8/content"),
    ),
    "anthropic": (
        *("newest messages/batches", "POST messages/batches", "GET messages/batches"),
        *("GET messages/batches/ID", "GET messages/batches/ID/results"),
    ),
}
"""In the order in which a run comes by them, so that each life gets further than the one before."""
PRELOADED = [
    "flowbot.cli.eval",
    "flowbot.cli.app",
    "flowbot.optimizer.evaluate",
    "flowbot.lm.batch_forms",
    "flowbot.store.writer",
    "flowbot.runtime.open_model",
]
AFTER = (0.0, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1)
"""Seconds after an answer: a kill falls between what is stored of it."""


def answer(body: Body) -> str:
    """The sum of the two numbers that are asked for last."""
    found = re.findall(r"(\d+) pens and (\d+) cups", json.dumps(body))
    return str(sum(map(int, found[-1]))) if found else "yes"


class Killing(BatchEndpoint):
    """The endpoint, which ends the process that asks at the step for which it is armed, once."""

    def __init__(self) -> None:
        super().__init__(answer)
        self.polls = 2
        self.expired = lambda body: int(answer(body)) % 7 == 0
        self.armed: tuple[str, str, float] = ("", "", 0.0)
        self.victim: BaseProcess | None = None

    def serve(self, method: str, path: str, content: bytes, query: Mapping[str, str]) -> tuple[int, Any]:
        """As ever, but for the kill."""
        step, when, seconds = self.armed
        what = "newest" if query.get("limit") == "1" else method
        its = re.sub(r"(batch|msgbatch)_\d+", "ID", re.sub(r"file_([89])_\d+", r"\1", f"{what} {path}"))
        if its != step or self.victim is None:
            return super().serve(method, path, content, query)
        self.armed = ("", "", 0.0)
        done = super().serve(method, path, content, query) if when != "before" else (0, "")
        if when == "after":
            Timer(seconds, self.victim.kill).start()
            return done
        self.victim.kill()
        raise ConnectionAbortedError


def life(folder: str, url: str, form: str) -> None:
    """One process: the command as a user gives it, but that Anthropic's form is spoken at the address of an OpenAI model."""
    os.environ |= {"FLOWBOT_CACHE_DIR": f"{folder}/cache", "OPENAI_API_KEY": "none"}
    from flowbot.cli import main
    from flowbot.lm.batch_forms import AnthropicBatches
    from flowbot.lm.wire import Wire
    from flowbot.runtime import open_model

    if form == "anthropic":
        open_model._batches = lambda endpoint: AnthropicBatches(
            Wire(endpoint.address, key="none", key_header="x-api-key")
        )

    verb = [
        "eval",
        "single-call",
        f"{folder}/task.yaml",
        "--split",
        "test",
        "--model",
        f"openai/gpt-4.1-mini?base_url={url}",
        "--batch",
    ]
    sys.argv = ["flowbot", *verb, "--price", "0.4,1.6", "--json", "--quiet"]
    with open(f"{folder}/out.json", "w") as out, redirect_stdout(out):
        main()


def kills(form: str, number: int) -> Iterator[tuple[str, str, float]]:
    """Where the lives of a run end."""
    for step, when in product(STEPS[form], ("before", "done")):
        if step.startswith("POST") and step.endswith("batches") and when == "done" and number % 2:
            when = "after"  # between the answer and the record of it
        yield step, when, AFTER[number % len(AFTER)] if when == "after" else 0.0
    yield from ((STEPS[form][-1], "after", seconds) for seconds in AFTER)


def run(form: str, number: int, most: int) -> dict[str, Any]:
    """One run through all its lives: the `number`-th."""
    context = multiprocessing.get_context("forkserver")
    with tempfile.TemporaryDirectory() as folder, Killing() as endpoint:
        for split in ("train", "val", "test"):
            rows = [{"note": f"{split}: {n} pens and {n + 1} cups", "total": 2 * n + 1} for n in range(ROWS)]
            Path(folder, f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        data = "{train: train.jsonl, val: val.jsonl, test: test.jsonl}"
        head = "flowbot: 1\ngoal: Add up.\ninputs: {note: str}\noutputs: {total: int}\nmetric: numeric"
        Path(folder, "task.yaml").write_text(f"{head}\ndata: {data}\n")
        done: list[str] = []
        todo = kills(form, number)
        for lives in range(1, 100):  # noqa: B007
            planned = next(todo, None) if len(done) < most else None
            endpoint.armed = planned or ("", "", 0.0)
            process = context.Process(target=life, args=(folder, endpoint.url, form))
            endpoint.victim = process
            process.start()
            process.join()
            if process.exitcode == -signal.SIGKILL and planned is not None:
                done.append(f"{planned[1]} {planned[0]} +{planned[2]}")
            if process.exitcode not in (-signal.SIGKILL, PAUSED) and (planned is None or process.exitcode):
                break
        found = json.loads(Path(folder, "out.json").read_text() or "{}") if process.exitcode == 0 else {}
        usd, again = endpoint.batched * FULL / 2 + len(endpoint.ordinary) * FULL, endpoint.ordinary.values()
        return {
            "form": form, "lives": lives, "exit": process.exitcode, "kills": len(done), "at": done,
            "submitted": len(endpoint.submitted), "submitted_twice": sum(n > 1 for n in endpoint.submitted.values()),
            "ordinary": len(endpoint.ordinary), "ordinary_twice": sum(n > 1 for n in again),
            "n": found.get("n"), "mean": found.get("mean"), "usd": found.get("usd"), "usd_of_the_answers": round(usd, 9),
            "usd_of_calls_made_again": round((sum(again) - len(again)) * FULL, 9),
        }  # fmt: skip


def main() -> None:
    """Runs until there were so many kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=list(STEPS), default="openai")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    total, wrong = 0, 0
    for number in count():
        if total >= asked.kills:
            break
        began = time.monotonic()
        found = run(asked.form, number, asked.kills - total)
        total += found["kills"]
        exact = found["usd"] is not None and abs(found["usd"] - found["usd_of_the_answers"]) < 1e-9
        wrong += not exact or found["submitted_twice"] > 0 or (found["n"], found["mean"]) != (ROWS, 1.0)
        line = json.dumps({**found, "exact": exact, "seconds": round(time.monotonic() - began, 1)})
        print(line, flush=True)
        if asked.out is not None:
            with asked.out.open("a") as file:
                file.write(line + "\n")
        if not found["kills"]:
            break
    print(f"{total} kills ({asked.form}), {wrong} run(s) wrong")
    sys.exit(bool(wrong) or total < asked.kills)


if __name__ == "__main__":
    main()
