"""A run whose disk fails, whose files are damaged or gone, or that is not alone: one clear line, and it can go on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_help import FAKE, Said, flowbot, write_task
from held_endpoint import LONG, HeldEndpoint, holding

from flowbot.run.events import Event, Measured
from flowbot.run.journal import read_events

Capture = pytest.CaptureFixture[str]
PAGE = 4096
DISK = 16 * 1024 * 1024


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_task(tmp_path)
    return tmp_path


def optimize(capsys: Capture, *more: str, run: str = "run", cache: str = "cache") -> Said:
    fixed = ["optimize", "task.yaml", *FAKE, "--effort", "low", "--quiet"]
    return flowbot(capsys, *fixed, "--run-dir", run, "--cache-dir", cache, *more)


def outcome(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in ("found.flow.yaml", "journal.jsonl", "examples.jsonl")}


def untimed(run: Path) -> list[Event]:
    """The events of a run without the real seconds that calls took."""
    events = read_events(run / "journal.jsonl")
    return [each.model_copy(update={"seconds": 0.0}) if isinstance(each, Measured) else each for each in events]


@pytest.fixture
def undisturbed(capsys: Capture, here: Path) -> dict[str, bytes]:
    """What a run comes to that nothing disturbs."""
    assert optimize(capsys, run="calm", cache="calm-cache").status == 0
    return outcome(here / "calm")


class SmallDisk:
    """A file system of 16 megabytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def mount(self, *options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={DISK}", *options]), "tmpfs", str(self.path)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True)

    def leave(self, pages: int) -> None:
        """Fill it but for so many pages."""
        (self.path / "filler").write_bytes(bytes(DISK - pages * PAGE))

    def free(self) -> None:
        (self.path / "filler").unlink()


@pytest.fixture
def disk(here: Path) -> Iterator[SmallDisk]:
    found = SmallDisk(here / "disk")
    if os.getuid() != 0 or not found.mount():
        pytest.skip("a small file system can be mounted by root alone")
    yield found
    found.unmount()


@pytest.mark.parametrize("pages", [0, 1, 2, 3, 4, 5, 8, 16])
def test_a_full_disk_under_the_run_is_said_and_the_run_goes_on_when_there_is_room(
    capsys: Capture, undisturbed: dict[str, bytes], disk: SmallDisk, pages: int
) -> None:
    disk.leave(pages)
    full = optimize(capsys, run="disk/run")
    assert full.status in (2, 3)
    assert "No space left on device" in full.error
    assert "disk/run" in full.error
    disk.free()
    assert optimize(capsys, run="disk/run").status == 0
    assert outcome(disk.path / "run") == undisturbed


@pytest.mark.parametrize("pages", [0, 30])
def test_a_full_disk_under_the_store_is_said_and_the_run_goes_on_when_there_is_room(
    capsys: Capture, undisturbed: dict[str, bytes], disk: SmallDisk, here: Path, pages: int
) -> None:
    disk.leave(pages)
    full = optimize(capsys, cache="disk/cache")
    assert full.status == (2 if not pages else 3)
    assert "disk/cache/store.sqlite" in full.error
    assert "full" in full.error
    disk.free()
    assert optimize(capsys, cache="disk/cache").status == 0
    assert outcome(here / "run") == undisturbed


def test_a_run_directory_that_cannot_be_written_is_refused_before_any_call(
    capsys: Capture, disk: SmallDisk, here: Path
) -> None:
    assert disk.mount("ro")
    try:
        said = optimize(capsys, run="disk/run")
    finally:
        disk.unmount()
    assert said.status == 2
    assert "Read-only file system" in said.error
    assert optimize(capsys, run="disk/run").status == 0


def test_damage_in_mid_journal_is_refused_and_without_the_file_it_is_written_anew(
    capsys: Capture, undisturbed: dict[str, bytes], here: Path
) -> None:
    assert optimize(capsys).status == 0
    journal = here / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"not what stood here\n", *lines[4:]]))
    said = optimize(capsys)
    assert said.status == 2
    assert "journal.jsonl:4" in said.error
    assert "found broken JSON" in said.error
    journal.unlink()
    assert optimize(capsys).status == 0
    assert outcome(here / "run") == undisturbed


@pytest.mark.parametrize("gone", ["result.json", "examples.jsonl", "found.flow.yaml", "report.html", "journal.jsonl"])
def test_a_file_of_the_run_that_is_gone_is_written_anew(
    capsys: Capture, undisturbed: dict[str, bytes], here: Path, gone: str
) -> None:
    assert optimize(capsys).status == 0
    (here / "run" / gone).unlink()
    assert optimize(capsys).status == 0
    assert (here / "run" / gone).is_file()
    assert outcome(here / "run") == undisturbed


def test_without_its_store_a_run_walks_the_same_way_again(
    capsys: Capture, undisturbed: dict[str, bytes], here: Path
) -> None:
    assert optimize(capsys).status == 0
    for file in (here / "cache").iterdir():
        file.unlink()
    assert optimize(capsys).status == 0
    assert outcome(here / "run") == undisturbed


def test_a_store_of_a_newer_version_is_refused_and_another_one_serves(
    capsys: Capture, undisturbed: dict[str, bytes], here: Path
) -> None:
    assert optimize(capsys).status == 0
    connection = sqlite3.connect(here / "cache" / "store.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    said = optimize(capsys)
    assert said.status == 2
    assert "a newer FlowBot (version 99)" in said.error
    assert optimize(capsys, cache="other").status == 0
    assert outcome(here / "run") == undisturbed


COMMAND = [sys.executable, "-m", "flowbot", "optimize", "task.yaml", "--effort", "low", "--quiet"]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldEndpoint]:
    with holding() as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield found


def test_a_second_process_in_a_run_directory_is_refused_and_the_first_goes_on(
    here: Path, endpoint: HeldEndpoint
) -> None:
    command = [*COMMAND, "--model", "openai/pretend"]
    subprocess.run([*command, "--run-dir", "calm", "--cache-dir", "calm-cache"], check=True, capture_output=True)
    endpoint.seen()
    command += ["--run-dir", "run", "--cache-dir", "cache"]
    endpoint.holds = lambda body: True
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        endpoint.wait_for(held=1)
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG)
        assert second.returncode == 2
        assert f"another FlowBot at work in it (process {first.pid})" in second.stderr
        endpoint.let_go()
        first.communicate(timeout=LONG)
        assert first.returncode == 0
    asked = endpoint.seen()
    assert len(asked) == len(set(asked))
    assert (here / "run" / "found.flow.yaml").read_bytes() == (here / "calm" / "found.flow.yaml").read_bytes()
    assert untimed(here / "run") == untimed(here / "calm")


def test_two_runs_that_share_a_store_at_once_end_as_each_alone(here: Path) -> None:
    def begin(seed: str, run: str, cache: str) -> subprocess.Popen[bytes]:
        more = ["--seed", seed, "--run-dir", run, "--cache-dir", cache, "--model", "fake/counter?latency=0.2&p429=0.1"]
        return subprocess.Popen([*COMMAND, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    alone = [begin(seed, f"alone-{seed}", f"cache-{seed}") for seed in "01"]
    shared = [begin(seed, f"shared-{seed}", "cache") for seed in "01"]
    for process in [*alone, *shared]:
        _, said = process.communicate(timeout=LONG)
        assert process.returncode == 0, said
    for seed in "01":
        assert outcome(here / f"shared-{seed}") == outcome(here / f"alone-{seed}")
