"""Append one line to what a step is told: for a label what its inputs have in common, else one of some neutral rules; a large meta
model writes the line. What is said already stays: a small model's free rewrite loses more than it adds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from flowbot.optimizer.feedback.blame import Blame
from flowbot.optimizer.feedback.runs import calls_of, failing, good
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import mistake_texts, right_text, sentence, value_text, values_text
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.task_kinds import step_kinds
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram

from .accept import accepted
from .rule_lines import labels_of, neutral_lines, output_kinds
from .step_change import Aim, aim, option, proposal, said, task_outputs, text_steps, with_line
from .written import text_of

WORDS = 25
"""Of a line."""
_BULLET = re.compile(r"^\s*(?:(?:[-*•]|\d+[.)])\s+)?")
OF_LABEL, OF_OTHERS = 3, 2
"""Inputs of a label, and of other labels, that a definition is made from."""
_Kept = tuple[str, str, str]
"""A line to try: the output and the label that it is to define, or the line as it is."""


@dataclass(slots=True)
class Rule:
    """Appends a line.

    Args:
        most: lines that are tried on one program.
        mistakes: failing runs that a large model writes a line from.
        blame: finds the step; proposers may share one.
    """

    most: int = 4
    mistakes: int = 6
    blame: Blame = field(default_factory=Blame)
    _lines: dict[tuple[str, str], list[_Kept]] = field(default_factory=dict[tuple[str, str], list[_Kept]])

    def options(self, parent: Candidate, context: Context) -> Sequence[Option]:
        """One, where runs went wrong in which a step ran that is told something."""
        program = parent.program
        rows = context.recorded(program, context.training)
        if not (paths := text_steps(program, failing(rows))):
            return []
        arm = Arm(kind="rule", place=paths[0] if len(paths) == 1 else "")
        asked = context.meta_mode == "large" or any(labels_of(context, program, path) for path in paths)
        cost = self.blame.cost(program, rows) + asked
        title = "append a rule to what a step is told"
        kinds = step_kinds(context, program, paths[0])
        return [option(program, arm, title, cost=cost, most=self.most, kinds=kinds, tokens=WORDS)]

    async def propose(self, parent: Candidate, focus: Focus, want: int, context: Context) -> Sequence[Proposal]:
        """One line more; which one the number of the draw says."""
        program, draw = parent.program, focus.draw
        aimed = await aim(context, program, focus, self.blame, draw)
        told = program.workflow.parameter(aimed.path)
        shown: Sequence[Row] = ()
        question, quotable = "", list[str]()
        if context.meta_mode == "large":
            shown = aimed.mistakes(self.mistakes, draw)
            question, quotable = _question(context, program, aimed.path, shown)
            line = one_line(text_of(await context.ask_text(question, "proposals", draw=draw), "")[0])
        else:
            output, label, line = self._next(context, program, aimed, draw)
            if label:
                shown, question = _definition(context, program, aimed, output, label)
                reply = await context.ask_text(question, "proposals", max_tokens=3 * WORDS)
                meaning = one_line(text_of(reply, "")[0])
                line = f"`{label}`: {meaning}" if meaning else ""
        parameters, fault = None, "there is no other rule to add"
        if line:
            text, part = with_line(told, line)
            parameters, fault = accepted(
                context,
                program.workflow,
                aimed.path,
                text,
                question=question,
                quotable=quotable,
                part=part,
                limit=len(text.split()),
            )
        elif shown:
            fault = "the reply was empty"
        return [
            proposal(
                program,
                aimed.path,
                parameters,
                fault,
                f"told in addition: {value_text(line)}",
                title=f"tell step `{aimed.path}` in addition: {value_text(line, 200)}",
                source="meta" if shown else "prior",
                shown=tuple(dict.fromkeys((*(row.example.id for row in shown), *aimed.blamed.shown))),
                feedback=aimed.blamed.feedback,
                because=(*focus.because, *(each.id for each in aimed.blamed.on(aimed.path))),
            )
        ]

    def _next(self, context: Context, program: WorkflowProgram, aimed: Aim, draw: int) -> _Kept:
        """The line of this draw: labels that most mistakes are expected to have, and neutral lines, in turn."""
        key = program.hash, aimed.path
        if key not in self._lines:
            told = said(program.workflow.parameter(aimed.path))
            lines = neutral_lines(output_kinds(context, program, aimed.path), told)
            context.rng(f"rule/{program.hash}/{aimed.path}").shuffle(lines)
            labels = [
                (output, label, "") for output, label in _missed(context, program, aimed) if f"`{label}`:" not in told
            ]
            turns = zip_longest(labels, [("", "", line) for line in lines])
            self._lines[key] = [each for each in chain.from_iterable(turns) if each]
        return dict(enumerate(self._lines[key])).get(draw, ("", "", ""))


def _question(context: Context, program: WorkflowProgram, path: str, rows: Sequence[Row]) -> tuple[str, list[str]]:
    """What a large meta model is asked for a line, and what of it a line may take over: what was said of the mistakes."""
    wrong = context.told(program, rows)
    question = fill(
        "rule_line",
        goal=context.task.goal,
        workflow=sentence(program.workflow),
        step=path,
        instruction=said(program.workflow.parameter(path)),
        mistakes=mistake_texts(wrong, context.task.metric),
        limit=WORDS,
    )
    return question, [right_text(row, context.task.metric) for row in wrong]


def _missed(context: Context, program: WorkflowProgram, aimed: Aim) -> list[tuple[str, str]]:
    """Labels that mistakes are said to have, with the output, the most often missed first."""
    outputs = labels_of(context, program, aimed.path)
    wrong = context.told(program, aimed.rows)
    found = [(each, _expected(context, program, aimed.path, row, each)) for each in outputs for row in wrong]
    return [each for each, _ in Counter(each for each in found if each[1] in outputs[each[0]]).most_common()]


def _expected(context: Context, program: WorkflowProgram, path: str, row: Row, output: str) -> str:
    return str(row.example.expected.get(task_outputs(context, program, path)[output], ""))


def _definition(
    context: Context, program: WorkflowProgram, aimed: Aim, output: str, label: str
) -> tuple[list[Row], str]:
    """Runs with a label and with others, and the question what those with it have in common."""
    right = good(context.recorded(program, context.training))
    known = [*context.told(program, aimed.rows), *right]
    ran = {row.example.id: row for row in known if calls_of(row, aimed.path)}
    of = {name: _expected(context, program, aimed.path, row, output) for name, row in ran.items()}
    mine = [row for name, row in ran.items() if of[name] == label][:OF_LABEL]
    others = [row for name, row in ran.items() if of[name] not in ("", label)][:OF_OTHERS]
    question = fill(
        "define_label",
        goal=context.task.goal,
        label=label,
        inputs=[_inputs(row, aimed.path) for row in mine],
        others=[_inputs(row, aimed.path) for row in others],
        limit=WORDS,
    )
    return [*mine, *others], question


def _inputs(row: Row, path: str) -> str:
    return values_text(calls_of(row, path)[0].inputs)


def one_line(reply: str) -> str:
    """The first line of a reply that says something, without a bullet or quotes around it, cut to `WORDS` words."""
    lines = (_BULLET.sub("", line).strip("\"'` ") for line in reply.splitlines())
    return " ".join(next((line for line in lines if line), "").split()[:WORDS])
