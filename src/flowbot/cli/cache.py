"""`flowbot cache`: what is stored, how much of it is kept, whether it is whole, and carrying it elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from flowbot.fields import FlowBotError, InfrastructureError
from flowbot.fields.words import count

from .console import Console
from .options import FORCE, OUTPUT, CacheDir, Output, require_new
from .quantities import age_text, parse_age, parse_size, size_text
from .text import command_line, complain

if TYPE_CHECKING:
    from flowbot.runtime.cache import Cache
    from flowbot.store.limits import Limits

Kind = Literal["lm", "tool", "code", "metric", "probe", "tries", "copy", "batch"]
"""As `flowbot.store.Kind`, which is not loaded for the sake of a command line's help."""
_SHOWN = 20
_FILE = Parameter(name="FILE")

cache = App(
    name="cache",
    sort_key=100,  # after the other verbs
    help="Show what is stored of models, tools and code, and keep it small and whole.",
    help_format="plaintext",
)


Shared = Annotated[bool, Parameter(name="--shared", negative=(), show_default=False)]
"""The database that FLOWBOT_STORE names, and not the file before it."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Place:
    """Where the store is, and how a verb speaks."""

    cache_dir: CacheDir = None
    output: Output = Output()  # noqa: RUF009


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Tier(Place):
    """Where the store is, which of its tiers is meant, and how a verb speaks.

    Args:
        shared: The database that FLOWBOT_STORE names, and not the file before it.
    """

    shared: Shared = False


@cache.default
@cache.command(sort_key=0)
def stats(*, place: Place = Place()) -> int:
    """Show how much is stored, of which kind, and how old it is. This is what `flowbot cache` alone does."""
    with _store(place) as (console, store):
        found, behind = store.stats(), store.behind()
    path = store.path
    entries = sum(found.entries.values())
    console.json(
        {
            "path": str(path),
            "entries": entries,
            "bytes": sum(found.bytes.values()),
            "kinds": {kind: {"entries": found.entries[kind], "bytes": found.bytes[kind]} for kind in found.entries},
            "oldest": _date(found.oldest),
            "newest": _date(found.newest),
            "file_bytes": found.file_bytes,
            "free_bytes": found.free_bytes,
            "limits": asdict(found.limits),
            "shared": None if behind is None else {"place": behind[0], "kinds": behind[1]},
        }
    )
    console.result(f"{_responses(entries)}, {size_text(found.file_bytes)}" if entries else "nothing is stored")
    console.row("Place", str(path))
    for kind in found.entries:
        console.row(kind, f"{_responses(found.entries[kind])}, {size_text(found.bytes[kind])}")
    if entries:
        console.row("Stored", f"from {_date(found.oldest)} to {_date(found.newest)}")
        console.row("File", f"{size_text(found.file_bytes)}, {size_text(found.free_bytes)} of it free for what comes")
    console.row("Limits", _limits_text(found.limits))
    if behind is not None:
        stored = {part: sum(each[part] for each in behind[1].values()) for part in ("entries", "bytes")}
        console.row("Shared", f"{behind[0]}: {_responses(stored['entries'])}, {size_text(stored['bytes'])}")
    return 0


@cache.command(sort_key=1)
def prune(
    *,
    older_than: str | None = None,
    size: str | None = None,
    kind: Kind | None = None,
    dry_run: Annotated[bool, Parameter(group=OUTPUT, negative=(), show_default=False)] = False,
    place: Tier = Tier(),
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
    """
    with _store(place) as (console, store):
        age = None if older_than is None else parse_age("--older-than", older_than)
        most = None if size is None else parse_size("--size", size)
        before = store.stats()
        pruned = store.prune(older_than=age, size=most, kind=kind, dry_run=dry_run)
        after = store.stats()
    path = _name(store)
    taken = {"before": before.file_bytes, "after": after.file_bytes}
    console.json({"path": str(path), "dry_run": dry_run, **asdict(pruned), "file_bytes": taken})
    what = f"{_responses(pruned.entries)}, about {size_text(pruned.bytes)}"
    console.result(f"would drop {what}" if dry_run else f"dropped {what}")
    if not dry_run and not store.shared:
        console.row("File", f"{size_text(before.file_bytes)} before, {size_text(after.file_bytes)} now")
    if pruned.kept:
        console.say("It is still larger: what was used today or yesterday stays (--older-than and --kind drop it).")
    return 0


