"""Runs, steps and values as short text for the prompts of the meta model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flowbot.runtime.evaluation import Row
from flowbot.runtime.scoring import PERSON
from flowbot.runtime.trace import Step, ToolCall
from flowbot.task import Metric
from flowbot.workflow.captions import way_text
from flowbot.workflow.conditions import say
from flowbot.workflow.graph import topological
from flowbot.workflow.nodes import (
    BodyNode,
    BranchNode,
    CodeNode,
    CoreNode,
    HasNodes,
    LLMNode,
    LoopNode,
    MapNode,
    MergeNode,
    Node,
    ProgramNode,
    ToolNode,
)
from flowbot.workflow.parameters import (
    ChoiceParameters,
    CodeParameters,
    CoreParameters,
    LLMParameters,
    ProgramParameters,
)
from flowbot.workflow.prompt import prompt_text
from flowbot.workflow.workflow import Workflow

from .inside import Inside

MOST = 600
"""Characters of one value where it does not share its room with others."""
MOST_PROMPT = 6000
"""Characters of a prompt of the user's own."""
MOST_SAID = 3000
"""Characters of what a metric, its judge and a person say of one run."""
RUN_TOKENS = 1000
"""Tokens of the values of one run, unless a question has another budget."""
LEAST = 80
"""Characters that every value has, however little room there is."""
LETTERS_PER_TOKEN = 4
REPEATS = 3
"""Steps of a loop, items of a map and samples of a node that a prompt shows: the first ones and the last."""


def fair_share(values: Iterable[Any], tokens: int) -> int:
    """Characters that each of these values may have, so that together they keep to so many tokens: what short ones leave the long
    ones share evenly."""
    lengths = sorted(len(_text(value)) for value in values)
    room = LETTERS_PER_TOKEN * tokens
    for place, length in enumerate(lengths):
        share = room // (len(lengths) - place)
        if length > share:
            return max(LEAST, share)
        room -= length
    return max([LEAST, *lengths])


def value_text(value: Any, most: int = MOST) -> str:
    """One value. Of more than `most` characters the middle is left out, and how much that is said."""
    text = _text(value)
    if len(text) <= most:
        return text
    room = max(0, most - len(f" … {len(text):,} characters left out … "))
    end = room // 4
    return f"{text[: room - end]} … {len(text) - room:,} characters left out … {text[len(text) - end :]}".rstrip()


def values_text(values: Mapping[str, Any] | None, prefix: str = "", most: int = MOST) -> str:
    """Values as `name: value` lines, each of at most `most` characters."""
    if not values:
        return f"{prefix}(nothing)"
    return "\n".join(f"{prefix}{name}: {value_text(value, most)}" for name, value in values.items())


def output_text(step: Step, most: int = MOST) -> str:
    """What a step gave: its outputs, or its error; before it the tools that were called, turn by turn, after it what else is to be
    said. Each value has at most `most` characters."""
    called = [
        f"turn {turn}: called {call.tool}({value_text(_arguments(call), most)}): {value_text(_result(call), most)}"
        for turn, call in zip(_turns(step), step.calls, strict=True)
    ]
    gave = f"error: {value_text(step.error, most)}" if step.error else values_text(step.outputs, most=most)
    return "\n".join([*called, gave, *([f"({step.note})"] if step.note else [])])


def shown_values(step: Step) -> list[Any]:
    """The values of which `output_text` shows `most` characters each."""
    called = [value for call in step.calls for value in (_arguments(call), _result(call))]
    return [*called, *([step.error] if step.error else (step.outputs or {}).values())]


def _turns(step: Step) -> list[int]:
    """The turn of each tool call: those of one reply are made at once."""
    sizes = [len(message.calls) for message in step.messages if message.role == "assistant" and message.calls]
    turns = [turn for turn, size in enumerate(sizes, start=1) for _ in range(size)]
    return turns if len(turns) == len(step.calls) else list(range(1, len(step.calls) + 1))


def _arguments(call: ToolCall) -> str:
    return json.dumps(dict(call.arguments), ensure_ascii=False)[1:-1]


