"""A training without torch: a pretend learner asks for the rewards, and is killed in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowbot.cli.app import run as flowbot
from flowbot.fields import Field, Paused, UserError
from flowbot.lm.budget import Budget
from flowbot.lm.client import Request
from flowbot.lm.stop import StopSignal
from flowbot.task import Example, Task
from flowbot.task.tools import tool_of
from flowbot.testing.fake import ReplyContent
from flowbot.testing.fake_behaviours import BEHAVIOURS
from flowbot.training.generator import Trained, require_training, train_generator_async
from flowbot.training.learner import CHECKPOINTS, Learning, Rewards
from flowbot.training.record import curve_chart

A = "Step 1:::process:::Say A.:::next::Step 2\nStep 2:::terminal:::Give the label."
B = A.replace("Say A", "Say B")
REWARD = """
def by_length(steps, examples):
    return min(1.0, len(steps) / 10 + len(examples) / 100)

def too_much(steps, examples):
    return 2

def raises(steps, examples):
    return {}["nothing"]
"""


@pytest.fixture
def task() -> Task:
    """Five training rows, of which four are b."""
    rows = [
        Example(id=f"{n}", inputs={"text": f"letter {n}"}, expected={"label": "a" if n == 4 else "b"}) for n in range(5)
    ]
    return Task(
        goal="Label the letter.",
        inputs=[Field.of("text", "str")],
        outputs=[Field.of("label", "Literal['a', 'b']")],
        metric="exact",
        splits={"train": rows, "val": [], "test": []},
    )


@pytest.fixture
def learning(tmp_path: Path) -> Learning:
    """Three steps of two samples from a file that is no model: the pretend learner reads none."""
    (tmp_path / "model.gguf").write_bytes(b"no model")
    return Learning(tmp_path / "model.gguf", steps=3, samples=2, seed=2)


@pytest.fixture
def reward(tmp_path: Path) -> str:
    """A reward of the user's own, without a model."""
    (tmp_path / "reward.py").write_text(REWARD, encoding="utf-8")
    return f"{tmp_path / 'reward.py'}:by_length"


def labels(request: Request, key: str) -> ReplyContent:
    said = "\n".join(each.content for each in request.messages)
    wanted: dict[str, Any] = dict(request.schema["properties"]) if request.schema is not None else {}
    return {name: ("b" if "Say B." in said else "a") if name == "label" else "yes" for name in wanted}


class Learner:
    """Hands in the texts of the test, keeps what it is told, and leaves a checkpoint after every step, as the real one does."""

    def __init__(self, *texts: list[str], dies_at: int | None = None) -> None:
        self.texts, self.dies_at = texts, dies_at
        self.told: dict[int, list[float | None]] = {}
        self.asked = ""

    def __call__(self, learning: Learning, question: str, folder: Path, rewards: Rewards) -> None:
        self.asked = question
        done = len(list((folder / CHECKPOINTS).glob("checkpoint-*")))
        for step in range(done, learning.steps):
            self.told[step] = rewards(step, self.texts[step])
            if step == self.dies_at:
                raise KeyboardInterrupt
            place = folder / CHECKPOINTS / f"checkpoint-{step + 1}"
            place.mkdir(parents=True)
            (place / "trainer_state.json").write_text("{}")


Train = Callable[..., Any]


@pytest.fixture
def train(task: Task, learning: Learning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    monkeypatch.setitem(BEHAVIOURS, "labels", labels)

    async def trained(learner: Learner, **more: Any) -> Trained:
        return await train_generator_async(
            task, learning, tmp_path / "out", fitting=learner, cache_dir=tmp_path / "cache", **more
        )

    return trained


def curve(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "out" / "curve.jsonl").read_text().splitlines()]


async def test_programs_are_worth_their_mean_score_and_the_best_is_a_file(train: Train, tmp_path: Path) -> None:
    learner = Learner([A, "no"], [B, A], [B, B])
    found = await train(learner, interpreter="fake/labels")
    assert found.to_json()["status"] == "done"
    assert [each["rewards"] for each in curve(tmp_path)] == [[0.2, -0.5], [0.8, 0.2], [0.8, 0.8]]
    assert learner.told == {0: [0.2, -0.5], 1: [0.8, 0.2], 2: [None, None]}
    assert (tmp_path / "out" / "best.core.txt").read_text() == f"{B}\n"
    assert found.to_json()["skipped"] == 1
    assert found.calls == 2 * 5 * 2, "the same program again is not paid for"
    report = (tmp_path / "out" / "report.md").read_text()
    assert "Say B." in report
    assert "5 of 6 programs could be run" in report
    assert "label" in learner.asked


async def test_a_killed_training_goes_on_from_its_last_checkpoint_with_the_same_curve(
    train: Train, tmp_path: Path
) -> None:
    texts = ([A, "no"], [B, A], [B, "no"])
    with pytest.raises(KeyboardInterrupt):
        await train(Learner(*texts, dies_at=1), interpreter="fake/labels")
    assert len(curve(tmp_path)) == 2
    learner = Learner(*texts)
    found = await train(learner, interpreter="fake/labels")
    assert sorted(learner.told) == [1, 2]
    assert [each["step"] for each in curve(tmp_path)] == [0, 1, 2]
    assert found.to_json()["steps"] == 3


