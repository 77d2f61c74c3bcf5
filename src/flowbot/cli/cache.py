"""`flowbot cache`: what is stored, and how much of it is kept. `cache_files` has the other half."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from .cache_common import CacheDir, Kind, failing, responses, store_path
from .cache_files import export_store, import_store, verify
from .console import Console
from .options import OUTPUT, Output
from .quantities import age_text, parse_age, parse_size, size_text

if TYPE_CHECKING:
    from flowbot.store.limits import Limits


cache = App(
    name="cache",
    sort_key=100,  # after the other verbs
    help="Show what is stored of models, tools and code, and keep it small and whole.",
    help_format="plaintext",
)


@cache.default
@cache.command(sort_key=0)
def stats(*, cache_dir: CacheDir = None, output: Output = Output()) -> int:  # noqa: B008
    """Show how much is stored, of which kind, and how old it is. This is what `flowbot cache` alone does.

    Parameters
    ----------
    cache_dir
        Folder of the store; the user's cache folder otherwise.
    """
    from flowbot.store.stats import read_stats

    console = Console.open(output)
    path = store_path(cache_dir)
    with failing():
        found = read_stats(path)
    entries, size = sum(found.entries.values()), sum(found.bytes.values())
    console.json(
        {
            "path": str(path),
            "entries": entries,
            "bytes": size,
            "kinds": {kind: {"entries": found.entries[kind], "bytes": found.bytes[kind]} for kind in found.entries},
            "oldest": _date(found.oldest),
            "newest": _date(found.newest),
            "file_bytes": found.file_bytes,
            "free_bytes": found.free_bytes,
            "limits": {"size": found.limits.size, "age": found.limits.age},
        }
    )
    console.result(f"{responses(entries)}, {size_text(found.file_bytes)}" if entries else "nothing is stored")
    console.row("Place", str(path))
    for kind in found.entries:
        console.row(kind, f"{responses(found.entries[kind])}, {size_text(found.bytes[kind])}")
    if entries:
        console.row("Stored", f"from {_date(found.oldest)} to {_date(found.newest)}")
        console.row("File", f"{size_text(found.file_bytes)}, {size_text(found.free_bytes)} of it free for what comes")
    console.row("Limits", _limits_text(found.limits))
    return 0


@cache.command(sort_key=1)
def prune(
    *,
    older_than: str | None = None,
    size: str | None = None,
    kind: Kind | None = None,
    dry_run: Annotated[bool, Parameter(group=OUTPUT, negative=(), show_default=False)] = False,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Drop what has not been used for long; without a condition, what is beyond the limits. It is asked for again, and
    paid for again, when it is needed.

    Parameters
    ----------
    older_than
        Drop what was last used longer ago than this: 12h, 30d, 2w (in whole days, UTC).
    size
        Drop the least recently used until the store takes no more than this (500MB, 2GB); what was used today or
        yesterday stays.
    kind
        Drop only responses of this kind; without another condition, all of them.
    dry_run
        Say what would be dropped; drop nothing.
    cache_dir
        Folder of the store; the user's cache folder otherwise.
    """
    from flowbot.fields import UserError
    from flowbot.store import limits
    from flowbot.store.stats import read_stats

    console = Console.open(output)
    path = store_path(cache_dir)
    age = None if older_than is None else parse_age("--older-than", older_than)
    most = None if size is None else parse_size("--size", size)
    with failing():
        before = read_stats(path)
        if age is None and most is None and kind is None and before.limits == limits.Limits():
            expected = "--older-than, --size or --kind, or limits (flowbot cache limit)"
            raise UserError("flowbot cache prune", "no condition", expected)
        pruned = limits.prune(path, older_than=age, size=most, kind=kind, dry_run=dry_run)
        after = read_stats(path)
    console.json(
        {
            "path": str(path),
            "dry_run": dry_run,
            "entries": pruned.entries,
            "bytes": pruned.bytes,
            "kept": pruned.kept,
            "file_bytes": {"before": before.file_bytes, "after": after.file_bytes},
        }
    )
    said = f"{responses(pruned.entries)}, about {size_text(pruned.bytes)}"
    console.result(f"would drop {said}" if dry_run else f"dropped {said}")
    if not dry_run:
        console.row("File", f"{size_text(before.file_bytes)} before, {size_text(after.file_bytes)} now")
    if pruned.kept:
        console.say("It is still larger: what was used today or yesterday stays (--older-than and --kind drop it).")
    return 0


@cache.command(sort_key=2)
def limit(
    *,
    size: str | None = None,
    age: str | None = None,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Set how large the store may grow and how long unused responses stay; without an option, show the limits. They are
    kept whenever a command that used the store ends; what was used today or yesterday stays in any case.

    Parameters
    ----------
    size
        500MB, 2GB; none lifts the limit.
    age
        12h, 30d, 2w since a response was last used; none lifts the limit.
    cache_dir
        Folder of the store; the user's cache folder otherwise.
    """
    from flowbot.store.limits import Limits, set_limits
    from flowbot.store.prune import Pruned
    from flowbot.store.stats import read_stats

    console = Console.open(output)
    path = store_path(cache_dir)
    pruned = Pruned()
    with failing():
        limits = read_stats(path).limits
        if size is not None:
            limits = Limits(None if size == "none" else parse_size("--size", size), limits.age)
        if age is not None:
            limits = Limits(limits.size, None if age == "none" else parse_age("--age", age))
        if size is not None or age is not None:
            pruned = set_limits(path, limits)
    dropped = {"entries": pruned.entries, "bytes": pruned.bytes, "kept": pruned.kept}
    console.json({"path": str(path), "size": limits.size, "age": limits.age, "pruned": dropped})
    console.result(_limits_text(limits))
    if pruned.entries:
        console.say(f"dropped {responses(pruned.entries)}, about {size_text(pruned.bytes)}", "soft")
    return 0


def _limits_text(limits: Limits) -> str:
    size = "any size" if limits.size is None else f"at most {size_text(limits.size)}"
    age = "kept for ever" if limits.age is None else f"kept for {age_text(limits.age)} after their last use"
    return f"{size}; responses are {age}"


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


cache.command(verify, sort_key=3)
cache.command(export_store, name="export", sort_key=4)
cache.command(import_store, name="import", sort_key=5)
