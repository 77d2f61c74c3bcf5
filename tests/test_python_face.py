"""The Python face: names, hints, errors that say what to do instead, tasks from what people have in their hands."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowbot as fb
from flowbot.fields.near import one_of
from flowbot.workflow.starts import single_call

GOAL = "Say which department should answer."
ROWS = [(f"Message {n}", ("billing", "delivery")[n % 2]) for n in range(20)]


def task(**given: Any) -> fb.Task:
    return fb.Task(
        **{
            "goal": GOAL,
            "inputs": {"message": str},
            "outputs": {"department": Literal["billing", "delivery"]},
            "metric": "exact",
            **given,
        }
    )


def test_every_public_name_is_there_and_says_what_it_is_for() -> None:
    for name in fb.__all__:
        assert inspect.getdoc(getattr(fb, name)), name
    assert set(fb.__all__) <= set(dir(fb))


@pytest.mark.parametrize("first", ["flowbot.optimizer", "flowbot.optimizer.run", "flowbot.cli.app"])
def test_optimize_is_the_function_whatever_was_imported_before(first: str) -> None:
    code = f"import {first}, flowbot as fb; fb.optimize; print(callable(fb.optimize), fb.optimize.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "optimize"]


def test_both_faces_have_one_signature() -> None:
    for name in ("optimize", "evaluate", "bench"):
        plain, waited = getattr(fb, name), getattr(fb, f"{name}_async")
        assert inspect.signature(plain) == inspect.signature(waited)
        assert inspect.getdoc(plain) == inspect.getdoc(waited)
        assert not inspect.iscoroutinefunction(plain)
        for parameter in inspect.signature(plain).parameters:
            assert f"{parameter}: " in str(inspect.getdoc(plain)), parameter


def test_a_name_that_there_is_none_of_gets_the_nearest() -> None:
    with pytest.raises(AttributeError, match="did you mean 'optimize'"):
        _ = fb.optimise  # pyright: ignore[reportAttributeAccessIssue]


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40, unique=True))
def test_a_suggestion_is_always_one_of_the_names(found: str, known: list[str]) -> None:
    said = one_of(found, known)
    if "did you mean" in said:
        assert any(said.endswith(f"(did you mean {name!r}?)") for name in known)
    assert known[0] in said


class Address(TypedDict):
    street: str
    number: int


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (str, "str"),
        (list[int], "list[int]"),
        (Literal["a", "b"], "Literal['a', 'b']"),
        (dict[str, str], "object"),
        (Address, "{street: str, number: int}"),
        ("list[str]", "list[str]"),
        ({"type": bool, "about": "yes or no"}, "bool"),
    ],
)
def test_fields_are_given_as_python_types_or_in_words(hint: Any, text: str) -> None:
    assert str(task(inputs={"message": str, "more": hint}).inputs[1].type) == text


def test_a_hint_may_say_what_the_field_is() -> None:
    field = task(outputs={"department": Annotated[str, "who answers"]}).outputs[0]
    assert (str(field.type), field.about) == ("str", "who answers")


def test_what_is_no_type_of_values_is_refused_with_those_that_are() -> None:
    with pytest.raises(fb.UserError, match=r"inputs\.message: found the type .*bytes.*; expected one of str, int"):
        task(inputs={"message": bytes})


class Frame:
    """What a data frame of pandas looks like from outside."""

    columns = ("message", "department", "note")

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        notes = [float("nan"), None, "hello"]
        return [{"message": each, "department": name, "note": notes[n % 3]} for n, (each, name) in enumerate(ROWS[:3])]


class NAType:
    """pandas' `NA`, which is neither equal to itself nor not."""

    def __eq__(self, other: object) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    __ne__ = __eq__
    __hash__ = None  # type: ignore[assignment]


def test_a_cell_of_a_data_frame_that_holds_nothing_is_none() -> None:
    rows = [{"message": "a", "department": NAType(), "note": NAType()}, {"message": "b", "department": NAType()}]
    found = task(train=rows, metric=lambda example, outputs: 1.0).train
    assert [(dict(e.expected), dict(e.extra)) for e in found] == [({}, {}), ({}, {})]


class Lazy:
    """And one of polars."""

    columns = ("message", "department")

    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"message": each, "department": name} for each, name in ROWS[:3]]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:3],
        [({"message": each}, {"department": name}) for each, name in ROWS[:3]],
        [{"message": each, "department": name} for each, name in ROWS[:3]],
        (row for row in ROWS[:3]),
        Frame(),
        Lazy(),
    ],
    ids=["values", "pairs", "dicts", "generator", "pandas", "polars"],
)
def test_rows_are_given_as_people_have_them(rows: Any) -> None:
    found = [(e.inputs["message"], e.expected["department"]) for e in task(train=rows).train]
    assert found == ROWS[:3]


