"""Objects that show themselves: bounded lines of text, and HTML in which nothing of others' is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowbot as fb
from flowbot.fields.words import brief
from flowbot.lm.client import Message
from flowbot.notebook.html import html
from flowbot.notebook.markup import Markup, card, folded, shown, table, text
from flowbot.notebook.register import SHOWN
from flowbot.run.eval_result import EvalRow
from flowbot.run.result import Scores, Used
from flowbot.run.sessions import Spent
from flowbot.runtime.trace import Step
from flowbot.stats import Estimate, estimate_mean
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

EVIL = "<script>alert('x')</script> & \"more\""
ALLOWED = re.compile("div|strong|span|table|thead|tbody|tr|th|td|pre|details|summary|progress|a|style|title")
DRAWN = re.compile("svg|g|path|rect|text|tspan|line|circle|defs|marker|polygon|polyline|ellipse")


class Reader(HTMLParser):
    """Every tag is closed, none is unknown, and no attribute acts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert ALLOWED.fullmatch(tag) or DRAWN.fullmatch(tag), tag
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert DRAWN.fullmatch(tag), tag

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> str:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return re.sub(r"\s+", " ", " ".join(reader.text))


def task(words: str = "hello", count: int = 8) -> fb.Task:
    rows = [{"id": f"r{n}", "note": f"{words} {n}", "total": n} for n in range(count)]
    return fb.Task(
        goal=words, inputs={"note": str}, outputs={"total": int}, metric="numeric", train=rows, name="orders"
    )


def workflow(words: str = "Count.") -> Workflow:
    made = single_call(task().inputs, task().outputs, "Count.", reasoning=False)
    shown = Demonstration(inputs={"note": words}, outputs={"total": 3})
    told = LLMParameters(instruction=f"Do: {words}"[:4000], demonstrations=(shown,), temperature=0.5)
    return made.with_parameter("answer", told)


def trace(words: str = "a note", *, error: str = "") -> fb.Trace:
    outputs = None if error else {"total": 3}
    step = Step(
        "answer", "llm", {"note": words}, outputs, error, (Message("user", words),), f"reply {words}",
        fb.Usage(1, 10, 5, usd=None),
    )  # fmt: skip
    return fb.Trace("r1", {"note": words}, (step,), outputs, error)


def row(value: float, words: str = "a note") -> EvalRow:
    example = fb.Example(f"r{value}", {"note": words}, {"total": 4})
    outputs = {"total": 3} if value else None
    return EvalRow(example, outputs, fb.Score(value, words), "" if value else words, fb.Usage(1, 10, 5))


def evaluation(*values: float, words: str = "a note") -> fb.EvalResult:
    rows = tuple(row(value, words) for value in values)
    return fb.EvalResult(
        workflow=workflow(), task="orders", split="val", lm="fake/x", estimate=estimate_mean(values), rows=rows,
        dropped=(words,), calls=len(rows), usage=fb.Usage(len(rows), 100, 20), spent=fb.Usage(), seconds=2.0,
    )  # fmt: skip


def result(folder: Path, words: str = "because", **more: Any) -> fb.RunResult:
    start = Scores(Estimate(0.3, 0.18, 0.45, 40), Estimate(0.33, 0.25, 0.43, 100))
    final = Scores(Estimate(0.82, 0.68, 0.91, 40), Estimate(0.71, 0.61, 0.79, 100))
    better = Scores(Estimate(0.52, 0.35, 0.68, 40), Estimate(0.38, 0.27, 0.49, 100))
    made: dict[str, Any] = {
        "run_id": "orders-1", "run_dir": folder, "status": "done", "stopped_by": "finished", "method": "flowbot+blame",
        "effort": "low", "seed": 0, "found": workflow(words), "start": workflow("Count them."), "start_scores": start,
        "final_scores": final, "difference": better, "calls": {"train": 400, "val": 108},
        "task": "orders", "task_hash": "one", "metric": "numeric", "models": {"task": "fake/x"},
        "spent": Spent(calls=8, tokens=900, usd=0.0), "seconds": 3.0, "kept_from": (f"meta: {words}",),
        "by_purpose": {"train": Used(calls=508, requests=508, tokens=61_000, usd=0.0, seconds=3.0)}, **more,
    }  # fmt: skip
    return fb.RunResult(**made)


def everything(words: str, folder: Path) -> list[Any]:
    with fb.Flow(workflow(words), lm="fake/echo") as flow:
        bar = fb.ProgressBar()
        bar.event = fb.ProgressEvent("search", words, 1, 2, 3, planned=9, best=0.5)
        bar.news.append(words)
        return [
            task(f"x{words}"), task().train[0], fb.Example("e", {"note": words}, {}, extra={"why": words}, feedback=words),
            workflow(words), flow, trace(words), trace(words, error=words or "failed"), evaluation(0.0, 0.5, 1.0, words=words),
            result(folder, words), result(folder, words, status="paused", reason=words), fb.Score(0.5, words, {"a": 1.0}),
            bar, fb.ProgressBar(),
        ]  # fmt: skip


@given(st.text(max_size=40) | st.just(EVIL))
@settings(max_examples=15, deadline=None)
def test_nothing_of_others_is_markup_and_every_tag_is_closed(words: str) -> None:
    for each in everything(words, Path("runs/x")):
        read(html(each))


