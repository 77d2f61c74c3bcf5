"""Edits: typed changes to a sketch. Models propose them, the journal keeps them, `apply` makes them."""

from __future__ import annotations

from .applying import Applied, applied, apply
from .basic import AddNode, EditError, RemoveNode, RenameNode, ReplaceNode, Rewire, Rewrite, SetOutput
from .compound import Decompose, Ensemble, Fuse, InsertBranch, InsertRetrieval, InsertStep, Review, Split
from .parse import parse_edits
from .schema import edits_schema
from .text import Edit, describe, dump_edits

__all__ = [
    "AddNode",
    "Applied",
    "Decompose",
    "Edit",
    "EditError",
    "Ensemble",
    "Fuse",
    "InsertBranch",
    "InsertRetrieval",
    "InsertStep",
    "RemoveNode",
    "RenameNode",
    "ReplaceNode",
    "Review",
    "Rewire",
    "Rewrite",
    "SetOutput",
    "Split",
    "applied",
    "apply",
    "describe",
    "dump_edits",
    "edits_schema",
    "parse_edits",
]
