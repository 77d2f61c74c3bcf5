"""The errors of FlowBot, by whose fault they are: the user's, the model's, or the infrastructure's."""

from __future__ import annotations

from typing import Literal

from .bounds import bounded
from .secrets import hide_text
from .values import Usage

FaultKind = Literal["auth", "not_found", "rate_limit", "server", "connection", "timeout", "garbage", "disk", "other"]
StoppedBy = Literal["signal", "seconds", "infrastructure", "callback", "batch"]


def safe_text(text: str) -> str:
    """A text as an error tells it: without secrets, then within its bound, so that none is cut in two and missed."""
    return bounded(hide_text(text))


class FlowBotError(Exception):
    """Base of every error that FlowBot raises on purpose. Its text is meant for a person, holds no secret and is bounded
    (see `flowbot.fields.bounds`), whatever the fault of somebody else's that it quotes.

    >>> try:
    ...     flow(question="…")
    ... except fb.FlowBotError as error:
    ...     print(type(error).__name__, error)
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(safe_text(message))


class _ShortError(FlowBotError):
    """An error whose text says all: a notebook shows that alone, without the calls that led to it."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UserError(_ShortError):
    """Something the user gave is wrong; found before anything is paid for.

        >>> try:
        ...     fb.optimize(task, lm="openai/gpt-4.1-mini", effort="mediun")
        ... except fb.UserError as error:
        ...     print(error)
        effort: found 'mediun'; expected one of low, medium, high (did you mean 'medium'?)

    Args:
        where: the file and place, or the option, that is wrong.
        found: what stands there.
        expected: what should stand there.
        what: in place of `found`, where something is wrong that does not stand there: a clause.
        mend: in place of `expected`, where something is to be done: in the imperative.

    Attributes:
        where: as given.
        what: `found …`, or as given.
        mend: `expected …`, or as given.
    """

    def __init__(self, where: str, found: str = "", expected: str = "", *, what: str = "", mend: str = "") -> None:
        self.where, self.what, self.mend = (
            safe_text(where),
            safe_text(what or f"found {found}"),
            safe_text(mend or f"expected {expected}"),
        )
        super().__init__(f"{self.where}: {self.what}; {self.mend}")

    @property
    def found(self) -> str:
        """What is wrong, to be said in another sentence."""
        return self.what.removeprefix("found ")

    @property
    def expected(self) -> str:
        """What mends it, to be said in another sentence."""
        return self.mend.removeprefix("expected ")

    def at(self, where: str) -> UserError:
        """The same, of another place."""
        return UserError(where, what=self.what, mend=self.mend)


class ModelError(_ShortError):
    """A reply is of no use: unparseable, of a wrong type, truncated, refused. Part of the result, and feedback.

    A search or an evaluation scores it; a flow in use raises it where an output is missing:

        >>> try:
        ...     flow(note="Two pens")
        ... except fb.ModelError:
        ...     print(flow.trace(note="Two pens"))          # which step failed, and on what

    Args:
        message: what is wrong with it.
        reply: its text, if there is one.
        took: what it took to find that out, besides the call itself.
    """

    def __init__(self, message: str, *, reply: str = "", took: Usage | None = None) -> None:
        super().__init__(message)
        self.reply = reply
        self.took = took


class StepError(FlowBotError):
    """A tool or code step failed on its inputs (it raised, ran out of time or gave a wrong type). Becomes feedback."""


class InfrastructureError(_ShortError):
    """The endpoint, the network or the disk failed. Never a score: a search pauses, a flow in use raises it.

        >>> try:
        ...     flow(note="Two pens")
        ... except fb.InfrastructureError as error:
        ...     print(error.kind, error.fatal, error.retry_after)
        rate_limit False 20.0

    Args:
        message: what happened, where.
        kind: class of the fault.
        fatal: True when trying again cannot help (wrong key, unknown model).
        retry_after: seconds that the endpoint asked to wait, if it did.
        took: what the endpoint charges for all the same, where it served the request and the answer is of no use.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FaultKind = "other",
        fatal: bool = False,
        retry_after: float | None = None,
        took: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.fatal = fatal
        self.retry_after = retry_after
        self.took = took


class DeniedError(InfrastructureError):
    """A model that has answered nothing refuses the key or knows no such name: there is nothing to wait for or to go on with.

    A search, an evaluation and a flow in use raise it. Where the model has answered before, as with a key that expires in
    mid-run, the search and the evaluation pause.

        >>> try:
        ...     fb.optimize(task, lm="openai/gpt-4.1-mnii")
        ... except fb.DeniedError as error:
        ...     print(error.mend)
        check the model's name as openai writes it and the address in OPENAI_BASE_URL

    Args:
        reason: what the endpoint said.
        mend: what to do about it.
        kind: class of the fault.
    """

    def __init__(self, reason: str, mend: str, *, kind: FaultKind) -> None:
        super().__init__(f"{reason}; {mend}", kind=kind, fatal=True)
        self.reason, self.mend = safe_text(reason), safe_text(mend)


class RefusedError(_ShortError):
    """The endpoint refuses this one request on policy grounds, the same way on every try."""


class BudgetExceeded(_ShortError):
    """A ceiling would be passed by the next call. A search ends and tests the best so far; an evaluation raises it.

    >>> try:
    ...     fb.evaluate(flow, task, budget=fb.Budget(calls=10))
    ... except fb.BudgetExceeded as error:
    ...     print(error.ceiling)
    calls

    Args:
        message: which ceiling, and what is used.
        ceiling: which.
        budget: the `Budget` whose ceiling it is: of nested ones the outermost that has no room. None: no ceiling, but what a search planned.
    """

    def __init__(
        self, message: str, *, ceiling: Literal["calls", "tokens", "usd", "seconds"], budget: object = None
    ) -> None:
        super().__init__(message)
        self.ceiling: Literal["calls", "tokens", "usd", "seconds"] = ceiling
        self.budget = budget


class Paused(_ShortError):
    """The run stopped without a decision and the same command resumes it.

        >>> try:
        ...     found = fb.evaluate(flow, task)
        ... except fb.Paused as pause:
        ...     print(pause.stopped_by, pause)              # the same call goes on from there

    Args:
        reason: why, in one line.
        stopped_by: `signal`, `seconds`, `infrastructure`, `batch` where one is under way, or `callback` where one of the user's raised.
    """

    def __init__(self, reason: str, *, stopped_by: StoppedBy) -> None:
        super().__init__(reason)
        self.stopped_by: StoppedBy = stopped_by
