"""Where validation has few rows, or few calls are planned, its rows are rows of the search; what may be shown stays training."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import flowbot as fb
from flowbot.optimizer.confirm import BLOCK, Confirm
from flowbot.optimizer.method import Sizes
from flowbot.optimizer.pool_method import PoolLoop, PoolMethod
from flowbot.run.events import Measured, Proposal, Verdict
from flowbot.run.journal import read_events
from flowbot.run.taken import caveats
from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task


def searched(task: Task, folder: Path, effort: int) -> tuple[fb.RunResult, list[object]]:
    found = fb.optimize(
        task, lm="fake/counter", effort=effort, run_dir=folder / "run", cache_dir=folder / "cache", method="flowbot"
    )
    return found, list(read_events(folder / "run" / "journal.jsonl"))


def test_few_validation_rows_are_judged_on_and_shown_to_nobody(orders: Task, tmp_path: Path) -> None:
    few = replace(
        orders, splits={**orders.splits, "train": orders.splits["train"][:12], "val": orders.splits["val"][:20]}
    )
    result, events = searched(few, tmp_path, 500)
    train = {each.id for each in few.splits["train"]}
    # What two changes were picked by is no evidence for both together, and is shown to nobody.
    shown = {row for each in events if isinstance(each, Proposal) and each.arm.kind != "combine" for row in each.shown}
    assert shown
    assert shown <= train
    told = [json.loads(line) for line in (tmp_path / "run" / "examples.jsonl").read_text().splitlines()]
    assert any(each["split"] == "val" and each["start"] for each in told), "they are rows of the search"
    assert not any(isinstance(each, Measured) and each.split == "val" for each in events)
    assert result.final_scores.val is None
    assert result.calls.get("val", 0) == 0
    assert result.validation_joined
    assert fb.RunResult.load(result.run_dir).validation_joined
    assert "only the test is of unseen examples" in " ".join(caveats(result))
    assert "only the test is of unseen examples" in fb.write_report(result.run_dir).read_text(encoding="utf-8")
    stored = json.loads((result.run_dir / "result.json").read_text(encoding="utf-8"))
    assert stored.pop("validation_joined") is True
    (result.run_dir / "result.json").write_text(json.dumps(stored), encoding="utf-8")
    assert not fb.RunResult.load(result.run_dir).validation_joined  # as of an older version


def test_many_validation_rows_are_kept_from_the_search(orders: Task, tmp_path: Path) -> None:
    result, events = searched(orders, tmp_path, 500)
    assert not result.validation_joined
    assert caveats(result) == []
    assert max(each.n for each in events if isinstance(each, Verdict) and each.rule != "validation") <= len(
        orders.splits["train"]
    )


def test_rows_that_a_ballot_showed_are_no_evidence_for_what_it_named(orders: Task, tmp_path: Path) -> None:
    _, events = searched(orders, tmp_path, 500)
    voted = [each for each in events if isinstance(each, Proposal) and each.votes is not None and each.votes.won]
    assert voted
    assert all(each.shown for each in voted)


def test_what_is_set_aside_for_validation_pays_for_a_block_of_it_or_its_rows_join_the_search() -> None:
    for effort, calls in product((60, 100, 150, 200, 500, 2000), (1, 2, 3, 4, 8, 13)):
        loop = PoolMethod("any").loop(Sizes(train=40, val=40, test=40, start_calls=calls, effort=effort))
        assert isinstance(loop, PoolLoop)
        assert loop.joined or Confirm[WorkflowProgram]().room(effort, 40, calls) >= 2 * BLOCK * calls
        assert loop.joined == (effort < 100 * calls)
