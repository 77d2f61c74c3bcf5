"""A method, a planner, a judge and a model client of the user's own, as objects."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
import flowbot.optimizer.methods as m
from flowbot.fields import Usage, UserError
from flowbot.lm import providers
from flowbot.lm.client import Identity, Reply, Request
from flowbot.lm.providers import add_provider
from flowbot.optimizer.allocator import Thompson
from flowbot.optimizer.confirm import Confirm
from flowbot.optimizer.feedback.ballots import BallotCritic
from flowbot.optimizer.judge import PosteriorJudge
from flowbot.optimizer.method import planned_by_purpose
from flowbot.optimizer.planner import Bandit

Install = Callable[..., None]
ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "own_method" / "append_rule.py"
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("own-method", "own-parts")}
SIZES = m.Sizes(train=40, val=40, test=60, start_calls=1, effort=100)


@pytest.fixture
def append_rule(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example as a module."""
    monkeypatch.syspath_prepend(FILE.parent)
    import append_rule

    yield append_rule
    del sys.modules["append_rule"]


@pytest.fixture(autouse=True)
def providers_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "_ADDED", dict[str, Any]())


@dataclass
class Obedient:
    """A model that is right where its prompt holds a text."""

    identity: Identity
    told: str
    default_concurrency: int = 4
    price_ref: str | None = "free"

    async def complete(self, request: Request, patience: object = None) -> Reply:
        right = any(self.told in each.content for each in request.messages)
        text = f'{{"reasoning": "So it is.", "reply": "{"yes" if right else "no"}"}}'
        return Reply(text, "stop", Usage(1, 5, 5), 0.1)

    async def close(self) -> None:
        pass


def yes_task() -> fb.Task:
    rows = [{"n": n, "reply": "yes"} for n in range(120)]
    return fb.Task(goal="Say it.", inputs={"n": int}, outputs={"reply": str}, metric="exact", rows=rows)


async def found(tmp_path: Path, told: str, method: object) -> fb.RunResult:
    add_provider("toy", lambda name: Obedient(Identity("toy", "", name), told))
    return await fb.optimize_async(
        yes_task(),
        lm="toy/one",
        effort=200,
        method=method,  # type: ignore[arg-type]
        run_dir=tmp_path / "run",
        cache_dir=tmp_path / "cache",
    )


@pytest.mark.parametrize("place", [0, 1])
async def test_the_example_finds_the_rule_that_helps(append_rule: Any, tmp_path: Path, place: int) -> None:
    rule = append_rule.RULES[place]
    result = await found(tmp_path, rule, append_rule.METHOD)
    assert result.method == "append-rule"
    assert result.workflow.hash != result.start.hash
    assert rule in result.workflow.parameter("answer").instruction_text  # type: ignore[union-attr]


async def test_a_judge_of_ones_own_has_the_say(append_rule: Any, tmp_path: Path) -> None:
    class Never(PosteriorJudge[Any]):
        def ruling(self, *given: Any, **named: Any) -> Any:
            return replace(PosteriorJudge.ruling(self, *given, **named), decision="drop", rule="never")

    result = await found(tmp_path, append_rule.RULES[0], replace(append_rule.METHOD, name="never", judge=Never))
    assert result.workflow.hash == result.start.hash
    journal = (tmp_path / "run" / "journal.jsonl").read_text()
    assert '"never"' in journal
    assert '"adopt"' not in journal


def test_every_part_of_the_pool_is_made_anew_for_every_run() -> None:
    made: list[object] = []

    def noted(factory: Callable[..., Any]) -> Callable[..., Any]:
        def make(*given: Any) -> Any:
            made.append(each := factory(*given))
            return each

        return make

    parts = {
        "critic": BallotCritic,
        "planner": Bandit,
        "judge": PosteriorJudge,
        "allocator": Thompson,
        "closing": Confirm,
    }
    method = m.PoolMethod("mine", noted(m.default_proposers), **{name: noted(each) for name, each in parts.items()})
    loop: Any = method.loop(SIZES)
    pool = loop.pool
    used = [pool.planner.proposers, pool.planner.critic, pool.planner, pool.judge, pool.allocator, loop.closing]
    assert all(any(each is one for one in made) for each in used)
    again: Any = method.loop(SIZES)
    assert again.pool.judge is not pool.judge
    assert again.pool.planner is not pool.planner


