"""Models on this machine: `local/NAME` of the catalogue, or `local//path/to/file.gguf`.

Options: `slots` (calls side by side), `context` (tokens of prompt and reply together, a slot), `threads`, `thinking` (tokens of
room for thoughts), and what bounds replies by a schema: `text`, `last`, `items` and `penalty` (see `Fitting`); as in `local/qwen2.5-coder-0.5b?slots=2&context=4096`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flowbot.fields import UserError
from flowbot.fields.files import opened
from flowbot.fields.paths import home_path
from flowbot.lm.client import Client, Identity
from flowbot.lm.model_options import MOST_THINKING
from flowbot.lm.options import is_path, number, split_options, whole
from flowbot.lm.thinking import known_thinking_budget

from .fitting import MOST_REPEATED, OPTIONS, Fitting
from .weights import INSTALL, Weights, file_sha256, models_dir, named

if TYPE_CHECKING:
    from .server import Settings

CONTEXT = 2048


def open_local(rest: str, cache_dir: Path, *, say: Callable[[str], None], fitting: Fitting | None = None) -> Client:
    """The client of `local/REST`. Fetches and starts nothing yet.

    Args:
        rest: a name of the catalogue or the path of a GGUF file, with options.
        cache_dir: FlowBot's cache folder; model files lie in `models` inside it.
        say: told in one line of what takes long.
        fitting: bounds of replies where `REST` names none, to measure others than the usual ones.

    Raises:
        UserError: for an unknown name or option, a file that is no GGUF file, or if the extra `local` is not installed.
    """
    from .client import LocalClient
    from .server import Settings, default_slots, usable_cores

    where = f"model local/{rest}"
    name, options = split_options(rest, where, ["slots", "context", "threads", "thinking", *OPTIONS])
    if is_path(name):
        weights: Weights | Path = _gguf(home_path(name, where), where)
        size, label = weights.stat().st_size, weights.stem
    else:
        weights = named(name)
        size, label = weights.bytes, name
    slots = whole(options, "slots", default_slots(size), where, low=1, high=64)
    context = whole(options, "context", CONTEXT, where, low=256)
    threads = whole(options, "threads", usable_cores(), where, low=1, high=1024)
    usual = fitting or Fitting(penalty=weights.penalty if isinstance(weights, Weights) else 1.0)
    fitting = replace(
        usual,
        text=whole(options, "text", usual.text, where, low=1, high=MOST_REPEATED),
        last=whole(options, "last", usual.last, where, low=1, high=MOST_REPEATED),
        items=whole(options, "items", usual.items, where, low=3, high=MOST_REPEATED),
        penalty=number(options, "penalty", usual.penalty, where, low=1.0, high=2.0),
    )
    server = f"xllamacpp {_server_version(where)}"
    sha256 = weights.sha256 if isinstance(weights, Weights) else file_sha256(weights, models_dir(cache_dir) / "stamps")

    settled = {"context": str(context), "replies": str(fitting), "server": server, "slots": str(slots)}

    def settings(path: Path) -> Settings:
        return Settings(path.resolve(), slots, context, threads)

    client = LocalClient(
        weights,
        settings=settings,
        identity=Identity("local", "", sha256, tuple(sorted(settled.items()))),
        slots=slots,
        cache_dir=cache_dir,
        say=say,
        name=label,
        fitting=fitting,
    )
    if "thinking" in options:
        client.thinking = whole(options, "thinking", 0, where, high=MOST_THINKING)
        client.identity = replace(client.identity, extra=(*client.identity.extra, ("thinking", str(client.thinking))))
    elif isinstance(weights, Path):
        client.thinking = known_thinking_budget(label)  # those of the catalogue do not think
    return client


def _gguf(path: Path, where: str) -> Path:
    try:
        with opened(path) as file:
            start = file.read(4)
    except UserError as error:
        raise UserError(where, f"{path}, {error.found}", "a GGUF file") from None
    if start != b"GGUF":
        raise UserError(where, f"{path}, which is no GGUF file", "a GGUF file")
    return path.resolve()


def _server_version(where: str) -> str:
    if importlib.util.find_spec("xllamacpp") is None:
        raise UserError(where, "no llama.cpp server in this Python (xllamacpp)", mend=f"install it: {INSTALL}")
    return importlib.metadata.version("xllamacpp")
