"""The checker: all defects of a workflow at once, each in one line that a person or a model can act on.

Nothing is executed: code is parsed, tools are known by their signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from flowbot.fields import Field, ToolSignature, UserError

from .defects import Defect, choices, name_defects, type_defects
from .file import FORMAT
from .graph import cycles, unused
from .messages import FormatError
from .nodes import BodyNode, BranchNode, ProgramNode, walk
from .rules_nodes import NodeRules
from .rules_parameters import parameter_defects
from .scope import Scope
from .ways import Effort, Ways
from .workflow import Workflow

MOST_DEFECTS = 200
"""Defects that are listed; a workflow that has more says so in one more."""


def check(
    workflow: Workflow,
    *,
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
    allow_writes: bool = False,
) -> list[Defect]:
    """All defects of a workflow, in the order of the file, up to `MOST_DEFECTS`. Empty: it may be run.

    Args:
        workflow: the workflow to check.
        tools: signatures of the tools there are, by name; None: not known, so tool names and arguments are not checked.
        task_inputs: the task's inputs, if it must fit a task.
        task_outputs: the task's outputs, if it must fit a task.
        allow_writes: True: tools that write may be called for real (in use, not while searching).
    """
    checker = _Checker(workflow, tools, allow_writes=allow_writes)
    found = chain(checker.inputs(task_inputs), checker.outputs(task_outputs), checker.bodies(), checker.parameters())
    defects = list(islice(found, MOST_DEFECTS))
    if next(found, None) is not None:
        mend = "mend these first, then check again"
        defects.append(Defect("workflow", f"there are more defects than these {MOST_DEFECTS}", mend))
    return defects


def require_valid(
    workflow: Workflow,
    *,
    where: str = "workflow",
    tools: Mapping[str, ToolSignature] | None = None,
    task_inputs: tuple[Field, ...] | None = None,
    task_outputs: tuple[Field, ...] | None = None,
    allow_writes: bool = False,
) -> None:
    """Refuse a workflow with defects.

    Args:
        workflow: the workflow to check.
        where: how to name it in the error, such as the file's path.
        tools: as for `check`.
        task_inputs: as for `check`.
        task_outputs: as for `check`.
        allow_writes: as for `check`.

    Raises:
        UserError: the first defect, and how many there are.
    """
    defects = check(
        workflow, tools=tools, task_inputs=task_inputs, task_outputs=task_outputs, allow_writes=allow_writes
    )
    if defects:
        first = defects[0]
        more = f" (and {len(defects) - 1} more)" if len(defects) > 1 else ""
        raise UserError(f"{where}: {first.where}", what=first.what, mend=first.mend + more)


class _Checker:
    """The rules over a whole workflow: its inputs and outputs, and body by body its nodes, ways and wiring.

    Each method yields defects; none raises, none executes anything.

    Args:
        workflow: what is checked.
        tools: signatures by name; None: not known.
        allow_writes: True: tools that write may be called for real.
    """

    def __init__(
        self, workflow: Workflow, tools: Mapping[str, ToolSignature] | None, *, allow_writes: bool = False
    ) -> None:
        self.workflow = workflow
        self.sketch = workflow.sketch
        self.scope = Scope.of(workflow.sketch)
        self._rules = NodeRules(tools, allow_writes=allow_writes)
        self._effort = Effort()

    def inputs(self, task_inputs: tuple[Field, ...] | None) -> Iterator[Defect]:
        """The workflow's inputs: names, types, and whether the task gives them."""
        given = {field.name: field.type for field in task_inputs or ()}
        for name, text in self.sketch.inputs.items():
            where = f"inputs.{name}"
            yield from name_defects(where, name)
            wanted = yield from type_defects(where, text)
            if task_inputs is None:
                continue
            if name not in given:
                yield Defect(where, "the task has no such input", f"read {choices(name, given)}")
            elif wanted is not None and not wanted.accepts(given[name]):
                yield Defect(where, f"is {wanted}, and the task gives {given[name]}", f"declare it as {given[name]}")

    def outputs(self, task_outputs: tuple[Field, ...] | None) -> Iterator[Defect]:
        """The workflow's outputs: names, what they are bound to, on every way, and whether the task wants that."""
        if not self.sketch.outputs:
            yield Defect("outputs", "the workflow gives nothing", "bind an output, as `answer: node.output`")
        wanted = {field.name: field.type for field in task_outputs or ()}
        ways = Ways(self.sketch, self._effort)
        for name, reference in self.sketch.outputs.items():
            where = f"outputs.{name}"
            yield from name_defects(where, name)
            carried = yield from self._rules.reference(where, reference, self.scope)
            yield from ways.end(where, reference)
            if carried is not None and name in wanted and not wanted[name].accepts(carried):
                mend = f"bind it to {self._rules.of_type(wanted[name], self.scope)}"
                yield Defect(where, f"{reference} is {carried}, and the task wants {wanted[name]}", mend)
        for name, kind in wanted.items():
            if name not in self.sketch.outputs:
                mend = f"bind it to {self._rules.of_type(kind, self.scope)}"
                yield Defect("outputs", f"the task's output {name} is missing", mend)

    def bodies(self) -> Iterator[Defect]:
        """The nodes, body by body: each node, its ways, and the wiring of all."""
        for scope in self.scope.all():
            place = ".".join(f"nodes.{name}" for name in scope.path.split("/")[:-1])
            where = f"{place}.nodes".lstrip(".")
            if not scope.nodes:
                what = "the body has no nodes" if place else "the workflow has no nodes"
                yield Defect(where, what, "add a node")
            ways = Ways(scope.holder, self._effort)
            for name, node in scope.nodes.items():
                yield from self._rules.node(f"{where}.{name}", name, node, scope)
                yield from ways.when(f"{where}.{name}", name)
                yield from ways.reads(f"{where}.{name}", name)
            if isinstance(scope.holder, BodyNode):
                for reference in dict.fromkeys(each for each in scope.holder.ends() if scope.is_local(each)):
                    yield from ways.end(place, reference)
            yield from self._wiring(where, scope)

    def parameters(self) -> Iterator[Defect]:
        """The parameters: of nodes that there are, of their kind, and sound."""
        return parameter_defects(self.workflow, self.scope, self._rules.tool, self._filling)

    def _filling(self, where: str, data: dict[str, Any]) -> Iterator[Defect]:
        """What fills a place of a program: a sound workflow that gives back one of its inputs, and runs no program itself."""
        try:
            filling = Workflow.from_data({"flowbot": FORMAT, **data}, where)
        except FormatError as error:
            yield from (Defect(f"{where}.{each.where}".rstrip("."), each.what, each.mend) for each in error.defects)
            return
        except UserError as error:
            yield Defect(where, str(error), "write a workflow, as in a file")
            return
        if [*filling.sketch.outputs][1:] or not filling.sketch.outputs.keys() <= filling.sketch.inputs.keys():
            mend = "give one output, of the name of the input that it stands for"
            yield Defect(f"{where}.outputs", f"gives {', '.join(filling.sketch.outputs) or 'nothing'}", mend)
        if any(isinstance(node, ProgramNode) for _, node in walk(filling.sketch)):
            yield Defect(f"{where}.nodes", "a program within a program", "use nodes of other kinds")
            return
        found = check(filling, tools=self._rules.tools, allow_writes=self._rules.allow_writes)
        yield from (Defect(f"{where}.{each.where}", each.what, each.mend) for each in found)

    def _wiring(self, where: str, scope: Scope) -> Iterator[Defect]:
        """A body as a whole: no circles, nothing unused."""
        for circle in cycles(scope.holder):
            mend = "wire one of them to something earlier"
            yield Defect(f"{where}.{circle[0]}", f"a circle: {' → '.join(circle)}", mend)
        goal = "nothing that leaves the body" if scope.path else "no output of the workflow"
        for name in unused(scope.holder):
            use = (
                "run a node on one of its ways"
                if isinstance(scope.nodes[name], BranchNode)
                else "use one of its outputs"
            )
            yield Defect(f"{where}.{name}", f"{goal} depends on this node", f"{use}, or remove the node")