def _result(call: ToolCall) -> Any:
    return f"error: {call.error}" if call.error else dict(call.result or {})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def mistake_text(row: Row, number: int, metric: Metric, tokens: int = RUN_TOKENS) -> str:
    """One scored run: inputs, what every step gave, what was expected, what was said of it. Its values keep to so many tokens."""
    steps = row.trace.steps
    if len(steps) == 1:
        most = fair_share([*row.trace.inputs.values(), *shown_values(steps[0])], tokens)
        run = f"{values_text(row.trace.inputs, most=most)}\n{output_text(steps[0], most)}"
    else:
        run = run_text(row, tokens)
    return f"Mistake {number}\n{run}\n{right_text(row, metric)}"


def mistake_texts(rows: Iterable[Row], metric: Metric) -> list[str]:
    """Some scored runs, numbered, as `mistake_text` has each."""
    return [mistake_text(row, number, metric) for number, row in enumerate(rows, start=1)]


def expected_text(row: Row, most: int = MOST) -> str:
    """What was expected, or that nobody knows it."""
    return values_text(row.example.expected, most=most) if row.example.expected else "(no right answer is known)"


def right_text(row: Row, metric: Metric) -> str:
    """What would have been right, and what the metric or a person said where that is more than the comparison of the two."""
    lines = [values_text(row.example.expected, "right ")] if row.example.expected else []
    said = row.score.feedback
    if metric.built_in and row.example.expected:
        said = PERSON + row.example.feedback if row.example.feedback else ""
    if said:
        lines.append(f"judged {value_text(said)}")
    return "\n".join(lines) or "(no right answer is known)"


def run_text(row: Row, tokens: int = RUN_TOKENS) -> str:
    """The steps of one run, in order. Its values keep to so many tokens, which they share."""
    shown = list(_shown_steps(Inside(row.trace).told))
    values = [value for step in shown if isinstance(step, Step) for value in shown_values(step)]
    most = fair_share([*row.trace.inputs.values(), *values], tokens)
    lines = (
        f"[{step}] (others like these are left out)"
        if isinstance(step, str)
        else f"[{', told by '.join([step.address, *filter(None, [', '.join(step.texts)])])}]\n{output_text(step, most)}"
        for step in shown
    )
    return "\n".join([values_text(row.trace.inputs, most=most), *lines])


_NUMBER = re.compile(r"([\[#])(\d+)(?=\]|/|$)")


def _shown_steps(steps: Sequence[Step]) -> Iterator[Step | str]:
    """The steps to show; of many repetitions the first, the last, and the first that failed, then the name of what others are
    left out of."""
    shown = _shown_numbers(steps)
    left_out: set[str] = set()
    for step in steps:
        hidden = next((group for group, number in _repetitions(step.address) if number not in shown[group]), None)
        if hidden is None:
            yield step
        elif hidden not in left_out:
            left_out.add(hidden)
            yield hidden


def _repetitions(address: str) -> list[tuple[str, int]]:
    """What an address says of repetitions: `each/refine[7]/critic[2]` is the 7th of `each`, the 2nd of `each/refine[7]`."""
    found: list[tuple[str, int]] = []
    for match in _NUMBER.finditer(address):
        before = address[: match.start()]
        found.append((before if match[1] == "#" else before.rpartition("/")[0], int(match[2])))
    return found


def _shown_numbers(steps: Sequence[Step]) -> dict[str, set[int]]:
    """For each thing that was repeated the repetitions to show."""
    numbers: dict[str, dict[int, bool]] = {}
    for step in steps:
        for group, number in _repetitions(step.address):
            known = numbers.setdefault(group, {})
            known[number] = known.get(number, False) or bool(step.error)
    shown: dict[str, set[int]] = {}
    for group, known in numbers.items():
        ordered = sorted(known)
        failed = [number for number in ordered if known[number]]
        shown[group] = {*ordered[: REPEATS - 1], *ordered[-1:], *failed[:1]}
    return shown


def loss_text(row: Row, most: int = MOST_SAID) -> str:
    """The score and what the metric says of it, in at most `most` characters."""
    said = value_text(row.score.feedback, most)
    return f"{row.score.value:.2f}" + (f" ({said})" if said else "")


