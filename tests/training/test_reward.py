"""What the generator is told of a text: a valid program is never worth less than one with a defect, and of these the better more."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from flowbot.training.reward import FAR, read, taught, told

END = "Step 2:::terminal:::Give the plan.:::"
VALID = f"Step 1:::process:::Use caption.:::next::Step 2\n{END}"


def test_a_valid_program_gets_what_it_is_worth_and_its_steps_are_plain_data() -> None:
    text, program, near = read(f"{VALID}\n\nThat is all.")
    assert (text, near) == (VALID, 0.0)
    assert program is not None
    assert told(program)[0] == {
        "name": "Step 1",
        "type": "process",
        "instruction": "Use caption.",
        "branches": [["next", "Step 2"]],
    }


def test_the_more_lines_are_right_the_higher_the_reward_up_to_none_wrong() -> None:
    nothing = "I will not."
    lost = f"Step 1:::process:::Use caption.:::next::Step 9\n{END}"
    half = "Step 1:::process:::Use caption.:::next::Step 9\nand so on"
    rewards = [read(text)[2] for text in (nothing, f"{nothing}\n{nothing}", half, lost, VALID)]
    assert rewards[0] == rewards[1] == FAR
    assert rewards[1] < rewards[2] < rewards[3] < rewards[4] == 0.0


def test_a_program_without_an_end_is_told_so_though_each_line_is_right() -> None:
    circle = "Step 1:::process:::Go.:::next::Step 2\nStep 2:::process:::On.:::next::Step 1"
    assert FAR < read(circle)[2] < 0.0


@given(st.text(max_size=300))
def test_any_text_has_a_reward_between_the_worst_and_a_valid_program(text: str) -> None:
    _, program, near = read(text)
    assert near == 0.0 if program is not None else FAR <= near < 0.0


def test_samples_of_equal_reward_teach_nothing() -> None:
    assert taught([0.25, 0.25, 0.25], shuffled=None) == [None, None, None]
    assert taught([0.25, 0.5, 0.25], shuffled=None) == [0.25, 0.5, 0.25]


def test_the_control_gives_the_same_rewards_to_other_samples() -> None:
    rewards = [0.1, 0.2, 0.3, 0.4]
    orders = [taught(rewards, shuffled=Random(f"0/{step}")) for step in range(20)]
    assert all(sorted(each, key=float) == rewards for each in orders)  # type: ignore[arg-type]
    assert len({tuple(each) for each in orders}) > 10
    assert orders[3] == taught(rewards, shuffled=Random("0/3"))
