"""IFEval and IFBench, on made-up prompts: what counts as followed, and that nothing is fetched or left to chance."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path
from typing import Any

import pytest

from flowbot.benchmark.sets.registry import load_set
from flowbot.benchmark.sets.scorers import instructions
from flowbot.benchmark.sets.scorers.helper_process import HelperProcess
from flowbot.fields import Score, UserError
from flowbot.task import Task

TITLE = {
    "key": 1,
    "prompt": "Write about tea. Give it a title in <<double angular brackets>>, and use no commas.",
    "instruction_id_list": ["detectable_format:title", "punctuation:no_comma"],
    "kwargs": [{"keywords": None}, {}],
}


def task_of(folder: Path, name: str, *rows: dict[str, Any]) -> Task:
    file = {"ifeval": "input_data.jsonl", "ifbench": "IFBench_test.jsonl"}[name]
    (folder / file).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return load_set(name, folder, rows=[0, 0, len(rows)])


def scored(task: Task, response: Any) -> Score:
    return task.metric(task.test[0], {"response": response})


@pytest.mark.parametrize(
    ("response", "value", "parts", "missed"),
    [
        ("<<Tea>>\nIt is warm.", 1, (1, 1, 1), ()),
        ("Here you are, friend:\n<<Tea>>\nIt is warm.", 0, (1, 0.5, 1), ("punctuation:no_comma",)),
        ("*<<Tea>>*\nIt is, well, warm.\nIt is, so.", 0, (0, 0.5, 0.5), ("punctuation:no_comma",)),
        ("Tea, warm.", 0, (0, 0, 0), ("detectable_format:title", "punctuation:no_comma")),
        ("", 0, (0, 0, 0), ("detectable_format:title", "punctuation:no_comma")),
        (None, 0, (0, 0, 0), ("detectable_format:title", "punctuation:no_comma")),
    ],
)
def test_strict_decides_loose_and_shares_are_parts_and_what_was_missed_is_named(
    tmp_path: Path, response: Any, value: float, parts: tuple[float, ...], missed: tuple[str, ...]
) -> None:
    score = scored(task_of(tmp_path, "ifeval", TITLE), response)

    assert score.value == value
    assert tuple(score.parts[each] for each in ("loose", "instructions", "instructions_loose")) == parts
    assert [each for each in TITLE["instruction_id_list"] if each in score.feedback] == list(missed)
    assert not missed or score.feedback.startswith(f"not followed: {missed[0]} (")


def test_a_guess_of_a_language_and_a_lot_that_is_drawn_are_the_same_each_time(tmp_path: Path) -> None:
    row = {
        "key": 2,
        "prompt": "Answer in German, with few of the letter #.",
        "instruction_id_list": ["language:response_language", "keywords:letter_frequency"],
        "kwargs": [{"language": "de"}, {"let_relation": "less than", "letter": "#", "let_frequency": 1}],
    }
    task = task_of(tmp_path, "ifeval", row)
    state = random.getstate()

    assert len({repr(scored(task, "So in die so de la a ok on is it.")) for _ in range(20)}) == 1
    assert random.getstate() == state  # nobody else's lots are touched


def test_ifbench_has_checkers_of_its_own_and_one_that_breaks_off_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"key": "1", "prompt": "Count.", "instruction_id_list": ["count:numbers"], "kwargs": [{"N": 2}]}
    task = task_of(tmp_path, "ifbench", row)

    assert scored(task, "It is 3 or 4.").value == 1
    monkeypatch.setattr(instructions.checkers("ifbench")["count:numbers"], "check_following", lambda *_: 1 / 0)
    ((strict, loose, _),) = instructions.followed("ifbench", [("count:numbers", {"N": 2})], "Count.", "It is 3 or 4.")
    assert not strict
    assert not loose


def test_a_text_that_checkers_never_end_on_scores_0_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(tmp_path, "ifeval", TITLE)
    slow = HelperProcess(Path(instructions.__file__).with_name("instructions_program.py"), 1.0)
    monkeypatch.setattr(instructions, "helper", lambda: slow)

    score = scored(task, "<" * 100_000)

    assert score.value == 0
    assert "punctuation:no_comma (it could not be checked in" in score.feedback
    assert scored(task, "<<Tea>>").value == 1
    slow.close()


def test_nothing_is_fetched_and_data_that_is_not_there_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr("nltk.data.path", [])
    instructions._checkers.cache_clear()
    row = {
        **TITLE,
        "instruction_id_list": ["length_constraints:number_sentences"],
        "kwargs": [{"relation": "at least", "num_sentences": 2}],
    }

    with pytest.raises(
        UserError, match="ifeval: found no NLTK data punkt_tab, for length_constraints:number_sentences; python -m nltk"
    ):
        task_of(tmp_path, "ifeval", row)
    task_of(
        tmp_path,
        "ifbench",
        {"key": "1", "prompt": "Count.", "instruction_id_list": ["count:numbers"], "kwargs": [{"N": 2}]},
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"instruction_id_list": ["detectable_format:titel", "punctuation:no_comma"]},
            "'detectable_format:titel'.*detectable_format:title",
        ),
        ({"kwargs": [{}]}, "1 for 2 instructions"),
        ({"kwargs": None}, "kwargs.*a list"),
    ],
)
def test_a_row_that_cannot_be_checked_is_refused_by_its_place(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=rf"input_data.jsonl:1: .*{told}"):
        task_of(tmp_path, "ifeval", {**TITLE, **changed})
