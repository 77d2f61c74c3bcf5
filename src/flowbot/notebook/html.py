"""The page of a value, by its type: one registry of all that draws."""

from __future__ import annotations

from functools import singledispatch

from flowbot.fields import Score
from flowbot.fields.words import brief
from flowbot.run.eval_result import EvalResult
from flowbot.run.result import RunResult
from flowbot.runtime.flow import Flow
from flowbot.runtime.trace import Trace
from flowbot.task import Example, Task
from flowbot.workflow.workflow import Workflow

from .markup import Markup, text
from .progress_bar import ProgressBar, progress_html
from .results import eval_html, run_html, score_html
from .task import example_html, task_html
from .trace import flow_html, trace_html
from .workflow import workflow_html


@singledispatch
def html(value: object) -> Markup:
    """The HTML that a notebook shows of a value: its page, or for a type that has none its `repr`."""
    return text(brief(repr(value)))


html.register(EvalResult, eval_html)
html.register(Example, example_html)
html.register(Flow, flow_html)
html.register(ProgressBar, progress_html)
html.register(RunResult, run_html)
html.register(Score, score_html)
html.register(Task, task_html)
html.register(Trace, trace_html)
html.register(Workflow, workflow_html)
