"""The errors of FlowBot, by whose fault they are: the user's, the model's, or the infrastructure's."""

from __future__ import annotations

from typing import Literal

FaultKind = Literal["auth", "not_found", "rate_limit", "server", "connection", "timeout", "garbage", "disk", "other"]


class FlowBotError(Exception):
    """Base of every error that FlowBot raises on purpose. Its text is meant for a person and holds no secret."""


class UserError(FlowBotError):
    """Something the user gave is wrong; found before anything is paid for.

    Args:
        where: the file and place, or the option, that is wrong.
        found: what stands there.
        expected: what should stand there.
    """

    def __init__(self, where: str, found: str, expected: str) -> None:
        super().__init__(f"{where}: found {found}; expected {expected}")
        self.where = where
        self.found = found
        self.expected = expected


class ModelError(FlowBotError):
    """A reply is of no use: unparseable, of a wrong type, truncated, refused. Part of the result, and feedback."""

    def __init__(self, message: str, *, reply: str = "") -> None:
        super().__init__(message)
        self.reply = reply


class StepError(FlowBotError):
    """A tool or code step failed on its inputs (it raised, ran out of time or gave a wrong type). Becomes feedback."""


class InfrastructureError(FlowBotError):
    """The endpoint, the network or the disk failed. Never a score.

    Args:
        message: what happened, where.
        kind: class of the fault.
        fatal: True when trying again cannot help (wrong key, unknown model).
        retry_after: seconds that the endpoint asked to wait, if it did.
    """

    def __init__(
        self, message: str, *, kind: FaultKind = "other", fatal: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.fatal = fatal
        self.retry_after = retry_after


class RefusedError(FlowBotError):
    """The endpoint refuses this one request on policy grounds, the same way on every try."""


class BudgetExceeded(FlowBotError):
    """A ceiling would be passed by the next call. The search ends; the best so far is tested."""

    def __init__(self, message: str, *, ceiling: Literal["calls", "tokens", "usd", "seconds"]) -> None:
        super().__init__(message)
        self.ceiling: Literal["calls", "tokens", "usd", "seconds"] = ceiling


class Paused(FlowBotError):
    """The run stopped without a decision and the same command resumes it.

    Args:
        reason: why, in one line.
        stopped_by: `signal`, `seconds` or `infrastructure`.
    """

    def __init__(self, reason: str, *, stopped_by: Literal["signal", "seconds", "infrastructure"]) -> None:
        super().__init__(reason)
        self.stopped_by: Literal["signal", "seconds", "infrastructure"] = stopped_by
