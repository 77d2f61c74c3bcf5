"""What outlives a process: the store of responses. Nothing is opened at import."""

from .places import open_store, store_file
from .rows import Kind
from .store import Store, default_cache_dir

__all__ = ["Kind", "Store", "default_cache_dir", "open_store", "store_file"]
