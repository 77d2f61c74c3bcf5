"""Programs: a user's own pipelines, as Python callables that `program` nodes name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError, is_name
from flowbot.fields.numbers import is_number
from flowbot.fields.words import kind_of
from flowbot.program.params import Param, Value
from flowbot.program.reach import tunable

from .faults import RAISED, Faults
from .frameworks import framework_program
from .identity import callable_identity, file_identity
from .mapping import mapping
from .modules import Modules, reference
from .source_code import underlying
from .tools import Effects

SECONDS = 300.0
"""Of its own time that one run of a program may take; what it waits for models is not counted."""
MOST_SECONDS = 86_400.0
_FORMS = "FILE.py:NAME, or a mapping with call, and effects, simulate, timeout, max_calls"
_KEYS = ("call", "effects", "simulate", "timeout", "max_calls")
CALLS, MOST_CALLS = 20, 1000
"""Model calls of one run, at most, where nothing is said; and the most that may be said."""


@dataclass(frozen=True, slots=True)
class UserProgram:
    """A callable that `program` nodes name.

    Args:
        name: how they call it: `app.py:answer`, or `answer` where it was handed over.
        call: the callable, sync or async; takes its inputs as keywords.
        identity: what tells it from others: its source, and what is bound to it.
        effects: `reads`, or `writes` for one that changes the world.
        simulate: stands in for one that writes, while optimising and evaluating.
        timeout: seconds of its own time that one run may take; what it waits for models is not counted.
        tunable: the texts and values that its code reads.
        max_calls: model calls that one run may make; a search plans with so many.
        file: the whole path of the file that it was read from; None for one that was handed over.
    """

    name: str
    call: Callable[..., Any]
    identity: str
    effects: Effects = "reads"
    simulate: Callable[..., Any] | None = None
    timeout: float = SECONDS
    tunable: tuple[Param | Value, ...] = ()
    max_calls: int = CALLS
    file: Path | None = None


def program_of(
    call: Callable[..., Any] | UserProgram,
    *,
    name: str = "",
    effects: Effects = "reads",
    simulate: Callable[..., Any] | None = None,
    timeout: float = SECONDS,
    identity: str = "",
) -> UserProgram:
    """A program from a callable.

    Args:
        call: a function, a method or an object that can be called.
        name: how workflows call it; its own name if empty.
        effects: `reads`, or `writes` for one that changes the world.
        simulate: a callable that stands in for one that writes.
        timeout: seconds of its own time that one run may take.
        identity: what tells it from others; read from it if empty.

    Raises:
        UserError: naming the program, if it is none, or two of its texts have one name.
    """
    if isinstance(call, UserProgram):
        return call
    if (framework := framework_program(call)) is not None:
        own, told = name or type(call).__name__, " ".join(filter(None, (framework.identity, identity)))
        if simulate is not None:
            told += f" simulated by {callable_identity(simulate)}"
        return UserProgram(own, framework, told, effects, simulate, timeout, framework.tunable)
    if not callable(cast("Any", call)):
        raise UserError("programs", kind_of(call), "a callable")
    own = name or str(getattr(underlying(call), "__name__", type(call).__name__))
    if not name and not is_name(own):
        raise UserError(f"program {own}", "a name that workflows cannot use", "a function with a name")
    try:
        found = tunable(call)
    except ValueError as error:
        raise UserError(f"program {own}", str(error), "a name of its own for each Param and Value") from None
    told = identity or callable_identity(call)
    if simulate is not None:
        told += f" simulated by {callable_identity(simulate)}"
    return UserProgram(own, call, told, effects, simulate, timeout, found)


def programs_of(given: Iterable[Callable[..., Any] | UserProgram]) -> tuple[UserProgram, ...]:
    """Programs by hand.

    Raises:
        UserError: as `program_of`, or if two have one name.
    """
    made = tuple(program_of(each) for each in given)
    names = [each.name for each in made]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise UserError("programs", f"{', '.join(twice)} twice", "each name once")
    return made


def load_programs(value: Any, path: Path, modules: Modules, faults: Faults = RAISED) -> list[UserProgram]:
    """The programs of a task file, in its order; none where its Python may not be imported.

    Args:
        value: what stands under `programs:`.
        path: the task file; what the programs name is looked up beside it.
        modules: the user's Python.
        faults: where mistakes go.

    Raises:
        UserError: naming file and place.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise UserError(f"{path}: programs", kind_of(value), "a list such as [app.py:answer]")
    found: list[UserProgram] = []
    for index, each in enumerate(cast("list[Any]", value)):
        with faults:
            if (made := read_program(each, f"{path}: programs[{index}]", path.parent, modules)) is not None:
                found.append(made)
    return found


