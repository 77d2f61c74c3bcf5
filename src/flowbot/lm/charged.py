"""The calls that were counted: a set of keys that takes about a dozen bytes for each."""

from __future__ import annotations

from array import array

_FIRST_SLOTS = 1 << 12
_FULLEST = 0.7


class Charged:
    """Keys, each kept as its first 64 bits: as good as certain to be no other's. Nothing is ever taken out singly.

    A table with open addressing in one array, since a million calls as Python's own numbers in a set would take 70 MB.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    def __contains__(self, key: str) -> bool:
        number = _number(key)
        return self._slots[_slot(self._slots, number)] == number

    def __len__(self) -> int:
        return self._count

    def add(self, key: str) -> None:
        """Put a key in: 16 hex digits or more."""
        number = _number(key)
        slot = _slot(self._slots, number)
        if self._slots[slot] != number:
            self._slots[slot] = number
            self._count += 1
            if self._count > _FULLEST * len(self._slots):
                self._grow()

    def clear(self) -> None:
        """Forget all."""
        self.__init__()

    def _grow(self) -> None:
        larger = array("Q", bytes(2 * self._slots.itemsize * len(self._slots)))
        for number in self._slots:
            if number:
                larger[_slot(larger, number)] = number
        self._slots = larger


class Uncharged(Charged):
    """Of calls whose responses nobody keeps: an equal one is made anew, and counts anew."""

    def __init__(self) -> None:
        pass

    def __contains__(self, key: str) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def add(self, key: str) -> None:
        """Forget it."""


def _number(key: str) -> int:
    return int(key[:16], 16) or 1  # 0 is an empty slot


def _slot(slots: array[int], number: int) -> int:
    """Where the number stands, or the empty slot where it would."""
    mask = len(slots) - 1
    slot = number & mask
    while slots[slot] not in (0, number):
        slot = (slot + 1) & mask
    return slot
