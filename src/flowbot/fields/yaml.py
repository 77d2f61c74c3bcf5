"""Reading and writing the files that people edit: YAML 1.2 (or JSON) in, plain JSON values out, nothing ever run.

Only what JSON can hold is read: texts, numbers, true, false, null, lists and mappings with text keys. Anchors, aliases,
tags and duplicate keys are refused, each with its line. A date or a version such as `1.2.3` stays the text it is.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, cast

from .errors import UserError
from .files import read_text
from .yaml_core import MAX_DEPTH, deeper, is_not_finite, plain, whole
from .yaml_out import dump_yaml

__all__ = ["MAX_BYTES", "MAX_DEPTH", "dump_yaml", "parse_data", "parse_json", "read_data"]

MAX_BYTES = 1_000_000


def read_data(path: Path, *, links: bool = True) -> Any:
    """What a YAML or JSON file (by its suffix `.json`) holds, as JSON values. `links`: see `files.read_bytes`.

    Raises:
        UserError: naming file and line, if the file cannot be read, is larger than `MAX_BYTES`, is not UTF-8, is
            malformed, or uses what is refused (see the module's first lines).
    """
    text = read_text(path, limit=MAX_BYTES, links=links)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}:{line}", "a NUL character", "UTF-8 text")
    return parse_json(text, str(path)) if path.suffix.lower() == ".json" else parse_data(text, str(path))


def parse_data(text: str, where: str) -> Any:
    """What a YAML 1.2 text holds, as JSON values.

    Args:
        text: one YAML document of at most `MAX_BYTES`.
        where: how errors name the text; the line is added to it.

    Raises:
        UserError: as `read_data`.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise UserError(where, f"more than {MAX_BYTES:,} bytes", f"at most {MAX_BYTES:,} bytes")
    reader = cast("Any", YAML(typ="safe", pure=True))
    try:
        return _Builder(where, iter(reader.parse(io.StringIO(text)))).build()
    except MarkedYAMLError as error:
        mark = cast("Any", error.problem_mark or error.context_mark)
        said = " ".join(cast("str", part) for part in cast("Any", (error.context, error.problem)) if part)
        raise UserError(_at(where, mark), f"broken YAML ({said})", "YAML 1.2") from None
    except (YAMLError, ValueError) as error:
        said = str(error).strip().splitlines()
        raise UserError(where, f"broken YAML ({said[0] if said else 'unreadable'})", "YAML 1.2") from None


def parse_json(text: str, where: str, *, line: int | None = None, depth: int = MAX_DEPTH, halves: bool = False) -> Any:
    """What a JSON text holds. NaN, infinities, duplicate keys and halves of surrogate pairs are refused.

    Args:
        text: one JSON value.
        where: how errors name the text.
        line: the line in `where` at which the text stands; None: count lines within the text.
        depth: levels of lists and objects that it may have.
        halves: True lets halves of surrogate pairs be, as replies and what users' functions return may hold them.

    Raises:
        UserError: naming `where:line`.
    """
    place = where if line is None else f"{where}:{line}"

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(items)
        if len(built) != len(items):
            seen: set[str] = set()
            twice = next(key for key, _ in items if key in seen or seen.add(key))
            raise UserError(place, f"the key {_short(twice)} twice in one object", "each key once")
        return built

    def number(literal: str) -> float:
        value = float(literal)
        if not math.isfinite(value):
            raise UserError(place, _short(literal), "a finite number, or null for none")
        return value

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=number, parse_constant=number, parse_int=whole)
    except json.JSONDecodeError as error:
        spot = place if line is not None else f"{where}:{error.lineno}"
        said = f"broken JSON ({error.msg} at column {error.colno})" if text.strip() else "nothing"
        raise UserError(spot, said, "JSON") from None
    except RecursionError:
        raise UserError(place, "JSON nested too deeply", f"at most {depth} levels") from None
    except ValueError as error:
        raise UserError(place, str(error), "a number of at most 300 digits") from None
    if text.count("[") + text.count("{") > depth and deeper(value, depth):
        raise UserError(place, "JSON nested too deeply", f"at most {depth} levels")
    if not halves and "\\u" in text:
        try:
            _ = json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UserError(place, "half of a surrogate pair in a text", "Unicode text") from None
    return value


class _Builder:
    """Builds JSON values from the parser's events, so that what is refused is refused where it stands."""

    def __init__(self, where: str, events: Iterator[Any]) -> None:
        self.where = where
        self.events = events

    def build(self) -> Any:
        """The one document's value."""
        documents = 0
        value: Any = None
        for event in self.events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self._refuse(event, "a second document", "one document in a file")
                if event.version not in (None, (1, 2)):
                    self._refuse(event, f"%YAML {'.'.join(map(str, event.version))}", "YAML 1.2")
            elif kind not in ("StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"):
                value = self._value(event, MAX_DEPTH)
        if documents == 0:
            raise UserError(self.where, "nothing", "YAML or JSON data")
        return value

    def _value(self, event: Any, depth: int) -> Any:
        """The value that begins with an event; its collections nest at most `depth` deep."""
        self._check(event)
        kind = type(event).__name__
        if kind == "ScalarEvent":
            return self._scalar(event)
        if depth == 0:
            self._refuse(event, "values nested too deeply", f"at most {MAX_DEPTH} levels")
        return self._list(depth - 1) if kind == "SequenceStartEvent" else self._mapping(depth - 1)

    def _list(self, depth: int) -> list[Any]:
        built: list[Any] = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            built.append(self._value(event, depth))
        return built

    def _mapping(self, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            self._check(event)
            if type(event).__name__ != "ScalarEvent":
                self._refuse(event, "a list or mapping as a key", "a text")
            key = self._text(event)  # `1: x` and `true: x` have the keys "1" and "true", as in JSON
            if key in built:
                self._refuse(event, f"the key {_short(key)} twice", "each key once")
            built[key] = self._value(next(self.events), depth)
        return built

    def _check(self, event: Any) -> None:
        if type(event).__name__ == "AliasEvent":
            self._refuse(event, f"the alias *{event.anchor[:40]}", "the value itself; aliases are not allowed")
        if event.anchor is not None:
            self._refuse(event, f"the anchor &{event.anchor[:40]}", "no anchors or aliases")
        if event.tag is not None:
            self._refuse(event, f"the tag {_short(str(event.tag))}", "no tags; quote what is to be a text")

    def _scalar(self, event: Any) -> Any:
        text = self._text(event)
        if event.style:  # quoted, literal or folded: a text
            return text
        if is_not_finite(text):
            self._refuse(event, text, "a finite number")
        try:
            value = plain(text)
        except ValueError as error:
            self._refuse(event, str(error), "a number of at most 300 digits")
        if isinstance(value, float) and not math.isfinite(value):
            self._refuse(event, _short(text), "a finite number")
        return value

    def _text(self, event: Any) -> str:
        text = str(event.value)
        try:
            _ = text.encode()
        except UnicodeEncodeError:
            self._refuse(event, "half of a surrogate pair in a text", "Unicode text")
        return text

    def _refuse(self, event: Any, found: str, expected: str) -> NoReturn:
        raise UserError(_at(self.where, event.start_mark), found, expected)


def _at(where: str, mark: Any) -> str:
    return where if mark is None else f"{where}:{mark.line + 1}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
