"""What a page reckons itself: the course of a search, and the time left."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_sample import write_sample

from flowbot.run.heartbeat import Heartbeat
from flowbot.run.view import read_run
from flowbot.view.now import left
from flowbot.view.search import MOST, compared, course


def test_each_change_stands_its_gain_above_what_it_changed(tmp_path: Path) -> None:
    run = read_run(write_sample(tmp_path / "run"))
    points = {each.change: each for each in course(run)}
    start = points.pop("")
    assert (start.calls, start.role) == (0, "start")
    scores = {run.start.hash: start.score.mean}
    for change in compared(run):
        verdict, point = change.verdict, points[change.id]
        assert verdict is not None
        assert point.calls == verdict.spent
        assert point.role == ("final" if change.kept else "tried")
        believed = min(1.0, max(0.0, scores.get(verdict.incumbent, verdict.theirs) + verdict.gain))
        assert point.score.mean == pytest.approx(believed)
        assert point.score.low <= believed <= point.score.high
        if change.kept:
            scores[str(change.proposal.program)] = believed
    assert len(points) == len(compared(run)) <= MOST


@pytest.mark.parametrize(
    ("share", "seconds", "said"),
    [
        (0.5, 600, "about 10 min left"),
        (0.9, 90, "about 10 s left"),
        (0.01, 600, ""),
        (0.5, 1, ""),
    ],
)
def test_the_time_left_goes_by_the_share_that_is_done(share: float, seconds: float, said: str) -> None:
    heard = Heartbeat(
        pid=1, host="here", began=1000.0, beat=1000.0 + seconds, ended=False, phase="search", text="", done=0, total=0, calls=1,
        planned=2, share=share, best=None, usd=0.0, ceilings={},
    )  # fmt: skip
    assert left(heard) == said
    assert left(heard.model_copy(update={"ended": True})) == left(None) == ""


def test_what_a_replay_did_in_no_time_makes_no_hope() -> None:
    heard = Heartbeat(
        pid=1, host="here", began=1000.0, beat=1070.0, ended=False, phase="search", text="", done=0, total=0, calls=1, planned=2,
        share=0.5, best=None, usd=0.0, since=1010.0, stored=0.4, ceilings={},
    )  # fmt: skip
    assert left(heard) == "about 5 min left"
    assert left(heard.model_copy(update={"stored": 0.5, "since": 1070.0})) == ""
