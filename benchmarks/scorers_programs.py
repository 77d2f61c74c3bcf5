"""Our scorers of programs and of instructions, on the publishers' own answers and beside the publishers' own code.

    python benchmarks/scorers_programs.py DATA [--out benchmarks/results/scorers.jsonl]

DATA holds the folders humaneval, mbpp, ifeval and ifbench (not part of this project). Of programs: every reference must pass, and
mutants of it must not: one that returns nothing, and one with an operator turned round, which may come to the same by chance. Of
instructions: 100 rows a set, each with texts as models write them, scored by us and by the package `if-verifiable`. A line of JSON a
comparison goes to the results, in place of those of before, with every answer that is scored otherwise.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flowbot.bench.sets.registry import load_set
from flowbot.bench.sets.scorers.hidden_tests import PROGRAM
from flowbot.bench.sets.scorers.instructions import RESPONSE, checkers
from flowbot.task import Example, Task

ROWS = 100
TURNED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn,
}  # fmt: skip
Line = dict[str, Any]


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


def every(task: Task) -> list[Example]:
    """All examples."""
    return [*task.train, *task.val, *task.test]


def programs(name: str, data: Path) -> Iterator[Line]:
    """References and mutants of a set."""
    task = load_set(name, data / name)

    def scores(answers: list[tuple[Example, str]]) -> list[float]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda each: task.metric(each[0], {PROGRAM: each[1]}).value, answers))

    answers = {"references": [(row, row.expected[PROGRAM]) for row in every(task)]}
    for row in every(task):
        for kind, program in mutants(row.expected[PROGRAM]):
            answers.setdefault(f"mutants: {kind}", []).append((row, program))
    for kind, given in answers.items():
        wanted = float(kind == "references")
        found = scores(given)
        yield {
            "scorer": f"{name}: {kind}",
            "published": "the publisher's solutions and tests",
            "answers": len(given),
            "apart": sum(each != wanted for each in found),
            "cases": [row.id for (row, _), each in zip(given, found, strict=True) if each != wanted],
        }


def replies(example: Example) -> list[str]:
    """Texts as models write them: some follow what rows ask for, some do in part, and some not at all."""
    prompt: str = example.inputs["prompt"]
    words = [
        str(each)
        for given in example.extra["kwargs"]
        for value in given.values()
        for each in (value if isinstance(value, list) else [value])
    ]
    plain = f"Sure. Here is what you asked for, in short: {' '.join(prompt.split()[:30])}. It was written by Dr. Smith in 2021."
    listed = "\n".join(f"* Point {number}: something of use." for number in range(1, 4))
    parts = "\n\n***\n\n".join(f"Paragraph {number} says so. It has two sentences!" for number in range(1, 5))
    last = words[-1] if words else "done"
    return [
        plain,
        plain.lower().replace(",", ""),
        plain.upper(),
        f"<<A title>>\n\n{listed}\n\nP.S. Is there anything else I can help with?",
        f"**Here is my answer:**\n\n{parts}\n\nI hope this helps.",
        json.dumps({"answer": plain, "words": words}, ensure_ascii=False),
        f'"{plain} {" ".join(words)} {" ".join(words)}"',
        f"{prompt}\n\n*Highlighted one* and *highlighted two* and *highlighted three*. [name] [address] [place]\n{last}",
        f"First response, short.\n******\n{plain}",
        "\n".join(
            f"Section {number}\nSECTION {number}\nText with {word}." for number, word in enumerate([*words, "x"], 1)
        ),
        f"{' '.join([plain] * 20)}\n\n{listed}\n{last}",
        "My answer is yes.",
        "Amor omnia vincit et nos cedamus amori ni fallor: नमस्ते दुनिया, यह एक वाक्य है।",
        " ".join(words * 5) or "ok",
        "",
    ]


def instructions(name: str, data: Path, variant: str) -> Line:
    """Our scores of a set's replies beside the package's own."""
    import langdetect
    from if_verifiable.common import evaluate_instructions

    task = load_set(name, data / name, variant=variant)
    apart: list[Line] = []
    rows = every(task)[:ROWS]
    answers = [(row, reply) for row in rows for reply in replies(row)]
    followed = 0.0
    for row, reply in answers:
        score = task.metric(row, {RESPONSE: reply})
        random.seed(0)
        langdetect.DetectorFactory.seed = 0
        given = (row.extra["instruction_id_list"], row.extra["kwargs"], row.inputs["prompt"], checkers(name))
        _, theirs = evaluate_instructions(reply, *given)
        published = (theirs.binary_strict, theirs.binary_loose, theirs.partial_strict, theirs.partial_loose)
        ours = (score.value, *(score.parts[each] for each in ("loose", "instructions", "instructions_loose")))
        followed += ours[0]
        if ours != published:
            apart.append({"id": row.id, "answer": reply, "ours": ours, "published": published})
    return {
        "scorer": f"{name}: strict, loose, shares of instructions",
        "published": f"PyPI if-verifiable {version('if-verifiable')} common.py",
        "answers": len(answers),
        "right": int(followed),
        "apart": len(apart),
        "cases": apart,
    }


def main() -> None:
    """Compare, keep the results, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scorers.jsonl")
    told = parser.parse_args()
    lines = [instructions("ifeval", told.data, ""), instructions("ifbench", told.data, "untagged")]
    lines += [line for name in ("humaneval", "mbpp") for line in programs(name, told.data)]
    for line in lines:
        print(
            f"{line['scorer']:45} {line['answers']:6,} answers, {line['apart']:4} scored otherwise  ({line['published']})"
        )
    ours = {line["scorer"] for line in lines}
    kept = told.out.read_text(encoding="utf-8").splitlines() if told.out.is_file() else []
    kept = [line for line in kept if json.loads(line).get("scorer") not in ours]
    made = [json.dumps(line, ensure_ascii=False) for line in lines]
    told.out.write_text("".join(f"{line}\n" for line in [*kept, *made]), encoding="utf-8")


if __name__ == "__main__":
    main()
