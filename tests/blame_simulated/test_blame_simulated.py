"""Inner optimisers in workflows with one spoiled step: a critic that is right repairs them, one that guesses is no better than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from blame_simulated import __main__ as command
from blame_simulated.methods import METHODS
from blame_simulated.runs import Found, searched, world_of
from blame_simulated.table import read
from flowbot.store import Store

SHORT = (3, 4)
SEEDS = (3, 4, 9, 11, 12, 13, 16, 18, 19, 21, 22, 25, 26, 27, 29, 33, 35, 38, 39, 40)
"""Worlds in which an instruction is spoiled that many rows meet."""


async def runs(name: str, p: float, seeds: Sequence[int], plan: int = 100) -> list[Found]:
    found: list[Found] = []
    for seed in seeds:
        world, store = await world_of(seed, SHORT), Store.memory()
        found.append(await searched(METHODS[name](world), world, store, p, plan))
    return found


async def test_a_critic_that_is_right_repairs_a_spoiled_instruction_and_one_that_guesses_is_no_better_than_chance() -> (
    None
):
    right = await runs("texts: draws from counts", 1.0, SEEDS)
    assert sum(each.repaired for each in right) >= 0.95 * len(SEEDS)
    assert not any(each.harmed for each in right)
    guessed, drawn = [await runs(f"texts: {each}", 0.3, SEEDS[:5]) for each in ("draws from counts", "chance")]
    assert sum(each.repaired for each in guessed) <= sum(each.repaired for each in drawn) + 2
    assert all(each.spent <= each.planned for each in (*right, *guessed, *drawn))


@pytest.mark.parametrize("name", [each for each in METHODS if each.startswith("none+")])
async def test_a_run_is_a_function_of_its_seed_and_never_passes_its_plan(name: str) -> None:
    once, again = [await runs(name, 0.7, [3], plan=23) for _ in range(2)]
    assert [replace(each, seconds=0.0) for each in once] == [replace(each, seconds=0.0) for each in again]
    assert all(each.spent <= each.planned for each in once)


async def test_a_world_has_one_spoiled_step_and_is_right_without_it_but_for_rows_that_are_labelled_wrongly() -> None:
    for seed in range(6):
        world = await world_of(seed)
        assert world.spoiled(world.start.workflow) == [world.fault]
        assert world.spoiled(world.whole.workflow) == []
        assert 3 <= len(world.paths) <= 12
        rows = [each for split in ("train", "val") for each in world.task.splits[split]]
        assert {str(each.inputs["x"]) for each in rows if each.expected["y"] == "0"} <= world.mislabelled


def test_each_method_can_be_asked_for_by_its_name() -> None:
    assert command._names(",".join(METHODS)) == list(METHODS)


def test_a_run_that_stands_in_the_file_is_not_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, picture = tmp_path / "rows.jsonl", tmp_path / "picture.svg"
    asked = [str(file), "--seeds", "2", "--methods", "texts: chance", "--p", "0.5", "--plan", "20"]
    command.main([*asked, "--picture", str(picture)])
    once, shown = file.read_text(), capsys.readouterr().out
    assert len(read(file)) == 2
    assert picture.read_text().count("<svg") == 1
    monkeypatch.setattr(command, "runs_of", None)  # nothing is left to make
    command.main(asked)
    assert (file.read_text(), capsys.readouterr().out) == (once, shown)
