"""Where the user's mistakes go while a task is read: the first one ends the reading, or all of them are kept."""

from __future__ import annotations

from types import TracebackType

from flowbot.fields import UserError

MOST = 20
"""Faults of one file that are kept one by one; of more, their number."""


class Faults:
    """What is read stands in `with faults:`, a block for each thing that can be wrong by itself.

    Args:
        keep: True: every `UserError` is kept, in the order in which they are met, and the reading goes on behind its
            block; False: the first is raised.
        file: whose faults these are; those above `MOST` are then only counted. "" for all of a task.
    """

    def __init__(self, *, keep: bool, file: str = "") -> None:
        self._keep = keep
        self._file = file
        self._kept: list[UserError | Faults] = []
        self._more = 0

    def __enter__(self) -> None:
        """Begin a block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End it; True if its fault was kept and the reading goes on behind it."""
        if not self._keep or not isinstance(error, UserError):
            return False
        if self._file and len(self._kept) == MOST:
            self._more += 1
        else:
            self._kept.append(error.with_traceback(None))  # what was being read need not stay in memory
        return True

    def within(self, file: str) -> Faults:
        """For the faults of one file, which may have one in every row."""
        if not self._keep:
            return self
        inner = Faults(keep=True, file=file)
        self._kept.append(inner)
        return inner

    @property
    def met(self) -> bool:
        """Whether a fault was kept."""
        return bool(self.found)

    @property
    def found(self) -> list[UserError]:
        """The faults; where a file has too many, the last one says how many more."""
        every = [fault for each in self._kept for fault in (each.found if isinstance(each, Faults) else [each])]
        if self._more:
            every.append(UserError(self._file, f"{self._more:,} more rows with a defect", mend="mend the same there"))
        return every


RAISED = Faults(keep=False)
"""The first fault is raised."""
