"""One question to a model, asked anew each time: proves the key and the name, and shows what its endpoint can do.

It is the question that also settles how much room a model's thoughts get (see `thinking`), and goes through the store and the
ledger like every call. What is judged is the endpoint: a reply that says something else is no fault of it, and is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import ModelError, RefusedError, Usage, ValueMismatch
from flowbot.fields.bounds import ABOUT, bounded
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.client import Client, Reply
from flowbot.lm.prices import Price
from flowbot.lm.providers import FREE
from flowbot.lm.retry import RetryPolicy
from flowbot.lm.thinking import ANSWER, PURPOSE, QUESTION
from flowbot.lm.thoughts import without_thought

from .ability import Ability, measure
from .open_model import open_client, priced

if TYPE_CHECKING:
    from flowbot.lm.lm import LM
    from flowbot.lm.session import Session

_RETRY = RetryPolicy(tries=2, longest=10.0)
"""Somebody waits: what does not answer soon is reported."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """What one question showed.

    Args:
        model: the model string.
        reply: the reply's text, on one line.
        usage: what the call took; `usd` is None where the price is unknown, `seconds` is latency.
        capabilities: how the endpoint is to be asked; None for what is no endpoint.
        price: USD per million input and output tokens, in the service tier that is asked for; each None where unknown.
        context: tokens that prompt and reply may have together; None where unknown.
        thought: tokens of the reply that went into thinking.
        room: tokens that every reply may have besides its answer, for thoughts.
        ability: how it is to be asked as a meta model; None where that was not found out.
        note: what is odd about the reply, in words; "" for the answer that was asked for.
    """

    model: str
    reply: str
    usage: Usage
    capabilities: Capabilities | None
    price: tuple[float | None, float | None]
    context: int | None
    thought: int
    room: int
    ability: Ability | None
    note: str

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        can = self.capabilities
        return {
            "model": self.model,
            "ok": True,
            "reply": self.reply,
            "note": self.note,
            "seconds": round(self.usage.seconds, 2),
            "usage": {name: getattr(self.usage, name) for name in ("calls", "input_tokens", "output_tokens", "usd")},
            "capabilities": can.dump() if can else None,
            "dropped": list(can.dropped()) if can else [],
            "thinking": {"seen": self.thought, "room": self.room},
            "price": {"input": self.price[0], "output": self.price[1]},
            "context": self.context,
            **({} if self.ability is None else {"asked_as": self.ability.dump()}),
        }


async def probe(
    model: str,
    session: Session,
    *,
    cache_dir: Path | None = None,
    price: Price | None = None,
    say: Callable[[str], None] | None = None,
    as_meta: bool = False,
) -> Probe:
    """Ask a model one small question, whatever is stored.

    Args:
        model: `PROVIDER/NAME`.
        session: whose store keeps the reply and what the endpoint can do, and whose ledger the call is charged to.
        cache_dir: folder of local models; the user's cache folder when None.
        price: USD per million input and output tokens, where the price is not known.
        say: told in one line of what takes long.
        as_meta: whether to find out as well how it is to be asked as a meta model; of that what is stored is not asked again.

    Raises:
        UserError: for an unknown provider, option or model, or a missing key.
        InfrastructureError: if the endpoint cannot be reached or refuses the key or the name.
    """
    from flowbot.lm.lm import LM

    client = open_client(model, store=session.store, cache_dir=cache_dir, say=say)
    cost, tier = priced(client, price, model)
    lm = LM(client, session, name=model, price=cost, tier=tier, retry=_RETRY)
    try:
        reply, note = await _asked(lm)
        room = await lm.limit(0)
        ability = await measure(lm) if as_meta else None
    finally:
        await lm.close()
    known = getattr(client, "capabilities", None)
    factor = 1.0 if tier is None else tier.expected
    return Probe(
        model=model,
        reply=bounded(" ".join(reply.text.split()), ABOUT),
        usage=reply.took,
        capabilities=known if isinstance(known, Capabilities) else None,
        price=(_times(cost(Usage(1, _MILLION, 0)), factor), _times(cost(Usage(1, 0, _MILLION)), factor)),
        context=_context(client),
        thought=reply.thought,
        room=room,
        ability=ability,
        note=bounded(note, ABOUT),
    )


async def _asked(lm: LM) -> tuple[Reply, str]:
    """The reply, and what is odd about it."""
    stored = await lm.session.store.get(lm.key(QUESTION))
    # The first time it is the question that settles the room for thoughts. Later one that was never asked before, so that
    # it is really sent.
    draw = () if stored is None else ("probe", time.time_ns())
    try:
        reply = await lm.ask(QUESTION, purpose=PURPOSE, draw=draw)
    except (ModelError, RefusedError) as error:
        return Reply("", "refusal", Usage(calls=1), 0.0), f"it answers, but not this small question: {error}"
    return reply, _odd(reply)


def _odd(reply: Reply) -> str:
    """What is odd about a reply to the question; "" where it is of the form that was asked for."""
    from flowbot.lm.answers import read_values

    text = without_thought(reply.text)
    if not text and reply.finish == "length":
        return f"it thought for {reply.usage.output_tokens:,} tokens and came to no answer in them; `?thinking=N` gives it more room"
    if not text:
        return "its reply to a small question is empty"
    try:
        read_values(text, [ANSWER])
    except ValueMismatch:
        return "its reply is not the JSON that was asked for: it may be made for other questions than this one"
    return ""


def _times(price: float | None, factor: float | None) -> float | None:
    return None if price is None or factor is None else price * factor


def _context(client: Client) -> int | None:
    """Tokens that prompt and reply may have together, where that is known."""
    own = dict(client.identity.extra).get("context")
    if own is not None:
        return int(own)
    if client.price_ref is None or client.price_ref == FREE:
        return None
    import genai_prices

    provider, _, name = client.price_ref.partition(":")
    try:
        return genai_prices.calc_price(genai_prices.Usage(), model_ref=name, provider_id=provider).model.context_window
    except (LookupError, ValueError):
        return None
