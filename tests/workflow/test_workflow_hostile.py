"""Hostile or nonsensical files: one clear error each, however large, deep or odd they are."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.workflow.check import check
from flowbot.workflow.workflow import Workflow

NODE = "{kind: code, in: {q: q}, out: {x: str}}"
HEAD = "flowbot: 1\ninputs: {q: str}\noutputs: {a: n.x}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", ":1: found the anchor &a; expected no anchors or aliases"),
        ("<<: *a\n", ":1: found the alias *a; expected the value itself"),
        (HEAD + "nodes: !!python/object:os.system {}\n", ":4: found the tag"),
        ("[" * 900_000, ":1: found values nested too deeply"),
        ("- " * 400_000, ":1: found values nested too deeply"),
        ("x" * 1_000_001, ": found more than 1,000,000 bytes"),
        ("nodes: " + "9" * 900_000, ":1: found a number of more than 300 digits"),
        (HEAD + "nodes: {n: 1}\nnodes: {n: 2}\n", ":5: found the key 'nodes' twice"),
        (HEAD + f"nodes: {{n: {NODE}, n: {NODE}}}\n", ":4: found the key 'n' twice"),
        (HEAD + "nodes: {n: \0}\n", ":4: found a NUL character; expected UTF-8 text"),
        (HEAD + f"nodes: {{n: {NODE}}}\n--- \n", ":5: found a second document"),
        (HEAD.replace("1", "1" * 400, 1), ":1: found a number of more than 300 digits"),
        (HEAD + "nodes: {n: {kind: llm, in: {q: q}, out: {x: str}, rounds: 1e300}}\n", "nodes.n.rounds: found 1e+300"),
        ("flowbot: 1\ninputs: {" + ", ".join(f"k{i}: 3" for i in range(400)) + "}\n", "(and at least 199 more)"),
        ("just a text\n", "found 'just a text'; expected a mapping with flowbot"),
        ("", "found nothing; expected YAML or JSON data"),
    ],
    ids=lambda value: value[:20].strip() if isinstance(value, str) else None,
)
def test_a_hostile_file_gives_one_short_error(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.flow.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        Workflow.load(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert says in said
    assert said.isprintable()
    assert len(said) < 600


def test_files_in_other_encodings_are_refused_with_the_line(tmp_path: Path) -> None:
    for encoding, word, says in (
        ("utf-16", "plain", "not UTF-8"),
        ("utf-16-le", "plain", "a NUL character"),
        ("latin-1", "gefr\u00e4gt", "not UTF-8"),
    ):
        path = tmp_path / f"{encoding}.yaml"
        path.write_bytes(f"{HEAD}# {word}\n".encode(encoding))
        with pytest.raises(UserError, match=rf"{encoding}\.yaml:\d+: found .*{says}"):
            Workflow.load(path)


def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe, loop = tmp_path / "pipe.yaml", tmp_path / "loop.yaml"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path, says in ((tmp_path, "a folder"), (pipe, "a pipe or a device"), (loop, "a file that cannot be read")):
        with pytest.raises(UserError, match=f"found {says}"):
            Workflow.load(path)
    with pytest.raises(UserError, match="found a pipe or a device; expected a file"):
        Workflow.load("/dev/zero")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        Workflow.load(tmp_path / "a.yaml")


def test_bodies_within_bodies_are_checked_up_to_the_depth_of_a_file_and_refused_beyond() -> None:
    def flow(depth: int) -> dict[str, Any]:
        nodes: dict[str, Any] = {"n": {"kind": "code", "in": {"q": "q"}, "out": {"x": "str"}}}
        reference = "n.x"
        for level in range(depth):
            carry = {f"v{level}": {"type": "str", "start": "q", "next": reference}}
            nodes = {f"l{level}": {"kind": "loop", "max": 1, "carry": carry, "nodes": nodes}}
            reference = f"l{level}.v{level}"
        path = "".join(f"l{level}/" for level in reversed(range(depth)))
        told = {f"{path}n": {"code": "def run(q):\n    return {'x': q}"}}
        return {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": reference}, "nodes": nodes, "parameters": told}

    deepest = Workflow.from_data(flow(17))
    assert check(deepest) == []
    assert Workflow.from_data(deepest.dump()).hash == deepest.hash
    with pytest.raises(UserError, match="nesting deeper than 40"):
        Workflow.from_data(flow(40))


def test_conditions_within_conditions_are_checked_up_to_the_depth_of_a_file_and_refused_beyond() -> None:
    def flow(depth: int) -> dict[str, Any]:
        condition: dict[str, Any] = {"ref": "r", "op": "empty"}
        for _ in range(depth):
            condition = {"not": condition}
        branch = {"kind": "branch", "in": {"q": "q"}, "ways": {"a": condition, "b": "else"}}
        return {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "q"}, "nodes": {"b": branch}}

    assert [defect.where for defect in check(Workflow.from_data(flow(30)))] == ["nodes.b.ways.a", "nodes.b"]
    with pytest.raises(UserError, match="nesting deeper than 40"):
        Workflow.from_data(flow(60))


def test_a_long_key_around_many_values_costs_no_more_than_itself() -> None:
    data = {"flowbot": 1, "inputs": {}, "outputs": {}, "nodes": {}, "k" * 500_000: [1] * 200_000}
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="the unknown key 'kkk"):
            Workflow.from_data(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_a_chain_of_maps_that_hand_on_what_they_were_given_is_no_endless_walk() -> None:
    step = {"s": {"kind": "tool", "tool": "t", "in": {"a": "item"}, "out": {"x": "str"}}}
    for out in ("item", "m{}.x"):
        nodes = {
            f"m{i}": {"kind": "map", "over": f"m{i + 1}.x", "limit": 1, "nodes": step, "out": {"x": out.format(i + 1)}}
            for i in range(2000)
        }
        data = {"flowbot": 1, "inputs": {"m2000": "str"}, "outputs": {"a": "m0.x"}, "nodes": nodes}
        assert "does not come from the map's body" in " ".join(
            defect.what for defect in check(Workflow.from_data(data))
        )


@pytest.mark.parametrize("shape", ["chain", "chain written backwards", "pairs that read each other", "samples"])
def test_ten_thousand_nodes_are_checked(shape: str) -> None:
    many = 10_000

    def step(reads: str) -> dict[str, Any]:
        return {"kind": "tool", "tool": "t", "in": {"a": reads}, "out": {"x": "str"}}

    nodes: dict[str, Any]
    end, told = "n0.x", {}
    match shape:
        case "chain":
            nodes = {f"n{i}": step(f"n{i - 1}.x" if i else "q") for i in range(many)}
            end = f"n{many - 1}.x"
        case "chain written backwards":
            nodes = {f"n{i}": step(f"n{i + 1}.x" if i < many - 1 else "q") for i in range(many)}
        case "pairs that read each other":
            nodes = {f"n{i}": step(f"n{i ^ 1}.x") for i in range(many)}
        case _:
            nodes = {f"n{i}": {"kind": "llm", "in": {"a": "q"}, "out": {"x": "str"}} for i in range(many)}
            told = {name: {"instruction": "x", "samples": 2, "temperature": 1} for name in nodes}
            nodes["m"] = {"kind": "merge", "how": "vote", "in": [f"{name}.x" for name in nodes], "out": {"x": "str"}}
            end = "m.x"
    data = {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": end}, "nodes": nodes, "parameters": told}
    defects = check(Workflow.from_data(data))
    assert [defect.what[:8] for defect in defects[:1]] == (["a circle"] if "pairs" in shape else [])


def test_names_in_other_scripts_are_data_that_the_checker_names() -> None:
    node = {"kind": "code", "in": {"\u540d": "q"}, "out": {"x": "str"}}
    told = {"\u8282\u70b9": {"code": "def run(\u540d):\n    return {'x': ''}"}}
    data = {"flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "\u8282\u70b9.x"}, "nodes": {"\u8282\u70b9": node}}
    found = [defect.where for defect in check(Workflow.from_data({**data, "parameters": told}))]
    assert found == ["nodes.\u8282\u70b9", "nodes.\u8282\u70b9.in.\u540d"]
