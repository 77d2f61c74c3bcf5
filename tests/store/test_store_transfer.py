"""Carrying responses elsewhere, and checking what is stored."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_help import damage, damage_page, fill, first_version, is_sound, keys, numbered, sql

import flowbot.store.transfer as transfer_module
from flowbot.fields import UserError
from flowbot.store.transfer import export_responses, import_responses
from flowbot.store.verify import Damage, verify


def any_value(kind: str, value: Mapping[str, Any]) -> None:
    pass


def no_pears(kind: str, value: Mapping[str, Any]) -> None:
    if "pears" in value:
        raise ValueError("it has pears")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def content(path: Path) -> list[tuple[Any, ...]]:
    return sql(path, "SELECT key, kind, value, created FROM responses ORDER BY key")


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_what_is_exported_and_imported_is_the_same(path: Path, tmp_path: Path, name: str) -> None:
    fill(path, {**numbered(range(700)), "odd": {"text": "\ud83d ü\n", "deep": [[1.5, None]]}})
    fill(path, {"p": {"b": 1, "a": 2}}, kind="probe")
    out, other = tmp_path / name, tmp_path / "other.sqlite"
    assert export_responses(path, out).entries == 702
    assert (out.read_bytes()[:2] == b"\x1f\x8b") == name.endswith("gz")
    done = import_responses(other, out, check=any_value)
    assert (done.entries, done.new) == (702, 702)
    assert content(other) == content(path)
    again = tmp_path / f"again-{name}"
    export_responses(other, again)
    assert again.read_bytes() == out.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_what_stands_already_stands(path: Path, tmp_path: Path) -> None:
    fill(path, {"k": {"n": 1}})
    lines = [{"key": key, "kind": "lm", "created": 1, "value": {"n": n}} for n, key in enumerate(["k", "l", "l"], 5)]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(line) + "\n\n" for line in lines), encoding="utf-8")
    done = import_responses(path, source, check=any_value)
    assert (done.entries, done.new) == (3, 1)
    assert {key: value for key, _, value, _ in content(path)} == {"k": '{"n":1}', "l": '{"n":6}'}


def test_only_a_kind_is_exported(path: Path, tmp_path: Path) -> None:
    fill(path, numbered(range(3)))
    fill(path, {"p": {}}, kind="probe")
    assert export_responses(path, tmp_path / "out", kind="probe").entries == 1
    assert json.loads((tmp_path / "out").read_text())["key"] == "p"


def test_an_export_that_fails_leaves_the_earlier_one(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("earlier", encoding="utf-8")
    with pytest.raises(UserError, match="no such file"):
        export_responses(path, out)
    fill(path, {"k": {}})
    with pytest.raises(UserError, match="no-folder"):
        export_responses(path, tmp_path / "no-folder" / "out.jsonl")
    assert out.read_text(encoding="utf-8") == "earlier"
    assert {each.name for each in tmp_path.iterdir()} >= {"out.jsonl"}


GOOD = {"key": "k", "kind": "lm", "created": 1.5, "value": {"n": 1}}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "broken JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("\udcff", "not UTF-8"),
        ("3", "no JSON object"),
        (json.dumps({**GOOD, "more": 1}), "the members"),
        (json.dumps({"key": "k"}), "the members key"),
        (json.dumps({**GOOD, "key": ""}), "a key"),
        (json.dumps({**GOOD, "key": 3}), "a key"),
        (json.dumps({**GOOD, "key": "k" * 1000}), "a key"),
        (json.dumps({**GOOD, "key": "a\nb"}), "a key"),
        (json.dumps({**GOOD, "kind": "pickle"}), "the kind 'pickle'"),
        (json.dumps({**GOOD, "kind": ["lm"]}), "the kind"),
        (json.dumps({**GOOD, "created": "now"}), "the time"),
        (json.dumps({**GOOD, "created": True}), "the time"),
        (json.dumps({**GOOD, "created": 1e15}), "the time"),
        (json.dumps({**GOOD, "created": -1}), "the time"),
        (json.dumps({**GOOD, "created": float("nan")}), "NaN"),
        (json.dumps({**GOOD, "value": [1]}), "a value that is no JSON object"),
        (json.dumps({**GOOD, "value": {"n": float("inf")}}), "Infinity"),
        (json.dumps(GOOD).replace('"n": 1', '"n": 1e999'), "'1e999'"),
        (json.dumps({**GOOD, "value": {"pears": 1}}), "it has pears"),
        (json.dumps({**GOOD, "value": {"text": "x" * 2000}}), "a line of more than 1,000 bytes"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    path: Path, tmp_path: Path, line: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "x" * 2000 in line:
        monkeypatch.setattr(transfer_module, "MAX_LINE", 1000)
    source = tmp_path / "in.jsonl"
    source.write_bytes(f"{json.dumps(GOOD)}\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=said) as caught:
        import_responses(path, source, check=no_pears)
    assert f"{source}:2" in str(caught.value)
    assert len(str(caught.value)) < 600
    assert not path.exists()


@given(data=st.binary(max_size=200), packed=st.booleans())
def test_no_file_makes_an_import_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes, packed: bool) -> None:
    folder = tmp_path_factory.mktemp("import")
    source = folder / "in"
    source.write_bytes(gzip.compress(json.dumps(GOOD).encode()) + data if packed else data)
    with suppress(UserError):
        assert import_responses(folder / "store.sqlite", source, check=any_value).entries == int(packed)


@pytest.mark.parametrize("cut", [5, 20, -3])
def test_a_file_that_was_cut_off_is_named(path: Path, tmp_path: Path, cut: int) -> None:
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(gzip.compress("".join(json.dumps(GOOD) + "\n" for _ in range(99)).encode())[:cut])
    with pytest.raises(UserError, match=r"in\.jsonl\.gz"):
        import_responses(path, source, check=any_value)
    assert not path.exists()
    with pytest.raises(UserError, match="no such file"):
        import_responses(path, tmp_path / "none", check=any_value)


def test_a_sound_store_is_found_sound(path: Path) -> None:
    fill(path, numbered(range(500)))
    found = verify(path, check=any_value)
    assert (found.sound, found.entries, found.damaged, found.structure) == (True, 500, (), ())


def test_a_file_of_the_first_version_is_checked_as_it_is(path: Path) -> None:
    first_version(path, [("k", "lm", "{}", 1.0), ("l", "lm", "{", 1.0), ("m", "other", "{}", 1.0)])
    found = verify(path, check=any_value)
    assert found.damaged == (
        Damage("l", "lm", "broken JSON (Expecting property name enclosed in double quotes at column 2)"),
        Damage("m", "other", "the kind 'other'"),
    )
    assert sql(path, "PRAGMA user_version") == [(1,)]


def test_damaged_responses_are_named_and_dropped(path: Path, tmp_path: Path) -> None:
    fill(path, {f"k{n}": {"text": f"pears {n:03}"} for n in range(500)})
    fill(path, {"p": {"pears": 1}, "q": {"n": 1}}, kind="tool")
    damage(path, b"pears 007", b"pears 008")
    damage(path, b'{"text":"pears 011"}', b"\xff" * 20)
    sql(path, "UPDATE responses SET value = '[]', crc = NULL WHERE key = 'k400'")
    found = verify(path, check=no_pears)
    assert {each.key: each.why for each in found.damaged} == {
        "k7": "its checksum differs",
        "k11": "its checksum differs",
        "k400": "no JSON object",
        "p": "it has pears",
    }
    assert not found.sound
    assert len(keys(path)) == 502
    exported = export_responses(path, tmp_path / "out")
    assert (exported.entries, set(exported.damaged)) == (499, {"k7", "k11", "k400"})
    repaired = verify(path, check=no_pears, repair=True)
    assert (repaired.sound, repaired.dropped) == (True, 4)
    assert len(keys(path)) == 498
    assert verify(path, check=no_pears).damaged == ()


def test_a_response_that_is_whole_again_by_then_is_not_dropped(path: Path) -> None:
    fill(path, {"k": {"n": 1}})
    seen: list[object] = []

    def odd_at_first(kind: str, value: Mapping[str, Any]) -> None:
        seen.append(value)
        if len(seen) == 1:
            raise ValueError("odd")

    assert verify(path, check=odd_at_first, repair=True).dropped == 0
    assert keys(path) == {"k"}


def test_a_damaged_page_is_found_and_the_rest_can_be_carried_away(path: Path, tmp_path: Path) -> None:
    fill(path, {f"k{n}": {"text": f"{n:03} " + "x" * 1000} for n in range(300)})
    damage_page(path, b'{"text":"050 ')
    found = verify(path, check=any_value)
    assert found.structure
    assert not found.sound
    assert any(each.why == "it cannot be read" for each in found.damaged)
    assert not verify(path, check=any_value, repair=True).sound
    out, other = tmp_path / "out", tmp_path / "other.sqlite"
    assert export_responses(path, out).entries > 290
    import_responses(other, out, check=any_value)
    assert len(keys(other)) > 290
    assert verify(other, check=any_value).sound


def test_a_damaged_index_is_rebuilt(path: Path) -> None:
    fill(path, numbered(range(500)))
    data = path.read_bytes()
    in_index = next(at.start() for at in re.finditer(b"k250", data) if data[at.end() : at.end() + 2] != b"lm")
    path.write_bytes(data[:in_index] + b"k2zz" + data[in_index + 4 :])
    assert verify(path, check=any_value).structure
    assert verify(path, check=any_value, repair=True).sound
    assert is_sound(path)
    assert len(keys(path)) == 500