def test_empty_cells_of_a_data_frame_are_no_values() -> None:
    assert [dict(each.extra) for each in task(train=Frame()).train] == [{}, {}, {"note": "hello"}]


def test_dates_tuples_and_arrays_become_what_json_has_and_the_rest_is_refused() -> None:
    class Array:
        def tolist(self) -> list[int]:
            return [1, 2]

    row = {"message": "a", "department": "billing", "on": date(2026, 3, 1), "two": (1, {"x": None}), "all": Array()}
    made = task(train=[row])
    assert made.train[0].extra == {"on": "2026-03-01", "two": [1, {"x": None}], "all": [1, 2]}
    assert made.identity == task(train=[row]).identity
    with pytest.raises(fb.UserError, match=r"train\[0\]: price: found a Decimal; expected a text, a number"):
        task(train=[{**row, "price": Decimal("1.5")}])


def test_rows_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("message,department\nhello,billing\n", encoding="utf-8")
    assert task(train=tmp_path / "rows.csv").train[0].expected == {"department": "billing"}
    with pytest.raises(fb.UserError, match=r"none\.csv"):
        task(train=str(tmp_path / "none.csv"))


def test_rows_in_one_are_divided_the_same_way_every_time_and_groups_stay_together() -> None:
    one, other = task(rows=ROWS), task(rows=ROWS[::-1])
    sizes = {split: len(examples) for split, examples in one.splits.items()}
    assert sizes == {"train": 8, "val": 4, "test": 8}
    assert [{e.id for e in one.splits[s]} for s in sizes] == [{e.id for e in other.splits[s]} for s in sizes]
    grouped = task(
        rows=[{"message": m, "department": d, "who": str(n % 7)} for n, (m, d) in enumerate(ROWS)], group="who"
    )
    seen = [{each.group for each in examples} for examples in grouped.splits.values()]
    assert sum(map(len, seen)) == len(set().union(*seen)) == 7


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"train": [("a", "billing", "x")]}, r"train\[0\]: found a tuple; expected a dict, an Example, or a pair"),
        ({"train": [("a", {"dept": "billing"})]}, r"train\[0\].*as outputs; expected a dict with department"),
        ({"train": {"message": "a"}}, "train: found a dict; expected rows: dicts, pairs"),
        ({"train": 3}, "train: found an int; expected rows"),
        ({"rows": ROWS, "val": ROWS[:1]}, "rows: found train, val or test as well"),
        ({"train": [("a", "bill")]}, r"train\[0\]: department: found \"bill\"; expected one of 'billing', 'delivery'"),
    ],
    ids=["triple", "other name", "one row", "number", "both", "no label"],
)
def test_rows_that_do_not_fit_are_refused_in_a_line_that_says_what_does(given: dict[str, Any], told: str) -> None:
    with pytest.raises(fb.UserError, match=told):
        task(**given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"effort": "mediun"}, "did you mean 'medium'"),
        ({"method": "flowbt"}, "did you mean 'flowbot'"),
        ({"method": "flowbot+blam"}, "did you mean 'blame'"),
        ({"metalm": "fake/echo"}, "did you mean 'meta_lm'"),
        ({"model": "fake/echo"}, r"optimize\(\): found the argument 'model'; expected one of task, lm, meta_lm"),
        ({"lm": None}, "lm: found None"),
        ({"lm": 3}, "lm: found 3; expected a model string"),
        ({"budget": 5}, r"budget: found 5; expected fb\.Budget"),
        ({"start": {}}, "start: found a dict; expected a Workflow"),
        ({"start": "self-refin"}, "start: found 'self-refin'; expected self-refine"),
        ({"progress": 1}, "progress: found 1; expected a plain function"),
        ({"seed": "1"}, "seed: found '1'; expected a whole number"),
        ({"seed": True}, "seed: found True; expected a whole number"),
        ({"pace": 4}, r"pace: found 4; expected fb\.Pace"),
        ({"stop": True}, r"stop: found True; expected an fb\.StopSignal"),
        ({"price": "0.4,1.6"}, r"price: found '0\.4,1\.6'; expected two numbers"),
        ({"price": (1, -1)}, "price: found a tuple; expected two numbers"),
        ({"run_dir": 3}, "run_dir: found 3; expected the path of a folder"),
        ({"cache_dir": 3}, "cache_dir: found 3; expected the path of a folder"),
        ({"executor": "threads"}, "executor: found 'threads'; expected loop, processes, ray"),
        ({"sandbox": "docker"}, "sandbox: found 'docker'; expected one of monty, bubblewrap"),
        ({"allow_writes": "no"}, "allow_writes: found 'no'; expected True or False"),
        ({"fresh": 1}, "fresh: found 1; expected True or False"),
        ({"task": 3}, "task: found 3; expected a Task, or the path"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, dict) else "",
)
def test_a_slip_in_an_argument_is_one_line_that_teaches(
    given: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(fb.UserError, match=told):
        fb.optimize(**{"task": task(rows=ROWS), "lm": "fake/echo", "cache_dir": tmp_path, **given})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(fb.UserError, match=r"missing a required argument: 'task'.*expected optimize\(task, …\)"):
        fb.optimize(lm="fake/echo")  # pyright: ignore[reportCallIssue]
    with pytest.raises(fb.UserError, match="lm: found None; expected a model string"):
        fb.optimize(task(rows=ROWS))


async def test_async_code_is_told_of_slips_as_plain_code_is() -> None:
    with pytest.raises(fb.UserError, match=r"'task'.*expected optimize_async\(task, …\)"):
        await fb.optimize_async(lm="fake/echo")  # pyright: ignore[reportCallIssue]
    with pytest.raises(fb.UserError, match="did you mean 'seed'"):
        await fb.optimize_async(task(rows=ROWS), lm="fake/echo", sede=1)  # pyright: ignore[reportCallIssue]
    with pytest.raises(fb.UserError, match=r"'task'.*expected evaluate_async\(workflow, task, …\)"):
        await fb.evaluate_async("single-call")  # pyright: ignore[reportCallIssue]
    assert inspect.iscoroutinefunction(fb.optimize_async)


async def _news(event: fb.ProgressEvent) -> None: ...


class _News:
    async def __call__(self, event: fb.ProgressEvent) -> None: ...


@pytest.mark.parametrize("callback", [_news, _News()])
def test_an_async_callback_is_refused_before_anything_is_paid(callback: Any) -> None:
    with pytest.raises(fb.UserError, match="progress: found an async function"):
        fb.optimize(task(rows=ROWS), lm="fake/echo", progress=callback)


def test_a_callback_that_turns_out_to_be_async_pauses_the_run(tmp_path: Path) -> None:
    said = fb.optimize(
        task(rows=ROWS),
        lm="fake/echo",
        cache_dir=tmp_path,
        run_dir=tmp_path / "run",
        progress=lambda event: _news(event),
    )
    assert (said.status, said.stopped_by) == ("paused", "callback")
    assert "it is async, so nothing of it ran" in said.reason


def test_evaluate_says_what_is_missing(tmp_path: Path) -> None:
    small = task(train=ROWS[:2])
    start = single_call(small.inputs, small.outputs, small.goal, reasoning=False)
    with pytest.raises(fb.UserError, match="did you mean 'train'"):
        fb.evaluate(start, small, split="trian", lm="fake/echo", cache_dir=tmp_path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(fb.UserError, match="no examples; expected at least one, or another split: train"):
        fb.evaluate(start, small, lm="fake/echo", cache_dir=tmp_path)
    with pytest.raises(fb.UserError, match=r"found no model; expected lm="):
        fb.evaluate(start, small, split="train", cache_dir=tmp_path)
    with pytest.raises(fb.UserError, match="workflow: found a dict; expected a Workflow, a Flow, the path"):
        fb.evaluate({}, small, split="train", cache_dir=tmp_path)  # pyright: ignore[reportArgumentType]


def test_a_flow_names_its_inputs() -> None:
    small = task(train=ROWS[:2])
    with fb.Flow(single_call(small.inputs, small.outputs, small.goal, reasoning=False), lm="fake/echo") as flow:
        with pytest.raises(fb.UserError, match=r"flow\(\): found the input 'mesage'; expected message"):
            flow(mesage="hello")
        with pytest.raises(fb.UserError, match=r"found no 'message'; expected flow\(message=str\)"):
            flow()


def test_notebooks_show_an_error_of_the_user_as_one_line() -> None:
    shown: list[str] = fb.UserError("lm", "nothing", "a model")._render_traceback_()  # pyright: ignore[reportPrivateUsage]
    assert shown == ["UserError: lm: found nothing; expected a model"]
    assert not hasattr(fb.FlowBotError("a fault of ours"), "_render_traceback_")
