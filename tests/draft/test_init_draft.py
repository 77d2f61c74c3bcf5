"""Drafting a task from rows: what is guessed from names and values, what is left out, and that it loads again."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbot.draft.draft import Draft, draft_task
from flowbot.draft.folder import task_text, write_folder
from flowbot.draft.kinds import kind_of
from flowbot.draft.names import field_names, words
from flowbot.draft.roles import Wishes
from flowbot.draft.table import read_table
from flowbot.fields import UserError, is_name
from flowbot.fields.yaml import parse_data
from flowbot.task import Task

Rows = Sequence[dict[str, Any]]


def draft(folder: Path, rows: Rows, wishes: Wishes | None = None, **more: Any) -> Draft:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return draft_task(read_table([path]), wishes, **more)


def draft_csv(folder: Path, rows: Rows, **more: Any) -> Draft:
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return draft_task(read_table([path]), **more)


def told(made: Draft, what: str) -> str:
    return "; ".join(f"{each.guess} ({each.why})" for each in made.guesses if each.what == what)


def types(made: Draft) -> dict[str, str]:
    return {field.name: str(field.type) for field in (*made.inputs, *made.outputs)}


def columns(*rows: tuple[Any, ...], names: str, times: int = 12) -> list[dict[str, Any]]:
    """Rows with these values in turn; `#` in a text is the row's number."""
    return [
        {
            name: value.replace("#", str(number)) if isinstance(value, str) else value
            for name, value in zip(names.split(), rows[number % len(rows)], strict=True)
        }
        for number in range(times)
    ]


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"),
    [
        (columns(("t#", "x#", "y#"), names="question answer rationale"), ["question"], ["answer"]),
        (columns(("t#", "c#", "y#"), names="question answer context"), ["question", "context"], ["answer"]),
        (columns(("a", "t#"), ("b", "s#"), names="label text"), ["text"], ["label"]),
        (
            columns(("t#", "a", "n"), ("s#", "b", "m"), names="email urgency sentiment"),
            ["email"],
            ["urgency", "sentiment"],
        ),
        (columns(("c", "t#", "x#"), ("d", "t#", "x#"), names="category text answer"), ["text"], ["answer"]),
        (
            columns(("t#", "x#", "y#"), names="text expected_total expected_name"),
            ["text"],
            ["expected_total", "expected_name"],
        ),
        (columns(("t#", "x#"), names="foo bar"), ["foo"], ["bar"]),
        (columns(("a", "x#"), ("b", "y#"), names="v1 v2"), ["v2"], ["v1"]),
        (columns(("t#", "select # from t"), names="question query"), ["question"], ["query"]),
        (
            columns(("t#", "u#", "a", "k#"), ("s#", "u#", "b", "k#"), names="title body class sha1"),
            ["title", "body"],
            ["class_"],
        ),
    ],
)
def test_inputs_and_outputs_are_told_by_name_place_and_repetition(
    tmp_path: Path, rows: Rows, inputs: list[str], outputs: list[str]
) -> None:
    made = draft(tmp_path, rows)
    assert [field.name for field in made.inputs] == inputs
    assert [field.name for field in made.outputs] == outputs
    assert made.labelled


