"""From a model string to a model: `openai/NAME`, `local/NAME`, `fake/NAME`, `recorded/FILE`, `litellm/NAME`. Loads what is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowbot.fields import UserError
from flowbot.lm.client import Client, Identity
from flowbot.lm.model_options import model_options
from flowbot.lm.options import is_path
from flowbot.lm.prices import Price, PriceOf, is_known, listed, per_million, said
from flowbot.lm.providers import (
    CALLABLE,
    FREE,
    LITELLM,
    OWN,
    Endpoint,
    endpoint_of,
    is_added,
    open_added,
    require_key,
    split_model,
)
from flowbot.lm.tiers import FLEX, Tier
from flowbot.store import Store, default_cache_dir

if TYPE_CHECKING:
    from flowbot.lm.batch_forms import Batches
    from flowbot.lm.lm import LM
    from flowbot.lm.session import Session

Say = Callable[[str], None]
LONGEST_TRY = 900.0
"""Seconds of one try in a tier that may let wait: what OpenAI and Google recommend for flex."""


def open_lm(
    model: str,
    session: Session,
    *,
    base_dir: Path | None = None,
    cache_dir: Path | None = None,
    price: Price | None = None,
    say: Say | None = None,
) -> LM:
    """A model by its string. Opens no connection and starts no server before the first call.

    Args:
        model: `PROVIDER/NAME`.
        session: what the run's calls share.
        base_dir: what a relative path in `recorded/FILE` is relative to; the working directory when None.
        cache_dir: folder of local models; the user's cache folder when None.
        price: USD per million input and output tokens, for paid endpoints.
        say: told in one line of what takes long.

    Raises:
        UserError: for an unknown provider or model, a missing key, or a ceiling in USD where the price is unknown.
    """
    from flowbot.lm.lm import LM

    connections = session.connections
    shared = f"{model} {base_dir or ''} {cache_dir or ''} {_account(model)}"

    def make(tell: Say) -> Client:
        return open_client(model, store=connections.store, base_dir=base_dir, cache_dir=cache_dir, say=tell)

    client = connections.share(shared, make, say)
    cost, tier = priced(client, price, model)
    known = is_known(cost) and (tier is None or tier.expected is not None)
    if session.budget.limits("usd") and not known:
        raise UserError(
            "a ceiling in USD (--max-usd)",
            f"model {model}, whose price is unknown",
            mend="give its price: --price IN,OUT in dollars per million input and output tokens",
        )
    return LM(client, session, name=model, price=cost, tier=tier, close=lambda: connections.release(shared, say))


def open_client(
    model: str,
    *,
    store: Store | None = None,
    base_dir: Path | None = None,
    cache_dir: Path | None = None,
    say: Say | None = None,
) -> Client:
    """The client alone, without store, budget and ledger around it. See `open_lm`."""
    provider, rest = split_model(model)
    match provider:
        case "fake":
            from flowbot.testing.fake import open_fake

            return open_fake(rest)
        case "recorded":
            from flowbot.testing.recorded import open_recorded

            def opener(other: str) -> Client:
                return open_client(other, store=store, base_dir=base_dir, cache_dir=cache_dir, say=say)

            return open_recorded(_beside(rest, base_dir), opener)
        case "local":
            from flowbot.lm.local import open_local

            return open_local(rest, cache_dir or default_cache_dir(), say=say or _silent)
        case _ if provider == LITELLM:
            from flowbot.lm.litellm_model import open_litellm

            return open_litellm(rest, store)
        case _ if provider == CALLABLE:
            from flowbot.lm.callable_wire import open_callable

            return open_callable(rest)
        case _ if is_added(provider):
            return open_added(provider, rest)
        case _:
            return _open_endpoint(provider, rest, store)


def names_file(model: str) -> bool:
    """Whether a model string names a file of this machine: `recorded/FILE` or `local/PATH`."""
    provider, _, rest = model.partition("/")
    return provider == "recorded" or (provider == "local" and is_path(rest.partition("?")[0]))


def priced(client: Client, price: Price | None, model: str) -> tuple[PriceOf, Tier | None]:
    """What a client's calls cost, and the service tier in which it asks; None for one that knows of none.

    Args:
        client: of any kind.
        price: USD per million input and output tokens, as the user says: whatever tier is asked for; a batch is cheaper all the same.
        model: its model string.
    """
    tier: Tier | None = getattr(client, "tier", None)
    if (own := said(price, model, free=client.price_ref == FREE)) is not None:
        return per_million(own), None if tier is None else replace(tier, own=True)
    return listed(client.price_ref), tier


def _account(model: str) -> str:
    """Who pays for an endpoint: a run with another key, or at another address, has connections of its own."""
    provider, rest = split_model(model)
    if provider == CALLABLE:
        from flowbot.lm.callable_wire import callable_account

        return callable_account(rest)
    if provider in OWN or is_added(provider):
        return ""
    name, options = model_options(provider, rest)
    return " ".join(endpoint_of(provider, name, base_url=each).account for each in options.base_urls or ("",))


def _silent(line: str) -> None:
    """Say nothing."""


def _open_endpoint(provider: str, rest: str, store: Store | None) -> Client:
    name, options = model_options(provider, rest)
    endpoints = [endpoint_of(provider, name, base_url=each) for each in options.base_urls or ("",)]
    endpoint = endpoints[0]
    require_key(endpoint)
    if endpoint.elsewhere and not options.thinking and "thinking" not in dict(options.extra):
        # Who answers there to a name is not known; that it thinks, and has to be given room, may be.
        options = replace(options, thinking=None)
    from flowbot.lm.openai import OpenAIClient
    from flowbot.lm.servers import Servers
    from flowbot.lm.wire import PATIENCE, Wire

    seconds = LONGEST_TRY if options.tier.asked == FLEX else PATIENCE
    header = endpoint.row.key_header
    wires = [Wire(each.address, key=each.key, key_header=header, seconds=seconds) for each in endpoints]
    return OpenAIClient(
        # A model that the string itself places is the same on however many servers.
        Identity(provider, "" if options.base_urls else endpoint.base_url, name, options.extra),
        Servers(wires) if len(wires) > 1 else wires[0],
        options=options,
        capabilities=endpoint.row.capabilities,
        store=store,
        price_ref=endpoint.price_ref,
        concurrency=endpoint.row.concurrency * len(endpoints),
        account=" ".join(each.account for each in endpoints),
        batches=_batches(endpoint) if len(wires) == 1 else None,
    )


def _batches(endpoint: Endpoint) -> Batches | None:
    """Its batch endpoint, where it is known to have one."""
    from flowbot.lm.batch_forms import AnthropicBatches, OpenAIBatches
    from flowbot.lm.tiers import batch_row
    from flowbot.lm.wire import Wire

    row = batch_row(endpoint.provider, endpoint.model)
    if row is None:
        return None
    if row["form"] == "anthropic":
        return AnthropicBatches(Wire(endpoint.address, key=endpoint.key, key_header="x-api-key"))
    return OpenAIBatches(Wire(endpoint.address, key=endpoint.key, key_header=endpoint.row.key_header))


def _beside(rest: str, base_dir: Path | None) -> str:
    """`FILE?options` with FILE made relative to `base_dir`."""
    file, mark, options = rest.partition("?")
    return f"{(base_dir or Path()) / file}{mark}{options}"
