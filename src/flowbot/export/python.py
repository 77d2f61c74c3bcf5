"""One Python file that needs the `openai` package and the standard library: a function a step, and one that wires them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from flowbot.fields import ToolSignature
from flowbot.lm.native_tools import functions
from flowbot.workflow.graph import all_names, free_name
from flowbot.workflow.nodes import BranchNode, CodeNode, MergeNode
from flowbot.workflow.scope import Scope, parsed

from .exported import CANDIDATES, LABELS, Asked, Exported, ExportedStep, Grade, code_refusals, tool_refusals
from .python_code import code_faults, function_of, head_lines, tool_imports
from .python_pieces import imported, imports_of, needed, pieces
from .python_text import (
    STEP,
    call_source,
    docstring,
    indented,
    kind_source,
    members_source,
    quoted,
    text_source,
)
from .python_wiring import Names, flow_source, inner_names

_SENT = (
    *("temperature", "max_tokens", "max_completion_tokens", "top_p", "frequency_penalty", "presence_penalty"),
    *("reasoning_effort", "verbosity", "service_tier"),
)
"""Settings that the openai package knows by name."""
_OWN = frozenset(
    (
        "client",
        "asyncio",
        "json",
        "os",
        "sys",
        "all",
        "candidates",
        "range",
        "tuple",
        *("bool", "dict", "float", "int", "str"),
        "labels",
        "shown",
        "seed",
        "rows",
        "row",
        "one_item",
        "flow",
        "MODEL",
    )
)
"""Names that the file has besides those of the pieces."""
_IMPORTED = frozenset(
    (
        *("openai", "anyio", "distro", "httpx", "jiter", "pydantic", "sniffio", "tqdm", "typing_extensions", "certifi"),
        *("httpcore", "h11", "idna", "pydantic_core", "annotated_types", "typing_inspection"),
    )
)
"""The openai package, and what it imports."""
_TOP = """{head}

from __future__ import annotations

{imports}

from openai import AsyncOpenAI
{tools}
{client}"""
_MAIN = """if __name__ == "__main__":
    inputs = json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())
    print(json.dumps(asyncio.run(flow(**inputs)), ensure_ascii=False))
"""


class Python:
    """A Python program of one file."""

    name = "python"
    about = "one file that needs the openai package alone"
    grade: Grade = "exact"

    def refuses(self, exported: Exported) -> list[str]:
        """Code that nobody trusts, tools that cannot be imported, endpoints that one client of openai's cannot speak to."""
        said = [*code_refusals(exported), *tool_refusals(exported)]
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
        taken = pieces().keys() | _OWN | inner_names(exported)
        said += [
            f"the input {name} has a name that the file uses itself"
            for name in exported.workflow.sketch.inputs
            if name in taken
        ]
        return said + code_faults(exported)

    def files(self, exported: Exported) -> Mapping[str, str]:
        """The file, and what has to be installed for it."""
        return {self.file(exported): _File(exported, self.file(exported)).text(), "requirements.txt": "openai>=2,<4\n"}

    def file(self, exported: Exported) -> str:
        """The name of the file; never that of a module that it, or what it imports, imports."""
        tools = {tool.module for tool in exported.tools.values()}
        return f"{free_name(exported.name, sys.stdlib_module_names | _IMPORTED | tools)}.py"


