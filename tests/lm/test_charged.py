"""The set of counted calls behaves as a set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowbot.lm.charged import Charged, Uncharged

KEYS = st.lists(st.integers(0, 40).map(lambda number: f"{number * 0x1000:016x}" + "0" * 48))


@given(KEYS, KEYS)
def test_it_holds_what_was_put_in_and_nothing_else(put: list[str], asked: list[str]) -> None:
    charged = Charged()
    for key in put:
        charged.add(key)
    assert [key in charged for key in asked] == [key in set(put) for key in asked]
    assert len(charged) == len(set(put))


def test_it_grows_and_loses_nothing() -> None:
    charged = Charged()
    keys = [f"{number << 20:016x}" for number in range(20_000)]  # all begin at the same few slots
    for key in keys[::2]:
        charged.add(key)
    assert all(key in charged for key in keys[::2])
    assert not any(key in charged for key in keys[1::2])


def test_cleared_it_is_empty() -> None:
    charged = Charged()
    charged.add("f" * 64)
    charged.clear()
    assert "f" * 64 not in charged
    assert len(charged) == 0


def test_where_nothing_is_kept_nothing_was_counted() -> None:
    none = Uncharged()
    none.add("0123456789abcdef")
    assert ("0123456789abcdef" in none, len(none)) == (False, 0)
    none.clear()
