"""Where users' functions run: in this process, or in worker processes."""

from __future__ import annotations

from flowbot.fields import UserError

from .loop import LoopExecutor
from .processes import ProcessExecutor
from .protocol import Call, Executor, ExecutorName, FunctionError, Outcome

__all__ = ["Call", "Executor", "ExecutorName", "FunctionError", "Outcome", "open_executor"]


def open_executor(name: ExecutorName = "loop", *, workers: int | None = None) -> LoopExecutor | ProcessExecutor:
    """The executor of that name. Nothing is started before the first call.

    Args:
        name: `loop`, this process, or `processes`.
        workers: how many processes at most; as many as there are processors when None.

    Raises:
        UserError: if there is no such executor.
    """
    if name == "loop":
        return LoopExecutor()
    if name == "processes":
        return ProcessExecutor(workers)
    raise UserError("executor", repr(name), "loop or processes")
