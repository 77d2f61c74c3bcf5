"""What installed packages offer: found by name, imported only when it is asked for, and refused in one line where it is broken."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.cli.app import run
from flowbot.fields import Field, UserError
from flowbot.fields.plugins import find_plugin, plugin_names
from flowbot.lm.providers import open_added, split_model
from flowbot.optimizer.catalogue.catalogue import Catalogue, find_pattern
from flowbot.optimizer.methods import find_method
from flowbot.runtime.open_model import open_client
from flowbot.runtime.own_models import require_own_models
from flowbot.task import Metric, Task
from flowbot.workflow.starts import single_call

Install = Callable[..., None]
START = single_call([Field.of("n", "int")], [Field.of("reply", "str")], "Say yes.", reasoning=False)

TASK = """\
flowbot: 1
goal: Say yes.
inputs: {n: int}
outputs: {reply: str}
metric: METRIC
data: {all: rows.jsonl, split: [0.4, 0.2, 0.4]}
tools: TOOLS
"""
CLIENT = """\
from flowbot.fields import Usage
from flowbot.lm.client import Identity, Reply

class Client:
    default_concurrency, price_ref = 2, None
    def __init__(self, name):
        self.identity = Identity(PROVIDER, "", name)
    async def complete(self, request, patience=None):
        return Reply('{"reply": "yes"}' if request.schema else "yes", "stop", Usage(1, 5, 5), 0.1)
    async def close(self):
        pass
