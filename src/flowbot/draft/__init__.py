"""Drafting a task from a user's rows: what each column is for, its type, the metric and the splits."""

from __future__ import annotations

from .draft import MOST, Draft, draft_task
from .folder import refuse_existing, task_text, write_folder
from .guess import Guess
from .roles import Wishes
from .table import Table, read_table

__all__ = [
    "MOST",
    "Draft",
    "Guess",
    "Table",
    "Wishes",
    "draft_task",
    "read_table",
    "refuse_existing",
    "task_text",
    "write_folder",
]
