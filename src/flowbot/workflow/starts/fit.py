"""A start made to fit a task: does the task have what the start needs, and what do its steps say then?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from flowbot.fields import Field, ToolSignature, Type, UserError
from flowbot.workflow.messages import explain
from flowbot.workflow.nodes import LLMNode, Node, ToolNode, node_at, walk
from flowbot.workflow.parameters import CodeParameters, LLMParameters, Parameters
from flowbot.workflow.workflow import Workflow

from .library import Start
from .rewriting import Rewriting
from .single import REASONING, reasoning_hint

JOIN = 'def run(**given):\n    return {"text": "\\n".join([f"{name}: {value}" for name, value in given.items()])}'
"""All inputs of a task as one text, for a step that is no model."""


def fit(
    start: Start,
    task_inputs: Sequence[Field],
    task_outputs: Sequence[Field],
    goal: str,
    *,
    tools: Mapping[str, ToolSignature] | None = None,
    models: Mapping[str, str] | None = None,
) -> Workflow:
    """A start as a workflow for a task.

    Where a model's step of the start reads the question, it reads all inputs of the task, and any other step reads them as
    one text. Where the start answers, it gives all outputs of the task, each with a merge or a carried value of its own; but an
    output that the start has by name and type, beside its answer, is what it is there.

    Args:
        start: the start.
        task_inputs: the task's inputs.
        task_outputs: the task's outputs.
        goal: the task's goal; it stands in the instructions where the start's own goal stood.
        tools: signatures of the task's tools by name; None: not known, and those of the start are taken to be there.
        models: other models for the steps that name one: step of the start to model string.

    Raises:
        UserError: if the task lacks what the start needs, `models` has a step that names none, or the goal is too long.
    """
    _require(start, task_inputs, task_outputs)
    if tools is not None:
        _require_tools(start, tools)
    models = models or {}
    for path in models:
        if path not in start.models:
            expected = (
                f"a step that names one: {', '.join(start.models)}" if start.models else "none: its steps name no model"
            )
            raise UserError(_where(start), f"a model for the step {path!r}", expected)
    rewriting = Rewriting(start, task_inputs, task_outputs)
    parameters: dict[str, Parameters] = {rewriting.joined: CodeParameters(code=JOIN)} if rewriting.joined else {}
    told_of = [field for field in task_outputs if field.about and field.name in rewriting.answered]
    abouts = [f"{field.name}: {field.about}" for field in told_of]
    for path, told in start.workflow.parameters.items():
        if isinstance(told, LLMParameters):
            before = node_at(start.workflow.sketch, path)
            after = rewriting.node(before)
            changes: dict[str, object] = {"instruction": told.instruction.replace(start.goal, goal.strip())}
            changes["format_hint"] = _hint(told.format_hint, before, after, abouts if rewriting.answers(before) else [])
            changes["model"] = models.get(path, told.model)
            if told.tools and tools is not None:
                changes["tools"] = _callable(tools)
            told = _changed(start, told, changes)
        parameters[rewriting.path(path)] = told
    return Workflow(sketch=rewriting.sketch(), parameters=parameters)


def _hint(hint: str, before: Node, after: Node, abouts: Sequence[str]) -> str:
    """The format hint, with the names that the outputs now have, and what the task says of them."""
    assert isinstance(before, LLMNode)
    assert isinstance(after, LLMNode)
    if hint == reasoning_hint(name for name in before.out if name != REASONING):
        hint = reasoning_hint(list(after.out)[1:])
    return "\n".join([*([hint] if hint else []), *abouts])


def _changed(start: Start, parameters: LLMParameters, changes: Mapping[str, object]) -> LLMParameters:
    try:
        return LLMParameters.model_validate({**dict(parameters), **changes})
    except ValidationError as error:
        place, found, expected = explain(error)
        raise UserError(f"{_where(start)}: {place} with the task's own words", found, expected) from None


def _require(start: Start, inputs: Sequence[Field], outputs: Sequence[Field]) -> None:
    given = {field.name: field.type for field in inputs}
    for name, kind in start.inputs.items():
        if name not in given or not Type.parse(kind).accepts(given[name]):
            found = f"{name}: {given[name]}" if name in given else f"no {name}"
            raise UserError(f"{_where(start)}: the task's inputs", found, _noted(start, f"{name}: {kind}"))
    if start.wants is not None and not (len(outputs) == 1 and outputs[0].type.accepts(Type.parse(start.wants))):
        found = ", ".join(f"{field.name}: {field.type}" for field in outputs)
        raise UserError(f"{_where(start)}: the task's outputs", found, f"one of type {start.wants}")


def _require_tools(start: Start, tools: Mapping[str, ToolSignature]) -> None:
    where = f"{_where(start)}: the task's tools"
    listed = ", ".join(tools) or "none"
    for _, node in walk(start.workflow.sketch):
        if not isinstance(node, ToolNode):
            continue
        if node.tool not in tools:
            raise UserError(where, listed, _noted(start, f"one named {node.tool}"))
        gives = {field.name: field.type for field in tools[node.tool].outputs}
        for name, kind in node.out.items():
            if name not in gives or not Type.parse(kind).accepts(gives[name]):
                found = ", ".join(f"{each}: {given}" for each, given in gives.items())
                raise UserError(
                    where, f"{node.tool}, which gives {found}", _noted(start, f"one that gives {name}: {kind}")
                )
    if start.chooses_tools and not _callable(tools):
        raise UserError(where, listed, "one that reads, or has a stand-in, for the model to call")


def _callable(tools: Mapping[str, ToolSignature]) -> tuple[str, ...]:
    """The tools that a model may call while searching."""
    return tuple(name for name, tool in tools.items() if tool.effects == "reads" or tool.simulated)


def _where(start: Start) -> str:
    return f"start {start.name}"


def _noted(start: Start, expected: str) -> str:
    return f"{expected}. {start.note}".removesuffix(". ").removesuffix(".")
