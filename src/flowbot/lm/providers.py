"""Where the providers are: base URL, the variable that holds the key, what each takes. All speak chat completions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit, urlunsplit

from flowbot.fields import UserError, is_name
from flowbot.fields.files import read_text
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.fields.plugins import find_plugin, plugin_names
from flowbot.fields.secrets import public_url

from .addresses import address
from .capabilities import Capabilities
from .client import Client

FREE = "free"
"""The price reference of what costs nothing: local, fake and recorded models, and servers of one's own."""
OWN = ("local", "fake", "recorded")
"""Providers that are no endpoints of others."""
LITELLM, CALLABLE = "litellm", "callable"
GUESTS = (LITELLM, CALLABLE)
"""Providers that others' code speaks for: the package `litellm`, and functions of the user's own."""
_PRICED = {"bedrock": "aws", "vertex_ai": "google"}
"""How the price list calls providers of litellm that are none of ours."""
OpenClient: TypeAlias = Callable[[str], Client]
"""Makes the client of a model by what stands behind `PROVIDER/`, options included; it opens no connection yet."""
_ADDED: dict[str, OpenClient] = {}

_DATA = Path(__file__).with_name("providers.json")
_MOST_DATA = 1_000_000


@dataclass(frozen=True, slots=True)
class Provider:
    """One line of the table.

    Args:
        base_url: up to and without `/chat/completions`; "" when only the user can know it.
        keys: environment variables that may hold the key, first found wins; () when none is needed.
        base_variable: environment variable that names another base URL.
        path: what is put behind the base URL that the variable names.
        priced_as: the provider's id in the price list; `free`, or "" when its prices are unknown.
        key_header: how the key is sent.
        capabilities: what is tried first.
        concurrency: calls at once by default.
        needs_key: False for servers of one's own, where a key is sent only if there is one.
    """

    base_url: str
    keys: tuple[str, ...]
    base_variable: str = ""
    path: str = ""
    priced_as: str = ""
    key_header: str = "Authorization"
    capabilities: Capabilities = field(default_factory=Capabilities)
    concurrency: int = 16
    needs_key: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A provider with the environment looked up.

    Args:
        provider: its name.
        model: the model's name there.
        row: the provider's line of the table, as it holds at this address.
        base_url: without user, password and trailing slash; a key in its query is masked.
        address: where requests go: the same with its query as it is (never shown: `repr` leaves it out).
        key: the key, or "" (never shown: `repr` leaves it out).
        price_ref: see `prices.listed`.
        elsewhere: whether it is at an address that the environment names, where any model may answer to any name.
    """

    provider: str
    model: str
    row: Provider
    base_url: str
    address: str
    key: str
    price_ref: str | None
    elsewhere: bool = False

    @property
    def account(self) -> str:
        """Tells this key at this address from others, without saying it. It is kept in memory alone."""
        return hashlib.sha256(f"{self.address} {self.key}".encode()).hexdigest()

    def __repr__(self) -> str:
        return f"Endpoint({self.provider}/{self.model} at {self.base_url})"


@cache
def providers() -> Mapping[str, Provider]:
    """The table, by provider: `providers.json`."""
    rows: dict[str, dict[str, Any]] = json.loads(read_text(_DATA, limit=_MOST_DATA))["providers"]
    for row in rows.values():
        row["keys"] = tuple(row["keys"])
        row["capabilities"] = Capabilities(**row.get("capabilities", {}))
    return MappingProxyType({name: Provider(**row) for name, row in rows.items()})


def model_hosts() -> set[tuple[str, str]]:
    """Hosts and ports of models: of the table, and of base URLs that the environment names."""
    rows, found = [*providers().values()], set[tuple[str, str]]()
    variables = ("OPENAI_API_BASE", "ANTHROPIC_BASE_URL", *(row.base_variable for row in rows))
    for url in (*(row.base_url for row in rows), *(os.environ.get(each) for each in variables)):
        with suppress(ValueError):  # a base URL that is none
            parts = urlsplit(url or "")
            found.add((parts.hostname or "", str(parts.port or {"http": 80}.get(parts.scheme, 443))))
    return found


def split_model(model: str) -> tuple[str, str]:
    """Provider and name of a model string.

    Raises:
        UserError: if it has no name or its provider is unknown; lists the known ones.
    """
    provider, slash, name = model.partition("/")
    known = (*OWN, *GUESTS, *providers(), *_ADDED)
    if provider not in known:  # the metadata of installed packages is read for a name that is not known otherwise
        known = (*known, *plugin_names("models"))
    if provider in known and not name.partition("?")[0]:
        raise UserError(f"model {model!r}", "a provider without a model's name", f"{provider}/NAME")
    if provider not in known or not slash:
        raise UserError(f"model {model!r}", repr(provider), f"PROVIDER/NAME with {one_of(provider, known)}")
    return provider, name


def add_provider(provider: str, open_client: OpenClient) -> None:
    """Make `PROVIDER/NAME` a model string of this process; the entry point group `flowbot.models` does it for a package.

    Args:
        provider: as it stands before the slash; added again, it is replaced.
        open_client: makes the client of a model; the provider in its identity is this one.

    Raises:
        UserError: for a name that FlowBot has itself, or that is no identifier.
    """
    if not is_name(provider) or provider in (*OWN, *GUESTS, *providers()):
        raise UserError("provider", shown(provider), "an identifier that no provider of FlowBot has")
    _ADDED[provider] = open_client


def litellm_price_ref(name: str) -> str | None:
    """The model's name in the price table by its name of litellm; see `prices.listed`."""
    provider, slash, model = name.partition("/")
    row = providers().get(provider)
    listed = _PRICED.get(provider, "") if row is None or row.priced_as == FREE else row.priced_as
    return f"{listed}:{model.rpartition('/')[2] if provider == 'bedrock' else model}" if slash and listed else None


