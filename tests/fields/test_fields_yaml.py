"""Reading and writing files: plain JSON values, strict, every fault with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import UserError
from flowbot.fields.yaml import MAX_BYTES, dump_yaml, parse_data, parse_json, read_data

texts = st.text(st.characters(exclude_categories=["Cs"]))
words = "true NO null ~ 12 0x1F 0o17 1e3 .5 1. -.inf .nan 2024-01-01 1_000 << = &x *x !t %d @ ` ' \" --- ... | > ? [ { "
lines = ["", "- a", "a: b", "# c", "a\n", "\na", "  a\nb", "a \nb", "\t", "a\r\nb", "a\n\n", "---\na", "\u2028", "\x85"]
tricky = st.sampled_from([*words.split(), *lines, "\ufeff", "\x00", "\x7f"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | tricky,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | tricky, inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_what_is_written_is_read_back(value: Any) -> None:
    back = parse_data(dump_yaml(value), "f.yaml")
    assert json.dumps(back) == json.dumps(value)  # the order of keys and 1 against 1.0 included


@pytest.mark.parametrize("text", ["Go on...", "...", "Go\non...", "Go\n...", "Go\n...\n", "Go\n--- on"])
def test_dots_at_the_end_of_a_file_are_kept(text: str) -> None:
    for value in (text, [text], {"a": text}, {"parts": [{"ref": "x"}, text]}):
        assert parse_data(dump_yaml(value), "f.yaml") == value


prompts = st.lists(st.sampled_from([*" \t\n\r-#:a{'\"\\\u2028\x85", "\r\n", "---", "é"]), min_size=1, max_size=30).map(
    "".join
)


@given(st.lists(prompts, min_size=1, max_size=3))
def test_texts_of_several_lines_are_written_over_several_lines_and_read_back_byte_for_byte(texts: list[str]) -> None:
    data = {"role": "user", "parts": [*texts, {"ref": "question"}]}
    written = dump_yaml({"parameters": {"answer": {"messages": [data]}}})
    assert parse_data(written, "f.yaml")["parameters"]["answer"]["messages"] == [data]
    assert written.count("\n") > sum(text.count("\n") for text in texts)


@given(json_values)
def test_json_is_read_as_json(value: Any) -> None:
    assert json.dumps(parse_json(json.dumps(value), "f.json")) == json.dumps(value)


@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@,? \n\t0.", max_size=40) | texts)
def test_any_text_is_data_or_a_user_error(text: str) -> None:
    try:
        value = parse_data(text, "f.yaml")
    except UserError:
        return
    assert json.dumps(value, allow_nan=False)


def test_plain_scalars_mean_what_yaml_1_2_says() -> None:
    text = """
    {int: -12, octal: 0o17, hex: 0x1F, old octal: 012, float: 1.5e3, yes: yes, on: on, true: true, none: null, tilde: ~,
     date: 2024-01-31, time: 12:30:45, version: 1.2.3, grouped: 1_000, quoted: "12", merge: <<, 7: seven}
    """
    assert parse_data(text, "f.yaml") == {
        "int": -12,
        "octal": 15,
        "hex": 31,
        "old octal": 12,
        "float": 1500.0,
        "yes": "yes",
        "on": "on",
        "true": True,
        "none": None,
        "tilde": None,
        "date": "2024-01-31",
        "time": "12:30:45",
        "version": "1.2.3",
        "grouped": "1_000",
        "quoted": "12",
        "merge": "<<",
        "7": "seven",
    }


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' twice"),
        ("a:\n  - {b: 1, b: 2}", 2, "the key 'b' twice"),
        ("1: a\n'1': b", 2, "the key '1' twice"),
        ("a: &x 1\nb: 2", 1, "the anchor &x"),
        ("a: 1\nb: *x", 2, "the alias *x"),
        ("a: 1\nb: !!python/object:os.system x", 2, "the tag"),
        ("b: !!str 1", 1, "the tag"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("%YAML 1.1\n---\na: yes", 2, "%YAML 1.1"),
        ("a: 1\nb: .nan", 2, ".nan"),
        ("a: 1\nb: 1e999", 2, "'1e999'"),
        ("a: " + "9" * 5000, 1, "a number of more than 300 digits"),
        ("a: 0x" + "f" * 5000, 1, "a number of more than 300 digits"),
        ("a: 1\n? [1]\n: 2", 2, "a list or mapping as a key"),
        ("a: 1\nb: [1,\n", 3, "broken YAML"),
        ("a: b: c", 1, "broken YAML"),
        ("a: 1\n\tb: 2", 2, "broken YAML"),
        ('a: 1\nb: "\\ud800"', 2, "half of a surrogate pair"),
        ("[" * 5000, 1, "values nested too deeply"),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, line: int, found: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_data(text, "f.yaml")
    assert caught.value.where == f"f.yaml:{line}"
    assert found in caught.value.found


@pytest.mark.parametrize("text", ["", "  \n# only a comment\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="found nothing"):
        parse_data(text, "f.yaml")


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ('{"a": 1,\n "b" 2}', "f.json:2", "broken JSON"),
        ('{"a": 1, "a": 2}', "f.json", "the key 'a' twice"),
        ('{"a": NaN}', "f.json", "'NaN'"),
        ('{"a": 1e999}', "f.json", "'1e999'"),
        ('"\\ud800"', "f.json", "half of a surrogate pair"),
        ("[" * 100 + "]" * 100, "f.json", "nested too deeply"),
        ("[" * 100_000, "f.json", "nested too deeply"),
        ("9" * 5000, "f.json", "more than 300 digits"),
        ("", "f.json:1", "nothing"),
    ],
)
def test_json_that_is_refused_is_named_with_its_place(text: str, where: str, found: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_json(text, "f.json")
    assert caught.value.where == where
    assert found in caught.value.found


def test_a_line_given_for_json_is_the_line_named() -> None:
    with pytest.raises(UserError, match=r"^rows\.jsonl:7: found broken JSON"):
        parse_json("{", "rows.jsonl", line=7)


def test_files_are_read_by_their_suffix_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: \xc3\xa4\n")
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"name": "\xc3\xa4"}')
    assert read_data(tmp_path / "a.yaml") == read_data(tmp_path / "a.json") == {"name": "ä"}


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe4\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    for name, said in {
        "none.yaml": "no such file",
        ".": "a folder",
        "latin.yaml": "not UTF-8",
        "large.yaml": "more than 1,000,000 bytes",
        "\0": "cannot be read",
    }.items():
        with pytest.raises(UserError, match=said) as caught:
            read_data(tmp_path / name)
        assert str(tmp_path) in caught.value.where
    with pytest.raises(UserError, match=r"latin\.yaml:2"):
        read_data(tmp_path / "latin.yaml")


def test_what_is_written_is_what_people_like_to_read() -> None:
    data = {
        "flowbot": 1,
        "inputs": {"note": "str"},
        "nodes": {
            "read": {"kind": "llm", "in": {"note": "note"}, "out": {"ns": "list[int]"}},
            "add": {"kind": "code", "in": {"ns": "read.ns"}, "out": {"total": "int"}},
        },
        "parameters": {"add": {"code": "def run(ns):\n    return {'total': sum(ns)}\n"}, "read": {"temperature": 0.0}},
    }
    assert dump_yaml(data) == (
        "flowbot: 1\n"
        "inputs: {note: str}\n"
        "nodes:\n"
        "  read: {kind: llm, in: {note: note}, out: {ns: 'list[int]'}}\n"
        "  add: {kind: code, in: {ns: read.ns}, out: {total: int}}\n"
        "parameters:\n"
        "  add:\n"
        "    code: |\n"
        "      def run(ns):\n"
        "          return {'total': sum(ns)}\n"
        "  read: {temperature: 0.0}\n"
    )


def test_what_json_cannot_hold_is_not_written() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="cannot stand in a file"):
            dump_yaml({"a": value})
    for value in ({"a": {1}}, {1: "a"}):
        with pytest.raises(TypeError):
            dump_yaml(value)
