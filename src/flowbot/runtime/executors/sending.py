"""What executors have in common that run calls elsewhere: a call is sent as a job, or made here where it cannot be."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from flowbot.fields import InfrastructureError, StepError, UserError

from .address import address_of
from .child import Lost, NotStarted
from .job import Job
from .loop import LoopExecutor
from .protocol import Address, Call, Kind, Outcome, Unsendable

_log = logging.getLogger(__name__)

TRIES = 3
"""How often a job is run whose worker is lost each time."""


class SendingExecutor(ABC):
    """Runs what can be sent by `done`, and the rest in this process. A fork of this process can neither use nor end it."""

    def __init__(self) -> None:
        self._here = LoopExecutor()
        self._process = os.getpid()
        # By identity, for not all callables can be hashed; the callable is kept, so that no other gets its number.
        self._addresses: dict[int, tuple[Callable[..., Any], Address | str]] = {}
        self._logged: set[str] = set()

    @abstractmethod
    async def ready(self) -> None:
        """See `Executor`."""

    @abstractmethod
    async def done(self, job: Job) -> Outcome:
        """Run a job to its end.

        Raises:
            Unsendable: if its function cannot be found there.
            Lost: if its process was lost each time: how the last one was.
            InfrastructureError: if there is nowhere to run it.
            UserError: in a process that was forked from the owner.
        """

    @abstractmethod
    async def close(self) -> None:
        """See `Executor`."""

    @abstractmethod
    def _turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        """For as many of its kind as run side by side elsewhere."""

    def turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        """As many as there are places elsewhere; those of this process for what cannot be sent."""
        return self._here.turn(call) if isinstance(self._address(call), str) else self._turn(call)

    async def run(self, call: Call) -> Outcome:
        """Make one call; see `Executor`."""
        return await self.elsewhere(call) or await self._here.run(call)

    async def elsewhere(self, call: Call) -> Outcome | None:
        """Make one call elsewhere; None where it can be made in this process alone.

        Raises:
            InfrastructureError: as `run`.
        """
        try:
            address = self._address(call)
            if isinstance(address, str):
                raise Unsendable(address)
            job = Job.of(call, address)
            try:
                return await self.done(job)
            except Unsendable as reason:
                self._addresses[id(call.function)] = (call.function, str(reason))
                raise
        except Unsendable as reason:
            return self.say_here(call.kind, call.name, str(reason))
        except NotStarted as lost:
            raise InfrastructureError(f"worker processes do not start: the last of {TRIES} {lost}") from lost
        except Lost as lost:
            return Outcome(error=StepError(f"its process was lost {TRIES} times out of {TRIES}; the last one {lost}"))

    def say_here(self, kind: Kind, name: str, reason: str) -> None:
        """Log why something runs in this process; once."""
        line = f"{kind} {name} runs in this process: {reason}"
        if line not in self._logged:
            self._logged.add(line)
            _log.info("%s", line, extra={"event": "executor.here", "tool": name})

    @property
    def is_own(self) -> bool:
        """Whether this is the process that it was made in, and not a fork of it."""
        return self._process == os.getpid()

    def require_own(self) -> None:
        """Refuse to work in a fork.

        Raises:
            UserError: in one.
        """
        if not self.is_own:
            raise UserError(
                "executor", "worker processes of the one that this was forked from", "its own: open it here"
            )

    def _address(self, call: Call) -> Address | str:
        """Where the call's function is, or why it can only be called here."""
        known = self._addresses.get(id(call.function))
        if known is None:
            try:
                known = (call.function, call.address or address_of(call.function, call.kind))
            except Unsendable as reason:
                known = (call.function, str(reason))
            self._addresses[id(call.function)] = known
        return known[1]
