"""Tells IPython what to show of FlowBot's values: by the names of their types, so that nothing is loaded before one is shown."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

SHOWN = (
    "flowbot.fields.values.Score",
    "flowbot.run.eval_result.EvalResult",
    "flowbot.run.result.RunResult",
    "flowbot.runtime.flow.Flow",
    "flowbot.runtime.trace.Trace",
    "flowbot.notebook.progress_bar.ProgressBar",
    "flowbot.task.example.Example",
    "flowbot.task.task.Task",
    "flowbot.workflow.workflow.Workflow",
)
"""The types for which `html` has a page."""


def register() -> None:
    """Have IPython show the pages of values, once in a shell. Without IPython, or where it only stands by, nothing happens."""
    ipython: Any = sys.modules.get("IPython")
    shell: Any = None if ipython is None else getattr(ipython, "get_ipython", lambda: None)()
    if shell is not None:
        _register(shell.display_formatter.formatters["text/html"])


@cache
def _register(formatter: Any) -> None:
    for kind in SHOWN:
        module, _, name = kind.rpartition(".")
        formatter.for_type_by_name(module, name, _page)


def _page(value: object) -> str:
    from .html import html

    return html(value)