@pytest.mark.parametrize(
    ("values", "type_", "metric"),
    [
        (("no", "on"), "Literal['no', 'on']", "exact"),
        (("1.0", "null", "yes", "1e3"), "Literal['1.0', '1e3', 'null', 'yes']", "exact"),
        (("3", "14"), "int", "numeric"),
        ((3, 14), "int", "numeric"),
        ((3, 1.5), "float", "numeric"),
        (("#.5", "#"), "float", "numeric"),
        ((True, False), "bool", "exact"),
        ((["a"], list[str]()), "list[str]", "json_fields"),  # one label alone is none
        ((["a#"], ["b#", "c#"]), "list[str]", "json_fields"),
        ((["a", "b"], ["b"]), "list[Literal['a', 'b']]", "json_fields"),
        ((["a", "b", "a"], ["b"]), "list[str]", "json_fields"),  # a sequence: its order counts
        (({"n": 1, "s": "u#"}, {"n": 2, "s": "v#"}), "{n: int, s: str}", "json_fields"),
        (('{"ok": true}', '{"ok": false}'), "{ok: bool}", "json_fields"),
        (({"n": 1}, {"m": None}), "object", "json_fields"),
        ((1, "a", True), "str", "normalised"),
        (("a", ["b"]), "str", "normalised"),
        (("007", "008#"), "str", "normalised"),
        (("$1#.50", "$3,000"), "str", "numeric"),
        (("1#,5 %", "3 %"), "str", "numeric"),
        (("1#/11/2024", "2/11/2024"), "str", "normalised"),
        (("$1# each", "$3"), "str", "normalised"),
        (("this is a longer answer with the number #",), "str", "f1"),
        (("select # from t",), "str", "f1"),
    ],
)
def test_types_and_metric_follow_from_the_answers(
    tmp_path: Path, values: tuple[Any, ...], type_: str, metric: str
) -> None:
    rows = columns(*(("t#", json.loads(json.dumps(value))) for value in values), names="text answer")
    for row in rows:
        number = row["text"][1:]
        row["answer"] = json.loads(json.dumps(row["answer"]).replace("#", number))
    made = draft(tmp_path, rows)
    assert types(made) == {"text": "str", "answer": type_}
    assert made.metric == metric


def test_labels_are_few_and_repeat() -> None:
    def kind(values: list[Any]) -> str:
        return kind_of(values, cells=False, output=True).type.kind

    assert kind(["a", "b"] * 2) == "literal"
    assert kind(["a", "b", "b"]) == "str"
    assert kind([f"l{n}" for n in range(30)] * 2) == "literal"
    assert kind([f"l{n}" for n in range(31)] * 2) == "str"
    assert kind([f"l{n}" for n in range(77)] * 4) == "literal"
    assert kind([f"l{n}" for n in range(101)] * 4) == "str"
    assert kind(["a", "b" * 61] * 9) == "str"
    assert kind(["a", "b"] * 9 + ["odd"]) == "literal"
    assert kind(["a", "b"] * 9 + ["odd", "other"]) == "str"
    assert kind_of(["a", "b"] * 9, cells=False, output=False).type.kind == "str"


def test_cells_of_a_table_are_numbers_and_lists_where_all_are(tmp_path: Path) -> None:
    cell = ("t#", "#.50", "1,200", "01#", '["x#"]', "TRUE", "b")
    rows = columns(cell, (*cell[:2], "n/a", *cell[3:5], "false", "a"), names="text price amount zip parts sure label")
    made = draft_csv(tmp_path, rows)
    assert types(made) == {
        "text": "str",
        "price": "float",
        "amount": "str",  # some are missing
        "zip": "str",
        "parts": "list[str]",
        "sure": "bool",
        "label": "Literal['a', 'b']",
    }
    written = [row for split in made.splits.values() for row in split]
    assert sorted(row["price"] for row in written) == [n + 0.5 for n in range(12)]
    assert {row["amount"] for row in written} == {"1,200", ""}


def test_columns_that_are_no_names_are_renamed_and_said(tmp_path: Path) -> None:
    rows = [{"import": f"t{n}", "my column": f"u{n}", "質問": f"v{n}", "class": "ab"[n % 2]} for n in range(9)]
    made = draft(tmp_path, rows)
    assert list(types(made)) == ["import_", "my_column", "column_3", "class_"]
    assert made.columns == {"import_": "import", "my_column": "my column", "column_3": "質問", "class_": "class"}
    assert told(made, "name import_").startswith("of the column 'import'")


