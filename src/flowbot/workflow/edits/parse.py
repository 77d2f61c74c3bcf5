"""Edits from JSON data: as they are dumped, or as models write them under `edits_schema`.

Models write mappings as lists of small closed objects, and an instruction or code inside the node that it is for. This is the
door for what a model replies: parameters are taken as far as `WRITABLE` has them; what is frozen or pinned is the user's to
say, and is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from flowbot.fields.foreign import short
from flowbot.workflow.messages import explain
from flowbot.workflow.parameters import Parameters, unwritable

from .basic import AddNode, RemoveNode, RenameNode, ReplaceNode, Rewire, Rewrite, SetOutput
from .draft import EditError
from .edit import Edit
from .inserts import Decompose, InsertBranch, InsertRetrieval, InsertStep
from .patterns import Ensemble, Fuse, Review, Split

_BASIC = (AddNode, RemoveNode, ReplaceNode, Rewire, RenameNode, SetOutput, Rewrite)
_COMPOUND = (Split, Fuse, Review, Ensemble, Decompose, InsertBranch, InsertRetrieval, InsertStep)
EDITS: Mapping[str, type[Edit]] = {kind.op: kind for kind in (*_BASIC, *_COMPOUND)}
"""The classes of edits by `op`."""

_PARAMETERS = ("instruction", "format_hint", "code")
_MAPPINGS = {"in": ("name", "from"), "out": ("name", "type"), "given": ("name", "from"), "carry": ("name", None)}


def parse_edits(data: Any) -> tuple[Edit, ...]:
    """Edits from JSON data: a list, or an object with a list `edits`.

    Raises:
        EditError: which edit is malformed, and how.
    """
    listed = cast("dict[str, Any]", data).get("edits") if isinstance(data, dict) else data
    if not isinstance(listed, list | tuple):
        raise EditError("the edits: expected a list of edits, each an object with `op`")
    return tuple(_edit(each, f"edit {number}") for number, each in enumerate(cast("Sequence[Any]", listed), start=1))


def _edit(data: Any, where: str) -> Edit:
    if not isinstance(data, dict):
        raise EditError(f"{where}: found {short(data)}; expected an object with `op`")
    written = cast("dict[str, Any]", data)
    op = written.get("op")
    if not isinstance(op, str) or op not in EDITS:
        found = short(op) if "op" in written else "no op"
        raise EditError(f"{where}: found {found}; expected one of {', '.join(map(repr, EDITS))}")
    try:
        edit = EDITS[op].model_validate(_plain(EDITS[op], written, where))
    except ValidationError as error:
        place, found, expected = explain(error)
        raise EditError(f"{where}{f', {place}' if place else ''}: found {found}; expected {expected}") from error
    for place, parameters in _brought(edit):
        fault = unwritable(parameters)
        if fault:
            raise EditError(f"{where}, {place}: {fault}")
    return edit


def _brought(edit: Edit) -> Iterator[tuple[str, Parameters]]:
    """All parameters that an edit brings, with their places."""
    for name, value in edit:
        if isinstance(value, Parameters):
            yield name, value
        elif isinstance(value, dict):
            held = cast("dict[str, Any]", value).items()
            yield from ((f"{name}.{path}", each) for path, each in held if isinstance(each, Parameters))


def _plain(kind: type[Edit], written: dict[str, Any], where: str) -> dict[str, Any]:
    """An edit in the form of the file format."""
    plain = {key: value for key, value in written.items() if value is not None and key != "op"}
    for key, mark in kind.written().items():
        if mark.rows and key in plain:
            plain[key] = _mapping(plain[key], *mark.rows, f"{where}, {key}")
    inside: dict[str, Any] = {}
    if isinstance(plain.get("node"), dict):
        plain["node"], inside = _node(plain["node"], f"{where}, node")
    elif "nodes" in plain and "nodes" in kind.model_fields:
        plain["nodes"], inside = _nodes(plain["nodes"], f"{where}, nodes")
    own = inside.pop("", None)
    if inside or own:
        plain.setdefault("parameters", inside or own)
    return plain


def _node(written: dict[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A node in the form of the file format, and the parameters that were written in it and its body, by path."""
    node = {key: each for key, each in written.items() if key != "frozen" and (key, each) != ("model", "pinned")}
    inside: dict[str, Any] = {}
    own = {key: value for key in _PARAMETERS if (value := node.pop(key, None))}
    if own:
        inside[""] = own
    for key, (name, value) in _MAPPINGS.items():
        if key in node:
            at = "from" if key == "out" and node.get("kind") == "map" else value
            node[key] = _mapping(node[key], name, at, f"{where}.{key}")
    if isinstance(node.get("ways"), list) and all(isinstance(way, dict) for way in node["ways"]):
        ways = _mapping(node["ways"], "label", "condition", f"{where}.ways")
        asks = isinstance(ways, dict) and not any(cast("dict[str, Any]", ways).values())
        node["ways"] = list(cast("dict[str, Any]", ways)) if asks else ways
    if "nodes" in node:
        node["nodes"], deeper = _nodes(node["nodes"], f"{where}.nodes")
        inside |= deeper
    if not node.get("when"):
        node.pop("when", None)
    return node, inside


def _nodes(written: Any, where: str) -> tuple[Any, dict[str, Any]]:
    nodes = _mapping(written, "name", None, where)
    if not isinstance(nodes, dict):
        return nodes, {}
    plain: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    for name, each in cast("dict[str, Any]", nodes).items():
        if not isinstance(each, dict):
            plain[name] = each
            continue
        plain[name], deeper = _node(cast("dict[str, Any]", each), f"{where}.{name}")
        inside |= {f"{name}/{path}".rstrip("/"): parameters for path, parameters in deeper.items()}
    return plain, inside


def _mapping(listed: Any, key: str, value: str | None, where: str) -> Any:
    """A list of closed objects as a mapping from `key` to `value`, or to all but the key; anything else as it is."""
    if not isinstance(listed, list):
        return listed
    entries = cast("list[Any]", listed)
    if not all(isinstance(each, dict) and isinstance(cast("dict[str, Any]", each).get(key), str) for each in entries):
        return entries
    rows = cast("list[dict[str, Any]]", entries)
    if value is not None and any(set(row) != {key, value} for row in rows):
        return entries
    names = [row[key] for row in rows]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise EditError(f"{where}: {twice} stands twice")
    return {row[key]: row[value] if value is not None else {k: v for k, v in row.items() if k != key} for row in rows}
