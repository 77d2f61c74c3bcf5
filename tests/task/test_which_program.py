"""Which of a task's programs a name means: file and function are compared, wherever the name is said."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowbot as fb
from flowbot.fields import UserError
from flowbot.optimizer.program_start import with_program
from flowbot.runtime.lift import lift as lifting
from flowbot.task.programs import named_program, program_at, program_of
from flowbot.workflow.nodes import ProgramNode

APP = "async def answer(question):\n    return question\n"


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fb.Task:
    """One whose program writes, and with another of the same name in another file beside it; looked at from elsewhere."""
    folder = tmp_path / "shop"
    (folder / "there").mkdir(parents=True)
    for name in ("app.py", "other.py", "there/app.py"):
        (folder / name).write_text(APP, encoding="utf-8")
    (folder / "task.yaml").write_text(
        "flowbot: 1\ngoal: Answer.\ndata: {train: rows.csv}\ninputs: {question: str}\noutputs: {answer: str}\nmetric: exact\n"
        "programs: [{call: app.py:answer, effects: writes}]\n",
        encoding="utf-8",
    )
    rows = "".join(f"q{number},a{number}\n" for number in range(12))
    (folder / "rows.csv").write_text(f"question,answer\n{rows}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return fb.Task.load(folder / "task.yaml")


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("app.py:answer", True),  # from beside the task file
        ("shop/app.py:answer", True),
        ("./shop/there/../app.py:answer", True),
        ("shop/other.py:answer", False),
        ("shop/there/app.py:answer", False),
    ],
)
def test_a_declared_program_is_known_by_its_file_however_that_is_said(text: str, writes: bool, task: fb.Task) -> None:
    assert task.source is not None
    effects = "writes" if writes else "reads"
    assert program_at(text, task.programs, "program", task.source.parent).effects == effects
    started = with_program(text, task, "start")
    assert started is not None
    (node,) = started[1].sketch.nodes.values()
    assert isinstance(node, ProgramNode)
    found = named_program(node.call, started[0].programs)
    assert found is not None
    assert found.effects == effects
    if writes:
        with pytest.raises(UserError, match="a program that writes"):
            lifting.lift(text, task, cache_dir=Path("cache"))


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("a/app.py:answer", "a/app.py:answer"),
        ("/home/a/app.py:answer", "a/app.py:answer"),
        ("../a/app.py:answer", "a/app.py:answer"),
        ("app.py:answer", None),  # which of the two?
        ("other.py:answer", None),
        ("app.py:say", None),
        ("tell.py:tell", "tell"),  # it was handed over
        ("tell", "tell"),
    ],
)
def test_a_node_means_a_program_of_the_same_file(call: str, found: str | None) -> None:
    def tell(question: str) -> str:
        return question

    programs = [program_of(tell, name=name) for name in ("a/app.py:answer", "b/app.py:answer", "tell")]
    one = named_program(call, programs)
    assert (one and one.name) == found