def test_rows_without_use_are_left_out_and_said(tmp_path: Path) -> None:
    rows = columns(("t#", "x#"), names="text answer")
    rows += [{"text": "t0", "answer": "x0"}, {"text": None, "answer": "x"}, {"text": "t", "answer": None}]
    rows += [{"text": "", "answer": ""}, {"text": "t1", "answer": "other"}]
    made = draft(tmp_path, rows)
    assert sum(map(len, made.splits.values())) == 13
    said = told(made, "left out")
    assert "1 empty row" in said
    assert "1 row without an input (" in said
    assert "rows.jsonl:14" in said
    assert "1 row without an answer" in said
    assert "1 row that stand twice" in said
    assert "rows.jsonl:17 against" in told(made, "contradictions")


def test_an_id_that_stands_twice_is_kept_under_another_name(tmp_path: Path) -> None:
    rows = columns(("t#", "x#"), names="text answer")
    once = draft(tmp_path, [{"id": n, **row} for n, row in enumerate(rows)])
    assert {row["id"] for split in once.splits.values() for row in split} == set(range(12))
    twice = draft(tmp_path, [{"id": n % 3, **row} for n, row in enumerate(rows)])
    assert {row["id_in_file"] for split in twice.splits.values() for row in split} == {0, 1, 2}
    assert "stands twice" in told(twice, "id")
    other = draft(tmp_path, [{"uid": f"u{n}", **row} for n, row in enumerate(rows)])
    assert other.splits["train"][0]["id"].startswith("u")


def test_a_group_is_found_and_not_parted(tmp_path: Path) -> None:
    rows = [{"user": f"u{n % 10}", "text": f"t{n}", "answer": f"x{n}"} for n in range(60)]
    made = draft(tmp_path, rows)
    assert made.group == "user"
    homes = [{row["user"] for row in split} for split in made.splits.values()]
    assert sum(map(len, homes)) == 10
    padded = [{**row, "user": f"{row['user']}{' ' * (n % 2)}"} for n, row in enumerate(rows)]
    loose = draft(tmp_path, padded)
    write_folder(loose, tmp_path / "padded")  # blanks around a group's name make no other group
    assert sum(len({row["user"].strip() for row in split}) for split in loose.splits.values()) == 10
    assert draft(tmp_path, rows, Wishes(group="")).group == ""
    assert [field.name for field in made.inputs] == ["text"]
    few = [{**row, "user": f"u{n % 3}"} for n, row in enumerate(rows)]
    assert draft(tmp_path, few).group == ""
    sources = [{**row, "aliases": f"known as {n // 3} " * 60} for n, row in enumerate(few)]
    assert draft(tmp_path, sources).group == ""  # after the answer: no input that rows are about
    passages = [{"passage": f"long {n // 3} " * 60, "question": f"q{n}", "answer": f"x{n}"} for n in range(60)]
    assert draft(tmp_path, passages).group == "passage"


def test_files_named_for_splits_are_the_splits(tmp_path: Path) -> None:
    sizes = {"train": 5, "dev": 4, "test": 3}
    for start, (name, size) in enumerate(sizes.items()):
        lines = [json.dumps({"user": f"u{n}", "text": f"{start} {n}", "answer": n}) for n in range(size)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    (tmp_path / "labels.json").write_text("{}")
    made = draft_task(read_table([tmp_path]))
    assert {split: len(rows) for split, rows in made.splits.items()} == {"train": 5, "val": 4, "test": 3}
    assert told(made, "other files").startswith("labels.json")
    (tmp_path / "dev.jsonl").unlink()
    made = draft_task(read_table([tmp_path / "train.jsonl", tmp_path / "test.jsonl"]))
    assert [bool(made.splits[split]) for split in ("train", "val", "test")] == [True] * 3
    assert sum(map(len, made.splits.values())) == 8
    assert "val taken from the rows of train" in told(made, "missing splits")
    alone = draft_task(read_table([tmp_path / "train.jsonl"]))
    assert sum(map(len, alone.splits.values())) == 5


def test_a_column_may_name_the_splits(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "answer": n, "split": ["Train", "validation", "test"][n % 3]} for n in range(9)]
    made = draft(tmp_path, rows)
    assert {row["split"] for row in made.splits["val"]} == {"validation"}


