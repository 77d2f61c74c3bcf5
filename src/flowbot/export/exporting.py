"""From a workflow to what is written of it. Nothing is called: the messages are those that a run would send, with marks for inputs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from keyword import iskeyword
from pathlib import Path
from typing import Any, cast

from flowbot.fields import Field, ToolSignature, Type, UserError, fields_schema, is_name
from flowbot.lm.answers import reply_schema
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import Request
from flowbot.lm.model_options import model_options
from flowbot.lm.openai import wire_body
from flowbot.lm.providers import OWN, endpoint_of, is_added, providers, split_model
from flowbot.runtime.adapter import choice_messages, is_plain, messages
from flowbot.runtime.node_calls import CHOICE_TOKENS, letters
from flowbot.runtime.services import DEFAULT_MAX_TOKENS, fields_of
from flowbot.task import Tool
from flowbot.task.modules import PREFIX
from flowbot.task.source_code import underlying
from flowbot.workflow.graph import paths
from flowbot.workflow.nodes import BodyNode, BranchNode, LLMNode, MergeNode, Node, Sketch, ToolNode, node_at
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters
from flowbot.workflow.prompt import last_request
from flowbot.workflow.workflow import Workflow

from .exported import CANDIDATES, LABELS, Asked, Exported, ExportedStep, ExportedTool, Place, WireMessage, WireModel

_NO_TASK = "nobody says what it takes and where it is: name the task that has it with --check"
_OURS = "it is part of FlowBot (a server, an index, a database or the sandbox), which a file of its own has not"


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a model is spoken to: what its endpoint takes, and the room in tokens that its thoughts get in a reply."""

    can: Capabilities
    room: int = 0


Speaks = Callable[[str], Spoken]
"""From a model string to how that model is spoken to."""


def speaks(model: str) -> Spoken:
    """How a model is spoken to as far as its string tells.

    Raises:
        UserError: for an unknown provider or option.
    """
    provider, rest = split_model(model)
    if provider in OWN or is_added(provider):
        return Spoken(Capabilities())
    name, options = model_options(provider, rest)
    return Spoken(_row(provider, name), options.thinking or 0)


def exported(
    workflow: Workflow,
    *,
    model: str | None,
    name: str = "flow",
    goal: str = "",
    origin: str = "",
    tools: Iterable[Tool] | None = None,
    trust_code: bool = False,
    spoken: Speaks = speaks,
) -> Exported:
    """A workflow with all that a target needs.

    Args:
        workflow: valid.
        model: model string of the steps that name none.
        name: what it is called; made an identifier.
        goal: what it is for.
        origin: where it comes from, in a line.
        tools: those that it may call; None where no task says.
        trust_code: whether the code of its steps may run without a sandbox.
        spoken: how its models are spoken to.

    Raises:
        UserError: if a step asks a model and none is given, or one is unknown.
    """
    known = None if tools is None else {tool.signature.name: tool for tool in tools}
    wires: dict[str | None, tuple[WireModel, Spoken]] = {}

    def wire(path: str, asked: str | None) -> tuple[WireModel, Spoken]:
        string = asked or model
        if string is None:
            raise UserError(f"step {path}", "no model", "--model PROVIDER/NAME")
        if string not in wires:
            wires[string] = _wire(string), spoken(string)
        return wires[string]

    reader = _Reader(workflow, wire)
    return Exported(
        workflow=workflow,
        name=_identifier(name),
        goal=goal,
        origin=origin,
        steps=tuple(reader.step(path) for path in paths(workflow.sketch)),
        tools={each: _tool(each, known) for each in _called(workflow)},
        trust_code=trust_code,
    )


