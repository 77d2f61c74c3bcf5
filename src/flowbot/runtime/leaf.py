"""The calls of single nodes: a model, a tool, code, a merge, a branch. Each ends as `Ended`; faults of the model or of the
step are part of it, those of the infrastructure or the user are raised."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowbot.fields import Field, ModelError, RefusedError, StepError, Type, Usage
from flowbot.workflow.conditions import holds
from flowbot.workflow.nodes import BranchNode, CodeNode, LLMNode, MergeNode, Node, ToolNode, walk
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, LLMParameters

from .adapter import choice_messages, messages
from .jsonlike import to_json, to_outputs
from .merge import merge
from .react import react
from .services import Services
from .together import together
from .trace import Step, ToolCall
from .values import MISSING, Ended, Known, Value, made_by

if TYPE_CHECKING:
    from flowbot.lm.client import Message, Reply
    from flowbot.workflow.workflow import Workflow

DEFAULT_MAX_TOKENS = 512
"""Tokens of a reply where a node's parameters name no number."""
CHOICE_TOKENS = 64
"""Tokens of a reply that picks one of several labels."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run a node is called: what goes around its name in addresses, and its numbers in the draw.

    Args:
        prefix: of addresses, as `each/refine[7]/`.
        suffix: of addresses, as `[2]`.
        path: of the body, as `each/refine/`.
        steps: numbers of the loops around it, the outermost first.
        items: numbers of the maps around it.
    """

    prefix: str = ""
    suffix: str = ""
    path: str = ""
    steps: tuple[int, ...] = ()
    items: tuple[int, ...] = ()

    def address(self, name: str) -> str:
        """The address of a node called here."""
        return f"{self.prefix}{name}{self.suffix}"

    def inside(self, name: str, *, step: int | None = None, item: int | None = None) -> Place:
        """The place of the body of `name`, in its step or item of that number."""
        return Place(
            f"{self.address(name)}/",
            f"[{step if step is not None else item}]",
            f"{self.path}{name}/",
            self.steps if step is None else (*self.steps, step),
            self.items if item is None else (*self.items, item),
        )


