"""What was said of an example, and which proposals were made from it."""

from __future__ import annotations

from pathlib import Path

from report_sample import feedback, journal, listed, write_journal, write_sample

from flowbot.report.show import Heard, count_feedback, read_feedback
from flowbot.run.view import read_run


def heard(folder: Path, example: str) -> list[Heard]:
    """The feedback on an example, one text of it given twice in the same words."""
    run = write_sample(folder / "run")
    again = feedback(20, "“a pair of” is 2, the reply has 1.", "train-018", "answer", listed())
    silent = feedback(21, "", "train-018", "answer", listed())
    write_journal(run, [*journal(), again, silent])
    return list(read_feedback(read_run(run), example))


def test_each_text_names_the_proposals_that_were_made_from_it(tmp_path: Path) -> None:
    used = {
        name: [change.id for change in heard(tmp_path, name)[0].used_by]
        for name in ("train-007", "train-012", "train-003")
    }
    assert used == {"train-007": ["p1"], "train-012": [], "train-003": ["p3", "p4"]}


def test_the_same_words_on_the_same_step_are_one_text_and_silence_is_none(tmp_path: Path) -> None:
    [one] = heard(tmp_path, "train-018")
    assert (one.times, one.place, one.about, [change.id for change in one.used_by]) == (
        2,
        "answer",
        listed().hash,
        ["p4"],
    )
    assert count_feedback(read_run(tmp_path / "run"))["train-018"] == 1