class _Reader:
    """Reads the steps of one workflow."""

    def __init__(self, workflow: Workflow, wire: Callable[[str, str | None], tuple[WireModel, Spoken]]) -> None:
        self._workflow, self._wire = workflow, wire
        text = repr(workflow.dump())
        self._mark = "\ue000"
        while self._mark in text:
            self._mark += "\ue000"

    def step(self, path: str) -> ExportedStep:
        node = node_at(self._workflow.sketch, path)
        given: Any = node.given if isinstance(node, MergeNode) else getattr(node, "inputs", {})
        return ExportedStep(path, node, cast("Mapping[str, str]", given), self._asked(path, node))

    def _asked(self, path: str, node: Node) -> Asked | None:
        parameters = self._workflow.parameter(path)
        if isinstance(node, LLMNode) and isinstance(parameters, LLMParameters):
            return self._llm(path, node, parameters)
        if isinstance(node, BranchNode | MergeNode) and node.asks and isinstance(parameters, ChoiceParameters):
            return self._choice(path, node, parameters)
        return None

    def _llm(self, path: str, node: LLMNode, parameters: LLMParameters) -> Asked:
        fields = fields_of(node.out)
        asked = messages(node, parameters, {name: self._marked(name) for name in node.inputs}, fields)
        own = bool(parameters.messages)
        most = parameters.max_tokens or DEFAULT_MAX_TOKENS
        schema = reply_schema(fields, own_words=own)
        made = self._body(
            path, parameters.model, Request(asked, most, parameters.temperature, schema, own_words=own), fields
        )
        first = last_request(parameters.messages) if own else asked[0].role == "system"
        shown = (int(first), int(first) + 2 * len(parameters.demonstrations))
        samples = parameters.samples if parameters.temperature else 1
        rounds = node.rounds if parameters.tools else 0
        return replace(made, shown=shown, own_words=own, samples=samples, tools=parameters.tools, rounds=rounds)

    def _choice(self, path: str, node: BranchNode | MergeNode, parameters: ChoiceParameters) -> Asked:
        given = node.given if isinstance(node, MergeNode) else node.inputs
        values = {name: self._marked(name) for name in given}
        if isinstance(node, BranchNode):
            choice = Field("choice", Type("literal", options=tuple(node.ways)))
            asked = choice_messages(parameters.instruction, values, {}, choice)
        else:
            labels, candidates = self._marked(LABELS), self._marked(CANDIDATES)
            several = Field("choice", Type("literal", options=(labels,)))
            system, user = choice_messages(parameters.instruction, values, {"": ""}, several)
            system = replace(system, content=system.content.replace(f'"{labels}"', labels))
            asked = (system, replace(user, content=user.content.removesuffix(": ") + candidates))
            choice = Field("choice", Type("literal", options=tuple(letters(self._joined(path, node)))))
        request = Request(asked, CHOICE_TOKENS, 0.0, fields_schema([choice]))
        return self._body(path, parameters.model, request, [choice])

    def _joined(self, path: str, node: MergeNode) -> int:
        """How many candidates a merge has where each of them arrives."""
        body = path.rpartition("/")[0]
        asked = (
            self._workflow.parameter(f"{body}/{each.partition('.')[0]}".lstrip("/")) for each in self._read(body, node)
        )
        return len(node.inputs) + sum(
            each.samples - 1 for each in asked if isinstance(each, LLMParameters) and each.temperature
        )

    def _read(self, body: str, node: MergeNode) -> list[str]:
        """The references of a merge to steps of its own body, of which it reads all samples."""
        holder = node_at(self._workflow.sketch, body) if body else self._workflow.sketch
        assert isinstance(holder, BodyNode | Sketch)
        return [each for each in node.inputs if each.partition(".")[0] in holder.nodes]

    def _body(self, path: str, model: str | None, request: Request, fields: Sequence[Field]) -> Asked:
        wire, spoken = self._wire(path, model)
        request = replace(request, max_tokens=request.max_tokens + spoken.room)
        body = wire_body(wire.wire, request, spoken.can) | sent_besides(wire.name)
        told = cast("list[dict[str, Any]]", body.pop("messages"))
        del body["model"]
        form = body.pop("response_format", None)
        return Asked(
            model=wire,
            messages=tuple(WireMessage(each["role"], tuple(self._parts(each["content"]))) for each in told),
            shown=(0, 0),
            fields=tuple(fields),
            settings=body,
            response_format=form,
            plain=is_plain(fields) or (request.own_words and len(fields) == 1),
            seeds=spoken.can.seed,
            native_tools=spoken.can.tools == "native",
        )

    def _marked(self, name: str) -> str:
        return f"{self._mark}{name};"

    def _parts(self, text: str) -> Iterator[str | Place]:
        for number, part in enumerate(re.split(f"{self._mark}([^;]*);", text)):
            if number % 2:
                yield Place(part)
            elif part:
                yield part


def _wire(model: str) -> WireModel:
    provider, rest = split_model(model)
    if provider in OWN or is_added(provider):
        return WireModel(model, provider, rest.partition("?")[0], "", "", "OPENAI_BASE_URL")
    name, _ = model_options(provider, rest)
    row = providers()[provider]
    return WireModel(model, provider, name, row.base_url, next(iter(row.keys), ""), row.base_variable)


def _row(provider: str, name: str) -> Capabilities:
    try:
        return endpoint_of(provider, name).row.capabilities
    except UserError:  # its address is not known here
        return providers()[provider].capabilities


def sent_besides(model: str) -> dict[str, Any]:
    """What the options of a model string add to every request."""
    provider, rest = split_model(model)
    return {} if provider in OWN or is_added(provider) else dict(model_options(provider, rest)[1].sent)


def _called(workflow: Workflow) -> tuple[str, ...]:
    """The tools that a workflow calls, each once."""
    found: dict[str, None] = {}
    for path in paths(workflow.sketch):
        node, parameters = node_at(workflow.sketch, path), workflow.parameter(path)
        if isinstance(node, ToolNode):
            found[node.tool] = None
        elif isinstance(parameters, LLMParameters):
            found |= dict.fromkeys(parameters.tools)
    return tuple(found)


def _tool(name: str, known: Mapping[str, Tool] | None) -> ExportedTool:
    nothing = ToolSignature(name, "", (), ())
    if known is None or name not in known:
        return ExportedTool(nothing, lacking=_NO_TASK if known is None else _OURS)
    tool = known[name]
    function = underlying(tool.call)
    told: Any = getattr(function, "__module__", None)
    called = str(getattr(function, "__qualname__", ""))
    module = sys.modules.get(told) if isinstance(told, str) else None
    if module is None or not is_name(called):
        return ExportedTool(tool.signature, tool.plain, lacking="it is no function that a module holds under its name")
    if told.partition(".")[0] == "flowbot":
        return ExportedTool(tool.signature, tool.plain, lacking=_OURS)
    if told.startswith(PREFIX) and module.__spec__ is not None and module.__spec__.origin:
        told = Path(module.__spec__.origin).stem
        if not told.isidentifier() or iskeyword(told) or told in sys.stdlib_module_names:
            return ExportedTool(
                tool.signature, tool.plain, lacking=f"{told}.py is no file that can be imported by its name"
            )
    return ExportedTool(tool.signature, tool.plain, told, called)


def _identifier(name: str) -> str:
    made = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    return made if is_name(made) else f"flow_{made}".rstrip("_")[:64]