def instruction_text(workflow: Workflow, node: str) -> str:
    """What the step at a path is told: instruction, prompt or code."""
    match workflow.parameter(node):
        case LLMParameters() as given:
            said = value_text(prompt_text(given.messages), MOST_PROMPT) if given.messages else given.instruction
            return " ".join(part for part in (said, given.format_hint) if part)
        case CodeParameters() as given:
            return given.code
        case CoreParameters() as given:
            return given.program
        case ProgramParameters() as given:
            return "\n".join(f"{name}: {given.plain_text(name)}" for name in given.texts)
        case ChoiceParameters() as given:
            return given.instruction
        case _:
            return ""


def sentence(workflow: Workflow) -> str:
    """The workflow in one line of plain words, a clause a step in order; the steps of a body in brackets after it."""
    return f"{_clauses(workflow, workflow.sketch, '')}."


def _clauses(workflow: Workflow, holder: HasNodes, path: str) -> str:
    """The steps of one body; `path` is that of the body, as `refine/`."""
    clauses: list[str] = []
    for name in topological(holder):
        node = holder.nodes[name]
        clause = _clause(workflow, f"{path}{name}", node)
        if node.when is not None:
            branch, _, way = node.when.partition(".")
            clause = f"if `{path}{branch}` takes `{way}`: {clause}"
        if isinstance(node, BodyNode):
            clause += f" [{_clauses(workflow, node, f'{path}{name}/')}]"
        clauses.append(clause)
    return "; ".join(clauses)


def _clause(workflow: Workflow, path: str, node: Node) -> str:
    reads = _ticked(node.references())
    writes = ", then ".join(f"`{field}`" for field in node.gives)
    match node:
        case LLMNode():
            return f"LLM call `{path}` reads {reads}, writes {writes}{_more(workflow, path)}"
        case CodeNode():
            return f"Python step `{path}` computes {writes} from {reads}"
        case ProgramNode():
            return f"the user's own program `{path}` gives {writes} from {reads}"
        case CoreNode():
            return f"a program in words `{path}`, carried out step by step, gives {writes} from {reads}"
        case ToolNode():
            return f"tool `{node.tool}` gives {writes} from {reads}"
        case MergeNode(how="judge"):
            shown = f", shown {_ticked(tuple(node.given.values()))}" if node.given else ""
            return f"`{path}` asks a model for the best of {_ticked(node.inputs)}{shown}"
        case MergeNode():
            return f"`{path}` merges {reads} ({node.how})"
        case BranchNode() if node.asks:
            return f"branch `{path}` asks a model to choose {_ticked(node.ways, ' or ')} by {reads}"
        case BranchNode():
            ways = ", ".join(f"`{label}` {way_text(guard)}".strip() for label, guard in node.ways.items())
            return f"branch `{path}` reads {reads}, takes {ways}"
        case LoopNode():
            until = "" if node.until is None else f" until {say(node.until)}"
            carried = ", ".join(
                f"`{name}` (first `{carry.start}`, then `{carry.next}`)" for name, carry in node.carry.items()
            )
            return f"loop `{path}` repeats up to {node.max} times{until}, carrying {carried}"
        case MapNode():
            collected = ", ".join(f"`{name}` (of each `{reference}`)" for name, reference in node.out.items())
            return f"map `{path}` runs for each `{node.item}` of `{node.over}`, collects {collected}"


def _more(workflow: Workflow, path: str) -> str:
    """What sets an LLM call apart: that it is made several times, that it may call tools."""
    given = workflow.parameter(path)
    if not isinstance(given, LLMParameters):
        return ""
    samples = f", {given.samples} samples" if given.samples > 1 else ""
    return samples + (f", may call {_ticked(given.tools)}" if given.tools else "")


def _ticked(names: Sequence[str] | Mapping[str, Any], between: str = ", ") -> str:
    return between.join(f"`{name}`" for name in names)


_FENCE = re.compile(r"```[a-zA-Z0-9]*\s*\n(.*?)(?:```|\Z)", re.DOTALL)


def fenced(reply: str) -> str:
    """The code in the first fenced block of a reply, or the whole reply where there is none."""
    match = _FENCE.search(reply)
    return (match.group(1) if match else reply).strip()
