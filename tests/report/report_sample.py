"""A run directory as a finished optimisation leaves it: made up, but of the real shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flowbot.workflow.nodes import CodeNode, LLMNode, Sketch
from flowbot.workflow.parameters import CodeParameters, Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

GOAL = "Count how many items the customer orders in all: add up the amounts."
NOTE = "Hi there - pls send half a dozen desk lamps, and 1 USB stick. And Dee wants two clipboards too; ta"
ITEMS = "list[{item: str, number: int}]"


def start() -> Workflow:
    """A single call with a reasoning field."""
    node = LLMNode(inputs={"note": "note"}, out={"reasoning": "str", "total": "int"})
    told = LLMParameters(instruction=f"{GOAL} Think step by step in `reasoning` first.")
    sketch = Sketch(inputs={"note": "str"}, outputs={"total": "answer.total"}, nodes={"answer": node})
    return Workflow(sketch=sketch, parameters={"answer": told})


def listed() -> Workflow:
    """List, then add up in code."""
    nodes = {
        "answer": LLMNode(inputs={"note": "note"}, out={"items": ITEMS}),
        "compute": CodeNode(inputs={"items": "answer.items"}, out={"total": "int"}),
    }
    code = "def run(items):\n    return {'total': sum(each['number'] for each in items)}"
    return Workflow(
        sketch=Sketch(inputs={"note": "str"}, outputs={"total": "compute.total"}, nodes=nodes),
        parameters={
            "answer": LLMParameters(instruction="List each item with its number."),
            "compute": CodeParameters(code=code),
        },
    )


def final() -> Workflow:
    """The same with demonstrations."""
    shown = Demonstration(
        inputs={"note": "Put us down for one apple turnover and 1 eclair; ah yes, 1 sourdough loaf too. Ta"},
        outputs={"items": [{"item": "apple turnover", "number": 1}, {"item": "eclair", "number": 1}]},
        example="train-002",
    )
    told = LLMParameters(
        instruction="List each item that is ordered with its number. Leave out dates, times and addresses.",
        demonstrations=(shown,),
    )
    return listed().with_parameter("answer", told)


def planned() -> Workflow:
    """A candidate that loses."""
    nodes = {
        "plan": LLMNode(inputs={"note": "note"}, out={"plan": "str"}),
        "answer": LLMNode(inputs={"note": "note", "plan": "plan.plan"}, out={"reasoning": "str", "total": "int"}),
    }
    return Workflow(
        sketch=Sketch(inputs={"note": "str"}, outputs={"total": "answer.total"}, nodes=nodes),
        parameters={
            "plan": LLMParameters(instruction="Write a short plan."),
            "answer": LLMParameters(instruction=GOAL),
        },
    )


def score(mean: float, n: int) -> dict[str, float | int]:
    return {"mean": mean, "low": round(max(0.0, mean - 0.09), 3), "high": round(min(1.0, mean + 0.1), 3), "n": n}


def gradient(text: str, example: str, node: str = "", level: str = "workflow") -> dict[str, Any]:
    return {"event": "gradient", "level": level, "example": example, "node": node, "text": text, "source": "meta"}


def proposal(
    number: int,
    parent: Workflow,
    workflow: Workflow | None,
    level: str,
    source: str,
    title: str,
    reason: str,
    **more: Any,
) -> dict[str, Any]:
    return {
        "event": "proposal", "id": f"p{number}", "level": level, "parent": parent.hash,
        "workflow": workflow.hash if workflow else None, "source": source, "title": title, "reason": reason,
        "changes": [], "errors": [], "dump": workflow.dump() if workflow else None, **more,
    }  # fmt: skip


def verdict(
    number: int, kept: bool, reason: str, candidate: float, incumbent: float, n: int, p: float
) -> dict[str, Any]:
    return {
        "event": "verdict", "id": f"p{number}", "kept": kept, "reason": reason, "candidate": candidate,
        "incumbent": incumbent, "n": n, "p_better": p, "calls": 40 + 50 * number,
    }  # fmt: skip


def evaluated(what: str, workflow: Workflow, split: str, mean: float, n: int, calls: int) -> dict[str, Any]:
    return {
        "event": "evaluated", "what": what, "workflow": workflow.hash, "split": split, **score(mean, n), "calls": calls,
    }  # fmt: skip


def journal(goal: str = GOAL) -> list[dict[str, Any]]:
    first, second, third, lost = start(), listed(), final(), planned()
    adding = "The amounts are found, but they are added up wrongly: 6 + 1 + 2 is given as 8."
    return [
        {
            "event": "start", "task": "orders", "goal": goal, "method": "flowbot+blame", "seed": 0, "effort": "medium",
            "models": {"task": "local/qwen2.5-coder-0.5b", "meta": "local/qwen2.5-coder-1.5b"},
            "workflow": first.dump(), "hash": first.hash,
        },
        evaluated("start", first, "val", 0.2, 40, 40),
        gradient(adding, "train-007"),
        gradient(adding, "train-031"),
        gradient("The house number is taken for an amount.", "train-012"),
        proposal(
            1, first, second, "structure", "meta",
            "Let the LLM call list the things with their numbers, and compute the total in code.",
            f"{adding} (2 of 3 votes); code by the meta model",
            changes=["replace answer: llm, note → items", "add compute: code, answer.items → total"],
        ),
        verdict(1, True, "P(better) 0.97 reaches 0.80", 0.54, 0.17, 24, 0.97),
        proposal(
            2, first, lost, "structure", "prior",
            "Split the LLM call into two calls: one writes a plan, the other answers by the plan.",
            "next in the catalogue", changes=["add plan: llm, note → plan", "replace answer"],
        ),
        verdict(2, False, "P(better) 0.11 falls to 0.20", 0.12, 0.25, 8, 0.11),
        gradient("`9` of “bus 9 stops right outside” must not be among the items.", "train-003", "answer", "call"),
        gradient("“a pair of” is 2, the reply has 1.", "train-018", "answer", "call"),
        gradient("The list is empty, though three things are ordered.", "train-022", "answer", "call"),
        gradient("An order without a number counts as 1.", "train-029", "answer", "call"),
        proposal(
            3, second, None, "parameters", "meta", "rewrite step `answer` from its gradients",
            "`9` of “bus 9 stops right outside” must not be among the items.",
            errors=["the instruction copies an answer of train-003 (“26 items”)"],
        ),
        proposal(
            4, second, third, "parameters", "meta", "rewrite step `answer` from its gradients",
            "Numbers that are no amounts get into the list.", changes=["answer: rewritten"],
        ),
        verdict(4, True, "P(better) 0.86 reaches 0.80", 0.71, 0.54, 24, 0.86),
        evaluated("candidate", second, "val", 0.55, 40, 420),
        evaluated("candidate", third, "val", 0.675, 40, 460),
        evaluated("start", first, "test", 0.18, 100, 560),
        evaluated("final", third, "test", 0.62, 100, 660),
        {"event": "result", "workflow": third.hash, "title": "rewrite", "source": "meta"},
    ]  # fmt: skip


def result() -> dict[str, Any]:
    first, second, third = start(), listed(), final()

    def point(workflow: Workflow, mean: float, calls: int, what: str, *, kept: bool = False) -> dict[str, Any]:
        return {"calls": calls, "workflow": workflow.hash, **score(mean, 40), "kept": kept, "what": what}

    purposes = {
        "val": (120, 21_500), "train": (262, 49_100), "gradients": (31, 12_400), "proposals": (12, 4_900),
        "test": (200, 36_000),
    }  # fmt: skip
    return {
        "run_id": "orders-5f2c9a0d11be", "run_dir": "runs/orders-5f2c9a0d11be", "status": "done",
        "stopped_by": "finished", "method": "flowbot+blame", "effort": "medium", "seed": 0,
        "workflow": "runs/orders-5f2c9a0d11be/found.flow.yaml",
        "scores": {
            "start": {"val": score(0.2, 40), "test": score(0.18, 100)},
            "final": {"val": score(0.675, 40), "test": score(0.62, 100)},
            "difference": {
                "val": {"mean": 0.475, "low": 0.3, "high": 0.65, "n": 40},
                "test": {"mean": 0.44, "low": 0.33, "high": 0.55, "n": 100},
            },
        },
        "calls": {purpose: calls for purpose, (calls, _) in purposes.items()},
        "spent": {"calls": 588, "tokens": 118_400, "usd": 0.0},
        "seconds": 611.4, "nodes": 2, "reason": "", "task": "orders",
        "models": {"task": "local/qwen2.5-coder-0.5b", "meta": "local/qwen2.5-coder-1.5b"},
        "curve": [
            point(first, 0.2, 40, "start"), point(second, 0.55, 420, "candidate"),
            point(third, 0.675, 460, "candidate", kept=True),
        ],
        "by_purpose": {
            purpose: {"calls": calls, "tokens": tokens, "usd": 0.0, "seconds": 1.0}
            for purpose, (calls, tokens) in purposes.items()
        },
    }  # fmt: skip


def three_rows(note: str = NOTE) -> list[dict[str, Any]]:
    """Rows of `examples.jsonl`: three test examples, two of them fixed."""

    def step(
        address: str, kind: str, inputs: dict[str, Any], outputs: dict[str, Any], reply: str = ""
    ) -> dict[str, Any]:
        messages = [
            {"role": "system", "content": "List each item that is ordered with its number."},
            {"role": "user", "content": note},
        ]
        return {
            "address": address, "kind": kind, "inputs": inputs, "outputs": outputs, "error": "",
            "messages": messages if reply else [], "reply": reply, "usage": {}, "seconds": 1.0, "reads": [], "note": "",
            "calls": [],
        }  # fmt: skip

    def side(number: int, found: int | None, steps: list[dict[str, Any]], error: str = "") -> dict[str, Any]:
        outputs = {"total": found} if found is not None else None
        right = found == 9
        return {
            "score": float(right), "feedback": "" if right else f"total: found {found}, expected 9", "whole": True,
            "trace": {
                "example": f"test-{number:03}", "inputs": {"note": note}, "steps": steps, "outputs": outputs,
                "error": error, "seconds": 2.0,
            },
        }  # fmt: skip

    thought = {"reasoning": "There are 6 desk lamps, 1 USB stick and 2 clipboards, so 8.", "total": 8}
    items = [
        {"item": "desk lamps", "number": 6},
        {"item": "USB stick", "number": 1},
        {"item": "clipboards", "number": 2},
    ]
    alone = [step("answer", "llm", {"note": note}, thought, json.dumps(thought))]
    both = [
        step("answer", "llm", {"note": note}, {"items": items}, json.dumps({"items": items})),
        step("compute", "code", {"items": items}, {"total": 9}),
    ]
    failed = [
        {**alone[0], "outputs": None, "error": "answer: the reply was cut at 512 tokens", "reply": "There are six"}
    ]
    cut = side(2, None, failed, "answer: the reply was cut at 512 tokens")
    return [
        {
            "id": f"test-{number:03}", "split": "test", "inputs": {"note": note}, "expected": {"total": 9},
            "start": before, "final": side(number, 9, both), "candidates": {},
        }
        for number, before in enumerate((side(1, 8, alone), cut, side(3, 9, alone)), 1)
    ]  # fmt: skip


def recorded(count: int = 60, *, reply: str = "{}", note: str = NOTE) -> list[dict[str, Any]]:
    """Rows of `examples.jsonl`: of six test examples in turn three are fixed, one broken, one failing, one right."""
    expected = {"total": 9}

    def side(right: bool, number: int, *, cut: bool = False) -> dict[str, Any]:
        error = f"the reply was cut at {200 + number} tokens; total is missing; expected a JSON object" if cut else ""
        step = {
            "address": "answer", "kind": "llm", "inputs": {"note": note}, "outputs": None if cut else {"total": 9},
            "error": error, "messages": [{"role": "user", "content": note}], "reply": reply,
            "usage": {"calls": 2 if right else 1, "input_tokens": 100, "output_tokens": 20, "cached_tokens": 0, "usd": 0.002, "seconds": 1.5},
            "seconds": 1.5, "reads": [], "note": "", "calls": [],
        }  # fmt: skip
        outputs = None if cut else {"total": 9 if right else 8}
        trace = {
            "example": f"test-{number:03}", "inputs": {"note": note}, "steps": [step], "outputs": outputs,
            "error": f"answer: {error}" if cut else "", "seconds": 1.5,
        }  # fmt: skip
        return {
            "score": float(right), "feedback": "" if right else "total: found 8, expected 9",
            "parts": {"exact": float(right), "polite": 0.5}, "spread": None, "whole": True, "trace": trace,
        }  # fmt: skip

    rows: list[dict[str, Any]] = []
    for number in range(count):
        before, after = number % 6 in (3, 5), number % 6 not in (3, 4)
        name = f"test-{number:03}"
        sides = {"start": side(before, number, cut=number % 6 == 4), "final": side(after, number)}
        rows.append(
            {"id": name, "split": "test", "inputs": {"note": note}, "expected": expected, **sides, "candidates": {}}
        )
    for name in ("train-007", "train-012"):
        rows.append(
            {
                "id": name,
                "split": "train",
                "inputs": {"note": f"{name}: {note}"},
                "expected": expected,
                "start": None,
                "final": None,
                "candidates": {},
            }
        )
    return rows


def write_recorded(run_dir: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    """A run that has written all its examples, with a judge and parts of the score."""
    run = write_sample(run_dir)
    _write_examples(run, recorded() if rows is None else rows)
    judge = {"model": "openai/gpt-4.1", "calls": 120, "tokens": 44_000, "usd": 0.25, "spread": 0.08}
    (run / "result.json").write_text(
        json.dumps({**result(), "judge": judge, "dropped": ["test-099"]}), encoding="utf-8"
    )
    return run


def write_unchanged(run_dir: Path) -> Path:
    """A run that found nothing better: every race was lost."""
    run = write_sample(run_dir)
    events = [event for event in journal() if event["event"] not in ("evaluated", "result")]
    for event in events:
        if event["event"] == "verdict":
            event.update(kept=False, p_better=0.1 if event["id"] == "p1" else 0.7)
    (run / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    told = result()
    told["scores"]["final"] = told["scores"]["start"]
    told["scores"]["difference"] = {
        split: {"mean": 0.0, "low": -0.03, "high": 0.03, "n": 100} for split in ("val", "test")
    }
    told["curve"] = told["curve"][:1]
    (run / "result.json").write_text(json.dumps(told), encoding="utf-8")
    start().save(run / "found.flow.yaml")
    (run / "examples.jsonl").unlink()
    return run


def write_paused(run_dir: Path) -> Path:
    """A run that an outage stopped in its search."""
    run = write_sample(run_dir)
    for name in ("examples.jsonl", "found.flow.yaml"):
        (run / name).unlink()
    nothing = {side: {"val": None, "test": None} for side in ("start", "final", "difference")}
    told = {
        **result(), "status": "paused", "stopped_by": "infrastructure", "scores": nothing,
        "reason": "openai/x: cannot be reached (tried 6 times)",
    }  # fmt: skip
    del told["curve"]
    (run / "result.json").write_text(json.dumps(told), encoding="utf-8")
    return run


def write_sample(run_dir: Path, *, goal: str = GOAL, note: str = NOTE) -> Path:
    """Write the run directory and return it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in journal(goal)]
    (run_dir / "journal.jsonl").write_text("".join(lines), encoding="utf-8")
    (run_dir / "result.json").write_text(json.dumps(result()), encoding="utf-8")
    _write_examples(run_dir, three_rows(note))
    start().save(run_dir / "start.flow.yaml")
    final().save(run_dir / "found.flow.yaml")
    return run_dir


