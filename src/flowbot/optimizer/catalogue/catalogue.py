"""Every change of every step, by the patterns of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from flowbot.fields import UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.fields.plugins import find_plugin, plugin_names
from flowbot.optimizer.step_models import StepModels
from flowbot.task import Task
from flowbot.workflow.nodes import LLMNode, is_frozen, walk
from flowbot.workflow.scope import Scope
from flowbot.workflow.workflow import Workflow

from .change import NO_CHOICE, Call, Change, Pattern, Place
from .computing import calculate, compute, program
from .derive import derive
from .escalation import escalate
from .patterns import best, by_kind, each_item, refine, use_tools, vote
from .programs import around_program
from .reading import quote, route
from .removal import remove
from .steps import answer_only, call_tool, plan, review, rewrite, think

PATTERNS: tuple[Pattern, ...] = (
    compute, derive, calculate, program, review, vote, think, answer_only, rewrite, plan, quote, call_tool, refine, best, each_item,
    by_kind, route, use_tools, escalate, around_program, remove,
)  # fmt: skip
"""The patterns that FlowBot comes with, in the order in which their changes are offered."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Which changes there are.

    Args:
        patterns: what finds the changes about a step.
    """

    patterns: Sequence[Pattern] = PATTERNS

    def changes(self, workflow: Workflow, task: Task, models: StepModels = NO_CHOICE) -> list[Change]:
        """The changes about every step that is not frozen, step by step; whether one leads to a valid workflow is not known yet.

        Args:
            workflow: whose steps.
            task: what is to be solved.
            models: those that a step may be given.

        Raises:
            UserError: if two changes have the same key.
        """
        scope, found = Scope.of(workflow.sketch), dict[str, Change]()
        for path, node in walk(workflow.sketch):
            if is_frozen(workflow.sketch, path):
                continue
            body = scope.at(path)
            place = (
                Call(workflow, task, path, node, body, models)
                if isinstance(node, LLMNode)
                else Place(workflow, task, path, node, body, models)
            )
            for change in (each for pattern in self.patterns for each in pattern(place)):
                if found.setdefault(change.key, change) is not change:
                    raise UserError("catalogue", f"two changes {change.key!r}", "a kind or variant of its own for each")
        return list(found.values())


def find_pattern(name: str) -> Pattern:
    """The pattern that an installed package offers under a name, by the entry point group `flowbot.patterns`.

    Raises:
        UserError: if none does, or it cannot be loaded.
    """
    plugin = find_plugin("patterns", name)
    if plugin is None:
        known = plugin_names("patterns")
        raise UserError(
            "pattern", shown(name), one_of(name, known) if known else "one of an installed package; there is none"
        )
    found = plugin.load()
    if not callable(found):
        raise plugin.refused(shown(found), "a function from a Place to changes")
    return cast("Pattern", found)
