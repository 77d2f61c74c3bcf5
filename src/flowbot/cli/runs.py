"""`flowbot runs`: every run below a folder, and removing runs with what only they have stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowbot.fields import UserError
from flowbot.fields.words import count, money, percent, some

from .console import Console, Style
from .options import FORCE, CacheDir, Output
from .quantities import size_text
from .text import command_line

if TYPE_CHECKING:
    from flowbot.run.listing import RunSummary
    from flowbot.run.removal import Removed

Order = Literal["age", "name", "task", "status", "score", "cost"]
STYLES: dict[str, Style] = {"running": "accent", "paused": "warn", "failed": "bad", "dead": "bad", "damaged": "bad"}
_WIDEST_START = 18


def runs(
    folder: Annotated[Path, Parameter(name="FOLDER", negative=())] = Path("runs"),
    /,
    *,
    sort: Annotated[Order, Parameter(name="--sort")] = "age",
    remove: Annotated[
        list[Path] | None, Parameter(name="--remove", consume_multiple=True, negative=(), show_default=False)
    ] = None,
    force: Annotated[bool, FORCE] = False,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """List the runs below a folder: what each was for, how it stands, how good it is and what it took. Asks no model.

    Parameters
    ----------
    folder
        Where the runs are.
    sort
        What comes first: the newest, the first by name, task or status, the best, or the dearest.
    remove
        Runs to remove, by folder or by name in FOLDER: their files, and those of their stored responses that no other run uses. One that is at
        work is never removed, nor anything that is no run's.
    force
        Remove without asking.
    """
    console = Console.open(output)
    if remove:
        return _remove([_named(each, folder) for each in remove], console, force=force, cache_dir=cache_dir)
    from flowbot.run.listing import runs as listed

    found = sorted(listed(folder), key=_ORDERS[sort])
    console.json([each.dump() for each in found])
    if console.mode == "quiet":
        for each in found:
            console.result(str(each.run_dir))
    elif not found:
        console.say(f"No run in {folder}. Begin with: flowbot demo")
    else:
        heads = ("Run", "Task", "Method", "Seed", "Start", "Score", "Cost", "Age", "Status")
        console.table(
            heads, map(_row, found), left=(0, 1, 2, 4, 8), styles=[STYLES.get(each.status, "") for each in found]
        )
        for each in found:
            if each.reason:
                console.say()
                console.paragraph(f"{each.name}: {each.reason}", "soft")
    return 0


def _row(run: RunSummary) -> tuple[str, ...]:
    begun, heard = run.started, run.heard
    start = run.start if len(run.start) <= _WIDEST_START else f"…{run.start[1 - _WIDEST_START :]}"
    status = run.status
    if status == "running" and heard is not None:
        status = f"{status}: {heard.phase} {percent(heard.share)}"
    return (
        run.name,
        "" if begun is None else begun.task,
        "" if begun is None else begun.method_text,
        "" if begun is None else str(begun.seed),
        start or ("" if heard is None else "single call"),
        _score(run),
        f"{count(run.calls, 'call')}{'' if run.spent.usd == 0 else f', {money(run.spent.usd)}'}",
        _age(run.age),
        status,
    )


def _age(seconds: float) -> str:
    """As exact as a list needs it: `4 min`, `3 h`, `12 d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "now"


def _score(run: RunSummary) -> str:
    first, last = (None if each is None else percent(each.mean) for each in (run.start_score, run.final_score))
    of = "" if run.split == "test" else " (val)"
    if first and last:
        return f"{first.removesuffix(' %')} → {last}{of}"
    return f"best {percent(run.best)} (val)" if run.best is not None else first or last or "–"


_ORDERS: dict[Order, Callable[[RunSummary], Any]] = {
    "age": lambda run: -run.changed,
    "name": lambda run: (run.name, str(run.run_dir)),
    "task": lambda run: ("" if run.started is None else run.started.task, -run.changed),
    "status": lambda run: (run.status, -run.changed),
    "score": lambda run: (-(run.final_score.mean if run.final_score else run.best or -1.0), -run.changed),
    "cost": lambda run: (-(run.spent.usd or 0.0), -run.calls, -run.changed),
}


def _named(run: Path, folder: Path) -> Path:
    """A run that is to go: in a folder that is named beside it, or else wherever a run's name leads."""
    from flowbot.run.folders import FOLDER, run_folder

    if folder == FOLDER:
        return run_folder(run) if run.is_dir() or (FOLDER / run).is_dir() else run  # or one that is gone already
    if not (folder / run).is_dir() and not run.is_absolute():  # and not the one of that name in runs/
        raise UserError(str(run), f"no such run in {folder}", "the name of a run in that folder")
    return folder / run


def _remove(runs: list[Path], console: Console, *, force: bool, cache_dir: Path | None) -> int:
    """Say what would go, ask, and remove it."""
    from flowbot.run.removal import remove_run

    going = [
        remove_run(each, cache_dir=cache_dir, dry_run=True) for each in {each.resolve(): each for each in runs}.values()
    ]
    if not force:
        if not console.asks:
            raise UserError("--remove", "nobody who can be asked", f"--force, which removes {count(len(runs), 'run')}")
        for each in going:
            console.paragraph(f"{each.run_dir}: {_said(each)}")
        if console.ask("Remove? [y/N] ").casefold() not in ("y", "yes"):
            console.say("Nothing was removed.")
            return 0
    gone = [remove_run(each.run_dir, cache_dir=cache_dir) for each in going]
    console.json({"removed": [each.dump() for each in gone]})
    for each in gone:
        console.result(f"removed {each.run_dir}: {_said(each)}", "good")
    return 0


def _said(removed: Removed) -> str:
    told = removed.responses
    if removed.missing:
        more = command_line("flowbot", "runs", "--remove", removed.missing[0])
        text = f"the folder alone; {some(removed.missing)} used the store and may need the responses, but stands there no more ({more} says that it is gone for good)"
    elif told is None:
        more = command_line("flowbot", "cache", "prune")
        text = f"the folder alone; which stored responses are its own is not known here ({more} drops old ones)"
    else:
        text = f"the folder, and {count(told.entries, 'stored response')} ({size_text(told.bytes)})"
        if removed.shared:
            text += f"; {count(removed.shared, 'response')} that other runs use too {'stays' if removed.shared == 1 else 'stay'}"
    return f"{text}; what is not the run's stays there: {', '.join(removed.left)}" if removed.left else text
