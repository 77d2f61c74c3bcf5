"""Runs a workflow: each node starts as soon as its inputs are there, and the trace is the same whatever ends first.

A step that fails by the model's or its own fault is part of the result: nodes that need it do not run, and the trace
says why outputs are missing. What fails by the infrastructure's or the user's fault is raised: no new call is sent, and
those that were sent end and are stored.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbot.fields import (
    Field,
    ModelError,
    RefusedError,
    StepError,
    Type,
    Usage,
    UserError,
    ValueMismatch,
    stable_hash,
)
from flowbot.workflow.graph import predecessors, topological
from flowbot.workflow.nodes import CodeNode, LLMNode, MergeNode, Node, Sketch, ToolNode
from flowbot.workflow.parameters import CodeParameters, LLMParameters

from .adapter import messages
from .jsonlike import to_json, to_outputs
from .memo import Memo, Result
from .merge import merge
from .sandbox import MEMORY_MB, SECONDS, MontySandbox, Sandbox
from .together import together
from .tools import ToolRunner
from .trace import Step, Trace

if TYPE_CHECKING:
    from flowbot.lm import LM, Reply, Session
    from flowbot.task import Tool
    from flowbot.workflow import Workflow

DEFAULT_MAX_TOKENS = 512
"""Tokens of a reply where a node's parameters name no number."""


