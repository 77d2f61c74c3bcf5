"""From a workflow's file, or a run that found one, to a flow: `fb.load`."""

from __future__ import annotations

from typing import Unpack

from flowbot.fields.arguments import checked_arguments
from flowbot.runtime.flow import FLOW_DEFAULTS, Flow, FlowSettings
from flowbot.runtime.settings import CallSettings, require_settings, with_settings
from flowbot.workflow.workflow import Workflow

from .folders import RUN, RunLike, flow_file


@with_settings(CallSettings, FlowSettings, defaults=FLOW_DEFAULTS)
@checked_arguments(path=(RUN[0], "the path of a workflow's file, or a run that found one"))
def load(path: RunLike, **settings: Unpack[FlowSettings]) -> Flow:
    """A `Flow` from a workflow's file. Reading the file runs no code.

        >>> flow = fb.load("found.flow.yaml", lm="openai/gpt-4.1-mini", tools=[lookup])
        >>> flow(question="How many pears are left?")
        {'answer': 12}

    Args:
        path: the file, or a run that found a workflow: its result, its folder, or its name in runs/.

    Raises:
        UserError: if the file is not a valid workflow, or something that it needs is not given.
    """
    require_settings("load", settings, FlowSettings)
    return Flow(Workflow.load(flow_file(path)), **settings)
