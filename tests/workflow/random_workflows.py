"""Random workflows and random damage, for the property-based tests."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from hypothesis import strategies as st

from flowbot.fields import is_name
from flowbot.workflow import Workflow, from_data

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,7}", fullmatch=True).filter(is_name)
TYPES = st.recursive(
    st.sampled_from(["str", "int", "float", "bool", "object", "Literal['yes', 'no']"]),
    lambda inner: st.one_of(
        inner.map(lambda t: f"list[{t}]"),
        st.lists(inner, min_size=1, max_size=2).map(
            lambda ts: "{" + ", ".join(f"m{i}: {t}" for i, t in enumerate(ts)) + "}"
        ),
    ),
    max_leaves=3,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXTS,
    "int": st.integers(-(10**20), 10**20),
    "float": st.one_of(st.just(1.0), st.floats(allow_nan=False, allow_infinity=False)),
    "bool": st.booleans(),
    "object": st.dictionaries(TEXTS, st.one_of(st.none(), TEXTS, st.integers(), st.booleans()), max_size=2),
    "Literal['yes', 'no']": st.sampled_from(["yes", "no"]),
}


@st.composite
def workflow_data(draw: st.DrawFn) -> dict[str, Any]:
    """A valid workflow in the file format: nodes read inputs and earlier nodes, and every node is used."""
    names = draw(st.lists(NAMES, min_size=3, max_size=9, unique=True))
    inputs = {name: draw(TYPES) for name in names[: draw(st.integers(1, 2))]}
    known = dict(inputs)
    nodes: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    loose: list[str] = []
    for name in names[len(inputs) :]:
        kind = draw(st.sampled_from(["llm", "code", "merge"]))
        read = draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=3, unique=True))
        out = draw(st.dictionaries(NAMES, TYPES, min_size=1, max_size=3))
        if kind == "merge":
            read = [read[0], *(other for other in read[1:] if known[other] == known[read[0]])]
            out = {next(iter(out)): known[read[0]]}
            node: dict[str, Any] = {
                "kind": kind,
                "how": draw(st.sampled_from(["first", "vote"])),
                "in": read,
                "out": out,
            }
        else:
            bound = dict(zip(draw(st.lists(NAMES, min_size=3, max_size=3, unique=True)), read, strict=False))
            node = {"kind": kind, "in": bound, "out": out}
            parameters[name] = draw(_parameters(kind, bound, out, known))
        if draw(st.integers(0, 4)) == 0:
            node["frozen"] = True
        if loose and draw(st.integers(0, 4)) == 0:
            loose_one = draw(st.sampled_from(loose))
            nodes[loose_one]["feedback_from"] = [name]
        nodes[name] = node
        loose = [other for other in loose if not any(ref.startswith(f"{other}.") for ref in read)] + [name]
        known |= {f"{name}.{output}": text for output, text in out.items()}
    ends = {f"out_{index}": f"{name}.{next(iter(nodes[name]['out']))}" for index, name in enumerate(loose)}
    return {"flowbot": 1, "inputs": inputs, "outputs": ends, "nodes": nodes, "parameters": parameters}


@st.composite
def _parameters(draw: st.DrawFn, kind: str, bound: dict[str, str], out: dict[str, str], known: dict[str, str]) -> Any:
    if kind == "code":
        return {"code": f"def run({', '.join(bound)}):\n    return {{}}" + draw(st.sampled_from(["", "\n", "\n\n"]))}
    given: dict[str, Any] = {"instruction": "Do it. " + draw(TEXTS)}
    if draw(st.booleans()):
        given["temperature"] = draw(st.floats(0, 2))
    types = [known[reference] for reference in bound.values()] + list(out.values())
    if all(each in VALUES for each in types):
        shown = {
            "inputs": {name: draw(VALUES[known[reference]]) for name, reference in bound.items()},
            "outputs": {name: draw(VALUES[text]) for name, text in out.items()},
            "example": draw(TEXTS),
        }
        given["demonstrations"] = [shown]
    return given


def workflows() -> st.SearchStrategy[Workflow]:
    """Valid workflows."""
    return workflow_data().map(from_data)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["llm", "merge", "code", "a.b", "a.b.c", ".", "list[", "Literal['\\x']", "{a: int, a: int}", "def run(:"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.one_of(st.text(max_size=6), st.integers()), st.text(max_size=6), max_size=2),
)


def _strings(data: Any) -> list[str]:
    """Every text in the data, names of nodes and fields included."""
    if isinstance(data, dict):
        return [*map(str, data), *(text for each in data.values() for text in _strings(each))]
    if isinstance(data, list):
        return [text for each in data for text in _strings(each)]
    return [data] if isinstance(data, str) else ["str"]


@st.composite
def damaged_data(draw: st.DrawFn) -> Any:
    """A workflow's data with one to three places changed, removed or added."""
    data = copy.deepcopy(draw(workflow_data()))
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = data
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            deeper = isinstance(holder[key], dict | list)
            if deeper and draw(st.integers(0, 11)):
                holder = holder[key]
                continue
            action = draw(st.sampled_from(["change", "remove", "add", "swap"]))
            if action == "remove":
                del holder[key]
            elif action == "add" and isinstance(holder, dict):
                holder[draw(st.text(max_size=6))] = draw(JUNK)
            elif action == "swap":  # something that stands elsewhere: nearly right
                other = draw(st.sampled_from(keys))
                holder[key], holder[other] = holder[other], holder[key]
            elif isinstance(holder[key], str) and draw(st.booleans()):  # of the right type: found only by the checker
                holder[key] = draw(st.sampled_from(_strings(data)))
            else:
                holder[key] = draw(JUNK)
            break
    return data


def shuffled(data: Any, random: Random) -> Any:
    """The same data with the keys of about a third of its mappings in another order and, now and then, 1 for 1.0."""
    if isinstance(data, dict):
        items = [(key, shuffled(value, random)) for key, value in data.items()]
        if random.random() < 0.3:
            random.shuffle(items)
        return dict(items)
    if isinstance(data, list):
        return [shuffled(each, random) for each in data]
    if isinstance(data, float) and data == 1 and random.random() < 0.5:
        return 1
    return data
