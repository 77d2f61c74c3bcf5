"""Compute one output from the others in code: the LLM call gives the rest, and does no arithmetic.

Sources: Gao et al. 2023 (PAL: the model reads, code computes); the formula is found among simple ones by the expected outputs of the
training rows, as programs by examples are (Gulwani 2011), so no model call is needed to see whether it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from flowbot.fields import Type
from flowbot.optimizer.feedback.runs import PERFECT
from flowbot.runtime.evaluation import Row as Run
from flowbot.task import Task
from flowbot.workflow.edits.basic import ReplaceNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.inserts import InsertStep
from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import CodeNode
from flowbot.workflow.parameters import CodeParameters
from flowbot.workflow.starts import REASONING, reasoning_hint

from .change import Call, Change, Place
from .formulas import NUMBERS, TAKEN, Formula, formula_for

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Record:
    """Values that stand side by side: the task's outputs, or the members of one of them.

    Args:
        output: the output whose members they are; "" for the task's outputs themselves.
        fields: their types by name.
        rows: what the training rows expect.
        ids: of these rows.
    """

    output: str
    fields: Mapping[str, Type]
    rows: tuple[Row, ...]
    ids: tuple[str, ...]
    found: dict[str, Formula | None] = field(default_factory=dict[str, "Formula | None"])

    def formula(self, name: str) -> Formula | None:
        """That of a field, looked for once."""
        if name not in self.found:
            self.found[name] = formula_for(name, self.fields, self.rows)
        return self.found[name]


def derive(place: Place) -> Iterator[Change]:
    """The LLM call gives all outputs but one, and code computes that one from the others; all that can be, too, where there are several.

    A formula is one that holds on nearly all training rows. Where none does, a number, truth or label beside a list or numbers is
    offered for the meta model to write code for, which is then checked on the same rows.
    """
    if not isinstance(place, Call) or place.scope.path:
        return
    ends = place.workflow.sketch.outputs
    given = {name for name, ref in ends.items() if ref == f"{place.name}.{name}"}
    for record in _records(place.task):
        if record.output:
            targets = list(record.fields) if record.output in given and _whole(place, record) else []
        else:
            targets = [name for name in record.fields if name in given and len(place.answers) > 1]
        formulas = {name: each for name in targets if (each := record.formula(name))}
        for name, formula in formulas.items():
            told = f"Let the LLM call give all but `{name}`, and compute it from the rest in Python: {formula.text}."
            yield _change(place, record, {name: formula}, told, name)
        ordered = _in_order(formulas)
        if 1 < len(ordered) < len(targets):
            told = f"Let the LLM call leave out {', '.join(f'`{name}`' for name in ordered)}, and compute them from the rest in Python."
            yield _change(place, record, ordered, told, "*")
        for name in targets:
            if name not in formulas and _may_be_computed(name, record):
                yield _asked(place, record, name)


@lru_cache(maxsize=8)
def _records(task: Task) -> tuple[_Record, ...]:
    """The records whose fields may be computed from one another."""
    fields = {each.name: each.type for each in task.outputs}
    found = [_record(task, "", fields)]
    found += [_record(task, name, dict(type_.members)) for name, type_ in fields.items()]
    return tuple(each for each in found if len(each.fields) > 1)


def _record(task: Task, output: str, fields: Mapping[str, Type]) -> _Record:
    """The record of all training rows that have it whole."""
    rows: dict[str, Row] = {}
    for example in task.train:
        row: Any = example.expected.get(output) if output else example.expected
        if isinstance(row, Mapping) and all(cast("Row", row).get(each) is not None for each in fields):
            rows[example.id] = cast("Row", row)
    return _Record(output, fields, tuple(rows.values()), tuple(rows))


def _whole(place: Call, record: _Record) -> bool:
    """Whether the call gives the output with all its members still."""
    return Type.parse(place.node.out[record.output]).members == tuple(record.fields.items())


def _in_order(formulas: Mapping[str, Formula]) -> dict[str, Formula]:
    """Those that can be computed one after another, none from what only comes later."""
    ordered: dict[str, Formula] = {}
    left = dict(formulas)
    while ready := [name for name, each in left.items() if not each.reads & left.keys()]:
        ordered |= {name: left.pop(name) for name in ready}
    return ordered


def _may_be_computed(name: str, record: _Record) -> bool:
    """Whether code may give it at all: no free text, and from numbers or a list; and no two rows that differ in free text alone tell
    otherwise."""
    rest = {other: type_.kind for other, type_ in record.fields.items() if other != name and type_.kind != "str"}
    if record.fields[name].kind not in (*NUMBERS, "bool", "literal") or not {*rest.values()} & {*NUMBERS, "list"}:
        return False
    seen: dict[str, Any] = {}
    told = ((repr([row[key] for key in rest]), row[name]) for row in record.rows)
    return all(seen.setdefault(key, value) == value for key, value in told)


def _change(place: Call, record: _Record, formulas: Mapping[str, Formula], title: str, variant: str) -> Change:
    """The change that computes fields by formulas, in order."""
    # What a formula has a word of Python for is no variable of its code, whatever a field is called.
    local = {name: free_name(name, (*TAKEN, *record.fields)) if name in TAKEN else name for name in formulas}
    computed = "".join(f"    {local[name]} = {each.text}\n" for name, each in formulas.items())
    members = ", ".join(f"{name!r}: {local[name]}" for name in formulas)
    reads = [name for name in record.fields if any(name in each.reads for each in formulas.values())]
    inputs = [name for name in reads if name not in formulas]
    if record.output:
        given = free_name(record.output, (*record.fields, *TAKEN))
        unpacked = "".join(f"    {name} = {given}[{name!r}]\n" for name in inputs)
        code = f"def run({given}):\n{unpacked}{computed}    return {{{record.output!r}: {{**{given}, {members}}}}}"
    else:
        given, code = "", f"def run({', '.join(inputs)}):\n{computed}    return {{{members}}}"
    edits = _edits(place, record, tuple(formulas), inputs, code, given)
    key = f"{record.output}.{variant}" if record.output else variant

    def gain(run: Run) -> float:
        """All that the run lacks, where nothing is wrong but what the formulas give."""
        wanted, given, output = run.example.expected, run.trace.outputs or {}, record.output
        with suppress(KeyError, TypeError):  # it gave no such record
            right = {name: (wanted[output] if output else wanted)[name] for name in formulas}
            mended = {**given, **({output: {**given[output], **right}} if output else right)}
            return PERFECT - run.score.value if {**mended, **wanted} == mended else 0.0
        return 0.0

    return Change("derive", place.path, title, lambda _: edits, variant=key, gain=gain)


def _asked(place: Call, record: _Record, name: str) -> Change:
    """The change whose code the meta model writes."""
    inputs = [other for other in record.fields if other != name]
    types = {key: str(record.fields[key]) for key in inputs}
    given = [{key: row[key] for key in inputs} for row in record.rows]
    if record.output:
        full = str(Type("object", members=tuple(record.fields.items())))
        computes = {record.output: _without(record, (name,))}, {record.output: full}
        known = [
            ({record.output: less}, {record.output: dict(row)}) for less, row in zip(given, record.rows, strict=True)
        ]
    else:
        computes = types, {name: str(record.fields[name])}
        known = [(less, {name: row[name]}) for less, row in zip(given, record.rows, strict=True)]
    key = f"{record.output}.{name}" if record.output else name
    return Change(
        "derive by code",
        place.path,
        f"Let the LLM call give all but `{name}`, and compute it from the rest in Python.",
        lambda code: _edits(place, record, (name,), inputs, code),
        variant=key,
        computes=computes,
        known=tuple((each, *pair) for each, pair in zip(record.ids, known, strict=True)),
    )


def _without(record: _Record, names: tuple[str, ...]) -> str:
    return str(Type("object", members=tuple(each for each in record.fields.items() if each[0] not in names)))


def _edits(
    place: Call, record: _Record, names: tuple[str, ...], inputs: list[str], code: str, given: str = ""
) -> list[Edit]:
    """The call without the fields, and a step after it that computes them, which has the record under the name `given`."""
    ends, output = place.workflow.sketch.outputs, record.output
    if output:
        out = {**place.node.out, output: _without(record, names)}
        node = CodeNode(inputs={given or output: f"{place.name}.{output}"}, out={output: place.node.out[output]})
    else:
        out = {name: type_ for name, type_ in place.node.out.items() if name not in names}
        node = CodeNode(
            inputs={name: ends[name] for name in inputs}, out={name: str(record.fields[name]) for name in names}
        )
    left = [name for name in out if name != REASONING]
    hint = place.told.format_hint.replace(reasoning_hint(place.answers), reasoning_hint(left))
    lines = (line for line in hint.splitlines() if output or not line.startswith(tuple(f"{name}: " for name in names)))
    told = place.told.model_copy(update={"format_hint": "\n".join(lines), "demonstrations": ()})
    return [
        ReplaceNode(id=place.path, node=place.node.model_copy(update={"out": out}), parameters=told),
        InsertStep(
            id=place.path, where="after", name=place.fresh("compute"), node=node, parameters=CodeParameters(code=code)
        ),
    ]
