"""A kill at the worst moments: what was committed is there, the file is sound, and the next use goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store_help import age, fill, first_version, is_sound, keys, numbered, sql

from flowbot.store.limits import Limits, prune, set_limits
from flowbot.store.rows import DAY
from flowbot.store.stats import read_stats
from flowbot.store.transfer import import_responses

DRIVER = Path(__file__).with_name("store_kill_driver.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def killed(path: Path, action: str, before: str, number: int = 1) -> set[str]:
    """Do it until the kill; returns what was confirmed."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(path), action, before, str(number)], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "before",
    [
        "ALTER TABLE responses ADD COLUMN used",
        "ALTER TABLE responses ADD COLUMN crc",
        "UPDATE responses",
        "CREATE INDEX",
        "CREATE TABLE settings",
        "PRAGMA user_version = 2",
        "COMMIT",
    ],
)
def test_a_kill_in_the_middle_of_a_migration_leaves_the_old_version(path: Path, before: str) -> None:
    first_version(path, [(f"k{n}", "lm", json.dumps({"n": n}), 1.0) for n in range(300)])
    killed(path, "open", before)
    assert sql(path, "PRAGMA user_version") == [(1,)]
    assert [column[1] for column in sql(path, "PRAGMA table_info(responses)")] == ["key", "kind", "value", "created"]
    fill(path, {"new": {}})
    assert sql(path, "PRAGMA user_version") == [(2,)]
    assert keys(path) == {"new", *numbered(range(300))}
    assert sql(path, "SELECT count(*) FROM responses WHERE crc IS NULL") == [(0,)]
    assert is_sound(path)


@pytest.mark.parametrize(
    ("before", "number"),
    [("PRAGMA journal_mode", 1), ("CREATE TABLE responses", 1), ("PRAGMA user_version = 1", 1), ("COMMIT", 1)],
)
def test_a_kill_while_the_file_is_made_leaves_one_that_opens(path: Path, before: str, number: int) -> None:
    killed(path, "open", before, number)
    fill(path, {"k": {}})
    assert keys(path) == {"k"}
    assert is_sound(path)


@pytest.mark.parametrize("action", ["put", "replace"])
@pytest.mark.parametrize(("before", "number"), [("COMMIT", 4), ("INSERT", 50), ("BEGIN", 5)])
def test_a_kill_within_a_group_loses_that_group_alone(path: Path, action: str, before: str, number: int) -> None:
    fill(path, numbered(range(10)))
    confirmed = killed(path, action, before, number)
    assert keys(path) >= confirmed | set(numbered(range(10)))
    assert is_sound(path)
    values = dict(sql(path, "SELECT key, value FROM responses WHERE key LIKE 'new%'"))
    assert set(values.values()) <= {'{"by":"driver"}'}
    fill(path, {"after": {}})
    assert "after" in keys(path)


def test_the_group_that_was_not_committed_is_not_there(path: Path) -> None:
    fill(path, {"k": {}})
    assert killed(path, "put", "COMMIT", 1) == set()
    assert keys(path) == {"k"}


@pytest.mark.parametrize(
    ("before", "number"), [("DELETE", 2), ("COMMIT", 1), ("COMMIT", 3), ("PRAGMA incremental_vacuum", 1)]
)
def test_a_kill_during_a_prune_drops_nothing_else(path: Path, before: str, number: int) -> None:
    fill(path, numbered(range(2000), size=500))
    age(path, 9, where="rowid <= 1900")
    young = set(numbered(range(1900, 2000)))
    killed(path, "prune", before, number)
    assert keys(path) >= young
    assert is_sound(path)
    prune(path, older_than=DAY)
    assert keys(path) == young
    assert read_stats(path).free_bytes == 0


def test_a_kill_while_an_old_file_is_rewritten_loses_nothing(path: Path) -> None:
    first_version(path, [(f"k{n}", "lm", json.dumps({"n": n}), 1.0) for n in range(300)])
    fill(path, numbered(range(300, 400)))
    killed(path, "prune", "VACUUM")
    assert keys(path) == set(numbered(range(300, 400)))
    assert is_sound(path)
    killed(path, "prune", "PRAGMA wal_checkpoint")
    assert keys(path) == set(numbered(range(300, 400)))
    assert is_sound(path)


@pytest.mark.parametrize("before", ["INSERT OR REPLACE INTO settings", "COMMIT", "DELETE FROM responses"])
def test_a_kill_while_limits_are_set(path: Path, before: str) -> None:
    fill(path, numbered(range(1000), size=500))
    age(path, 9, where="rowid <= 900")
    killed(path, "limit", before)
    assert keys(path) == set(numbered(range(1000)))
    assert is_sound(path)
    set_limits(path, Limits(size=100_000))
    assert keys(path) >= set(numbered(range(900, 1000)))


def test_a_kill_while_days_of_use_are_noted_or_limits_are_kept_on_closing(path: Path) -> None:
    fill(path, numbered(range(10)))
    age(path, 9)
    set_limits(path, Limits(age=30 * DAY))
    age(path, 90, where="key <> 'k0'")
    killed(path, "close", "INSERT")
    killed(path, "close", "DELETE")
    assert keys(path) == set(numbered(range(10)))
    assert is_sound(path)
    fill(path, {})
    assert keys(path) == {"k0"}


def test_an_import_goes_on_after_a_kill(path: Path) -> None:
    lines = [
        {"key": key, "kind": "tool", "created": 1.0, "value": value} for key, value in numbered(range(1200)).items()
    ]
    source = path.with_name("import.jsonl")
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    killed(path, "import", "COMMIT", 3)
    assert len(keys(path)) == 500
    done = import_responses(path, source, check=lambda kind, value: None)
    assert (done.entries, done.new) == (1200, 700)
    assert is_sound(path)
