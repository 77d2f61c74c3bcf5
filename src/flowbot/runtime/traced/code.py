"""What the user's code says of a call: which names it is handed, where those were bound, by which tests it is decided that it runs.

Read from the source, never run. A site is one call expression; of the calls that were recorded those that stand in the expression to
which a name was bound are what the name holds.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from flowbot.program.sites import Site

Name = tuple[str, str]
"""A variable, and the attribute or key of it that is meant; "" for all of it."""
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Module
LOOPS = (ast.For, ast.AsyncFor, ast.While)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LEAVES = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_MOST_LETTERS = 2_000_000


@dataclass(frozen=True, slots=True)
class Binding:
    """A name is bound.

    Args:
        name: the name.
        value: what it is bound to, or is put into it.
        how: `set`: what it held before is gone; `add`: it is kept; `each`: one after the other of what `value` holds.
    """

    name: Name
    value: ast.expr
    how: Literal["set", "add", "each"]


@dataclass(slots=True)
class Source:
    """One file."""

    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict[ast.AST, ast.AST])
    found: dict[Function, tuple[Binding, ...]] = field(default_factory=dict[Function, tuple[Binding, ...]])
    ends: dict[tuple[int, int], list[ast.expr]] = field(default_factory=dict[tuple[int, int], list[ast.expr]])
    constants: tuple[str, ...] = ()

    def at(self, site: Site) -> ast.expr | None:
        """The expression that runs at a site; None where there is none."""
        begins = site.line, site.column
        fits = (each for each in self.ends.get((site.end_line, site.end_column), ()) if _start(each) <= begins)
        return max(fits, key=_start, default=None)

    def around(self, node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Each of what holds a node, with the part of it that does, up to the function."""
        while node in self.parents and not isinstance(node, Function):
            yield self.parents[node], node
            node = self.parents[node]

    def function(self, node: ast.AST) -> Function:
        """The function in which a node stands, the file itself where it stands in none."""
        return next((each for each, _ in self.around(node) if isinstance(each, Function)), self.tree)

    def bindings(self, function: Function) -> tuple[Binding, ...]:
        """All that a function binds."""
        if function not in self.found:
            self.found[function] = tuple(each for node in _within(function.body) for each in _bound(node))
        return self.found[function]

    def attributes(self, name: Name) -> list[tuple[Function, Binding]]:
        """Where an attribute of `self` is bound, in whatever method."""
        methods = (node for node in self.parents if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        return [(node, each) for node in methods for each in self.bindings(node) if same(each.name, name)]

    def tests(self, node: ast.AST) -> list[ast.AST]:
        """By what it is decided that a node runs: the conditions around it, those by which the function could have ended or gone on
        before, and of a loop around it those by which it could have been left."""
        found: list[ast.AST] = []
        for holder, part in self.around(node):
            match holder:
                case ast.If() | ast.While() | ast.IfExp() if part is not holder.test:
                    found.append(holder.test)
                case ast.For() | ast.AsyncFor() if part is not holder.iter:
                    found.append(holder.iter)
                case ast.Match() if part is not holder.subject:
                    found.append(holder.subject)
                case ast.BoolOp():
                    found += holder.values[: holder.values.index(part)] if isinstance(part, ast.expr) else []
                case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                    found += [each for made in holder.generators for each in (made.iter, *made.ifs)]
                case ast.Try() if part in holder.handlers:
                    found += holder.body
                case _:
                    pass
            for block in _blocks(holder):
                if part in block:
                    place = block.index(part)
                    others = block[:place] + (block[place + 1 :] if isinstance(holder, LOOPS) else [])
                    found += [each for other in others for each in self.exits(other)]
            if isinstance(holder, Function):
                break
        return found

    def exits(self, statement: ast.AST) -> Iterator[ast.AST]:
        """The tests in a statement by which what follows it may not run."""
        for node in _within([statement]):
            if isinstance(node, _LEAVES):
                for holder, part in self.around(node):
                    match holder:
                        case ast.If() | ast.While():
                            yield holder.test
                        case ast.Match():
                            yield holder.subject
                        case ast.Try():
                            yield from holder.body if part in holder.body else ()
                        case _:
                            pass
                    if holder is statement:
                        break
            elif isinstance(node, ast.Assert):
                yield node.test

    def results(self, function: Function) -> tuple[list[ast.AST], list[ast.AST]]:
        """What a function gives back, and by what it decides that."""
        nodes = [*_within(function.body)]
        given: list[ast.AST] = [
            each.value for each in nodes if isinstance(each, ast.Return | ast.Yield | ast.YieldFrom) and each.value
        ]
        tests = [each.test for each in nodes if isinstance(each, ast.If | ast.While | ast.IfExp)]
        return given, [*tests, *(each.subject for each in nodes if isinstance(each, ast.Match))]


@lru_cache(256)
def source(file: str) -> Source | None:
    """A file of the user's as it was when it was imported; None where it cannot be read."""
    text = "".join(linecache.getlines(file))
    if not text or len(text) > _MOST_LETTERS:
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = Source(tree)
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            found.parents[child] = node
            if isinstance(child, ast.expr):
                found.ends.setdefault((child.end_lineno or 0, child.end_col_offset or 0), []).append(child)
    texts = (each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str))
    found.constants = tuple(dict.fromkeys(texts))
    return found


