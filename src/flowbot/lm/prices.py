"""What a call costs: by the list that genai-prices carries (no network), or as the user says. Unknown is None."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias, cast

from flowbot.fields import Usage, UserError
from flowbot.fields.numbers import is_number

from .model_options import model_options
from .providers import FREE, LITELLM, OWN, endpoint_of, is_added, litellm_price_ref, providers, split_model
from .tiers import BATCH, batch_row

PriceOf = Callable[[Usage], float | None]
"""USD for that usage; None when the price is unknown."""

Pair: TypeAlias = tuple[float, float]
"""USD per million input and output tokens."""
Price: TypeAlias = Pair | Mapping[str, Pair]
"""What a user says of prices: one for all models that are paid for, or one by model string."""
MOST_PRICE = 1e9
"""USD per million tokens that a user may name."""


def listed(price_ref: str | None) -> PriceOf:
    """The price by reference: `free`, `PROVIDER:MODEL` of the price list, or None for what has no known price."""
    if price_ref is None:
        return lambda _: None
    if price_ref == FREE:
        return lambda _: 0.0
    provider, _, model = price_ref.partition(":")

    unknown = False

    @lru_cache(maxsize=4096)  # looking a price up takes longer than all the rest that is done about a call
    def usd(read: int, written: int, cached: int) -> float | None:
        nonlocal unknown
        import genai_prices

        try:
            spent = genai_prices.Usage(input_tokens=read, output_tokens=written, cache_read_tokens=cached)
            return float(genai_prices.calc_price(spent, model_ref=model, provider_id=provider).total_price)
        except LookupError:
            unknown = True
        except ValueError:
            pass
        return None

    def price(usage: Usage) -> float | None:
        if unknown:
            return None
        return usd(usage.input_tokens, usage.output_tokens, min(usage.cached_tokens, usage.input_tokens))

    return price


def per_million(price: Pair) -> PriceOf:
    """The user's own price: USD per million input and output tokens."""
    read, write = price
    return lambda usage: (usage.input_tokens * read + usage.output_tokens * write) / 1e6


def said(price: Price | None, model: str, *, free: bool) -> Pair | None:
    """What the user says that a model costs; None where that is nothing. Of one that is `free` it must be said by its name.

    Args:
        price: as given.
        model: the model string.
        free: whether it costs nothing by itself, as one on this machine.
    """
    if isinstance(price, Mapping):
        return price.get(model)
    return None if free else price


def is_known(price: PriceOf) -> bool:
    """Whether that price can be told."""
    return price(Usage(calls=1, input_tokens=1, output_tokens=1)) is not None


def is_price(value: object) -> bool:
    """Whether it is a pair of prices, each of at least 0 and at most what no model costs, or such pairs by model string."""
    if isinstance(value, Mapping):
        by_model = cast("Mapping[object, object]", value)
        return all(isinstance(name, str) and _is_pair(each) for name, each in by_model.items())
    return _is_pair(value)


def parse_price(text: str) -> Price:
    """Read `--price IN,OUT`, dollars per million tokens, or `--price "MODEL=IN,OUT;MODEL=IN,OUT"`.

    Raises:
        UserError: if it is neither, or a number is below 0.
    """
    if "=" not in text:
        return _pair(text)
    parts = [each.rpartition("=") for each in text.split(";") if each.strip()]
    found: dict[str, Pair] = {}
    for name, _, pair in parts:
        split_model(model := name.strip())
        if model in found:
            raise UserError("--price", f"{model} twice", "each model once")
        found[model] = _pair(pair)
    return found


def price_text(price: Price | None) -> str:
    """It as `parse_price` reads it; "" where the user says none."""
    if not isinstance(price, Mapping):
        return "" if price is None else ",".join(f"{each:.15g}" for each in price)
    return ";".join(f"{name}={price_text(pair)}" for name, pair in sorted(price.items()))


def _is_pair(value: object) -> bool:
    pair = cast("Sequence[object]", value) if isinstance(value, tuple | list) else ()
    return len(pair) == 2 and all(is_number(each) and 0 <= each <= MOST_PRICE for each in pair)


def _pair(text: str) -> Pair:
    try:
        read, write = (float(part) for part in text.split(","))
    except ValueError:
        read = write = -1.0
    if not is_price((read, write)):
        expected = "IN,OUT: dollars per million input and output tokens, as in 0.4,1.6; of several models MODEL=IN,OUT;MODEL=IN,OUT"
        raise UserError("--price", repr(text), expected)
    return read, write


def price_of(model: str, usage: Usage, price: Price | None = None, *, batch: bool = False) -> float | None:
    """USD that `usage` costs with the model string `model`, in the service tier that it asks for; None when that is unknown.

    Args:
        model: `openai/gpt-4.1-mini`, `local/NAME`…
        usage: tokens.
        price: the user's price, which wins over the list's.
        batch: whether it comes by batches, of a model that has them.

    Raises:
        UserError: for an unknown provider or option.
    """
    provider, rest = split_model(model)
    own = said(price, model, free=provider in OWN)
    if own is not None and not (batch and provider in providers()):
        return per_million(own)(usage)
    if provider in OWN:
        return 0.0
    if provider == LITELLM:
        return listed(litellm_price_ref(model_options(provider, rest)[0]))(usage)
    if is_added(provider):
        return None
    name, options = model_options(provider, rest)
    tier = replace(options.tier, own=own is not None)
    factor = tier.factor(BATCH) if batch and batch_row(provider, name) is not None else tier.expected
    usd = (per_million(own) if own is not None else listed(endpoint_of(provider, name).price_ref))(usage)
    return None if usd is None or factor is None else usd * factor
