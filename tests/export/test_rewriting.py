"""Writing what was found into a program's source: the literal alone changes, and it says exactly what was found."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowbot.export.source.literals import Form, literal
from flowbot.export.source.rewriting import Change, Rewritten, rewritten
from flowbot.fields import UserError

LITERALS = {
    "double": '"Write a query."',
    "single": "'Write a query.'",
    "raw": 'r"Write a query."',
    "long": '"""Write a query."""',
    "long single": "'''Write a query.'''",
    "continued": '"""\\\nWrite a query."""',
    "long raw": 'r"""Write a query."""',
    "parted": '"Write "\n    "a query."',
    "parted in parentheses": "(\n        'Write a '\n        'query.'\n    )",
    "on one line": '"Write " "a query."',
    "with backslashes": '"Write "\\\n    "a query."',
}
OLD = "Write a query."
ANY = st.text(st.characters() | st.sampled_from("\"'\\\n\r\tab {}")) | st.text(st.sampled_from("\"'\\\n ar"))
HEAD = "import flowbot as fb  # the face\n\n\n"
TAIL = "\n\ndef answer( question ):   # as it is\n\treturn str(PLAN)+question\n"


def source(written: str, *, newline: str = "\n", cookie: str = "") -> str:
    return (cookie + HEAD + f'PLAN = fb.Param("plan",  {written})  # the plan' + TAIL).replace("\n", newline)


def change(text: str, new: str, *, encoding: str = "utf-8") -> Rewritten:
    return rewritten(text.encode(encoding), {"plan": Change(new, OLD)}, "app.py")


def default(code: bytes) -> object:
    call = next(each for each in ast.walk(ast.parse(code)) if isinstance(each, ast.Call) and len(each.args) == 2)
    return ast.literal_eval(call.args[1])


FORMS = st.builds(
    Form,
    quote=st.sampled_from(["'", '"', "'''", '"""']),
    raw=st.booleans(),
    between=st.sampled_from(["", "\n    ", " \\\n"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "ascii", "cp1252"]),
)


@given(ANY, FORMS)
@example('"', Form('"""'))
@example('a"""', Form('"""'))
@example('""""""\\', Form('"""', raw=True))
@example("\ud800\x00\u202e\N{BOM}", Form())
def test_a_literal_says_the_text_in_any_form(text: str, form: Form) -> None:
    for each in (form, replace(form, opening=f"\\{form.newline}") if len(form.quote) == 3 else form):
        written = literal(text, replace(each, raw=each.raw and not each.opening))
        assert ast.literal_eval(f"({written})") == text
        assert written.encode(form.encoding).isascii() or form.encoding != "ascii"


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(LITERALS.values())), st.sampled_from(["\n", "\r\n"]), ANY)
def test_the_source_says_what_was_found_and_nothing_else_changes(written: str, newline: str, new: str) -> None:
    old = source(written, newline=newline)
    got = change(old, new)
    assert default(got.source) == new
    head, tail = old.split(written.replace("\n", newline))
    assert got.source.decode().startswith(head)
    assert got.source.decode().endswith(tail)
    assert (got.written, got.left, got.source != old.encode()) == (("plan",), (), new != OLD)
    assert newline == "\n" or b"\n" not in got.source.replace(b"\r\n", b"")
    again = rewritten(got.source, {"plan": Change(OLD, new)}, "app.py")
    assert default(again.source) == OLD


@pytest.mark.parametrize("new", ["é", "€", 'ж\n"é'])
def test_a_letter_that_the_encoding_of_the_file_lacks_is_escaped(new: str) -> None:
    got = change(source('"Write a query."', cookie="# coding: latin-1\n"), new, encoding="latin-1")
    assert default(got.source) == new
    assert tokenize.detect_encoding(io.BytesIO(got.source).readline)[0] == "iso-8859-1"


@pytest.mark.parametrize(
    ("literal", "new", "expected"),
    [
        ("'Write a query.'", 'Say "no".', "'Say \"no\".'"),
        ('"Write a query."', 'Say "no".', "'Say \"no\".'"),
        ('"Write a query."', "One.\nTwo.", '"""One.\nTwo."""'),
        ('"""\\\nWrite a query."""', "One.\nTwo.\n", '"""\\\nOne.\nTwo.\n"""'),
        ('r"Write a query."', r"\d+", r'r"\d+"'),
        ('r"Write a query."', 'It\'s "\\d".', '"It\'s \\"\\\\d\\"."'),
        ("(\n        'Write a '\n        'query.'\n    )", "word " * 30, None),
    ],
)
def test_a_literal_keeps_its_form(literal: str, new: str, expected: str | None) -> None:
    got = change(source(literal), new).source.decode()
    if expected is None:
        lines = got.splitlines()
        assert sum(line.startswith("        'word") for line in lines) == 2
        assert max(map(len, lines)) < 100
    else:
        assert f'fb.Param("plan",  {expected})  # the plan' in got


