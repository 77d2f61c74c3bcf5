"""Programs in words: what is read of them, what is wrong with them, and that no text takes long."""

from __future__ import annotations

import pytest
from core_programs import AGAIN, AHEAD, APART, ENDS, KNOTTED, LOST, MORE_LOST, NESTED, PROGRAMS, STRAIGHT
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields.foreign import MOST_FINDINGS
from flowbot.workflow.core import CoreProgram, CoreStep, dump_core, folded, read_core, shortest_way

LOST_STEPS = {"lost": range(4, 9), "more lost": (4, 5, 6, 7, 8, 9, 13)}


def defects(text: str) -> list[str]:
    return list(map(str, read_core(text)[1]))


@pytest.mark.parametrize("name", PROGRAMS)
def test_nine_programs_have_exactly_these_defects(name: str) -> None:
    wanted = [
        f"line {number}: no way leads to 'Step {number}'; let a step go on to it, or remove it"
        for number in LOST_STEPS.get(name, ())
    ]
    assert defects(PROGRAMS[name]) == wanted


def test_a_step_is_a_name_a_type_an_instruction_and_its_ways() -> None:
    program, _ = read_core(AGAIN)
    assert program.first == CoreStep("Step 1", "process", "Say of what kind the input is", (("next", "Step 2"),))
    assert program.steps[3].branches == (("Yes", "Step 5"), ("No", "Step 3"))
    assert program.steps[-1] == CoreStep("Step 6", "terminal", "Write down the list, names alone", ())
    assert [step.line for step in program.steps] == [1, 2, 3, 4, 5, 6]
    assert (program.notes, read_core(STRAIGHT)[0].notes) == ((), ())


def test_branches_that_stand_apart_are_all_kept_and_that_is_said() -> None:
    program, found = read_core(APART)
    assert found == []
    assert program.steps[1].branches == (("Yes", "Step 3"), ("No", "Step 1"))
    assert program.steps[2].branches == (("Yes", "Step 4"), ("No", "Step 1"))
    assert [note.partition(":")[0] for note in program.notes] == ["line 2", "line 3"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ["program: there are no steps"]),
        ("Do it well.", ["line 1: 'Do it well.' is no step"]),
        ("A:::loop:::Do it:::next::A", ["line 1: 'loop' is no type of a step"]),
        ("A:::process:::Do it:::next::B", ["program: no step is a terminal", "line 1: there is no step 'B'"]),
        ("A:::terminal:::Say:::\na :::terminal:::Say:::", ["line 2: 'a' is the name of line 1 too"]),
        ("A:::decision:::Is it?:::Yes::B\nB:::terminal:::Say", ["line 1: a decision with 1 branch"]),
        ("A:::process:::Do:::yes::B::no::A\nB:::terminal:::Say", ["line 1: a process with 2 branches"]),
        ("A:::process:::Do:::\nB:::terminal:::Say", ["line 1: a process that goes on to nothing"]),
        ("A:::terminal:::Say:::next::A", ["line 1: a terminal that goes on"]),
        ("A:::decision:::Is it?:::Yes::B::yes::A\nB:::terminal:::Say", ["line 1: the key 'yes' stands there more than once"]),
        ("A:::process:::Do:::next\nB:::terminal:::Say", ["line 1: 'next' is no list of branches", "line 1: a process that goes on to nothing"]),
        ("A:::process::::::next::B\nB:::terminal:::Say", ["line 1: the step has no instruction"]),
        (":::process:::Do:::next::B\nB:::terminal:::Say", ["line 1: a name of 0 letters"]),
        (f"{'A' * 81}:::process:::Do:::next::B\nB:::terminal:::Say", ["line 1: a name of 81 letters"]),
        (
            "A:::decision:::Is it?:::Yes::B::No::C\nB:::process:::Do:::next::B\nC:::terminal:::Say",
            ["line 2: no way leads from 'B' to a terminal"],
        ),
    ],
)  # fmt: skip
def test_a_defect_is_one_line_that_says_where_and_what(text: str, wanted: list[str]) -> None:
    assert [each.partition("; ")[0] for each in defects(text)] == wanted


def test_more_than_sixty_steps_or_eight_thousand_letters_are_too_many() -> None:
    line = "{0}:::process:::Do:::next::{1}\n"
    text = "".join(line.format(number, number + 1) for number in range(60)) + "60:::terminal:::Say"
    assert defects(text) == ["program: 61 steps; use 60 at most"]
    assert defects(f"A:::terminal:::{'x' * 8000}") == ["program: 8,015 letters; use 8,000 at most"]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        ":" * 7_999,
        "x\n" * 4_000,
        ": " * 3_999,
        "".join(f"{number}:::process:::Do:::next::{number + 1}\n" for number in range(10_000)),
        "A:::decision:::x:::" + "::".join(f"{number}::A" for number in range(1_000)),
        "\u202eA\x00:::process:::\ud800:::next::\ufeff",
        "：：：process：：：fullwidth：：：next：：A",
        "A:::process:::Do:::next::B\u2028B:::terminal:::Say",
    ],
)
def test_no_text_is_executed_raises_or_goes_on_for_ever(text: str) -> None:
    program, found = read_core(text)
    assert len(program.steps) <= 2000
    assert len(found) <= MOST_FINDINGS
    assert all(len(str(each)) < 1000 and "\n" not in str(each) for each in found)


def test_the_shortest_way_is_counted_in_steps() -> None:
    assert [shortest_way(read_core(text)[0]) for text in (STRAIGHT, AGAIN, APART, AHEAD, ENDS, NESTED, KNOTTED)] == [3, 6, 4, 4, 3, 6, 3]  # fmt: skip
    assert shortest_way(read_core("A:::terminal:::Say")[0]) == 1


_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_NAMES = _WORDS.map(lambda text: " ".join(text.replace(":", "").split())).filter(bool)


@st.composite
def programs(draw: st.DrawFn) -> CoreProgram:
    """Programs that may have any defect of their ways, and none of their lines."""
    names = draw(st.lists(_NAMES, min_size=1, max_size=8, unique_by=folded))
    steps = list[CoreStep]()
    for name in names:
        kind = draw(st.sampled_from(["process", "decision", "terminal"]))
        many = {"process": 1, "decision": 2, "terminal": 0}[kind]
        keys = draw(st.lists(_NAMES, min_size=many, max_size=many, unique_by=folded))
        ways = tuple((key, draw(st.sampled_from(names))) for key in keys)
        steps.append(CoreStep(name, kind, draw(_NAMES), ways))  # pyright: ignore[reportArgumentType]
    return CoreProgram(tuple(steps))


@given(programs())
def test_what_is_written_is_read_back_as_the_same(program: CoreProgram) -> None:
    read, found = read_core(dump_core(program))
    assert read.steps == program.steps
    assert all("no way leads" in each.what or "no step is a terminal" in each.what for each in found)


@given(st.text(max_size=300) | st.lists(st.sampled_from([":::", "::", "A", "b", "\n", "process", "Decision", "terminal", " "]), max_size=60).map("".join))  # fmt: skip
def test_what_is_read_of_any_text_is_written_so_that_it_stays(text: str) -> None:
    read, found = read_core(text)
    again, more = read_core(dump_core(read))
    if not found:
        assert (again.steps, more) == (read.steps, [])


def test_lost_steps_are_five_of_twelve_and_seven_of_seventeen() -> None:
    assert [(len(read_core(text)[1]), len(read_core(text)[0].steps)) for text in (LOST, MORE_LOST)] == [
        (5, 12),
        (7, 17),
    ]
