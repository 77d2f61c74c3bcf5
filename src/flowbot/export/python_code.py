"""What every Python file has: what it says of itself, its tools, and the code of its steps as functions."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable

from flowbot.workflow.nodes import CodeNode

from .exported import Exported
from .python_text import STEP
from .python_wiring import Names


def function_of(name: str, inputs: Iterable[str], code: str) -> str:
    """A code step as a function: its text within, and the call of its `run`."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    spans = any(
        token.start[0] != token.end[0] and token.type not in (tokenize.NEWLINE, tokenize.NL) for token in tokens
    )
    if spans:  # a literal of several lines must not be moved: it is written anew
        code = ast.unparse(ast.parse(code))
    lines = [f"def {name}({', '.join(f'{each}: Any' for each in inputs)}) -> Any:"]
    lines += [f"{STEP}{line}" if line.strip() else "" for line in code.strip("\n").splitlines()]
    return "\n".join([*lines, "", f"{STEP}return run({', '.join(f'{each}={each}' for each in inputs)})"])


def unfit(code: str) -> str:
    """What of a code's text cannot stand within a function; "" for nothing."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Global):
            return "`global`"
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            return f"`from {node.module} import *`"
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            return "`from __future__ import`"
    return ""


def code_faults(exported: Exported) -> list[str]:
    """A sentence for each code step whose text cannot stand in a function."""
    return [
        f"step {step.path} has code with {fault}, which cannot stand in a function"
        for step in exported.steps
        if isinstance(step.node, CodeNode) and (fault := unfit(exported.code(step.path)))
    ]


def head_lines(exported: Exported, file: str, needs: str) -> list[str]:
    """What a file says of itself: its name, and what has to be installed for it."""
    example = "{" + ", ".join(f'"{name}": …' for name in exported.workflow.sketch.inputs) + "}"
    lines = [exported.goal or exported.name, "", f"Written by FlowBot from {exported.origin or 'a workflow'}.", ""]
    lines += [f"{STEP}pip install {needs}", f"{STEP}python {file} '{example}'"]
    if exported.tools:
        tools = ", ".join(exported.tools)
        lines += ["", f"It calls {tools}, imported below: put their modules where Python finds them."]
    if code := ", ".join(step.path for step in exported.steps if isinstance(step.node, CodeNode)):
        said = f"the steps {code} run code that a model may have written, in this process."
        lines += ["", f"CODE WITHOUT A SANDBOX: {said}"]
    return lines


def tool_imports(exported: Exported, names: Names) -> list[str]:
    """The lines that import the tools."""
    return [
        f"from {tool.module} import {tool.name}" + (f" as {own}" if own != tool.name else "")
        for own, tool in ((names.tools[name], tool) for name, tool in exported.tools.items())
    ]
