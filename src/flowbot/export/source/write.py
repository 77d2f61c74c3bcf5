"""`fb.write_source`: what was found for a program's texts and values becomes the literals of its own source."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from stat import S_IMODE, S_IWUSR
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.arguments import FOLDER, checked_arguments
from flowbot.fields.files import read_bytes, replaced
from flowbot.fields.words import count, listed
from flowbot.run.folders import RUN, RunLike, flow_file, run_folder
from flowbot.run.journal import NAME as JOURNAL
from flowbot.run.result import RunResult
from flowbot.run.view import read_run
from flowbot.task.imports import MOST_SOURCE, own_imports
from flowbot.task.quality import Remark
from flowbot.workflow.nodes import ProgramNode, walk
from flowbot.workflow.parameters import ProgramParameters
from flowbot.workflow.workflow import Workflow

from .literals import Literal

_IN_FILE = "fb.use(...) of the flow file applies it"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a program's source.

    Args:
        files: those that were changed.
        names: texts and values that it holds now as they were found.
        left: what was found and is not in it, one remark each.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    left: tuple[Remark, ...]

    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "files": [str(file) for file in self.files],
            "names": list(self.names),
            "left": [each.dump() for each in self.left],
        }

    def __str__(self) -> str:
        lines = f"Not written: {count(len(self.left), 'place')}." if self.left else ""
        if not self.files:
            return lines or "Nothing to write: the source says what was found."
        told = f"{listed(self.names, 8)} in {listed([str(each) for each in self.files], 5)}"
        return f"Written: {told}. {lines}".rstrip()


@checked_arguments(
    found=(RUN[0], "a run's result, its folder or name, or the path of a workflow's file"), folder=FOLDER
)
def write_source(found: RunLike, *, folder: Path | str = ".", force: bool = False) -> Written:
    """Write what was found for a program into its source: the literals of its `fb.Param` and `fb.Value`, in place.

        >>> result = fb.optimize("task.yaml", start=answer, lm="openai/gpt-4.1-mini")
        >>> print(fb.write_source(result))
        Written: plan, top_k in app.py.

    A literal that is another than when the run began is left, and what is no literal; comments, quotes and layout stay. Nothing is run.

    Args:
        found: a run; or a workflow's file, which does not tell what its source said when it was found.
        folder: in which the program's file stands.
        force: replace literals whatever they say; a workflow's file without its run needs it.

    Raises:
        UserError: if it holds no program, its file is not there, no Python or not to be written, or the package that rewrites it is missing.
    """
    where = str(found.run_dir if isinstance(found, RunResult) else found)
    new, old = _found(found)
    programs = _programs(new, where)
    if old is None and not force:
        what = "a flow file, which does not tell what the source said when it was found"
        raise UserError(where, what, "the run that found it; or --force (force=True), which replaces what stands there")
    _require_package()
    from .rewriting import Change, rewritten

    written, left, files = list[str](), list[Remark](), list[Path]()
    for path, node in programs:
        told, before = _told(new, path), None if old is None or force else _told(old, path)
        changes = {
            name: Change(value, None if before is None else before.get(name))
            for name, value in told.items()
            if before is None or before.get(name) != value
        }
        place = _file(node.call, Path(folder))
        sources = {each: read_bytes(each, limit=MOST_SOURCE) for each in (place, *own_imports(place))}
        made = {each: rewritten(source, changes, each.name) for each, source in sources.items() if b"flowbot" in source}
        known = [name for each in made.values() for name in each.declared]
        several = {name for name in changes if known.count(name) > 1}
        for each in made:
            if several & set(made[each].declared):
                made[each] = rewritten(sources[each], {k: v for k, v in changes.items() if k not in several}, each.name)
        changed = [each for each in made if made[each].source != sources[each]]
        for each in changed:  # before one is written
            _require_writable(each)
        for each in changed:
            _write(each, made[each].source, sources[each])
        files += changed
        for result in made.values():
            written += result.written
            left += result.left
        left += [
            _nowhere(name, place, several=name in several) for name in changes if name in several or name not in known
        ]
        left += _besides(new, path)
    others = [name for name, node in walk(new.sketch) if not isinstance(node, ProgramNode)]
    if others:
        left.append(
            Remark("flow", f"the steps around the program ({listed(others, 8)}) are no part of its source", _IN_FILE)
        )
    return Written(tuple(files), tuple(dict.fromkeys(written)), tuple(left))


def require_source(workflow: Workflow, *, folder: Path, where: str) -> None:
    """Refuse, before a search, what could not be written after it.

    Args:
        workflow: what it starts with.
        folder: in which the program's file stands.
        where: how errors name it.

    Raises:
        UserError: as `write_source`.
    """
    programs = _programs(workflow, where)
    _require_package()
    for _, node in programs:
        _require_writable(_file(node.call, folder))


def _programs(workflow: Workflow, where: str) -> list[tuple[str, ProgramNode]]:
    programs = [(path, node) for path, node in walk(workflow.sketch) if isinstance(node, ProgramNode)]
    if not programs:
        raise UserError(where, "no program: its steps have no source", "a flow that a program was tuned in")
    return programs


def _require_package() -> None:
    if find_spec("libcst") is None:
        raise UserError("write-source", "no package libcst", mend="pip install -e '.[source]'")


def _found(found: RunLike) -> tuple[Workflow, Workflow | None]:
    """What was found, and what the search began with where that is known."""
    if isinstance(found, RunResult) and found.found is not None:
        return found.found, found.start
    file = flow_file(found)
    beside = file.parent if (file.parent / JOURNAL).is_file() else None
    folder = beside if beside is not None else None if file == Path(str(found)) else run_folder(found)
    return Workflow.load(file), None if folder is None else read_run(folder).start


def _told(workflow: Workflow, path: str) -> Mapping[str, Literal]:
    """The texts, with their worked examples, and the values of a program, by name, turns as `NAME.turns`; none where it has none."""
    if path not in {each for each, _ in walk(workflow.sketch)}:
        return {}
    parameters = workflow.parameter(path)
    if not isinstance(parameters, ProgramParameters):
        return {}
    texts = {name: parameters.text(name) or "" for name in parameters.texts}
    turns = {f"{name}.turns": pairs for name in texts if (pairs := parameters.turns(name)) is not None}
    return {**texts, **turns, **parameters.values}


def _file(call: str, folder: Path) -> Path:
    name, mark, _ = call.rpartition(":")
    if not mark:
        raise UserError(
            f"program {call}", "a program that was handed over: its flow names no file", "one named as app.py:answer"
        )
    file = folder / name
    if not file.is_file():
        raise UserError(str(file), "no such file", "the folder in which the program stands (--out, or folder=)")
    return file.resolve()


def _nowhere(name: str, file: Path, *, several: bool) -> Remark:
    what = "is declared in several files" if several else "has no fb.Param or fb.Value with its name written out there"
    return Remark(file.name, f"{name} was not written: it {what}", "write it there by hand")


def _besides(workflow: Workflow, path: str) -> Iterator[Remark]:
    parameters = workflow.parameter(path)
    for name in parameters.slots if isinstance(parameters, ProgramParameters) else ():
        yield Remark(path, f"what fills the place {name} is a workflow, and no part of a source", _IN_FILE)


def _require_writable(file: Path) -> None:
    if not file.stat().st_mode & S_IWUSR:  # to replace it the folder's rights would do
        raise UserError(str(file), "a file that its owner may not write", f"chmod u+w {file.name}, and the same again")


def _write(file: Path, source: bytes, before: bytes) -> None:
    try:
        rights = S_IMODE(file.stat().st_mode)
        with replaced(file) as out:
            out.write(source)
            out.flush()
            os.chmod(out.name, rights)
            if read_bytes(file, limit=MOST_SOURCE) != before:
                raise UserError(str(file), "a file that was changed in this moment", "the same again")
    except OSError as error:
        raise UserError(
            str(file), f"a file that cannot be written ({error.strerror})", "a folder of your own"
        ) from None
