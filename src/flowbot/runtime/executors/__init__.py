"""Where users' functions run: in this process, in worker processes, or on a cluster."""

from __future__ import annotations

from flowbot.fields import UserError

from .cluster import ADDRESSES, ClusterExecutor, is_cluster
from .loop import LoopExecutor
from .processes import ProcessExecutor
from .protocol import Call, Executor, FunctionError, Outcome

__all__ = ["EXECUTORS", "Call", "Executor", "FunctionError", "Outcome", "is_executor", "open_executor"]

EXECUTORS = f"loop, processes, {ADDRESSES}"


def is_executor(name: object) -> bool:
    """Whether it names an executor."""
    return isinstance(name, str) and (name in ("loop", "processes") or is_cluster(name))


def open_executor(name: str = "loop", *, workers: int | None = None) -> Executor:
    """The executor of that name. Nothing is started before the first call.

    Args:
        name: `loop`, this process; `processes`; or the address of a cluster, `ray`, `ray://HOST:PORT` or `dask://HOST:PORT`.
        workers: how many processes at most; as many as there are processors when None.

    Raises:
        UserError: if there is no such executor, or the package of its cluster is not installed.
    """
    if not is_executor(name):
        raise UserError("executor", repr(name), EXECUTORS)
    if name == "loop":
        return LoopExecutor()
    return ProcessExecutor(workers) if name == "processes" else ClusterExecutor(name)
