"""What outlives a process: the store of responses and the journal of a run. Nothing is opened at import."""

from .journal import Journal, read_journal
from .lock import run_lock
from .rows import Kind
from .store import Store, default_cache_dir

__all__ = ["Journal", "Kind", "Store", "default_cache_dir", "read_journal", "run_lock"]
