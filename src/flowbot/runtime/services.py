"""What the calls of nodes need of whatever runs them, and how what came of a call becomes a step and an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from flowbot.fields import Field, ToolSignature, Usage
from flowbot.lm.client import altered

from .tools import ToolRunner
from .trace import Step
from .values import Ended, Value

if TYPE_CHECKING:
    from flowbot.lm.client import Message, Reply
    from flowbot.lm.lm import LM
    from flowbot.workflow.workflow import Workflow

    from .trace import Trace
    from .traced.run import ProgramRuns

DEFAULT_MAX_TOKENS = 512
"""Tokens of a reply where a node's parameters name no number."""


class Services(Protocol):
    """What calls need of whatever runs them, models, tools and a sandbox for code: `Engine` is one."""

    @property
    def tools(self) -> ToolRunner:
        """Calls tools by name."""
        ...

    @property
    def signatures(self) -> Mapping[str, ToolSignature]:
        """Of the tools, by name."""
        ...

    def model(self, name: str | None) -> LM:
        """The model of that model string; None: the one of nodes that name none."""
        ...

    @property
    def traced(self) -> ProgramRuns:
        """Runs programs."""
        ...

    async def run(
        self, workflow: Workflow, inputs: Mapping[str, Any], *, example: str, purpose: str, replicate: int
    ) -> Trace:
        """Run a workflow once; see `Engine.run`."""
        ...

    async def run_code(self, code: str, values: Mapping[str, Any]) -> Any:
        """What `run(**values)` returns; raises `StepError`."""
        ...


def fields_of(out: Mapping[str, str]) -> list[Field]:
    """The outputs that a node declares."""
    return [Field.of(name, text) for name, text in out.items()]


def with_exchange(
    step: Step,
    error: str,
    asked: tuple[Message, ...],
    replies: Sequence[Reply],
    outputs: Mapping[str, Any] | None = None,
) -> Step:
    """The step with its talk with a model, and what came of it if it has no outputs yet. Its tool calls count one after another, at most."""
    return altered(
        step,
        outputs=step.outputs if outputs is None else outputs,
        error=error,
        messages=asked,
        reply=replies[-1].text if replies else "",
        usage=replies[0].took if len(replies) == 1 else sum((reply.took for reply in replies), Usage()),
        seconds=sum([reply.seconds for reply in replies]) + sum([call.seconds for call in step.calls]),
    )


def end_of(step: Step, inside: Sequence[Step] = ()) -> Ended:
    """How a node ended whose step that is.

    Args:
        step: the node's own.
        inside: those that it made, in order.
    """
    steps = (step, *inside)
    if step.outputs is None:
        return Ended("missing", steps, seconds=step.seconds)
    values = {key: Value(value, (step.address,)) for key, value in step.outputs.items()}
    return Ended("done", steps, values, step.seconds)