def test_rows_of_two_splits_are_kept_in_the_later_one_and_groups_across_are_told(tmp_path: Path) -> None:
    for name in ("train", "val", "test"):
        lines = [json.dumps({"user": f"u{n % 8}", "text": f"{name} {n}", "answer": n}) for n in range(20)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*lines, json.dumps({"text": "same", "answer": 1})]))
    made = draft_task(read_table([tmp_path]))
    assert {split: len(rows) for split, rows in made.splits.items()} == {"train": 20, "val": 20, "test": 21}
    in_order = draft_task(read_table([tmp_path / f"{name}.jsonl" for name in ("train", "val", "test")]))
    assert {split: len(rows) for split, rows in in_order.splits.items()} == {"train": 20, "val": 20, "test": 21}
    assert made.group == ""
    assert "rows with the same user" in told(made, "possible leak")
    write_folder(made, tmp_path / "made")
    with pytest.raises(UserError, match="--group: found rows with the same user in two of your splits"):
        draft_task(read_table([tmp_path]), Wishes(group="user"))
    anew = draft_task(read_table([tmp_path]), Wishes(group="user"), fractions=(0.5, 0.25, 0.25))
    assert anew.group == "user"
    homes = [{row["user"] for row in split} - {None} for split in anew.splits.values()]
    assert sum(map(len, homes)) == 8
    write_folder(anew, tmp_path / "anew")


def test_a_large_file_gives_splits_of_a_useful_size_in_any_order(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "answer": n} for n in range(400)]
    made = draft(tmp_path, rows, most=30)
    assert [len(made.splits[split]) for split in ("train", "val", "test")] == [30, 30, 30]
    assert "30 of 120 train" in told(made, "rows taken")
    again = draft(tmp_path, rows[::-1], most=30)
    for split in made.splits:
        assert {row["text"] for row in made.splits[split]} == {row["text"] for row in again.splits[split]}


def test_without_labels_a_judge_scores(tmp_path: Path) -> None:
    rows = [{"email": f"mail {n}"} for n in range(9)]
    made = draft(tmp_path, rows, Wishes(outputs=("reply",)))
    assert not made.labelled
    assert types(made) == {"email": "str", "reply": "str"}
    assert list(made.metric) == ["judge"]
    assert "rubric" in told(made, "metric")
    write_folder(made, tmp_path / "made")
    assert [field.name for field in Task.load(tmp_path / "made").outputs] == ["reply"]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (Wishes(inputs=("txt",)), "--inputs: found 'txt'; expected a column, one of text, answer"),
        (Wishes(outputs=("anwser",)), "--outputs: found 'anwser'"),
        (Wishes(outputs=("answer", "zzz")), "--outputs: found 'zzz'"),
        (Wishes(outputs=("a b",)), "--outputs: found 'a b'; expected a name"),
        (Wishes(group="zzz"), "--group: found 'zzz'"),
        (Wishes(inputs=("text",), outputs=("text",)), "text, which is an output too"),
    ],
)
def test_wishes_that_cannot_be_are_refused(tmp_path: Path, wishes: Wishes, said: str) -> None:
    with pytest.raises(UserError) as caught:
        draft(tmp_path, columns(("t#", "x#"), names="text answer"), wishes)
    assert said in str(caught.value)