@dataclass(frozen=True, slots=True)
class Calls:
    """What all calls of one run need to know."""

    engine: Services
    workflow: Workflow
    example: str
    purpose: str
    replicate: int

    async def call(self, name: str, node: Node, known: Known, place: Place, led_by: tuple[str, ...]) -> Ended:
        """Call a node whose inputs are there.

        Args:
            name: the node's, within its body.
            node: a node without a body.
            known: at least what the node reads.
            place: where it is called.
            led_by: address of the branch that let it run.
        """
        address = place.address(name)
        try:
            match node:
                case MergeNode():
                    return await self._merge(address, place.path + name, node, known, led_by)
                case BranchNode():
                    return await self._branch(address, place.path + name, node, known, led_by)
                case LLMNode():
                    return await self._llm(name, node, known, place, led_by)
                case ToolNode() | CodeNode():
                    return await self._computed(address, place.path + name, node, known, led_by)
                case _:
                    raise AssertionError(f"{address} has a body")
        except RefusedError as error:
            return Ended("missing", refused=error)

    async def _computed(
        self, address: str, path: str, node: ToolNode | CodeNode, known: Known, led_by: tuple[str, ...]
    ) -> Ended:
        """A tool's or code's call."""
        values = _data(node.inputs, known)
        step = Step(
            address, node.kind, values, None, reads=led_by + made_by(known[each] for each in node.inputs.values())
        )
        try:
            if isinstance(node, ToolNode):
                given, seconds = await self.engine.tools.call(node.tool, values)
                found: Any = {key: given[key] for key in node.out if key in given}
            else:
                parameters = self.workflow.parameter(path)
                assert isinstance(parameters, CodeParameters)  # the checker lets nothing else pass
                found, seconds = await self.engine.run_code(parameters.code, values), 0.0
            return _ended(replace(step, outputs=to_outputs(found, out_fields(node)), seconds=seconds))
        except StepError as error:
            return _ended(replace(step, error=str(error)))

    async def _llm(self, name: str, node: LLMNode, known: Known, place: Place, led_by: tuple[str, ...]) -> Ended:
        path = place.path + name
        parameters = self.workflow.parameter(path)
        assert isinstance(parameters, LLMParameters)  # the checker lets nothing else pass
        values = _data(node.inputs, known)
        reads = led_by + made_by(known[each] for each in node.inputs.values())
        rank = self._rank(path, parameters) if parameters.temperature > 0 else 0
        asked = [
            self._sample(address, node, parameters, values, reads, draw)
            for address, draw in self._samples(place.address(name), parameters, rank, place)
        ]
        ended = [await asked[0]] if len(asked) == 1 else await together([create_task(each) for each in asked])
        refused = next((each for each in ended if isinstance(each, RefusedError)), None)
        if refused is not None:  # only now: which calls were made must not depend on when the refusal came
            return Ended("missing", refused=refused)
        steps = [each for each in ended if isinstance(each, Step)]
        done = [step for step in steps if step.outputs is not None]
        seconds = max(step.seconds for step in steps)
        if not done:
            return Ended("missing", tuple(steps), seconds=seconds)
        drawn = {
            key: tuple(Value((step.outputs or {})[key], (step.address,)) for step in done)
            for key in done[0].outputs or {}
        }
        several = len(steps) > 1
        given = {key: Value(each[0].data, each[0].by, each if several else ()) for key, each in drawn.items()}
        return Ended("done", tuple(steps), given, seconds)

    def _samples(
        self, address: str, parameters: LLMParameters, rank: int, place: Place
    ) -> list[tuple[str, tuple[int | str, ...]]]:
        """Address and draw of each sample. At temperature 0 samples would be equal: there is one, without a draw."""
        if parameters.temperature == 0:
            return [(address, ())]
        draw = (self.replicate, rank, _number(place.steps), _number(place.items))
        if parameters.samples == 1:
            return [(address, (*draw, 0))]
        return [(f"{address}#{number + 1}", (*draw, number)) for number in range(parameters.samples)]

    async def _sample(
        self,
        address: str,
        node: LLMNode,
        parameters: LLMParameters,
        values: Mapping[str, Any],
        reads: tuple[str, ...],
        draw: tuple[int | str, ...],
    ) -> Step | RefusedError:
        try:
            return await self._ask(address, node, parameters, values, reads, draw)
        except RefusedError as error:
            return error

    async def _ask(
        self,
        address: str,
        node: LLMNode,
        parameters: LLMParameters,
        values: Mapping[str, Any],
        reads: tuple[str, ...],
        draw: tuple[int | str, ...],
    ) -> Step:
        fields = out_fields(node)
        asked = messages(node, parameters, values, fields, leave_out=self.example)
        lm = self.engine.model(parameters.model)
        most = parameters.max_tokens or DEFAULT_MAX_TOKENS
        if parameters.tools:
            ran = await react(
                lm, self.engine.tools, self.engine.signatures, asked, fields, allowed=parameters.tools, rounds=node.rounds,
                purpose=self.purpose, draw=draw, max_tokens=most, temperature=parameters.temperature,
                own_words=bool(parameters.messages),
            )  # fmt: skip
            return _step(address, node, values, ran.values, ran.error, ran.messages, ran.replies, reads, ran.calls)
        replies: tuple[Reply, ...] = ()
        outputs: dict[str, Any] | None = None
        error = ""
        try:
            answer = await lm.ask_fields(
                asked, fields, purpose=self.purpose, draw=draw, max_tokens=most, temperature=parameters.temperature,
                own_words=bool(parameters.messages),
            )  # fmt: skip
            replies, outputs = answer.replies, to_json(answer.values, "reply")
        except (ModelError, StepError) as fault:
            replies, error = getattr(fault, "replies", replies), str(fault)
        return _step(address, node, values, outputs, error, asked, replies, reads)

    def _rank(self, path: str, parameters: LLMParameters) -> int:
        """How many earlier nodes have equal parameters: with them equal draws would give equal samples."""
        rank = 0
        for other, node in walk(self.workflow.sketch):
            if other == path:
                break
            rank += node.kind == "llm" and self.workflow.parameter(other) == parameters
        return rank

    async def _merge(self, address: str, path: str, node: MergeNode, known: Known, led_by: tuple[str, ...]) -> Ended:
        arrived = [
            (f"{reference}#{number}" if known[reference].samples else reference, sample)
            for reference in node.inputs
            if reference in known
            for number, sample in enumerate(known[reference].samples or (known[reference],), start=1)
        ]
        if not arrived:
            return MISSING
        shown = {name: value.data for name, value in arrived}
        given = _data(node.given, known)
        reads = led_by + made_by([*(value for _, value in arrived), *(known[each] for each in node.given.values())])
        candidates = [value.data for _, value in arrived]
        output = next(iter(node.out))
        step = Step(address, node.kind, {**given, **shown}, None, reads=reads)
        if node.how == "judge" and any(candidate != candidates[0] for candidate in candidates[1:]):
            listed = dict(zip(_letters(len(candidates)), candidates, strict=True))
            chosen, step = await self._choose(step, path, given, listed, list(listed))
            joined = listed.get(chosen)
            if not chosen:
                return _ended(step)
        else:
            joined = merge("first" if node.how == "judge" else node.how, candidates)
        try:
            outputs = to_outputs({output: joined}, out_fields(node))
        except StepError as error:
            return _ended(replace(step, error=str(error)))
        return _ended(replace(step, outputs=outputs))

    async def _branch(self, address: str, path: str, node: BranchNode, known: Known, led_by: tuple[str, ...]) -> Ended:
        values = _data(node.inputs, known)
        reads = led_by + made_by(known[each] for each in node.inputs.values())
        step = Step(address, node.kind, values, None, reads=reads)
        if node.asks:
            way, step = await self._choose(step, path, values, {}, list(node.ways))
        else:
            try:
                way = next(
                    label
                    for label, condition in node.ways.items()
                    if condition == "else"
                    or (
                        condition is not None
                        and not isinstance(condition, str)
                        and holds(condition, values.__getitem__)
                    )
                )
            except TypeError as error:  # values of type object may not compare
                return _ended(replace(step, error=f"the condition cannot be told: {error}"))
        if not way:
            return _ended(step)
        step = replace(step, outputs={"way": way})
        return Ended("done", (step,), {}, step.seconds, way=way)

    async def _choose(
        self, step: Step, path: str, given: Mapping[str, Any], candidates: Mapping[str, Any], labels: list[str]
    ) -> tuple[str, Step]:
        """The label that the model picks, "" if none, and the step with what was asked."""
        parameters = self.workflow.parameter(path)
        assert isinstance(parameters, ChoiceParameters)  # the checker lets nothing else pass
        field = Field("choice", Type("literal", options=tuple(labels)))
        asked = choice_messages(parameters.instruction, given, candidates, field)
        replies: tuple[Reply, ...] = ()
        choice, error = "", ""
        try:
            answer = await self.engine.model(parameters.model).ask_fields(
                asked, [field], purpose=self.purpose, draw=(), max_tokens=CHOICE_TOKENS, temperature=0.0
            )
            replies, choice = answer.replies, str(answer.values["choice"])
        except ModelError as fault:
            replies, error = getattr(fault, "replies", replies), str(fault)
        return choice, _asked(step, error, asked, replies)