def is_added(provider: str) -> bool:
    """Whether a provider that `split_model` knows is spoken for by code of the user's or of a package: it has no row in the table."""
    return provider not in OWN and provider not in providers()


def open_added(provider: str, name: str) -> Client:
    """The client of a model of a provider that was added, or that a package offers; its code runs only now.

    Raises:
        UserError: if the package cannot be loaded, or what it makes is no client of this provider.
    """
    where, opener = f"model {provider}/{name}", _ADDED.get(provider)
    if opener is None:
        plugin = find_plugin("models", provider)
        if plugin is None:
            raise UserError(where, repr(provider), "a provider that there is")
        found = plugin.load()
        if not callable(found):
            raise plugin.refused(shown(found), "a function from a model's name to its client")
        opener = cast("OpenClient", found)
    client = cast("object", opener(name))
    if not isinstance(client, Client):
        raise UserError(where, shown(client), "a client: see flowbot.lm.client.Client")
    if client.identity.provider != provider:
        raise UserError(where, f"a client of the provider {client.identity.provider!r}", f"one of {provider!r}")
    return client


def endpoint_of(
    provider: str, model: str, environment: Mapping[str, str] | None = None, *, base_url: str = ""
) -> Endpoint:
    """Look the endpoint up in the table and the environment. Opens nothing; a missing key is not yet an error.

    Args:
        provider: its name.
        model: the model's name there.
        environment: the process's when None.
        base_url: where it is, whatever the environment says.

    Raises:
        UserError: if the provider is unknown or its base URL is missing or none.
    """
    if provider not in providers():
        raise UserError(f"model {provider}/{model}", repr(provider), one_of(provider, (*OWN, *providers())))
    row = providers()[provider]
    known = os.environ if environment is None else environment
    named = base_url or (known.get(row.base_variable, "").strip() if row.base_variable else "")
    if not named and not row.base_url:
        raise UserError(row.base_variable, "no such environment variable", mend=f"set it to the base URL of {provider}")
    address = (
        _base_url("base_url" if base_url else row.base_variable, named, "" if base_url else row.path)
        if named
        else row.base_url
    )
    base_url = public_url(address)
    elsewhere = base_url != row.base_url and bool(row.base_url)
    price_ref = None if not row.priced_as else FREE if row.priced_as == FREE else f"{row.priced_as}:{model}"
    if elsewhere:
        # Some servers ignore the newer name of the ceiling without a word, and would write without end.
        row = replace(row, capabilities=Capabilities(), needs_key=False)
    return Endpoint(
        provider=provider,
        model=model,
        row=row,
        base_url=base_url,
        address=address,
        key=next((value for name in row.keys if (value := known.get(name, "").strip())), ""),
        # Who answers at another address, and at what price, only the user knows.
        price_ref=None if elsewhere and price_ref != FREE else price_ref,
        elsewhere=elsewhere,
    )


def require_key(endpoint: Endpoint) -> None:
    """Check the key before anything is sent.

    Raises:
        UserError: if it is needed and missing, or cannot be a key; names the variable, never the value.
    """
    where, names = f"model {endpoint.provider}/{endpoint.model}", " or ".join(endpoint.row.keys)
    if endpoint.row.needs_key and not endpoint.key:
        raise UserError(
            where, f"no key in the environment variable {names}", mend=f"set it to your key of {endpoint.provider}"
        )
    if not all(" " < each <= "~" for each in endpoint.key):
        raise UserError(where, f"blanks or unprintable characters in the key in {names}", "the key alone")


def _base_url(variable: str, text: str, path: str) -> str:
    parts = address(text, variable)
    # User and password do not belong into an identity, which is written to files.
    host = parts.netloc.rpartition("@")[2]
    if parts.hostname == "0.0.0.0":
        host = host.replace("0.0.0.0", "127.0.0.1", 1)
    own = parts.path.rstrip("/")
    return urlunsplit((parts.scheme, host, own if own.endswith(path) else own + path, parts.query, ""))
