"""Set a step otherwise, in one of a few ways that are known beforehand. No model is asked.

`tools`: each that the step may call left out once, each that it may not allowed once. `samples`: 3 or 5 where they are joined
(self-consistency, Wang et al. 2023, arXiv 2203.11171). `without`: what it has taken from it again. `models`: another of the user's list, once
the structure has settled; `values`: what a program declares as tunable, nearest first, so that what is adopted is searched around; the measured runs decide by the one rule for cheaper and dearer (Chen et al. 2025: LLMSelector, arXiv 2502.14815).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.step_models import choosable
from flowbot.optimizer.step_view import has_step, step_at, steps_of
from flowbot.program.params import Value
from flowbot.program.watching import Scalar
from flowbot.run.events import Arm
from flowbot.runtime.program import WorkflowProgram
from flowbot.task.programs import named_program
from flowbot.workflow.graph import split_reference
from flowbot.workflow.nodes import MergeNode
from flowbot.workflow.parameters import ChoiceParameters, LLMParameters, ProgramParameters
from flowbot.workflow.prompt import slots
from flowbot.workflow.scope import Scope

from .step_change import option, prompt_tokens, proposal, said, told_steps

NUMBERS = (3, 5)
WARM = 0.7
"""Temperature of samples where the step has none, at which they differ."""
Told: TypeAlias = LLMParameters | ChoiceParameters | ProgramParameters


class Setting(NamedTuple):
    """One way to set a step: the proposal's title, what is done to the step in words, and its parameters."""

    title: str
    edit: str
    told: Told


class Kind(NamedTuple):
    """A kind of change to a step, its title, and its settings in the order in which they are tried."""

    kind: str
    title: str
    settings: Sequence[Setting]


@dataclass(slots=True)
class Settings:
    """Sets steps otherwise.

    Args:
        kinds: of a step that may be tuned, given its program, path and parameters.
        steps: which have them, with their parameters.
        late: whether they are for when the structure has settled, and of the incumbent alone: on another parent a change would be
            compared with what has several others.
    """

    kinds: Callable[[Context, WorkflowProgram, str, Told], Iterator[Kind]]
    late: bool = False
    steps: Callable[[WorkflowProgram], Iterable[tuple[str, Told]]] = told_steps

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One for every kind and step, unless all that it leads to was tried already."""
        program, found = parent.program, list[Option]()
        if self.late and parent is not context.population.incumbent:
            return found
        known = {each.program.hash for each in context.population.members}
        for path, told in self.steps(program):
            for kind, title, settings in self._fitting(context, program, path, told):
                changed = [program.with_slot(path, each.told) for each in settings]
                if self.late or any(each.hash not in known for each in changed):
                    extra = context.models.further(changed[0].workflow, program.workflow)
                    tokens = prompt_tokens(settings[0].told) - prompt_tokens(told)
                    arm, most = Arm(kind=kind, place=path), len(settings)
                    found.append(option(program, arm, title, most=most, extra=extra, tokens=tokens, late=self.late))
        return found

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The setting of this draw."""
        program, arm = parent.program, focus.option.arm
        kinds = self._fitting(context, program, arm.place, dict(self.steps(program))[arm.place])
        title, edit, told = next(each.settings for each in kinds if each.kind == arm.kind)[focus.draw]
        return [proposal(program, arm.place, told, "", edit, title=title, source="prior")]

    def _fitting(self, context: Context, program: WorkflowProgram, path: str, told: Told) -> Iterator[Kind]:
        """The kinds with those of their settings that pass no limit of the user's."""
        limits = context.population.limits
        for each in self.kinds(context, program, path, told):
            fitting = [
                setting
                for setting in each.settings
                if limits.max_calls_per_example is None or not limits.fault(program.with_slot(path, setting.told))
            ]
            if fitting:
                yield each._replace(settings=fitting)


def tools(context: Context, program: WorkflowProgram, path: str, told: Told) -> Iterator[Kind]:
    """Other tools, by one. A step without tools is the catalogue's to change: it then takes more calls."""
    if not isinstance(told, LLMParameters) or not told.tools:
        return
    fewer = told.tools if len(told.tools) > 1 else ()
    declared = (tool.signature for tool in context.task.tools)
    safe = [each.name for each in declared if each.effects != "writes" or each.simulated]
    others = [
        *((f"it may not call {tool}", tuple(each for each in told.tools if each != tool)) for tool in fewer),
        *((f"it may call {tool}, too", (*told.tools, tool)) for tool in safe if tool not in told.tools),
    ]
    if others:
        made = [
            Setting(f"step `{path}`: {edit}", edit, told.model_copy(update={"tools": each})) for edit, each in others
        ]
        yield Kind("tools", f"let step `{path}` call other tools", made)