def test_lines_and_pages_are_bounded_however_long_the_data() -> None:
    long = "word " * 20_000
    for each in everything(long, Path("runs/x")):
        assert len(repr(each)) <= 700 or isinstance(each, fb.Score), type(each)
        assert len(html(each)) < 200_000, type(each)


def test_a_notebook_is_told_of_every_type_that_has_a_page() -> None:
    pages = {f"{kind.__module__}.{kind.__name__}" for kind in html.registry if kind is not object}
    assert pages == set(SHOWN)


def test_a_value_without_a_page_is_shown_as_its_text() -> None:
    assert read(html(["<b>"])) == "['<b>']"


def test_a_task_shows_its_fields_metric_sizes_and_first_examples() -> None:
    assert repr(task()) == "Task(orders: note → total, metric numeric, 8 train, 0 val, 0 test)"
    said = read(html(task()))
    for part in ("Task orders", "note", "int", "numeric", "8 train", "hello 0", "hello 2"):
        assert part in said
    assert "hello 3" not in said
    assert repr(task().train[0]) == "Example(r0: note='hello 0' → total=0)"


def test_a_workflow_shows_its_drawing_and_its_prompts() -> None:
    assert repr(workflow()) == str(workflow()) == "Workflow(note → total, 1 node: answer (llm))"
    page = html(workflow("Count the things."))
    assert "<svg" in page
    said = read(page)
    for part in ("Count the things.", "Worked examples: 1", "temperature", "answer · llm"):
        assert part in said


def test_a_flow_says_how_it_is_called() -> None:
    with fb.Flow(workflow(), lm="fake/echo") as flow:
        assert repr(flow) == "Flow(note → total, 1 node: answer (llm); lm fake/echo)"
        assert "flow(note: str) → total" in read(html(flow))


def test_a_trace_shows_what_was_sent_and_what_came_back() -> None:
    assert repr(trace()) == "Trace(r1, 1 step: total=3)"
    assert repr(trace(error="no number")) == "Trace(r1, 1 step: no number)"
    said = read(html(trace("two pens")))
    for part in (
        "Trace r1",
        "answer · llm",
        "user two pens",
        "replied reply two pens",
        "1 call, 15 tokens, cost unknown",
    ):
        assert part in said


def test_an_evaluation_shows_failures_first_and_says_what_is_left() -> None:
    found = evaluation(*([1.0] * 30), 0.0, 0.5)
    assert str(found).startswith("95 % on 32 val examples (95 % interval ")
    assert str(found).endswith("2 not right, 1 error; 32 model calls, 120 tokens, no cost (all from the store)")
    said = read(html(found))
    assert said.index("r0.0") < said.index("r0.5") < said.index("r1.0")
    assert "and 12 more" in said
    assert [each.example.id for each in found.failures] == ["r0.0", "r0.5"]
    assert found.table()[0] == {
        "id": "r1.0", "note": "a note", "expected.total": 4, "found.total": 3, "score": 1.0, "feedback": "a note",
    }  # fmt: skip


def test_a_result_says_the_verdict_and_links_the_report_once_there_is_one(tmp_path: Path) -> None:
    made = result(tmp_path)
    verdict = "The found workflow scores 71 % on 100 test examples, the start 33 %: better by 38 points"
    assert made.verdict.startswith(verdict)
    assert repr(made).startswith(f"RunResult(done: {verdict}")
    drawn = html(made)
    said = read(drawn)
    for part in (
        verdict,
        "68 to 91 %",
        "+38 points",
        "508 model calls, 61,000 tokens, no cost.",
        "Made by this run: 8 of the calls, 900 tokens, no cost, in 3 s; the rest stood in the store.",
        "fb.write_report",
        "meta: because",
    ):
        assert part in said
    assert "href" not in drawn
    assert drawn.count("<svg") == 2
    assert made.report_path is None
    page = made.run_dir / "report.html"
    page.write_text("x", encoding="utf-8")
    assert made.report_path == page
    assert f'href="{page}"' in html(made)


def test_a_paused_result_says_why_and_claims_nothing(tmp_path: Path) -> None:
    made = result(
        tmp_path, status="paused", reason="no network", found=None, start_scores=Scores(), final_scores=Scores()
    )
    said = read(html(made))
    assert "The run is paused" in said
    assert "no network" in said
    assert "better" not in said
    with pytest.raises(fb.UserError, match=r"no network.*result\.start"):
        made.workflow.save(tmp_path / "found.flow.yaml")
    assert not (tmp_path / "found.flow.yaml").exists()


def test_only_what_is_markup_already_is_not_escaped() -> None:
    assert shown("<b>") == "&lt;b&gt;"
    assert shown(Markup("<b>x</b>")) == "<b>x</b>"
    assert shown({"a": [1]}) == "{&quot;a&quot;: [1]}"
    assert brief("x" * 50, 10) == "x" * 9 + "…"
    assert "&lt;i&gt;" in card("t", folded("<i>", text("<i>")), table([["<i>"]], ["<i>"]))


@pytest.mark.parametrize("what", ["step", "scored"])
def test_outside_of_a_notebook_the_bar_writes_news_alone(what: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bar = fb.ProgressBar()
    bar(fb.ProgressEvent("start", "The start scores 30 %", calls=4, what=what, planned=9))
    captured = capsys.readouterr()
    assert captured.out == ""
    line = "start: The start scores 30 % · 4 of about 9 calls\n"
    assert captured.err == (line if what == "scored" else "")
