"""What changed from one workflow to another, in lines for people; nodes of bodies by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Any, cast

from flowbot.fields import canonical_json

from .captions import bound_text, carry_text, gives, kind_text, reads_text, way_text, ways_text
from .conditions import say
from .nodes import BodyNode, BranchNode, HasNodes, LoopNode, Node, walk
from .parameters import LLMParameters, TunedText
from .prompt import prompt_text
from .scope import Scope
from .workflow import Workflow

MOST_SHOWN = 300
"""Characters of a parameter's old and new value in a list of changes."""

_Pair = tuple[Any, str]
"""A value as the hash sees it, and in words."""


def diff(a: Workflow, b: Workflow) -> list[str]:
    """The changes from `a` to `b`, one a line: the wiring first, then node by node, texts as unified diffs.

    Empty if and only if the two have the same hash.
    """
    old, new = dict(walk(a.sketch)), dict(walk(b.sketch))
    lines = [
        *_mapping("input", _plain(a.sketch.inputs), _plain(b.sketch.inputs)),
        *_mapping("output", _plain(a.sketch.outputs), _plain(b.sketch.outputs)),
    ]
    lines += [f"- node {path}: {_line(a, path, node)}" for path, node in old.items() if path not in new]
    for path, node in new.items():
        if path not in old:
            lines.append(f"+ node {path}: {_line(b, path, node)}")
        else:
            lines += _node(path, old[path], node)
    was, now = _parameters_of(a), _parameters_of(b)
    for path in dict.fromkeys((*a.parameters, *b.parameters)):
        lines += _parameters(path, was.get(path, {}), now.get(path, {}))
    lines += _order("", a.sketch, b.sketch)
    for path, node in new.items():
        before = old.get(path)
        if isinstance(node, BodyNode) and isinstance(before, BodyNode):
            lines += _order(f" in {path}", before, node)
    return lines


def changed_nodes(a: Workflow, b: Workflow) -> frozenset[str]:
    """Paths of the nodes of `b` that `a` lacks or has with other wiring or parameters.

    A node with a body counts by what is its own, not by what is in the body.
    """
    old = dict(walk(a.sketch))
    was, now = _parameters_of(a), _parameters_of(b)
    return frozenset(
        path
        for path, node in walk(b.sketch)
        if path not in old
        or any(_node(path, old[path], node))
        or canonical_json(was.get(path, {})) != canonical_json(now.get(path, {}))
    )


def changed_parameters(a: Workflow, b: Workflow) -> list[dict[str, Any]]:
    """Every parameter that `a` and `b` have otherwise, of every node: `{node, parameter, old, new}`.

    Values as they stand in a file, None where unset; of a long one the beginning, as a text.
    """
    was, now = _parameters_of(a), _parameters_of(b)
    return [
        {"node": path, "parameter": name, "old": _bounded(old), "new": _bounded(new)}
        for path in dict.fromkeys((*was, *now))
        for name in dict.fromkeys((*was.get(path, {}), *now.get(path, {})))
        for old, new in [(was.get(path, {}).get(name), now.get(path, {}).get(name))]
        if canonical_json(old) != canonical_json(new)
    ]


def _bounded(value: Any) -> Any:
    text = value if isinstance(value, str) else canonical_json(value)
    return value if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text):,} characters)"


def _line(workflow: Workflow, path: str, node: Node) -> str:
    scope, name = Scope.of(workflow.sketch).at(path), path.rpartition("/")[2]
    when = f", when {node.when}" if node.when is not None else ""
    body = isinstance(node, BodyNode)
    reads = f"{bound_text(node)}, {reads_text(node)}" if body else ", ".join(node.references())
    given = ways_text(node) if isinstance(node, BranchNode) else ", ".join(gives(name, node, scope))
    return f"{kind_text(node)}{when}, {reads} → {given}"


def _node(path: str, old: Node, new: Node) -> Iterator[str]:
    before, after = _parts(old), _parts(new)
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            yield from _mapping(f"node {path}, {key}", was, now, ordered=key != "given")
        else:
            yield from _change(f"node {path}, {key}", _whole(was), _whole(now))


def _parts(node: Node) -> dict[str, _Pair | dict[str, _Pair]]:
    """What a node says for itself, without its body, each part with its words."""
    found: dict[str, _Pair | dict[str, _Pair]] = {}
    for key, value in node.dump().items():
        if key == "nodes":
            continue
        if isinstance(node, BranchNode) and key == "ways":
            # A list of labels and a mapping are the same question; only whether a model answers it is not.
            words = {label: way_text(guard) or "by the model's choice" for label, guard in node.ways.items()}
            data = dict.fromkeys(node.ways) if node.asks else value
            found[key] = {label: (data[label], text) for label, text in words.items()}
        elif isinstance(node, LoopNode) and key == "carry":
            found[key] = {
                name: (value[name], f"{carry.type} = {carry_text(carry)}") for name, carry in node.carry.items()
            }
        elif isinstance(node, LoopNode) and key == "until" and node.until is not None:
            found[key] = (value, say(node.until))
        elif isinstance(value, dict):
            found[key] = _plain(cast("dict[str, Any]", value))
        else:
            found[key] = (value, _shown(value))
    return found


