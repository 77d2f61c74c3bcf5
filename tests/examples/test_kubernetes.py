"""The manifest is one that Kubernetes reads, and its command one that FlowBot has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flowbot.cli.app import run

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "kubernetes" / "job.yaml"


@pytest.fixture
def parts() -> dict[str, Any]:
    return {each["kind"]: each for each in YAML(typ="safe").load_all(FILE.read_text(encoding="utf-8"))}


def test_each_ending_of_the_command_has_its_rule(parts: dict[str, Any]) -> None:
    job = parts["Job"]["spec"]
    failing, ignored = job["podFailurePolicy"]["rules"]
    assert (failing["action"], failing["onExitCodes"]["values"]) == ("FailJob", [1, 2])  # 3 is a pause: it is run again
    assert (ignored["action"], ignored["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # Kubernetes takes rules with no other
    assert job["podReplacementPolicy"] == "Failed"
    assert job["parallelism"] == 1


def test_names_of_variables_and_volumes_are_ones_that_there_are(parts: dict[str, Any]) -> None:
    pod = parts["Job"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    known = set(re.findall(r"env: (FLOWBOT_\w+)", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")))
    assert {each["name"] for each in container["env"]} <= known
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    claims = {each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if "persistentVolumeClaim" in each}
    assert claims == {parts["PersistentVolumeClaim"]["metadata"]["name"]}


def test_its_command_is_one_that_runs(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (container,) = parts["Job"]["spec"]["template"]["spec"]["containers"]
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    for each in container["env"]:
        monkeypatch.setenv(each["name"], each["value"].replace("/data", str(tmp_path)))
    name, *command = (re.sub("^/task", str(ROOT / "examples" / "orders"), each) for each in container["command"])
    assert name == "flowbot"
    assert run([*command, "--dry-run"]) == 0, capsys.readouterr().err
