"""One Python file that needs the `openai` package and the standard library: a function a step, and one that wires them."""

from __future__ import annotations

import sys
from typing import Any

from flowbot.workflow.graph import free_name

from .exported import Exported, ExportedStep, Grade
from .framework import Framework
from .python_text import docstring
from .python_wiring import Names, flow_source

_IMPORTED = (
    *("openai", "anyio", "distro", "httpx", "jiter", "pydantic", "sniffio", "tqdm", "typing_extensions", "certifi"),
    *("httpcore", "h11", "idna", "pydantic_core", "annotated_types", "typing_inspection"),
)
"""The openai package, and what it imports."""
_BEGINS = {"code": "compute", "branch": "choose", "merge": "judge"}
"""How the function of a step begins; of others it asks."""


class Python(Framework):
    """A Python program of one file."""

    name = "python"
    about = "one file that needs the openai package alone"
    grade: Grade = "exact"
    needs = ("openai>=2,<4",)
    modules = ("openai",)
    own = frozenset(("client", "one_item", "tuple"))

    def refuses(self, exported: Exported) -> list[str]:
        """Besides, endpoints that one client of openai's cannot speak to."""
        said = super().refuses(exported)
        places = dict.fromkeys(model.provider for model in exported.models)
        if len(places) > 1:
            said.append(f"its steps ask models of {' and '.join(places)}, and the file has one endpoint")
        for step in exported.asking:
            asked = step.asked
            assert asked is not None
            if not asked.plain and (asked.response_format or {}).get("type") != "json_schema":
                said.append(f"step {step.path} asks {asked.model.name}, whose endpoint takes no JSON schema")
            if asked.tools and not asked.native_tools:
                said.append(f"step {step.path} asks {asked.model.name}, whose endpoint takes no tool calls")
        return said

    def file(self, exported: Exported) -> str:
        """The name of the file; never that of a module that it, or what it imports, imports."""
        tools = {tool.module for tool in exported.tools.values()}
        return f"{free_name(exported.name, sys.stdlib_module_names.union(_IMPORTED, tools))}.py"

    def wish(self, step: ExportedStep) -> str:
        """As `ask_draft`."""
        return f"{_BEGINS.get(step.node.kind, 'ask')}_{step.path.replace('/', '_')}"

    def context(self, exported: Exported, names: Names) -> dict[str, Any]:
        """The lines of the function."""
        return {"said": docstring(exported.goal or "Run the workflow."), "flow": flow_source(exported, names)}
