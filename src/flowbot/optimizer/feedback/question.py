"""The one question about a call by which its feedback is told apart: which of its parameters and inputs caused it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowbot.fields import Field, Type
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import fair_share, output_text, shown_values, value_text, values_text
from flowbot.optimizer.seams import Context, MetaMode
from flowbot.optimizer.step_view import StepView, call_view
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step

from .links import Link, givers
from .parts import is_not_here, names_of, parameters_of_call

SEEN_TOKENS: Mapping[MetaMode, int] = {"small": 600, "large": 4000}
"""Tokens of the values, texts and feedback that one question about a call shows; they share them."""
LETTERS = "ABCDEFGHIJKL"
"""As many changes as a small model can read."""
TOKENS_A_PART = 120
FAULT_TOKENS = 100
NONE = "none"


@dataclass(frozen=True, slots=True)
class Heard:
    """What is said of what a call gave: by whom, the words, and the feedback that they come from; none for the loss."""

    link: Link
    words: str
    said: Feedback | None = None

    @property
    def text(self) -> str:
        """The words with who says them, and of what."""
        link = self.link
        match link.how:
            case "end":
                return self.words
            case "read":
                return f"`{link.reader}`, of its input {link.part.removeprefix('in.')}: {self.words}"
            case "way":
                return f"On the way that was taken, of `{link.reader}`: {self.words}"
            case "until":
                return f"After the loop was told to go on or to end, of {_place(link)}: {self.words}"
            case "skip":
                return f"Of {_place(link)}: {self.words}"


def _place(link: Link) -> str:
    return f"`{link.reader}`" if link.reader else "the result"


def passed_on(program: WorkflowProgram, row: Row, step: Step) -> list[str] | None:
    """The parts on which what a call got is passed on as it is, without a question; None where one is to be asked.

    A tool, a condition, a merge or code that may not be changed passes it to the one input that another call gave; a merge to what it
    went on with.
    """
    view = call_view(program.workflow, step)
    if parameters_of_call(program, step):
        return None
    read = givers(program, row, step)
    inputs = list(dict.fromkeys(name for name, _, _ in read))
    if view.kind == "merge" and view.how in ("first", "vote"):
        return list(dict.fromkeys(f"in.{name}" for name, _, taken in read if taken))
    if view.writes and inputs:
        return None  # nobody may change it, but that is no reason to blame what it read
    return [f"in.{name}" for name in inputs] if len(inputs) < 2 else None


def questions_of(program: WorkflowProgram, row: Row, step: Step) -> int:
    """Questions about one call: 1, or 0 where what it got is passed on."""
    return int(passed_on(program, row, step) is None)


async def ask_parts(
    context: Context, program: WorkflowProgram, row: Row, step: Step, heard: Sequence[Heard]
) -> dict[str, str]:
    """What is said of each part of a call that is at fault, by part: its parameters first, then its inputs."""
    mode = context.meta_mode
    told = parameters_of_call(program, step)
    given = _givers(program, row, step)
    if mode == "small":  # what is not there yet is no concrete choice
        told = {part: text for part, text in told.items() if text or part in ("instruction", "code")}
    names = names_of([*told, *(f"in.{name}" for name in given)])
    if not names:
        return {}
    said = [each.text for each in heard]
    most = fair_share([*told.values(), *step.inputs.values(), *shown_values(step), *said], SEEN_TOKENS[mode])
    system = fill(
        "grad_parts",
        goal=context.task.goal,
        step=step.node,
        does=_does(call_view(program.workflow, step), step),
        one=mode == "small",
        parameters=[
            {"name": name, "text": value_text(told[part], most)} for name, part in names.items() if part in told
        ],
        inputs=[
            {"name": name, "part": part.removeprefix("in."), "from": given[part.removeprefix("in.")]}
            for name, part in names.items()
            if part not in told
        ],
    )
    feedback = "\n".join(value_text(each, most) for each in said)
    user = (
        f"{_which(row, step)}It received:\n{values_text(step.inputs, most=most)}\nIt gave:\n{output_text(step, most)}\n"
        f"Feedback on what it gave, in order of time:\n{feedback}"
    )
    if mode == "small":
        options = Type("literal", options=(*names, NONE))
        fields = [Field.of("fault", "str"), Field("part", options)]
        reply = await context.ask_fields(system, user, fields, "gradients", max_tokens=FAULT_TOKENS)
        if reply is None or reply["part"] == NONE or is_not_here(str(reply["fault"])):
            return {}
        return {names[str(reply["part"])]: str(reply["fault"]).strip()}
    fields = [Field.of(name, "str") for name in names]
    most_tokens = TOKENS_A_PART * len(names)
    reply = await context.ask_fields(system, user, fields, "gradients", max_tokens=most_tokens) or {}
    texts = {part: str(reply.get(name, "")).strip() for name, part in names.items()}
    return {part: text for part, text in texts.items() if not is_not_here(text)}


def _givers(program: WorkflowProgram, row: Row, step: Step) -> dict[str, str]:
    """The inputs that other calls gave, by name, each with which calls those were."""
    found: dict[str, list[str]] = {}
    for name, address, _ in givers(program, row, step):
        found.setdefault(name, []).append(f"`{address}`")
    return {name: ", ".join(addresses[-3:]) for name, addresses in found.items()}


def _which(row: Row, step: Step) -> str:
    """Which of several calls of its step it is, in order of time."""
    calls = [each.address for each in row.trace.steps if each.node == step.node]
    if len(calls) < 2:
        return ""
    return f"This is `{step.address}`, call {calls.index(step.address) + 1} of {len(calls)} of the step in this run.\n"


def _does(view: StepView, step: Step) -> str:
    """What kind of step it is, in words."""
    match view.kind:
        case "llm" | "model":
            return "a call to a model" + (", which may call tools in turns before it answers" if step.calls else "")
        case "code":
            return "a Python function"
        case "tool" | "step" if view.about:
            return f"this function of the user's own:\n{view.about}"
        case "tool":
            return f"the tool `{view.how}`"
        case "branch":
            chosen = (step.outputs or {}).get("way", "none")
            return f"it chooses one of the ways {', '.join(view.ways)}, and took {chosen}: say whether that was right"
        case "merge" if view.how == "judge":
            return "a model picks the best of what it received"
        case "merge":
            return "it joins all that it received"
        case kind:
            return kind
