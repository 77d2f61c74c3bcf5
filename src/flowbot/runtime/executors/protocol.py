"""The seam behind which users' functions run: in this process, in worker processes, or on other machines.

Callers describe a `Call` and read an `Outcome`. An executor that runs calls elsewhere makes a `Job` of each, which is
plain data (see `job.py`); what cannot be made one runs in this process. Callers know nothing of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from flowbot.fields.bounds import NAME, bounded

Kind = Literal["tool", "metric", "program"]
"""How a function is called and what its result is read as; see `loop.py`."""
PROGRAMS = 8
"""Programs that run side by side where one tool or metric does: they wait for models most of their time."""

MOST_TOGETHER = 32
"""Quick jobs that are sent as one task of a cluster's."""
BEAT_SECONDS = 1.0
"""How often a worker of programs says that it is alive."""
TRACE_BYTES = 16_000_000
"""Of what a worker may tell of a program."""


class Unsendable(Exception):
    """A call that can be run in this process alone; the text says why."""


@dataclass(frozen=True)
class Address:
    """Where a function is.

    Args:
        name: its qualified name in its module.
        module: the module's name; empty for a file that is imported by its path, as those that a task file names.
        file: the module's file; empty for a module without one, and for one that is where each machine has it, with that content.
        sha256: of a Python file's content; another content is another function.
    """

    name: str
    module: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a user's function.

    Args:
        kind: `tool`, `metric` or `program`.
        name: the tool's, metric's or program's name, for people.
        function: what to call; sync, or for a tool or program also async.
        arguments: by name; of a metric `example` (an `Example`) and `outputs`; of a program those of `traced.worker.ran`. The function
            may change them.
        seconds: how long it may take; None: as long as it likes.
        address: where the function is, if that is known.
        environment: variables of its process that are other than here, those of None left out; of a program alone.
    """

    kind: Kind
    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    seconds: float | None = None
    address: Address | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call.

    Args:
        value: the result as JSON data, where there is no error: what a tool or program gave, or `value`, `feedback` and
            `parts` of a score.
        error: what the function raised, a time-out, or what became of its process.
        seconds: that the function itself took, without waiting for a place to run.
    """

    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0


class FunctionError(Exception):
    """What a function raised, told where it was called: the type's name and the text. The text of this error is both.

    Args:
        type_name: name of the exception's type.
        text: its text.
    """

    def __init__(self, type_name: str, text: str) -> None:
        self.type_name = bounded(type_name, NAME)
        self.text = bounded(text)
        super().__init__(f"{self.type_name}: {self.text}")


class Executor(Protocol):
    """Runs users' functions, which block, may never return, and are not taken to be safe to call from two threads.

    The outcome of a call is the same under every executor, so that nothing that is stored depends on the choice.
    Failure policy:

    - what the function raises, `SystemExit` included, is told by `Outcome.error`: the same type's name, and the text,
      bounded, which is asked for where the function ran and within its time;
    - past its time limit a call ends with a `TimeoutError` and `seconds` at least the limit;
    - a place to run that is lost in mid-call (a process that dies) is replaced and the call is made again, three times
      in all; then the error is a `StepError` that says how the place was lost;
    - a call that cannot be run elsewhere is run in this process, which is logged once for each reason, and is no error;
    - an executor that cannot run anything raises.

    A function may therefore be called again when its process was killed. What functions keep in memory between calls
    is kept by each place for itself.
    """

    def turn(self, call: Call) -> AbstractAsyncContextManager[None]:
        """To be held while `run` is waited for: lets as many callers in as run side by side.

        A caller whose `run` goes on when nobody waits for it any more holds this outside, so that what has not begun
        by then does not begin. `run` is correct without.
        """
        ...

    async def ready(self) -> None:
        """See that there is somewhere to run calls, before anything is paid for that needs them.

        Raises:
            InfrastructureError: if there is not, as when a cluster cannot be reached.
        """
        ...

    async def run(self, call: Call) -> Outcome:
        """Make one call.

        Raises:
            InfrastructureError: if there is nowhere to run it, as when no process can be started.
        """
        ...

    async def close(self) -> None:
        """End what was started; calls under way are lost. May be called twice; afterwards nothing is run."""
        ...
