"""Where the store is: a file of the cache folder, and the database before which it stands, if the environment names one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .postgres import VARIABLE, shown
from .store import Store


def open_store(folder: Path) -> Store:
    """The store of a cache folder: a file, or a file before a database.

    Raises:
        UserError: if one of them cannot serve.
        InfrastructureError: if the database cannot be reached, or another process keeps the file locked.
    """
    if not (url := shared_url()):
        return Store.open(store_file(folder))
    from .tiers import TieredStore

    return TieredStore.open_tiers(store_file(folder), url)


def store_file(folder: Path) -> Path:
    """The file of the store in a cache folder. Each database has one of its own: what was stored for one is no business of another's.

    Raises:
        UserError: if FLOWBOT_STORE is no address of a database.
    """
    if not (url := shared_url()):
        return folder / "store.sqlite"
    return folder / f"store-{hashlib.sha256(shown(url).encode()).hexdigest()[:8]}.sqlite"


def shared_url() -> str:
    """What FLOWBOT_STORE says; "" for no second tier."""
    return os.environ.get(VARIABLE, "").strip()