def test_too_few_rows_or_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only 2 rows"):
        draft(tmp_path, columns(("t#", "x#"), names="text answer", times=2))
    with pytest.raises(UserError, match="no column that could be an input"):
        draft(tmp_path, [{"answer": n} for n in range(9)])
    (tmp_path / "b.csv").write_text("a\n1\n")
    with pytest.raises(UserError, match=r"the data files b\.csv, rows\.jsonl"):
        draft_task(read_table([tmp_path]))


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path) -> None:
    made = draft(tmp_path, columns(("t#", "x#"), names="text answer"))
    write_folder(made, tmp_path / "made")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="something there already"):
        write_folder(made, tmp_path / "made")
    with pytest.raises(UserError, match="cannot be written"):
        write_folder(made, tmp_path / "new", beside={"no/such/folder.txt": ""})
    with pytest.raises(UserError, match="cannot be written"):
        write_folder(made, tmp_path / "rows.jsonl" / "new")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_task_file_says_the_same_as_the_draft(tmp_path: Path) -> None:
    labels = [f"label number {n}, or 'so'" for n in range(25)]
    made = draft(tmp_path, [{"on": f"t{n}", "null": labels[n % 25]} for n in range(100)], Wishes(outputs=("null",)))
    data = parse_data(task_text(made), "task.yaml")
    assert data["outputs"]["null"]["type"] == str(made.outputs[0].type)
    assert list(data["inputs"]) == ["on"]
    assert max(map(len, task_text(made).splitlines())) <= 130


def test_words_of_names() -> None:
    assert words("orderID") == ("order", "id")
    assert words("Expected  output-Text2") == ("expected", "output", "text", "2")
    assert words("größe") == ("grosse",)


@given(st.lists(st.text(max_size=80), unique=True, max_size=8))
def test_every_column_gets_a_name_of_its_own(given_columns: list[str]) -> None:
    names = field_names(given_columns)
    assert list(names) == given_columns
    assert len(set(names.values())) == len(names)
    assert all(is_name(name) for name in names.values())
    assert all(names[column] == column for column in given_columns if is_name(column))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["no", "on", "yes", "null", "1e3", "1.0", "007", "", " ", "a\nb", "\u2028", "[1]", '{"a": null}'])
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars, max_size=2)
names = st.sampled_from(
    ["id", "text", "answer", "class", "label", "from", "my column", "null", "user", "split", "feedback", "x", "é"]
) | st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=5)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    kinds = {
        name: draw(st.sampled_from([scalars, values, st.booleans(), st.sampled_from(["a", "b"])])) for name in found
    }
    return draw(st.lists(st.fixed_dictionaries({}, optional=kinds), min_size=1, max_size=9))


def same(loaded: Any, value: Any) -> bool:
    """Whether a value came through: as it was, as JSON or text of itself, or, for nothing, as something empty."""
    if value is None:
        return loaded in ("", [])
    if type(loaded) is not type(value) and str in (type(loaded), type(value)):
        text, other = (loaded, value) if isinstance(loaded, str) else (value, loaded)
        try:
            return json.loads(text) == other
        except ValueError:
            return text.casefold() == json.dumps(other)
    return bool(loaded == value)


@settings(max_examples=150, deadline=None)
@given(tables())
def test_any_table_is_refused_or_loads_with_the_same_values(rows: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        place = Path(folder)
        try:
            made = draft(place, rows)
        except UserError:
            return
        write_folder(made, place / "made")
        task = Task.load(place / "made")
    loaded = [example for split in task.splits.values() for example in split]
    assert loaded
    for example in loaded:
        fields = {**example.inputs, **example.expected}
        assert any(all(same(value, row.get(made.columns[name])) for name, value in fields.items()) for row in rows), (
            fields
        )


def test_too_many_columns_or_cells_are_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = [{f"c{number}": "x" for number in range(1001)}]
    with pytest.raises(UserError, match=r"rows\.csv: found 1,001 columns; expected at most 1,000"):
        draft_csv(tmp_path, wide)
    with pytest.raises(UserError, match="1,001 columns"):
        draft(tmp_path, [{f"c{number}": 1} for number in range(1001)])
    monkeypatch.setattr("flowbot.draft.table.MOST_CELLS", 7)
    with pytest.raises(UserError, match="4 rows of 2 columns; expected at most 7 cells"):
        draft(tmp_path, [{"word": str(number), "count": number} for number in range(4)])
