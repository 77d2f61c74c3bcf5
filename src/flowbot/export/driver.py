"""The process that runs an exported file for its check, on the standard library and what that file imports.

Run as a script: `driver.py FILE MODULES REAL`, a line of JSON on standard input for each example: `{url, key, inputs, tools, environment}`. It
answers each with `{outputs}` or `{error}`, and `called`, what it called tools with. Tools are stand-ins that give what they gave in the recorded run: none is imported or called, unless
`REAL` says which may be where the run did not call them so, and where their modules are.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import json
import os
import sys
import types
from typing import IO, Any

_TOOLS: dict[str, list[list[Any]]] = {}
"""Of the example at work: by the tool's name, arguments with what came of them."""
_CALLED: list[list[Any]] = []
"""Of the example at work: each call of a tool, its name and arguments."""


def main() -> None:
    """Run the file on each of the examples."""
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [
        each for each in sys.path if os.path.abspath(each) != here
    ]  # some files here are named as what they write for
    path, modules, real = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    for module, names in modules.items():
        found = _imported(module, real["folder"]) if real else None
        sys.modules[module] = made = types.ModuleType(module)
        for name, tool in names.items():
            setattr(made, name, _stand_in(tool, getattr(found, name, None), bool(real) and tool in real["tools"]))
    lines, told = (os.fdopen(os.dup(number), mode, encoding="utf-8") for number, mode in ((0, "r"), (1, "w")))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what the file prints is no answer, and what it reads no example
    asyncio.run(_run(path, lines, told))


async def _run(path: str, lines: IO[str], answers: IO[str]) -> None:
    file = _imported_file(path)
    first = getattr(file, "client", None)
    for line in lines:
        given = json.loads(line)
        _TOOLS.clear()
        _TOOLS.update(given["tools"])
        _CALLED.clear()
        if first is not None:
            file.client = first.with_options(base_url=given["url"], api_key=given["key"], max_retries=0)
        elif not hasattr(file, "client"):  # its models are made as it is imported
            os.environ.update(given["environment"])
            file = _imported_file(path)
        try:
            told = {"outputs": await file.flow(**given["inputs"])}
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(told | {"called": _CALLED}, default=repr) + "\n")
        answers.flush()


def _imported_file(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("exported", path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["exported"] = file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(file)
    return file


def _imported(module: str, folder: str) -> Any:
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(module)
    except ImportError:
        return None
    finally:
        sys.path.remove(folder)


def _stand_in(tool: str, real: Any, may_call: bool) -> Any:
    def call(**arguments: Any) -> Any:
        _CALLED.append([tool, arguments])
        for asked, result, error in _TOOLS.get(tool, []):
            if asked == arguments:
                if error:
                    kind, _, text = error.partition(": ")
                    raise type(kind, (Exception,), {})(text)
                return result
        if real is not None and may_call:
            return real(**arguments)
        raise LookupError(f"the run did not call {tool} with {json.dumps(arguments)}")

    if real is not None:  # a framework tells a model what its signature and docstring say
        functools.update_wrapper(call, real)
    call.__name__ = tool
    return call


if __name__ == "__main__":
    main()
