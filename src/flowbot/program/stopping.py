"""How a program is left when it may not go on."""

from __future__ import annotations


class Stop(BaseException):
    """Leaves a user's program: a budget is spent, the run pauses, the infrastructure fails, a bound is reached.

    No `Exception`, so that neither `except Exception` nor a package that tries again can keep it, and nothing scores it.

    Args:
        cause: what is raised once the program is left.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause
