"""Workflows as files: readable YAML or JSON. Loading one never runs anything."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from flowbot.fields import UserError

from .messages import explain, short
from .nodes import Sketch
from .parameters import PARAMETERS, CodeParameters, LLMParameters, Parameters
from .workflow import Workflow

FORMAT = 1
"""The version of the file format that this code reads and writes."""

_KEYS = ("flowbot", "inputs", "outputs", "nodes", "parameters")
_MAX_DEPTH = 40


def load(path: str | Path) -> Workflow:
    """Read a workflow from a YAML or JSON file. Whether it is sound is the checker's business.

    Raises:
        UserError: if the file is missing, no YAML or JSON, or not in the format; names the file and the place.
    """
    from flowbot.fields.yaml import read_data

    return from_data(read_data(Path(path)), str(path))


def save(workflow: Workflow, path: str | Path) -> None:
    """Write a workflow to a `.yaml`, `.yml` or `.json` file. The file is replaced at once or stays as it was.

    Raises:
        UserError: if the name has another ending, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix == ".json":
        text = json.dumps(workflow.dump(), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    elif target.suffix in (".yaml", ".yml"):
        from flowbot.fields.yaml import dump_yaml

        text = dump_yaml(workflow.dump())
    else:
        raise UserError(str(path), f"the ending {target.suffix!r}", "a file name that ends in .yaml, .yml or .json")
    try:
        _replace(target, text)
    except OSError as error:
        raise UserError(str(path), error.strerror or str(error), "a place that can be written") from error


def from_data(data: Any, where: str = "workflow") -> Workflow:
    """A workflow from JSON data in the file format.

    Args:
        data: what was read.
        where: how to name it in an error, such as the file's path.

    Raises:
        UserError: names the place, what was found and what was expected.
    """
    if not isinstance(data, dict):
        raise UserError(where, short(data), "a mapping with flowbot, inputs, outputs and nodes")
    for place, fault in _faults(data):
        raise UserError(f"{where}: {place}" if place else where, fault, "plain data, as JSON holds it")
    given = cast("dict[str, Any]", data)
    unknown = [key for key in given if key not in _KEYS]
    if unknown:
        raise UserError(where, f"the unknown key {short(unknown[0])}", f"only {', '.join(_KEYS)}")
    version = given.get("flowbot")
    if type(version) is not int or version != FORMAT:
        found = f"flowbot: {short(version)}" if "flowbot" in given else "no key 'flowbot'"
        raise UserError(where, found, f"flowbot: {FORMAT}, the version of the format")
    parts = {key: given[key] for key in ("inputs", "outputs", "nodes") if key in given}
    try:
        sketch = Sketch.model_validate(parts)
    except ValidationError as error:
        raise _user_error(error, f"{where}: ") from error
    parameters = given.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise UserError(f"{where}: parameters", short(parameters), "a mapping from nodes to their parameters")
    listed = cast("dict[str, Any]", parameters or {})
    parsed = {name: _parameters(sketch, name, each, f"{where}: parameters.{name}") for name, each in listed.items()}
    return Workflow(sketch=sketch, parameters=parsed)


def _parameters(sketch: Sketch, name: str, data: Any, where: str) -> Parameters:
    if name in sketch.nodes:
        kind = PARAMETERS[sketch.nodes[name].kind]
    else:  # of no node: the checker reports that with everything else that is wrong; read as what they look like
        kind = CodeParameters if isinstance(data, dict) and "code" in data else LLMParameters
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _user_error(error, f"{where}.") from error


def _user_error(error: ValidationError, where: str) -> UserError:
    place, found, expected = explain(error)
    return UserError(f"{where}{place}".rstrip(".: "), found, expected)


def _faults(data: Any) -> Iterator[tuple[str, str]]:
    """What no JSON file could hold: NaN, dates, keys that are no text, half characters, endless nesting."""
    waiting: list[tuple[str, Any, int]] = [("", data, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            yield place, f"nesting deeper than {_MAX_DEPTH}"
            continue
        match value:
            case dict():
                for key, each in cast("dict[Any, Any]", value).items():
                    if not isinstance(key, str) or not _encodable(key):
                        yield place, f"the key {short(key)}, which is no text"
                    else:
                        waiting.append((f"{place}.{key}" if place else key, each, depth + 1))
            case list():
                waiting.extend((f"{place}[{i}]", each, depth + 1) for i, each in enumerate(cast("list[Any]", value)))
            case str():
                if not _encodable(value):
                    yield place, f"{value!a}, which is no whole text"
            case float():
                if value != value or value in (float("inf"), float("-inf")):
                    yield place, repr(value)
            case None | bool():
                pass
            case int():
                if value.bit_length() > 1024:
                    yield place, "a number of more than 300 digits"
            case _:
                yield place, f"a {type(value).__name__}"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _replace(target: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
