"""What may be found: workflows as typed data, their file format, checker, edits, drawing, and starting points."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .calls import asked_models, most_calls, usual_calls
from .check import check, require_valid
from .conditions import Condition, holds
from .defects import Defect
from .diff import diff
from .graph import paths, predecessors, reference_type, references, split_reference, successors, topological, unused
from .nodes import (
    BranchNode,
    Carry,
    CodeNode,
    HasNodes,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    Sketch,
    ToolNode,
    asks_model,
    is_frozen,
    node_at,
    walk,
)
from .parameters import (
    PARAMETERS,
    ChoiceParameters,
    CodeParameters,
    Demonstration,
    LLMParameters,
    NoParameters,
    Parameters,
)
from .scope import Scope
from .workflow import Workflow

if TYPE_CHECKING:
    from .draw import draw_mermaid, draw_text
    from .edits import (
        AddNode,
        Applied,
        Decompose,
        Edit,
        EditError,
        Ensemble,
        Fuse,
        InsertBranch,
        InsertRetrieval,
        InsertStep,
        RemoveNode,
        RenameNode,
        ReplaceNode,
        Review,
        Rewire,
        Rewrite,
        SetOutput,
        Split,
        applied,
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
    **dict.fromkeys(("AddNode", "Edit", "EditError", "RemoveNode", "RenameNode", "ReplaceNode"), "edits"),
    **dict.fromkeys(("Rewire", "Rewrite", "SetOutput", "Decompose", "Ensemble", "Fuse", "InsertBranch"), "edits"),
    **dict.fromkeys(("InsertRetrieval", "InsertStep", "Review", "Split", "Applied", "applied"), "edits"),
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
    "Applied",
    "BranchNode",
    "Carry",
    "ChoiceParameters",
    "CodeNode",
    "CodeParameters",
    "Condition",
    "Decompose",
    "Defect",
    "Demonstration",
    "Edit",
    "EditError",
    "Ensemble",
    "Fuse",
    "HasNodes",
    "InsertBranch",
    "InsertRetrieval",
    "InsertStep",
    "LLMNode",
    "LLMParameters",
    "LoopNode",
    "MapNode",
    "MergeNode",
    "NoParameters",
    "Node",
    "Parameters",
    "RemoveNode",
    "RenameNode",
    "ReplaceNode",
    "Review",
    "Rewire",
    "Rewrite",
    "Scope",
    "SetOutput",
    "Sketch",
    "Split",
    "ToolNode",
    "Workflow",
    "applied",
    "apply",
    "asked_models",
    "asks_model",
    "check",
    "describe",
    "diff",
    "draw_mermaid",
    "draw_svg",
    "draw_text",
    "dump_edits",
    "edits_schema",
    "from_data",
    "holds",
    "is_frozen",
    "load",
    "most_calls",
    "node_at",
    "parse_edits",
    "paths",
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
    "usual_calls",
    "walk",
]
