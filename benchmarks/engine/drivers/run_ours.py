"""FlowBot: a workflow of three `llm` nodes, evaluated with store, ledger and limits as `flowbot eval` does, and a journal line at the end as a run has.

A run that pauses is resumed, as the same command would; `pauses` says why it did. With `cache` the store that an earlier
process left in the folder is used.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from workload import (
    EXPECTED,
    INSTRUCTIONS,
    MAX_TOKENS,
    Setting,
    Tally,
    measured,
    numbers,
    question,
    setting,
    warm_up_numbers,
)

from flowbot.fields import Paused, Usage
from flowbot.lm.ledger import Ledger
from flowbot.lm.pace import Pace
from flowbot.lm.session import Session
from flowbot.run.events import Noted
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.runtime.evaluation import Row, evaluate_each
from flowbot.runtime.open_model import open_lm
from flowbot.store import Store
from flowbot.task import Task
from flowbot.workflow.workflow import Workflow

MODEL = "openai/mock?thinking=0"
MOST_PAUSES = 5


def workflow() -> Workflow:
    """plan(question) -> draft(question, plan) -> answer(question, draft)."""
    inputs = {
        "plan": {"question": "question"},
        "draft": {"question": "question", "plan": "plan.plan"},
        "answer": {"question": "question", "draft": "draft.draft"},
    }
    data: dict[str, Any] = {
        "flowbot": 1,
        "inputs": {"question": "str"},
        "outputs": {"answer": "answer.answer"},
        "nodes": {step: {"kind": "llm", "in": inputs[step], "out": {step: "str"}} for step in INSTRUCTIONS},
        "parameters": {step: {"instruction": said, "max_tokens": MAX_TOKENS} for step, said in INSTRUCTIONS.items()},
    }
    return Workflow.from_data(data)


def task_of(asked: range) -> Task:
    """The examples as a task's validation rows."""
    rows = [{"id": str(number), "question": question(number), "answer": EXPECTED} for number in asked]
    return Task(
        goal="Answer the question about the shop's stock.",
        inputs={"question": "str"},
        outputs={"answer": "str"},
        metric="exact",
        val=rows,
    )


def pace_of(chosen: Setting) -> Pace:
    """The limit; the variant "hedge" sends stragglers twice."""
    return Pace(concurrency=chosen.concurrency, hedge=chosen.variant == "hedge")


async def evaluated(task: Task, pace: Pace, folder: Path, ledger: Ledger) -> Tally:
    """What came of one evaluation, everything opened and closed and no trace kept, as `flowbot eval` does it.

    Raises:
        Paused: if the endpoint's faults persist.
    """
    tally = Tally()
    taken = bytearray(len(task.val))
    total = 0.0

    def take(number: int, row: Row | None) -> None:
        nonlocal total
        if row is not None and not taken[number]:
            taken[number] = 1
            tally.score(int(row.example.id), (row.trace.outputs or {}).get("answer"))
            total += row.score.value

    store = Store.open(folder / "store.sqlite3")
    journal = Journal.open(folder / "run" / "journal.jsonl")
    try:
        session = Session(store, ledger=ledger, pace=pace)
        lm = open_lm(MODEL, session)
        engine = Engine(lm, session)
        try:
            await evaluate_each(engine, workflow(), task, task.val, purpose="val", take=take)
            told = f"{total / tally.finished:.3f} on {tally.finished} rows"
            journal.record(Noted(about="stopped", text=told, spent=tally.finished))
        finally:
            await engine.close()
            await lm.close()
    finally:
        journal.close()
        await store.close()
    return tally


async def evaluated_at_last(task: Task, chosen: Setting, tally: Tally) -> None:
    """The same again after each pause, a few times; the tally gets what came of the last, the pauses and what the ledgers say."""
    pauses: list[str] = []
    ledgers: list[Ledger] = []
    while True:
        ledgers.append(Ledger())
        try:
            last = await evaluated(task, pace_of(chosen), Path(chosen.folder), ledgers[-1])
        except Paused as pause:
            pauses.append(str(pause))
            if len(pauses) > MOST_PAUSES:
                raise
            continue
        spent = sum((ledger.spent for ledger in ledgers), Usage())
        tally.finished, tally.wrong = last.finished, last.wrong
        tally.extra |= {
            "pauses": pauses,
            "retries": sum(ledger.retries for ledger in ledgers),
            "replayed": ledgers[-1].replayed,
            "spent": {"calls": spent.calls, "input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens},
        }
        return


async def main(chosen: Setting) -> None:
    """Warm up on a store of its own, then measure."""
    await evaluated(task_of(warm_up_numbers()), pace_of(chosen), Path(chosen.folder, "warm-up"), Ledger())
    task = task_of(numbers(chosen))
    with measured(chosen) as tally:
        await evaluated_at_last(task, chosen, tally)


if __name__ == "__main__":
    asyncio.run(main(setting()))
