"""Which models there are, and what one of them is able to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

from flowbot.fields import UserError
from flowbot.fields.arguments import FOLDER, MODEL, SAY, checked_arguments
from flowbot.fields.plugins import find_plugin, plugin_names
from flowbot.lm.callable_model import ModelLike, model_string
from flowbot.lm.local.weights import catalogue, on_disk
from flowbot.lm.prices import Price
from flowbot.lm.providers import OWN, providers
from flowbot.store import default_cache_dir

from .blocking import blocking
from .probe import Probe, probe
from .settings import CHECKS
from .workbench import Workbench


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that runs on this machine. `on_disk`: it need not be fetched."""

    model: str
    about: str
    licence: str
    bytes: int
    on_disk: bool


@dataclass(frozen=True, slots=True)
class RemoteProvider:
    """Who serves models by an endpoint: where, the variables that name another address and hold the key, and whether one does."""

    provider: str
    base_url: str | None
    base_variable: str | None
    keys: tuple[str, ...]
    needs_key: bool
    key_set: bool


@dataclass(frozen=True, slots=True)
class PackageProvider:
    """A provider that an installed package offers; `error` says why it cannot be had."""

    provider: str
    package: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models that can be used: those of this machine, the providers of others, and those of installed packages."""

    local: tuple[LocalModel, ...]
    providers: tuple[RemoteProvider, ...]
    packages: tuple[PackageProvider, ...]

    def dump(self) -> dict[str, Any]:
        """The object that `models --json` prints."""
        return asdict(self)


@overload
def models(model: None = None, *, cache_dir: Path | str | None = None) -> ModelList: ...
@overload
def models(
    model: ModelLike,
    *,
    cache_dir: Path | str | None = None,
    price: Price | None = None,
    say: Callable[[str], None] | None = None,
) -> Probe: ...
@checked_arguments(model=MODEL, cache_dir=FOLDER, price=CHECKS["price"], say=SAY)
def models(
    model: ModelLike | None = None,
    *,
    cache_dir: Path | str | None = None,
    price: Price | None = None,
    say: Callable[[str], None] | None = None,
) -> ModelList | Probe:
    """The models that can be used; of one, asked a few small questions, what its endpoint can do and how it is asked as a
    meta model.

        >>> [each.model for each in fb.models().local if each.on_disk]
        >>> fb.models("openai/gpt-4.1-mini").capabilities
        >>> fb.models("openai/gpt-4.1-mini").ability

    Args:
        model: a model string, or a function of your own; a local model is fetched if it is not there yet. None: all are listed, and none is asked.
        cache_dir: folder of stored responses and local models; the user's cache folder when None.
        price: USD per million input and output tokens, where the model's price is not known.
        say: called with one-line news, as of a model that is fetched.

    Raises:
        UserError: for an unknown provider, option or model, or a missing key.
        InfrastructureError: if the endpoint cannot be reached or refuses the key or the name.
    """
    folder = Path(cache_dir or default_cache_dir())
    if model is not None:
        return _asked(model_string(model, "model"), folder, price, say)
    local = (
        LocalModel(f"local/{name}", each.about, each.licence, each.bytes, on_disk(each, folder) is not None)
        for name, each in catalogue().items()
    )
    remote = (
        RemoteProvider(
            name,
            each.base_url or None,
            each.base_variable or None,
            each.keys,
            each.needs_key,
            any(os.environ.get(key) for key in each.keys),
        )
        for name, each in providers().items()
    )
    return ModelList(tuple(local), tuple(remote), tuple(_of_packages()))


def _of_packages() -> Iterator[PackageProvider]:
    """The providers that installed packages offer; nothing of theirs is imported."""
    for name in plugin_names("models"):
        if name in OWN or name in providers():  # FlowBot's own win
            continue
        try:
            plugin = find_plugin("models", name)
        except UserError as fault:
            yield PackageProvider(name, None, str(fault))
        else:
            yield PackageProvider(name, None if plugin is None else plugin.package, None)


async def _probed(model: str, cache_dir: Path, price: Price | None, say: Callable[[str], None] | None) -> Probe:
    async with Workbench(cache_dir=cache_dir) as bench:
        return await probe(model, bench.session(), cache_dir=cache_dir, price=price, say=say, as_meta=True)


_asked = blocking(_probed, "models")
