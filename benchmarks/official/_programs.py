"""Programs by pass@1: references, which must pass, and mutants of them, beside the plain script that the publishers' harnesses run."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flowbot.benchmark.sets.registry import load_set
from flowbot.benchmark.sets.scorers.hidden_tests import PROGRAM, Tests
from flowbot.fields import StepError
from flowbot.runtime.sandbox.chosen import open_sandbox
from flowbot.task import Example
from scorers import CASES, Case

TURNED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn,
}  # fmt: skip


class _Turn(ast.NodeTransformer):
    """Turns the first operator round."""

    def __init__(self) -> None:
        self.done = False

    def generic_visit(self, node: ast.AST) -> ast.AST:
        other = None if self.done else TURNED.get(type(node))
        if other is not None:
            self.done = True
            return other()
        return super().generic_visit(node)


class _Nothing(ast.NodeTransformer):
    """Makes every return give nothing."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        return ast.Return(ast.Constant(None))

    def visit_Yield(self, node: ast.Yield) -> ast.Yield:
        return ast.Yield(ast.Constant(None))


def mutants(program: str) -> Iterator[tuple[str, str]]:
    """Programs that are wrong, by what was done to them."""
    yield "returns nothing", ast.unparse(ast.fix_missing_locations(_Nothing().visit(ast.parse(program))))
    turn = _Turn()
    turned = ast.unparse(ast.fix_missing_locations(turn.visit(ast.parse(program))))
    if turn.done:
        yield "operator turned round", turned


def plain(tests: Tests, program: str) -> float:
    """Whether the program and then the tests run as one script to their end, with the problem's own imports and helpers before them."""
    script = f"import sys\nsys.stdout = open('/dev/null', 'w')\n{tests.before}\n{program}\n{tests.hidden}\n"
    try:
        asyncio.run(open_sandbox("bubblewrap").script(script, seconds=60, memory_mb=256))
    except StepError:
        return 0.0
    return 1.0


def cases(name: str, folder: Path) -> Iterator[Case]:
    """The references of all rows, and mutants of the first."""
    task = load_set(name, folder)
    tests: dict[str, Tests] = task.metric.call.args[0]
    rows = [*task.test, *task.val, *task.train]
    answers = [("reference", row, row.expected[PROGRAM]) for row in rows]
    answers += [(kind, row, each) for row in rows[:CASES] for kind, each in mutants(row.expected[PROGRAM])]

    def scored(answer: tuple[str, Example, str]) -> Case:
        kind, row, program = answer
        return Case(name, row.id, kind, task.metric(row, {PROGRAM: program}).value, plain(tests[row.id], program))

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(scored, answers)
