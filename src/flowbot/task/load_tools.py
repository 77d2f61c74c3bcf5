"""Reading `tools:` of a task file: callables of the user's own, servers, corpora, databases and built-in tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError, is_name
from flowbot.fields.near import one_of
from flowbot.fields.plugins import find_plugin, plugin_names
from flowbot.fields.words import kind_of

from .faults import RAISED, Faults
from .identity import file_identity, is_told_apart
from .mapping import mapping
from .modules import Modules, reference
from .sources import (
    CalculatorSource,
    MCPSource,
    PythonSource,
    SearchSource,
    SQLSource,
    ToolSource,
    own_name,
    require_pairs,
    require_text,
    texts,
)
from .tools import Tool, tool_of

_FORMS = "FILE.py:NAME, python, calculator, or a mapping with call, use, mcp, search or sql"
_CALL_KEYS = ("call", "effects", "simulate", "pure", "identity")
_MCP_KEYS = ("mcp", "only", "effects", "simulate")
_SERVER_KEYS = ("command", "url", "env", "headers", "seconds")


def load_tools(value: Any, path: Path, modules: Modules, faults: Faults = RAISED) -> list[Tool | ToolSource] | None:
    """The tools of a task file, in its order; none where its Python may not be imported.

    Args:
        value: what stands under `tools:`.
        path: the task file; what the tools name is looked up beside it.
        modules: the user's Python.
        faults: where mistakes go; None is returned where it kept one.

    Raises:
        UserError: naming file and place, for anything wrong that can be seen without opening a tool.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise UserError(f"{path}: tools", kind_of(value), "a list such as [tools.py:lookup]")
    items = cast("list[Any]", value)
    tools: list[Tool | ToolSource | None] = []
    for index, each in enumerate(items):
        with faults:
            tools.append(_tool(each, f"{path}: tools[{index}]", path.parent, modules))
    if len(tools) < len(items):
        return None
    return [tool for tool in tools if tool is not None] if modules.run else []


def _tool(value: Any, where: str, folder: Path, modules: Modules) -> Tool | ToolSource | None:
    match value:
        case "python":
            return PythonSource(where=where)
        case "calculator":
            return CalculatorSource(where=where)
        case str():
            return _callable({"call": value}, where, folder, modules)
        case {"call": _}:
            return _callable(mapping(value, where, _CALL_KEYS), where, folder, modules)
        case {"use": name}:
            mapping(value, where, ("use",))
            require_text(name, f"{where}.use")
            return _installed(name, f"{where}.use", modules)
        case {"mcp": _}:
            return _server(mapping(value, where, _MCP_KEYS), where, folder, modules)
        case {"search": _}:
            parts = mapping(value, where, ("search", "name", "k", "about"))
            return SearchSource(corpus=_beside(folder, parts.pop("search"), f"{where}.search"), where=where, **parts)
        case {"sql": _}:
            parts = mapping(value, where, ("sql", "name", "about"))
            return SQLSource(file=_beside(folder, parts.pop("sql"), f"{where}.sql"), where=where, **parts)
        case {**parts} if parts:
            raise UserError(where, f"the keys {', '.join(map(str, parts))}", _FORMS)
        case _:
            raise UserError(where, kind_of(value) if value else "nothing", _FORMS)


def _callable(parts: dict[str, Any], where: str, folder: Path, modules: Modules) -> Tool | None:
    effects, pure, identity = parts.get("effects", "reads"), parts.get("pure", False), parts.get("identity", "")
    if effects not in ("reads", "writes"):
        raise UserError(f"{where}.effects", repr(effects), "reads or writes")
    if not isinstance(pure, bool):
        raise UserError(f"{where}.pure", repr(pure), "true or false")
    require_text(identity, f"{where}.identity")
    files = {
        key: reference(parts.get(key), f"{where}.{key}", folder)
        for key in ("call", "simulate")
        if key == "call" or key in parts
    }
    if not modules.run:
        return None
    loaded = {key: modules.load(file, name, f"{where}.{key}") for key, (file, name) in files.items()}
    if not identity and not all(map(is_told_apart, loaded.values())):
        # Within a file a name stands for one object, whatever that is made of.
        identity = ", ".join(file_identity(name, file) for file, name in files.values())
    try:
        return tool_of(
            loaded["call"],
            effects=effects,
            simulate=loaded.get("simulate"),
            pure=pure,
            name=files["call"][1],
            identity=identity,
        )
    except UserError as error:
        raise error.at(f"{where}: {error.where}") from None


def _installed(name: str, where: str, modules: Modules) -> Tool | None:
    """A tool that an installed package offers under a name, by which workflows call it: a callable, which reads, or a `Tool` that
    says itself what it does. Within a version of a package the name stands for one object."""
    plugin = find_plugin("tools", name)
    if plugin is None or not is_name(name):
        known = plugin_names("tools")
        raise UserError(
            where, repr(name), one_of(name, known) if known else "a tool of an installed package; there is none"
        )
    if not modules.run:
        return None
    found = plugin.load()
    if not callable(found) and not isinstance(found, Tool):
        raise plugin.refused(kind_of(found), "a function, or what flowbot.task.tools.tool_of gives")
    tool = tool_of(cast("Callable[..., Any] | Tool", found), name=name)
    signature = replace(tool.signature, name=name)
    return replace(tool, signature=signature, identity=plugin.identity(tool.identity), kept=True)


def _server(parts: dict[str, Any], where: str, folder: Path, modules: Modules) -> MCPSource:
    server, stand_ins = mapping(parts.pop("mcp"), f"{where}.mcp", _SERVER_KEYS), parts.pop("simulate", {})
    require_pairs(stand_ins, f"{where}.simulate")
    simulate: dict[str, Callable[..., Any]] = {}
    for name, text in stand_ins.items():
        file, function = reference(text, f"{where}.simulate.{name}", folder)
        if modules.run:
            simulate[name] = modules.load(file, function, f"{where}.simulate.{name}")
    if "only" not in parts:
        raise UserError(where, "no 'only'", "only: [NAME, …], the tools of the server that may be called")
    only = parts.pop("only")
    if not isinstance(only, dict):  # or {NAME: OWN, …}, to call them by other names
        only = {name: own_name(name) for name in texts(only, f"{where}.only")}
    return MCPSource(
        only=cast("dict[str, str]", only), simulate=simulate, folder=folder, where=where, **server, **parts
    )


def _beside(folder: Path, file: Any, where: str) -> Path:
    require_text(file, where)
    return folder / file