"""


def task_file(folder: Path, *, metric: str = "exact", tools: str = "[]") -> Path:
    folder.mkdir(exist_ok=True)
    rows = "\n".join(f'{{"n": {n}, "reply": "yes"}}' for n in range(10))
    (folder / "rows.jsonl").write_text(rows)
    (folder / "task.yaml").write_text(TASK.replace("METRIC", metric).replace("TOOLS", tools))
    return folder / "task.yaml"


ASKED: dict[str, Any] = {
    "methods": find_method,
    "patterns": find_pattern,
    "metrics": Metric.of,
    "models": lambda name: open_added(name, "x"),
}


@pytest.mark.parametrize("group", ASKED)
@pytest.mark.parametrize(
    ("source", "value", "said"),
    [
        ("import no_such_module", "rules:thing", "no_such_module"),
        ("1 / 0", "rules:thing", "ZeroDivisionError"),
        ("raise SystemExit(3)", "rules:thing", "SystemExit"),
        ("", "rules:thing", "thing"),
        ("thing = 3", "rules:thing", " at rules:thing; expected "),
    ],
)
def test_what_is_broken_is_one_line_that_names_package_and_entry(
    group: str, source: str, value: str, said: str, install: Install
) -> None:
    install("rules", source, {group: {"mine": value}})
    with pytest.raises(UserError) as caught:
        ASKED[group]("mine")
    text = str(caught.value)
    assert f"flowbot.{group} 'mine' of the package house-rules 1.0" in text
    assert value in text
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize("group", ASKED)
def test_a_name_that_two_packages_offer_is_refused(group: str, install: Install) -> None:
    for package in ("one", "other"):
        install(f"rules_{package}", "", {group: {"mine": f"rules_{package}:thing"}}, package=package)
    with pytest.raises(UserError, match=r"one 1\.0 and other 1\.0, which both offer it"):
        ASKED[group]("mine")


def test_looking_names_up_imports_nothing(install: Install) -> None:
    groups = ("methods", "patterns", "metrics", "tools", "models")
    install("rules", "raise SystemExit", {group: {"mine": "rules:thing"} for group in groups})
    for group in groups:
        assert plugin_names(group) == ["mine"]
        assert find_plugin(group, "mine") is not None
        assert find_plugin(group, "other") is None
    with pytest.raises(UserError, match="mine"):
        find_method("min")
    assert split_model("mine/big") == ("mine", "big")
    assert "rules" not in sys.modules


def test_names_of_flowbot_itself_win(install: Install) -> None:
    offers = {"methods": {"paper": "rules:x"}, "metrics": {"exact": "rules:x"}, "models": {"fake": "rules:x"}}
    install("rules", "", offers)
    assert find_method("paper").name == "paper+layerwise"
    assert Metric.of("exact").built_in
    assert open_client("fake/counter").identity.provider == "fake"
    assert "rules" not in sys.modules


def test_a_method_is_asked_for_by_its_name(install: Install) -> None:
    source = "import flowbot.optimizer.methods as m\nMINE = m.PoolMethod('mine-2')"
    install("rules", source, {"methods": {"mine": "rules:MINE"}})
    assert find_method("mine").name == "mine-2"


def test_a_pattern_is_asked_for_by_its_name(install: Install) -> None:
    source = (
        "from flowbot.optimizer.catalogue.change import Change\n"
        "def twice(place):\n    yield Change('twice', place.path, 'Twice.', lambda code: [])"
    )
    install("rules", source, {"patterns": {"twice": "rules:twice"}})
    task = fb.Task(goal="Say yes.", inputs={"n": int}, outputs={"reply": str}, metric="exact")
    assert [each.key for each in Catalogue((find_pattern("twice"),)).changes(START, task)] == ["twice:answer"]
    with pytest.raises(UserError, match="twice"):
        find_pattern("twise")


def test_a_metric_is_found_by_a_task_file_and_is_known_by_the_version_of_its_package(
    tmp_path: Path, install: Install
) -> None:
    install("rules", "def half(example, outputs): return 0.5", {"metrics": {"half": "rules:half"}})
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "rules.py").write_text("raise SystemExit('the code of the folder ran')")
    path = task_file(tmp_path / "task", metric="half")
    unread = Task.load(path, callables=False).metric
    assert "rules" not in sys.modules
    assert unread.identity == "half of house-rules 1.0"
    metric = Task.load(path).metric
    example = Task.load(path).splits["test"][0]
    assert metric(example, {"reply": "no"}).value == 0.5
    assert metric.identity.startswith("half of house-rules 1.0: half@")
    assert metric.kept
    parts = task_file(tmp_path / "task", metric="{parts: {a: half, b: {metric: exact, weight: 3}}}")
    assert Task.load(parts).metric(example, {"reply": "yes"}).value == pytest.approx(0.875)
    assert fb.Metric.of("half").identity == metric.identity


def test_another_version_of_a_package_is_another_metric(tmp_path: Path, install: Install) -> None:
    install("rules", "def half(example, outputs): return 0.5", {"metrics": {"half": "rules:half"}}, version="2.0")
    assert Metric.of("half").identity.startswith("half of house-rules 2.0: half@")


def test_a_tool_says_itself_that_it_writes(tmp_path: Path, install: Install) -> None:
    source = (
        "from flowbot.task.tools import tool_of\n"
        "def look(name: str) -> str:\n    return name\n"
        "def pay(order: str) -> str:\n    return 'paid'\n"
        "def pretend(order: str) -> str:\n    return 'pretended'\n"
        "PAY = tool_of(pay, effects='writes', simulate=pretend)"
    )
    install("rules", source, {"tools": {"find": "rules:look", "refund": "rules:PAY"}})
    path = task_file(tmp_path / "task", tools="[{use: find}, {use: refund}]")
    assert Task.load(path, callables=False).tools == ()
    assert "rules" not in sys.modules
    find, refund = Task.load(path).tools
    assert (find.signature.name, find.signature.effects) == ("find", "reads")
    assert (refund.signature.name, refund.signature.effects, refund.signature.simulated) == ("refund", "writes", True)
    assert refund.simulate is not None
    assert refund.simulate(order="7") == "pretended"
    assert find.identity.startswith("find of house-rules 1.0: look@")


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ("[{use: fund}]", "did you mean 'find'"),
        ("[{use: 3}]", "expected a text"),
        ("[{use: find, effects: reads}]", "the unknown key 'effects'"),
        ("[{use: three}]", "flowbot.tools 'three' of the package house-rules 1.0"),
    ],
)
def test_a_tool_that_there_is_none_of_is_refused(tmp_path: Path, install: Install, tools: str, said: str) -> None:
    source = "def look(name: str) -> str:\n    return name\nTHREE = 3"
    install("rules", source, {"tools": {"find": "rules:look", "three": "rules:THREE"}})
    with pytest.raises(UserError) as caught:
        Task.load(task_file(tmp_path / "task", tools=tools))
    assert said in str(caught.value)


async def test_a_model_of_a_package_answers(tmp_path: Path, install: Install) -> None:
    install("rules", CLIENT.replace("PROVIDER", "'mine'"), {"models": {"mine": "rules:Client"}})
    task = Task.load(task_file(tmp_path / "task"))
    scored = await fb.evaluate_async(START, task, lm="mine/big", split="test", cache_dir=tmp_path / "cache")
    assert scored.mean == 1.0
    again = await fb.evaluate_async(START, task, lm="mine/big", split="test", cache_dir=tmp_path / "cache")
    assert again.spent.calls == 0
    with pytest.raises(UserError, match="whose price is unknown"):
        await fb.evaluate_async(START, task, lm="mine/big", budget=fb.Budget(usd=1), cache_dir=tmp_path / "cache")


def test_a_client_under_the_name_of_another_provider_is_refused(install: Install) -> None:
    install("rules", CLIENT.replace("PROVIDER", "'openai'"), {"models": {"mine": "rules:Client"}})
    with pytest.raises(UserError, match="a client of the provider 'openai'"):
        open_added("mine", "big")


def test_what_is_no_client_is_refused(install: Install) -> None:
    install("rules", "def client(name):\n    return name", {"models": {"mine": "rules:client"}})
    with pytest.raises(UserError, match="model mine/big: found 'big'; expected a client"):
        open_added("mine", "big")


def test_a_workflow_that_names_a_packages_model_runs_none_of_its_code(tmp_path: Path, install: Install) -> None:
    install("rules", CLIENT.replace("PROVIDER", "'mine'"), {"models": {"mine": "rules:Client"}})
    told = START.parameter("answer").model_copy(update={"model": "mine/big"})
    workflow = START.with_parameter("answer", told)
    with pytest.raises(UserError, match="models that a file names and you do not: mine/big"):
        require_own_models({"fake/counter"}, workflow=workflow)
    assert "rules" not in sys.modules


def test_the_providers_of_packages_are_listed_and_none_is_imported(
    install: Install, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    install("rules", "raise SystemExit", {"models": {"mine": "rules:thing", "fake": "rules:thing"}})
    for package in ("one", "other"):
        install(f"rules_{package}", "", {"models": {"twice": f"rules_{package}:thing"}}, package=package)
    assert run(["models", "--cache-dir", str(tmp_path), "--json"]) == 0
    mine, twice = json.loads(capsys.readouterr().out)["packages"]
    assert mine == {"provider": "mine", "package": "house-rules 1.0", "error": None}
    assert (twice["provider"], twice["package"]) == ("twice", None)
    assert "which both offer it" in twice["error"]
    assert run(["models", "--cache-dir", str(tmp_path)]) == 0
    assert "mine/NAME" in (said := capsys.readouterr().out)
    assert "of house-rules 1.0" in said
    assert run(["models", "--cache-dir", str(tmp_path), "--quiet"]) == 0
    assert "mine/NAME" in capsys.readouterr().out.split()
    assert "rules" not in sys.modules
