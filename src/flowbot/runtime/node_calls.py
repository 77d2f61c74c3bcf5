"""The calls of single nodes: a model, a tool, code, a merge, a branch. Each ends as `Ended`; faults of the model or of the
step are part of it, those of the infrastructure or the user are raised."""

from __future__ import annotations

from asyncio import create_task
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flowbot.fields import Field, ModelError, RefusedError, StepError, Type, UserError
from flowbot.workflow.calls import fillings
from flowbot.workflow.conditions import holds
from flowbot.workflow.nodes import (
    BranchNode,
    CodeNode,
    CoreNode,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    ProgramNode,
    ToolNode,
    walk,
)
from flowbot.workflow.parameters import (
    ChoiceParameters,
    CodeParameters,
    CoreParameters,
    LLMParameters,
    ProgramParameters,
)

from .adapter import choice_messages, messages
from .core.compact import Compact
from .core.faithful import Faithful
from .core.walk import Frame
from .jsonlike import to_json, to_outputs
from .merge import merge
from .react import react
from .services import DEFAULT_MAX_TOKENS, Services, end_of, fields_of, with_exchange
from .together import together
from .trace import Step, Trace
from .traced.one_run import Bounds
from .values import MISSING, Ended, Known, Place, Value, made_by

if TYPE_CHECKING:
    from flowbot.lm.client import Reply
    from flowbot.workflow.workflow import Workflow