def _mapping(what: str, old: Mapping[str, _Pair], new: Mapping[str, _Pair], *, ordered: bool = False) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"- {what} {name}: {old[name][1]}"
        elif name not in old:
            yield f"+ {what} {name}: {new[name][1]}"
        else:
            yield from _change(f"{what} {name}", old[name], new[name])
    if ordered and list(old) != list(new) and set(old) == set(new):
        yield f"~ {what}: order {', '.join(old)} → {', '.join(new)}"


def _change(what: str, old: _Pair, new: _Pair) -> Iterator[str]:
    was, now = canonical_json(old[0]), canonical_json(new[0])
    if was != now:
        told = (old[1], new[1]) if old[1] != new[1] else (was, now)  # such as 1 and "1", which read the same
        yield f"~ {what}: {told[0]} → {told[1]}"


def _whole(part: _Pair | dict[str, _Pair] | None) -> _Pair:
    if part is None:
        return None, "unset"
    if isinstance(part, dict):
        return {name: value for name, (value, _) in part.items()}, ", ".join(
            f"{k}: {text}" for k, (_, text) in part.items()
        )
    return part


def _plain(values: Mapping[str, Any]) -> dict[str, _Pair]:
    return {name: (value, _shown(value)) for name, value in values.items()}


def _order(where: str, old: HasNodes, new: HasNodes) -> Iterator[str]:
    if [name for name in old.nodes if name in new.nodes] != [name for name in new.nodes if name in old.nodes]:
        yield f"~ order of nodes{where}: {', '.join(old.nodes)} → {', '.join(new.nodes)}"


def _parameters_of(workflow: Workflow) -> dict[str, dict[str, Any]]:
    """The parameters by path as far as they say something."""
    return workflow.dump().get("parameters", {})


def _parameters(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if canonical_json(was) == canonical_json(now):  # as the hash sees it: 1 is not 1.0, order of keys is nothing
            continue
        if key == "demonstrations":
            yield f"~ {path}, demonstrations: {len(was or ())} → {len(now or ())}{_examples(now or ())}"
        elif key in ("texts", "values", "slots"):
            yield from _named(path, key, was or {}, now or {})
        elif key in ("instruction", "format_hint", "code", "program"):
            yield f"~ {path}, {key}:"
            yield from (f"    {line}" for line in _text(str(was or ""), str(now or "")))
        elif key == "messages":
            yield f"~ {path}, {key}:"
            yield from (f"    {line}" for line in _text(_prompt(was), _prompt(now)))
        else:
            yield f"~ {path}, {key}: {_shown(was)} → {_shown(now)}"


def _named(path: str, key: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What a program is told, by name: texts line by line, values, what fills its places."""
    for name in dict.fromkeys((*old, *new)):
        was, now = old.get(name), new.get(name)
        if canonical_json(was) == canonical_json(now):
            continue
        what = f"{path}, {key.removesuffix('s')} {name}"
        if key == "texts":
            yield f"~ {what}:"
            yield from (f"    {line}" for line in _text(_shown_text(was), _shown_text(now)))
        elif key == "values":
            yield f"~ {what}: {_shown(was)} → {_shown(now)}"
        else:
            sign = "+" if was is None else "-" if now is None else "~"
            yield f"{sign} {what}: {', '.join(_nodes_of(was if now is None else now))}"


def _nodes_of(filling: Any) -> list[str]:
    return [*cast("dict[str, Any]", filling).get("nodes", ())]


def _shown_text(text: Any) -> str:
    return TunedText.model_validate(text).shown() if isinstance(text, dict) else str(text or "")


def _prompt(messages: Any) -> str:
    return prompt_text(LLMParameters.model_validate({"messages": messages or ()}).messages)


def _text(old: str, new: str) -> Iterator[str]:
    """The lines that differ with three around them; without the file heading."""
    changes = list(unified_diff(old.splitlines(), new.splitlines(), lineterm=""))[2:]
    yield from changes or ["(blanks or line ends only)"]


def _examples(demonstrations: Any) -> str:
    named = [each["example"] for each in demonstrations if each.get("example")]
    return f" (now from {', '.join(named)})" if named else ""


def _shown(value: Any) -> str:
    match value:
        case None:
            return "unset"
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(_shown(each) for each in cast("list[Any]", value)) or "nothing"
        case _:
            return str(value)