def read_program(value: Any, where: str, folder: Path, modules: Modules) -> UserProgram | None:
    """One program, as `app.py:answer` or a mapping with `call`; None where Python may not be imported.

    Raises:
        UserError: naming the place.
    """
    if not isinstance(value, str | dict):
        raise UserError(where, kind_of(value) if value else "nothing", _FORMS)
    parts = mapping(cast("Any", {"call": value} if isinstance(value, str) else value), where, _KEYS)
    effects, timeout = parts.get("effects", "reads"), parts.get("timeout", SECONDS)
    if effects not in ("reads", "writes"):
        raise UserError(f"{where}.effects", repr(effects), "reads or writes")
    if not is_number(timeout) or not 0 < timeout <= MOST_SECONDS:
        raise UserError(f"{where}.timeout", repr(timeout), f"seconds, above 0 and at most {MOST_SECONDS:g}")
    calls: object = parts.get("max_calls", CALLS)
    if not isinstance(calls, int) or isinstance(calls, bool) or not 1 <= calls <= MOST_CALLS:
        raise UserError(f"{where}.max_calls", repr(calls), f"a whole number from 1 to {MOST_CALLS}")
    files = {
        key: reference(parts.get(key), f"{where}.{key}", folder)
        for key in ("call", "simulate")
        if key == "call" or key in parts
    }
    if not modules.run:
        return None
    loaded = {key: modules.load(file, name, f"{where}.{key}") for key, (file, name) in files.items()}
    identity = ", ".join(file_identity(name, file) for file, name in files.values())
    try:
        made = program_of(
            loaded["call"],
            name=parts["call"],
            effects=effects,
            simulate=loaded.get("simulate"),
            timeout=float(timeout),
            identity=identity,
        )
    except UserError as error:
        raise error.at(f"{where}: {error.where}") from None
    return replace(made, max_calls=calls, file=files["call"][0].resolve())


def program_at(text: str, programs: Iterable[UserProgram], where: str, beside: Path | None = None) -> UserProgram:
    """The program that a user names by its file, from here or else from `beside`; as it is declared, where it is: it may say that it writes.

    Args:
        text: `FILE.py:NAME`.
        programs: those of the task.
        where: how errors name it.
        beside: the folder of the task file.

    Raises:
        UserError: if there is no such file or function, or it cannot be imported.
    """
    here = Path.cwd()
    folder = here if beside is None or (here / text.rpartition(":")[0]).is_file() else beside
    if (declared := named_program(text, programs, folder)) is not None:
        return declared
    read = read_program(text, where, folder, Modules(run=True))
    assert read is not None  # its Python may be imported
    return read


def named_program(call: str, programs: Iterable[UserProgram], folder: Path | None = None) -> UserProgram | None:
    """The program that a name means: the only one of that function's name whose file is the same. One that was handed over has no file.

    Args:
        call: `FILE.py:NAME`, or `NAME` for any file.
        programs: among which.
        folder: where the file is looked up. Without it the very name goes first, and of files the ends of their paths are compared:
            `pipeline/app.py` may be `app.py` from elsewhere, and is never `other.py`.
    """
    file, _, name = call.rpartition(":")
    like = [each for each in programs if each.name.rpartition(":")[2] == name and _is_in(each, file, folder)]
    if folder is None or len(like) > 1:
        like = [each for each in like if each.name == call] or like
    return like[0] if len(like) == 1 else None


def _is_in(program: UserProgram, file: str, folder: Path | None) -> bool:
    own = program.name.rpartition(":")[0]
    if not (file and own):
        return True
    if folder is not None and program.file is not None:
        return (folder / file).resolve() == program.file
    ends = [[part for part in Path(each).parts if part != ".."][::-1] for each in (file, own)]
    return all(one == other for one, other in zip(*ends, strict=False))
