"""Workflows of 3 to 12 tunable steps, one of which is spoiled.

The steps stand in a line, in which there are branches (by a condition, or by a model), loops and maps. Each step turns what it reads
into another number, so a wrong output always travels on and makes the answer wrong. The instruction, the hint or the code of one
step is spoiled: it then fails on a share of what it is given. A few rows are labelled wrongly, for which no step is to blame.
Demonstrations, samples and temperatures change nothing here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from flowbot.runtime.program import WorkflowProgram
from flowbot.task import Task
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import ChoiceParameters, CodeParameters, LLMParameters, Parameters
from flowbot.workflow.workflow import Workflow

CARE, HASTE = "with care", "in haste"
"""What stands in a text that is whole, and in one that is spoiled."""
CURE = "Whatever is said above, work well."
"""A line that makes up for a spoiled text."""
SHARE_WRONG = 0.4, 0.9
"""Of what a spoiled step is given, it fails on a share between these."""
MISLABELLED = 0.05
ROWS = 30
"""Of training, and of validation."""
FAULTS = ("instruction", "instruction", "instruction", "hint", "code")
"""What is spoiled, by lot; a workflow without code gets another."""
STEPS = 3, 4, 5, 6, 8, 12
"""How many of them there are, by lot."""
WAYS = "low", "high"
SHARE_CODE = 0.25
"""Of the steps, where it can be: the others ask a model."""
Answered: TypeAlias = Callable[[Workflow, Sequence[str]], Awaitable[Sequence[str]]]


def told(name: str, care: str, version: int = 0) -> str:
    """The instruction of a step."""
    again = f" Version {version}." if version else ""
    return f"You are {name}. Work {care}.{again}"


def code_of(name: str, care: str, version: int = 0) -> str:
    """The code of a step, as the simulated sandbox reads it."""
    return f"def run(v):\n    # {told(name, care, version)}\n    return {{'v': v}}"


@dataclass(frozen=True)
class World:
    """One planted fault.

    Args:
        seed: the same seed is the same workflow, fault and rows.
        start: the workflow with its spoiled step.
        whole: the same without it.
        forms: what stands in it: step, loop, map, branch.
        paths: of its tunable steps.
        fault: path of the spoiled one.
        what: of its parameters is spoiled.
        raises: whether it raises an error where it fails.
        share_wrong: of what it is given, it fails on this share.
        favourite: path that a wrong critic likes to name.
        mislabelled: inputs of the rows that are labelled wrongly.
        task: rows with what the whole workflow gives for them, but for these.
    """

    seed: int
    start: WorkflowProgram
    whole: WorkflowProgram
    forms: tuple[str, ...]
    paths: tuple[str, ...]
    fault: str
    what: str
    raises: bool
    share_wrong: float
    favourite: str
    mislabelled: frozenset[str]
    task: Task

    def spoiled(self, workflow: Workflow) -> list[str]:
        """Paths of the steps whose texts are not whole."""
        return [path for path in self.paths if not is_whole(text_of(workflow.parameter(path)))]


async def planted(seed: int, answered: Answered, steps: Sequence[int] = STEPS) -> World:
    """The world of a seed.

    Args:
        seed: of every choice.
        answered: runs a workflow on inputs, with whole steps.
        steps: how many tunable ones there may be.
    """
    rng = Random(f"world/{seed}")
    whole, forms = _built(rng, rng.choice(steps))
    paths = [path for path, _ in walk(whole.sketch) if text_of(whole.parameter(path))]
    kinds = {path: type(whole.parameter(path)) for path in paths}
    coded = [path for path in paths if kinds[path] is CodeParameters]
    what = rng.choice(FAULTS if coded else [each for each in FAULTS if each != "code"])
    asked = [path for path in paths if path not in coded]
    fault = rng.choice(
        {"code": coded, "hint": [path for path in asked if kinds[path] is LLMParameters]}.get(what, asked)
    )
    numbers = [str(each) for each in rng.sample(range(10_000, 99_999), 2 * ROWS + 1)]
    mislabelled = frozenset(each for each in numbers if rng.random() < MISLABELLED)
    answers = await answered(whole, numbers)
    rows = [{"x": x, "y": "0" if x in mislabelled else y} for x, y in zip(numbers, answers, strict=True)]
    branched = any(node.when for path, node in walk(whole.sketch) if path == fault)
    return World(
        seed,
        start=WorkflowProgram(whole.with_parameter(fault, _spoiled(whole.parameter(fault), name_of(fault), what))),
        whole=WorkflowProgram(whole),
        forms=forms,
        paths=tuple(paths),
        fault=fault,
        what=what,
        raises=what == "code" and rng.random() < 0.5,
        share_wrong=1.0 if branched else rng.uniform(*SHARE_WRONG),
        favourite=rng.choice([path for path in paths if path != fault]),
        mislabelled=mislabelled,
        task=Task(
            goal="Turn one number into another.",
            inputs={"x": "str"},
            outputs={"y": "str"},
            metric="exact",
            train=rows[:ROWS],
            val=rows[ROWS : 2 * ROWS],
            test=rows[2 * ROWS :],
        ),
    )


def name_of(path: str) -> str:
    """The name by which a step at a path is told who it is."""
    return path.rpartition("/")[2]


def text_of(parameters: Parameters) -> str:
    """All that a step is told; "" for one that is told nothing."""
    match parameters:
        case LLMParameters():
            return f"{parameters.instruction} {parameters.format_hint}"
        case ChoiceParameters():
            return parameters.instruction
        case CodeParameters():
            return parameters.code
        case _:
            return ""


def is_whole(text: str) -> bool:
    """Whether a step that is told this works."""
    return CURE in text or (CARE in text and HASTE not in text)


def _spoiled(old: Parameters, name: str, what: str) -> Parameters:
    if isinstance(old, CodeParameters):
        return CodeParameters(code=code_of(name, HASTE))
    spoiled = {"format_hint": f"Write {HASTE}."} if what == "hint" else {"instruction": told(name, HASTE)}
    return old.model_copy(update=spoiled)


def _built(rng: Random, steps: int) -> tuple[Workflow, tuple[str, ...]]:
    """A workflow whose steps are all whole, and the forms in it."""
    nodes: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    forms: list[str] = []
    left, number = steps, 0

    def step(reads: str, among: dict[str, Any], before: str = "", coded: bool = True, **more: Any) -> str:
        """Add a step; gives its name."""
        nonlocal left, number
        number, left = number + 1, left - 1
        name, is_code = f"s{number}", coded and rng.random() < SHARE_CODE
        among[name] = {"kind": "code" if is_code else "llm", "in": {"v": reads}, "out": {"v": "str"}, **more}
        text = {"instruction": told(name, CARE), "format_hint": "One number."}
        parameters[before + name] = {"code": code_of(name, CARE)} if is_code else text
        return name

    last = step("x", nodes, coded=False) + ".v"
    while left:
        needs = {"step": 1, "loop": 1, "branch": 2, "map": 3}
        form = rng.choice([each for each, most in needs.items() if most <= left])
        forms.append(form)
        name, body = f"{form}{number}", dict[str, Any]()
        if form == "step":
            last = step(last, nodes) + ".v"
        elif form == "loop":
            first = step("d", body, f"{name}/")
            end = step(f"{first}.v", body, f"{name}/") if left and rng.random() < 0.5 else first
            carry = {"d": {"type": "str", "start": last, "next": f"{end}.v"}}
            nodes[name] = {"kind": "loop", "max": 2, "carry": carry, "nodes": body}
            last = f"{name}.d"
        elif form == "map":
            lister = step(last, nodes, coded=False)
            nodes[lister]["out"] = {"v": "list[str]"}
            inner = step("item", body, f"{name}/")
            nodes[name] = {"kind": "map", "over": f"{lister}.v", "limit": 2, "nodes": body, "out": {"vs": f"{inner}.v"}}
            last = step(f"{name}.vs", nodes, coded=False) + ".v"
        else:
            chosen = left > 2 and rng.random() < 0.5
            nodes[name] = {"kind": "branch", "in": {"v": last}, "ways": list(WAYS)}
            if chosen:
                parameters[name], left = {"instruction": told(name, CARE)}, left - 1
            else:
                nodes[name]["ways"] = {WAYS[0]: {"ref": "v", "op": "contains", "value": "7"}, WAYS[1]: "else"}
            ends = [step(last, nodes, when=f"{name}.{way}") + ".v" for way in WAYS]
            nodes[f"join{number}"] = {"kind": "merge", "how": "first", "in": ends, "out": {"v": "str"}}
            last = f"join{number}.v"
    data = {"flowbot": 1, "inputs": {"x": "str"}, "outputs": {"y": last}, "nodes": nodes, "parameters": parameters}
    return Workflow.from_data(data), tuple(sorted(set(forms)))
