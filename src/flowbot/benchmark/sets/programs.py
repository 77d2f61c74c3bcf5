"""What sets of programming problems have in common: the task, and the asserts that a problem's own text gives."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from flowbot.task import Task
from flowbot.task.row import Row
from flowbot.task.sources import PythonSource
from flowbot.task.splits import Split

from .benchmark_set import SetRows
from .scorers.hidden_tests import PROGRAM, Tests, pass_at_1

ReadProblem = Callable[[Row, str], "Problem"]
"""The problem of a row, in a variant."""
_QUOTES = re.compile("\"\"\"|'''")
_SAID = re.compile(r"\s*(?:#\s*)?(?:={1,2}>?|[-=]>|➞|returns|should return|should be)\s*(\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row of such a set.

    Args:
        id: of the example.
        text: what is asked.
        reference: the publisher's own program.
        tests: what it is checked with.
    """

    id: str
    text: str
    reference: str
    tests: Tests


def programming_task(goal: str, about: str, problems: Mapping[Split, list[tuple[Row, Problem]]]) -> Task:
    """The task of programming problems: in go the text and the public tests, an assert a line; out comes the whole program.

    Its metric holds the hidden tests. The tool `python` runs what a workflow wants to try.

    Raises:
        UserError: if there is nothing to run programs in; see `pass_at_1`.
    """
    tests = {problem.id: problem.tests for each in problems.values() for _, problem in each}
    return Task(
        goal=goal,
        inputs={
            "problem": {"type": "str", "about": about},
            "tests": {"type": "str", "about": "asserts that it must pass, one a line; others are kept back"},
        },
        outputs={
            PROGRAM: {"type": "str", "about": "the whole Python program: imports and the function, without tests"}
        },
        metric=pass_at_1(tests),
        splits={split: [Row(row.place, _fields(problem)) for row, problem in each] for split, each in problems.items()},
        tools=[PythonSource()],
    )


def problems_of(rows: SetRows, variant: str, read: ReadProblem) -> dict[Split, list[tuple[Row, Problem]]]:
    """The problems by split, each with its row."""
    return {split: [(row, read(row, variant)) for row in each] for split, each in rows.rows.items()}


def _fields(problem: Problem) -> dict[str, str]:
    return {
        "id": problem.id,
        "problem": problem.text,
        "tests": "\n".join(problem.tests.public),
        PROGRAM: problem.reference,
    }


def shown_asserts(text: str, function: str) -> tuple[str, ...]:
    """The examples in a problem's text as asserts: those of doctest, or else calls with literal arguments and the literal that they
    are said to give, as in `f(1) == 2`, `f(1) ➞ 2` or `f(1) returns 2`. As they stand: publishers' own examples can be wrong."""
    found = list(_doctests(text, function)) or list(_said(text, function))
    return tuple(dict.fromkeys(found))


def _doctests(text: str, function: str) -> Iterator[str]:
    try:
        examples = doctest.DocTestParser().get_examples(_QUOTES.sub("\n", text))
    except ValueError:
        return
    for each in examples:
        if _is_call(each.source.strip(), function) and _is_literal(each.want.strip()):
            yield f"assert {each.source.strip()} == {each.want.strip()}"


def _said(text: str, function: str) -> Iterator[str]:
    for line in text.splitlines():
        start = line.find(f"{function}(")
        if start < 0 or line.lstrip().startswith("def "):
            continue
        for end in (place.end() for place in re.finditer(r"\)", line) if place.end() > start):
            told = _SAID.match(line[end:])
            if told and _is_call(line[start:end], function):
                value = next(
                    (each for each in (told[1].strip().rstrip("."), told[1].strip()) if _is_literal(each)), None
                )
                if value is not None:
                    yield f"assert {line[start:end]} == {value}"
                break


def _is_call(text: str, function: str) -> bool:
    """Whether it is a call of the function with literals alone."""
    try:
        match ast.parse(text, mode="eval").body:
            case ast.Call(func=ast.Name(id=name), args=given, keywords=named):
                return name == function and all(_is_value(each) for each in (*given, *(each.value for each in named)))
            case _:
                return False
    except (SyntaxError, ValueError, RecursionError):
        return False


def _is_literal(text: str) -> bool:
    try:
        return _is_value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):
        return False


def _is_value(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
