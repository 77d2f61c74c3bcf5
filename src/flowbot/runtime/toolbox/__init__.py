"""Opening declared tools: servers, corpora, databases and built-in tools become `Tool`s while a run lasts."""

from __future__ import annotations

from .open import opened_task, opened_tools

__all__ = ["opened_task", "opened_tools"]