class _File:
    """Writes one."""

    def __init__(self, exported: Exported, file: str) -> None:
        self.exported, self.file = exported, file
        own = pieces().keys() | _OWN | inner_names(exported)
        known = all_names(exported.workflow.sketch) | own | imported()
        made: dict[str, str] = {}
        for step in exported.steps:
            if (prefix := _prefix(step)) is not None:
                wish = f"{prefix}_{step.path.replace('/', '_')}"
                made[step.path] = free_name(wish, known | set(made.values()))
        tools = {name: free_name(name, known | set(made.values())) for name in exported.tools}
        taken = frozenset(own | set(made.values()) | set(tools.values()))
        self.names = Names(made, tools, taken)
        self.one_model = len(exported.models) == 1

    def text(self) -> str:
        """The text of the file."""
        inputs = (f"{name}: {_annotation(kind)}" for name, kind in self.exported.workflow.sketch.inputs.items())
        said = docstring(self.exported.goal or "Run the workflow.")
        wiring = indented(flow_source(self.exported, self.names))
        flow = f"async def flow({', '.join(inputs)}) -> dict[str, Any]:\n{STEP}{said}\n{STEP}{wiring}"
        source = "\n\n\n".join(
            [*(self.step(step) for step in self.exported.steps if step.path in self.names.functions), flow]
        )
        taken, client = needed(source), self.client()
        imports = {*imports_of([*taken, source]), "import asyncio", "import json", "import sys"}
        imports |= {"import os"} if "os.environ" in client else set()
        tools = tool_imports(self.exported, self.names)
        top = _TOP.format(
            head=docstring("\n".join(head_lines(self.exported, self.file, "openai"))),
            imports="\n".join(sorted(imports, key=lambda line: (line.startswith("from"), line))),
            tools="".join(f"{line}\n" for line in ["", *sorted(tools)] if tools),
            client=client,
        )
        return "\n\n\n".join([top, source, *taken, _MAIN])

    def client(self) -> str:
        """The client, and the model where there is one for all steps."""
        models = self.exported.models
        if not models:
            return "client: Any = None"
        model = models[0]
        named = f"MODEL = {quoted(model.wire)}\n" if self.one_model else ""
        if model.provider == "openai":
            return f"{named}client = AsyncOpenAI()"
        where = f"os.environ[{quoted(model.base_variable)}]"
        if model.base_url:
            variable = quoted(model.base_variable)
            where = (
                f"os.environ.get({variable}, {quoted(model.base_url)})"
                if model.base_variable
                else quoted(model.base_url)
            )
        key = f'os.environ.get({quoted(model.key or "OPENAI_API_KEY")}, "none")'
        return f"{named}client = AsyncOpenAI(base_url={where}, api_key={key})"

    def step(self, step: ExportedStep) -> str:
        """The function of one step."""
        name = self.names.functions[step.path]
        if isinstance(step.node, CodeNode):
            return function_of(name, step.inputs, self.exported.code(step.path))
        asked = step.asked
        assert asked is not None
        scope = Scope.of(self.exported.workflow.sketch).at(step.path)
        kinds = {each: _annotation(scope.type_text(reference) or "") for each, reference in step.inputs.items()}
        parameters = [f"{self.names.variable(each)}: {kind}" for each, kind in kinds.items()]
        if isinstance(step.node, MergeNode):
            return self.judge(name, step.node, parameters, asked, step)
        told = self.ask(asked, step)
        if isinstance(step.node, BranchNode):
            return f'async def {name}({", ".join(parameters)}) -> str:\n{STEP}return (await {indented(told)})["choice"]'
        if asked.samples > 1:
            parameters.append("seed: int")
        return f"async def {name}({', '.join(parameters)}) -> dict[str, Any]:\n{STEP}return await {indented(told)}"

    def judge(self, name: str, node: MergeNode, parameters: list[str], asked: Asked, step: ExportedStep) -> str:
        """The function of a merge that a model judges."""
        output, told = quoted(next(iter(node.out))), self.ask(asked, step, '{"choice": tuple(listed)}')
        lines = [
            f"async def {name}({', '.join(['candidates: list[Any]', *parameters])}) -> dict[str, Any]:",
            f"{STEP}if all(each == candidates[0] for each in candidates):",
            f"{STEP * 2}return {{{output}: candidates[0]}}",
            f"{STEP}listed = lettered(candidates)",
            f'{STEP}labels = " or ".join(f\'"{{label}}"\' for label in listed)',
            f'{STEP}shown = "\\n".join(f"{{label}}: {{text_of(each)}}" for label, each in listed.items())',
            f"{STEP}found = await {indented(told)}",
            f'{STEP}return {{{output}: listed[found["choice"]]}}',
        ]
        return "\n".join(lines)

    def ask(self, asked: Asked, step: ExportedStep, fields: str = "") -> str:
        """The call that asks the model."""
        scope = Scope.of(self.exported.workflow.sketch).at(step.path)

        def show(place: str) -> str:
            if place in (LABELS, CANDIDATES):
                return "labels" if place == LABELS else "shown"
            kind = scope.type_of(step.inputs[place])
            variable = self.names.variable(place)
            return variable if kind is not None and kind.kind in ("str", "literal") else f"text_of({variable})"

        messages = [
            f'{{"role": {quoted(message.role)}, "content": {_content(text_source(message.parts, show))}}}'
            for message in asked.messages
        ]
        listed = "[\n" + "".join(f"{STEP}{indented(each)},\n" for each in messages) + "]"
        fields = fields or members_source({field.name: kind_source(field.type) for field in asked.fields})
        settings = {each: repr(value) for each, value in asked.settings.items() if each in _SENT}
        settings = {
            each: quoted(value) if isinstance(value := asked.settings[each], str) else text
            for each, text in settings.items()
        }
        if besides := {
            each: value for each, value in asked.settings.items() if each not in (*_SENT, "tools", "tool_choice")
        }:
            settings["extra_body"] = repr(besides)
        more = [f"{each}={text}" for each, text in settings.items()]
        more += ["seed=seed"] if asked.samples > 1 and asked.seeds else []
        more += ["own_words=True"] if asked.own_words else []
        model = "model=MODEL" if self.one_model else f"model={quoted(asked.model.wire)}"
        if not asked.tools:
            return call_source("ask", [listed, fields, model, *more])
        tools = "[\n" + "".join(f"{STEP}{indented(self.tool(name))},\n" for name in asked.tools) + "]"
        return call_source("ask_with_tools", [listed, fields, tools, model, f"rounds={asked.rounds}", *more])

    def tool(self, name: str) -> str:
        """A tool as a model is offered it: the function, what is said of it, the types of its arguments and results."""
        tool = self.exported.tools[name]
        signature: ToolSignature = tool.signature
        about: dict[str, Any] = functions([signature])[0]["function"]
        takes = members_source({field.name: kind_source(field.type) for field in signature.inputs})
        gives = members_source({field.name: kind_source(field.type) for field in signature.outputs})
        facts = {
            "about": repr(about),
            "takes": takes,
            "gives": gives,
            "plain": tool.plain,
            "writes": signature.effects == "writes",
        }
        return call_source("Tool", [self.names.tools[name], *(f"{key}={value}" for key, value in facts.items())])


def _prefix(step: ExportedStep) -> str | None:
    """How the function of a step begins; None where it has none of its own."""
    if isinstance(step.node, CodeNode):
        return "compute"
    if step.asked is None:
        return None
    return {"branch": "choose", "merge": "judge"}.get(step.node.kind, "ask")


def _annotation(text: str) -> str:
    """A type as a parameter has it."""
    kind = parsed(text)
    known = {"literal": "str", "list": "list[Any]", "object": "dict[str, Any]"}
    return "Any" if kind is None else known.get(kind.kind, kind.kind)


def _content(lines: list[str]) -> str:
    if len(lines) == 1:
        return lines[0]
    return "(\n" + "".join(f"{STEP}{line}\n" for line in lines) + ")"
