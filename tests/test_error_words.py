"""What a person is told reads as a sentence: `found` and `expected` are followed by things, what is to be done is said so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbot.fields import UserError
from flowbot.fields.words import kind_of
from flowbot.workflow.check import require_valid
from flowbot.workflow.workflow import Workflow

SOURCE = Path(__file__).parents[1] / "src" / "flowbot"
NO_THING_FOUND = re.compile(
    r"(there (is|are)|it|they|is|are|was|that|expected|found|closed|not|when|if|because|cannot|could|no way)\b(?! to\b)"
)
"""How a text begins that does not go on after "found"."""
VERBS = (
    "add allow ask bind call choose close compare cut declare drop end fill free give go install leave let list make mend "
    "merge move name pass pick put raise read remove rename replace run say see set shorten split start take test tell try "
    "update use wait write"
)
NO_THING_EXPECTED = re.compile(rf"(it|them|none;|found|expected|{'|'.join(VERBS.split())})(?![\w-]|:)")
"""How a text begins that does not go on after "expected"."""
NO_DEED = re.compile(r"(a|an|the|one|no|expected|found)\b(?! with\b)", re.IGNORECASE)
"""How a text begins that tells nobody to do anything."""


def said() -> Iterator[tuple[str, str, str]]:
    """The texts of errors as they stand in the source: place, part, how it begins."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("UserError", "finding_defect")
            ):
                given = dict(zip(("where", "found", "expected"), node.args, strict=False))
                given |= {each.arg: each.value for each in node.keywords if each.arg}
                for part, value in given.items():
                    for text in _beginnings(value):
                        yield f"{path.relative_to(SOURCE)}:{node.lineno}", part, text


def _beginnings(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield text
        case ast.IfExp():
            yield from (*_beginnings(value.body), *_beginnings(value.orelse))
        case ast.BinOp():
            yield from _beginnings(value.left)
        case _:
            return


def test_what_stands_after_found_and_expected_is_a_thing_and_what_mends_is_a_deed() -> None:
    every = list(said())
    assert len(every) > 400
    rules = {"found": NO_THING_FOUND, "expected": NO_THING_EXPECTED, "mend": NO_DEED}
    assert [each for each in every if each[1] in rules and rules[each[1]].match(each[2])] == []


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("found", "there is no tool 'search'"),
        ("found", "is str, and the task gives int"),
        ("expected", "use to_euros"),
        ("expected", "declare str"),
        ("expected", "it, installed with: pip install x"),
        ("expected", "none; wait for it"),
    ],
)
def test_the_rule_knows_what_made_no_sense(part: str, text: str) -> None:
    assert (NO_THING_FOUND if part == "found" else NO_THING_EXPECTED).match(text)


def test_a_defect_of_a_workflow_is_told_in_its_own_words() -> None:
    nodes = {"a": {"kind": "tool", "tool": "serch", "in": {"q": "q"}, "out": {"n": "int"}}}
    workflow = Workflow.from_data({"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"n": "a.n"}, "nodes": nodes})
    with pytest.raises(UserError) as caught:
        require_valid(workflow, where="my.flow.yaml", tools={})
    assert str(caught.value).startswith("my.flow.yaml: nodes.a.tool: there is no tool 'serch'; ")
    assert "found" not in str(caught.value)
    assert "expected" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "told"), [(None, "nothing"), (3, "an int"), ([], "a list"), ({}, "a dict"), (object(), "an object")]
)
def test_kinds_have_their_article(value: object, told: str) -> None:
    assert kind_of(value) == told
