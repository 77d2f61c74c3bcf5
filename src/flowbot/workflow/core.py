"""Programs in words, one step a line: `name:::type:::instruction:::key::target::key::target` (CoRE, Xu et al., arXiv 2405.06907).

A text is read into data or defects; nothing of it is executed. What published programs spell in several ways is taken: branches
that stand apart by `:::` in place of `::`, capitals, a last separator that is missing.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from flowbot.fields.foreign import MOST_FINDINGS
from flowbot.fields.words import count

from .defects import Defect, choices
from .parameters import MOST_LETTERS

StepKind = Literal["process", "decision", "terminal"]
MOST_STEPS = 60
MOST_NAME = 80
"""Letters of a step's name."""
WHOLE = "program"
"""The place of a defect of the whole program."""
FORM = "NAME:::TYPE:::INSTRUCTION:::KEY::TARGET"
_FIELD, _PAIR = ":::", "::"
_EDGE = ":" + "".join(filter(str.isspace, map(chr, range(0x3001))))


@dataclass(frozen=True, slots=True)
class CoreStep:
    """One step of a program.

    Args:
        name: as the program has it.
        kind: `process` goes on to one step, `decision` to one of several, `terminal` to none.
        instruction: what is to be done.
        branches: key and target of each way on, in order; the target as its own step is called.
        line: in the text, from 1 on.
    """

    name: str
    kind: StepKind
    instruction: str
    branches: tuple[tuple[str, str], ...]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class CoreProgram:
    """A program as data. It begins with its first step.

    Args:
        steps: in the order of the text.
        notes: what was read although it is spelled in another way, a sentence each.
    """

    steps: tuple[CoreStep, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def first(self) -> CoreStep:
        """Where it begins."""
        return self.steps[0]

    def by_name(self) -> dict[str, CoreStep]:
        """The steps by name."""
        return {step.name: step for step in self.steps}

    def targets(self) -> dict[str, tuple[str, ...]]:
        """By step the steps that it may go on to, each once."""
        return {step.name: tuple(dict.fromkeys(target for _, target in step.branches)) for step in self.steps}


def dump_core(program: CoreProgram) -> str:
    """A program as text, each step in the form that `read_core` reads back as the same."""
    return "".join(
        f"{_FIELD.join((step.name, step.kind, step.instruction, _PAIR.join(part for way in step.branches for part in way)))}\n"
        for step in program.steps
    )


def read_core(text: str) -> tuple[CoreProgram, list[Defect]]:
    """A program from its text, and what is wrong with it, at most `MOST_FINDINGS`: nothing, if it may be run. A defect's place is `line 3`, or the
    program.

    Which steps are not reached, and which reach no end, is told once every line says what it means.
    """
    if len(text) > MOST_LETTERS:
        return CoreProgram(()), [Defect(WHOLE, f"{len(text):,} letters", f"use {MOST_LETTERS:,} at most")]
    reader = _Reader()
    read = [step for number, line in enumerate(text.splitlines(), start=1) if (step := reader.step(number, line))]
    names = {folded(step.name): step.name for step in reversed(read)}  # of two the first
    program = CoreProgram(tuple(reader.resolved(step, names) for step in read), tuple(reader.notes))
    defects = [*reader.defects, *_of_whole(program, unread=bool(reader.defects))]
    return program, sorted(defects or _of_ways(program), key=_place)[:MOST_FINDINGS]


def folded(name: str) -> str:
    """A name or key as it is compared: without capitals, and with single blanks."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def reached(ways: Mapping[str, Iterable[str]], start: Iterable[str]) -> set[str]:
    """What can be come to from `start`, itself included."""
    found, waiting = set(start), list(start)
    while waiting:
        new = set(ways.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def shortest_way(program: CoreProgram) -> int:
    """Steps of the shortest way from the first to a terminal; of a program without a defect."""
    kinds, ways = {step.name: step.kind for step in program.steps}, program.targets()
    here, seen, length = {program.first.name}, set[str](), 1
    while not any(kinds[each] == "terminal" for each in here):
        seen |= here
        here = {target for each in here for target in ways[each]} - seen
        length += 1
    return length


def _place(defect: Defect) -> int:
    return int(defect.where.rpartition(" ")[2]) if defect.where != WHOLE else 0


class _Reader:
    """Reads lines, and notes what is wrong with each."""

    def __init__(self) -> None:
        self.defects: list[Defect] = []
        self.notes: list[str] = []

    def wrong(self, line: int, what: str, mend: str) -> None:
        self.defects.append(Defect(f"line {line}", what, mend))

    def step(self, number: int, line: str) -> CoreStep | None:
        """The step of one line, its targets as they are spelled; None for a blank line and for one that is no step."""
        if not line.strip():
            return None
        parts = [part.strip(_EDGE) for part in line.split(_FIELD)]
        if len(parts) < 3:
            self.wrong(number, f"{line.strip()!r:.80} is no step", f"write {FORM}")
            return None
        name, kind, instruction, *rest = parts
        known = kind.casefold()
        if known not in get_args(StepKind):
            self.wrong(number, f"{kind!r:.40} is no type of a step", "write process, decision or terminal")
            return None
        if not 1 <= len(name) <= MOST_NAME:
            self.wrong(number, f"a name of {len(name)} letters", f"give the step a name of 1 to {MOST_NAME}")
        if not instruction:
            self.wrong(number, "the step has no instruction", "say what is to be done")
        said = [part for part in rest if part]
        if len(said) > 1:
            self.notes.append(f"line {number}: its branches stand apart by `:::` and are read as one list.")
        tokens = [token for part in said for token in (each.strip(_EDGE) for each in part.split(_PAIR)) if token]
        if len(tokens) % 2:
            self.wrong(number, f"{'::'.join(tokens)!r:.80} is no list of branches", "write KEY::TARGET for each")
        ways = tuple(zip(tokens[::2], tokens[1::2], strict=False))
        return CoreStep(name, cast("StepKind", known), instruction, ways, number)

    def resolved(self, step: CoreStep, names: Mapping[str, str]) -> CoreStep:
        """The step with its targets as they are called; what is wrong with its branches is noted."""
        for _, target in step.branches:
            if folded(target) not in names:
                self.wrong(step.line, f"there is no step {target!r:.80}", f"go on to {choices(target, names.values())}")
        twice = [key for key, number in Counter(folded(key) for key, _ in step.branches).items() if number > 1]
        for key in twice:
            self.wrong(step.line, f"the key {key!r:.80} stands there more than once", "give each branch its own")
        many = len(step.branches)
        if step.kind == "decision" and many < 2:
            self.wrong(
                step.line,
                f"a decision with {count(many, 'branch', 'branches')}",
                "give it two or more, or make it a process",
            )
        if step.kind == "process" and many > 1:
            self.wrong(step.line, f"a process with {many} branches", "leave one, or make it a decision")
        if step.kind == "process" and not many:
            self.wrong(step.line, "a process that goes on to nothing", "write next::TARGET, or make it a terminal")
        if step.kind == "terminal" and many:
            self.wrong(step.line, "a terminal that goes on", "leave its branches out, or make it a process")
        ways = tuple((key, names.get(folded(target), target)) for key, target in step.branches)
        return CoreStep(step.name, step.kind, step.instruction, ways, step.line)


def _of_whole(program: CoreProgram, *, unread: bool) -> Iterator[Defect]:
    """Of the program as a list of steps."""
    if not program.steps:
        if not unread:
            yield Defect(WHOLE, "there are no steps", f"write a line for each: {FORM}")
        return
    if len(program.steps) > MOST_STEPS:
        yield Defect(WHOLE, f"{len(program.steps)} steps", f"use {MOST_STEPS} at most")
    seen: dict[str, CoreStep] = {}
    for step in program.steps:
        if (other := seen.setdefault(folded(step.name), step)) is not step:
            yield Defect(
                f"line {step.line}", f"{step.name!r:.80} is the name of line {other.line} too", "name it otherwise"
            )
    if all(step.kind != "terminal" for step in program.steps):
        yield Defect(WHOLE, "no step is a terminal", "make the step that gives the answer a terminal")


def _of_ways(program: CoreProgram) -> list[Defect]:
    """Of the ways through a program whose lines are all sound."""
    ways = program.targets()
    found = reached(ways, [program.first.name])
    back: dict[str, list[str]] = {}
    for name, targets in ways.items():
        for target in targets:
            back.setdefault(target, []).append(name)
    ending = reached(back, [step.name for step in program.steps if step.kind == "terminal"])
    lost = [
        Defect(f"line {step.line}", f"no way leads to {step.name!r:.80}", "let a step go on to it, or remove it")
        for step in program.steps
        if step.name not in found
    ]
    return lost + [
        Defect(f"line {step.line}", f"no way leads from {step.name!r:.80} to a terminal", "let it go on to one")
        for step in program.steps
        if step.name in found and step.name not in ending
    ]
