"""Data files as spreadsheets and exports leave them: each is read, or refused in one line that says where."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowbot.draft.kinds import kind_of
from flowbot.fields import UserError
from flowbot.task import Example, Task
from flowbot.task.data import read_rows
from flowbot.task.decode import decoded
from flowbot.task.delimited import cell_value, table_rows


def rows_of(folder: Path, name: str, content: str | bytes) -> list[dict[str, Any]]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [dict(row.values) for row in read_rows(path)]


TWO = [{"a": "1", "b": "x, y"}, {"a": "2", "b": 'say "hi"\nthere'}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", 'a,b\n1,"x, y"\n2,"say ""hi""\nthere"\n'),
        ("d.csv", 'a,b\r\n1,"x, y"\r\n\r\n2,"say ""hi""\nthere"\r\n'),
        ("d.csv", 'a;b\n1;x, y\n2;"say ""hi""\nthere"\n'),
        ("d.csv", 'sep=;\na;b\n1;x, y\n2;"say ""hi""\nthere"\n'),
        ("d.csv", 'a|b\n1|x, y\n2|"say ""hi""\nthere"\n'),
        ("d.csv", 'a\tb\n1\tx, y\n2\t"say ""hi""\nthere"\n'),
        ("d.tsv", 'a\tb\n1\tx, y\n2\t"say ""hi""\nthere"\n'),
        ("d.csv", 'a,b,,\n1,"x, y",,\n,,,\n2,"say ""hi""\nthere"\n'.replace('there"', 'there",,')),
        ("d.csv", 'a,b\n1,"x, y",,\n2,"say ""hi""\nthere"\n'),
        ("D.CSV", 'a,b\n1,"x, y"\n2,"say ""hi""\nthere"\n'),
        ("d.csv", ('\ufeffa,b\n1,"x, y"\n2,"say ""hi""\nthere"\n').encode("utf-8")),
        ("d.csv", 'a,b\n1,"x, y"\n2,"say ""hi""\nthere"\n'.encode("utf-16")),
        ("d.csv", ('\ufeffa,b\n1,"x, y"\n2,"say ""hi""\nthere"\n').encode("utf-16-be")),
        ("d.csv", 'a,b\n1,"x, y"\n2,"say ""hi""\nthere"\n'.encode("utf-32")),
        ("d.json", json.dumps(TWO)),
        ("d.json", json.dumps(TWO, indent=2)),
        ("d.json", json.dumps({"data": TWO})),
        ("d.json", "\n".join(map(json.dumps, TWO))),
        ("d.jsonl", "\r\n".join(map(json.dumps, TWO)) + "\r\n\r\n"),
        ("d.jsonl", json.dumps(TWO, indent=1)),
        ("d.jsonl", json.dumps(TWO)),
        ("d.ndjson", "\n".join(map(json.dumps, TWO))),
    ],
)
def test_the_same_rows_are_read_however_they_were_saved(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert rows_of(tmp_path, name, content) == TWO


@pytest.mark.parametrize(
    ("name", "content", "where", "said"),
    [
        ("d.csv", "a,b\n1,2\n3\n", ":3", "1 cells; expected 2"),
        ("d.csv", "a,b\n1,2\n3,4,5\n", ":3", "3 cells; expected 2"),
        ("d.csv", 'a,b\n1,2\n"3,4\n', ":3", "broken CSV"),
        ("d.csv", "a,b,a\n1,2,3\n", ":1", "the column names a twice"),
        ("d.csv", "a,b\n", "d.csv", "no rows below the line of column names"),
        ("d.csv", "", "d.csv", "no rows"),
        (
            "d.csv",
            "a,b\n1,ü\n".encode("latin-1"),
            ":2",
            "(0xfc at byte 6); expected UTF-8 text; to convert: iconv -f CP1252",
        ),
        ("d.csv", "a,b\n1,2\n".encode("utf-16-le"), ":1", "a NUL character"),
        ("d.csv", b"\xff\xfea\x00,", "d.csv", "broken UTF-16"),
        ("d.jsonl", '{"a": 1},\n{"a": 2}', ":1", "Extra data at column 9); expected a JSON object on each line"),
        ("d.jsonl", '{"a": 1}\n{"a": NaN}', ":2", "'NaN'; expected a finite number, or null"),
        ("d.jsonl", '{"a": 1}\n"b"', ":2", "a str; expected a JSON object on each line"),
        ("d.json", '[{"a": 1},]', ":1", "broken JSON"),
        ("d.json", '[{"a": 1}, 2]', "d.json[1]", "an int"),
        ("d.json", '{"a": 1, "b": 2}', "d.json", "JSON that is no list"),
        ("d.json", "[]", "d.json", "no rows"),
        ("d.xlsx", b"PK", "d.xlsx", "'.xlsx'; expected a table saved as CSV"),
        ("d.txt", "a", "d.txt", "expected a file that ends in .jsonl"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, where: str, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        rows_of(tmp_path, name, content)
    assert caught.value.where.endswith(where)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cell_of_twenty_megabytes_is_read_and_the_limit_of_the_process_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "word " * 4_000_000
    assert rows_of(tmp_path, "d.csv", f'text,label\n"{text}",a\n') == [{"text": text, "label": "a"}]
    assert csv.field_size_limit() == before
    with pytest.raises(UserError):
        rows_of(tmp_path, "d.csv", f'text\n"{text}')
    assert csv.field_size_limit() == before


def test_a_column_without_a_name_gets_one_if_it_holds_anything() -> None:
    row = table_rows(",text,\n0,a,\n1,b,\n", "d.csv")[1]
    assert (row.place, list(row.values.items())) == ("d.csv:3", [("column_1", "1"), ("text", "b")])


def test_commas_in_texts_do_not_hide_what_stands_between_the_cells() -> None:
    rows = table_rows("id;said\n1;well, yes, no\n2;no\n", "d.csv")
    assert [row.values for row in rows] == [{"id": "1", "said": "well, yes, no"}, {"id": "2", "said": "no"}]


def test_western_windows_files_are_read_only_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes("naïve – “so”".encode("cp1252"))
    assert decoded(path, windows=True) == ("naïve – “so”", "cp1252")
    with pytest.raises(UserError, match="not UTF-8"):
        decoded(path)
    path.write_bytes(b"\x81\x8d")  # no character of that encoding
    with pytest.raises(UserError, match="not UTF-8"):
        decoded(path, windows=True)


cells = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n"), max_size=12)


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str, str]], mark: str) -> None:
    import io

    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=mark, quoting=csv.QUOTE_ALL)
    writer.writerow(("one", "two", "three"))
    writer.writerows(rows)
    kept = [row for row in rows if any(map(str.strip, row))]
    assume(kept)
    assert [tuple(row.values.values()) for row in table_rows(out.getvalue(), "d.csv")] == kept


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('["red", "blue"]', ["red", "blue"]),
        ("['red', 'blue']", ["red", "blue"]),
        (r"['C:\data', 'b']", [r"C:\data", "b"]),
        ("['it's', \"so\", None]", None),
        (" ['a',\n 'b'] ", ["a", "b"]),
        ("[]", []),
    ],
)
def test_a_list_in_a_cell_is_read_as_json_or_as_python_writes_it(tmp_path: Path, cell: str, value: Any) -> None:
    quoted = cell.replace('"', '""')
    (tmp_path / "rows.csv").write_text(f'q,tags\nx,"{quoted}"\n')
    fields = {"inputs": {"q": str}, "outputs": {"tags": "list[str]"}, "metric": "json_fields", "goal": "g"}
    if value is None:
        with pytest.raises(UserError, match=r"rows\.csv:2: tags"):
            Task(**fields, train=tmp_path / "rows.csv")
    else:
        assert Task(**fields, train=tmp_path / "rows.csv").train[0].expected == {"tags": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': [1, 2.5, True, None], 'b': {'c': 'd'}}", {"a": [1, 2.5, True, None], "b": {"c": "d"}}),
        ("['a' 'b']", None),
        ("['red'\n 'blue']", None),
        ("['a', ('b',)]", None),
        ("[{'a'}]", None),
        ("[b'a']", None),
        ("{1: 'a'}", None),
        ("[1e999]", None),
        ("[__import__('os').getcwd()]", None),
        ("['a'", None),
        ("[" * 5000 + "]" * 5000, None),
        ("[-1, 1 + 2j]", None),
        ("red", None),
    ],
)
def test_of_what_python_writes_only_data_is_read(text: str, value: Any) -> None:
    if value is None:
        with pytest.raises(UserError):
            cell_value(text, "cell")
    else:
        assert cell_value(text, "cell") == value


def test_init_reads_lists_that_python_wrote() -> None:
    kind = kind_of([f"['red', '{tag}']" for tag in "abab"], cells=True, output=True)
    assert kind.type.kind == "list"
    assert kind.fit("['red', 'a']") == ["red", "a"]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("row", "place"),
    [
        (lambda odd: {"q": [1.0, odd], "n": 1}, "q[1]"),
        (lambda odd: {"q": [{"deep": odd}], "n": 1}, "q[0]: deep"),
        (lambda odd: {"q": [1.0], "n": 1, "note": {"why": [odd]}}, "note: why[0]"),
        (lambda odd: ({"q": [odd]}, {"n": 1}), "q[0]"),
        (lambda odd: Example("e", {"q": [odd]}, {"n": 1}), "q[0]"),
        (lambda odd: Example("e", {"q": [1.0]}, {"n": 1}, extra={"z": [odd]}), "z[0]"),
    ],
)
def test_a_number_that_is_none_inside_of_a_value_is_named_with_its_place(odd: float, row: Any, place: str) -> None:
    with pytest.raises(UserError) as caught:
        Task(
            goal="g", inputs={"q": "list[float]"}, outputs={"n": int}, metric="exact",
            train=[{"q": [1.0], "n": 1}, row(odd)],
        )  # fmt: skip
    assert caught.value.where == f"train[1]: {place}"
    assert caught.value.expected == "a finite number"
