"""The quick half of `benchmarks/attack`: what an attacker may try, and none of it gets through."""

from __future__ import annotations

import pytest

from attack import attempts
from attack.ground import Attempt, ground


@pytest.mark.parametrize("each", [each for each in attempts() if not each.slow], ids=lambda each: each.name)
def test_an_attempt_is_held(each: Attempt) -> None:
    with ground() as here:
        each.run(here)


def test_every_attempt_has_a_name_of_its_own() -> None:
    names = [each.name for each in attempts()]
    assert len(names) == len(set(names)) >= 120
