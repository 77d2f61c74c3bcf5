"""The smallest peer: one chain-of-thought call a test row, no search. Standard library alone.

methods:
  plain: {command: [python, benchmarks/peers/plain_cot.py]}
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from job import Job, ask


def main() -> None:
    """Answer every test row and write the predictions."""
    job = Job(sys.argv[1])
    prompt = f"{job.task['goal']}\n\n{form(job.task)}"

    def answer(row: dict[str, Any]) -> dict[str, Any] | None:
        given = json.dumps(row["inputs"], ensure_ascii=False)
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": given}]
        return last_object(ask(job.test_url, job.models["task"], messages, temperature=0, max_tokens=1000))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, job.test))
    predictions = {row["id"]: each for row, each in zip(job.test, answers, strict=True)}
    job.write(predictions, {"summary": "one prompt, not searched", "prompt": prompt})


def form(task: dict[str, Any]) -> str:
    """What the model is told of the form of its answer."""
    wanted = "\n".join(f"- {each['name']} ({each['type']}) {each['about']}".rstrip() for each in task["outputs"])
    return f"Think step by step. Then give, as the last thing you write, a JSON object with these members:\n{wanted}"


def last_object(text: str) -> dict[str, Any] | None:
    """The last JSON object in a text; None where there is none."""
    decoder, found, place = json.JSONDecoder(), None, 0
    while (start := text.find("{", place)) >= 0:
        try:
            found, place = decoder.raw_decode(text, start)
        except ValueError:
            place = start + 1
    return found


if __name__ == "__main__":
    main()
