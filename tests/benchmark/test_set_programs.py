"""HumanEval and MBPP, on made-up problems in their publishers' forms: what is scored, and that hidden tests stay hidden."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from flowbot.benchmark.sets.programs import shown_asserts
from flowbot.benchmark.sets.registry import load_set
from flowbot.benchmark.sets.scorers import hidden_tests
from flowbot.fields import Score, UserError
from flowbot.runtime.sandbox.bubblewrap import BubblewrapSandbox
from flowbot.task import Task

PROMPT = '''from typing import List


def shout(text: str) -> str:
    """ The text in capitals. """
    return text.upper()


def shouted(texts: List[str]) -> List[str]:
    """ All texts in capitals.
    >>> shouted(["a"])
    ['A']
    """
'''
SECRET = 'assert candidate(["q7x"]) == ["Q7X"]'
HUMANEVAL: dict[str, Any] = {
    "task_id": "HumanEval/9",
    "prompt": PROMPT,
    "entry_point": "shouted",
    "canonical_solution": "    return [shout(each) for each in texts]\n",
    "test": f"def check(candidate):\n    {SECRET}\n    assert candidate([]) == []\n",
}
MBPP: dict[str, Any] = {
    "task_id": 11,
    "text": "Write a function to double a number.",
    "code": "def double(n):\n    return helped(n)\ndef helped(n):\n    return 2 * n",
    "test_list": ["assert double(2) == 4", "assert double(717) == 1434", "assert math.isclose(double(0.5), 1)"],
    "test_setup_code": "import math",
    "challenge_test_list": [],
}


@pytest.fixture(autouse=True)
def bubblewrap() -> None:
    """Needed by all: missing on a developer's machine, not where CI is set."""
    try:
        BubblewrapSandbox.checked()
    except UserError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def humaneval(folder: Path, **changed: Any) -> Task:
    (folder / "HumanEval.jsonl").write_text(json.dumps({**HUMANEVAL, **changed}) + "\n", encoding="utf-8")
    return load_set("humaneval", folder, rows=[0, 1, 0])


def scored(task: Task, program: str) -> Score:
    return task.metric(task.val[0], {"program": program})


@pytest.mark.parametrize(
    "program",
    [
        "def shouted(texts):\n    return [each.upper() for each in texts]",
        "    return [shout(each) for each in texts]",  # the body alone goes on from the prompt
        "return [shout(each) for each in texts]",
        "Here it is:\n```python\ndef shouted(texts: List[str]):\n    return list(map(shout, texts))\n```\nIt maps.",
        "```\nprint('usage')\n```\n```py\nshouted = lambda texts: [shout(each) for each in texts]\n```",
        "class Words(list): ...\ndef shouted(texts): return Words(map(shout, texts))",
        "def shouted(texts):\n    print('x' * 1_000_000)\n    return [shout(each) for each in texts]",
    ],
)
def test_a_right_program_passes_however_it_is_written(tmp_path: Path, program: str) -> None:
    assert scored(humaneval(tmp_path), program) == Score(1.0)


@pytest.mark.parametrize(
    ("program", "feedback"),
    [
        ("", "program: nothing"),
        ("def shouted(texts):\n    return texts", """public test failed: assert shouted(["a"]) == ['A']: it gave ['a']; hidden tests: one failed"""),
        ("def shouted(texts):\n    return ['A'] if texts == ['a'] else texts", "hidden tests: one failed"),
        ("def shouted(texts):\n    return texts +", "the program does not run: SyntaxError: invalid syntax (line 2: return texts +)"),
        ("import nothing_like_it\ndef shouted(texts): ...", "the program does not run: ModuleNotFoundError: No module named"),
        ("def loud(texts):\n    return texts", "the program defines no shouted"),
        ("def shouted(texts):\n    if texts != ['a']:\n        raise KeyError(texts)\n    return ['A']", "hidden tests: one ended with KeyError"),
        ("def shouted(texts):\n    if texts != ['a']:\n        raise type(texts[0], (Exception,), {})\n    return ['A']", "hidden tests: one ended with an error"),
        ("def shouted(texts):\n    return object()", "it gave <object object at 0x…>; hidden tests: one failed"),
        ("def shouted(texts):\n    return '\ud800'", "the program does not run: UnicodeEncodeError"),
        ("def shouted(texts):\n    return " + "(" * 5000, "the program does not run: "),
        ("def shouted(texts):\n    return '\0'", "the program does not run: "),
        ("import sys\nsys.exit(0)", "the program does not run: SystemExit: 0"),
        ("import os\ndef shouted(texts):\n    os._exit(0)", "hidden tests: took more than 10 s of processor time, or ended Python"),
        ("def shouted(texts):\n    return ['A'] if texts == ['a'] else [0] * 10**9", "hidden tests: "),
        ("import builtins\nbuiltins.exec = lambda *_: None\ndef shouted(texts):\n    return texts", "hidden tests: one failed"),
        ("class Any(list):\n    def __eq__(self, other): return True\ndef shouted(texts):\n    return Any()", "hidden tests: one failed"),
        ("from unittest.mock import ANY\ndef shouted(texts):\n    return [ANY]", "it gave [<ANY>]; hidden tests: one failed"),
        ("import sys\ndef shouted(texts):\n    sys.exit(0)", "hidden tests: one ended with SystemExit"),
        ("import socket\ndef shouted(texts):\n    socket.create_connection(('127.0.0.1', 9))", "hidden tests: one ended with PermissionError"),
    ],
)  # fmt: skip
def test_a_wrong_program_fails_and_nothing_of_the_hidden_tests_is_told(
    tmp_path: Path, program: str, feedback: str
) -> None:
    score = scored(humaneval(tmp_path), program)

    assert score.value == 0
    assert feedback in score.feedback
    assert "q7x" not in score.feedback.lower()


