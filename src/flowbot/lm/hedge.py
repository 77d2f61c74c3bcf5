"""Sends a call that takes much longer than its like a second time; the answer that comes first is taken.

Dean and Barroso, The Tail at Scale (2013). Both calls are paid for, and the ledger counts both.
"""

from __future__ import annotations

import asyncio

from flowbot.fields import FlowBotError, InfrastructureError, Usage

from .bill import Bill, Copy
from .client import Client, Patience, Reply, Request
from .clock import Clock
from .gate import Gate


class Hedge:
    """Second tries of stragglers at one endpoint; only where the gate has room, so that nothing else waits for them.

    Each try has its slot until it has ended: that of the try whose outcome is taken is left by the caller, who entered
    for the first one; the other's here.

    Failure policy: a fault of one of the two is ignored while the other may still answer; the last one's is raised. The
    loser goes on until it ends, since it is paid for.

    Args:
        client: the endpoint.
        gate: before it.
        clock: what is waited on.
    """

    def __init__(self, client: Client, gate: Gate, clock: Clock) -> None:
        self._client = client
        self._gate = gate
        self._clock = clock

    async def complete(
        self,
        request: Request,
        patience: Patience,
        group: str,
        like: str,
        tokens: float,
        bill: Bill,
    ) -> Reply:
        """As `Client.complete`.

        Args:
            request: what is asked.
            patience: of each of the two.
            group: calls of one kind, as the gate orders them.
            like: calls that should take about as long.
            tokens: estimate of what a try takes.
            bill: of the call; it keeps room for a second sending, if there is some.
        """
        after = self._gate.straggles_after(like)
        if after is None:
            return await self._client.complete(request, patience)
        tries = [asyncio.ensure_future(self._client.complete(request, patience))]
        timer = asyncio.ensure_future(self._clock.sleep(after))
        taken: asyncio.Task[Reply] | None = None
        second: Copy | None = None
        try:
            await asyncio.wait({*tries, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not tries[0].done() and bill.session.may_send() and self._gate.spare:
                second = bill.copy()
            if second is not None and not self._gate.try_enter(tokens):  # it has been shut
                second.failed()
                second = None
            if second is not None:
                tries.append(asyncio.ensure_future(self._client.complete(request, patience)))
            while taken is None:
                running = [each for each in tries if not each.done()]
                taken = next((each for each in tries if each.done() and each.exception() is None), None)
                if taken is None and not running:
                    taken = tries[-1]
                elif taken is None:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            return taken.result()
        except asyncio.CancelledError:
            for each in tries:
                each.cancel()
            raise
        finally:
            timer.cancel()
            for each in tries:
                if each is not (taken or tries[0]) and second is not None:
                    bill.session.strays.add(self._end(each, second, group, like, tokens))

    async def _end(
        self,
        loser: asyncio.Task[Reply],
        copy: Copy,
        group: str,
        like: str,
        tokens: float,
    ) -> None:
        """See a loser to its end: what it took is counted and stored."""
        took: Usage | None = None
        try:
            reply = await loser
            took = reply.usage
            self._gate.answered(group, reply.seconds, like=like, tokens=took.tokens - tokens)
        except InfrastructureError as error:
            took = error.took
            self._gate.failed(error)
        except FlowBotError:
            pass  # a refusal, or too long: the other sending says so too
        finally:
            if took is None:
                copy.failed()
            else:
                took = copy.took(took)  # before the next call may go
            self._gate.leave()
        if took is not None:
            await copy.keep(took)
