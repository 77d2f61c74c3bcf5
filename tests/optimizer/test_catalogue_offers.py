"""What the catalogue offers fits the outputs: on a corpus of starts and tasks each change is valid, and what it computes is of the right type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from flowbot.fields import Type, UserError
from flowbot.optimizer.catalogue.catalogue import Catalogue
from flowbot.optimizer.catalogue.change import Change
from flowbot.optimizer.catalogue.reading import read_kinds
from flowbot.optimizer.structure.catalogue_changes import stand_in
from flowbot.optimizer.structure.code import sample
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.task import Task
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.nodes import CodeNode, ToolNode, walk
from flowbot.workflow.parameters import CodeParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.starts import fit, list_starts, single_call
from flowbot.workflow.workflow import Workflow

ITEMS = "list[{item: str, quantity: int, price: float}]"


def bought(n: int) -> dict[str, Any]:
    items = [
        {"item": f"thing {n + k}", "quantity": 1 + (n * 7 + k) % 5, "price": 1.25 + n * 0.5 + k * 3}
        for k in range(1 + n % 3)
    ]
    return {"items": items, "total": round(sum(each["quantity"] * each["price"] for each in items), 2)}


def task_of(outputs: dict[str, str], rows: list[dict[str, Any]], **more: Any) -> Task:
    given = [{"text": f"text number {n}", **row} for n, row in enumerate(rows)]
    train, val, test = given[: len(rows) - 4], given[-4:-2], given[-2:]
    return Task(
        goal="Read the text.",
        inputs={"text": "str"},
        outputs=outputs,
        metric="json_fields",
        train=train,
        val=val,
        test=test,
        **more,
    )


def tasks() -> dict[str, Task]:
    rows = [bought(n) for n in range(16)]
    kinds = ("paid", "open", "late")
    return {
        "number": task_of({"total": "float"}, [{"total": row["total"]} for row in rows]),
        "label": task_of({"kind": "Literal['paid', 'open', 'late']"}, [{"kind": kinds[n % 3]} for n in range(16)]),
        "truth": task_of({"is_late": "bool"}, [{"is_late": bool(n % 2)} for n in range(16)]),
        "text": task_of({"summary": "str"}, [{"summary": f"summary {n}"} for n in range(16)]),
        "names": task_of({"names": "list[str]"}, [{"names": [f"name {n}"]} for n in range(16)]),
        "mixed": task_of(
            {"total": "float", "kind": "Literal['paid', 'open', 'late']", "note": "str"},
            [{"total": row["total"], "kind": kinds[n % 3], "note": f"note {n}"} for n, row in enumerate(rows)],
        ),
        "items": task_of({"items": ITEMS, "total": "float"}, rows),
        "nested": task_of(
            {"invoice": f"{{vendor: str, items: {ITEMS}, total: float}}"},
            [{"invoice": {"vendor": f"firm {n}", **row}} for n, row in enumerate(rows)],
        ),
    }


TASKS = tasks()


def starts_for(task: Task) -> Iterator[tuple[str, Workflow]]:
    for reasoning in (True, False):
        yield f"one call, {reasoning}", single_call(task.inputs, task.outputs, task.goal, reasoning=reasoning)
    for start in list_starts():
        with suppress(UserError):
            yield start.name, fit(start, task.inputs, task.outputs, task.goal, tools=task.signatures)


def offered(task: Task, workflow: Workflow) -> Iterator[tuple[Change, Workflow]]:
    for change in Catalogue().changes(workflow, task):
        with suppress(EditError):
            yield change, applied(workflow, change.build(stand_in(change)), tools=task.signatures).after


def of_one_call(task: Task) -> dict[str, Workflow]:
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=False)
    return {change.key: changed for change, changed in offered(task, start)}


def code_of(workflow: Workflow, path: str = "compute") -> str:
    parameters = workflow.parameter(path)
    assert isinstance(parameters, CodeParameters)
    return parameters.code


@pytest.fixture
async def sandbox() -> AsyncIterator[MontySandbox]:
    opened = MontySandbox()
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", TASKS)
def test_what_is_offered_on_any_start_is_valid_for_the_task(name: str) -> None:
    task = TASKS[name]
    for start, workflow in starts_for(task):
        for change, changed in offered(task, workflow):
            defects = check(changed, tools=task.signatures, task_inputs=task.inputs, task_outputs=task.outputs)
            assert defects == [], f"{start}: {change.key}"


@pytest.mark.parametrize("name", TASKS)
async def test_the_code_that_is_offered_gives_values_of_the_types_that_are_wanted(
    name: str, sandbox: MontySandbox
) -> None:
    task = TASKS[name]
    start = single_call(task.inputs, task.outputs, task.goal, reasoning=True)
    for change, changed in offered(task, start):
        if change.computes is not None and not change.prior_code:
            continue
        scope = Scope.of(changed.sketch)
        for path, node in walk(changed.sketch):
            if not isinstance(node, CodeNode) or path in start.sketch.nodes:
                continue
            given: dict[str, Any] = {}
            for each, reference in node.inputs.items():
                type_ = scope.type_of(reference)
                assert type_ is not None
                given[each] = sample(type_)
            if change.kind == "program":  # what is printed is of the type that the program is asked for
                (wanted,) = node.out.values()
                given = {"result": str(sample(Type.parse(wanted))), "error": ""}
            result = await sandbox.run(code_of(changed, path), given)
            for output, text in node.out.items():
                Type.parse(text).coerce(result[output], f"{change.key}: {output}")


def kinds_of(name: str) -> set[str]:
    return {key.split(":")[0] for key in of_one_call(TASKS[name])}


def test_nothing_is_offered_that_the_outputs_rule_out() -> None:
    for name in TASKS:
        assert "use" not in kinds_of(name), "no tool is declared"
        assert ({"calculate", "program"} <= kinds_of(name)) == (name == "number"), name
        assert ("compute" in kinds_of(name)) == (name in ("number", "truth")), name
    for name in ("number", "label", "truth", "text", "names"):
        assert not {"derive", "derive by code"} & kinds_of(name), name
    for name in ("number", "label", "truth"):
        assert "verify" not in kinds_of(name), "nothing in it can be unsupported in part"
        assert not {"refine", "best"} & kinds_of(name), name
    for name in TASKS:
        assert "quote" not in kinds_of(name), "no input is long"
        keys = [key for key in of_one_call(TASKS[name]) if key.startswith("route:")]
        alike = name in ("number", "label", "truth")
        assert keys == ([] if alike else ["route:kind:answer"] if name == "mixed" else ["route:answer"]), name
        assert len({"verify", "review"} & kinds_of(name)) == 1, name


def test_parts_are_listed_as_the_tasks_own_lists_are_where_another_step_gives_the_list() -> None:
    task = TASKS["items"]
    data = {
        "flowbot": 1,
        "inputs": {"text": "str"},
        "outputs": {"items": "list.items", "total": "add.total"},
        "nodes": {
            "list": {"kind": "llm", "in": {"text": "text"}, "out": {"items": ITEMS}},
            "add": {"kind": "llm", "in": {"text": "text"}, "out": {"total": "float"}},
        },
        "parameters": {"list": {"instruction": "List."}, "add": {"instruction": "Add."}},
    }
    found = {change.key: changed for change, changed in offered(task, Workflow.from_data(data))}
    typed = found["compute:items:add"]
    assert dict(typed.sketch.nodes["add"].out) == {"items": ITEMS}  # type: ignore[union-attr]
    assert "sum(each['quantity'] * each['price'] for each in items)" in code_of(typed)


def test_one_output_is_computed_from_the_others_by_a_formula_of_the_training_rows() -> None:
    for name, key, reader in (
        ("items", "derive:total:answer", "items"),
        ("nested", "derive:invoice.total:answer", "invoice"),
    ):
        changed = of_one_call(TASKS[name])[key]
        assert "round(sum(each['quantity'] * each['price'] for each in items), 2)" in code_of(changed)
        call, step = changed.sketch.nodes["answer"], changed.sketch.nodes["compute"]
        assert "total" not in str(call.dump()["out"])
        assert step.references() == (f"answer.{reader}",)
        assert len(changed.sketch.nodes) == 2


@pytest.mark.parametrize("name", ["sum", "all", "len"])
async def test_a_field_may_be_called_as_a_word_of_a_formula(name: str, sandbox: MontySandbox) -> None:
    rows = [
        {"items": row["items"], name: row["total"], "n": len(row["items"]), "of": f"{n}"}
        for n, row in enumerate(map(bought, range(16)))
    ]
    nested = [{name: {"items": row["items"], "total": row[name]}} for row in rows]
    flat = task_of({"items": ITEMS, name: "float", "n": "int", "of": "str"}, rows)
    inside = task_of({name: f"{{items: {ITEMS}, total: float}}"}, nested)
    for task, key, given, wanted in (
        (flat, f"derive:{name}:answer", {"items": rows[3]["items"]}, {name: rows[3][name]}),
        (flat, "derive:*:answer", {"items": rows[3]["items"]}, {name: rows[3][name], "n": rows[3]["n"]}),
        (inside, f"derive:{name}.total:answer", {"items": rows[3]["items"]}, nested[3]),
    ):
        changed = of_one_call(task)[key]
        (read,) = changed.sketch.nodes["compute"].inputs  # type: ignore[union-attr]
        assert await sandbox.run(code_of(changed), {read: given if task is inside else given["items"]}) == wanted


def test_formulas_are_of_the_training_rows_alone() -> None:
    rows = [bought(n) for n in range(16)]
    wrong = [{**row, "total": 3.0 + n * n} for n, row in enumerate(rows)]
    by_training = task_of({"items": ITEMS, "total": "float"}, [*rows[:12], *wrong[12:]])
    assert "derive:total:answer" in of_one_call(by_training)
    by_others = task_of({"items": ITEMS, "total": "float"}, [*wrong[:12], *rows[12:]])
    assert "derive:total:answer" not in of_one_call(by_others)

    def known(task: Task) -> set[str]:
        start = single_call(task.inputs, task.outputs, task.goal, reasoning=False)
        return {each for change in Catalogue().changes(start, task) for each, _, _ in change.known}

    assert known(by_others) == {each.id for each in by_others.train}


def test_where_no_formula_holds_the_meta_model_may_write_the_code_unless_rows_tell_that_none_can() -> None:
    rows = [{"items": [1 + n % 4] * (1 + n % 3), "code": (n * n * 7) % 11} for n in range(16)]
    twice = [{"items": [1], "code": n} for n in range(16)]
    texts = [{"items": [n], "remark": f"remark {n}"} for n in range(16)]
    outputs = {"items": "list[int]", "code": "int"}
    same = {str(row["items"]): row["code"] for row in rows}
    function = [{**row, "code": same[str(row["items"])]} for row in rows]
    assert "derive by code:code:answer" in of_one_call(task_of(outputs, function))
    assert "derive by code:code:answer" not in of_one_call(task_of(outputs, twice))
    assert not [key for key in of_one_call(task_of({"items": "list[int]", "remark": "str"}, texts)) if "derive" in key]


def test_a_long_input_is_quoted_from_first() -> None:
    rows = [{"text": f"{n} " + "words of no use " * 60, "answer": f"a{n}"} for n in range(9)]
    task = Task(
        goal="Answer.", inputs={"text": "str"}, outputs={"answer": "str"}, metric="exact",
        train=rows[:3], val=rows[3:6], test=rows[6:],
    )  # fmt: skip
    changed = of_one_call(task)["quote:answer"]
    assert changed.sketch.nodes["quote"].gives == ("quotes",)
    assert changed.sketch.nodes["answer"].references() == ("text", "quote.quotes")


def test_kinds_that_an_output_names_get_calls_of_their_own() -> None:
    changed = of_one_call(TASKS["mixed"])["route:kind:answer"]
    calls = [path for path, node in walk(changed.sketch) if node.when]
    assert calls == ["answer", "answer_open", "answer_late"]
    assert {node.when for _, node in walk(changed.sketch) if node.when} == {"route.paid", "route.open", "route.late"}
    assert "Here: kind is late." in changed.dump()["parameters"]["answer_late"]["instruction"]


def test_a_search_that_may_not_call_built_in_tools_is_offered_none() -> None:
    task = task_of({"total": "float"}, [{"total": bought(n)["total"]} for n in range(16)], builtin_tools=False)
    found = of_one_call(task)
    assert not {"calculate", "program", "use"} & {key.split(":")[0] for key in found}
    assert not any(isinstance(node, ToolNode) for changed in found.values() for _, node in walk(changed.sketch))


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ("paid: a settled bill\nopen: one that waits", {"paid": "a settled bill", "open": "one that waits"}),
        ("- **Long text**: many lines\n2. `short`: one line", {"long_text": "many lines", "short": "one line"}),
        ("Here are the kinds:\na: first\nb: second", {"a": "first", "b": "second"}),
        ("one: alone", {}),
        ("a: first\nA: again", {}),
        ("a: 1\nb: 2\nc: 3\nd: 4\ne: 5", {}),
        ("class: a word of Python\nb: second", {}),
        ("I cannot say.", {}),
        ("", {}),
    ],
)
def test_kinds_are_read_from_lines_or_not_at_all(said: str, kinds: dict[str, str]) -> None:
    assert read_kinds(said) == kinds
