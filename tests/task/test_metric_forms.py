"""Judges and parts: how they are written, what of them is wrong in one line, and how parts make one score."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Score, UserError
from flowbot.task import Criterion, Example, Judge, Metric, MetricError, Part, Parts, Task
from flowbot.task.metrics import weighed
from flowbot.task.read_metric import plainly, read_metric

FORM: dict[str, Any] = {
    "flowbot": 1,
    "goal": "Answer the customer.",
    "inputs": {"mail": "str"},
    "outputs": {"urgency": "Literal['low', 'high']", "reply": "str"},
    "data": {"train": "train.jsonl"},
}
ROWS = [{"mail": "It burns!", "urgency": "high"}, {"mail": "A question.", "urgency": "low"}]
OWN = "def length(example, outputs):\n    return len(outputs['reply']) < 5, 'too long'\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Task]:
    def made(metric: Any, rows: list[dict[str, Any]] = ROWS, **more: Any) -> Task:
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "metrics.py").write_text(OWN)
        (tmp_path / "task.json").write_text(json.dumps({**FORM, "metric": metric, **more}))
        return Task.load(tmp_path / "task.json")

    return made


def test_a_judge_in_a_file_is_the_same_as_in_python(load: Callable[..., Task]) -> None:
    rubric = ["Names the order.", {"name": "tone", "text": "Polite.", "weight": 2}]
    data = {"rubric": rubric, "model": "fake/judge", "repeats": 3, "scale": ["bad", "fair", "good"]}
    judge = load({"judge": data}).metric.judge
    assert judge == Judge(rubric, model="fake/judge", repeats=3, scale={"good": 1, "bad": 0, "fair": 0.5})
    assert judge is not None
    assert judge.criteria == (Criterion("Names the order.", "Names the order."), Criterion("tone", "Polite.", 2.0))
    assert judge.verdicts == ("bad", "fair", "good")


def test_a_rubric_may_be_one_text_or_criteria_by_name(load: Callable[..., Task]) -> None:
    assert load({"judge": "Is it kind?"}).metric.judge == Judge("Is it kind?")
    named = load({"judge": {"rubric": {"tone": "Polite.", "facts": {"text": "True.", "weight": 3}}}}).metric.judge
    assert named == Judge([Criterion("tone", "Polite."), Criterion("facts", "True.", 3.0)])


def test_numbers_can_name_the_verdicts() -> None:
    assert Judge("Good?", scale=[1, 2, 3]).scale == (("1", 0.0), ("2", 0.5), ("3", 1.0))


def test_each_part_of_a_judges_question_is_in_its_identity() -> None:
    judges = [
        Judge("Kind?"),
        Judge("Good?"),
        Judge("Kind?", model="fake/judge"),
        Judge("Kind?", repeats=2),
        Judge("Kind?", scale=["no", "yes"]),
        Judge([{"name": "tone", "text": "Kind?"}]),
    ]
    assert len({Metric.of(judge).identity for judge in judges}) == len(judges)
    assert Metric.of(Judge("Kind?")).identity == Metric.of(Judge("Kind?")).identity


def test_parts_in_a_file_mix_comparing_judging_and_the_users_own(load: Callable[..., Task]) -> None:
    task = load(
        {
            "parts": {
                "urgency": {"metric": "exact", "on": "urgency", "weight": 2},
                "short": {"call": "metrics.py:length", "weight": 0.5},
                "reply": {"judge": {"rubric": "Kind?"}, "on": ["reply"]},
            }
        }
    )
    parts = task.metric.parts
    assert [(name, part.weight, part.on) for name, part in parts.items()] == [
        ("urgency", 2.0, ("urgency",)),
        ("short", 0.5, ()),
        ("reply", 1.0, ("reply",)),
    ]
    assert task.metric.needs_model
    assert task.metric.judges == {"reply": Judge("Kind?")}
    plain = task.metric.without_model()
    assert plain is not None
    assert plain(task.train[0], {"urgency": "low", "reply": "Oh"}) == Score(
        0.2, 'urgency: found "low", expected "high"; short: too long', {"urgency": 0.0, "short": 1.0}
    )


def test_a_metric_that_asks_a_model_cannot_be_called() -> None:
    metric = Metric.of(Judge("Kind?"))
    assert metric.without_model() is None
    with pytest.raises(MetricError, match="a model gives this score"):
        metric(Example("e", {}, {}), {"reply": "x"})
    assert metric(Example("e", {}, {}), None).value == 0.0


def test_parts_in_python_take_every_kind_of_metric() -> None:
    parts = Parts(
        {
            "urgency": Part("exact", on="urgency", weight=2),
            "long": lambda example, outputs: len(outputs["reply"]) > 3,
            "same": "normalised",
            "kind": Judge("Kind?"),
            "data": Part("contains", on="reply", weight=3),
        }
    )
    assert [part.weight for part in parts.parts.values()] == [2, 1, 1, 1, 3]
    metric = Metric.of(parts)
    assert metric.identity == read_metric({"parts": dict(parts.parts)}, "metric", plainly).identity
    assert not metric.built_in


def test_a_part_compares_the_outputs_that_it_is_on_and_no_others() -> None:
    example = Example("e", {}, {"urgency": "high", "reply": "Run!"})
    given = {"urgency": "high", "reply": "Wait."}
    parts = Parts({"u": Part("exact", on="urgency"), "r": Part("exact", on=["reply"]), "all": "exact"})
    assert dict(parts.metric()(example, given).parts) == {
        "u": 1.0, "r": 0.0, "all": 0.5, "all.urgency": 1.0, "all.reply": 0.0,
    }  # fmt: skip


def test_weights_and_fields_are_in_the_identity_of_parts() -> None:
    several = [
        Parts({"a": Part("exact")}),
        Parts({"b": Part("exact")}),
        Parts({"a": Part("numeric")}),
        Parts({"a": Part("exact", weight=2)}),
        Parts({"a": Part("exact", on="x")}),
        Parts({"a": Part("exact"), "b": Part("exact")}),
    ]
    assert len({parts.metric().identity for parts in several}) == len(several)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 1000)), min_size=1, max_size=6))
def test_the_weighted_mean_lies_between_its_parts_and_all_right_is_right(pairs: list[tuple[float, float]]) -> None:
    parts = {str(n): Part("exact", weight=weight) for n, (_, weight) in enumerate(pairs)}
    scores = {str(n): Score(value) for n, (value, _) in enumerate(pairs)}
    value = weighed(parts, scores).value
    values = [value for value, _ in pairs]
    assert min(values) - 1e-6 <= value <= max(values) + 1e-6  # by that much a score is taken to be 0 or 1
    assert weighed(parts, {name: Score(1.0) for name in parts}).value == 1.0
    assert weighed(parts, {name: Score(0.0) for name in parts}).value == 0.0


def test_parts_of_parts_and_spreads_are_joined() -> None:
    parts = {"a": Part("exact", weight=3), "b": Part("exact")}
    scores = {"a": Score(0.5, "so", {"x": 1.0}, 0.4), "b": Score(1.0)}
    assert weighed(parts, scores) == Score(0.625, "a: so", {"a": 0.5, "b": 1.0, "a.x": 1.0}, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("metric", "where", "found"),
    [
        (None, "metric", "nothing"),
        ({}, "metric", "an empty mapping"),
        ({"rubric": "Kind?"}, "metric", "the keys rubric"),
        ({"judge": "Kind?", "call": "metrics.py:length"}, "metric", "call and judge"),
        ({"judge": "Kind?", "pure": True}, "metric", "'pure'"),
        ({"judge": None}, "metric.judge", "nothing"),
        ({"judge": " "}, "metric.judge.rubric", "nothing"),
        ({"judge": {"model": "fake/judge"}}, "metric.judge", "no 'rubric'"),
        ({"judge": {"rubric": "Kind?", "tries": 2}}, "metric.judge", "'tries'"),
        ({"judge": {"rubric": 5}}, "metric.judge.rubric", "an int"),
        ({"judge": {"rubric": []}}, "metric.judge.rubric", "0 criteria"),
        ({"judge": {"rubric": ["a", "a"]}}, "metric.judge.rubric", "'a' twice"),
        ({"judge": {"rubric": ["a", 5]}}, "metric.judge.rubric[1]", "an int"),
        ({"judge": {"rubric": [{"weight": 2}]}}, "metric.judge.rubric[0]", "neither name nor text"),
        ({"judge": {"rubric": [{"text": "a", "weight": 0}]}}, "metric.judge.rubric[0].weight", "0"),
        ({"judge": {"rubric": {"tone": 3}}}, "metric.judge.rubric.tone", "an int"),
        ({"judge": {"rubric": "a", "model": "gpt"}}, "metric.judge.model", "'gpt'"),
        ({"judge": {"rubric": "a", "repeats": 0}}, "metric.judge.repeats", "0"),
        ({"judge": {"rubric": "a", "repeats": True}}, "metric.judge.repeats", "True"),
        ({"judge": {"rubric": "a", "scale": "1 to 5"}}, "metric.judge.scale", "a str"),
        ({"judge": {"rubric": "a", "scale": ["good"]}}, "metric.judge.scale", "good"),
        ({"judge": {"rubric": "a", "scale": {"bad": 0, "good": 0.9}}}, "metric.judge.scale", "0.9"),
        ({"judge": {"rubric": "a", "scale": {"bad": 0, "good": 5}}}, "metric.judge.scale.good", "5"),
        ({"judge": {"rubric": "a", "scale": ["x", "x"]}}, "metric.judge.scale", "'x' twice"),
        ({"parts": None}, "metric.parts", "nothing"),
        ({"parts": {}}, "metric.parts", "nothing"),
        ({"parts": {"a": "f2"}}, "metric.parts.a", "'f2'"),
        ({"parts": {"a": {"metric": "f2"}}}, "metric.parts.a.metric", "'f2'"),
        ({"parts": {"a": {"metric": "exact", "judge": "Kind?"}}}, "metric.parts.a", "'judge'"),
        ({"parts": {"a": {"on": "urgency"}}}, "metric.parts.a", "an empty mapping"),
        ({"parts": {"a": {"metric": "exact", "on": "mail"}}}, "metric.parts.a.on", "'mail'"),
        ({"parts": {"a": {"metric": "exact", "on": 3}}}, "metric.parts.a.on", "3"),
        ({"parts": {"a": {"metric": "exact", "on": [3]}}}, "metric.parts.a.on", "[3]"),
        ({"parts": {"a": {"metric": "exact", "weight": "2"}}}, "metric.parts.a.weight", "'2'"),
        ({"parts": {"a": {"metric": "exact", "weight": -1}}}, "metric.parts.a.weight", "-1"),
        ({"parts": {"a": {"metric": "exact", "weight": 10**30}}}, "metric.parts.a.weight", "1000"),
        ({"parts": {"a": {"judge": {"rubric": ""}}}}, "metric.parts.a.judge.rubric", "nothing"),
        ({"parts": {"a": {"call": "nowhere.py:f"}}}, "metric.parts.a", "no file"),
        ({"parts": {"a": {"parts": {"b": "exact"}}}}, "metric.parts.a", "parts inside of parts"),
    ],
)
def test_a_malformed_metric_is_told_with_file_and_place(
    load: Callable[..., Task], metric: Any, where: str, found: str
) -> None:
    with pytest.raises(UserError) as caught:
        load(metric)
    assert caught.value.where.endswith(f"task.json: {where}")
    assert found in caught.value.found


def test_a_malformed_metric_in_python_is_told_with_its_place() -> None:
    with pytest.raises(UserError, match=r"^metric\.parts\.a: found 'f2'"):
        Parts({"a": "f2"})
    with pytest.raises(UserError, match=r"^metric\.parts\.a: found a dict; expected a built-in's name.*fb\.Judge"):
        Parts({"a": {"judge": "Kind?"}})  # type: ignore[dict-item]
    with pytest.raises(UserError, match=r"^on: found 5; expected the name of an output"):
        Part("exact", on=5)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"^judge\.repeats: found 99"):
        Judge("Kind?", repeats=99)

    async def later(example: Any, outputs: Any) -> float:
        return 1.0

    with pytest.raises(UserError, match=r"^metric: found the async function"):
        Metric.of(later)  # type: ignore[arg-type]


def test_without_labels_a_judge_or_a_function_scores_and_a_comparison_says_what_it_needs(
    load: Callable[..., Task],
) -> None:
    bare = [{"mail": "It burns!"}, {"mail": "A question."}]
    for metric in ({"judge": "Kind?"}, "metrics.py:length", {"parts": {"reply": {"judge": "Kind?", "on": "reply"}}}):
        assert load(metric, bare).train[0].expected == {}
    with pytest.raises(UserError) as caught:
        load("exact", bare)
    assert str(caught.value).endswith(
        "/train.jsonl:1: found no 'urgency' or 'reply'; expected a value to compare with, for the metric exact; "
        "without labels, a judge (metric: {judge: {rubric: TEXT}}) or a function of your own can score"
    )


def test_some_outputs_may_be_labelled_where_only_those_are_compared(load: Callable[..., Task]) -> None:
    parts = {"urgency": {"metric": "exact", "on": "urgency"}, "reply": {"judge": "Kind?", "on": "reply"}}
    some = [{**ROWS[0], "reply": "Sorry!"}, ROWS[1]]
    assert [set(each.expected) for each in load({"parts": parts}, some).train] == [{"urgency", "reply"}, {"urgency"}]
    with pytest.raises(UserError, match=r"train\.jsonl:2: found no 'urgency'; expected .* exact in part urgency"):
        load({"parts": parts}, [ROWS[0], {"mail": "x", "reply": "y"}])
    with pytest.raises(UserError, match=r"train\.jsonl:2: found no 'reply'; expected a value, as in .*train\.jsonl:1"):
        load("metrics.py:length", some)
