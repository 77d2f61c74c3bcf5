"""Edits: typed changes to a sketch. Models propose them, the journal keeps them, `applied` makes them.

What patterns of a user's own are made of is imported from here.
"""

from __future__ import annotations

from .applying import Applied, applied
from .basic import AddNode, RemoveNode, RenameNode, ReplaceNode, Rewire, Rewrite, SetOutput
from .draft import EditError
from .edit import Edit, dump_edits
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
    "dump_edits",
    "edits_schema",
    "parse_edits",
]
