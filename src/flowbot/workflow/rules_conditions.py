"""Rules on conditions: each comparison is of something that there is, by an operator and a value that suit its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from flowbot.fields import Type, ValueMismatch
from flowbot.fields.foreign import short

from .conditions import Condition, Test, tests_of
from .defects import Defect, choices

_ORDERED = ("int", "float", "str")


def condition_defects(
    where: str, condition: Condition, known: Mapping[str, Type | None], *, closed: bool
) -> Iterator[Defect]:
    """What is wrong with the comparisons of a condition.

    Args:
        where: the place in the file.
        condition: the condition.
        known: what may be compared, with its type where that can be told.
        closed: True: nothing else may be compared; False: other references were checked already.
    """
    for test in tests_of(condition):
        kind = known.get(test.ref)
        if closed and test.ref not in known:
            mend = f"compare {choices(test.ref, known)}" if known else "bind what is compared in `in`"
            yield Defect(
                where, f"the branch has no input {test.ref!r}", f"{mend}; a condition reads the branch's own inputs"
            )
        elif kind is not None:
            yield from _test(where, test, kind)


def _test(where: str, test: Test, kind: Type) -> Iterator[Defect]:
    """Why a comparison makes no sense for a type."""
    said = f"{test.ref} is {kind}"
    values, wanted = [test.value], kind
    if test.op == "empty":
        if test.value is not None:
            yield Defect(
                where, f"`empty` compares with nothing, and `value: {short(test.value)}` is given", "remove the value"
            )
        return
    if test.op == "contains":
        if kind.kind not in ("list", "str"):
            yield Defect(where, f"{said}, which contains nothing", f"compare by {_suiting(kind)}")
            return
        wanted = kind.item or kind
    elif test.op not in ("==", "!=", "in") and kind.kind not in _ORDERED:
        yield Defect(where, f"{said}, which has no order", f"compare by {_suiting(kind)}")
        return
    if test.op == "in":
        given = cast("object", test.value)
        if not isinstance(given, list | tuple):
            found = "no value is given" if given is None else f"{short(given)} is given"
            yield Defect(where, f"`in` needs a list of values, and {found}", f"give a list whose items are {kind}")
            return
        values = list(cast("list[object]", given))
    wrong = [value for value in values if not _fits(value, wanted)]
    if test.value is None:
        yield Defect(
            where, f"{said}, and `{test.op}` needs a value to compare with", f"give a `value` of type {wanted}"
        )
    elif wrong:
        mend = f"give values of type {wanted}" if test.op == "in" else f"give a `value` of type {wanted}"
        yield Defect(where, f"{said}, and `{test.op}` cannot compare that with {short(wrong[0])}", mend)


def _fits(value: object, wanted: Type) -> bool:
    try:
        return bool(wanted.coerce(value) == value)
    except ValueMismatch:
        return False


def _suiting(kind: Type) -> str:
    return {"list": "`contains` or `empty`", "object": "`==`, `!=` or `empty`"}.get(kind.kind, "`==`, `!=` or `in`")
