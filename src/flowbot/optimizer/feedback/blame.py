"""Which step do failing runs speak against? By rule where one can see it, else the meta model names the first wrong step of a run.

The answers are few and often wrong, so no majority decides: each step has a Beta count, and a step is drawn from them
(Thompson sampling). A wrong name costs one draw and not the search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from flowbot.fields import Field, Type
from flowbot.fields.words import count
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import instruction_text, right_text, run_text, value_text
from flowbot.optimizer.seams import Context
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import Once, all_of
from flowbot.runtime.trace import node_path

from .parts import suspects
from .question import SEEN_TOKENS
from .rules import blamed_by_rule, may_be_blamed
from .runs import failing, varied

ASKED = 6
"""Failing runs that are looked at."""
UNMENDED = 0.5
"""How likely a step at fault is taken to be still at fault after a try to mend it."""
STEP_TOKENS = 40
QUOTE_TOKENS = 140


@dataclass(frozen=True, slots=True)
class Blamed:
    """What the runs of one program say of its steps.

    Args:
        runs: by the path of every suspect, how many runs speak against it.
        feedback: what was said to find it out.
    """

    runs: Mapping[str, int]
    feedback: tuple[Feedback, ...] = ()

    def draw(self, rng: Random, tries: Mapping[str, int]) -> str:
        """A step, drawn by how likely it is that most mistakes begin there and that so many tries did not mend it: where those who blame
        are wrong every step has its turn soon."""
        asked = sum(self.runs.values())
        drawn = {
            path: rng.betavariate(1 + against, 1 + asked - against) * UNMENDED ** tries.get(path, 0)
            for path, against in self.runs.items()
        }
        return max(drawn, key=lambda path: drawn[path])

    @property
    def shown(self) -> list[str]:
        """Ids of the rows that the meta model was shown, where it named a step: they are no evidence for what came of it."""
        return [each.example for each in self.feedback if each.source == "meta"]

    def on(self, path: str) -> list[Feedback]:
        """What was said against one step."""
        return [each for each in self.feedback if _step(each) == path]


@dataclass(slots=True)
class Blame:
    """Finds the step to blame, once a program: proposals that are made side by side share what was found."""

    _known: Once[Blamed] = field(default_factory=Once[Blamed])

    def cost(self, program: WorkflowProgram, rows: Sequence[Row]) -> int:
        """Questions to the meta model that `of` takes at most."""
        if program.hash in self._known.made or len(suspects(program)) < 2:
            return 0
        return min(ASKED, len(failing(rows)))

    async def of(self, search: Context, program: WorkflowProgram) -> Blamed:
        """What the failing runs that are recorded by the first call say. The program has at least one suspect."""
        return await self._known.of(program.hash, lambda: _blamed(search, program))


async def _blamed(search: Context, program: WorkflowProgram) -> Blamed:
    paths = suspects(program)
    if len(paths) < 2:
        return Blamed(dict.fromkeys(paths, 0))
    wrong = failing(search.recorded(program, search.training))
    rows = search.told(program, varied(wrong, search.rng(f"blame/{program.hash}"))[:ASKED])
    search.watch.step(f"asking for the first wrong step of {count(len(rows), 'run')}")
    said = [each for each in await all_of(_first_wrong(search, program, row, paths) for row in rows) if each]
    against = Counter(map(_step, said))
    return Blamed({path: against[path] for path in paths}, tuple(said))


def _step(said: Feedback) -> str:
    """The step that it speaks against."""
    return said.part or node_path(said.place)


async def _first_wrong(search: Context, program: WorkflowProgram, row: Row, paths: Sequence[str]) -> Feedback | None:
    """Feedback on the step that a run speaks against; None where the meta model names none."""
    if (seen := blamed_by_rule(program, row, search.task.metric, paths)) is not None:
        call = row.trace.step(seen[0])
        paths = may_be_blamed(call, paths) if call is not None else paths
        if len(paths) == 1:  # of several texts in one call a rule tells none
            part = paths[0] if call is not None and call.texts else ""
            return search.feedback(program.hash, row.example.id, *seen, part=part, source="rule")
    large = search.meta_mode == "large"
    steps = [{"step": path, "instruction": instruction_text(program.workflow, path)} for path in paths]
    system = fill("blame_step", goal=search.task.goal, steps=steps, quote=large)
    run = run_text(row, SEEN_TOKENS[search.meta_mode])
    evidence = [Field.of("evidence", "str")] if large else []
    fields = [*evidence, Field("step", Type("literal", options=tuple(paths)))]
    user = f"{run}\n{right_text(row, search.task.metric)}"
    reply = await search.ask_fields(
        system, user, fields, "gradients", max_tokens=QUOTE_TOKENS if large else STEP_TOKENS
    )
    if reply is None:
        return None
    quote = str(reply.get("evidence", "")).strip().strip('"“”')
    # Words that do not stand in the run are no evidence.
    shown = f": “{value_text(quote)}”" if quote and quote in run else ""
    return search.feedback(program.hash, row.example.id, str(reply["step"]), f"the first wrong step{shown}")
