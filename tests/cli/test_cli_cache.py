"""`flowbot cache` and what hangs below it."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task
from hypothesis import given
from hypothesis import strategies as st

import flowbot.store.files as files_module
from flowbot.cli.cache import Kind
from flowbot.cli.quantities import age_text, parse_age, parse_size, size_text
from flowbot.fields import UserError
from flowbot.store.rows import KINDS

Capture = pytest.CaptureFixture[str]
PAGE = (Path(__file__).parents[2] / "docs" / "cache.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(capsys: Capture, tmp_path: Path) -> Path:
    """A cache folder with what scoring a workflow on eight examples stores."""
    cache = tmp_path / "cache"
    flow, task = str(write_flow(tmp_path)), str(write_task(tmp_path))
    said = flowbot(capsys, "eval", flow, task, "--split", "test", *FAKE, "--cache-dir", str(cache), "--quiet")
    assert said.status == 0
    return cache


def sql(folder: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def age(folder: Path, days: int) -> None:
    sql(folder, f"UPDATE responses SET used = used - {days}, created = created - {days * 86_400}")


def test_stats_say_what_is_stored(capsys: Capture, folder: Path) -> None:
    place = ["--cache-dir", str(folder)]
    facts = flowbot(capsys, "cache", "stats", *place, "--json").json
    kinds = dict(sql(folder, "SELECT kind, count(*) FROM responses GROUP BY kind"))
    assert {kind: each["entries"] for kind, each in facts["kinds"].items()} == kinds
    assert facts["entries"] == sum(each["entries"] for each in facts["kinds"].values()) > 8
    assert facts["bytes"] == sum(each["bytes"] for each in facts["kinds"].values())
    assert facts["file_bytes"] > facts["bytes"]
    assert facts["limits"] == {"size": None, "age": None}
    assert facts["oldest"] <= facts["newest"]
    said = flowbot(capsys, "cache", *place)
    assert (said.status, said.err) == (0, "")
    assert str(folder) in said.out
    assert f"{kinds['lm']} responses" in said.out
    assert flowbot(capsys, "cache", *place, "--quiet").out.count("\n") == 1


def test_nothing_stored_is_no_error_and_makes_no_file(capsys: Capture, tmp_path: Path) -> None:
    place = ["--cache-dir", str(tmp_path / "none")]
    assert flowbot(capsys, "cache", *place).out.startswith("nothing is stored")
    facts = flowbot(capsys, "cache", *place, "--json").json
    assert (facts["entries"], facts["oldest"], facts["kinds"]) == (0, None, {})
    assert flowbot(capsys, "cache", "prune", "--older-than", "1d", *place).status == 0
    assert flowbot(capsys, "cache", "limit", *place).status == 0
    for verb in (["verify"], ["export", str(tmp_path / "out.jsonl")]):
        said = flowbot(capsys, "cache", *verb, *place)
        assert said.status == 2
        assert "no such file" in said.error
    assert not (tmp_path / "none").exists()


def test_prune_drops_what_it_said_it_would(capsys: Capture, folder: Path) -> None:
    place = ["--cache-dir", str(folder)]
    age(folder, 31)
    before = sql(folder, "SELECT count(*) FROM responses")[0][0]
    would = flowbot(capsys, "cache", "prune", "--older-than", "30d", "--kind", "lm", "--dry-run", *place, "--json").json
    assert would["dry_run"] is True
    assert sql(folder, "SELECT count(*) FROM responses")[0][0] == before
    did = flowbot(capsys, "cache", "prune", "--older-than", "30d", "--kind", "lm", *place, "--json").json
    assert (did["entries"], did["bytes"]) == (would["entries"], would["bytes"])
    assert sql(folder, "SELECT count(*) FROM responses WHERE kind = 'lm'")[0][0] == 0
    assert sql(folder, "SELECT count(*) FROM responses")[0][0] == before - did["entries"] > 0
    said = flowbot(capsys, "cache", "prune", "--older-than", "2w", *place)
    assert "dropped" in said.out
    assert sql(folder, "SELECT count(*) FROM responses")[0][0] == 0


def test_prune_by_size_keeps_what_was_just_used(capsys: Capture, folder: Path) -> None:
    said = flowbot(capsys, "cache", "prune", "--size", "1KB", "--cache-dir", str(folder))
    assert said.status == 0
    assert "dropped 0 responses" in said.out
    assert "today or yesterday stays" in said.out


def test_prune_without_a_condition_keeps_the_limits(capsys: Capture, folder: Path) -> None:
    place = ["--cache-dir", str(folder)]
    said = flowbot(capsys, "cache", "prune", *place)
    assert said.status == 2
    assert "flowbot cache limit" in said.error
    assert flowbot(capsys, "cache", "limit", "--age", "10d", *place).status == 0
    age(folder, 12)
    assert flowbot(capsys, "cache", "prune", *place, "--json").json["entries"] > 8


def test_limits_are_set_shown_and_lifted(capsys: Capture, folder: Path) -> None:
    place = ["--cache-dir", str(folder)]
    facts = flowbot(capsys, "cache", "limit", "--size", "2GB", "--age", "90d", *place, "--json").json
    assert (facts["size"], facts["age"], facts["pruned"]["entries"]) == (2 * 10**9, 90 * 86_400, 0)
    assert "at most 2 GB" in flowbot(capsys, "cache", "limit", *place).out
    assert "90 days" in flowbot(capsys, "cache", *place).out
    facts = flowbot(capsys, "cache", "limit", "--size", "none", *place, "--json").json
    assert (facts["size"], facts["age"]) == (None, 90 * 86_400)
    age(folder, 100)
    facts = flowbot(capsys, "cache", "limit", "--age", "1w", *place, "--json").json
    assert facts["pruned"]["entries"] > 8


def test_limits_are_kept_by_the_commands_that_use_the_store(capsys: Capture, folder: Path, tmp_path: Path) -> None:
    place = ["--cache-dir", str(folder)]
    flowbot(capsys, "cache", "limit", "--age", "7d", *place)
    entries = sql(folder, "SELECT count(*) FROM responses")[0][0]
    age(folder, 30)
    sql(folder, "INSERT INTO responses (key, kind, value, created) VALUES ('unused', 'lm', '{}', 1e9)")
    flow, task = str(tmp_path / "count.flow.yaml"), str(tmp_path / "task.yaml")
    assert flowbot(capsys, "eval", flow, task, "--split", "test", *FAKE, *place).status == 0
    assert sql(folder, "SELECT count(*) FROM responses")[0][0] == entries
    assert sql(folder, "SELECT * FROM responses WHERE key = 'unused'") == []


@pytest.mark.parametrize("option", [["prune", "--size"], ["limit", "--size"]])
@pytest.mark.parametrize("size", ["5q", "GB", "-1GB", "0", "1e3", "", "none of it", "9" * 40])
def test_a_size_that_is_none_is_said(capsys: Capture, tmp_path: Path, option: list[str], size: str) -> None:
    said = flowbot(capsys, "cache", option[0], f"{option[1]}={size}", "--cache-dir", str(tmp_path))
    assert said.status == 2
    assert "500MB" in said.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("age", ["5m", "d", "30", "-1d", "0d"])
def test_an_age_that_is_none_is_said(capsys: Capture, tmp_path: Path, age: str) -> None:
    said = flowbot(capsys, "cache", "prune", f"--older-than={age}", "--cache-dir", str(tmp_path))
    assert said.status == 2
    assert "12h, 30d or 2w" in said.error


@pytest.mark.parametrize(
    ("text", "size"),
    [("500MB", 500_000_000), ("2 gb", 2 * 10**9), ("1.5KB", 1500), ("7", 7), ("3B", 3), ("1TB", 10**12)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size("--size", text) == size


@given(st.integers(1, 10**15))
def test_a_size_reads_back_about_as_it_was_said(size: int) -> None:
    assert parse_size("--size", size_text(size)) == pytest.approx(size, rel=0.01)


@given(st.integers(1, 5000), st.sampled_from("hdw"))
def test_ages(number: int, unit: str) -> None:
    seconds = parse_age("--age", f"{number}{unit}")
    assert seconds == number * {"h": 3600, "d": 86_400, "w": 604_800}[unit]
    said, word = age_text(seconds).split()
    assert float(said) * {"hour": 3600, "day": 86_400}[word.rstrip("s")] == seconds
    with pytest.raises(UserError):
        parse_age("--age", f"{number}{unit}{unit}")


def test_verify_names_what_is_damaged_and_repair_drops_it(capsys: Capture, folder: Path) -> None:
    place = ["--cache-dir", str(folder)]
    said = flowbot(capsys, "cache", "verify", *place)
    assert (said.status, said.err) == (0, "")
    entries = flowbot(capsys, "cache", "verify", *place, "--json").json["entries"]
    keys = [str(key) for (key,) in sql(folder, "SELECT key FROM responses WHERE kind = 'lm' ORDER BY key LIMIT 3")]
    sql(folder, f"UPDATE responses SET value = replace(value, 'text', 'test') WHERE key = '{keys[0]}'")
    sql(folder, f"UPDATE responses SET value = '{{\"text\": 1}}', crc = NULL WHERE key = '{keys[1]}'")
    sql(folder, f"UPDATE responses SET value = '{{\"failed\": \"other\"}}', crc = NULL WHERE key = '{keys[2]}'")
    said = flowbot(capsys, "cache", "verify", *place)
    assert said.status == 1
    assert all(key in said.out for key in keys)
    assert "3 responses damaged; flowbot cache verify --repair" in said.error
    facts = flowbot(capsys, "cache", "verify", "--repair", *place, "--json").json
    assert (facts["ok"], facts["entries"], facts["dropped"]) == (True, entries, 3)
    assert [each["key"] for each in facts["damaged"]] == keys or {each["key"] for each in facts["damaged"]} == set(keys)
    assert flowbot(capsys, "cache", "verify", *place, "--json").json["entries"] == entries - 3


def test_what_is_imported_elsewhere_is_not_asked_for_again(capsys: Capture, folder: Path, tmp_path: Path) -> None:
    out, other = str(tmp_path / "stored.jsonl.gz"), ["--cache-dir", str(tmp_path / "other")]
    done = flowbot(capsys, "cache", "export", out, "--cache-dir", str(folder), "--json").json
    assert (done["file"], done["damaged"]) == (out, [])
    facts = flowbot(capsys, "cache", "import", out, *other, "--json").json
    assert (facts["entries"], facts["new"]) == (done["entries"], done["entries"])
    again = flowbot(capsys, "cache", "import", out, *other)
    assert "0 of them new" in again.out
    assert flowbot(capsys, "cache", "verify", *other).status == 0
    flow, task = str(tmp_path / "count.flow.yaml"), str(tmp_path / "task.yaml")
    flowbot(capsys, "eval", flow, task, "--split", "test", *FAKE, *other, "--json")
    assert flowbot(capsys, "cache", *other, "--json").json["entries"] == done["entries"]


def test_an_import_refuses_what_is_no_reply_of_a_model(capsys: Capture, tmp_path: Path) -> None:
    line = {"key": "k", "kind": "lm", "created": 1.0, "value": {"failed": "model", "text": "too long"}}
    bad = {**line, "value": {"text": "hello"}}
    (tmp_path / "in.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(bad)}\n", encoding="utf-8")
    said = flowbot(capsys, "cache", "import", str(tmp_path / "in.jsonl"), "--cache-dir", str(tmp_path / "cache"))
    assert said.status == 2
    assert "in.jsonl:2" in said.error
    assert "not a model's reply" in said.error
    assert not (tmp_path / "cache").exists()


def test_a_damaged_response_is_left_out_of_an_export_and_said(capsys: Capture, folder: Path, tmp_path: Path) -> None:
    sql(folder, "UPDATE responses SET value = '{}' WHERE rowid = 1")
    said = flowbot(capsys, "cache", "export", str(tmp_path / "out.jsonl"), "--cache-dir", str(folder))
    assert said.status == 1
    assert "1 response left out" in said.error


def test_a_locked_store_fails_in_one_line(capsys: Capture, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "BUSY_SECONDS", 0.05)
    place = ["--cache-dir", str(folder)]
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for verb in (["prune", "--kind", "lm"], ["limit", "--size", "2GB"]):
            said = flowbot(capsys, "cache", *verb, *place)
            assert said.status == 1
            assert "another process keeps it locked" in said.error
        assert flowbot(capsys, "cache", *place).status == 0
        assert flowbot(capsys, "cache", "verify", *place).status == 0


def test_a_file_that_is_no_store_is_named(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("this is a text and no database at all, " * 50, encoding="utf-8")
    for verb in ([], ["verify"], ["prune", "--kind", "lm"], ["limit", "--size", "1GB"]):
        said = flowbot(capsys, "cache", *verb, "--cache-dir", str(tmp_path))
        assert said.status == 2
        assert "not a database" in said.error


def test_the_kinds_of_the_command_line_are_those_of_the_store() -> None:
    assert get_args(Kind) == KINDS


def test_every_command_of_the_page_on_the_cache_works(capsys: Capture, folder: Path, tmp_path: Path) -> None:
    commands = re.findall(r"^    (flowbot cache.*?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        arguments = [str(tmp_path / each) if ".jsonl" in each else each for each in shlex.split(command)[1:]]
        said = flowbot(capsys, *arguments, "--cache-dir", str(folder))
        assert (command, said.status, said.err) == (command, 0, "")


def test_what_is_told_of_a_damaged_file_is_not_to_do_the_same_again(capsys: Capture, folder: Path) -> None:
    file = folder / "store.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:] = b"Z" * (len(content) - 4096)
    file.write_bytes(content)
    said = flowbot(capsys, "cache", "verify", "--cache-dir", str(folder))
    assert said.status == 1
    assert "the file is damaged" in said.error
    assert "where `flowbot cache verify` ends with this too, move it away" in said.error