def _write_examples(run_dir: Path, rows: list[dict[str, Any]]) -> None:
    (run_dir / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")


def nested() -> Workflow:
    """Every kind of node: a map with a loop in it, a branch, samples, tools."""
    loop = {
        "kind": "loop", "max": 3, "until": {"ref": "critic.ok", "op": "==", "value": True},
        "carry": {"number": {"type": "int", "start": "guess.number", "next": "critic.better"}},
        "nodes": {"critic": {"kind": "llm", "in": {"number": "number", "line": "item"}, "out": {"ok": "bool", "better": "int"}}},
    }  # fmt: skip
    each = {
        "kind": "map", "over": "split.lines", "limit": 9, "out": {"numbers": "refine.number"},
        "nodes": {"guess": {"kind": "llm", "in": {"line": "item"}, "out": {"number": "int"}}, "refine": loop},
    }  # fmt: skip
    long = {"ref": "lines", "op": "empty"}
    return Workflow.from_data(
        {
            "flowbot": 1,
            "inputs": {"note": "str"},
            "outputs": {"total": "best.total"},
            "nodes": {
                "split": {"kind": "llm", "in": {"note": "note"}, "out": {"lines": "list[str]"}},
                "route": {"kind": "branch", "in": {"lines": "split.lines"}, "ways": {"one": long, "more": "else"}},
                "whole": {"kind": "llm", "when": "route.one", "in": {"note": "note"}, "out": {"total": "int"}},
                "each": each,
                "add": {"kind": "code", "in": {"numbers": "each.numbers"}, "out": {"total": "int"}},
                "best": {"kind": "merge", "how": "judge", "in": ["whole.total", "add.total"], "out": {"total": "int"}},
            },
            "parameters": {
                "split": {"instruction": "Split the note."},
                "whole": {"instruction": "Count.", "samples": 3, "temperature": 0.7, "tools": ["search"]},
                "each/guess": {"instruction": "Give the number of this line."},
                "each/refine/critic": {"instruction": "Is this number right?"},
                "add": {"code": "def run(numbers):\n    return {'total': sum(numbers)}"},
                "best": {"instruction": "Prefer the sum."},
            },
        }
    )


def nested_steps() -> list[dict[str, Any]]:
    """A trace of it: two items, the second with two steps of the loop, the last of which fails."""
    told = [{"role": "user", "content": "6 desk lamps"}]

    def step(address: str, kind: str, outputs: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
        whole = {"messages": [], "reply": "", "usage": {}, "seconds": 0.0, "reads": [], "note": "", "calls": []}
        return {"address": address, "kind": kind, "inputs": {}, "outputs": outputs, "error": "", **whole, **more}

    called = [
        {"tool": "search", "arguments": {"query": "lamp"}, "result": {"hits": 6}, "error": "", "seconds": 0.1},
        {"tool": "fetch", "arguments": {}, "result": None, "error": "there is no tool fetch", "seconds": 0.0},
    ]
    return [
        step("split", "llm", {"lines": ["6 desk lamps", "1 USB stick"]}, messages=told, reply="…"),
        step("route", "branch", {"way": "one"}),
        step("whole#1", "llm", {"total": 7}, calls=called),
        step("whole#2", "llm", {"total": 8}),
        step("each", "map", {"numbers": [6, 1]}),
        step("each/guess[1]", "llm", {"number": 6}),
        step("each/guess[2]", "llm", {"number": 2}),
        step("each/refine[2]", "loop", {"number": 1}, note="stopped at its bound of 3 steps"),
        step("each/refine[2]/critic[1]", "llm", {"ok": False, "better": 1}),
        step("each/refine[2]/critic[2]", "llm", None, error="the reply was cut"),
        step("best", "merge", {"total": 7}),
    ]


def write_nested(run_dir: Path) -> Path:
    """A run that found the nested workflow, with one of its traces."""
    run = write_sample(run_dir)
    row = three_rows()[0]
    row["final"]["trace"]["steps"] = nested_steps()
    _write_examples(run, [row])
    nested().save(run / "found.flow.yaml")
    change = proposal(5, final(), nested(), "structure", "meta", "Count line by line.", "Lines are mixed up.")
    blamed = gradient("Two lines are taken for one.", "train-004", "each/refine/critic[2]", "call")
    with (run / "journal.jsonl").open("a", encoding="utf-8") as file:
        for event in (blamed, change, verdict(5, True, "P(better) 0.9 reaches 0.80", 0.8, 0.7, 24, 0.9)):
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
    return run
