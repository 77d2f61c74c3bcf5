"""What can be said of a `code` node's text without running it: it defines `run`, which takes the node's inputs."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache


def code_faults(code: str, inputs: Iterable[str]) -> list[tuple[str, str]]:
    """Faults in the text of a `code` node, each as (what is wrong, what mends it). The text is parsed, never executed.

    A search checks the same texts many times, so the last few hundred findings are kept.

    Args:
        code: the Python text.
        inputs: the node's input names; `run` is called with them by keyword.
    """
    return list(_faults(code, tuple(inputs)))


@lru_cache(maxsize=256)
def _faults(code: str, wanted: tuple[str, ...]) -> Sequence[tuple[str, str]]:
    signature = f"def run({', '.join(wanted)}):"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's text is no warning of ours
            tree = ast.parse(code)
    except SyntaxError as error:
        return [(f"the code is not Python: line {error.lineno}: {error.msg}", f"write plain Python with `{signature}`")]
    except (ValueError, RecursionError, MemoryError) as error:
        return [(f"the code is not Python: {error}", f"write plain Python with `{signature}`")]
    runs = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
    if not runs:
        return [("the code defines no function `run`", f"define `{signature}` at the top level")]
    function = runs[-1]
    faults = _argument_faults(function.args, wanted, signature)
    if not any(isinstance(node, ast.Return) and node.value is not None for node in _outside_inner(function)):
        faults.append(("`run` returns nothing", "return a dict of the node's outputs"))
    return faults


def _argument_faults(arguments: ast.arguments, wanted: Sequence[str], signature: str) -> list[tuple[str, str]]:
    plain = [each.arg for each in arguments.args]
    keyword = [each.arg for each in arguments.kwonlyargs]
    faults: list[tuple[str, str]] = []
    if arguments.posonlyargs:
        faults.append(("`run` has positional-only arguments", f"write `{signature}`: it is called by keyword"))
    optional = set(plain[len(plain) - len(arguments.defaults) :] if arguments.defaults else [])
    optional |= {name for name, default in zip(keyword, arguments.kw_defaults, strict=True) if default is not None}
    only = [name for name in (*plain, *keyword) if name not in wanted and name not in optional]
    if only:
        faults.append((f"`run` wants {', '.join(only)}, which the node does not read", f"write `{signature}`"))
    missing = [name for name in wanted if name not in (*plain, *keyword)] if arguments.kwarg is None else []
    if missing:
        faults.append((f"`run` does not take the node's input {', '.join(missing)}", f"write `{signature}`"))
    return faults


def _outside_inner(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The syntax of a function's body without that of functions and classes inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
