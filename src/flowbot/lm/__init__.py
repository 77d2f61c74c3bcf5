"""Talking to models: the client protocol, endpoints, ledger and budget. A provider is loaded when it is opened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .budget import Budget
from .client import Client, Identity, Message, Patience, Reply, Request, ToolUse

if TYPE_CHECKING:
    from .answers import Answer, AnswerError
    from .clock import Clock, RealClock, VirtualClock
    from .ledger import Ledger
    from .lm import LM
    from .open import open_client, open_lm
    from .pace import Pace
    from .prices import parse_price, price_of
    from .session import Session
    from .stop import StopSignal

_HOME = {
    "Answer": "answers",
    "AnswerError": "answers",
    "Clock": "clock",
    "RealClock": "clock",
    "VirtualClock": "clock",
    "Ledger": "ledger",
    "LM": "lm",
    "open_client": "open",
    "open_lm": "open",
    "Pace": "pace",
    "parse_price": "prices",
    "price_of": "prices",
    "Session": "session",
    "StopSignal": "stop",
}

__all__ = [
    "LM",
    "Answer",
    "AnswerError",
    "Budget",
    "Client",
    "Clock",
    "Identity",
    "Ledger",
    "Message",
    "Pace",
    "Patience",
    "RealClock",
    "Reply",
    "Request",
    "Session",
    "StopSignal",
    "ToolUse",
    "VirtualClock",
    "open_client",
    "open_lm",
    "parse_price",
    "price_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
