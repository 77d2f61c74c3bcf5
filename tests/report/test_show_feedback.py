"""What was said of an example, and which proposals were made from it."""

from __future__ import annotations

from pathlib import Path

from report_sample import feedback, journal, listed, write_journal, write_sample

from flowbot.run.changes import FeedbackText, by_text
from flowbot.run.view import RunView, read_run


def feedback_on(folder: Path, example: str) -> tuple[RunView, list[FeedbackText]]:
    """The feedback on an example, one text of it given twice in the same words."""
    folder = write_sample(folder / "run")
    again = feedback(20, "“a pair of” is 2, the reply has 1.", "train-018", "answer", listed())
    silent = feedback(21, "", "train-018", "answer", listed())
    write_journal(folder, [*journal(), again, silent])
    run = read_run(folder)
    return run, list(by_text(each for each in run.feedback if each.example == example))


def test_each_text_names_the_proposals_that_were_made_from_it(tmp_path: Path) -> None:
    used: dict[str, list[str]] = {}
    for name in ("train-007", "train-012", "train-003"):
        run, texts = feedback_on(tmp_path, name)
        used[name] = [change.id for change in run.made_from(texts[0])]
    assert used == {"train-007": ["p1"], "train-012": [], "train-003": ["p3", "p4"]}


def test_the_same_words_on_the_same_step_are_one_text_and_silence_is_none(tmp_path: Path) -> None:
    run, [one] = feedback_on(tmp_path, "train-018")
    assert (len(one.each), one.place, one.about) == (2, "answer", listed().hash)
    assert [change.id for change in run.made_from(one)] == ["p4"]
