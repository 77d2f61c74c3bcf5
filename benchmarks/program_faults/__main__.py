"""Is the text that was spoiled the one that feedback reaches? Each text of eleven programs is spoiled in twelve ways.

    python benchmarks/program_faults OUT

Every program runs on two questions as it is, and with one of its texts spoiled; the model is pretend, and does what its text says. A run whose
result changed is gone through backward by parts, as LLM-AutoDiff's optimiser does it. Whoever is asked of a call knows of it alone: whether what
it gave is as it was before; if not, whether what it received is, and so which of those that it is said to have read are. So what differs is
which calls feedback reaches.

That is told three times: with edges as they are inferred, as they are known, and by time alone, each call having read the one that ended last.
`rightly`: of the runs that went wrong, those whose feedback speaks against the spoiled text alone; `reached`: against it among others;
`asked`: questions a run.

Raw: OUT/program_faults.json. It takes no model and no endpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from flowbot.fields import Score
from flowbot.lm.session import Session
from flowbot.optimizer.feedback import backward as walked
from flowbot.optimizer.feedback.backward import backward
from flowbot.optimizer.feedback.links import givers
from flowbot.optimizer.feedback.parts import suspects
from flowbot.run.events import Feedback
from flowbot.runtime.engine import Engine
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Step, Trace
from flowbot.runtime.traced import assemble
from flowbot.runtime.traced.recorded import Edge, Recorded
from flowbot.stats import wilson
from flowbot.store import Store
from flowbot.task import Example, Task
from flowbot.task.programs import program_of
from flowbot.workflow.workflow import Workflow
from program_faults.model import WAYS
from program_faults.pipelines import PIPELINES, Truth

QUESTIONS = (
    "Which harbour did the northern envoys reach first?",
    "Why were both lighthouse keepers dismissed together?",
)
MODES = ("inferred", "known", "by time")
Edges = Callable[..., Sequence[Edge]]


def _named(event: Recorded) -> str:
    """`plan`, or of a model's call by the first word of what it was told: `call PLAN`."""
    if event.kind != "model":
        return event.name
    told = "\n".join(each.content for each in event.exchange.messages)
    return f"call {next(word for word in told.replace(':', ' ').split() if word.isupper() and len(word) > 3)}"


def known(truth: Truth) -> Edges:
    """Edges as the pipeline's author knows them."""

    def edges(events: Sequence[Recorded], inputs: object, outputs: object = None, texts: object = ()) -> list[Edge]:
        return [edge for event in (*events, None) for edge in _true(event, events, truth)]

    return edges


def _true(event: Recorded | None, events: Sequence[Recorded], truth: Truth) -> Iterator[Edge]:
    own = event.id if event else ""
    before = [each for each in events if event is None or each.ended < event.started]
    for wanted in truth.get(_named(event) if event else "", ()):
        same = [each for each in before if _named(each) in wanted.strip("!*").split("|")]
        part = "" if wanted.startswith("!") else "in.given" if event else "out"
        yield from (Edge(own, each.id, part, "declared") for each in (same if wanted.endswith("*") else same[-1:]))
    inner = [each for each in events if event is not None and each.parent == event.id]
    yield from (Edge(own, each.id, "out", "declared") for each in inner[-1:])


def by_time(events: Sequence[Recorded], inputs: object, outputs: object = None, texts: object = ()) -> list[Edge]:
    """Each call read what ended last before it began, and a step gave what its last call did."""
    found: list[Edge] = []
    for event in (*events, None):
        began = event.started if event else 10**9
        before = [each for each in events if each.ended < began and each is not event]
        inner = [each for each in events if event is not None and each.parent == event.id]
        outer = [each for each in before if event is None or each.parent != event.id]
        if outer:
            found.append(
                Edge(
                    event.id if event else "",
                    max(outer, key=lambda each: each.ended).id,
                    "in.given" if event else "out",
                    "time",
                )
            )
        if event is not None and inner:
            found.append(Edge(event.id, max(inner, key=lambda each: each.ended).id, "out", "time"))
    return found


