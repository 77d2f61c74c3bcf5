"""From a Python source to the same with other literals of its parameters; nothing is run, and all else stays as it is.

A parameter is a call of `flowbot.Param` or `flowbot.Value`, whatever a file calls it, with its name and its default written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider, QualifiedNameProvider

from flowbot.fields import UserError
from flowbot.fields.words import listed
from flowbot.program.params import MOST_LETTERS, MOST_TURNS
from flowbot.task.quality import Remark

from .literals import Form, Literal, literal

OURS = frozenset(f"{home}.{name}" for home in ("flowbot", "flowbot.program") for name in ("Param", "Value"))
_TEXTS = (cst.SimpleString, cst.ConcatenatedString)
_MEND = "write it there by hand"


@dataclass(frozen=True, slots=True)
class Change:
    """What a parameter is to be.

    Args:
        new: the value.
        old: what it was when the search began; None where that is not known, and whatever stands there is replaced.
    """

    new: Literal
    old: Literal | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A source with other literals.

    Args:
        source: its bytes.
        written: names of the parameters that it has now as they are to be, in its order.
        left: what could not be written, one remark each.
        declared: names of the parameters that it declares, of those that are to change.
    """

    source: bytes
    written: tuple[str, ...]
    left: tuple[Remark, ...]
    declared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Declared:
    name: str
    line: int
    default: cst.BaseExpression | None


def rewritten(source: bytes, changes: Mapping[str, Change], where: str) -> Rewritten:
    """A source whose parameters have other defaults. Parameters that it does not declare are passed over.

    Args:
        source: a Python file's bytes.
        changes: by the parameter's name.
        where: how remarks name the file.

    Raises:
        UserError: if it is no Python.
    """
    try:
        wrapper = MetadataWrapper(cst.parse_module(source))
        found = list(_declared(wrapper))
    except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError, RecursionError) as error:
        line = f":{error.raw_line}" if isinstance(error, cst.ParserSyntaxError) else ""
        raise UserError(f"{where}{line}", "what is no Python", "a Python file") from None
    if wrapper.module.bytes != source:  # as where lines end in a carriage return alone
        raise UserError(where, "what cannot be written back letter by letter", "a Python file with usual line ends")
    module, swap, written, left = wrapper.module, dict[cst.CSTNode, cst.CSTNode](), list[str](), list[Remark]()
    for name, change in changes.items():
        here = [each for each in found if each.name == name]
        if not here:
            continue
        why = _unwritable(here, change, module)
        if why:
            left.append(Remark(f"{where}:{here[0].line}", f"{name} was not written: {why}", _MEND))
        elif (default := here[0].default) is not None:
            written.append(name)
            if not _same(_value(default), change.new):
                swap[default] = _expression(default, change.new, module)
    declared = {each.name for each in found}
    new = module.visit(_Swap(swap)).bytes if swap else source
    return Rewritten(new, tuple(written), tuple(left), tuple(each for each in changes if each in declared))


def _declared(wrapper: MetadataWrapper) -> Iterator[_Declared]:
    """The parameters that a source declares with their names written out, in its order."""
    collector = _Calls()
    wrapper.visit(collector)
    for call, line in collector.found:
        given = {each.keyword.value: each.value for each in call.args if each.keyword is not None}
        plain = [each.value for each in call.args if each.keyword is None and not each.star]
        named = dict(zip(("name", "default"), plain, strict=False)) | given
        name = named.get("name")
        if isinstance(name, _TEXTS) and isinstance(text := name.evaluated_value, str):
            yield _Declared(text, line, named.get("default"))
            yield _Declared(f"{text}.turns", line, named.get("turns"))


class _Calls(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (QualifiedNameProvider, PositionProvider)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.Call, int]] = []

    def visit_Call(self, node: cst.Call) -> None:
        names = {each.name for each in self.get_metadata(QualifiedNameProvider, node.func, ())}
        if names & OURS:
            place = cast("CodeRange", self.get_metadata(PositionProvider, node))
            self.found.append((node, place.start.line))


class _Swap(cst.CSTTransformer):
    def __init__(self, swap: Mapping[cst.CSTNode, cst.CSTNode]) -> None:
        super().__init__()
        self._swap = swap

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:
        return self._swap.get(original_node, updated_node)


