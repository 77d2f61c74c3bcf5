"""One workflow in use by many clients at once: how many, for how long, for how much, and what is kept of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbot.fields import BudgetExceeded, ModelError, UserError
from flowbot.fields.later import Cut
from flowbot.fields.secrets import hide

from .denial import AGAIN, Denial
from .spending import Held

if TYPE_CHECKING:
    from flowbot.runtime.engine import Engine
    from flowbot.runtime.trace import Trace
    from flowbot.workflow.workflow import Workflow

    from .face import Face
    from .record import Recording
    from .spending import Spending

PURPOSE = "serve"
_BUSY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Served:
    """One request that was served.

    Args:
        id: by which feedback names it.
        outputs: by name.
        trace: what happened.
    """

    id: str
    outputs: dict[str, Any]
    trace: Trace

    def usage(self) -> dict[str, Any]:
        """What it took, all steps together; seconds along the critical path."""
        took = self.trace.usage
        return {
            "calls": took.calls,
            "input_tokens": took.input_tokens,
            "output_tokens": took.output_tokens,
            "usd": took.usd,
            "seconds": self.trace.seconds,
        }

    def shown_trace(self) -> Any:
        """Every step, without secrets."""
        return hide(self.trace.dump())


class Service:
    """Runs requests on the engine's event loop. It keeps nothing of them but what `record` writes.

    Args:
        workflow: a valid one.
        engine: open, on this event loop.
        face: what clients are told.
        most: requests under way at once; more are told to come again.
        seconds: that one may take.
        spending: what a day may cost.
        record: where rows are kept.
    """

    def __init__(
        self,
        workflow: Workflow,
        engine: Engine,
        face: Face,
        *,
        most: int = 64,
        seconds: float = 120.0,
        spending: Spending | None = None,
        record: Recording | None = None,
    ) -> None:
        self.workflow, self.engine, self.face = workflow, engine, face
        self.most, self.seconds = most, seconds
        self.spending, self.record = spending, record
        self.under_way = 0

    async def run(self, values: Mapping[str, Any]) -> Served:
        """The outputs for the inputs of one request. Whoever is cancelled while it waits ends the work.

        Raises:
            UserError: if the inputs are not those of the workflow.
            Denial: if there is no room, or no time left.
            ModelError, RefusedError, BudgetExceeded, InfrastructureError, Paused: as a run of the workflow.
        """
        inputs = self.face.checked(values)
        if self.under_way >= self.most:
            raise Denial(429, f"{self.most} requests are under way; try again", code="busy", retry_after=_BUSY_SECONDS)
        if self.spending is not None:
            self.spending.look()
        self.under_way += 1
        cut = Cut(self.seconds)
        try:
            trace = await self.engine.run(self.workflow, inputs, purpose=PURPOSE, checked=True)
        except asyncio.CancelledError:
            if not cut.owns():
                raise
            raise Denial(504, f"no result within {self.seconds:g} s", code="timeout") from None
        except BudgetExceeded as error:
            if self.spending is None or error.budget is not self.spending.budget:
                raise
            again = AGAIN if isinstance(error, Held) else self.spending.left
            raise Denial(402, str(error), code="budget", retry_after=again) from error
        except UserError as error:  # the inputs are right: it is ours
            raise Denial(500, str(error)) from error
        finally:
            cut.off()
            self.under_way -= 1
        if trace.outputs is None:
            raise ModelError(trace.error)
        served = Served(secrets.token_hex(12), dict(trace.outputs), trace)
        if self.record is not None:
            self.record.add(served.id, inputs, served.outputs)
        return served

    def unready(self) -> str:
        """Why no request can be served now; "" if one can."""
        if self.spending is not None and (reason := self.spending.over()):
            return reason
        lm = self.engine.lm
        return f"{lm.name} keeps failing" if lm is not None and lm.endpoint.gate.hopeless else ""