def out_fields(node: LLMNode | ToolNode | CodeNode | MergeNode) -> list[Field]:
    """The outputs that a node declares."""
    return [Field.of(name, text) for name, text in node.out.items()]


def _data(inputs: Mapping[str, str], known: Known) -> dict[str, Any]:
    return {key: known[reference].data for key, reference in inputs.items()}


def _letters(count: int) -> list[str]:
    return [LETTERS[number] if count <= len(LETTERS) else str(number + 1) for number in range(count)]


def _number(numbers: tuple[int, ...]) -> int | str:
    """The numbers of the loops (or maps) around a call as one part of its draw: 0 for none."""
    return numbers[0] if len(numbers) == 1 else ".".join(map(str, numbers)) if numbers else 0


def _step(
    address: str,
    node: LLMNode,
    values: Mapping[str, Any],
    outputs: Mapping[str, Any] | None,
    error: str,
    asked: tuple[Message, ...],
    replies: Sequence[Reply],
    reads: tuple[str, ...],
    calls: tuple[ToolCall, ...] = (),
) -> Step:
    return Step(
        address, node.kind, values, outputs, reads=reads, calls=calls, **_exchange(error, asked, replies, calls)
    )


def _asked(step: Step, error: str, asked: tuple[Message, ...], replies: Sequence[Reply]) -> Step:
    """The step with what was asked and what came back."""
    return replace(step, **_exchange(error, asked, replies, step.calls))


def _exchange(
    error: str, asked: tuple[Message, ...], replies: Sequence[Reply], calls: Sequence[ToolCall]
) -> dict[str, Any]:
    """What a step says of its talk with a model. Tool calls count one after another, at most."""
    return {
        "error": error,
        "messages": asked,
        "reply": replies[-1].text if replies else "",
        "usage": replies[0].took if len(replies) == 1 else sum((reply.took for reply in replies), Usage()),
        "seconds": sum(reply.seconds for reply in replies) + sum(call.seconds for call in calls),
    }


def _ended(step: Step) -> Ended:
    if step.outputs is None:
        return Ended("missing", (step,), seconds=step.seconds)
    given = {key: Value(value, (step.address,)) for key, value in step.outputs.items()}
    return Ended("done", (step,), given, step.seconds)