@pytest.mark.parametrize(
    ("body", "told"),
    [("pass", "took more than 1 s of processor time, or ended Python"), ("time.sleep(9)", "ran longer than 3 s")],
)
def test_a_program_that_does_not_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    monkeypatch.setattr(hidden_tests, "SECONDS", 1)
    monkeypatch.setattr(hidden_tests, "WAIT_SECONDS", 30.0 if body == "pass" else 3.0)

    score = scored(humaneval(tmp_path), f"import time\ndef shouted(texts):\n    while True: {body}")

    assert score.feedback == f"with the public tests: {told}; hidden tests: {told}"


def test_only_the_metric_holds_the_hidden_tests_and_its_identity_changes_with_them(tmp_path: Path) -> None:
    task = humaneval(tmp_path)
    row = task.val[0]
    other = humaneval(tmp_path, test=HUMANEVAL["test"].replace("q7x", "q8x"))

    assert "q7x" not in repr(
        [row.inputs, row.expected, row.extra, row.feedback, task.goal, task.inputs, task.metric.identity]
    )
    assert row.expected == {"program": PROMPT + HUMANEVAL["canonical_solution"]}
    assert task.metric.identity != other.metric.identity
    assert task.metric.kept  # told apart, so that its scores may be stored
    assert not task.metric.pure


def test_without_bubblewrap_it_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(UserError, match="sandbox bubblewrap: found no bwrap program; install bubblewrap"):
        humaneval(tmp_path)


def test_humaneval_is_divided_as_aflow_does_and_train_is_half_of_validation(tmp_path: Path) -> None:
    lines = [
        json.dumps({**HUMANEVAL, "task_id": f"HumanEval/{number}", "prompt": f"# {number}\n{PROMPT}"})
        for number in range(20)
    ]
    (tmp_path / "HumanEval.jsonl").write_text("\n".join(lines), encoding="utf-8")

    two, three = load_set("humaneval", tmp_path, rows=[0, 6, 14]), load_set("humaneval", tmp_path)

    assert [each.id for each in two.val] == [f"HumanEval/{number}" for number in (9, 12, 15, 16, 18, 19)]
    assert {each.id for each in (*three.train, *three.val)} == {each.id for each in two.val}
    assert len(three.train) == len(three.val) == 3


@pytest.mark.parametrize(
    "row",
    [
        MBPP,
        {"id": "mbpp-11", "prompt": MBPP["text"], "entry_point": "double", "answer": MBPP["code"], "test_list": MBPP["test_list"], "test_setup_code": "import math"},
        {"task_id": 11, "prompt": MBPP["text"], "code": MBPP["code"], "test_imports": ["import math"], "test_list": MBPP["test_list"], "source_file": ""},
    ],
    ids=["published", "normalised", "sanitized"],
)  # fmt: skip
def test_mbpp_is_the_same_problem_in_every_form(tmp_path: Path, row: dict[str, Any]) -> None:
    (tmp_path / "mbpp.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")

    task = load_set("mbpp", tmp_path, rows=[0, 0, 1])
    every = load_set("mbpp", tmp_path, rows=[0, 0, 1], variant="all-asserts")
    example = task.test[0]

    assert example.inputs == {"problem": MBPP["text"], "tests": "assert double(2) == 4"}
    assert every.test[0].inputs["tests"].splitlines() == MBPP["test_list"]
    assert task.metric(example, {"program": MBPP["code"]}).value == 1
    assert task.metric(example, {"program": "def double(n): return 4"}).feedback == "hidden tests: one failed"
    patched = "import math\nmath.isclose = lambda *_: True\ndef double(n): return {2: 4, 717: 1434}.get(n)"
    assert task.metric(example, {"program": patched}).feedback == "hidden tests: one ended with TypeError"
    assert task.metric(example, {"program": "def helped(n): return 4"}).feedback == "the program defines no double"


def test_mbpp_is_divided_by_number_and_the_first_ten_are_for_prompts(tmp_path: Path) -> None:
    rows = [{**MBPP, "task_id": number, "text": f"Number {number}."} for number in (1, 10, 11, 510, 511, 600, 601, 974)]
    (tmp_path / "mbpp.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    task = load_set("mbpp", tmp_path)

    found = {split: {each.id for each in task.splits[split]} for split in task.splits}
    assert found == {
        "train": {"mbpp-601", "mbpp-974"},
        "val": {"mbpp-511", "mbpp-600"},
        "test": {"mbpp-11", "mbpp-510"},
    }


@pytest.mark.parametrize(
    ("text", "asserts"),
    [
        (">>> f([1, 2])\n3\n>>> f([])\n0\n", ("assert f([1, 2]) == 3", "assert f([]) == 0")),
        ("f(1) == 2\nfor f(2, k=3) ➞ 'a)'\n* f('x(') => [1]\n", ("assert f(1) == 2", "assert f(2, k=3) == 'a)'", "assert f('x(') == [1]")),
        ("f(5) should return 7.\nf(6) returns 8\n", ("assert f(5) == 7", "assert f(6) == 8")),
        ("f(n) = f(n - 1)\nf(1) == 1 + 9 = 10\nf(aa) => False\ndef f(1) == 2\ng(1) == 2\nf(1) is true", ()),
        (">>> f(open('x'))\n1\n>>> import os\n", ()),
    ],
)  # fmt: skip
def test_examples_in_a_text_become_asserts_where_both_sides_are_literal(text: str, asserts: tuple[str, ...]) -> None:
    assert shown_asserts(text, "f") == asserts
