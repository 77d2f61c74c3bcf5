"""The file format of workflows: what stands in a file, read as a sketch and parameters. Reading one never runs anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from flowbot.fields import UserError
from flowbot.fields.files import write_text
from flowbot.fields.words import kind_of
from flowbot.fields.yaml_core import MOST_BITS, TOO_LONG

from .defects import Defect
from .messages import MOST_FINDINGS, FormatError, finding_defect, findings, short
from .nodes import Sketch
from .parameters import PARAMETERS, CodeParameters, LLMParameters, Parameters

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
    faults = list(islice(_faults(data), MOST_FINDINGS))
    if faults:
        raise FormatError(where, faults)
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
    return CodeParameters if isinstance(data, dict) and "code" in data else LLMParameters


def _faults(data: Any) -> Iterator[Defect]:
    """What no JSON file could hold: NaN, dates, keys that are no text, half characters, endless nesting."""
    expected = "plain data, as JSON holds it"
    waiting: list[tuple[_Spot | None, Any, int]] = [(None, data, 0)]
    while waiting:
        spot, value, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            yield finding_defect(_place(spot), f"nesting deeper than {_MAX_DEPTH}", f"at most {_MAX_DEPTH} levels")
            continue
        match value:
            case dict():
                for key, each in cast("dict[Any, Any]", value).items():
                    if not isinstance(key, str) or not _encodable(key):
                        yield finding_defect(_place(spot), f"the key {short(key)}, which is no text", expected)
                    else:
                        waiting.append(((spot, key), each, depth + 1))
            case list():
                waiting.extend(((spot, i), each, depth + 1) for i, each in enumerate(cast("list[Any]", value)))
            case str():
                if not _encodable(value):
                    yield finding_defect(_place(spot), f"{short(value)}, which is no whole text", expected)
            case float():
                if value != value or value in (float("inf"), float("-inf")):
                    yield finding_defect(_place(spot), repr(value), expected)
            case None | bool():
                pass
            case int():
                if value.bit_length() > MOST_BITS:
                    yield finding_defect(_place(spot), TOO_LONG, expected)
            case _:
                yield finding_defect(_place(spot), kind_of(value), expected)


_Spot = tuple["_Spot | None", str | int]
"""A place as the one around it and the last step: texts are made only of places where something is wrong."""


def _place(spot: _Spot | None) -> str:
    steps: list[str] = []
    while spot is not None:
        spot, step = spot
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step[:80]}")
    return "".join(reversed(steps)).lstrip(".")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
