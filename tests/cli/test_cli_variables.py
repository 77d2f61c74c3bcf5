"""The environment variables of options: one for each that verbs share, less than what is typed, told where they are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_help import FAKE, flowbot, write_flow, write_task
from cyclopts import Argument

from flowbot.cli.app import app
from flowbot.cli.options import OWN
from flowbot.cli.variables import PREFIX

Capture = pytest.CaptureFixture[str]
EVERYWHERE = {
    "model", "meta-model", "judge-model", "models", "concurrency", "price", "method", "effort", "seed", "meta-mode", "feedback", "max-calls", "max-tokens",
    "max-usd", "max-seconds", "run-dir", "cache-dir", "fresh", "dry-run", "allow-writes", "limit", "force",
}  # fmt: skip
OF_A_VERB = {"start", "split", "out", "task", "inputs", "prompt", "pin", "kind", "fail-under"}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def options() -> list[tuple[str, Argument]]:
    """The options of all verbs, each with its verb."""
    return [
        (verb, argument)
        for verb in app
        if not verb.startswith("-") and app[verb].default_command is not None
        for argument in app[verb].assemble_argument_collection(default_parameter=OWN)
        if argument.name.startswith("--") and argument.show
    ]


def test_what_means_the_same_everywhere_has_a_variable_and_what_is_a_verbs_own_has_none() -> None:
    named = {argument.name.removeprefix("--") for _, argument in options() if argument.parameter.show_env_var}
    assert named >= EVERYWHERE
    assert not named & OF_A_VERB
    others = [
        (verb, each.name) for verb, each in options() if each.name[2:] in named and not each.parameter.show_env_var
    ]
    of_a_training = [
        ("train-generator", each) for each in ("--model", "--feedback", "--seed")
    ]  # a search's are for another
    assert others == [
        ("demo", "--model"),
        ("demo", "--meta-model"),
        *of_a_training,
    ]  # the demo promises that it costs nothing


def test_help_names_the_variables(capsys: Capture) -> None:
    for verb in ("optimize", "eval"):
        said = " ".join(flowbot(capsys, verb, "--help").out.replace("│", " ").split())
        assert "FLOWBOT_SPLIT" not in said
        for name in ("FLOWBOT_MODEL", "FLOWBOT_MAX_USD", "FLOWBOT_CACHE_DIR"):
            assert f"[env var: {name}]" in said
    assert "FLOWBOT_MODEL]" not in flowbot(capsys, "demo", "--help").out


def test_a_variable_serves_and_what_is_typed_wins(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = str(write_task(tmp_path))
    for name, value in {
        "MODEL": "fake/one", "META_MODEL": "fake/two", "EFFORT": "low", "SEED": "7", "DRY_RUN": "1", "FRESH": "", "RUN_DIR": "~/run",
    }.items():  # fmt: skip
        monkeypatch.setenv(PREFIX + name, value)
    said = flowbot(capsys, "optimize", task, "--json").json
    assert (said["models"], said["effort"], said["seed"]) == ({"task": "fake/one", "meta": "fake/two"}, "low", 7)
    said = flowbot(capsys, "optimize", task, "--json", "-m", "fake/three", "--effort", "high").json
    assert (said["models"]["task"], said["effort"], said["seed"]) == ("fake/three", "high", 7)


def test_a_folder_of_a_variable_may_begin_at_home(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLOWBOT_CACHE_DIR", "~/mine")
    task, flow = str(write_task(tmp_path)), str(write_flow(tmp_path))
    assert flowbot(capsys, "eval", flow, task, *FAKE).status == 0
    assert (tmp_path / "home" / "mine" / "store.sqlite").is_file()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MAX_CALLS", "many", "found 'many'; expected a whole number"),
        ("MAX_CALLS", "-2", "--max-calls: found -2"),
        ("MAX_USD", "2 dollars", "2 dollars"),
        ("EFFORT", "most", "one of low, medium, high"),
        ("FRESH", "perhaps", "perhaps"),
        ("PRICE", "cheap", "--price: found 'cheap'"),
        ("METHOD", "guess", "method: found 'guess'"),
        ("MODEL", "nobody/x", "found 'nobody'"),
        ("CACHE_DIR", "~nobody-at-all/x", "whose home folder is not known"),
    ],
    ids=lambda each: str(each).split()[0],
)  # fmt: skip
def test_a_bad_value_is_an_error_that_names_the_variable(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv("FLOWBOT_MODEL", "fake/counter")
    monkeypatch.setenv("FLOWBOT_SEED", "3")
    monkeypatch.setenv(PREFIX + name, value)
    said = flowbot(capsys, "optimize", str(write_task(tmp_path)), "--dry-run")
    assert said.status == 2
    assert told in said.error
    assert said.error.count(PREFIX + name) == 1
    assert "FLOWBOT_SEED" not in said.error


def test_a_slip_in_a_name_is_told(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOT_MAX_UDS", "2")
    monkeypatch.setenv("FLOWBOT_META_MODEL", "fake/of-another-verb")
    said = flowbot(capsys, "starts")
    assert said.error == "flowbot: FLOWBOT_MAX_UDS sets no option (did you mean FLOWBOT_MAX_USD?)"
    assert flowbot(capsys, "starts", "--quiet").err == ""


def test_a_file_of_the_folder_sets_none(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FLOWBOT_MODEL=fake/counter\nFLOWBOT_DRY_RUN=1\n")
    said = flowbot(capsys, "optimize", str(write_task(tmp_path)))
    assert said.status == 2
    assert "--model: found nothing" in said.error
    assert "the environment variable FLOWBOT_MODEL" in said.error
    said = flowbot(capsys, "models")
    for name in ("FLOWBOT_MODEL", "FLOWBOT_DRY_RUN"):
        assert f"{name} in .env is not used" in said.error
