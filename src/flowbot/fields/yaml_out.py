"""Writing YAML that people like to read."""

from __future__ import annotations

import io
import json
import math
import re
from functools import cache
from typing import Any, cast

from .words import kind_of
from .yaml_core import deeper, is_not_finite, plain

_LINE = 110
# Control characters, and what some YAML parsers take for line breaks: only escapes keep them as they are.
_ODD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_TAG = "tag:yaml.org,2002:"


def dump_yaml(data: Any) -> str:
    """JSON values as YAML that people like to read: short mappings and lists on one line, long texts as literal blocks.

    `parse_data(dump_yaml(data), ...)` equals `data`; key order is kept.

    Raises:
        TypeError: for a value that JSON cannot hold.
        ValueError: for NaN or infinity.
    """
    from ruamel.yaml import YAML

    if isinstance(data, str) and "\n" in data:
        return f'"{_escaped(data)}"\n'  # without an indent a line of it could be taken for the document's end
    writer = cast("Any", YAML(typ="safe", pure=True))
    writer.Emitter = _emitter()
    writer.width = 10 * _LINE  # folding long texts would make diffs hard to read
    stream = io.StringIO()
    writer.serialize(_node(data, top=True), stream)
    text = stream.getvalue()
    # The emitter ends a document that is one bare scalar so, on a line of its own; a text's own dots stand behind it.
    return text[: -len("...\n")] if text.endswith("\n...\n") else text


@cache
def _emitter() -> Any:
    """An emitter that writes a quoted text of several lines, as one with Windows' line ends must be, a line each."""
    from ruamel.yaml.emitter import Emitter

    plainly: Any = Emitter.write_double_quoted  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    def write(emitter: Any, text: str, split: bool = True) -> None:
        first, *others = _LINES.findall(text) or [""]
        if not split or not others:
            plainly(emitter, text, split)
            return
        emitter.write_indicator(f'"{_escaped(first)}', True)
        for line in others:
            emitter.write_indicator("\\", False)
            emitter.write_indent()
            emitter.write_indicator("\\" * line.startswith(" ") + _escaped(line), False)
        emitter.write_indicator('"', False)

    return type("Lines", (Emitter,), {"write_double_quoted": write})


def _escaped(text: str) -> str:
    """As it stands between double quotes."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", inside)


def _node(value: Any, *, top: bool = False) -> Any:
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    def made(kind: Any, tag: str, *rest: Any, **style: Any) -> Any:
        return kind(_TAG + tag, *rest, **style)

    match value:
        case None:
            return made(ScalarNode, "null", "null")
        case bool():
            return made(ScalarNode, "bool", "true" if value else "false")
        case int():
            return made(ScalarNode, "int", str(value))
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value!r} cannot stand in a file")
            text = repr(value)
            return made(ScalarNode, "float", text if "." in text else text.replace("e", ".0e"))
        case str():
            return made(ScalarNode, "str", value, style=_style(value))
        case dict():
            items = cast("dict[Any, Any]", value)
            if not all(isinstance(key, str) for key in items):
                raise TypeError("a mapping's keys must be texts")
            keys = (made(ScalarNode, "str", key, style=_style(key, key=True)) for key in items)
            nodes = list(zip(keys, map(_node, items.values()), strict=True))
            return made(MappingNode, "map", nodes, flow_style=not nodes or (not top and _fits(items)))
        case list() | tuple():
            listed = list(cast("list[Any]", value))
            return made(SequenceNode, "seq", [_node(each) for each in listed], flow_style=not listed or _fits(listed))
        case _:
            raise TypeError(f"{kind_of(value)} cannot stand in a file")


def _style(text: str, *, key: bool = False) -> str | None:
    if "\n" in text and not key:
        return '"' if _ODD.search(text.replace("\t", " ")) else "|"
    if "\n" in text or _ODD.search(text):
        return '"'
    # A text that would be read back as something else is quoted, whatever the emitter thinks of it.
    # It leaves `? a` and `: a` unquoted, which nothing reads back.
    return "'" if text[:1] in ("?", ":") or not isinstance(plain(text), str) or is_not_finite(text) else None


def _fits(value: Any) -> bool:
    """Whether a collection is short and shallow enough for one line and holds no text of several lines."""
    text = json.dumps(value, ensure_ascii=False)
    return len(text) <= _LINE and "\\n" not in text and not deeper(value, 2)
