"""A run directory as a finished optimisation leaves it: made up, but of the real shapes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowbot.run.events import (
    Arm,
    Decision,
    Ended,
    Event,
    Feedback,
    Level,
    Measure,
    Measured,
    Proposal,
    Source,
    Split,
    Started,
    Verdict,
    Votes,
    dump,
)
from flowbot.run.result import Judging, RunResult, Scores, Used
from flowbot.run.sessions import Spent, WorkSession
from flowbot.stats import Estimate
from flowbot.workflow.nodes import CodeNode, LLMNode, Sketch
from flowbot.workflow.parameters import CodeParameters, Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

GOAL = "Count how many items the customer orders in all: add up the amounts."
NOTE = "Hi there - pls send half a dozen desk lamps, and 1 USB stick. And Dee wants two clipboards too; ta"
USAGE = {"calls": 1, "input_tokens": 100, "output_tokens": 20, "cached_tokens": 0, "usd": 0.0, "seconds": 1.0}
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


def score(mean: float, n: int) -> Estimate:
    return Estimate(mean, round(max(0.0, mean - 0.09), 3), round(min(1.0, mean + 0.1), 3), n)


def feedback(number: int, text: str, example: str, place: str = "", about: Workflow | None = None) -> Feedback:
    hashed = (about or start()).hash
    return Feedback(id=f"g{number}", about=hashed, example=example, place=place, text=text, source="meta")


def proposal(
    number: int, parent: Workflow, made: Workflow | None, level: Level, source: Source, title: str, **more: Any
) -> Proposal:
    return Proposal(
        id=f"p{number}", level=level, arm=Arm(kind="compute", place="answer"), parents=(parent.hash,),
        program=made.hash if made else None, dump=made.dump() if made else None, title=title, source=source, **more,
    )  # fmt: skip


def verdict(number: int, decision: Decision, mine: float, theirs: float, n: int, p: float, **more: Any) -> Verdict:
    return Verdict(
        proposal=f"p{number}", incumbent=start().hash, decision=decision, n=n, mine=mine, theirs=theirs,
        gain=mine - theirs, spread=0.1, p=p, spent=40 + 50 * number, **{"rule": "race", **more},
    )  # fmt: skip


def measured(workflow: Workflow, split: Split, mean: float, n: int, spent: int) -> Measured:
    return Measured(
        program=workflow.hash, split=split, score=Measure.of(score(mean, n)), calls=1.0, tokens=120.0, usd=0.0,
        seconds=1.5, spent=spent,
    )  # fmt: skip


MODELS = {"task": "local/qwen2.5-coder-0.5b", "meta": "local/qwen2.5-coder-1.5b"}


def started(goal: str = GOAL, **more: Any) -> Started:
    facts: dict[str, Any] = {
        "run": "orders-5f2c9a0d11be", "task": "orders", "goal": goal, "method": "flowbot+blame", "seed": 0,
        "effort": 500, "models": MODELS, "start": start().hash, "program": start().dump(),
    }  # fmt: skip
    return Started(**{**facts, **more})


def journal(goal: str = GOAL) -> list[Event]:
    first, second, third, lost = start(), listed(), final(), planned()
    adding = "The amounts are found, but they are added up wrongly: 6 + 1 + 2 is given as 8."
    on_step = [
        ("`9` of “bus 9 stops right outside” must not be among the items.", "train-003"),
        ("“a pair of” is 2, the reply has 1.", "train-018"),
        ("The list is empty, though three things are ordered.", "train-022"),
        ("An order without a number counts as 1.", "train-029"),
    ]
    return [
        started(goal),
        measured(first, "val", 0.2, 40, 40),
        feedback(1, adding, "train-007"),
        feedback(2, adding, "train-031"),
        feedback(3, "The house number is taken for an amount.", "train-012"),
        proposal(
            1, first, second, "structure", "meta",
            "Let the LLM call list the things with their numbers, and compute the total in code.",
            because=("g1", "g2"), votes=Votes(won=2, of=3), code_by="meta",
            edits=("replace answer: llm, note → items", "add compute: code, answer.items → total"),
        ),
        verdict(1, "adopt", 0.54, 0.17, 24, 0.97),
        proposal(
            2, first, lost, "structure", "prior",
            "Split the LLM call into two calls: one writes a plan, the other answers by the plan.",
            reason="No feedback asked for it: it was the next in the catalogue of known patterns.",
            edits=("add plan: llm, note → plan", "replace answer"),
        ),
        verdict(2, "drop", 0.12, 0.25, 8, 0.11),
        *(feedback(4 + at, text, name, "answer", second) for at, (text, name) in enumerate(on_step)),
        proposal(
            3, second, None, "parameters", "meta", "rewrite step `answer` from its gradients", because=("g4",),
            faults=("the instruction copies an answer of train-003 (“26 items”)",),
        ),
        proposal(
            4, second, third, "parameters", "meta", "rewrite step `answer` from its gradients",
            because=("g4", "g5", "g6", "g7"), edits=("answer: rewritten",),
        ),
        verdict(4, "adopt", 0.71, 0.54, 24, 0.86),
        measured(second, "val", 0.55, 40, 420),
        measured(third, "val", 0.675, 40, 460),
        measured(first, "test", 0.18, 100, 560),
        measured(third, "test", 0.62, 100, 660),
        Ended(program=third.hash, title="rewrite", source="meta", stopped_by="finished", difference={"val": None, "test": None}),
    ]  # fmt: skip


def everywhere(text: str) -> list[Event]:
    """The journal with a text in every place that a person reads."""
    changed: dict[type[Event], dict[str, Any]] = {
        Started: {"task": text, "method": text, "models": {"task": text}},
        Feedback: {"text": text},
        Proposal: {"title": text, "reason": text, "edits": (text,), "faults": (text,)},
    }
    return [event.model_copy(update=changed.get(type(event), {})) for event in journal(text)]


def write_journal(run_dir: Path, events: Sequence[Event]) -> None:
    lines = "".join(json.dumps(dump(event)) + "\n" for event in events)
    (run_dir / "journal.jsonl").write_text(lines, encoding="utf-8")


def result(run_dir: Path = Path("runs/orders-5f2c9a0d11be"), **more: Any) -> RunResult:
    purposes = {
        "val": (120, 21_500), "train": (262, 49_100), "gradients": (31, 12_400), "proposals": (12, 4_900),
        "test": (200, 36_000),
    }  # fmt: skip
    spent = Spent(calls=588, tokens=118_400, usd=0.0)
    facts: dict[str, Any] = {
        "run_id": "orders-5f2c9a0d11be", "run_dir": run_dir, "status": "done", "stopped_by": "finished",
        "method": "flowbot+blame", "effort": "medium", "seed": 0, "task": "orders", "task_hash": "one",
        "metric": "numeric", "models": MODELS, "found": final(), "start": start(),
        "start_scores": Scores(score(0.2, 40), score(0.18, 100)),
        "final_scores": Scores(score(0.675, 40), score(0.62, 100)),
        "difference": Scores(Estimate(0.475, 0.3, 0.65, 40), Estimate(0.44, 0.33, 0.55, 100)),
        "calls": {purpose: calls for purpose, (calls, _) in purposes.items()}, "spent": spent, "now": spent,
        "seconds": 611.4, "kept": "rewrite", "kept_from": ("meta: rewrite",),
        "by_purpose": {
            purpose: Used(calls=calls, requests=calls, tokens=tokens, usd=0.0, seconds=1.0)
            for purpose, (calls, tokens) in purposes.items()
        },
    }  # fmt: skip
    return RunResult(**{**facts, **more})


def rewrite(run_dir: Path, **members: Any) -> None:
    """Change members of a run's `result.json`, as JSON data."""
    path = run_dir / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **members}), encoding="utf-8")


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
            "messages": messages if reply else [], "reply": reply, "usage": USAGE, "seconds": 1.0, "reads": [], "note": "",
            "calls": [],
        }  # fmt: skip

    def side(number: int, found: int | None, steps: list[dict[str, Any]], error: str = "") -> dict[str, Any]:
        outputs = {"total": found} if found is not None else None
        right = found == 9
        return {
            "score": float(right), "feedback": "" if right else f"total: found {found}, expected 9", "whole": True,
            "parts": {}, "spread": None,
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
    judge = Judging(model="openai/gpt-4.1", calls=120, tokens=44_000, usd=0.25, spread=0.08)
    result(run, judge=judge, dropped=("test-099",)).save()
    return run


def write_unchanged(run_dir: Path) -> Path:
    """A run that found nothing better: every comparison was lost."""
    run = write_sample(run_dir)
    events = [event for event in journal() if not isinstance(event, Measured | Ended)]
    write_journal(
        run,
        [
            event.model_copy(update={"decision": "drop", "p": 0.1 if event.proposal == "p1" else 0.7})
            if isinstance(event, Verdict)
            else event
            for event in events
        ],
    )
    same = Scores(score(0.2, 40), score(0.18, 100))
    none = Scores(*(Estimate(0.0, -0.03, 0.03, 100) for _ in range(2)))
    result(run, found=start(), start_scores=same, final_scores=same, difference=none).save()
    start().save(run / "found.flow.yaml")
    (run / "examples.jsonl").unlink()
    return run


def write_paused(run_dir: Path) -> Path:
    """A run that an outage stopped in its search."""
    run = write_sample(run_dir)
    for name in ("examples.jsonl", "found.flow.yaml"):
        (run / name).unlink()
    nothing = {name: Scores() for name in ("start_scores", "final_scores", "difference")}
    reason = "openai/x: cannot be reached (tried 6 times)"
    result(run, status="paused", stopped_by="infrastructure", reason=reason, found=None, **nothing).save()
    return run


def write_sample(run_dir: Path, *, goal: str = GOAL, note: str = NOTE) -> Path:
    """Write the run directory and return it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_journal(run_dir, journal(goal))
    write_sessions(run_dir, result().spent)
    result(run_dir).save()
    _write_examples(run_dir, three_rows(note))
    start().save(run_dir / "start.flow.yaml")
    final().save(run_dir / "found.flow.yaml")
    return run_dir


def write_sessions(run_dir: Path, spent: Spent) -> None:
    """One session that paid all of it."""
    session = WorkSession(began="2026-03-01T09:00:00+00:00", seconds=611.4, status="done", spent=spent)
    (run_dir / "sessions.jsonl").write_text(session.model_dump_json() + "\n", encoding="utf-8")


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
        whole = {"messages": [], "reply": "", "usage": USAGE, "seconds": 0.0, "reads": [], "note": "", "calls": []}
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
    said = feedback(9, "Two lines are taken for one.", "train-004", "each/refine/critic[2]", final())
    change = proposal(
        5, final(), nested(), "structure", "meta", "Count line by line.", reason="Lines are mixed up.", because=("g9",)
    )
    write_journal(run, [*journal(), said, change, verdict(5, "adopt", 0.8, 0.7, 24, 0.9)])
    result(run, found=nested()).save()
    return run