@pytest.mark.parametrize(
    "head",
    [
        "import flowbot\nP = flowbot.Param",
        "from flowbot import Param as P",
        "from flowbot.program import Param as P",
        "import flowbot.program as f\nP = f.Param",
    ],
)
@pytest.mark.parametrize("arguments", ['"plan", "x"', 'name="plan", default="x"', '"plan", default=("x")'])
def test_a_parameter_is_known_however_it_is_imported_and_called(head: str, arguments: str) -> None:
    alias, _, call = head.partition("\nP = ")
    code = f"{alias}\nA = {call or 'P'}({arguments})\n"
    got = rewritten(code.encode(), {"plan": Change("y", "x")}, "app.py")
    assert got.source.decode() == code.replace('"x"', '"y"')


def test_what_only_looks_like_a_parameter_is_no_business_of_ours() -> None:
    code = b'from theirs import Param\nimport flowbot as fb\nA = Param("plan", "x")\nB = fb.Param(NAME, "x")\n'
    assert rewritten(code, {"plan": Change("y", "x")}, "app.py") == Rewritten(code, (), (), ())


@pytest.mark.parametrize(
    ("old", "new", "literal", "expected"),
    [
        (5, 10, "5", "10"),
        (5, -2, "5", "-2"),
        (-0.5, 0.25, "-0.5", "0.25"),
        (False, True, "False", "True"),
        ("a", "b'", "'a'", '"b\'"'),
    ],
)
def test_a_value_is_written_as_its_literal(old: str | float, new: str | float, literal: str, expected: str) -> None:
    code = f"import flowbot as fb\nK = fb.Value('k', {literal}, choices=[{literal}])\n"
    got = rewritten(code.encode(), {"k": Change(new, old)}, "app.py")
    assert got.source.decode() == code.replace(f"{literal}, ch", f"{expected}, ch")


@pytest.mark.parametrize(
    ("name", "new", "why"),
    [
        ("plan", "x" * 8001, "with its worked examples it has 8,001 letters, more than the 8,000 of a default"),
        ("plan.turns", (("a", "b"),) * 17, "there are 17 turns, more than the 16 of a default"),
    ],
)
def test_what_a_declaration_would_refuse_is_not_written(name: str, new: Any, why: str) -> None:
    code = b"import flowbot as fb\nPLAN = fb.Param('plan', 'Write.', turns=[])\n"
    got = rewritten(code, {name: Change(new)}, "app.py")
    assert (got.source, len(got.left)) == (code, 1)
    assert why in str(got.left[0])
    assert rewritten(code, {name: Change(new[:-1])}, "app.py").written == (name,)


@pytest.mark.parametrize(
    ("default", "why"),
    [
        ('"Another text."', "its literal is another than when the search began"),
        ("TEXT", "its default is the name TEXT, no literal"),
        ("texts.plan", "its default is the name texts.plan, no literal"),
        ('f"Write {x}."', "its default is a string with expressions, no literal"),
        ('"Write " f"{x}."', "its default is a string with expressions, no literal"),
        ('dedent("Write a query.")', "its default is a call of dedent, no literal"),
        ('"Write " + "a query."', "its default is an expression, no literal"),
        ('b"Write a query."', "its default is bytes, no literal"),
        ('"Write "  # first\n  "a query."', "comments stand between the parts of its literal"),
        ("*rest", "its default is not in the call"),
        ('"Write a query.") + fb.Param("plan", "Write a query."', "it is declared 2 times, at lines 4, 4"),
    ],
)
def test_what_cannot_be_written_is_left_and_said(default: str, why: str) -> None:
    old = source(default).encode()
    got = rewritten(old, {"plan": Change("New.", OLD)}, "app.py")
    assert (got.source, got.written) == (old, ())
    assert [(each.where, each.what) for each in got.left] == [("app.py:4", f"plan was not written: {why}")]


def test_a_file_that_is_no_python_is_the_users_mistake_with_its_line() -> None:
    with pytest.raises(UserError, match=r"app.py:2: found what is no Python"):
        rewritten(b"x = 1\ndef f(:\n", {"plan": Change("y", "x")}, "app.py")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (b"# -*- coding: none-such -*-\n", "no Python"),
        ("x = 1\n".encode("utf-16"), "no Python"),
        (b"x = 1\ry = 2\r", "cannot be written back letter by letter"),
    ],
)
def test_a_file_that_could_not_be_written_as_it_is_is_the_users_mistake(code: bytes, why: str) -> None:
    with pytest.raises(UserError, match=why):
        rewritten(code, {"plan": Change("y", "x")}, "app.py")
