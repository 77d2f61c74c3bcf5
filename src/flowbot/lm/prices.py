"""What a call costs: by the list that genai-prices carries (no network), or as the user says. Unknown is None."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from flowbot.fields import Usage, UserError
from flowbot.fields.numbers import is_number

from .model_options import model_options
from .providers import FREE, OWN, endpoint_of, is_added, split_model

PriceOf = Callable[[Usage], float | None]
"""USD for that usage; None when the price is unknown."""

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


def per_million(price: tuple[float, float]) -> PriceOf:
    """The user's own price: USD per million input and output tokens."""
    read, write = price
    return lambda usage: (usage.input_tokens * read + usage.output_tokens * write) / 1e6


def is_known(price: PriceOf) -> bool:
    """Whether that price can be told."""
    return price(Usage(calls=1, input_tokens=1, output_tokens=1)) is not None


def is_price(value: object) -> bool:
    """Whether it is a pair of prices, each of at least 0 and at most what no model costs."""
    pair = cast("Sequence[object]", value) if isinstance(value, tuple | list) else ()
    return len(pair) == 2 and all(is_number(each) and 0 <= each <= MOST_PRICE for each in pair)


def parse_price(text: str) -> tuple[float, float]:
    """Read `--price IN,OUT`, dollars per million tokens.

    Raises:
        UserError: if it is not two numbers of at least 0.
    """
    try:
        read, write = (float(part) for part in text.split(","))
    except ValueError:
        read = write = -1.0
    if not is_price((read, write)):
        raise UserError("--price", repr(text), "IN,OUT: dollars per million input and output tokens, as in 0.4,1.6")
    return read, write


def price_of(model: str, usage: Usage, price: tuple[float, float] | None = None) -> float | None:
    """USD that `usage` costs with the model string `model`, in the service tier that it asks for; None when that is unknown.

    Args:
        model: `openai/gpt-4.1-mini`, `local/NAME`…
        usage: tokens.
        price: the user's price, which wins over the list's.

    Raises:
        UserError: for an unknown provider or option.
    """
    provider, rest = split_model(model)
    if provider in OWN:
        return 0.0
    if is_added(provider):
        return None if price is None else per_million(price)(usage)
    name, options = model_options(provider, rest)
    if price is not None:
        return per_million(price)(usage)
    usd, factor = listed(endpoint_of(provider, name).price_ref)(usage), options.tier.expected
    return None if usd is None or factor is None else usd * factor
