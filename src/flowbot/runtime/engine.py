"""Runs a workflow: each node starts as soon as its inputs are there, and the trace is the same whatever ends first.

A step that fails by the model's or its own fault is part of the result: nodes that need it do not run, and the trace
says why outputs are missing. What fails by the infrastructure's or the user's fault is raised: no new call is sent, and
those that were sent end and are stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbot.fields import StepError, Type, UserError, ValueMismatch, stable_hash
from flowbot.lm.spans import workflow_span
from flowbot.task import Tool
from flowbot.task.builtin_tools import signatures_of
from flowbot.task.programs import UserProgram
from flowbot.workflow.calls import asked_models
from flowbot.workflow.nodes import Sketch
from flowbot.workflow.workflow import Workflow

from .awake import undisturbed
from .executors import Executor, open_executor
from .jsonlike import to_json
from .memo import Memo, Result
from .node_calls import NodeCalls
from .sandbox.chosen import ChosenSandbox
from .sandbox.protocol import MEMORY_MB, SECONDS, Sandbox
from .schedule import Schedule, Wiring
from .services import DEFAULT_MAX_TOKENS
from .toolbox.at_hand import tool_at_hand
from .tools import ToolRunner
from .trace import Trace
from .traced.required import require_programs
from .traced.run import ProgramRuns
from .values import TOP, Value

if TYPE_CHECKING:
    from flowbot.lm.lm import LM
    from flowbot.lm.prices import Price
    from flowbot.lm.session import Session

__all__ = ["DEFAULT_MAX_TOKENS", "Engine"]


class Engine:
    """Runs workflows with one model, one store and one set of tools; any number of runs at once, on one event loop.

    Args:
        lm: the model of every node that names no other; None for workflows that ask no model.
        session: what calls share; its store also keeps what tools and code gave.
        tools: by name; `python` and `calculator` are at hand beside them.
        sandbox: where code runs; one of its own, the first that can be had, when None.
        open_model: opens the model string of a node or judge that names one; None: such a node is a user's error.
        models: the user's list: what nodes and judges may name beside `lm` and `judge_model`; see `allowed_models`.
        allow_writes: call tools that write for real.
        executor: where tools that are plain callables, metrics and programs run; this process when None.
        live: True: the workflow is in use and not under evaluation: every tool is called for real, every time.
        judge_model: model string of a metric's judge that names none; the engine's own model when None.
        programs: a user's own, by name; their clients' calls are charged to the session.
        price: what the user says of prices, for those calls.
        max_reply: tokens to reserve for a reply of such a call whose request names no limit; the model's own maximum when None.
        stand_in: whether `lm` answers in place of the models that programs name.

    Raises:
        UserError: for a tool that writes, has no stand-in and is not allowed.
    """

    def __init__(
        self,
        lm: LM | None,
        session: Session,
        *,
        tools: Mapping[str, Tool] | None = None,
        sandbox: Sandbox | None = None,
        open_model: Callable[[str], LM] | None = None,
        models: Collection[str] = (),
        allow_writes: bool = False,
        executor: Executor | None = None,
        live: bool = False,
        judge_model: str | None = None,
        programs: Mapping[str, UserProgram] | None = None,
        price: Price | None = None,
        max_reply: int | None = None,
        stand_in: bool = True,
    ) -> None:
        self.lm = lm
        self.session = session
        self.memo = Memo(session.store)
        self.signatures = signatures_of((tools or {}).values())
        self.executor: Executor = executor or open_executor()
        self.sandbox: Sandbox = sandbox or ChosenSandbox()
        self.tools = ToolRunner(
            tools or {},
            None if live else self.memo,
            allow_writes=allow_writes or live,
            executor=self.executor,
            at_hand=partial(tool_at_hand, sandbox=self.sandbox),
        )
        self.traced = ProgramRuns(
            programs or {},
            session,
            price=price,
            max_reply=max_reply,
            allow_writes=allow_writes or live,
            stand_in=lm if stand_in else None,
            executor=self.executor,
        )
        self._own_sandbox, self._own_executor = sandbox is None, executor is None
        self.judge_model = judge_model
        self.unjudged: set[str] = set()
        """Ids of examples on which a judge gave no verdict."""
        self._open_model = open_model
        self._models = {*models, judge_model}
        self._opened: dict[str, LM] = {}
        self._wiring: Wiring | None = None

    async def run(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        *,
        example: str = "",
        purpose: str,
        replicate: int = 0,
        checked: bool = False,
    ) -> Trace:
        """Run a valid workflow once.

        Args:
            workflow: as `workflow.check` lets it pass.
            inputs: values by input name.
            example: id of the example; demonstrations made from it are not shown to the model.
            purpose: what the ledger charges the calls to.
            replicate: number of the repetition, where a temperature above 0 makes repetitions differ.
            checked: the inputs are values of their types already, as `named_inputs` gives them.

        Raises:
            UserError: if an input is missing, unknown or of another type.
            RefusedError: if the endpoint refuses a step's request on every try.
            InfrastructureError, BudgetExceeded, Paused: as `LM.ask`; what was sent still ends and is stored.
        """
        values = dict(inputs) if checked else _checked_inputs(workflow.sketch, inputs)
        calls = NodeCalls(self, workflow, example, purpose, replicate)
        with workflow_span(example=example, purpose=purpose) as span:
            start = {name: Value(value) for name, value in values.items()}
            ran = await Schedule(calls, self._wiring_of(workflow.sketch)).run(workflow.sketch, start, TOP)
            if ran.refused is not None and ran.refused.refused is not None:
                raise ran.refused.refused  # only now: which calls were made must not depend on when the refusal came
            outputs = workflow.sketch.outputs
            missing = [reference for reference in outputs.values() if reference not in ran.known]
            error = ran.cause(outputs.values())
            if missing:
                span.failed("missing_outputs", error)
        return Trace(
            example=example,
            inputs=values,
            steps=ran.steps,
            outputs=None if missing else {name: ran.known[reference].data for name, reference in outputs.items()},
            error=error,
            seconds=ran.seconds,
        )

    @property
    def programs(self) -> Mapping[str, UserProgram]:
        """The programs that workflows may run, by name."""
        return self.traced.programs

    def model(self, name: str | None) -> LM:
        """The model behind a node's model string; None: the engine's own.

        Raises:
            UserError: if the user names no such model, or there is nothing to open it with.
        """
        if self.lm is not None and name in (None, self.lm.name):
            return self.lm
        if name is None:
            raise UserError("workflow", "a step that asks a model", "a model")
        if name not in self._models:  # whoever opens a workflow has looked; nothing that came later may call elsewhere
            raise UserError(
                "workflow", f"a step with model {name!r:.200}", "a model that you name: --models (models=[…])"
            )
        if name not in self._opened:
            if self._open_model is None:
                raise UserError("workflow", f"a step with model {name!r}", "no other model than the run's")
            self._opened[name] = self._open_model(name)
        return self._opened[name]

    def open_models(self, workflow: Workflow) -> None:
        """Open what the steps of a workflow ask, so that a missing key is found before any of them is paid for; and see that
        its programs are there.

        Raises:
            UserError: as `model`, and as `require_programs`.
        """
        require_programs(workflow, self.programs)
        for _, name in asked_models(workflow):
            self.model(name)

    async def run_code(self, code: str, values: Mapping[str, Any]) -> Any:
        """What `run(**values)` returns in the sandbox; made once and stored, errors and time-outs included.

        Raises:
            StepError: what the code raised, or that it ran out of time or memory.
        """
        key = stable_hash(
            {
                "code": code,
                "inputs": json.dumps(values, ensure_ascii=False),  # in order: code may read a dict in order
                "sandbox": self.sandbox.identity,
                "limits": [SECONDS, MEMORY_MB],
            }
        )
        make = partial(undisturbed, partial(_run_code, self.sandbox, code, values))
        result = await self.memo.once(key, "code", make)
        if "error" in result:
            raise StepError(result["error"])
        return result["result"]

    def _wiring_of(self, sketch: Sketch) -> Wiring:
        """The sketch's wiring; that of the last one is kept, since an evaluation runs one many times."""
        if self._wiring is None or self._wiring.sketch is not sketch:
            self._wiring = Wiring(sketch)
        return self._wiring

    async def settle(self) -> None:
        """Wait for what is under way: calls that were sent, tools and code that were begun. No new call is sent."""
        await self.session.drain()
        await self.memo.settle()

    async def close(self) -> None:
        """Wait for what is under way, end the sandbox, the executor and the models that the engine opened. May be called twice."""
        await self.settle()
        if self._own_sandbox:
            await self.sandbox.close()
        if self._own_executor:
            await self.executor.close()
        await self.traced.close()
        opened, self._opened = self._opened, {}
        for lm in opened.values():
            await lm.close()


async def _run_code(sandbox: Sandbox, code: str, inputs: Mapping[str, Any]) -> Result:
    """What is stored of one run of code: what it returned, or its error."""
    try:
        return {"result": await sandbox.run(code, inputs, seconds=SECONDS, memory_mb=MEMORY_MB)}
    except StepError as error:
        return {"error": str(error)}


def _checked_inputs(sketch: Sketch, inputs: Mapping[str, Any]) -> dict[str, Any]:
    wanted = ", ".join(sketch.inputs)
    for name in inputs:
        if name not in sketch.inputs:
            raise UserError("inputs", repr(name), f"only {wanted}")
    for name in sketch.inputs:
        if name not in inputs:
            raise UserError("inputs", f"no {name!r}", wanted)
    try:
        given = to_json(inputs, "inputs")
        return {name: Type.parse(text).coerce(given[name], name) for name, text in sketch.inputs.items()}
    except (StepError, ValueMismatch) as error:
        raise UserError("inputs", what=str(error), mend="give values of the workflow's types") from None
