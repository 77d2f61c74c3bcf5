"""Tools: signatures read from type hints and docstrings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, Optional, TypedDict

import pytest

from flowbot.fields import Field, UserError
from flowbot.task import Metric, Tool, tool_of
from flowbot.task.signature import read_signature


class Stock(TypedDict):
    count: int
    shelf: str


@dataclass
class Price:
    euros: float
    sizes: list[int]


def lookup(name: str, limit: int = 3, *, kind: Literal["new", "old"] = "new") -> list[str]:
    """Look things up.

    Longer text: with a colon.

    Args:
        name (str): what to look for.
        limit: how many at most.

    Returns:
        list: what was found.
    """
    return [name] * limit


def stock(item: Annotated[str, "an item"], tags: Optional[dict[str, Any]] = None) -> Stock:  # noqa: UP045
    """Count."""
    return {"count": 1, "shelf": item}


def price(stock: Stock, exact: bool) -> Price:
    """:param stock: what there is"""
    return Price(1.0, [])


async def later(x: float | None) -> int:
    return 1


class Shop:
    def find(self, name: str) -> str:
        """Find it."""
        return name

    def __call__(self, name: str) -> dict[str, Any]:
        return {"name": name}


def shape(tool: Tool) -> tuple[list[str], list[str]]:
    def shown(fields: tuple[Field, ...]) -> list[str]:
        return [f"{field.name}: {field.type}" for field in fields]

    return shown(tool.signature.inputs), shown(tool.signature.outputs)


def test_a_signature_is_read_from_hints_and_docstring() -> None:
    tool = tool_of(lookup)
    assert shape(tool) == (["name: str", "limit: int", "kind: Literal['new', 'old']"], ["result: list[str]"])
    assert tool.signature.name == "lookup"
    assert tool.signature.about == "Look things up."
    assert [field.about for field in tool.signature.inputs] == ["what to look for.", "how many at most.", ""]
    assert tool.signature.optional == {"limit", "kind"}
    assert (tool.signature.effects, tool.signature.pure, tool.plain) == ("reads", False, True)


@pytest.mark.parametrize(
    "text",
    [
        "Find.\n\nArgs:\n    city (str): The city,\n        in full.\n    *n: how: many\n\nReturns:\n    x: no note",
        "Find.\nArguments:\n    city: The city, in full.\n    n (int, optional): how: many\nReturns:\n    x: no note",
        "Find.\n\nParameters\n----------\ncity : str\n    The city,\n    in full.\nn : int, optional\n    how: many\n\nReturns\n-------\nx : no\n",
        "Find.\n\n:param city: The city,\n    in full.\n:type city: str\n:param int n: how: many\n:returns: x",
        "Find.\n\n@param city: The city, in full.\n@param n: how: many\n",
    ],
)
def test_what_is_said_of_parameters_is_read_in_every_style(
    text: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def find(city: str, n: int = 1, x: int = 1) -> str:
        return city * n * x

    find.__doc__ = text
    signature, _ = read_signature(find, "tool find")
    assert signature.about == "Find."
    assert [field.about for field in signature.inputs] == ["The city, in full.", "how: many", ""]
    assert (caplog.text, capsys.readouterr()) == ("", ("", ""))


def test_a_typed_dict_or_dataclass_that_is_returned_gives_an_output_a_member() -> None:
    assert shape(tool_of(stock)) == (["item: str", "tags: object"], ["count: int", "shelf: str"])
    assert tool_of(stock).signature.inputs[0].about == "an item"
    assert shape(tool_of(price)) == (
        ["stock: {count: int, shelf: str}", "exact: bool"],
        ["euros: float", "sizes: list[int]"],
    )
    assert tool_of(price).signature.inputs[0].about == "what there is"
    assert not tool_of(stock).plain
    assert not tool_of(price).plain


def test_methods_partials_callable_objects_and_async_functions_are_tools() -> None:
    assert shape(tool_of(Shop().find)) == (["name: str"], ["result: str"])
    assert shape(tool_of(Shop(), name="shop")) == (["name: str"], ["result: object"])
    assert shape(tool_of(partial(lookup, limit=1)))[0] == ["name: str", "kind: Literal['new', 'old']"]
    assert shape(tool_of(later)) == (["x: float"], ["result: int"])


def no_hint(x) -> int: ...
def no_return(x: int): ...
def any_number(*xs: int) -> int: ...
def positional(x: int, /) -> int: ...
def unknown(x: Missing) -> int: ...  # type: ignore[name-defined]  # noqa: F821
def two(x: int | str) -> int: ...
def bare(x: list) -> int: ...
def numbers(x: Literal[1, 2]) -> int: ...
def given_a_dataclass(x: Price) -> int: ...
def nothing(x: int) -> None: ...
def whatever(x: Any) -> int: ...


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (no_hint, "tool no_hint, parameter x"),
        (no_return, "tool no_return, return value"),
        (any_number, "tool any_number, parameter xs"),
        (positional, "tool positional, parameter x"),
        (unknown, "tool unknown"),
        (two, "tool two, parameter x"),
        (bare, "tool bare, parameter x"),
        (numbers, "tool numbers, parameter x"),
        (given_a_dataclass, "tool given_a_dataclass, parameter x"),
        (nothing, "tool nothing, return value"),
        (whatever, "tool whatever, parameter x"),
        (lambda x: x, "tool <lambda>"),
        ("lookup", "tools"),
    ],
)
def test_what_cannot_be_read_as_types_is_refused_with_its_place(call: Any, where: str) -> None:
    with pytest.raises(UserError) as caught:
        tool_of(call)
    assert caught.value.where == where


def refund(order: str) -> str:
    return order


def pretend_refund(order: str) -> str:
    return "pretended"


def test_a_tool_that_writes_may_have_a_stand_in_of_the_same_shape() -> None:
    tool = tool_of(refund, effects="writes", simulate=pretend_refund)
    assert tool.signature.effects == "writes"
    assert tool.simulate is pretend_refund
    assert tool.signature.simulated
    assert tool.identity != tool_of(refund, effects="writes").identity
    with pytest.raises(UserError, match="other parameters or results"):
        tool_of(refund, simulate=lookup)
    with pytest.raises(UserError, match="effects 'sends'"):
        tool_of(refund, effects="sends")  # type: ignore[arg-type]


def test_a_tool_stays_the_tool_it_is() -> None:
    tool = tool_of(lookup, name="find", pure=True)
    assert tool_of(tool) is tool
    assert (tool.signature.name, tool.signature.pure) == ("find", True)


def made(times: int, **more: Any) -> Any:
    def repeat(name: str) -> str:
        return name * times if more else name

    return repeat


def test_what_is_bound_to_a_callable_is_part_of_its_identity_by_value() -> None:
    def told(call: Any) -> str:
        tool = tool_of(call, name="t")
        assert tool.kept
        return tool.identity

    assert told(partial(lookup, limit=1)) == told(partial(lookup, limit=1))
    assert len({told(lookup), told(partial(lookup, limit=1)), told(partial(lookup, limit=2))}) == 3
    assert told(made(2)) == told(made(2))
    assert told(made(2)) != told(made(3))
    assert told(made(2, where=[1, {"a": float("inf")}])) != told(made(2))
    assert told(made(2, by=lookup)) != told(made(2, by=refund))


@pytest.mark.parametrize(
    "call", [Shop().find, Shop(), partial(Shop.find, Shop()), made(1, shop=Shop()), made(1, rows=[object()])]
)
def test_results_of_what_cannot_be_told_apart_are_not_stored_unless_it_is_told(call: Any) -> None:
    assert not tool_of(call, name="t").kept
    assert tool_of(call, name="t", identity="one").kept
    assert tool_of(call, name="t", identity="one").identity != tool_of(call, name="t", identity="two").identity


def test_a_stand_in_that_cannot_be_told_apart_is_not_stored_either() -> None:
    def find(name: str) -> str:
        return name

    assert tool_of(find, effects="writes", simulate=find).kept
    assert not tool_of(find, effects="writes", simulate=Shop().find).kept


def test_functions_that_call_each_other_are_told_apart() -> None:
    def pair(end: int) -> Any:
        def even(n: int) -> bool:
            return True if n == end else odd(n - 1)

        def odd(n: int) -> bool:
            return False if n == end else even(n - 1)

        return even

    assert tool_of(pair(0)).kept
    assert tool_of(pair(0)).identity != tool_of(pair(1)).identity


def test_a_metric_that_cannot_be_told_apart_is_not_stored() -> None:
    class Judge:
        def score(self, example: Any, outputs: Any) -> float:
            return 1.0

    assert Metric.of(made).kept
    assert not Metric.of(Judge().score).kept
