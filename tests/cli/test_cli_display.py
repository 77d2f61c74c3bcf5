"""What is shown while a run works and what is drawn: on a clock of the test's own."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from io import StringIO

import pytest
from cli_help import set_lines
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console as RichConsole

from flowbot.cli.console import Console
from flowbot.cli.drawing import boxes, score_line, side_by_side
from flowbot.cli.progress import PLAIN_EVERY, Display, Status
from flowbot.cli.signals import pausing
from flowbot.fields.words import printable
from flowbot.lm.stop import StopSignal
from flowbot.optimizer.progress import ProgressEvent as Event
from flowbot.workflow.nodes import LLMNode, Sketch
from flowbot.workflow.parameters import Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

Capture = pytest.CaptureFixture[str]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def workflow(instruction: str = "Add up the amounts.") -> Workflow:
    node = LLMNode(inputs={"note": "note"}, out={"total": "int"})
    shown = (Demonstration(inputs={"note": "a"}, outputs={"total": 1}),)
    return Workflow(
        sketch=Sketch(inputs={"note": "str"}, outputs={"total": "answer.total"}, nodes={"answer": node}),
        parameters={"answer": LLMParameters(instruction=instruction, demonstrations=shown)},
    )


def status(clock: Clock, width: int = 80) -> Status:
    return Status(RichConsole(file=StringIO(), width=width, color_system=None), clock)


def shown(status: Status) -> list[str]:
    """The lines that stand at the bottom."""
    return set_lines(status.get_renderable(), status.console.width)


def test_time_left_follows_the_speed_of_late() -> None:
    clock = Clock()
    bottom = status(clock)
    assert bottom.left() is None
    for second in range(11):
        clock.now = float(second)
        bottom.show(Event("search", "", share=second / 100))
    assert bottom.left() == 90
    for second in range(11, 200):
        clock.now = float(second)
        bottom.show(Event("search", "", share=0.1 + (second - 10) // 10 / 100))
    assert bottom.left() == pytest.approx((100 - 28) * 10, rel=0.15)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_time_left_is_silent_without_a_share_and_at_the_end(share: float) -> None:
    clock = Clock()
    bottom = status(clock)
    for second in range(20):
        clock.now = float(second)
        bottom.show(Event("search", "", share=share * (second + 1) / 20))
    assert bottom.left() is None


def test_plain_lines_come_with_each_step_and_now_and_then_within(capsys: Capture) -> None:
    clock = Clock()
    with Display(Console("plain"), now=clock) as display:
        for done in range(8):
            clock.now = float(done)
            display.show(Event("start", "start on 8 examples", done, 8, done, share=done / 40))
        clock.now = PLAIN_EVERY + 1
        best = {"best": 0.25, "between": (0.1, 0.4), "usd": 0.5}
        display.show(Event("start", "start on 8 examples", 8, 8, 8, share=0.2, **best))
        display.show(Event("test", "closing", 0, 8, 8, share=0.3))
        display.show(Event("test", "fetching", calls=8, what="news", share=0.3))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[0:00] Scoring the start: start on 8 examples · 0 calls"
    told = (
        "[0:16] Scoring the start: start on 8 examples (8 of 8) · 8 calls, $0.50, best 25 % (10 to 40 %), about 1 min"
    )
    assert " ".join(" ".join(lines[1:3]).split()).startswith(told)
    assert lines[3].startswith("[0:16] Closing test: closing")
    assert lines[4] == "[0:16] fetching"
    assert len(lines) == 5
    assert max(map(len, lines)) <= 100


def test_plain_lines_of_steps_side_by_side_are_as_few(capsys: Capture) -> None:
    clock = Clock()
    with Display(Console("plain"), now=clock) as display:
        for done in range(8):
            for text in ("one", "two"):
                display.show(Event("search", text, done, 8, done))
    assert capsys.readouterr().out.splitlines() == [f"[0:00] Searching: {text} · 0 calls" for text in ("one", "two")]


@given(
    st.lists(st.text(alphabet="abcdefghij", min_size=1, max_size=12), min_size=1, max_size=12),
    st.integers(40, 100),
    st.floats(0, 1),
    st.sampled_from([0.0, None, 0.004, 12.5]),
)
def test_the_lines_at_the_bottom_keep_to_any_width_and_break_no_fact(
    words: list[str], width: int, share: float, usd: float | None
) -> None:
    text = " ".join(words)
    bottom = status(Clock(), width)
    bottom.show(Event("search", text, 3, 24, 1_240, best=0.3, between=(0.18, 0.45), usd=usd, share=share))
    what, numbers, *facts = shown(bottom)
    assert all(len(line) <= width for line in (what, numbers, *facts))
    assert f"Searching: {text}".startswith(what.removesuffix("…"))
    assert "%" in numbers
    said = " ".join(facts)
    assert all(part in said for part in ("3 of 24", "1,240 calls", "best 30 % (18 to 45 %)"))
    assert ("$12.50" in said) == (usd == 12.5)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_news_above_the_live_lines_break_between_words(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = "Not kept (0 % against 12 %): Add a second LLM call that reads the first answer and writes the answer again"
    with Display(Console("rich")) as display:
        display.news(text)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert " ".join(" ".join(lines).split()).startswith(text)
    assert all(len(line) < width for line in lines)


@pytest.mark.parametrize("mode", ["quiet", "json"])
def test_nothing_is_shown_to_programs(capsys: Capture, mode: str) -> None:
    console = Console("quiet" if mode == "quiet" else "json")
    with Display(console) as display:
        display.show(Event("start", "start", 1, 2, 1))
        display.news("fetching")
    console.say("hello")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_live_display_writes_no_markup_of_others(capsys: Capture) -> None:
    with Display(Console("rich")) as display:
        display.show(Event("search", "racing [bold]x[/bold] \x1b[31m", 1, 2, 1))
        display.news("[red]news[/red]")
    out = capsys.readouterr().out
    assert "[red]news[/red]" in out
    assert "\x1b[31m" not in out


@given(st.text(max_size=300), st.integers(30, 60))
@example("\u0816", 30)  # a mark that takes no cell
def test_boxes_keep_to_their_width(instruction: str, width: int) -> None:
    lines = set_lines(boxes(workflow(instruction), width))
    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) < 20


def test_box_says_what_a_step_reads_gives_and_is_told() -> None:
    text = "\n".join(set_lines(boxes(workflow(), 40)))
    for part in ("answer · llm", "reads note", "gives total", "“Add up the amounts.”", "1 worked example"):
        assert part in text


def test_two_workflows_stand_side_by_side_where_there_is_room() -> None:
    pair = ("Start", workflow()), ("Found", workflow())
    wide, narrow = (set_lines(side_by_side(*pair, width)) for width in (90, 50))
    assert wide[0].split() == ["Start", "Found"]
    assert "Found" not in narrow[0]
    assert len(narrow) > len(wide)
    assert all(len(line) <= 90 for line in wide)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(10, 50))
def test_score_line_has_one_dot_inside_its_interval(one: float, two: float, three: float, width: int) -> None:
    low, mean, high = sorted((one, two, three))
    line = score_line(low, mean, high, width)
    assert len(line) == width
    assert line.count("●") == 1
    assert line.strip("─").find("─") == -1


@given(st.text())
def test_printable_leaves_no_command_for_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


def test_ctrl_c_once_asks_and_twice_leaves() -> None:
    stop, said, left = StopSignal(), list[str](), list[bool]()
    before = signal.getsignal(signal.SIGINT)
    with pausing(stop, say=said.append, leave=lambda: left.append(True)):
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        assert len(said) == 1
        assert left == []
        signal.raise_signal(signal.SIGINT)
        assert left == [True]
    assert signal.getsignal(signal.SIGINT) is before
