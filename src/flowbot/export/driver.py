"""The process that runs an exported file for its check, on the standard library and what that file imports.

Run as a script: `driver.py FILE`, a line of JSON on standard input for each example: `{url, key, inputs, tools}`. It answers each with
`{outputs}` or `{error}`. Tools are stand-ins that give what they gave in the recorded run: none is imported or called.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import types
from typing import Any

_TOOLS: dict[str, list[list[Any]]] = {}
"""Of the example at work: by the tool's name, arguments with what came of them."""


def main() -> None:
    """Run the file on each of the examples."""
    path, modules = sys.argv[1], json.loads(sys.argv[2])
    for module, names in modules.items():
        sys.modules[module] = made = types.ModuleType(module)
        for name, tool in names.items():
            setattr(made, name, _stand_in(tool))
    spec = importlib.util.spec_from_file_location("exported", path)
    assert spec is not None
    assert spec.loader is not None
    file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(file)
    asyncio.run(_run(file))


async def _run(file: Any) -> None:
    first = file.client
    for line in sys.stdin:
        given = json.loads(line)
        _TOOLS.clear()
        _TOOLS.update(given["tools"])
        if first is not None:
            file.client = first.with_options(base_url=given["url"], api_key=given["key"], max_retries=0)
        try:
            told = {"outputs": await file.flow(**given["inputs"])}
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(told) + "\n")


def _stand_in(tool: str) -> Any:
    def call(**arguments: Any) -> Any:
        for asked, result, error in _TOOLS.get(tool, []):
            if asked == arguments:
                if error:
                    kind, _, text = error.partition(": ")
                    raise type(kind, (Exception,), {})(text)
                return result
        raise LookupError(f"the run did not call {tool} with {json.dumps(arguments)}")

    call.__name__ = tool
    return call


if __name__ == "__main__":
    main()
