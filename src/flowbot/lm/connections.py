"""What runs share that are worked on at once: clients, the gate before each endpoint, and who sends a call that several want."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from flowbot.store import Store

from .client import Client
from .clock import RealClock
from .gate import Gate
from .pace import Pace
from .parking import WIDTH as BATCH_WIDTH
from .parking import Parking

Say = Callable[[str], None]
"""Told news in a line, such as of a model that is fetched; from any thread."""
WIDTH = 4
"""Examples worked on at once for each call that may be in flight: those that meet faults shall have begun early."""
NARROWEST = 64
"""Examples worked on at once at least: also what asks no model is to be busy."""


class Turns:
    """Of runs that want the same call at once, one sends it; the others have their turn after it, and find it stored."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[object, asyncio.Future[None]]] = {}

    def busy(self, key: str, who: object) -> bool:
        """Whether somebody else has the turn."""
        taken = self._taken.get(key)
        return taken is not None and taken[0] is not who

    async def take(self, key: str, who: object) -> None:
        """Wait for one's turn. Whoever has it must `leave`, and never waits for room in a budget meanwhile: who waits
        for the turn may be the one who keeps that room."""
        while (taken := self._taken.get(key)) is not None and taken[0] is not who:
            await asyncio.wait([taken[1]])
        if taken is None:
            self._taken[key] = (who, asyncio.get_running_loop().create_future())

    def leave(self, key: str, who: object) -> None:
        """It is the next one's turn. Nothing happens where it was not one's own."""
        if key in self._taken and not self.busy(key, who):
            self._taken.pop(key)[1].set_result(None)


class Connections:
    """Clients and gates by model, and by the account that pays.

    Args:
        store: where clients keep what an endpoint can do.
        pace: how fast each endpoint may be called.
        keep: True: clients stay open until `close`; otherwise the last user closes one.
    """

    def __init__(self, store: Store, pace: Pace | None = None, *, keep: bool = False) -> None:
        self.store = store
        self.pace = pace or Pace()
        self.turns = Turns()
        self.parking = Parking(wait=self.pace.wait, fewest=self.pace.batch_from) if self.pace.batch else None
        self._keep = keep
        self._clients: dict[str, Client] = {}
        self._users: dict[str, list[Say | None]] = {}
        self._gates: dict[str, Gate] = {}

    def gate(self, client: Client) -> Gate:
        """The gate before a client's endpoint, shared by all who talk to the same model there on the same account.

        Shut, for a wrong key for one, it is opened again: whoever asks for it may have mended what was wrong.
        """
        name = json.dumps([client.identity.dump(), getattr(client, "account", "")], sort_keys=True)
        if name not in self._gates:
            start = client.default_concurrency
            most = getattr(client, "max_concurrency", start)
            clock = getattr(client, "clock", None) or RealClock()
            self._gates[name] = Gate(self.pace, start=start, most=most, clock=clock)
        self._gates[name].reopen()
        return self._gates[name]

    @property
    def width(self) -> int:
        """Examples to work on at once, so that calls are always waiting and yet not all examples are in memory."""
        if self.parking is not None:
            return BATCH_WIDTH
        return max(NARROWEST, WIDTH * sum(gate.most for gate in self._gates.values()))

    def share(self, name: str, make: Callable[[Say], Client], say: Say | None = None) -> Client:
        """The client of that name, made once: one model asked for twice must not start two servers. See `release`.

        Args:
            name: tells clients apart; it is kept in memory alone.
            make: makes the client; what it is handed tells news to whoever uses the client at that moment.
            say: told its news until the `release` with the same one.
        """
        users = self._users.setdefault(name, [])
        if name not in self._clients:
            self._clients[name] = make(partial(_tell, users))
        users.append(say)
        return self._clients[name]

    async def release(self, name: str, say: Say | None = None) -> None:
        """One user of the client is gone. Nothing happens where all are closed."""
        users = self._users.get(name)
        if not users:
            return
        users.remove(say)
        if not users and not self._keep:
            del self._users[name]
            await self._clients.pop(name).close()

    async def close(self) -> None:
        """Close all clients. May be called twice."""
        if self.parking is not None:
            await self.parking.close()
        clients, self._clients = self._clients, {}
        self._users.clear()
        async with AsyncExitStack() as stack:  # also where closing one of them fails
            for each in clients.values():
                stack.push_async_callback(each.close)


def _tell(users: list[Say | None], line: str) -> None:
    for each in dict.fromkeys(users):  # one run may use a client twice
        if each is not None:
            each(line)
