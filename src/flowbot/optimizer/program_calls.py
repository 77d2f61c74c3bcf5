"""How many model calls a run takes at most where it runs a user's program: what a program may make is far more than what it makes, and a plan
that counted on it would be left unused. What the first runs of a search made, with some more, is counted on; a run that makes more is made all
the same, up to what the program may make and to the plan itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.calls import most_calls
from flowbot.workflow.nodes import ProgramNode, walk

MARGIN = 1.5
"""Of what was seen at most."""
PROBED = 2
"""Training rows that a program is run on before anything is planned by how many calls it makes."""


def runs_program(program: WorkflowProgram) -> bool:
    """Whether a program of the user's own is among its steps."""
    return any(isinstance(node, ProgramNode) for _, node in walk(program.workflow.sketch))


@dataclass(slots=True)
class ProgramCalls:
    """What the programs of a search take."""

    _seen: dict[str, int] = field(default_factory=dict[str, int])
    """By what a node calls."""
    _most: dict[str, int] = field(default_factory=dict[str, int])

    def learn(self, program: WorkflowProgram, recorded: Mapping[tuple[str, str], Row]) -> None:
        """Take note of its first settled runs; of later ones no more, since when they end is chance.

        Args:
            program: that the search begins with.
            recorded: runs by program and row.
        """
        paths = {} if self._seen else dict(walk(program.workflow.sketch))
        nodes = {path: node for path, node in paths.items() if isinstance(node, ProgramNode)}
        rows = [row for (ran, _), row in recorded.items() if ran == program.hash] if nodes else []
        for path, node in nodes.items() if rows else ():
            made = (sum(s.usage.calls for s in row.trace.steps if s.node.startswith(f"{path}/")) for row in rows)
            self._seen[node.call] = max(1, ceil(MARGIN * max(made)))

    def most(self, program: WorkflowProgram) -> int:
        """Calls of one run at most, as far as is known."""
        if not self._seen:
            return program.most_calls
        if program.hash not in self._most:
            sketch = program.workflow.sketch
            nodes = {
                name: node.model_copy(
                    update={"max_calls": min(node.max_calls, self._seen.get(node.call, node.max_calls))}
                )
                if isinstance(node, ProgramNode)
                else node
                for name, node in sketch.nodes.items()
            }
            bounded = program.workflow.model_copy(update={"sketch": sketch.model_copy(update={"nodes": nodes})})
            self._most[program.hash] = max(1, most_calls(bounded))
        return self._most[program.hash]
