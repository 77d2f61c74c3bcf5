"""Random workflows and random damage, for the property-based tests."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from hypothesis import strategies as st

from flowbot.fields import Field, ToolSignature, is_name
from flowbot.workflow.workflow import Workflow

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


TOOLS = {
    "measure": ToolSignature(
        "measure",
        "How long a text is.",
        (Field.of("text", "str"), Field.of("times", "int")),
        (Field.of("result", "int"),),
        optional=frozenset({"times"}),
    ),
    "note": ToolSignature("note", "A text that is always the same.", (), (Field.of("result", "str"),)),
}
"""What the random workflows call."""
SIMPLE = ("code", "llm", "merge", "tool", "samples")
KINDS = (*SIMPLE, "branch", "loop", "map")
ROOM = 10
"""Steps after which only simple ones are added, so that no workflow gets large."""


@st.composite
def workflow_data(draw: st.DrawFn) -> dict[str, Any]:
    """A valid workflow in the file format, of every kind of node: bodies within bodies, ways within ways."""
    inputs = {name: draw(TYPES) for name in draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))}
    body = _Body(draw, inputs)
    body.steps(draw(st.integers(1, 5)))
    body.decorate()
    ends = {f"out_{index}": body.first(name) for index, name in enumerate(body.unread)}
    return {"flowbot": 1, "inputs": inputs, "outputs": ends, "nodes": body.nodes, "parameters": body.parameters}


class _Body:
    """A body that grows: each step reads what is there, and all that nobody reads in the end is handed out."""

    def __init__(self, draw: st.DrawFn, known: dict[str, str], path: str = "", outer: _Body | None = None) -> None:
        self.draw, self.path, self.outer = draw, path, outer
        self.known = known
        """What may be read: reference to type."""
        self.nodes: dict[str, Any] = {}
        self.gives: dict[str, dict[str, str]] = {}
        self.unread: list[str] = []
        self.parameters: dict[str, Any] = outer.parameters if outer else {}
        self.room: list[int] = outer.room if outer else [ROOM]

    def steps(self, count: int, when: str | None = None) -> None:
        for _ in range(count):
            self.room[0] -= 1
            kinds = KINDS if self.room[0] > 0 and self.path.count("/") < 2 else SIMPLE
            getattr(self, self.draw(st.sampled_from(kinds)))(when)

    def first(self, name: str) -> str:
        return f"{name}.{next(iter(self.gives[name]))}"

    def llm(self, when: str | None, **more: Any) -> str:
        out = self.draw(st.dictionaries(NAMES, TYPES, min_size=1, max_size=2))
        bound = self._bound()
        given: dict[str, Any] = {"instruction": "Do it. " + self.draw(TEXTS), **more}
        if self.draw(st.integers(0, 3)) == 3:
            given = {"messages": self._prompt(list(bound)), **more}
        if not more and self.draw(st.booleans()):
            given["temperature"] = self.draw(st.floats(0, 2))
        if self.draw(st.integers(0, 4)) == 4:
            given["tools"] = ["measure"]
        types = [self.known[reference] for reference in bound.values()] + list(out.values())
        if all(each in VALUES for each in types) and self.draw(st.booleans()):
            shown = {
                "inputs": {name: self.draw(VALUES[self.known[reference]]) for name, reference in bound.items()},
                "outputs": {name: self.draw(VALUES[text]) for name, text in out.items()},
                "example": self.draw(TEXTS),
            }
            given["demonstrations"] = [shown]
        return self._add({"kind": "llm", "in": bound, "out": out}, out, when, given)

    def code(self, when: str | None) -> str:
        out = self.draw(st.dictionaries(NAMES, TYPES, min_size=1, max_size=2))
        return self._code(self._bound(), out, when)

    def tool(self, when: str | None) -> str:
        texts = [reference for reference, kind in self.known.items() if kind == "str"]
        bound = {"text": self._read(self.draw(st.sampled_from(texts)))} if texts else {}
        name = "measure" if texts else "note"
        out = {"result": "int" if texts else "str"}
        return self._add({"kind": "tool", "tool": name, "in": bound, "out": out}, out, when)

    def merge(self, when: str | None) -> str:
        some = self.draw(st.sampled_from(list(self.known)))
        alike = [reference for reference, kind in self.known.items() if kind == self.known[some]]
        joined = [some, *self.draw(st.lists(st.sampled_from(alike), max_size=2))]
        return self._merge(joined, self.known[some], when)

    def samples(self, when: str | None) -> str:
        """An `llm` node that draws samples, and a merge that joins them."""
        name = self.llm(when, samples=self.draw(st.integers(2, 3)), temperature=1.0)
        return self._merge([self.first(name)], self.known[self.first(name)], when)

    def branch(self, when: str | None) -> str:
        """A branch, steps on some of its ways, and a merge that has something on all of them."""
        labels = self.draw(st.lists(NAMES, min_size=2, max_size=3, unique=True))
        bound = self._bound()
        if self.draw(st.booleans()):
            ways: Any = labels
            given: Any = {"instruction": "Choose."}
        else:
            known = {name: self.known[reference] for name, reference in bound.items()}
            ways = {label: self.draw(conditions(known)) for label in labels[:-1]} | {labels[-1]: "else"}
            given = None
        base = self.draw(st.sampled_from(list(self.known)))
        kind = self.known[base]
        name = self._add({"kind": "branch", "in": bound, "ways": ways}, {}, when, given)
        walked = self.draw(st.lists(st.sampled_from(labels), min_size=1, unique=True))
        ends = [self._way(f"{name}.{label}", kind) for label in walked]
        if len(walked) < len(labels) or self.draw(st.booleans()):
            ends.append(base)
        return self._merge(ends, kind, when)

    def loop(self, when: str | None) -> str:
        starts = self.draw(st.lists(st.sampled_from(list(self.known)), min_size=1, max_size=2))
        depth = self.path.count("/")
        carried = {f"carried_{depth}_{index}": self.known[self._read(start)] for index, start in enumerate(starts)}
        name = self._name()
        inside = _Body(self.draw, self.known | carried, f"{self.path}{name}/", self)
        inside.steps(self.draw(st.integers(0, 2)))
        end = inside.close(carried | {"stop": "bool"})
        carry = {
            key: {"type": kind, "start": start, "next": f"{end}.{key}"}
            for (key, kind), start in zip(carried.items(), starts, strict=True)
        }
        node: dict[str, Any] = {"kind": "loop", "max": self.draw(st.integers(1, 3)), "carry": carry}
        if self.draw(st.booleans()):
            node["until"] = self.draw(conditions({f"{end}.stop": "bool", **carried}))
        inside.decorate()
        return self._add({**node, "nodes": inside.nodes}, carried, when, name=name)

    def map(self, when: str | None) -> str:
        lists = [reference for reference, kind in self.known.items() if kind.startswith("list[")]
        if not lists:
            lists = [f"{self._code(self._bound(), {'parts': 'list[str]'}, when)}.parts"]
        over = self._read(self.draw(st.sampled_from(lists)))
        name, item = self._name(), f"the_item_{self.path.count('/')}"
        kind = self.known[over].removeprefix("list[").removesuffix("]")
        inside = _Body(self.draw, self.known | {item: kind}, f"{self.path}{name}/", self)
        inside.steps(self.draw(st.integers(1, 2)))
        out = {f"all_{index}": inside.first(each) for index, each in enumerate(inside.unread)}
        inside.decorate()
        node = {"kind": "map", "over": over, "limit": self.draw(st.integers(1, 3)), "as": item, "out": out}
        gives = {key: f"list[{inside.known[reference]}]" for key, reference in out.items()}
        return self._add({**node, "nodes": inside.nodes}, gives, when, name=name)

    def close(self, out: dict[str, str], when: str | None = None, since: int = 0) -> str:
        """A step that reads all that nobody has read since, and gives these outputs."""
        bound = {f"v{index}": self.first(name) for index, name in enumerate(self.unread[since:])}
        return self._code({name: self._read(reference) for name, reference in bound.items()}, out, when)

    def decorate(self) -> None:
        """What changes nothing in the wiring: frozen and pinned nodes, skip connections to what comes later."""
        names = list(self.nodes)
        for index, name in enumerate(names):
            if self.draw(st.integers(0, 5)) == 5:
                self.nodes[name]["frozen"] = True
            if index + 1 < len(names) and self.draw(st.integers(0, 5)) == 5:
                self.nodes[name]["feedback_from"] = [self.draw(st.sampled_from(names[index + 1 :]))]

    def _way(self, when: str, kind: str) -> str:
        """Steps on one way, which gives one value; only a merge may read it."""
        known, before = self.known, set(self.unread)
        self.steps(self.draw(st.integers(0, 1)), when)
        since = sum(name in before for name in self.unread)  # what stood before the branch may be read after it
        end = self.close({"end": kind}, when, since)
        self.known = known
        return f"{end}.end"

    def _merge(self, joined: list[str], kind: str, when: str | None) -> str:
        hows = ["first", "vote", "judge", *(["concat"] if kind == "str" or kind.startswith("list[") else [])]
        how = self.draw(st.sampled_from(hows))
        node: dict[str, Any] = {"kind": "merge", "how": how, "in": [self._read(each) for each in joined]}
        if how == "judge" and self.draw(st.booleans()):
            node["given"] = self._bound()
        out = {self.draw(NAMES): kind}
        given = {"instruction": "Pick the best."} if how == "judge" else None
        return self._add({**node, "out": out}, out, when, given)

    def _prompt(self, names: list[str]) -> list[dict[str, Any]]:
        """Messages with a place for each input, some of them twice."""
        texts = TEXTS.filter(bool)
        parts: list[Any] = self.draw(
            st.permutations([*({"ref": name} for name in names), *self.draw(st.lists(texts, max_size=3))])
        )
        said = [
            {"role": "user", "parts": [*parts, self.draw(st.sampled_from([{"ref": names[0]}, "Go.", "\n\t x \r\n"]))]}
        ]
        head = self.draw(st.sampled_from([[], [{"role": "system", "parts": ["Be kind.\n"]}]]))
        return [*head, *said, *self.draw(st.sampled_from([[], [{"role": "assistant", "parts": ["So "]}]]))]

    def _code(self, bound: dict[str, str], out: dict[str, str], when: str | None) -> str:
        text = f"def run({', '.join(bound)}):\n    return {out!r}" + self.draw(st.sampled_from(["", "\n"]))
        return self._add({"kind": "code", "in": bound, "out": out}, out, when, {"code": text})

    def _bound(self) -> dict[str, str]:
        read = self.draw(st.lists(st.sampled_from(list(self.known)), min_size=1, max_size=3, unique=True))
        names = self.draw(st.lists(NAMES, min_size=len(read), max_size=len(read), unique=True))
        return dict(zip(names, map(self._read, read), strict=True))

    def _read(self, reference: str) -> str:
        head = reference.partition(".")[0]
        if head in self.unread:
            self.unread.remove(head)
        elif self.outer is not None and head not in self.nodes:
            _ = self.outer._read(reference)
        return reference

    def _name(self) -> str:
        # Bodies side by side use the same names, bodies within each other do not. Kinds and keys of the format are names too.
        stem = self.draw(st.sampled_from(["n", "llm", "nodes", "Z_"]))
        return f"{stem}_step_{self.path.count('/')}_{len(self.nodes)}"  # longer than any of NAMES

    def _add(
        self, node: dict[str, Any], gives: dict[str, str], when: str | None, given: Any = None, name: str = ""
    ) -> str:
        name = name or self._name()
        self.nodes[name] = {**node, **({"when": when} if when else {})}
        self.gives[name] = gives
        self.known = self.known | {f"{name}.{output}": kind for output, kind in gives.items()}
        if gives:
            self.unread.append(name)
        if given is not None:
            self.parameters[f"{self.path}{name}"] = given
        return name


def conditions(known: dict[str, str]) -> st.SearchStrategy[Any]:
    """Conditions on references of these types."""
    return st.recursive(
        st.sampled_from(list(known.items())).flatmap(lambda item: _test(*item)),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=3,
    )


def _test(reference: str, kind: str) -> st.SearchStrategy[Any]:
    """A comparison that suits a type."""
    empty = st.just({"ref": reference, "op": "empty"})
    if kind not in VALUES or kind == "object":
        return empty
    ops = ["==", "!=", *([] if kind in ("bool", "Literal['yes', 'no']") else ["<", "<=", ">", ">="])]
    one = st.builds(lambda op, value: {"ref": reference, "op": op, "value": value}, st.sampled_from(ops), VALUES[kind])
    several = st.lists(VALUES[kind], max_size=2).map(lambda values: {"ref": reference, "op": "in", "value": values})
    return st.one_of(empty, one, several)


def workflows() -> st.SearchStrategy[Workflow]:
    """Valid workflows."""
    return workflow_data().map(Workflow.from_data)


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
