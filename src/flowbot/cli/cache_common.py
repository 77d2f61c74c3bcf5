"""What the sub-verbs of `flowbot cache` share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .options import PLACES

CacheDir = Annotated[Path | None, Parameter(group=PLACES)]
Kind = Literal["lm", "tool", "code", "metric", "probe", "tries", "copy"]
"""As `flowbot.store.Kind`, which is not loaded for the sake of a command line's help."""


def store_path(cache_dir: Path | None) -> Path:
    """The file of the store."""
    from flowbot.store import default_cache_dir

    return (cache_dir or default_cache_dir()) / "store.sqlite"


@contextmanager
def failing() -> Generator[None]:
    """A disk that fails makes these commands fail; there is no run that could be paused."""
    from flowbot.fields import FlowBotError, InfrastructureError

    try:
        yield
    except InfrastructureError as error:
        raise FlowBotError(str(error)) from None


def responses(number: int) -> str:
    """`1 response`, `2,345 responses`."""
    return f"{number:,} response" + ("" if number == 1 else "s")
