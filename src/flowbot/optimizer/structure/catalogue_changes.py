"""Changes of the catalogue about every step of a workflow, as options of the planner.

A change is remembered by the structure, the change, and the parameters of the step and of those beside it: what lost before the
prompts around it were tuned may be tried again after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from flowbot.fields import stable_hash
from flowbot.optimizer.belief import VARIANCE, Belief, mean_and_variance
from flowbot.optimizer.catalogue.catalogue import Catalogue
from flowbot.optimizer.catalogue.change import Change
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.priors import shipped_priors
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.task_kinds import task_kinds
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.graph import predecessors, successors
from flowbot.workflow.nodes import CodeNode, walk
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

from .code import TRIES, told_of, write_code
from .kinds import name_kinds

MOST = 0.2
"""Gain that is believed in before a change is run, at most: with more, six equal pairs at the end would pass for a gain."""
NAMING = 1
"""Calls that naming kinds takes."""
NO_CODE = "def run(**given):\n    return {}"
NO_KINDS = "one: the first kind\nother: the second kind"


@dataclass(slots=True)
class CatalogueChanges:
    """Offers every change of a catalogue that leads to a valid workflow.

    Args:
        catalogue: which changes there are.
        asks: whether the meta model is asked to write the code of a computing step; False: it is the plain prior's, without a call.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    asks: bool = True
    _offers: dict[str, Mapping[str, tuple[Option, Change]]] = field(
        default_factory=dict[str, Mapping[str, tuple[Option, Change]]]
    )

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """As of `Proposer`: the changes about every step that is not frozen."""
        return [option for option, _ in self._offered(parent.program, context).values()]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The changed workflow. Of a computing step there are two where two are wanted, by the meta model's code and by the plain
        prior's: what runs before the step is the same, so the second takes no further call of the task model."""
        _, change = self._offered(parent.program, context)[focus.option.key]
        workflow = parent.program.workflow
        if change.names_kinds:
            kinds, faults, shown = await name_kinds(context, workflow)
            if not kinds:
                return [_unmade(change, focus, faults)]
            return [replace(_made(context, workflow, change, focus, kinds, None), shown=shown)]
        if change.computes is None:
            return [_made(context, workflow, change, focus, "", None)]
        code, faults = "", list[str]()
        if self.asks:
            code, faults = await write_code(context, workflow, *change.computes, known=change.known)
        made: list[Proposal] = []
        if code:
            new = _made(context, workflow, change, focus, code, "meta", faults)
            made.append(replace(new, shown=tuple(name for name, _, _ in told_of(context, change.known))))
        if len(made) < want and change.prior_code and code != change.prior_code:
            made.append(_made(context, workflow, change, focus, change.prior_code, "prior", faults))
        if not made and not change.prior_code:
            made.append(_unmade(change, focus, faults))
        return made

    def _offered(self, program: WorkflowProgram, search: Context) -> Mapping[str, tuple[Option, Change]]:
        """The options by key, each with its change. They are kept: it takes long to see which changes are valid."""
        if program.hash not in self._offers:
            found = self._find(program, search)
            self._offers[program.hash] = {option.key: (option, change) for option, change in found}
        return self._offers[program.hash]

    def _find(self, program: WorkflowProgram, search: Context) -> Iterator[tuple[Option, Change]]:
        workflow = program.workflow
        structure, rows = stable_hash(workflow.sketch.dump()), search.recorded(program, search.training)
        for change in self.catalogue.changes(workflow, search.task, search.models):
            cost = NAMING if change.names_kinds else TRIES if change.computes is not None else 0
            if not self.asks and cost and not change.prior_code:
                continue
            try:
                changed = WorkflowProgram(
                    applied(workflow, change.build(stand_in(change)), tools=search.signatures).after
                )
            except EditError:
                continue
            if _codes(changed.workflow) > _codes(workflow) and not search.can_compute:
                continue
            if search.population.limits.fault(changed):
                continue
            option = Option(
                Arm(kind=change.kind, place=change.place),
                key=stable_hash([structure, _near(workflow, change.place), change.key]),
                title=change.title,
                prior=self._believed(change, task_kinds(search.task, workflow, change.place, rows), rows),
                extra=search.models.further(changed.workflow, workflow),
                cost=cost if self.asks else 0,
                at_once=2 if self.asks and change.prior_code else 1,
            )
            yield option, change

    def _believed(self, change: Change, tasks: Sequence[str], rows: Sequence[Row]) -> Belief:
        """What is believed of its kind, or more or less by what the runs of its parent tell; no more than a few pairs without a gain
        can take back."""
        prior = shipped_priors().belief(change.kind, tasks=tasks)
        if change.gain is None or not rows:
            return prior
        seen = prior.updated(*mean_and_variance([change.gain(row) for row in rows], VARIANCE))
        return Belief(min(MOST, seen.mean), prior.spread)


def _made(
    search: Context,
    workflow: Workflow,
    change: Change,
    focus: Focus,
    code: str,
    code_by: Literal["meta", "prior"] | None,
    faults: Sequence[str] = (),
) -> Proposal:
    """The proposal of a change; one without program where the edits cannot be made."""
    program, edits = None, tuple[str, ...]()
    try:
        made = applied(workflow, change.build(code), tools=search.signatures)
        program, edits = WorkflowProgram(made.after), made.said
    except EditError as error:
        faults = (*faults, str(error))
    return Proposal(
        program,
        change.title,
        "meta" if focus.votes else "prior",
        reason=focus.reason,
        edits=edits,
        because=focus.because,
        code_by=code_by,
        faults=tuple(faults),
    )


def _near(workflow: Workflow, place: str) -> dict[str, object]:
    """The parameters of a step, of those that it reads, and of those that read it, their bodies included, by path."""
    scope, name = Scope.of(workflow.sketch).at(place), place.rpartition("/")[2]
    beside = {name, *predecessors(scope.holder, name), *successors(scope.holder, name)}
    return {
        path: workflow.parameter(path).model_dump(mode="json", exclude_defaults=True)
        for path, _ in walk(workflow.sketch)
        if path.startswith(scope.path) and path.removeprefix(scope.path).partition("/")[0] in beside
    }


def stand_in(change: Change) -> str:
    """What stands where the meta model's words will, while it is seen whether a change is valid."""
    return NO_KINDS if change.names_kinds else change.prior_code or NO_CODE


def _unmade(change: Change, focus: Focus, faults: Sequence[str]) -> Proposal:
    """The proposal of a change for which the meta model wrote nothing of use."""
    source = "meta" if focus.votes else "prior"
    return Proposal(None, change.title, source, reason=focus.reason, because=focus.because, faults=tuple(faults))


def _codes(workflow: Workflow) -> int:
    """How many steps run code."""
    return sum(isinstance(node, CodeNode) for _, node in walk(workflow.sketch))