CHOICE_TOKENS = 64
"""Tokens of a reply that picks one of several labels."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class NodeCalls:
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
        path = place.path + name
        try:
            if isinstance(node, MergeNode):
                return await self._merge(place.address(name), path, node, known, led_by)
            assert not isinstance(node, LoopNode | MapNode)
            read = {key: known[reference] for key, reference in node.inputs.items()}
            values = {key: value.data for key, value in read.items()}
            # What is known of the step before it is done; what comes of it is filled in.
            step = Step(place.address(name), node.kind, values, None, reads=led_by + made_by(read.values()))
            match node:
                case BranchNode():
                    return await self._branch(step, path, node)
                case LLMNode():
                    return await self._llm(step, path, node, place)
                case ToolNode() | CodeNode():
                    return await self._computed(step, path, node)
                case ProgramNode():
                    return await self._program(step, path, node, place)
                case CoreNode():
                    return await self._core(step, path, node, place, read)
        except RefusedError as error:
            return Ended("missing", refused=error)

    async def _computed(self, step: Step, path: str, node: ToolNode | CodeNode) -> Ended:
        """A tool's or code's call."""
        seconds = 0.0
        try:
            if isinstance(node, ToolNode):
                outputs, seconds = await self.engine.tools.call(node.tool, step.inputs)
                found: Any = {key: outputs[key] for key in node.out if key in outputs}
            else:
                parameters = self.workflow.parameter(path)
                assert isinstance(parameters, CodeParameters)  # the checker lets nothing else pass
                found = await self.engine.run_code(parameters.code, step.inputs)
            return end_of(replace(step, outputs=to_outputs(found, fields_of(node.out)), seconds=seconds))
        except StepError as error:
            return end_of(replace(step, error=str(error)))

    async def _program(self, step: Step, path: str, node: ProgramNode, place: Place) -> Ended:
        """A user's program: its own step, and after it those inside."""
        parameters = self.workflow.parameter(path)
        assert isinstance(parameters, ProgramParameters)  # the checker lets nothing else pass
        place_in = (self._rank(path, parameters), _number(place.steps), _number(place.items))
        bounds = Bounds(
            purpose=self.purpose,
            example=self.example,
            replicate=self.replicate,
            base=".".join(map(str, place_in)) if any(place_in) else "",
            fill=partial(self._fill, dict(fillings(self.workflow, path))),
        )
        own, *inside = await self.engine.traced.steps(step, node, parameters, bounds)
        return end_of(own, inside)

    async def _core(self, step: Step, path: str, node: CoreNode, place: Place, read: Mapping[str, Value]) -> Ended:
        """A program in words: its own step, and after it those that it came to."""
        told = self.workflow.parameter(path)
        assert isinstance(told, CoreParameters)  # the checker lets nothing else pass
        draw = (self.replicate, self._rank(path, told), _number(place.steps), _number(place.items))
        walk = Faithful if node.interpreter == "faithful" else Compact
        return await walk(Frame(self.engine, node, told, step, read, self.purpose, draw)).run()

    async def _fill(self, found: Mapping[str, Workflow], name: str, values: Mapping[str, object]) -> Trace | None:
        """What fills a place of a program makes of what the place is handed."""
        if name not in found:
            return None
        wanted = found[name].sketch.inputs
        if missing := [each for each in wanted if each not in values]:
            raise StepError(f"slot {name}: {', '.join(missing)} is not handed over")
        given = {each: values[each] for each in wanted}
        try:
            return await self.engine.run(
                found[name], given, example=self.example, purpose=self.purpose, replicate=self.replicate
            )
        except UserError as error:
            if error.where != "inputs":
                raise
            raise StepError(f"slot {name}: {error}") from None  # of another type than the filling takes

    async def _llm(self, step: Step, path: str, node: LLMNode, place: Place) -> Ended:
        parameters = self.workflow.parameter(path)
        assert isinstance(parameters, LLMParameters)  # the checker lets nothing else pass
        asked = [
            self._sample(step if address == step.address else replace(step, address=address), node, parameters, draw)
            for address, draw in self._samples(step.address, path, parameters, place)
        ]
        if len(asked) == 1:
            only = await asked[0]
            return Ended("missing", refused=only) if isinstance(only, RefusedError) else end_of(only)
        ended = await together([create_task(each) for each in asked])
        refused = next((each for each in ended if isinstance(each, RefusedError)), None)
        if refused is not None:  # only now: which calls were made must not depend on when the refusal came
            return Ended("missing", refused=refused)
        steps = tuple(each for each in ended if isinstance(each, Step))
        seconds = max(each.seconds for each in steps)
        done = [(each.outputs, each.address) for each in steps if each.outputs is not None]
        if not done:
            return Ended("missing", steps, seconds=seconds)
        values: dict[str, Value] = {}
        for key in done[0][0]:
            first, *more = (Value(outputs[key], (address,)) for outputs, address in done)
            values[key] = replace(first, samples=(first, *more))
        return Ended("done", steps, values, seconds)

    def _samples(
        self, address: str, path: str, parameters: LLMParameters, place: Place
    ) -> list[tuple[str, tuple[int | str, ...]]]:
        """Address and draw of each sample. At temperature 0 samples would be equal: there is one, without a draw."""
        if parameters.temperature == 0:
            return [(address, ())]
        draw = (self.replicate, self._rank(path, parameters), _number(place.steps), _number(place.items))
        if parameters.samples == 1:
            return [(address, (*draw, 0))]
        return [(f"{address}#{number + 1}", (*draw, number)) for number in range(parameters.samples)]

    def _rank(self, path: str, parameters: LLMParameters | CoreParameters | ProgramParameters) -> int:
        """How many earlier nodes have equal parameters: with them equal draws would give equal samples."""
        rank = 0
        for other, node in walk(self.workflow.sketch):
            if other == path:
                break
            rank += node.kind in ("llm", "core", "program") and self.workflow.parameter(other) == parameters
        return rank

    async def _sample(
        self, step: Step, node: LLMNode, parameters: LLMParameters, draw: tuple[int | str, ...]
    ) -> Step | RefusedError:
        fields = fields_of(node.out)
        asked = messages(node, parameters, step.inputs, fields, leave_out=self.example)
        lm = self.engine.model(parameters.model)
        most = parameters.max_tokens or DEFAULT_MAX_TOKENS
        replies: tuple[Reply, ...] = ()
        try:
            if parameters.tools:
                ran = await react(
                    lm, self.engine.tools, self.engine.signatures, asked, fields, allowed=parameters.tools,
                    rounds=node.rounds, purpose=self.purpose, draw=draw, max_tokens=most,
                    temperature=parameters.temperature, own_words=bool(parameters.messages),
                )  # fmt: skip
                step = replace(step, outputs=ran.values, calls=ran.calls)
                return with_exchange(step, ran.error, ran.messages, ran.replies)
            answer = await lm.ask_fields(
                asked, fields, purpose=self.purpose, draw=draw, max_tokens=most, temperature=parameters.temperature,
                own_words=bool(parameters.messages),
            )  # fmt: skip
            replies = answer.replies
            outputs = to_json(answer.values, "reply")
        except RefusedError as error:
            return error
        except (ModelError, StepError) as fault:
            return with_exchange(step, str(fault), asked, getattr(fault, "replies", replies))
        return with_exchange(step, "", asked, replies, outputs)

    async def _merge(self, address: str, path: str, node: MergeNode, known: Known, led_by: tuple[str, ...]) -> Ended:
        arrived = [
            (f"{reference}#{number}" if known[reference].samples else reference, sample)
            for reference in node.inputs
            if reference in known
            for number, sample in enumerate(known[reference].samples or (known[reference],), start=1)
        ]
        if not arrived:
            return MISSING
        given = {key: known[reference].data for key, reference in node.given.items()}
        reads = led_by + made_by([*(value for _, value in arrived), *(known[each] for each in node.given.values())])
        candidates = [value.data for _, value in arrived]
        step = Step(address, node.kind, {**given, **{name: value.data for name, value in arrived}}, None, reads=reads)
        if node.how == "judge" and any(candidate != candidates[0] for candidate in candidates[1:]):
            listed = dict(zip(letters(len(candidates)), candidates, strict=True))
            chosen, step = await self._choose(step, path, given, listed, list(listed))
            if not chosen:
                return end_of(step)
            joined = listed[chosen]
        else:
            joined = merge("first" if node.how == "judge" else node.how, candidates)
        try:
            outputs = to_outputs({next(iter(node.out)): joined}, fields_of(node.out))
        except StepError as error:
            return end_of(replace(step, error=str(error)))
        return end_of(replace(step, outputs=outputs))

    async def _branch(self, step: Step, path: str, node: BranchNode) -> Ended:
        if node.asks:
            way, step = await self._choose(step, path, step.inputs, {}, list(node.ways))
        else:
            try:
                way = next(
                    label
                    for label, condition in node.ways.items()
                    if condition == "else"
                    or (
                        condition is not None
                        and not isinstance(condition, str)
                        and holds(condition, step.inputs.__getitem__)
                    )
                )
            except TypeError as error:  # values of type object may not compare
                return end_of(replace(step, error=f"the condition cannot be told: {error}"))
        if not way:
            return end_of(step)
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
        try:
            answer = await self.engine.model(parameters.model).ask_fields(
                asked, [field], purpose=self.purpose, draw=(), max_tokens=CHOICE_TOKENS, temperature=0.0
            )
        except ModelError as fault:
            return "", with_exchange(step, str(fault), asked, getattr(fault, "replies", ()))
        return str(answer.values["choice"]), with_exchange(step, "", asked, answer.replies)


def letters(count: int) -> list[str]:
    """The labels of so many candidates."""
    return [LETTERS[number] if count <= len(LETTERS) else str(number + 1) for number in range(count)]


def _number(numbers: tuple[int, ...]) -> int | str:
    """The numbers of the loops (or maps) around a call as one part of its draw: 0 for none."""
    return numbers[0] if len(numbers) == 1 else ".".join(map(str, numbers)) if numbers else 0