def samples(context: Context, program: WorkflowProgram, path: str, told: Told) -> Iterator[Kind]:
    """More samples where a merge joins them; where none does the catalogue adds one.

    Which temperature, and the numbers between, is not searched: of nine settings each needs forty pairs of rows or more to be told
    apart, and a model of the settings, as Optuna's TPE, draws the first ten by chance.
    """
    if not isinstance(told, LLMParameters) or not _joined(program, path):
        return
    warm = told.temperature or WARM
    more = [
        Setting(
            f"ask step `{path}` {number} times",
            f"{number} samples",
            told.model_copy(update={"samples": number, "temperature": warm}),
        )
        for number in NUMBERS
        if number > told.samples
    ]
    if more:
        yield Kind("samples", f"ask step `{path}` more often", more)


def without(context: Context, program: WorkflowProgram, path: str, told: Told) -> Iterator[Kind]:
    """Each thing that a step has left out: worked examples, hint, the last rule that was added, tools, further samples."""
    for what, bare in _bare(told, _first(context, path)):
        title = f"leave out the {what} of step `{path}`"
        yield Kind(f"without {what}", title, [Setting(title, f"its {what} left out", bare)])


def models(context: Context, program: WorkflowProgram, path: str, told: Told) -> Iterator[Kind]:
    """The models before the step's own, and those after it, each draw the next dearer one."""
    if isinstance(told, ProgramParameters):
        return
    allowed = context.models
    both = {"cheaper model": allowed.cheaper(told.model), "stronger model": allowed.stronger(told.model)}
    for kind, names in both.items() if path in dict(choosable(program.workflow)) else ():
        made = [
            Setting(
                f"give step `{path}` the {kind} {name}",
                f"model {name}",
                told.model_copy(update={"model": allowed.named(name)}),
            )
            for name in names
        ]
        if made:
            yield Kind(kind, f"give step `{path}` a {kind}", made)


def programs(program: WorkflowProgram) -> Iterator[tuple[str, ProgramParameters]]:
    """The programs that may be tuned, in the order of the sketch."""
    for step in steps_of(program.workflow):
        if isinstance(told := step.told, ProgramParameters) and not step.frozen:
            yield step.path, told


def values(context: Context, program: WorkflowProgram, path: str, told: Told) -> Iterator[Kind]:
    """Other numbers, choices and switches of a program, each for itself."""
    assert isinstance(told, ProgramParameters)
    named = named_program(step_at(program.workflow, path).how, context.task.programs)
    for value in (each for each in (named.tunable if named else ()) if isinstance(each, Value)):
        now = told.values.get(value.name, value.default)
        made = [
            Setting(
                f"let `{value.name}` of `{path}` be {other}",
                f"{value.name} {other} in place of {now}",
                told.model_copy(update={"values": {**told.values, value.name: other}}),
            )
            for other in others(value, now)
        ]
        if made:
            yield Kind(f"value {value.name}", f"let `{value.name}` of `{path}` be another", made)


def others(value: Value, now: Scalar) -> list[Scalar]:
    """What a value may be besides: of choices those beside it first; of a range half the way to either end, then the ends."""
    if value.choices:
        at = value.choices.index(now) if now in value.choices else 0
        ranked = sorted(range(len(value.choices)), key=lambda place: abs(place - at))
        return [value.choices[place] for place in ranked if value.choices[place] != now]
    if value.low is None or value.high is None or isinstance(now, bool | str):
        return []
    points = [(value.low + now) / 2, (now + value.high) / 2, value.low, value.high]
    whole = isinstance(value.default, int)
    return [
        each
        for each in dict.fromkeys(round(point) if whole else float(f"{point:.3g}") for point in points)
        if each != now and not value.fault(each)
    ]


def _joined(program: WorkflowProgram, path: str) -> bool:
    """Whether a merge that reads all samples reads the step."""
    if ":" in path:  # in a program
        return False
    nodes, name = Scope.of(program.workflow.sketch).at(path).nodes.values(), path.rpartition("/")[2]
    merges = [each for each in nodes if isinstance(each, MergeNode) and each.how in ("vote", "judge")]
    return any(split_reference(reference)[0] == name for each in merges for reference in each.inputs)


def _first(context: Context, path: str) -> str:
    """What the step was told at the start: its lines are no rules that were added."""
    start = context.population.start.program.workflow
    return said(start.parameter(path)) if has_step(start, path) else ""


def _bare(told: Told, first: str) -> Iterator[tuple[str, Told]]:
    def less(**update: Any) -> Told:
        return told.model_copy(update=update)

    before, _, last = said(told).rpartition("\n")
    ruled = before.strip() and last.strip() and last.strip() not in first
    if not isinstance(told, LLMParameters):
        if ruled:
            yield "rule", less(instruction=before.rstrip())
        return
    if told.demonstrations:
        yield "demonstrations", less(demonstrations=())
    if told.format_hint:
        yield "hint", less(format_hint="")
    if ruled:
        yield "rule", told.with_text(before.rstrip(), slots(told.messages)[0] if told.messages else None)
    if told.tools:
        yield "tools", less(tools=())
    if told.samples > 1:
        yield "samples", less(samples=1, temperature=0.0)
