"""Options of a model behind an endpoint, in its string: `openai/gpt-5?reasoning_effort=low&service_tier=flex`.

Those that change an answer are part of who answers, and so of what responses are stored under. The service tier never is: it
changes the price and the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowbot.fields import UserError

from .options import choice, flag, number, split_options, whole
from .providers import LITELLM, providers, split_model
from .thinking import USUAL, known_thinking_budget
from .tiers import Tier

_Reader = Callable[[Mapping[str, str], str, str], Any]
MOST_THINKING = 1_000_000
"""Tokens that may be kept for thoughts."""


def _between(low: float, high: float) -> _Reader:
    return lambda options, key, where: number(options, key, 0.0, where, low=low, high=high)


def _one_of(*names: str) -> _Reader:
    return lambda options, key, where: choice(options, key, names, where)


_BODY: Mapping[str, _Reader] = {
    "reasoning_effort": _one_of("none", "minimal", "low", "medium", "high", "xhigh", "max", "default"),
    "verbosity": _one_of("low", "medium", "high"),
    "top_p": _between(0, 1),
    "min_p": _between(0, 1),
    "top_k": lambda options, key, where: whole(options, key, 0, where, low=-1),
    "frequency_penalty": _between(-2, 2),
    "presence_penalty": _between(-2, 2),
    "repetition_penalty": _between(0, 10),
    "enable_thinking": flag,
}
"""What is sent with every request, by the name that it has there."""
_TEMPLATE = ("enable_thinking",)
"""Of these, what goes to the model's chat template (vLLM, SGLang, llama.cpp)."""
KNOWN = (*_BODY, "service_tier", "thinking", "base_url")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What a model string asks for besides its name.

    Args:
        body: sent with every request, but for the tier.
        tier: the service tier, and its price.
        extra: for the model's identity.
        thinking: tokens of room for thoughts; None where neither the user nor the model's name tells.
        base_urls: of the servers that have it, where the string names them; who answers is the same whichever it is.
    """

    tier: Tier
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: tuple[tuple[str, str], ...] = ()
    thinking: int | None = None
    base_urls: tuple[str, ...] = ()

    @property
    def sent(self) -> dict[str, Any]:
        """What every request's body holds."""
        return {**self.body, **({"service_tier": self.tier.asked} if self.tier.asked else {})}


def thinking_budget(model: str) -> int:
    """Tokens of room for a model's thoughts, as far as its string tells; 0 where it does not.

    Raises:
        UserError: for an unknown provider or option.
    """
    provider, rest = split_model(model)
    return 0 if provider not in (*providers(), LITELLM) else model_options(provider, rest)[1].thinking or 0


def may_think(model: str) -> bool:
    """Whether a model may think without its string telling so: it is asked, and no estimate knows of its thoughts.

    Raises:
        UserError: as `thinking_budget`.
    """
    provider, rest = split_model(model)
    return provider in (*providers(), LITELLM) and model_options(provider, rest)[1].thinking is None


def usual_thinking(model: str) -> int:
    """Tokens that a model's thoughts usually take in a reply, for estimates; see `thinking_budget`."""
    return thinking_budget(model) // USUAL


def model_options(provider: str, rest: str) -> tuple[str, ModelOptions]:
    """The name and the options of `NAME?key=value&key=value`.

    Raises:
        UserError: for an unknown option, a value that it cannot have, or a tier that the model does not have.
    """
    where = f"model {provider}/{rest}"
    name, given = split_options(rest, where, KNOWN)
    tier = Tier(provider, name, given.get("service_tier", ""))
    tier.require()
    read = {key: _BODY[key](given, key, where) for key in sorted(given.keys() & _BODY.keys())}
    extra = [(key, str(value).lower()) for key, value in read.items()]
    thinking = known_thinking_budget(name, effort=given.get("reasoning_effort", ""))
    if read.get("enable_thinking") is False:
        thinking = 0
    if "thinking" in given:
        thinking = whole(given, "thinking", 0, where, high=MOST_THINKING)
        extra.append(("thinking", str(thinking)))
    urls = tuple(each.strip() for each in given.get("base_url", "").split(",") if each.strip())
    if "base_url" in given and (len(set(urls)) != len(urls) or not urls or any("@" in each for each in urls)):
        raise UserError(where, "base_url", "base_url=URL,URL, each once and without a password")
    if urls and (provider not in providers() or not providers()[provider].base_variable):
        raise UserError(where, "base_url", f"no base_url: {provider} is where it is")
    body = {key: value for key, value in read.items() if key not in _TEMPLATE}
    if template := {key: value for key, value in read.items() if key in _TEMPLATE}:
        body["chat_template_kwargs"] = template
    return name, ModelOptions(tier, body, tuple(sorted(extra)), thinking, urls)
