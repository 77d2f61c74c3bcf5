"""One question to a model, asked anew each time: proves the key and the name, and shows what its endpoint can do.

The question asks for JSON by schema, with a temperature and a seed, as workflows do: what the endpoint does not take is
found out by it. It goes through the store and the ledger like every call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import Field, InfrastructureError, Usage, UserError
from flowbot.fields.bounds import ABOUT, bounded

from .capabilities import Capabilities
from .client import Client, Message
from .open import open_client
from .prices import FREE, listed, per_million
from .providers import OWN, PROVIDERS, split_model
from .retry import RetryPolicy

if TYPE_CHECKING:
    from .session import Session

PURPOSE = "probe"
"""What the ledger charges the question to."""
QUESTION = "How many legs has a spider? Reply as JSON with the number in `answer`."
MAX_TOKENS = 200
_RETRY = RetryPolicy(tries=2, longest=10.0)
"""Somebody waits: what does not answer soon is reported."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """What one question showed.

    Args:
        model: the model string.
        reply: the last reply's text, on one line.
        usage: what the call (or the calls, where the first reply was of no use) took; `usd` is None where the price is
            unknown, `seconds` is latency.
        capabilities: how the endpoint is to be asked; None for what is no endpoint.
        price: USD per million input and output tokens, each None where unknown.
        context: tokens that prompt and reply may have together; None where unknown.
    """

    model: str
    reply: str
    usage: Usage
    capabilities: Capabilities | None
    price: tuple[float | None, float | None]
    context: int | None

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        can = self.capabilities
        return {
            "model": self.model,
            "ok": True,
            "reply": self.reply,
            "seconds": round(self.usage.seconds, 2),
            "usage": {
                "calls": self.usage.calls,
                "input_tokens": self.usage.input_tokens,
                "output_tokens": self.usage.output_tokens,
                "usd": self.usage.usd,
            },
            "capabilities": can.dump() if can else None,
            "dropped": list(can.dropped()) if can else [],
            "price": {"input": self.price[0], "output": self.price[1]},
            "context": self.context,
        }


async def probe(
    model: str,
    session: Session,
    *,
    cache_dir: Path | None = None,
    price: tuple[float, float] | None = None,
    say: Callable[[str], None] | None = None,
) -> Probe:
    """Ask a model one small question, whatever is stored.

    Args:
        model: `PROVIDER/NAME`.
        session: whose store keeps the reply and what the endpoint can do, and whose ledger the call is charged to.
        cache_dir: folder of local models; the user's cache folder when None.
        price: USD per million input and output tokens, where the price is not known.
        say: told in one line of what takes long.

    Raises:
        UserError: for an unknown provider or model, or a missing key.
        InfrastructureError: if the endpoint cannot be reached or refuses the key or the name.
        RefusedError: if it refuses the question.
        AnswerError: if no reply fits the schema, however it is asked for; a `ModelError`.
    """
    from .lm import LM

    client = open_client(model, store=session.store, cache_dir=cache_dir, say=say)
    cost = listed(client.price_ref) if price is None or client.price_ref == FREE else per_million(price)
    lm = LM(client, session, name=model, price=cost, retry=_RETRY)
    try:
        answer = await lm.ask_fields(
            [Message("user", QUESTION)],
            [Field.of("answer", "int")],
            purpose=PURPOSE,
            draw=("probe", time.time_ns()),  # a question that was never asked before, so that it is really sent
            max_tokens=MAX_TOKENS,
            temperature=0.2,
        )
    finally:
        await lm.close()
    known = getattr(client, "capabilities", None)
    return Probe(
        model=model,
        reply=bounded(" ".join(answer.replies[-1].text.split()), ABOUT),
        usage=sum((reply.usage for reply in answer.replies), Usage()),
        capabilities=known if isinstance(known, Capabilities) else None,
        price=(cost(Usage(1, _MILLION, 0)), cost(Usage(1, 0, _MILLION))),
        context=_context(client),
    )


def advice(model: str, error: Exception) -> str:
    """What to do about a model that did not answer, in a sentence without the error itself."""
    if isinstance(error, UserError):
        return error.mend
    if not isinstance(error, InfrastructureError):
        return "it was reached, but its answer is of no use: try again, or another model"
    provider, _ = split_model(model)
    if provider in OWN:
        return "`flowbot models` lists the models that can be used"
    row = PROVIDERS[provider]
    match error.kind:
        case "auth":
            return f"check the key in {' or '.join(row.keys)}, and that it may use this model"
        case "not_found":
            where = f" and the address in {row.base_variable}" if row.base_variable else ""
            return f"check the model's name as {provider} writes it{where}"
        case "connection" | "timeout":
            where = f", the address in {row.base_variable}" if row.base_variable else ""
            return f"check the network, the proxy{where} and that the server is up"
        case "rate_limit":
            return "check the account's credit, or wait and try again" if error.fatal else "wait a little and try again"
        case "server" | "garbage":
            where = f", or check the address in {row.base_variable}" if row.base_variable else ""
            return f"try again in some minutes{where}"
        case _:
            return "see what the endpoint says, and its documentation of the model"


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