class Engine:
    """Runs workflows with one model, one store and one set of tools; any number of runs at once, on one event loop.

    Args:
        lm: the model of every node that names no other; None for workflows that ask no model.
        session: what calls share; its store also keeps what tools and code gave.
        tools: by name.
        sandbox: where code runs; pydantic-monty when None.
        open_model: opens the model string of a node that names one; None: such a node is a user's error.
        allow_writes: call tools that write for real.
        live: True: the workflow is in use and not under evaluation: every tool is called for real, every time.

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
        allow_writes: bool = False,
        live: bool = False,
    ) -> None:
        self.lm = lm
        self.session = session
        self.memo = Memo(session.store)
        self.tools = ToolRunner(tools or {}, None if live else self.memo, allow_writes=allow_writes or live)
        self.sandbox: Sandbox = sandbox or MontySandbox()
        self._open_model = open_model
        self._opened: dict[str, LM] = {}

    async def run(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        *,
        example: str = "",
        purpose: str,
        replicate: int = 0,
    ) -> Trace:
        """Run a valid workflow once.

        Args:
            workflow: as `workflow.check` lets it pass.
            inputs: values by input name.
            example: id of the example; demonstrations made from it are not shown to the model.
            purpose: what the ledger charges the calls to.
            replicate: number of the repetition, where a temperature above 0 makes repetitions differ.

        Raises:
            UserError: if an input is missing, unknown or of another type.
            RefusedError: if the endpoint refuses a step's request on every try.
            InfrastructureError, BudgetExceeded, Paused: as `LM.ask`; what was sent still ends and is stored.
        """
        values = _checked_inputs(workflow.sketch, inputs)
        return await _Run(self, workflow, values, example, purpose, replicate).trace()

    def model(self, name: str | None) -> LM:
        """The model behind a node's model string; None: the engine's own.

        Raises:
            UserError: if there is nothing to open it with.
        """
        if self.lm is not None and name in (None, self.lm.name):
            return self.lm
        if name is None:
            raise UserError("workflow", "a step that asks a model", "a model")
        if name not in self._opened:
            if self._open_model is None:
                raise UserError("workflow", f"a step with model {name!r}", "no other model than the run's")
            self._opened[name] = self._open_model(name)
        return self._opened[name]

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
        result = await self.memo.once(key, "code", partial(_run_code, self.sandbox, code, values))
        if "error" in result:
            raise StepError(result["error"])
        return result["result"]

    async def settle(self) -> None:
        """Wait for what is under way: calls that were sent, tools and code that were begun. No new call is sent."""
        await self.session.drain()
        await self.memo.settle()

    async def close(self) -> None:
        """Wait for what is under way, end the sandbox and the models that the engine opened. May be called twice."""
        await self.settle()
        await self.sandbox.close()
        opened, self._opened = self._opened, {}
        for lm in opened.values():
            await lm.close()


_Ended = Step | RefusedError | None
"""How a node ends: its step, the refusal of its request, or None if it did not run because what it reads is missing."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: what all its steps need to know."""

    engine: Engine
    workflow: Workflow
    inputs: Mapping[str, Any]
    example: str
    purpose: str
    replicate: int

    async def trace(self) -> Trace:
        sketch = self.workflow.sketch
        tasks: dict[str, asyncio.Task[_Ended]] = {}
        for name in topological(sketch):
            before = {each: tasks[each] for each in predecessors(sketch, name)}
            tasks[name] = asyncio.create_task(self._node(name, sketch.nodes[name], before))
        ended = dict(zip(tasks, await together(list(tasks.values())), strict=True))
        # Only now: which calls were made must not depend on when the refusal came.
        for each in ended.values():
            if isinstance(each, RefusedError):
                raise each
        return self._traced({name: each for name, each in ended.items() if isinstance(each, Step)})

    def _traced(self, steps: Mapping[str, Step]) -> Trace:
        sketch = self.workflow.sketch
        values = dict(self.inputs)
        for name, step in steps.items():
            values.update(_given(name, step))
        missing = [reference for reference in sketch.outputs.values() if reference not in values]
        error = ""
        if missing:
            failed = next((step for step in steps.values() if step.error), None)
            error = f"{failed.address}: {failed.error}" if failed else f"{missing[0]} is missing"
        until: dict[str, float] = {}
        for name, step in steps.items():
            begin = max((until[each] for each in predecessors(sketch, name) if each in until), default=0.0)
            until[name] = begin + step.seconds
        return Trace(
            example=self.example,
            inputs=self.inputs,
            steps=tuple(steps.values()),
            outputs=None if missing else {name: values[reference] for name, reference in sketch.outputs.items()},
            error=error,
            seconds=max(until.values(), default=0.0),
        )

    async def _node(self, name: str, node: Node, before: Mapping[str, asyncio.Task[_Ended]]) -> _Ended:
        known = dict(self.inputs)
        for each, task in before.items():
            if isinstance(step := await task, Step):
                known.update(_given(each, step))
        if isinstance(node, MergeNode):
            arrived = [reference for reference in node.inputs if reference in known]
            # What is joined are alternatives, except where the parts make up the whole.
            if not arrived or (node.how == "concat" and len(arrived) < len(node.inputs)):
                return None
            return _merged(name, node, [(reference, known[reference]) for reference in arrived])
        if any(reference not in known for reference in node.references()):
            return None
        values = {key: known[reference] for key, reference in node.inputs.items()}
        try:
            return await self._called(name, node, values)
        except StepError as error:
            return Step(name, node.kind, values, None, str(error))
        except RefusedError as error:
            return error

    async def _called(self, name: str, node: LLMNode | ToolNode | CodeNode, values: Mapping[str, Any]) -> Step:
        match node:
            case LLMNode():
                return await self._llm(name, node, values)
            case ToolNode():
                given, seconds = await self.engine.tools.call(node.tool, values)
                outputs = to_outputs({key: given[key] for key in node.out if key in given}, _out_fields(node))
                return Step(name, node.kind, values, outputs, seconds=seconds)
            case CodeNode():
                return Step(name, node.kind, values, await self._code(name, node, values))

    async def _llm(self, name: str, node: LLMNode, values: Mapping[str, Any]) -> Step:
        parameters = self.workflow.parameter(name)
        assert isinstance(parameters, LLMParameters)  # the checker lets nothing else pass
        fields = _out_fields(node)
        asked = messages(node, parameters, values, fields, leave_out=self.example)
        draw = (self.replicate, self._rank(name, parameters), 0, 0, 0) if parameters.temperature > 0 else ()
        replies: tuple[Reply, ...] = ()
        try:
            answer = await self.engine.model(parameters.model).ask_fields(
                asked,
                fields,
                purpose=self.purpose,
                draw=draw,
                max_tokens=parameters.max_tokens or DEFAULT_MAX_TOKENS,
                temperature=parameters.temperature,
            )
            replies = answer.replies
            outputs, error = to_json(answer.values, "reply"), ""
        except (ModelError, StepError) as fault:
            replies = getattr(fault, "replies", replies)
            outputs, error = None, str(fault)
        text = replies[-1].text if replies else ""
        usage = sum((reply.usage for reply in replies), Usage())
        seconds = sum(reply.seconds for reply in replies)
        return Step(name, node.kind, values, outputs, error, asked, text, usage, seconds)

    def _rank(self, name: str, parameters: LLMParameters) -> int:
        """How many earlier nodes have equal parameters: with them equal draws would give equal samples."""
        nodes = self.workflow.sketch.nodes
        earlier = list(nodes)[: list(nodes).index(name)]
        return sum(nodes[each].kind == "llm" and self.workflow.parameter(each) == parameters for each in earlier)

    async def _code(self, name: str, node: CodeNode, values: Mapping[str, Any]) -> dict[str, Any]:
        parameters = self.workflow.parameter(name)
        assert isinstance(parameters, CodeParameters)  # the checker lets nothing else pass
        return to_outputs(await self.engine.run_code(parameters.code, values), _out_fields(node))


def _merged(name: str, node: MergeNode, arrived: list[tuple[str, Any]]) -> Step:
    joined = merge(node.how, [value for _, value in arrived])
    try:
        outputs = to_outputs({next(iter(node.out)): joined}, _out_fields(node))
    except StepError as error:
        return Step(name, node.kind, dict(arrived), None, str(error))
    return Step(name, node.kind, dict(arrived), outputs)


def _given(name: str, step: Step) -> dict[str, Any]:
    """A step's outputs by reference."""
    return {f"{name}.{key}": value for key, value in (step.outputs or {}).items()}


async def _run_code(sandbox: Sandbox, code: str, inputs: Mapping[str, Any]) -> Result:
    """What is stored of one run of code: what it returned, or its error."""
    try:
        return {"result": await sandbox.run(code, inputs, seconds=SECONDS, memory_mb=MEMORY_MB)}
    except StepError as error:
        return {"error": str(error)}


def _out_fields(node: Node) -> list[Field]:
    return [Field.of(name, text) for name, text in node.out.items()]


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
        raise UserError("inputs", str(error), "values of the workflow's types") from None
