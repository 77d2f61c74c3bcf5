"""What was found, in production: `fb.use` lets a program read its texts and values from a flow file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.arguments import MODEL, checked_arguments
from flowbot.program.applied import Applied, Filling, apply
from flowbot.program.watching import Scalar
from flowbot.workflow.calls import fillings
from flowbot.workflow.check import require_valid
from flowbot.workflow.nodes import ProgramNode
from flowbot.workflow.parameters import ProgramParameters
from flowbot.workflow.workflow import Workflow

from .folders import RUN, RunLike, flow_file


@checked_arguments(path=(RUN[0], "the path of a flow file, or a run that found one"), lm=MODEL)
def use(path: RunLike | None = None, *, lm: str | None = None) -> None:
    """Let the program of a flow file read what was found there: its texts and values, and what fills its places.

        >>> fb.use("app.flow.yaml")

    It holds for the whole process, for what is read from now on. `FLOWBOT_PARAMS=app.flow.yaml` in the environment does the
    same without a line of code. Without either the defaults in the source stand.

    Args:
        path: the flow file, or a run that found one; None: the defaults in the source again.
        lm: model string of the steps in its places that name none.

    Raises:
        UserError: if the file is no valid workflow, or is not one program alone: steps around a program are run by `fb.load`.
    """
    if path is None:
        apply(Applied())
        return
    file = flow_file(path)
    workflow = Workflow.load(file)
    require_valid(workflow, where=str(file), allow_writes=True)
    programs = [name for name, node in workflow.sketch.nodes.items() if isinstance(node, ProgramNode)]
    if len(programs) != 1 or len(workflow.sketch.nodes) != 1:
        found = f"the steps {', '.join(workflow.sketch.nodes)}"
        mend = "one program and no other step; fb.load(FILE, programs=[...]) runs what stands around one"
        raise UserError(str(file), found, mend)
    told = workflow.parameter(programs[0])
    assert isinstance(told, ProgramParameters)  # the checker lets nothing else pass
    texts = {name: told.text(name) or "" for name in told.texts}
    values: dict[str, Scalar] = dict(told.values)
    slots = {
        name: _filled(filling, name, lm or os.environ.get("FLOWBOT_MODEL"))
        for name, filling in fillings(workflow, programs[0])
    }
    turns = {name: pairs for name in told.texts if (pairs := told.turns(name)) is not None}
    apply(Applied(texts, values, slots, turns))


def _filled(filling: Workflow, name: str, lm: str | None) -> Filling:
    """What fills a place, opened when it is first reached."""
    from flowbot.runtime.flow import Flow

    opened: list[Flow] = []

    async def fill(values: Mapping[str, object]) -> Any:
        if not opened:
            opened.append(Flow(filling, lm=lm))
        wanted = {each: values[each] for each in filling.sketch.inputs if each in values}
        outputs = await opened[0].acall(**wanted)
        return outputs[next(iter(values))]

    return fill
