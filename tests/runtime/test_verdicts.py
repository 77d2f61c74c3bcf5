"""A judge's words, where no schema holds them: read as they are meant, and never guessed at."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_help import engine_on, single

from flowbot.fields import ValueMismatch
from flowbot.lm.client import Request
from flowbot.runtime.evaluation import evaluate
from flowbot.runtime.judge import reply_fields
from flowbot.runtime.verdicts import read_verdicts
from flowbot.task import Judge, Task

KIND = Judge("Is it kind?")
STARS = Judge("Is it kind?", scale=[1, 2, 3, 4, 5])
QUALITY = Judge("Is it kind?", scale=["bad", "good"])
SEVERAL = Judge({"tone": "Polite.", "facts": "True."})


def read(judge: Judge, text: str) -> Any:
    return read_verdicts(judge, text, reply_fields(judge))


@pytest.mark.parametrize(
    ("judge", "text", "verdict"),
    [
        (KIND, "YES.", "yes"),
        (KIND, "yes, it greets the customer", "yes"),
        (KIND, "**No** - it is curt.", "no"),
        (KIND, "Yes because it greets.", "yes"),
        (KIND, '"partly"', "partly"),
        (KIND, "1", "yes"),
        (KIND, "0", "no"),
        (KIND, "0.5", "partly"),
        (KIND, "true", "yes"),
        (KIND, "FAIL", "no"),
        (KIND, "Answer: no", "no"),
        (KIND, "Yes, no fault is found.", "yes"),
        (KIND, "The answer is incorrect.", "no"),
        (KIND, "It greets the customer.\n\nVerdict: **Partly**", "partly"),
        (KIND, '{"reason": "It greets.", "verdict": "YES."}', "yes"),
        (KIND, '{"verdict": true}', "yes"),
        (KIND, '{"verdict": 0, "explanation": "curt"}', "no"),
        (KIND, '{"Verdict": "no, it is curt"}', "no"),
        (KIND, "{'verdict': 'yes',}", "yes"),
        (STARS, "4", "4"),
        (STARS, "4/5", "4"),
        (STARS, "Score: 4.", "4"),
        (STARS, "1", "1"),
        (STARS, '{"rating": 4.0}', "4"),
        (QUALITY, "1", "good"),
        (QUALITY, "Bad.", "bad"),
    ],
)
def test_a_verdict_is_read_as_it_is_meant(judge: Judge, text: str, verdict: str) -> None:
    assert read(judge, text)["verdict"] == verdict


@pytest.mark.parametrize(
    ("judge", "text"),
    [
        (KIND, ""),
        (KIND, "I cannot say."),
        (KIND, "No doubt it is kind."),
        (KIND, "yes and no"),
        (KIND, "Verdict: yes. Or rather, verdict: no."),
        (KIND, "Correct: no"),
        (KIND, "Yes. No."),
        (KIND, "The answer is yes, which the source contradicts."),
        (STARS, "The answer is 5, and that is wrong."),
        (STARS, "1 - 5"),
        (KIND, "2"),
        (KIND, "yesterday, it was"),
        (KIND, '{"verdict": null}'),
        (STARS, "4.5"),
        (STARS, "4/10"),
        (STARS, "9"),
        (SEVERAL, "yes"),
        (SEVERAL, '{"tone": "yes"}'),
    ],
)
def test_what_names_no_verdict_or_several_is_not_guessed_at(judge: Judge, text: str) -> None:
    with pytest.raises(ValueMismatch):
        read(judge, text)


def test_reasons_are_kept_where_there_are_some() -> None:
    assert read(KIND, "YES.")["reason"] == ""
    assert read(KIND, "no, it is curt")["reason"] == "no, it is curt"
    assert read(KIND, '{"verdict": "no", "explanation": "curt"}')["reason"] == "curt"


def test_several_criteria_are_read_each_for_itself() -> None:
    found = read(SEVERAL, '{"tone": {"reason": "greets", "verdict": "Yes!"}, "facts": "no"}')
    assert found == {"tone": {"reason": "greets", "verdict": "yes"}, "facts": {"reason": "", "verdict": "no"}}


@given(st.text(max_size=60))
def test_any_text_is_a_verdict_of_the_scale_or_none(text: str) -> None:
    for each in (text, f"Verdict: {text}", json.dumps({"verdict": text})):
        with contextlib.suppress(ValueMismatch):
            assert read(KIND, each)["verdict"] in KIND.verdicts


@pytest.mark.parametrize(("said", "value"), [("YES.", 1.0), ("1", 1.0), ("yes, it is", 1.0), ("no: curt", 0.0)])
async def test_a_judge_that_knows_no_schema_scores_at_the_first_question(said: str, value: float) -> None:
    asked: list[Request] = []

    def reply(request: Request) -> str:
        asked.append(request)
        return said if request.schema is not None else "It comes on Monday."

    rows = [{"id": "e", "note": "When?"}]
    task = Task(goal="Answer.", inputs={"note": "str"}, outputs={"text": "str"}, metric=KIND, train=rows)
    async with engine_on(reply) as engine:
        evaluation = await evaluate(engine, single(), task, task.train, purpose="train")
    assert [row.score.value for row in evaluation.rows] == [value]
    assert evaluation.dropped == ()
    assert len(asked) == 2
