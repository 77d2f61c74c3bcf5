"""Which proposals came of which gradients, as far as a journal tells."""

from __future__ import annotations

import json
from pathlib import Path

from report_sample import gradient, journal, listed, start, write_sample

from flowbot.report.data import read_run
from flowbot.report.show_gradients import Heard, read_gradients

WIRED = "The sum leaves out what is not a number."


def heard(folder: Path, example: str) -> list[Heard]:
    """The gradients on an example, in a journal that names the workflow of each."""
    run = write_sample(folder / "run")
    events = journal()
    first = next(event["text"] for event in events if event["event"] == "gradient" and event["level"] == "call")
    events.insert(
        next(at for at, event in enumerate(events) if event.get("id") == "p3"),
        gradient(WIRED, "train-040", "compute", "call"),
    )
    for event in events:
        if event["event"] == "gradient":
            event["workflow"] = (start() if event["level"] == "workflow" else listed()).hash
        if event.get("id") == "p4" and event["event"] == "proposal":
            event["reason"] = first  # an update from a batch gives its first text
    (run / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return list(read_gradients(read_run(run), example))


def users(folder: Path, example: str) -> list[str]:
    (one,) = heard(folder, example)
    return [change.id for change in one.used_by]


def test_a_change_of_the_structure_came_of_the_gradients_that_it_quotes(tmp_path: Path) -> None:
    assert users(tmp_path, "train-007") == users(tmp_path, "train-031") == ["p1"]
    assert users(tmp_path, "train-012") == []


def test_an_update_of_a_step_came_of_the_gradients_on_that_step_alone(tmp_path: Path) -> None:
    assert "p4" in users(tmp_path, "train-018")
    assert users(tmp_path, "train-040") == []


def test_a_proposal_that_was_not_valid_came_of_the_gradient_that_it_gives_as_its_reason(tmp_path: Path) -> None:
    assert users(tmp_path, "train-003") == ["p3", "p4"]
    assert users(tmp_path, "train-022") == ["p4"]
