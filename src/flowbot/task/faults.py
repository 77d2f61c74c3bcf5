"""Where the user's mistakes go while a task is read: the first one ends the reading, or all of them are kept."""

from __future__ import annotations

from types import TracebackType

from flowbot.fields import UserError

MOST = 20
"""Faults of one file that are kept one by one; of more, their number."""


class Faults:
    """What is read stands in `with faults:`, a block for each thing that can be wrong by itself.

    This one keeps none: the first fault is raised.
    """

    def __enter__(self) -> None:
        """Begin a block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End it; True if its fault was kept and the reading goes on behind it."""
        return False

    @property
    def met(self) -> bool:
        """Whether a fault was kept."""
        return False

    def within(self, file: str) -> Faults:
        """For the faults of one file, which may have one in every row."""
        return self


class KeptFaults(Faults):
    """Keeps every `UserError`, in the order in which they were met.

    Args:
        file: whose faults these are; those above `MOST` are then only counted. "" for all of a task.
    """

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._kept: list[UserError | KeptFaults] = []
        self._more = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, UserError):
            return False
        if self._file and len(self._kept) == MOST:
            self._more += 1
        else:
            self._kept.append(error.with_traceback(None))  # what was being read need not stay in memory
        return True

    @property
    def met(self) -> bool:
        """Whether a fault was kept."""
        return any(each.met if isinstance(each, KeptFaults) else True for each in self._kept)

    def within(self, file: str) -> KeptFaults:
        """Keeper of the faults of one file."""
        inner = KeptFaults(file)
        self._kept.append(inner)
        return inner

    @property
    def found(self) -> list[UserError]:
        """The faults; where a file has too many, the last one says how many more."""
        all_of_them: list[UserError] = []
        for each in self._kept:
            all_of_them += each.found if isinstance(each, KeptFaults) else [each]
        if self._more:
            rest = f"{self._more:,} more rows with a defect"
            all_of_them.append(UserError(self._file, rest, mend="mend the same there"))
        return all_of_them


RAISED = Faults()
"""The first fault is raised."""
