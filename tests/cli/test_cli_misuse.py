"""A command line that is none of ours is told in one whole sentence, with what there is in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import flowbot

from flowbot.cli.app import app

Capture = pytest.CaptureFixture[str]
VERBS = ", ".join(name for name in app if not name.startswith("-"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["xyz"], f"there is no command 'xyz'; give one of {VERBS}. See: flowbot --help"),
        (["optimise", "t"], f"there is no command 'optimise'; give one of {VERBS} (did you mean 'optimize'?). See: flowbot --help"),
        (["--nothing"], f"there is no option '--nothing'; give one of {VERBS}. See: flowbot --help"),
        (["cache", "exprot"], "there is no command 'exprot'; give one of stats, prune, limit, verify, export, import (did you mean 'export'?). See: flowbot cache --help"),
        (["models", "a/b", "c"], "nothing takes 'c'. See: flowbot models --help"),
        (["optimize", "t", "--modle", "x"], "Unknown option: --modle. Did you mean --model? See: flowbot optimize --help"),
        (["eval", "f", "t", "--modle", "x"], "Unknown option: --modle. Did you mean --model? See: flowbot eval --help"),
        (["optimize", "t"], "--model: found nothing; expected a model such as openai/gpt-4.1-mini, here or in the environment variable FLOWBOT_MODEL; beside a program that calls its own, --meta-model"),
        (["optimize", "t", "-m"], "-m needs a value. See: flowbot optimize --help"),
        (["eval", "f"], "TASK is missing. See: flowbot eval --help"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)  # fmt: skip
def test_what_is_wrong_and_what_there_is(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, given: list[str], told: str
) -> None:
    monkeypatch.delenv("FLOWBOT_MODEL", raising=False)
    said = flowbot(capsys, *given)
    assert (said.status, said.error) == (2, f"flowbot: {told}")


@pytest.mark.parametrize("option", ["freeze", "models"])
def test_a_list_of_commas_alone_names_nothing(capsys: Capture, option: str) -> None:
    task = str(Path(__file__).parents[2] / "examples" / "invoices")
    said = flowbot(capsys, "optimize", task, "--model", "fake/counter", f"--{option}", " , ,")
    assert said.status == 2
    assert said.error.startswith(f"flowbot: {option}: found ' , ,'; expected names")
