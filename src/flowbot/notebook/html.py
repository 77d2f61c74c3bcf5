"""What a notebook shows of FlowBot's values: a page by the type, found by its name, so that nothing is loaded before one is shown."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from flowbot.fields.words import brief

if TYPE_CHECKING:
    from .markup import Markup

PAGES = {
    "flowbot.fields.values.Score": "results.score_html",
    "flowbot.run.eval_result.EvalResult": "results.eval_html",
    "flowbot.run.result.RunResult": "results.run_html",
    "flowbot.runtime.flow.Flow": "trace.flow_html",
    "flowbot.runtime.trace.Trace": "trace.trace_html",
    "flowbot.notebook.progress_bar.ProgressBar": "progress_bar.progress_html",
    "flowbot.task.example.Example": "task.example_html",
    "flowbot.task.task.Task": "task.task_html",
    "flowbot.workflow.workflow.Workflow": "workflow.workflow_html",
}
"""What draws a value, by the name of its type."""


def html(value: object) -> Markup:
    """The HTML that a notebook shows of a value: its page, or for a type that has none its `repr`."""
    kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__)
    module, _, name = next((PAGES[kind] for kind in kinds if kind in PAGES), "").partition(".")
    if not module:
        from .markup import text

        return text(brief(repr(value)))
    return cast("Markup", getattr(import_module(f".{module}", __package__), name)(value))


def register() -> None:
    """Have IPython show the pages of values, once in a shell. Without IPython, or where it only stands by, nothing happens."""
    ipython: Any = sys.modules.get("IPython")
    shell: Any = None if ipython is None else getattr(ipython, "get_ipython", lambda: None)()
    if shell is not None:
        _register(shell.display_formatter.formatters["text/html"])


@cache
def _register(formatter: Any) -> None:
    for kind in PAGES:
        module, _, name = kind.rpartition(".")
        formatter.for_type_by_name(module, name, html)
