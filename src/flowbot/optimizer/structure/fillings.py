"""What stands at the places that a program declares (`fb.slot`): a call that goes over what is handed on there, or what the catalogue makes
of it. The rest of a user's Python stays as it is, and in its order.

Which places there are, and of what types, recorded runs show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from flowbot.fields import stable_hash
from flowbot.optimizer.catalogue.catalogue import Catalogue
from flowbot.optimizer.parameters.settings import programs
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import shipped_priors
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.calls import fillings
from flowbot.workflow.check import check
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.parameters import ProgramParameters
from flowbot.workflow.workflow import Workflow

INSTRUCTION = "Go over {}: keep what serves this task, mend what is wrong, and leave its form as it is. Task: {}"
_Offer = tuple[Option, WorkflowProgram]


@dataclass(slots=True)
class Fillings:
    """Fills the places of programs.

    Args:
        catalogue: what may be made of a filling.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    _offers: dict[str, Mapping[str, _Offer]] = field(default_factory=dict[str, Mapping[str, _Offer]])

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """For every place that a recorded run came to: a first filling, or changes of the one that is there."""
        return [option for option, _ in self._offered(parent.program, context).values()]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The program with it."""
        option, program = self._offered(parent.program, context)[focus.option.key]
        source = "meta" if focus.votes else "prior"
        edits = (f"{option.arm.place}: {option.arm.kind}",)
        return [Proposal(program, option.title, source, reason=focus.reason, edits=edits, because=focus.because)]

    def _offered(self, program: WorkflowProgram, context: Context) -> Mapping[str, _Offer]:
        """They are kept: it takes long to see which are valid."""
        if program.hash not in self._offers and (rows := context.recorded(program, context.training)):
            found = self._find(program, rows, context)
            self._offers[program.hash] = {option.key: (option, made) for option, made in found}
        return self._offers.get(program.hash, {})

    def _find(self, program: WorkflowProgram, rows: Sequence[Row], context: Context) -> Iterator[_Offer]:
        for path, told in programs(program):
            known = dict(fillings(program.workflow, path))
            for name, handed in places(rows, path).items():
                for kind, title, filling in self._fillings(name, handed, known.get(name), context):
                    new = program.with_slot(path, _filled(told, name, filling))
                    if check(new.workflow, tools=context.signatures) or context.population.limits.fault(new):
                        continue
                    arm = Arm(kind=kind, place=f"{path}:{name}")
                    key = stable_hash([program.hash, str(arm), new.hash])
                    extra = context.models.further(new.workflow, program.workflow)
                    yield Option(arm, key, title, shipped_priors().belief(kind), extra=extra), new

    def _fillings(
        self, name: str, handed: Mapping[str, str], known: Workflow | None, context: Context
    ) -> Iterator[tuple[str, str, Workflow | None]]:
        """Kinds of changes, each in words, with what then stands there."""
        if known is None:
            yield "fill", f"Let an LLM call go over what is handed on at `{name}`.", _first(handed, context.task.goal)
            return
        yield "remove", f"Leave the place `{name}` empty.", None
        for change in self.catalogue.changes(known, context.task, context.models):
            if change.computes is None and not change.names_kinds:
                try:
                    made = applied(known, change.build(""), tools=context.signatures).after
                except EditError:
                    continue
                yield change.kind, f"At `{name}`: {change.title}", made


def places(rows: Sequence[Row], path: str) -> dict[str, dict[str, str]]:
    """The places of a program that its runs came to, each with the types of what is handed over there, the first being what is handed on;
    none whose first is of a type that no workflow takes."""
    seen: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        for step in row.trace.steps:
            if step.kind == "slot" and step.node.startswith(f"{path}/"):
                seen.setdefault(step.node.rpartition("/")[2], []).append(step.inputs)
    found: dict[str, dict[str, str]] = {}
    for name, values in seen.items():
        kinds = {each: {_type(given.get(each)) for given in values} for each in values[0]}
        types = {each: kind.pop() for each, kind in kinds.items() if len(kind) == 1}
        if types.get(next(iter(values[0]), "")):
            found[name] = {each: kind for each, kind in types.items() if kind}
    return found


def _type(value: Any) -> str:
    """Its type as a workflow has it; "" where it has none."""
    if isinstance(value, list):
        return "list[str]" if value and all(isinstance(each, str) for each in cast("list[Any]", value)) else ""
    return next((kind.__name__ for kind in (bool, int, float, str) if isinstance(value, kind)), "")


def _first(handed: Mapping[str, str], goal: str) -> Workflow:
    first = next(iter(handed))
    node = {"kind": "llm", "in": {each: each for each in handed}, "out": {"revised": handed[first]}}
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": dict(handed),
            "outputs": {first: "revise.revised"},
            "nodes": {"revise": node},
            "parameters": {"revise": {"instruction": INSTRUCTION.format(first, goal)}},
        }
    )


def _filled(told: ProgramParameters, name: str, filling: Workflow | None) -> ProgramParameters:
    others = {each: data for each, data in told.slots.items() if each != name}
    new = {} if filling is None else {name: {key: part for key, part in filling.dump().items() if key != "flowbot"}}
    return told.model_copy(update={"slots": {**others, **new}})