def test_what_is_left_out_is_the_default_methods() -> None:
    own, default = m.PoolMethod("flowbot+blame"), m.find_method("flowbot+blame")
    assert own.calls(SIZES) == default.calls(SIZES)
    kinds = [[type(each) for each in method.loop(SIZES).pool.planner.proposers] for method in (own, default)]  # type: ignore[attr-defined]
    assert kinds[0] == kinds[1]


class Shapeless:
    name = 3

    def calls(self, sizes: object) -> dict[str, int]:
        return {}

    def loop(self, sizes: object) -> None:
        pass


class Named(Shapeless):
    name = "named"  # type: ignore[assignment]


@pytest.mark.parametrize(
    "given",
    [object(), m.PoolMethod, Named, None, 3, Shapeless(), {"name": "x"}],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_method_is_refused_in_one_line_before_anything_is_opened(given: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fb.optimize("no/such/task.yaml", lm="toy/one", method=given, run_dir=tmp_path / "run", cache_dir=tmp_path / "c")
    assert str(caught.value).startswith("method: found ")
    assert str(caught.value).endswith("an object with `name`, `calls(sizes)` and `loop(sizes)`")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ({"training": 3}, "method mine: calls: found 'training'; expected one of train"),
        ({"train": -1}, "method mine: calls['train']: found -1; expected a whole number"),
        ({"train": "many"}, "method mine: calls['train']: found 'many'; expected a whole number"),
    ],
)
def test_a_plan_that_is_none_is_refused(calls: dict[str, Any], said: str) -> None:
    class Mine(Shapeless):
        name = "mine"  # type: ignore[assignment]

        def calls(self, sizes: object) -> dict[str, Any]:
            return calls

    with pytest.raises(UserError) as caught:
        planned_by_purpose(Mine(), SIZES)  # type: ignore[arg-type]
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("name", ["openai", "fake", "two words", ""])
def test_a_provider_of_flowbots_own_cannot_be_replaced(name: str) -> None:
    with pytest.raises(UserError, match="no provider of FlowBot"):
        add_provider(name, lambda rest: Obedient(Identity(name, "", rest), ""))


def test_the_page_shows_the_example_as_it_is() -> None:
    assert f"```python\n{FILE.read_text(encoding='utf-8')}```" in PAGES["own-method"]


def test_the_entry_points_of_the_pages_are_ones_that_load(
    install: Install, monkeypatch: pytest.MonkeyPatch, append_rule: Any
) -> None:
    from flowbot.fields.plugins import find_plugin

    blocks = [
        block for page in PAGES.values() for block in re.findall(r"```text\n(\[project\.entry.*?)```", page, re.S)
    ]
    offers: dict[str, dict[str, str]] = {}
    for block in blocks:
        for group, entries in tomllib.loads(block)["project"]["entry-points"].items():
            offers[group.removeprefix("flowbot.")] = entries
    assert offers.keys() == {"methods", "metrics", "tools", "models"}
    shown = re.findall(r"```python\n(.*?)```", PAGES["own-parts"], re.S)
    source = "".join(each.partition("\nadd_provider(")[0] for each in shown if "REFUND =" in each or "Parrot" in each)
    install("house_rules", f"{source}\ndef length(example, outputs):\n    return 1.0\n", offers)
    for group, entries in offers.items():
        for name in entries:
            plugin = find_plugin(group, name)  # type: ignore[arg-type]
            assert plugin is not None
            assert plugin.load() is not None
    assert m.find_method("append-rule").name == "append-rule"
