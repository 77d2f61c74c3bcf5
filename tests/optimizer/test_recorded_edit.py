"""A real model's edit that the checker refuses, mended by the model from the checker's words: a recorded real run.

The file beside this one holds every request and reply of Qwen2.5-Coder 1.5B (meta model) and 0.5B (steps). To record anew, remove it and
run `FLOWBOT_RECORD=1 pytest tests/optimizer/test_recorded_edit.py`; small models seldom mend an edit, so this workflow and seed were chosen
among those on which one does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flowbot.lm.session import Session
from flowbot.optimizer.paper.edits import Edits
from flowbot.optimizer.seams import Focus, Proposal
from flowbot.optimizer.search import Search
from flowbot.run.journal import Journal
from flowbot.runtime.engine import Engine
from flowbot.runtime.open_model import open_lm
from flowbot.runtime.program import WorkflowProgram
from flowbot.store import Store
from flowbot.task import Task
from flowbot.workflow.check import check
from flowbot.workflow.workflow import Workflow

RECORDED = Path(__file__).with_name("recorded_edit")
MODELS = {"meta": "local/qwen2.5-coder-1.5b", "steps": "local/qwen2.5-coder-0.5b"}
SEED = 0
FLOW: dict[str, Any] = {
    "flowbot": 1,
    "inputs": {"note": "str"},
    "outputs": {"total": "vote.total"},
    "nodes": {
        "a": {"kind": "llm", "in": {"note": "note"}, "out": {"total": "int"}},
        "b": {"kind": "llm", "in": {"note": "note"}, "out": {"total": "int"}},
        "vote": {"kind": "merge", "how": "vote", "in": ["a.total", "b.total"], "out": {"total": "int"}},
    },
    "parameters": {"a": {"instruction": "Count the items."}, "b": {"instruction": "Add up the items."}},
}


def model_string(role: str) -> str:
    """The recording; while recording, the real model behind it."""
    path = f"recorded/{RECORDED / role}.jsonl"
    return f"{path}?record={MODELS[role]}" if os.environ.get("FLOWBOT_RECORD") else path


async def mended(task: Task, folder: Path, flow: Workflow, seed: int) -> Proposal[WorkflowProgram]:
    """What one outer step of the method `paper` proposes."""
    session = Session(store=Store.memory())
    steps, meta = open_lm(model_string("steps"), session), open_lm(model_string("meta"), session)
    engine, journal = Engine(steps, session), Journal.open(folder / "journal.jsonl")
    search = Search(
        task, WorkflowProgram(flow), engine, meta, session, journal, seed=seed, planned=200, model=MODELS["steps"]
    )
    try:
        start, edits = search.population.start, Edits()
        (option,) = edits.options(start, search)
        focus = Focus(option, 0, option.prior, option.prior, rows=tuple(search.rows[:2]))
        (proposal,) = await edits.propose(start, focus, 1, search)
        return proposal
    finally:
        journal.close()
        await engine.close()
        await steps.close()
        await meta.close()
        await session.store.close()


async def test_a_real_model_mends_its_edit_from_the_checkers_words(orders: Task, tmp_path: Path) -> None:
    before = Workflow.from_data(FLOW)
    proposal = await mended(orders, tmp_path, before, SEED)
    assert proposal.faults, "its first edits were refused"
    assert proposal.program is not None
    after = proposal.program.workflow
    assert check(after, task_inputs=orders.inputs, task_outputs=orders.outputs) == []
    assert after.sketch != before.sketch