@cache.command(sort_key=2)
def limit(*, size: str | None = None, age: str | None = None, place: Place = Place()) -> int:
    """Set how large the store may grow and how long unused responses stay; without an option, show the limits. They are
    kept whenever a command that used the store ends; what was used today or yesterday stays in any case.

    Parameters
    ----------
    size
        500MB, 2GB; none lifts the limit.
    age
        12h, 30d, 2w since a response was last used; none lifts the limit.
    """
    from flowbot.store.limits import Limits, Pruned

    with _store(place) as (console, store):
        limits = store.stats().limits
        if size is not None:
            limits = Limits(None if size == "none" else parse_size("--size", size), limits.age)
        if age is not None:
            limits = Limits(limits.size, None if age == "none" else parse_age("--age", age))
        pruned = Pruned() if size is None and age is None else store.limit(size=limits.size, age=limits.age)
    path = store.path
    console.json({"path": str(path), **asdict(limits), "pruned": asdict(pruned)})
    console.result(_limits_text(limits))
    if pruned.entries:
        console.say(f"dropped {_responses(pruned.entries)}, about {size_text(pruned.bytes)}", "soft")
    return 0


@cache.command(sort_key=3)
def verify(*, repair: Annotated[bool, Parameter(negative=(), show_default=False)] = False, place: Tier = Tier()) -> int:
    """Check the file's structure and every response in it; exit status 1 if something is damaged and stays so.

    Parameters
    ----------
    repair
        Drop damaged responses (they are asked for again when they are needed) and rebuild the file's indexes.
    """
    with _store(place) as (console, store):
        found = store.verify(repair=repair)
    path = _name(store)
    console.json({"path": str(path), "ok": found.sound, **asdict(found)})
    for each in found.damaged[:_SHOWN]:
        console.row("Damaged", f"{each.kind} {each.key or '(no key)'}: {each.why}")
    if len(found.damaged) > _SHOWN:
        console.row("", f"and {len(found.damaged) - _SHOWN:,} more (--json lists them all)")
    for line in found.structure[:_SHOWN]:
        console.row("Structure", line)
    left = len(found.damaged) - found.dropped
    if found.sound:
        mended = f"; {count(found.dropped, 'damaged one was', 'damaged ones were')} dropped" if found.dropped else ""
        console.result(f"{_responses(found.entries - found.dropped)}, all whole{mended}", "good")
        return 0
    if not repair:
        todo = f"{command_line('flowbot', 'cache', 'verify', '--repair')} drops what is damaged"
    else:
        todo = "export what can be read (flowbot cache export), move the file away, and import it into a new one"
    wrong = [f"{_responses(left)} damaged"] if left else []
    wrong += [f"the file's structure is damaged ({line[:80]})" for line in found.structure[:1]]
    complain(f"store {path}: {' and '.join(wrong)}; {todo}")
    return 1


@cache.command(name="export", sort_key=4)
def export_store(
    file: Annotated[Path, _FILE],
    /,
    *,
    kind: Kind | None = None,
    force: Annotated[bool, FORCE] = False,
    place: Tier = Tier(),
) -> int:
    """Write what is stored as JSON lines, for another machine or for keeping.

    Parameters
    ----------
    file
        A .jsonl file, or .jsonl.gz to have it packed.
    kind
        Only responses of this kind.
    force
        Replace the file if it is there.
    """
    with _store(place) as (console, store):
        require_new(file, force=force)
        done = store.export(file, kind=kind)
    path = _name(store)
    console.json({"path": str(path), "file": str(file), **asdict(done)})
    console.result(f"{_responses(done.entries)} in {file}", "good")
    if done.damaged:
        complain(f"store {path}: {_responses(len(done.damaged))} left out because damaged; see flowbot cache verify")
    return 1 if done.damaged else 0


@cache.command(name="import", sort_key=5)
def import_store(file: Annotated[Path, _FILE], /, *, place: Tier = Tier()) -> int:
    """Add what `flowbot cache export` wrote. Every line is checked first; what is stored under a key already stays.

    Parameters
    ----------
    file
        A .jsonl or .jsonl.gz file.
    """
    with _store(place) as (console, store):
        done = store.add(file)
    path = _name(store)
    console.json({"path": str(path), "file": str(file), **asdict(done)})
    console.result(f"{_responses(done.entries)}, {done.new:,} of them new", "good")
    return 0


@contextmanager
def _store(place: Place) -> Generator[tuple[Console, Cache]]:
    """The console and the store. A disk that fails makes these verbs fail; there is no run that could be paused."""
    from flowbot.runtime import cache as stored

    console = Console.open(place.output)
    try:
        yield console, stored.cache(place.cache_dir, shared=isinstance(place, Tier) and place.shared)
    except InfrastructureError as error:
        raise FlowBotError(str(error)) from None


def _name(store: Cache) -> str:
    """What is said of where a store is."""
    if not store.shared:
        return str(store.path)
    from flowbot.store.places import shared_url
    from flowbot.store.postgres import shown

    return shown(shared_url())


def _responses(number: int) -> str:
    return count(number, "response")


def _limits_text(limits: Limits) -> str:
    size = "any size" if limits.size is None else f"at most {size_text(limits.size)}"
    age = "kept for ever" if limits.age is None else f"kept for {age_text(limits.age)} after their last use"
    return f"{size}; responses are {age}"


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
