"""One of a thing is told in the singular, whoever tells it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_help import FLOW, flowbot, write_flow, write_task
from report_sample import (
    feedback,
    listed,
    planned,
    proposal,
    recorded,
    result,
    score,
    started,
    three_rows,
    verdict,
    write_journal,
    write_recorded,
)

from flowbot.fields.words import in_points
from flowbot.report.report import write_report
from flowbot.run.events import Noted, Votes
from flowbot.run.result import ClosingTest, Judging, Scores, Used
from flowbot.run.sessions import Spent
from flowbot.run.taken import evaluation, made
from flowbot.stats import Estimate

MANY = re.compile(
    r"(?<![\d.,/-])1 (?:[a-z]+ )?(?:\w+s|were|are)\b(?<! is)(?<!was)(?<!has)(?<!stands)(?<!this)(?<!pass)"
)
"""`1 calls`, `1 model calls`, `1 were`."""


def test_a_difference_of_one_point_is_one_point() -> None:
    assert [in_points(each) for each in (0.01, -0.01, 0, 0.005, 0.02)] == [
        "+1 point",
        "−1 point",
        "0 points",
        "+0.5 points",
        "+2 points",
    ]
    assert in_points(0.01, sign=False) == "1 point"


def test_what_one_call_and_one_token_took() -> None:
    one = Spent(calls=1, tokens=1, usd=0.5)
    told = [made(one, 2, 1.0), made(one, 0, 1.0), evaluation(1, 1, 1, 0.5, one), evaluation(2, 2, 2, 0.5, one)]
    assert not MANY.findall(" ".join(told)), told


def test_a_report_on_one_of_everything(tmp_path: Path) -> None:
    run = write_recorded(tmp_path / "run", [*three_rows()[:1], recorded(0)[0]])
    one = Used(calls=1, requests=1, tokens=1, usd=0.5, seconds=1.0)
    made = (
        proposal(1, listed(), listed(), "structure", "meta", "t", votes=Votes(won=1, of=1), because=("g1",)),
        proposal(2, listed(), planned(), "structure", "meta", "u"),
        proposal(3, listed(), None, "structure", "meta", "v"),
    )
    write_journal(
        run,
        [
            started(),
            feedback(1, "wrong", "train-007"),
            *made,
            verdict(2, "adopt", 0.51, 0.5, 1, 0.9),
            Noted(about="stopped", text="no time", spent=1),
        ],
    )
    result(
        run,
        by_purpose={"val": one},
        spent=Spent(calls=1, tokens=1, usd=0.5),
        now=Spent(calls=1, tokens=1, usd=0.5),
        difference=Scores(Estimate(0.01, -0.01, 0.02, 1), Estimate(0.01, -0.01, 0.02, 1)),
        start_scores=Scores(score(0.5, 1), score(0.5, 1)),
        final_scores=Scores(score(0.51, 1), score(0.51, 1)),
        judge=Judging(model="a/b", calls=1, tokens=1, usd=None, spread=0.1),
        dropped=("test-1",),
        tested=ClosingTest(run=1, of=2),
    ).save()
    page = re.sub(r"<[^>]*>", "", write_report(run).read_text(encoding="utf-8").partition("<body>")[2])
    assert not MANY.findall(page)


@pytest.mark.parametrize("limit", [[], ["--limit", "1"]])
def test_an_evaluation_of_one_example(tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: list[str]) -> None:
    task, flow = write_task(tmp_path, sizes=(2, 1, 1)), write_flow(tmp_path, FLOW)
    for verb in (["eval", str(flow), str(task), *limit], ["run", str(flow), "note=1 pen"]):
        said = flowbot(capsys, *verb, "--model", "fake/counter", "--dry-run")
        assert said.status == 0, said.err
        assert "1 model call at most" in said.out or "at most 1 model call," in said.out
        assert not MANY.findall(said.out.replace("1 pens", "")), said.out
