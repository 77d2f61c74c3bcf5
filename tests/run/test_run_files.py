"""A run's files with values that nobody wrote there: one error that names the place, whoever reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from attack.changed import FILES, READERS, VALUES, changes, make_run
from flowbot.cli.app import run as flowbot_run
from flowbot.fields import FlowBotError, UserError
from flowbot.report.report import write_report
from flowbot.run.events import Ended, Measured, Proposal, Started
from flowbot.run.examples import read_examples
from flowbot.run.journal import read_events
from flowbot.run.result import RunResult
from flowbot.run.view import read_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(make_run(folder), folder / "other")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", "")
    return Path(shutil.copytree(made, tmp_path / "folder"))


def test_a_sound_run_is_read(folder: Path) -> None:
    assert RunResult.load(folder / "run").status == "done"
    kinds = {type(event) for event in read_events(folder / "run" / "journal.jsonl")}
    assert kinds >= {Started, Measured, Proposal, Ended}
    assert {example.split for example in read_examples(folder / "run")} == {"train", "val", "test"}
    assert write_report(str(folder / "run")) == folder / "run" / "report.html"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("result.json", {"seconds": "x"}, "result.json: seconds: found 'x'"),
        ("result.json", {"spent": {"calls": -1, "tokens": 0, "usd": None}}, "result.json: spent.calls: found -1"),
        (
            "result.json",
            {"by_purpose": {"val": {"calls": 1, "tokens": 1, "usd": 1e308, "requests": 1, "seconds": 1}}},
            "by_purpose.val.usd",
        ),
        ("result.json", {"status": "well"}, "result.json: status: found 'well'"),
        ("result.json", {"models": ["x"]}, "result.json: models: found"),
        ("journal.jsonl", {"seed": 10**400}, "journal.jsonl:1"),
        ("journal.jsonl", {"goal": 3}, "journal.jsonl:1: goal: found 3"),
        ("examples.jsonl", {"split": "dev"}, "examples.jsonl:1: split: found 'dev'"),
        ("examples.jsonl", {"inputs": None}, "examples.jsonl:1: inputs: found null"),
    ],
)
def test_a_bad_value_is_named_with_file_line_and_member(
    folder: Path, file: str, change: dict[str, Any], said: str
) -> None:
    path = folder / "run" / file
    first, mark, rest = path.read_text().partition("\n") if file.endswith("l") else (path.read_text(), "", "")
    path.write_text(json.dumps({**json.loads(first), **change}) + mark + rest)
    with pytest.raises(UserError) as caught:
        read_run(folder / "run")
    assert said in str(caught.value)


@pytest.mark.parametrize("file", FILES)
def test_whatever_stands_there_is_shown_or_told(folder: Path, file: str) -> None:
    """A sample of what benchmarks/attack does for every place, value and verb."""
    path = folder / "run" / file
    kinds = tuple(set(VALUES) - {"long", "5000 digits"})
    for number, (place, text) in enumerate(changes(path, tuple(sorted(kinds)))):
        if number % 97:
            continue
        path.write_text(text)
        for verb in ("show --json", "diff"):
            said = ""
            try:
                READERS[verb](folder)
            except FlowBotError as error:
                said = str(error)
            assert len(said) < 2000, place


RUN_FILES = ("journal.jsonl", "result.json", "sessions.jsonl", "start.flow.yaml", "found.flow.yaml", "examples.jsonl")


@pytest.mark.parametrize("file", RUN_FILES)
def test_a_file_of_a_run_that_is_a_link_is_not_read(folder: Path, file: str) -> None:
    """The folder may be somebody else's, and what a link leads to may be anything of this machine."""
    path = folder / "run" / file
    for victim in (folder / f"other {file}", folder / "nowhere"):
        if victim.name != "nowhere":
            shutil.copy(path, victim)
        path.unlink()
        path.symlink_to(victim)
        with pytest.raises(UserError, match="a symbolic link") as caught:
            write_report(folder / "run")
        assert file in str(caught.value)


@pytest.mark.parametrize("file", RUN_FILES)
def test_no_verb_reads_a_file_of_a_run_that_is_a_link(
    folder: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "run" / file).rename(folder / "moved")
    (folder / "run" / file).symlink_to(folder / "moved")
    run = str(folder / "run")
    verbs = [["report", run], ["diff", run], ["compare", run, str(folder / "other")], ["show", run]]
    if file == "found.flow.yaml":
        verbs += [["check", run], ["run", run, "note=1 pen"], ["diff", run, run]]
    for verb in verbs:
        assert flowbot_run(verb) == 2, verb
        assert "a symbolic link" in capsys.readouterr().err, verb
