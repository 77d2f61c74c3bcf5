"""`litellm/NAME`: a model by the package `litellm`, for what speaks no chat completions of OpenAI's itself, as Bedrock and Vertex.

It translates and sends; keys, regions and addresses it takes from its own environment variables. Retries, storing, counting and
limits are ours, and its own are off, as are its telemetry and the price map that it would fetch.
"""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from functools import cache
from importlib import import_module
from typing import Any, cast

from flowbot.fields import InfrastructureError, UserError
from flowbot.store import Store

from .client import Identity, Patience
from .foreign_faults import foreign
from .model_options import model_options
from .openai import OpenAIClient
from .providers import LITELLM, litellm_price_ref
from .wire import PATIENCE

_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")


def open_litellm(rest: str, store: Store | None = None) -> OpenAIClient:
    """The client of `NAME?options`, where NAME is a model as litellm writes it: `bedrock/…`, `vertex_ai/…`. Imports nothing yet.

    Raises:
        UserError: for an unknown option.
    """
    name, options = model_options(LITELLM, rest)
    identity = Identity(LITELLM, "", name, options.extra)
    return OpenAIClient(identity, LiteLLMWire(name), store=store, price_ref=litellm_price_ref(name), options=options)


class LiteLLMWire:
    """Asks litellm in place of an endpoint; see `openai.Poster`.

    Failure policy: what it raises is an error by the status that it names; see `fault_of`. Its connections belong to all who use the
    package in this process, and it ends them itself.
    """

    def __init__(self, name: str) -> None:
        self._where = f"model {LITELLM}/{name}"

    async def post(self, path: str, body: dict[str, Any], patience: Patience | None = None) -> dict[str, Any]:
        """The reply to a request's body in the form of a chat completion.

        Raises:
            UserError: if the package is not installed.
            InfrastructureError: if the endpoint fails; an `HttpFault` where it answers with an error.
        """
        litellm = await asyncio.to_thread(_litellm, self._where)
        seconds = PATIENCE if patience is None or patience.seconds is None else patience.seconds
        with foreign(LITELLM):
            async with asyncio.timeout(seconds):
                answer = await litellm.acompletion(**body, timeout=seconds, max_retries=0, num_retries=0)
                found: Any = answer.model_dump()
        if not isinstance(found, dict):
            raise InfrastructureError(f"{LITELLM}: answered with something that is no reply", kind="garbage")
        return cast("dict[str, Any]", found)

    async def close(self) -> None:
        """Nothing of its own is open."""


@cache
def _litellm(where: str) -> Any:
    """The package, quiet."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # read at its import, which fetches the map otherwise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package: Any = import_module("litellm")
    except ImportError:
        raise UserError(where, "no package litellm", mend="pip install -e '.[litellm]'") from None
    package.telemetry = False
    package.suppress_debug_info = True  # it prints at every error
    if "LITELLM_LOG" not in os.environ:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return package
