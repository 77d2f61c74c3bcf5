"""Edits: typed changes to a sketch. Models propose them, the journal keeps them, `apply` makes them."""

from __future__ import annotations

from .applying import Applied, applied, apply
from .basic import AddNode, RemoveNode, RenameNode, ReplaceNode, Rewire, Rewrite, SetOutput
from .draft import EditError
from .edit import Edit, describe, dump_edits
from .inserts import Decompose, InsertBranch, InsertRetrieval, InsertStep
from .parse import parse_edits
from .patterns import Ensemble, Fuse, Review, Split
from .schema import edits_schema

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
