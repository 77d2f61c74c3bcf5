"""What may be found: workflows as typed data, their file format, checker, edits, drawing, and starting points."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .check import Defect, check, require_valid
from .diff import diff
from .graph import predecessors, reference_type, references, split_reference, successors, topological, unused
from .nodes import CodeNode, LLMNode, MergeNode, Node, Sketch, ToolNode
from .parameters import PARAMETERS, CodeParameters, Demonstration, LLMParameters, NoParameters, Parameters
from .workflow import Workflow

if TYPE_CHECKING:
    from .draw import draw_mermaid, draw_text
    from .edits import (
        AddNode,
        Edit,
        EditError,
        RemoveNode,
        ReplaceNode,
        Rewire,
        SetOutput,
        apply,
        describe,
        dump_edits,
        edits_schema,
        parse_edits,
    )
    from .file import from_data, load, save
    from .starts import single_call
    from .svg import draw_svg

_LATER = {
    **dict.fromkeys(("draw_mermaid", "draw_text"), "draw"),
    **dict.fromkeys(("AddNode", "Edit", "EditError", "RemoveNode", "ReplaceNode", "Rewire", "SetOutput"), "edits"),
    **dict.fromkeys(("apply", "describe", "dump_edits", "edits_schema", "parse_edits"), "edits"),
    **dict.fromkeys(("from_data", "load", "save"), "file"),
    "single_call": "starts",
    "draw_svg": "svg",
}


def __getattr__(name: str) -> Any:
    """Modules that are not always needed are imported when their first name is asked for (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)


__all__ = [
    "PARAMETERS",
    "AddNode",
    "CodeNode",
    "CodeParameters",
    "Defect",
    "Demonstration",
    "Edit",
    "EditError",
    "LLMNode",
    "LLMParameters",
    "MergeNode",
    "NoParameters",
    "Node",
    "Parameters",
    "RemoveNode",
    "ReplaceNode",
    "Rewire",
    "SetOutput",
    "Sketch",
    "ToolNode",
    "Workflow",
    "apply",
    "check",
    "describe",
    "diff",
    "draw_mermaid",
    "draw_svg",
    "draw_text",
    "dump_edits",
    "edits_schema",
    "from_data",
    "load",
    "parse_edits",
    "predecessors",
    "reference_type",
    "references",
    "require_valid",
    "save",
    "single_call",
    "split_reference",
    "successors",
    "topological",
    "unused",
]
