"""What one call takes over all its tries: room is reserved before each is sent, and what was served is charged as it comes.

What a response took stands in its row, so that a replay charges the same sum and ends where the run ended. Until there is
a response, as where a ceiling or an outage came first, a row of kind `tries` holds its place and says what was served. What
a second sending took whose answer is not used stands in a row of its own, of kind `copy`, since it comes later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flowbot.fields import BudgetExceeded, Usage, stable_hash

from .budget import Reservation
from .client import Reply, ToolUse, altered, members
from .prices import PriceOf
from .rows import StoredRow, read_row, read_usage
from .session import Session
from .tiers import Tier

ONE_CALL, NOTHING = Usage(calls=1), Usage()


@dataclass(frozen=True, slots=True)
class Account:
    """What a run pays one model from, and at what price.

    Args:
        session: the run.
        model: the model string.
        who: the model's identity, as text.
        price: USD of a usage.
        tier: the service tier that it asks in, where that changes the price.
    """

    session: Session
    model: str
    who: str
    price: PriceOf
    tier: Tier | None = None

    def cost(self, took: Usage, tier: str = "") -> float | None:
        """USD of a usage, served in `tier` as the endpoint says; None where that is unknown."""
        usd = self.price(took)
        if not usd:  # unknown, or free in every tier
            return usd
        factor = 1.0 if self.tier is None else self.tier.factor(tier)
        return None if factor is None else usd * factor

    def repriced(self, usage: Usage, *, tier: str = "") -> Usage:
        """What was paid when the price was not known, at the price that is known by now."""
        usd = self.cost(usage, tier) if usage.usd is None else None
        return usage if usd is None else altered(usage, usd=usd)

    def pay(self, took: Usage, purpose: str, *, tier: str = "") -> Usage:
        """A usage with its price, counted as paid."""
        took = altered(took, usd=self.cost(took, tier))
        self.session.ledger.pay(purpose, took, model=self.model)
        return took

    def paid(self, reply: Reply, purpose: str) -> Reply:
        """The reply with its price, counted as paid."""
        self.session.answered_by.add(self.who)
        took = altered(reply.usage, usd=self.cost(reply.usage, reply.tier), seconds=reply.seconds)
        self.session.ledger.pay(purpose, took, model=self.model)
        if reply.calls:
            calls = tuple(ToolUse(_clean(call.name), _clean(call.arguments)) for call in reply.calls)
            reply = altered(reply, calls=calls)
        return altered(reply, text=_clean(reply.text), usage=took)

    def read(self, key: str, value: Any) -> StoredRow:
        """A stored value that was checked.

        Raises:
            InfrastructureError: if it is not what is stored there.
        """
        try:
            row = read_row(value)
        except ValueError:
            raise self.session.store.damaged(key) from None
        if row.reply is not None:
            self.session.answered_by.add(self.who)
        return row


class Bill:
    """The bill of one call.

    Args:
        account: who pays; its session's budget, ledger and store are told.
        key: of the call.
        purpose: what the ledger charges it to.
        worst: the most that one sending can take.
        counted: True for a call that the run has counted already: nothing is reserved or counted again.
    """

    def __init__(self, account: Account, key: str, purpose: str, worst: Usage, *, counted: bool) -> None:
        self.account = account
        self.session = account.session
        self.key = key
        self.purpose = purpose
        self._worst = worst
        self.counted = counted
        self._room: Reservation | None = None
        self._looked = False
        self.copies = 0
        """Second sendings whose answer came, or may come."""
        self.besides = self.session.tried.get(key, NOTHING)
        """What was served to this call and is not its reply, earlier bills of this run included."""

    async def reserve(self) -> StoredRow | None:
        """Reserve the worst case of the next sending, unless there is room already, and wait for the turn to send it.

        Returns:
            the response, where the store has it by now; then nothing is to be sent.

        Raises:
            BudgetExceeded: if it does not fit although nothing is in flight.
            InfrastructureError: if what stands in the store is damaged.
        """
        session, turns = self.session, self.session.connections.turns
        while True:
            if (self._room is None or not self._room.open) and not self.try_reserve():
                self._leave()
                self._looked = False  # whoever has the turn meanwhile may send it
                session.cut.arm()  # it may be other runs whose calls are waited for
                self._room = await session.budget.reserve(self._worst)
            if not session.lasting:
                return None
            if not self._looked:
                session.cut.arm()  # it may be waited for others who send it
            await turns.take(self.key, self)
            if self._looked:
                return None
            self._looked = True
            value = await session.store.claim(self.key)
            row = None if value is None else self.account.read(self.key, value)
            if row is None or row.reply is not None:
                return row
            if row.besides is not None:
                await self._resume(row.besides)

    def try_reserve(self) -> bool:
        """As `reserve`, where that needs no waiting; False if it does."""
        if not self.counted:
            self._room = self.session.budget.try_reserve(self._worst)
        return self.counted or self._room is not None

    async def _resume(self, tries: Usage) -> None:
        """Count what earlier tries of this call took, as the store has it, beyond what this run has counted."""
        if (more := _beyond(self.besides, tries)) is not None:
            self._count(self.account.repriced(more))
        if await self._count_copies() and not self.copies:
            self.copies = 1

    async def _count_copies(self) -> bool:
        """The same of second sendings; whether there were any."""
        copied = await self.copied()
        known = self.session.copied.get(self.key, Usage())
        if copied is not None and (more := _beyond(known, copied)) is not None:
            self.session.copied[self.key] = known + more
            self._count(self.account.repriced(more), kept=False)
        return copied is not None

    def settle(self, took: Usage) -> None:
        """Count against the ceilings what a sending took, in the moment in which its answer is there."""
        took = self.account.repriced(
            took
        )  # served in a tier whose price nobody knows: a ceiling must hold all the same
        if not self.counted:
            if self._room is not None and self._room.open:
                self._room.settle(took)
            else:
                self.session.budget.add(took)

    async def wasted(self, took: Usage) -> None:
        """What was settled last is of no use: keep that it was served."""
        self._note(took)
        await self.session.store.put(self.key, {"tries": members(self.besides)}, kind="tries")

    def at_once(self) -> None:
        """It goes by no batch: what is reserved next is at the usual price."""
        self.release()
        if self._worst.usd is not None:
            self._worst = altered(self._worst, usd=self.account.cost(self._worst))

    def copy(self) -> Copy | None:
        """Room for a second sending beside the first; None where there is none at once."""
        room = None
        if not self.counted:
            try:
                room = self.session.budget.try_reserve(self._worst)
            except BudgetExceeded:
                return None
            if room is None:
                return None
        self.copies += 1
        return Copy(self, room)

    def kept(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row of the response with what the call took besides."""
        more: dict[str, Any] = {"besides": members(self.besides)} if self.besides.calls else {}
        return {**row, **more, **({"copy": True} if self.copies else {})}

    def unkept(self, reply: Reply) -> StoredRow:
        """As if the row of the response had been stored and read."""
        besides = self.besides if self.besides.calls else None
        return StoredRow(reply if besides is None else replace(reply, besides=besides), reply.usage, besides)

    async def replayed(self, row: StoredRow) -> None:
        """Count a response that the store gave, and all that it took when it was paid."""
        if row.copy and not self.counted:
            await self._count_copies()
        self.charge(row, stored=True)

    def charge(self, row: StoredRow, *, stored: bool) -> None:
        """Count a response. What one just paid took is settled; of one that the store gave that is done here."""
        if self.counted:
            return
        tier = row.reply.tier if isinstance(row.reply, Reply) else ""
        usage = self.account.repriced(row.usage, tier=tier)
        if stored:
            if row.besides is not None and (more := _beyond(self.besides, row.besides)) is not None:
                self._count(self.account.repriced(more))
            self.settle(usage)
        self.counted = True
        self.session.charged.add(self.key)
        for counted in (self.session.tried, self.session.copied):
            counted.pop(self.key, None)
        self.session.ledger.charge(self.purpose, usage, model=self.account.model, stored=stored)

    def release(self) -> None:
        """Give back what is reserved and not used."""
        if self._room is not None:
            self._room.cancel()

    def close(self) -> None:
        """Nothing more will be sent."""
        self.release()
        self._leave()

    def _leave(self) -> None:
        self.session.store.unclaim(self.key)
        self.session.connections.turns.leave(self.key, self)

    def _count(self, took: Usage, *, kept: bool = True) -> None:
        """Count what was served besides the reply: the room that was reserved for it is used up."""
        self.settle(took)
        self._note(took, kept=kept)

    def _note(self, took: Usage, *, kept: bool = True) -> None:
        """Note it in the ledger and, where it is `kept` with the response, for its row."""
        took = replace(took, seconds=0.0)  # a response's latency is its own
        if kept:
            self.besides += took
        if not self.counted:
            if self.session.lasting:
                self.session.tried[self.key] = self.besides
            self.session.ledger.besides(self.purpose, took, model=self.account.model)

    async def copied(self) -> Usage | None:
        """What second sendings took whose answers were not used; None where there was none."""
        store = self.session.store
        value = await store.get(self.copy_key)
        try:
            return None if value is None else read_usage(value)
        except ValueError:
            raise store.damaged(self.copy_key) from None

    @property
    def copy_key(self) -> str:
        """Under which that is stored."""
        return stable_hash({"copy": self.key})


