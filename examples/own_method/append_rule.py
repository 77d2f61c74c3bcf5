"""A method of one's own in one file: a proposer that appends a rule to an instruction, in the search of the default method."""

from collections.abc import Sequence

import flowbot.optimizer.methods as m
from flowbot.optimizer.feedback.parts import suspects
from flowbot.optimizer.parameters.step_change import option, proposal
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.run.events import Arm
from flowbot.workflow.parameters import LLMParameters

RULES = ("Check the answer once more before you give it.", "Where nothing fits, take what is nearest.")


class AppendRule:
    """Offers to append a rule to the instruction of every LLM call that may be tuned: no model is asked for it."""

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """What could be tried on a parent: a rule for each of its steps."""
        program = parent.program
        paths = [path for path in suspects(program) if isinstance(program.workflow.parameter(path), LLMParameters)]
        arms = [Arm(kind="rule", place=path) for path in paths]
        return [option(program, arm, f"append a rule to `{arm.place}`", most=len(RULES)) for arm in arms]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """The parent with the next rule at the step in focus."""
        path, rule = focus.option.arm.place, RULES[focus.draw]
        told = parent.program.workflow.parameter(path)
        assert isinstance(told, LLMParameters)
        changed = None if rule in told.instruction_text else told.with_added_text(rule)
        title = f"append to `{path}`: {rule}"
        return [proposal(parent.program, path, changed, "the rule stands there", "a rule", title=title, source="prior")]


METHOD = m.PoolMethod("append-rule", proposers=lambda: [AppendRule()], critic=None)
