"""Lists and objects in the cells of a table: as JSON, or as Python writes them (`['red', 'blue']`), which is read and never run."""

from __future__ import annotations

import ast
import io
import json
import tokenize
import warnings
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.yaml import parse_json

_MOST = 1_000_000
"""Characters of a cell that is read as Python writes it."""


def cell_value(text: str, where: str) -> Any:
    """The value that a cell holds.

    Raises:
        UserError: if it is neither JSON nor a Python list or dict of texts, numbers, true, false and None.
    """
    try:
        return parse_json(text, where)
    except UserError:
        value = _literal(text.strip())
        if value is None:
            raise
        return value


def _literal(text: str) -> Any:
    """The list or dict of a Python literal; None for anything else."""
    if text[:1] not in ("[", "{") or len(text) > _MOST or max(text.count("["), text.count("{")) > _MOST // 10:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a path with backslashes, as its writer left it
            tree = ast.parse(text, mode="eval")
        value: object = ast.literal_eval(tree)
        is_json = parse_json(json.dumps(value), "") == value  # no tuples, and no keys but texts
    except (UserError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    # `['a' 'b']`, as numpy prints an array, would be one text in Python.
    texts = sum(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(tree))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return value if is_json and sum(each.type == tokenize.STRING for each in tokens) == texts else None