class Copy:
    """A second sending of a call: one of the two answers is used, and the other is charged when it comes."""

    def __init__(self, bill: Bill, room: Reservation | None) -> None:
        self._bill = bill
        self._room = room

    def took(self, usage: Usage) -> Usage:
        """Count the answer that is not used, as it came; the response may be stored already. Gives what it took, with its price."""
        bill = self._bill
        took = bill.account.pay(usage, bill.purpose)
        if self._room is not None:
            self._room.settle(took)
            bill.session.ledger.besides(bill.purpose, replace(took, seconds=0.0), model=bill.account.model)
            if not bill.counted and bill.session.lasting:
                bill.session.copied[bill.key] = bill.session.copied.get(bill.key, Usage()) + took
        return took

    async def keep(self, took: Usage) -> None:
        """Keep what it took, with those of other tries."""
        store, before = self._bill.session.store, await self._bill.copied()
        whole = replace(took if before is None else before + took, seconds=0.0)
        await store.put(self._bill.copy_key, members(whole), kind="copy", replace=True)

    def failed(self) -> None:
        """That sending, or the first beside it, met a fault or was given up: it took nothing."""
        self._bill.copies -= 1
        if self._room is not None:
            self._room.cancel()


def _beyond(known: Usage, stored: Usage) -> Usage | None:
    """What the store has of a call beyond what is counted here: another run may have gone on with it."""
    if stored.calls <= known.calls:
        return None
    usd = None if stored.usd is None or known.usd is None else stored.usd - known.usd
    return Usage(
        stored.calls - known.calls,
        stored.input_tokens - known.input_tokens,
        stored.output_tokens - known.output_tokens,
        stored.cached_tokens - known.cached_tokens,
        usd,
    )


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which no file and no hash can hold."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
