"""What is stored of models, tools and code: how much, whether it is whole, kept small, and carried elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from flowbot.fields import UserError
from flowbot.fields.arguments import FILE, FOLDER, SWITCH, Check, checked_arguments, choice, one_kind
from flowbot.lm.capabilities import Capabilities
from flowbot.lm.rows import check_value
from flowbot.store import Kind, default_cache_dir, store_file
from flowbot.store.limits import Limits, Pruned, prune, set_limits
from flowbot.store.places import shared_url
from flowbot.store.stats import Stats, read_stats
from flowbot.store.transfer import Exported, Imported, export_responses, import_responses
from flowbot.store.verify import Verified, verify
from flowbot.store.whole import export_shared, import_shared, prune_shared, shared_entries, verify_shared

from .memo import check_result

_KIND = choice(get_args(Kind))
_BYTES: Check = (lambda value: one_kind(int)(value) and cast("int", value) > 0, "a whole number of bytes above 0")
_SECONDS: Check = (lambda value: one_kind(int)(value) and cast("int", value) >= 0, "a whole number of seconds")


@dataclass(frozen=True, slots=True)
class Cache:
    """The store of a cache folder; see `cache`. Nothing is opened between calls.

    Args:
        path: the store's file.
        shared: True: the database behind it, which concerns all who use that.
    """

    path: Path
    shared: bool = False

    def stats(self) -> Stats:
        """How much is stored, of which kind, how old it is, and the limits.

        Raises:
            UserError: if the store cannot be read.
        """
        return read_stats(self.path)

    def behind(self) -> tuple[str, dict[str, dict[str, int]]] | None:
        """The database behind the file: what it is called, and by kind how many `entries` and `bytes`; None where there is none.

        Raises:
            UserError: if it does not let us in.
            InfrastructureError: if it cannot be reached.
        """
        return shared_entries(self.path) if shared_url() else None

    @checked_arguments(older_than=_SECONDS, size=_BYTES, kind=_KIND, dry_run=SWITCH)
    def prune(
        self,
        *,
        older_than: int | None = None,
        size: int | None = None,
        kind: Kind | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """Drop what has not been used for long; without a condition, what is beyond the limits. It is asked for again, and paid
        for again, when it is needed.

        Args:
            older_than: drop what was last used longer ago than this, in seconds (in whole days, UTC).
            size: drop the least recently used until the store takes no more bytes than this; what was used today or yesterday
                stays.
            kind: only responses of this kind; without another condition, all of them.
            dry_run: True: only count what would be dropped.

        Raises:
            UserError: without a condition where there are no limits either.
        """
        if older_than is None and size is None and kind is None and (self.shared or self.stats().limits == Limits()):
            expected = "--older-than, --size or --kind, or limits (flowbot cache limit)"
            raise UserError("flowbot cache prune", "no condition", expected)
        if self.shared:
            if size is not None:
                raise UserError("--size", "beside --shared", "--older-than or --kind")
            return prune_shared(self.path, older_than=older_than, kind=kind, dry_run=dry_run)
        return prune(self.path, older_than=older_than, size=size, kind=kind, dry_run=dry_run)

    @checked_arguments(size=_BYTES, age=_SECONDS)
    def limit(self, *, size: int | None = None, age: int | None = None) -> Pruned:
        """Set how many bytes the store may take and how many seconds unused responses stay; None lifts a limit. They are kept
        whenever something that used the store ends; what was used today or yesterday stays in any case."""
        return set_limits(self.path, Limits(size, age))

    @checked_arguments(repair=SWITCH)
    def verify(self, *, repair: bool = False) -> Verified:
        """Check the file's structure and every response in it.

        Args:
            repair: True: drop damaged responses (they are asked for again when they are needed) and rebuild the indexes.
        """
        return (verify_shared if self.shared else verify)(self.path, check=_check, repair=repair)

    @checked_arguments(file=FILE, kind=_KIND)
    def export(self, file: Path | str, *, kind: Kind | None = None) -> Exported:
        """Write what is stored as JSON lines, for another machine or for keeping.

        Args:
            file: a .jsonl file, or .jsonl.gz to have it packed; one that is there is replaced.
            kind: only responses of this kind.
        """
        return (export_shared if self.shared else export_responses)(self.path, Path(file), kind=kind)

    @checked_arguments(file=FILE)
    def add(self, file: Path | str) -> Imported:
        """Add what `export` wrote. Every line is checked first; what is stored under a key already stays.

        Raises:
            UserError: naming the first line that is none.
        """
        return (import_shared if self.shared else import_responses)(self.path, Path(file), check=_check)


@checked_arguments(cache_dir=FOLDER, shared=SWITCH)
def cache(cache_dir: Path | str | None = None, *, shared: bool = False) -> Cache:
    """What is stored of models, tools and code, to be looked at and kept small and whole.

        >>> fb.cache().stats().file_bytes
        >>> fb.cache().prune(older_than=30 * 86400)

    Args:
        cache_dir: folder of the store; the user's cache folder when None.
        shared: True: the database that FLOWBOT_STORE names, and not the file before it.

    Raises:
        UserError: if FLOWBOT_STORE is no address of a database.
    """
    return Cache(store_file(Path(cache_dir or default_cache_dir())), shared)


def _check(kind: str, value: Mapping[str, Any]) -> None:
    """Whether a stored value can be what is stored of its kind.

    Raises:
        ValueError: saying why not.
    """
    if kind == "probe":
        known: object = value.get("capabilities")
        if not isinstance(known, dict) or Capabilities.load(cast("dict[str, Any]", known)) is None:
            raise ValueError("it is not what an endpoint can do")
    elif kind in ("tool", "code", "metric"):
        check_result(kind, value)
    else:
        check_value(kind, value)
