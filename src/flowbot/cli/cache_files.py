"""`flowbot cache verify`, `export` and `import`: whether what is stored is whole, and carrying it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from .cache_common import CacheDir, Kind, failing, responses, store_path
from .console import Console
from .options import FORCE, Output, require_new
from .text import command_line, complain

_SHOWN = 20


def verify(
    *,
    repair: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Check the file's structure and every response in it; exit status 1 if something is damaged and stays so.

    Parameters
    ----------
    repair
        Drop damaged responses (they are asked for again when they are needed) and rebuild the file's indexes.
    cache_dir
        Folder of the store; the user's cache folder otherwise.
    """
    from flowbot.store.verify import verify as check

    console = Console.open(output)
    path = store_path(cache_dir)
    with failing():
        found = check(path, check=_check_value, repair=repair)
    console.json(
        {
            "path": str(path),
            "ok": found.sound,
            "entries": found.entries,
            "structure": list(found.structure),
            "damaged": [{"key": each.key, "kind": each.kind, "why": each.why} for each in found.damaged],
            "dropped": found.dropped,
        }
    )
    for each in found.damaged[:_SHOWN]:
        console.row("Damaged", f"{each.kind} {each.key or '(no key)'}: {each.why}")
    if len(found.damaged) > _SHOWN:
        console.row("", f"and {len(found.damaged) - _SHOWN:,} more (--json lists them all)")
    for line in found.structure[:_SHOWN]:
        console.row("Structure", line)
    if found.sound:
        mended = f"; {len(found.damaged):,} damaged ones were dropped" if found.damaged else ""
        console.result(f"{responses(found.entries - found.dropped)}, all whole{mended}", "good")
        return 0
    left = len(found.damaged) - found.dropped
    if not repair:
        todo = f"{command_line('flowbot', 'cache', 'verify', '--repair')} drops what is damaged"
    else:
        todo = "export what can be read (flowbot cache export), move the file away, and import it into a new one"
    wrong = " and ".join(
        each for each in (f"{responses(left)} damaged" if left else "", _structure(found.structure)) if each
    )
    complain(f"store {path}: {wrong}; {todo}")
    return 1


def export_store(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    kind: Kind | None = None,
    force: Annotated[bool, FORCE] = False,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
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
    cache_dir
        Folder of the store; the user's cache folder otherwise.
    """
    from flowbot.store.transfer import export_responses

    console = Console.open(output)
    path = store_path(cache_dir)
    require_new(file, force=force)
    with failing():
        done = export_responses(path, file, kind=kind)
    console.json({"path": str(path), "file": str(file), "entries": done.entries, "damaged": list(done.damaged)})
    console.result(f"{responses(done.entries)} in {file}", "good")
    if done.damaged:
        complain(f"store {path}: {responses(len(done.damaged))} left out because damaged; see flowbot cache verify")
        return 1
    return 0


def import_store(
    file: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Add what `flowbot cache export` wrote. Every line is checked first; what is stored under a key already stays.

    Parameters
    ----------
    file
        A .jsonl or .jsonl.gz file.
    cache_dir
        Folder of the store; the user's cache folder otherwise.
    """
    from flowbot.store.transfer import import_responses

    console = Console.open(output)
    path = store_path(cache_dir)
    with failing():
        done = import_responses(path, file, check=_check_value)
    console.json({"path": str(path), "file": str(file), "entries": done.entries, "new": done.new})
    console.result(f"{responses(done.entries)}, {done.new:,} of them new", "good")
    return 0


def _check_value(kind: str, value: Mapping[str, Any]) -> None:
    """Whether a stored value can be what is stored of its kind.

    Raises:
        ValueError: saying why not.
    """
    if kind == "probe":
        from flowbot.lm.capabilities import Capabilities

        known: object = value.get("capabilities")
        if not isinstance(known, dict) or Capabilities.load(cast("dict[str, Any]", known)) is None:
            raise ValueError("it is not what an endpoint can do")
    elif kind in ("tool", "code", "metric"):
        from flowbot.runtime.memo import check_result

        check_result(kind, value)
    else:
        from flowbot.lm.rows import check_value

        check_value(kind, value)


def _structure(said: tuple[str, ...]) -> str:
    return f"the file's structure is damaged ({said[0][:80]})" if said else ""
