"""What a workflow says stands in a Python file as literals: it comes back as it was, and none of it is code."""

from __future__ import annotations

import ast
from typing import Any

from export_help import evaluated
from hypothesis import example, given
from hypothesis import strategies as st

from flowbot.export.exported import Place
from flowbot.export.exporting import exported
from flowbot.export.python import Python
from flowbot.export.python_text import condition_source, docstring, kind_source, quoted, text_source
from flowbot.fields import Type
from flowbot.workflow.conditions import All, AnyOf, Not, Test, holds
from flowbot.workflow.workflow import Workflow

HOSTILE = (
    *('"""', "'''", "\\", '\\"', "\\'", '"\\', "{x}", "{{x}}", "}", "\n", "\r", "\x00", "\u2028", "\u202e"),
    *("\\N{BELL}", '" + evil() + "', "\\N{x}", "\\x", "#", "é", "\t"),
)
texts = st.text() | st.lists(st.sampled_from(HOSTILE)).map("".join)


@given(texts)
@example('"')
@example("\\'\"")
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text


@given(st.lists(texts.filter(bool) | st.just(Place("x")), min_size=1), texts)
def test_a_message_comes_back_as_it_was(parts: list[str | Place], value: str) -> None:
    source = "(\n" + "\n".join(text_source(parts, lambda _: "x")) + "\n)"
    tree = ast.parse(source, mode="eval")
    allowed = {ast.Expression, ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.Name, ast.Load}
    assert {type(node) for node in ast.walk(tree)} <= allowed
    wanted = "".join(value if isinstance(part, Place) else part for part in parts)
    assert evaluated(source, x=value) == wanted


@given(texts)
def test_nothing_closes_a_docstring(text: str) -> None:
    (only,) = ast.parse(docstring(text or "x")).body
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)


@given(texts, texts)
def test_no_instruction_becomes_code(text: str, shown: str) -> None:
    assert _shape(_file(text, shown)) == _shape(_file("plain", "plain"))


def _file(text: str, shown: str) -> str:
    demonstration = {"inputs": {"q": text}, "outputs": {"a": shown, "b": ""}}
    data = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "a.a"},
        "nodes": {"a": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str", "b": "str"}}},
        "parameters": {"a": {"instruction": f"x{text}"[:8000], "demonstrations": [demonstration]}},
    }
    made = exported(Workflow.from_data(data), model="openai/gpt-4.1-mini", goal=text, origin=shown)
    return Python().files(made)["flow.py"]


def _shape(source: str) -> list[str]:
    """The kinds of a file's syntax, but for its literals."""
    kinds = [type(node).__name__ for node in ast.walk(ast.parse(source))]
    return [kind for kind in kinds if kind != "Constant"]


def test_types_and_conditions_are_expressions() -> None:
    kinds: dict[str, Any] = {
        "str": str,
        "list[int]": [int],
        "object": dict,
        "Literal['a', \"b'\"]": ("a", "b'"),
        "Literal['a']": ("a",),
        "{n: list[bool]}": {"n": [bool]},
    }
    names = {"str": str, "int": int, "bool": bool, "dict": dict}
    for text, kind in kinds.items():
        assert evaluated(kind_source(Type.parse(text)), **names) == kind
    one, two = Test(ref="n", op=">", value=3), Test(ref="ok", op="==", value=True)
    three, four = Test(ref="word", op="contains", value="a\"'"), Test(ref="word", op="in", value=["a", "b"])
    joined = (All(parts=(one, Not(part=two))), Not(part=AnyOf(parts=(three, All(parts=(one, four))))))
    for condition in (one, two, three, four, Not(part=two), *joined):
        for n, ok, word in ((4, True, "a"), (1, False, "xa\"'"), (4, False, "c")):
            values = {"n": n, "ok": ok, "word": word}
            source = condition_source(condition, lambda ref: ref)
            assert evaluated(source, **values) == holds(condition, values.__getitem__), source