@dataclass
class Bench:
    """The programs on one engine."""

    engine: Engine
    lines: list[dict[str, Any]]

    async def traces(
        self, name: str, texts: Mapping[str, str], edges: Edges | None
    ) -> list[tuple[WorkflowProgram, Trace]]:
        """A run on every question."""
        data = {"call": name, "in": {"question": "question"}, "out": {"text": "str"}}
        nodes = {"app": {"kind": "program", **data}}
        flow = Workflow.from_data(
            {"flowbot": 1, "inputs": {"question": "str"}, "outputs": {"text": "app.text"}, "nodes": nodes, "parameters": {"app": {"texts": texts}}}
        )  # fmt: skip
        with patch.object(assemble, "edges", edges or assemble.edges):
            runs = [await self.engine.run(flow, {"question": each}, purpose="train") for each in QUESTIONS]
        return [(WorkflowProgram(flow), each) for each in runs]

    async def program(self, name: str, texts: Mapping[str, str], truth: Truth) -> None:
        """All ways to spoil the texts of one."""
        for mode, edges in zip(MODES, (None, known(truth), by_time), strict=True):
            clean = await self.traces(name, texts, edges)
            for text in texts:
                for number, way in enumerate(WAYS):
                    spoiled = await self.traces(name, {**texts, text: f"{texts[text]} [{number}]"}, edges)
                    for (_, before), (program, now) in zip(clean, spoiled, strict=True):
                        if now.outputs != before.outputs:
                            blamed, questions = await against(program, now, before, f"app:{text}")
                            line = {
                                "mode": mode,
                                "program": name,
                                "text": text,
                                "way": way,
                                "blamed": sorted(blamed),
                                "asked": questions,
                            }
                            self.lines.append(
                                {**line, "rightly": blamed == {f"app:{text}"}, "reached": f"app:{text}" in blamed}
                            )


async def against(program: WorkflowProgram, now: Trace, before: Trace, spoiled: str) -> tuple[set[str], int]:
    """The texts that feedback speaks against, and how many questions were asked."""
    gave, received = ({_facts(step, what) for step in before.steps} for what in ("outputs", "inputs"))
    wrong = {step.address for step in now.steps if _facts(step, "outputs") not in gave}
    questions = 0

    async def asked(context: Any, program: WorkflowProgram, row: Row, step: Step, heard: Any) -> dict[str, str]:
        nonlocal questions
        questions += 1
        if step.address not in wrong:
            return {}
        if _facts(step, "inputs") in received:
            return {each: "this text is at fault" for each in step.texts if each == spoiled or len(step.texts) == 1}
        return {f"in.{name}": "it is not as it was" for name, giver, _ in givers(program, row, step) if giver in wrong}

    expected = dict(before.outputs or {})
    row = Row(Example("one", now.inputs, expected), now, Score(0.0, "it is not as it was"))
    metric = Task(
        goal="-", inputs={"question": "str"}, outputs={"text": "str"}, metric="exact", train=[], val=[], test=[]
    ).metric
    context: Any = SimpleNamespace(
        told=lambda _, rows: rows, task=SimpleNamespace(metric=metric), meta_mode="large",
        feedback=lambda about, example, place, text, part="", source="meta", after=(): Feedback(
            id=f"{place}/{part}", about=about, example=example, place=place, part=part, text=text, source=source, after=tuple(after)
        ),
    )  # fmt: skip
    with patch.object(walked, "ask_parts", asked):
        gradients = await backward(context, program, row, parts=True)
    free = suspects(program)
    return {said.part for of_call in gradients.values() for said in of_call if said.part in free}, questions


def _facts(step: Step, what: str) -> tuple[str, tuple[str, ...], str]:
    return step.node, step.texts, json.dumps(getattr(step, what))


@asynccontextmanager
async def opened() -> AsyncGenerator[Bench]:
    """An engine with the programs."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store.sqlite")
        session = Session(store=store)
        programs = {each.name: each for each in map(program_of, PIPELINES)}
        engine = Engine(None, session, programs=programs, max_reply=100)
        try:
            yield Bench(engine, [])
        finally:
            await engine.close()
            await store.close()


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """By program and way of knowing the edges."""
    rows = [
        "| program | texts | runs gone wrong | "
        + " | ".join(f"{mode}: rightly, reached, asked" for mode in MODES)
        + " |",
        "|---|--:|--:|" + "--:|" * len(MODES),
    ]
    for name in [*dict.fromkeys(each["program"] for each in lines), ""]:
        mine = [each for each in lines if name in ("", each["program"])]
        cells = [[each for each in mine if each["mode"] == mode] for mode in MODES]
        shares = [_share(each) for each in cells]
        texts = len({(each["program"], each["text"]) for each in mine})
        rows.append(f"| {name or 'all'} | {texts} | {len(cells[0])} | " + " | ".join(shares) + " |")
    return "\n".join(rows)


def _share(lines: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(key for each in lines for key in ("rightly", "reached") if each[key])
    if not lines:
        return "–"
    low, high = wilson(counts["rightly"], len(lines))
    rightly, reached = (100 * counts[each] / len(lines) for each in ("rightly", "reached"))
    asked = fmean(each["asked"] for each in lines)
    return f"{rightly:.0f} % ({100 * low:.0f}–{100 * high:.0f}), {reached:.0f} %, {asked:.1f}"


async def ran() -> list[dict[str, Any]]:
    """A line each run that went wrong."""
    async with opened() as bench:
        for call, truth in PIPELINES.items():
            own = program_of(call)
            await bench.program(own.name, {each.name: str(each.default) for each in own.tunable}, truth)
            print(own.name, len(bench.lines), flush=True)
    return bench.lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    found = asyncio.run(ran())
    (folder / "program_faults.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(table(found))
