"""A workflow in use: `flow(question=...)` from plain code and notebooks, `await flow.acall(...)` from async code."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, cast

from flowbot.fields import ModelError, UserError
from flowbot.fields.arguments import MODEL, SAY, Check, Checks, checked_arguments, one_kind
from flowbot.fields.near import one_of
from flowbot.lm.callable_model import ModelLike, model_string
from flowbot.task import Tool, ToolSource, tool_of
from flowbot.task.builtin_tools import signatures_of
from flowbot.task.programs import UserProgram, programs_of
from flowbot.workflow.calls import asked_models
from flowbot.workflow.check import require_valid
from flowbot.workflow.nodes import CodeNode, walk
from flowbot.workflow.workflow import Workflow

from .sandbox.chosen import ChosenSandbox
from .settings import CHECKS, CallSettings, WorkbenchSettings, require_settings, with_settings

if TYPE_CHECKING:
    from .engine import Engine
    from .trace import Trace
    from .workbench import Workbench


class FlowSettings(CallSettings, total=False):
    """What a flow is made with.

    Args:
        lm: model string of the steps that name no model, or a function of your own from messages to a text; may be None when there is none.
        models: model strings that steps may name beside `lm`: what a file says is not enough to call a model.
        programs: pipelines of your own that the workflow runs: callables, sync or async.
        tools: what the workflow names: plain callables, `Tool`s, and declared sources, which are opened at once and
            closed with the flow.
        say: called with one-line news, as of a model that is fetched or an index that is built.
        workbench: what it shares with other flows and runs, which then says `pace`, `sandbox` and `cache_dir`; its calls run on
            that one's event loop and count in its budget.
    """

    lm: ModelLike | None
    models: Sequence[str] | None
    tools: Sequence[Callable[..., Any] | Tool | ToolSource] | None
    programs: Sequence[Callable[..., Any] | UserProgram] | None
    say: Callable[[str], None] | None
    workbench: Workbench | None


FLOW_CHECKS: Checks = {
    **CHECKS,
    "lm": MODEL,
    "tools": (
        lambda value: isinstance(value, Iterable) and not isinstance(value, str),
        "a list of tools, such as [lookup]",
    ),
    "programs": (
        lambda value: isinstance(value, Iterable) and not isinstance(value, str),
        "a list of programs, such as [answer]",
    ),
    "say": SAY,
}


FLOW_DEFAULTS: Mapping[str, object] = {"tools": (), "programs": ()}
"""What a setting is where nothing is given, other than None."""


@with_settings(CallSettings, FlowSettings, defaults=FLOW_DEFAULTS)
class Flow:
    """A workflow with a model and tools, ready to be called.

        >>> flow = fb.load("found.flow.yaml", lm="openai/gpt-4.1-mini")
        >>> flow(note="Two pens, please")
        {'total': 2}
        >>> flow.trace(note="Two pens, please")        # every step: what it was sent, what it gave
        Trace(2 steps: total=2)

    Calls run on a private event loop in a thread of its own, so that they may come from plain code, from inside another
    loop, and from several threads at once; beside `workbench=` on its loop, which costs async code that runs there least. A process that is forked after a call (gunicorn, Celery, `multiprocessing`) opens
    loop, connections and servers of its own at its first one. Tools are called for real. Nothing is kept on disk.

    Args:
        workflow: the workflow.

    Attributes:
        workflow: as given.
        lm: its model string.
        models: `lm` and `models` as given.

    Raises:
        UserError: if the workflow is not valid, a step names a model that is not given, or a model, a tool or the sandbox is
            missing; says which.
    """

    @checked_arguments(workflow=(one_kind(Workflow), "a Workflow; fb.load takes the path of its file"))
    def __init__(self, workflow: Workflow, **settings: Unpack[FlowSettings]) -> None:
        from .allowed_models import allowed_models, require_allowed_models
        from .live import Live
        from .traced.required import require_programs
        from .workbench import Workbench, refuse_beside

        bench: Check = (one_kind(Workbench), "an fb.Workbench()")
        require_settings("Flow", settings, FlowSettings, {**FLOW_CHECKS, "workbench": bench})
        workbench = settings.get("workbench")
        if workbench is not None:
            refuse_beside(settings)
        self.workflow = workflow
        self.lm = model_string(settings.get("lm"), "lm", stored=False)
        self.models = allowed_models(self.lm, models=settings.get("models"))
        require_allowed_models(self.models, workflow=workflow)
        given = [each if isinstance(each, ToolSource) else tool_of(each) for each in settings.get("tools") or ()]
        _require_parts(workflow, self.lm, settings.get("sandbox"))
        programs = programs_of(settings.get("programs") or ())
        require_programs(workflow, {each.name: each for each in programs})
        self._live = Live(partial(_opened_engine, workflow, given, programs, self.lm, self.models, settings), workbench)
        # Also at the end of the program, where nobody called `close`.
        self._finalizer = weakref.finalize(self, self._live.close)
        plain = {each.signature.name: each for each in given if not isinstance(each, ToolSource)}
        try:  # where there is a source, or a name stands twice, opening tells
            signatures = self._live.signatures() if len(plain) < len(given) else signatures_of(plain.values())
            require_valid(workflow, tools=signatures, allow_writes=True)
        except BaseException:
            self._live.close()
            raise

    def __call__(self, /, **inputs: Any) -> dict[str, Any]:
        """The workflow's outputs by name.

        Raises:
            UserError: if an input is missing, unknown or of another type.
            ModelError: if a step failed so that an output is missing.
            InfrastructureError: if the endpoint fails.
        """
        return _outputs(self.trace(**inputs))

    async def acall(self, /, **inputs: Any) -> dict[str, Any]:
        """As calling it, from async code."""
        return _outputs(await self.atrace(**inputs))

    def trace(self, /, **inputs: Any) -> Trace:
        """What every step received and gave; a failed step is told there and not raised."""
        _require_inputs(self.workflow, inputs)
        return self._live.waited(self.workflow, inputs)

    async def atrace(self, /, **inputs: Any) -> Trace:
        """As `trace`, from async code."""
        _require_inputs(self.workflow, inputs)
        return await self._live.awaited(self.workflow, inputs)

    def __repr__(self) -> str:
        return f"Flow({self.workflow.summary}; lm {self.lm or 'none'})"

    def close(self) -> None:
        """End connections, workers and the thread. May be called twice; a later call opens them again."""
        self._live.close()

    def __enter__(self) -> Flow:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@asynccontextmanager
async def _opened_engine(
    workflow: Workflow,
    tools: Sequence[Tool | ToolSource],
    programs: Sequence[UserProgram],
    lm: str | None,
    models: Collection[str],
    settings: FlowSettings,
) -> AsyncGenerator[Engine]:
    """An engine for a workflow in use, its tools opened, that keeps nothing on disk."""
    from .toolbox import opened_tools
    from .workbench import on_workbench

    say = settings.get("say")
    async with AsyncExitStack() as stack:
        calls = cast("WorkbenchSettings", {name: settings.get(name) for name in inspect.get_annotations(CallSettings)})
        bench = await stack.enter_async_context(on_workbench(settings.get("workbench"), calls, stored=False))
        by_name = await stack.enter_async_context(
            opened_tools(tools, sandbox=bench.sandbox, cache_dir=bench.cache_dir, say=say, pinned=False)
        )
        session = bench.session(stored=False)
        engine = await stack.enter_async_context(
            bench.engine(lm, session, tools=by_name, models=models, say=say, live=True, programs=programs)
        )
        engine.open_models(workflow)
        yield engine


def _require_inputs(workflow: Workflow, given: Mapping[str, Any]) -> None:
    """Say at once, and with the nearest name, what is unknown or missing."""
    wanted = workflow.sketch.inputs
    for name in given:
        if name not in wanted:
            raise UserError("flow()", f"the input {name!r}", one_of(name, wanted))
    for name in wanted:
        if name not in given:
            call = ", ".join(f"{each}={kind}" for each, kind in wanted.items())
            raise UserError("flow()", f"no {name!r}", f"flow({call})")


def _require_parts(workflow: Workflow, lm: str | None, sandbox: str | None) -> None:
    """Say now what the first call would miss."""
    for path, model in asked_models(workflow):
        if model is None and lm is None:
            raise UserError(f"step {path}", "no model", 'lm="PROVIDER/NAME"')
    if any(isinstance(node, CodeNode) for _, node in walk(workflow.sketch)):
        _ = ChosenSandbox(sandbox).identity


def _outputs(trace: Trace) -> dict[str, Any]:
    if trace.outputs is None:
        raise ModelError(trace.error)
    return dict(trace.outputs)