def _unwritable(here: Sequence[_Declared], change: Change, module: cst.Module) -> str:
    """Why a parameter stays as it is; "" where it can be written."""
    if len(here) > 1:
        return f"it is declared {len(here)} times, at lines {listed([str(each.line) for each in here])}"
    default = here[0].default
    if default is None:
        return "its default is not in the call"
    value = _value(default)
    if value is None:
        return f"its default is {_kind(default)}, no literal"
    if (
        isinstance(default, cst.ConcatenatedString)
        and "#" in (between := _between(default, module))
        and between.strip()
    ):
        return "comments stand between the parts of its literal"
    if (
        isinstance(value, tuple)
        and "#" in module.code_for_node(default)
        and not any("#" in "".join(each) for each in value)
    ):
        return "comments stand between its turns"
    if isinstance(value, str) is not isinstance(change.new, str):
        return "its default is of another type"
    if isinstance(change.new, str) and len(change.new) > MOST_LETTERS:
        return (
            f"with its worked examples it has {len(change.new):,} letters, more than the {MOST_LETTERS:,} of a default"
        )
    if isinstance(change.new, tuple) and len(change.new) > MOST_TURNS:
        return f"there are {len(change.new)} turns, more than the {MOST_TURNS} of a default"
    if change.old is not None and not _same(value, change.old) and not _same(value, change.new):
        return "its literal is another than when the search began"
    return ""


def _value(default: cst.BaseExpression) -> Literal | None:
    """What a literal says; None for anything else."""
    match default:
        case cst.SimpleString() | cst.ConcatenatedString():
            text = default.evaluated_value
            return text if isinstance(text, str) else None
        case cst.Integer() | cst.Float():
            return default.evaluated_value
        case cst.Name(value="True" | "False" as name):
            return name == "True"
        case cst.UnaryOperation(operator=cst.Minus(), expression=cst.Integer() | cst.Float() as number):
            return -number.evaluated_value
        case cst.List() | cst.Tuple():
            pairs = [_texts(each.value) for each in default.elements]
            return tuple((each[0], each[1]) for each in pairs) if all(len(each) == 2 for each in pairs) else None
        case _:
            return None


def _texts(pair: cst.BaseExpression) -> list[str]:
    """The texts in a literal of several; none where something else is in it."""
    found = [_value(each.value) for each in pair.elements] if isinstance(pair, cst.List | cst.Tuple) else []
    texts = [each for each in found if isinstance(each, str)]
    return texts if len(texts) == len(found) else []


def _same(one: Literal | None, other: Literal) -> bool:
    return type(one) is type(other) and one == other


def _kind(default: cst.BaseExpression) -> str:
    match default:
        case cst.Name() | cst.Attribute():
            return f"the name {get_full_name_for_node(default)}"
        case cst.FormattedString() | cst.TemplatedString() | cst.ConcatenatedString():
            return "a string with expressions"
        case cst.SimpleString():
            return "bytes"
        case cst.Call():
            return f"a call of {get_full_name_for_node(default.func) or 'a function'}"
        case _:
            return "an expression"


def _expression(default: cst.BaseExpression, value: Literal, module: cst.Module) -> cst.BaseExpression:
    """The new literal in the old one's form, within the parentheses that it has."""
    made = cst.parse_expression(f"({literal(value, _form(default, module))})", config=module.config_for_parsing)
    return made.with_changes(lpar=default.lpar, rpar=default.rpar)


def _form(default: cst.BaseExpression, module: cst.Module) -> Form:
    parts, newline = list(_simple(default)), module.default_newline
    if not parts:
        return Form(newline=newline, encoding=module.encoding)
    first = parts[0]
    raw, long = "r" in first.prefix, len(first.quote) == 3
    opening = f"\\{newline}" if long and not raw and first.raw_value.startswith(("\\\n", "\\\r")) else ""
    between = _between(default, module) if isinstance(default, cst.ConcatenatedString) else ""
    return Form(
        quote=first.quote,
        raw=raw,
        opening=opening,
        between=between if "\n" in between or "\r" in between else "",
        width=max(len(each.raw_value) for each in parts),
        newline=newline,
        encoding=module.encoding,
    )


def _simple(default: cst.BaseExpression) -> Iterator[cst.SimpleString]:
    if isinstance(default, cst.SimpleString):
        yield default
    elif isinstance(default, cst.ConcatenatedString):
        yield from _simple(default.left)
        yield from _simple(default.right)


def _between(default: cst.ConcatenatedString, module: cst.Module) -> str:
    """What stands between the parts: of several places the one that says most."""
    places = [module.code_for_node(cast("cst.CSTNode", default.whitespace_between))]
    if isinstance(default.right, cst.ConcatenatedString):
        places.append(_between(default.right, module))
    return max(places, key=lambda text: ("#" in text, len(text)))