async def test_what_was_spent_before_a_kill_counts_against_the_same_ceiling(train: Train) -> None:
    texts = ([A, "no"], [B, "no"], [A, B])
    with pytest.raises(KeyboardInterrupt):
        await train(Learner(*texts, dies_at=1), interpreter="fake/labels")
    found = await train(Learner(*texts), interpreter="fake/labels", budget=Budget(calls=15))
    assert (found.to_json()["status"], found.to_json()["steps"], found.calls <= 15) == ("stopped", 1, True)
    found = await train(Learner(*texts), interpreter="fake/labels", budget=Budget(calls=20))
    assert (found.to_json()["status"], found.to_json()["steps"], found.calls) == ("done", 3, 20)


async def test_seconds_count_where_no_model_is_called(train: Train, reward: str) -> None:
    budget = Budget(seconds=1, now=iter(range(100)).__next__)
    with pytest.raises(Paused, match="seconds"):
        await train(Learner(["no", "no"], ["no", "no"], ["no", "no"]), reward=reward, budget=budget)


async def test_a_folder_is_for_one_training(train: Train, reward: str) -> None:
    await train(Learner([A, B], [A, B], [A, B]), reward=reward)
    with pytest.raises(UserError, match="other settings"):
        await train(Learner([A, B], [A, B], [A, B]), reward=reward, feedback="shuffled")


async def test_a_reward_of_ones_own_gets_steps_and_rows_and_calls_no_model(
    train: Train, reward: str, tmp_path: Path
) -> None:
    found = await train(Learner([A, B], [A, "no"], [A, B]), reward=reward, rows=3)
    assert curve(tmp_path)[0]["rewards"] == [0.23, 0.23]
    assert (found.calls, found.to_json()["best"]["reward"]) == (0, 0.23)


async def test_the_control_is_told_other_rewards_and_the_curve_the_true_ones(
    train: Train, reward: str, tmp_path: Path
) -> None:
    learner = Learner([A, "no"], [A, "no"], [A, "no"])
    await train(learner, reward=reward, feedback="shuffled")
    assert all(each["rewards"] == [0.25, -0.5] for each in curve(tmp_path))
    assert any(each == [-0.5, 0.25] for each in learner.told.values())


async def test_a_ceiling_ends_it_with_what_was_learnt_and_a_wish_to_stop_pauses_it(train: Train, reward: str) -> None:
    found = await train(Learner([A, "no"], [B, A], [B, B]), interpreter="fake/labels", budget=Budget(calls=15))
    assert found.to_json()["status"] == "stopped"
    assert found.stopped_by
    assert found.to_json()["steps"] == 1
    stop = StopSignal()
    stop.set()
    with pytest.raises(Paused):
        await train(Learner([A, B], [A, B], [A, B]), interpreter="fake/labels", stop=stop)


async def test_what_is_wrong_is_said_before_anything_is_made(train: Train, reward: str, tmp_path: Path) -> None:
    for given, said in (
        ({}, "neither"),
        ({"reward": reward, "interpreter": "fake/labels"}, "one of them"),
        ({"reward": "nowhere.py:f"}, "no file"),
        ({"reward": reward.replace("by_length", "nothing")}, "nothing"),
    ):
        with pytest.raises(UserError, match=said):
            await train(Learner([A, B], [A, B], [A, B]), **given)


@pytest.mark.parametrize(
    ("name", "said"), [("too_much", "2 returned"), ("raises", r"KeyError: 'nothing' at reward\.py:")]
)
async def test_a_reward_that_raises_or_is_none_is_told_in_a_line(
    train: Train, reward: str, name: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        await train(Learner([A, B], [A, B], [A, B]), reward=reward.replace("by_length", name))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "--steps"),
        ({"samples": 1}, "--samples"),
        ({"tokens": 0}, "--program-tokens"),
        ({"rate": float("nan")}, "--learning-rate"),
        ({"beta": float("nan")}, "--beta"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    task: Task, learning: Learning, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        require_training(task, replace(learning, **given), interpreter="fake/labels", reward=None, rows=None)


def test_the_curve_shows_every_step_and_the_running_mean() -> None:
    *_, steps, running, end = curve_chart([-0.5, -0.25, 0.1]).splitlines()
    assert (steps.strip(), running.strip(), end) == (
        "line [-0.500, -0.250, 0.100]",
        "line [-0.500, -0.375, -0.217]",
        "```",
    )


def test_more_tools_than_a_program_may_call_are_refused_before_anything_is_made(task: Task, learning: Learning) -> None:
    def tool(text: str) -> str:
        """Gives back a text."""
        return text

    tools = tuple(tool_of(tool, name=f"tool_{number}") for number in range(33))
    given = replace(task, tools=tools)
    with pytest.raises(UserError, match="33 of them"):
        require_training(given, learning, interpreter="fake/labels", reward=None, rows=None)
    require_training(given, learning, interpreter=None, reward="of_mine.py:worth", rows=None)


def test_the_verb_names_the_extra_and_what_it_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Path(__file__).parents[2] / "examples" / "openagi" / "toy.task.yaml"
    (tmp_path / "model").mkdir()
    asked = [
        "train-generator",
        str(task),
        "--model",
        str(tmp_path / "model"),
        "--steps",
        "3",
        "--out",
        str(tmp_path / "out"),
        "--reward",
        f"{task.parent / 'metrics.py'}:by_words",
    ]
    assert flowbot([*asked, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"dry_run": True, "programs": 12}
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert flowbot(asked) == 2
    assert "pip install -e '.[train]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
