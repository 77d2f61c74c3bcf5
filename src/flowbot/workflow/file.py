"""The file format of workflows: what stands in a file, read as a sketch and parameters. Reading one never runs anything."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from flowbot.fields import UserError
from flowbot.fields.files import write_text
from flowbot.fields.foreign import MOST_FINDINGS, short
from flowbot.fields.words import kind_of
from flowbot.fields.yaml_core import MOST_BITS, TOO_LONG, is_unicode

from .defects import Defect
from .messages import FormatError, finding_defect, findings
from .nodes import Sketch
from .parameters import PARAMETERS, CodeParameters, CoreParameters, LLMParameters, Parameters

FORMAT = 1
"""The version of the file format that this code reads and writes."""

_KEYS = ("flowbot", "inputs", "outputs", "nodes", "parameters")
_MAX_DEPTH = 40


def write_data(data: dict[str, Any], path: str | Path) -> None:
    """Write JSON data to a `.yaml`, `.yml` or `.json` file. The file is replaced at once or stays as it was.

    Raises:
        UserError: if the name has another ending, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix == ".json":
        text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    elif target.suffix in (".yaml", ".yml"):
        from flowbot.fields.yaml import dump_yaml

        text = dump_yaml(data)
    else:
        raise UserError(str(path), f"the ending {target.suffix!r}", "a file name that ends in .yaml, .yml or .json")
    try:
        write_text(target, text)
    except OSError as error:
        raise UserError(
            str(path), f"no way to write there ({error.strerror or error})", "a place that can be written"
        ) from error


def read_parts(data: Any, where: str) -> tuple[Sketch, dict[str, Parameters]]:
    """The sketch and the parameters of JSON data in the file format. Whether they are sound is the checker's business.

    Args:
        data: what was read.
        where: how to name it in an error, such as the file's path.

    Raises:
        UserError: names the place, what was found and what was expected; a `FormatError`, with all such findings, where
            there may be several.
    """
    if not isinstance(data, dict):
        raise UserError(where, short(data), "a mapping with flowbot, inputs, outputs and nodes")
    faults = islice(_faults(data), MOST_FINDINGS)
    if defects := [finding_defect(place.lstrip("."), found, expected) for place, found, expected in faults]:
        raise FormatError(where, defects)
    given = cast("dict[str, Any]", data)
    version = given.get("flowbot")
    if type(version) is not int or version != FORMAT:
        found = f"flowbot: {short(version)}" if "flowbot" in given else "no key 'flowbot'"
        raise UserError(where, found, f"flowbot: {FORMAT}, the version of the format")
    wrong = [
        finding_defect("", f"the unknown key {short(key)}", f"only {', '.join(_KEYS)}")
        for key in given
        if key not in _KEYS
    ]
    sketch = _parsed(Sketch, {key: given[key] for key in ("inputs", "outputs", "nodes") if key in given}, "", wrong)
    parameters = given.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        wrong.append(finding_defect("parameters", short(parameters), "a mapping from nodes to their parameters"))
    listed: dict[str, Parameters | None] = {
        path: _parsed(_kind(given.get("nodes"), path, each), each, f"parameters.{path}", wrong)
        for path, each in (cast("dict[str, Any]", parameters).items() if isinstance(parameters, dict) else ())
    }
    if sketch is None or wrong:
        raise FormatError(where, wrong[:MOST_FINDINGS])
    return sketch, {path: each for path, each in listed.items() if each is not None}


_Model = TypeVar("_Model", bound=BaseModel)


def _parsed(model: type[_Model], data: Any, place: str, wrong: list[Defect]) -> _Model | None:
    """The data as the model; None where it is not, and what is wrong is added to the list."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for within, found, expected in findings(error):
            wrong.append(finding_defect(f"{place}.{within}".strip("."), found, expected))
        return None


def _kind(nodes: Any, path: str, data: Any) -> type[Parameters]:
    """The class of the parameters of the node at a path.

    Of no node: the checker reports that with everything else that is wrong; they are read as what they look like.
    """
    holder: Any = {"nodes": nodes}
    for name in path.split("/"):
        body = cast("dict[str, Any]", holder).get("nodes") if isinstance(holder, dict) else None
        holder = cast("dict[str, Any]", body).get(name) if isinstance(body, dict) else None
    kind = cast("dict[str, Any]", holder).get("kind") if isinstance(holder, dict) else None
    if isinstance(kind, str) and kind in PARAMETERS:
        return PARAMETERS[kind]
    if isinstance(data, dict) and "program" in data:
        return CoreParameters
    return CodeParameters if isinstance(data, dict) and "code" in data else LLMParameters


def _faults(value: Any, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """What no JSON file could hold, as (place, found, expected): NaN, dates, keys that are no text, half characters, endless
    nesting. The texts of places are made on the way back from what is wrong: a long key may stand around many values."""
    expected = "plain data, as JSON holds it"
    if depth > _MAX_DEPTH:
        yield "", f"nesting deeper than {_MAX_DEPTH}", f"at most {_MAX_DEPTH} levels"
    elif isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        wrong = [key for key in members if not isinstance(key, str) or not is_unicode(key)]
        yield from (("", f"the key {short(key)}, which is no text", expected) for key in wrong)
        for key in reversed([key for key in members if key not in wrong] if wrong else [*members]):
            yield from ((f".{key[:80]}{place}", found, said) for place, found, said in _faults(members[key], depth + 1))
    elif isinstance(value, list):
        for index, each in reversed(list(enumerate(cast("list[Any]", value)))):
            yield from ((f"[{index}]{place}", found, said) for place, found, said in _faults(each, depth + 1))
    elif found := _scalar_fault(value):
        yield "", found, expected


def _scalar_fault(value: Any) -> str:
    """What a value is that JSON cannot hold; "" for one that it can."""
    match value:
        case str():
            return "" if is_unicode(value) else f"{short(value)}, which is no whole text"
        case float():
            return "" if math.isfinite(value) else repr(value)
        case None | bool():
            return ""
        case int():
            return TOO_LONG if value.bit_length() > MOST_BITS else ""
        case _:
            return kind_of(value)