@lru_cache(8192)
def names(node: ast.AST, without: tuple[ast.AST, ...] = ()) -> tuple[Name, ...]:
    """The names that a piece of code reads, sorted.

    Args:
        node: the piece.
        without: pieces of it that are left out.
    """
    left = set(without)
    found: set[Name] = set()
    waiting: list[ast.AST] = [node]
    while waiting:
        each = waiting.pop()
        if each in left:
            continue
        name = _name(each)
        if name is not None:
            found.add(name)
            if isinstance(each, ast.Subscript):
                waiting.append(each.slice)
        elif isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            waiting += [*each.args, *(word.value for word in each.keywords)]
        else:
            waiting += ast.iter_child_nodes(each)
    return tuple(sorted(found))


@lru_cache(8192)
def choices(node: ast.AST) -> tuple[ast.AST, ...]:
    """What chooses among values in a piece of code: keys that are no constants, and conditions."""
    keys = [
        each.slice
        for each in ast.walk(node)
        if isinstance(each, ast.Subscript) and not isinstance(each.slice, ast.Constant)
    ]
    return (*keys, *(each.test for each in ast.walk(node) if isinstance(each, ast.IfExp)))


def same(one: Name, other: Name) -> bool:
    """Whether two names may mean one thing."""
    return one[0] == other[0] and (one[1] == other[1] or not one[1] or not other[1])


def covers(node: ast.AST, site: Site) -> bool:
    """Whether a site stands in a piece of code."""
    first, last = (getattr(node, each, None) for each in ("lineno", "end_lineno"))
    if first is None or last is None:
        return False
    begins, ends = (first, getattr(node, "col_offset", 0)), (last, getattr(node, "end_col_offset", 0))
    return begins <= (site.line, site.column) and (site.end_line, site.end_column) <= ends


def parameters(function: Function) -> set[str]:
    """Names of what a function is handed."""
    if isinstance(function, ast.Module):
        return set()
    given = function.args
    every = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
    return {each.arg for each in every if each is not None}


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _name(node: ast.AST) -> Name | None:
    if isinstance(node, ast.Name):
        return node.id, ""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id, node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and isinstance(node.slice, ast.Constant):
        return node.value.id, str(node.slice.value)
    return None


def _blocks(node: ast.AST) -> Iterator[list[ast.AST]]:
    for each in ("body", "orelse", "finalbody", "handlers"):
        block = getattr(node, each, None)
        if isinstance(block, list):
            yield block


def _within(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes in some statements, not those in functions and classes that are made there."""
    waiting = [*body]
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, _SCOPES):
            waiting[:0] = ast.iter_child_nodes(node)


def _bound(node: ast.AST) -> Iterator[Binding]:
    match node:
        case ast.Assign():
            for target in node.targets:
                yield from _targets(target, node.value, "set")
        case ast.AnnAssign() | ast.NamedExpr() if node.value is not None:
            yield from _targets(node.target, node.value, "set")
        case ast.AugAssign():
            yield from _targets(node.target, node.value, "add")
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            yield from _targets(node.target, node.iter, "each")
        case ast.withitem() if node.optional_vars is not None:
            yield from _targets(node.optional_vars, node.context_expr, "set")
        case ast.Expr(value=ast.Call() as call) | ast.Expr(value=ast.Await(value=ast.Call() as call)):
            # `found.append(x)`, `state.update(x)`: what is handed to a method may stay in its object.
            held = _name(call.func.value) if isinstance(call.func, ast.Attribute) else None
            if held is not None:
                values = (*call.args, *(word.value for word in call.keywords))
                yield from (Binding(held, value, "add") for value in values)
        case _:
            pass


def _targets(target: ast.AST, value: ast.expr, how: Literal["set", "add", "each"]) -> Iterator[Binding]:
    if isinstance(target, ast.Tuple | ast.List):
        # One to one where the value is written so; else each holds what all do.
        values = value.elts if isinstance(value, ast.Tuple | ast.List) and how == "set" else []
        pairs = len(values) == len(target.elts)
        for place, each in enumerate(target.elts):
            yield from _targets(each, values[place] if pairs else value, how)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, value, how)
    elif (name := _name(target)) is not None:
        part = isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant)
        yield Binding(name, value, "add" if part else how)
    elif isinstance(target, ast.Attribute | ast.Subscript):
        root: ast.AST = target
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if isinstance(root, ast.Name):
            yield Binding((root.id, ""), value, "add")
