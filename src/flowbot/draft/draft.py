"""A task drafted from rows: what each column is for, types, metric and splits, each guess with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flowbot.fields import Field, Type, UserError, is_name
from flowbot.fields.words import some
from flowbot.task import Example
from flowbot.task.splits import SPLITS, Split

from .guess import Guess
from .kinds import LABEL_RULE, Kind, kind_of
from .names import field_names, words
from .prompt_columns import lists_all
from .roles import Roles, Wishes, roles_of
from .rows import Layout, crossing, record, split_rows, task_rows
from .scoring import goal_of, metric_of
from .table import Table

FRACTIONS = (0.3, 0.3, 0.4)
"""Train, val and test of one file, unless the user says otherwise."""
MOST = 500
"""Rows that a split is given of a large file."""
_FEW = 30


@dataclass(frozen=True, slots=True)
class Draft:
    """A task to be written.

    Args:
        name: for its folder.
        goal: what is wanted, in a sentence.
        inputs: fields that are given.
        outputs: fields that are wanted.
        metric: as it stands in a task file.
        group: the column of groups, "" for none.
        splits: the rows to write, by split.
        guesses: what was found out, and what was left out.
        columns: the columns that the fields come from, by field.
        labelled: whether rows say what is expected.
        sure: whether the outputs are more than a guess by place and values.
        closed: columns whose texts were taken for all answers that there can be, without the user's word, and the texts;
            not where the prompt lists them.
        source: what the rows are of, with its revision, where that is on the hub.
    """

    name: str
    goal: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    metric: Any
    group: str
    splits: Mapping[Split, Sequence[Mapping[str, Any]]]
    guesses: tuple[Guess, ...]
    columns: Mapping[str, str]
    labelled: bool
    sure: bool
    closed: Mapping[str, Sequence[str]]
    source: str = ""


def draft_task(
    table: Table,
    wishes: Wishes | None = None,
    *,
    prompt: str = "",
    goal: str = "",
    metric: str = "",
    fractions: Sequence[float] | None = None,
    most: int = MOST,
) -> Draft:
    """A task drafted from rows; nothing is written.

    Args:
        table: see `read_table`.
        wishes: what the user says of the columns.
        prompt: the user's prompt: its places are the inputs, its words say what is wanted.
        goal: "" for one that is made of the fields' names.
        metric: a built-in's name, "" for one that goes with the outputs' types.
        fractions: for train, val and test of all rows together, whatever splits the files have; they sum to 1.
        most: rows that a split is given.

    Raises:
        UserError: naming file and line, or the option, if what is given cannot be used.
    """
    wishes = wishes or Wishes()
    if fractions is not None:
        table = table.without_splits()
    roles = roles_of(table, wishes, prompt)
    layout, notes = _layout(table, roles, wishes), list(table.notes)
    rows = task_rows(table, layout, notes)
    have_splits = any(split for split in rows)
    if have_splits and layout.group and crossing(rows):
        if wishes.group:
            found = f"rows with the same {layout.group} in two of your splits"
            expected = "--split 0.3,0.3,0.4 beside it, which puts all rows together and parts them"
            raise UserError("--group", found, expected)
        leak = f"rows with the same {layout.group} stand in two of your splits"
        mend = f"--group {layout.group} --split 0.3,0.3,0.4, which puts all rows together and parts them anew"
        notes.append(Guess("possible leak", leak, "they may help each other: the result would look too good", mend))
        layout = replace(layout, group="")
        rows = task_rows(table, layout, [])
    where = str(table.files[0])
    made = split_rows(rows, fractions or FRACTIONS, most, where, notes)
    inputs = _fields(layout.inputs)
    outputs = _fields(layout.outputs) or tuple(_asked(name) for name in roles.outputs)
    sentence = goal or goal_of(inputs, outputs, labelled=roles.labelled)
    if metric:
        scored, why = metric, "as you say"
    elif table.form and table.form.metric and all(field.type.kind == "str" for field in outputs):
        scored, why = table.form.metric, f"as in {table.form.name}"
    else:
        every = [row for each in rows.values() for row in each]
        scored, why = metric_of(outputs, every, labelled=roles.labelled)
    closed = {column: options for column, (_, kind) in layout.outputs.items() if (options := _options(kind.type))}
    unlisted = {column: options for column, options in closed.items() if not lists_all(prompt, options)}
    guesses = [
        *_of_columns(roles, layout, inputs, outputs),
        *_of_labels(layout, closed, wishes),
        Guess("goal", sentence, "as you say" if goal else "made of the fields' names", "goal in task.yaml"),
        Guess("metric", scored if isinstance(scored, str) else "a judge", why, "--metric NAME"),
        _of_splits(made, table, have_splits=have_splits, fractions=fractions),
    ]
    if table.source:
        guesses.append(Guess("rows", table.source, "as they are on the hub", "another revision: hf:NAME@REVISION"))
    guesses += [_of_group(layout, roles), *_left_out(table, roles, layout), *notes]
    return Draft(
        name=table.name,
        goal=sentence,
        inputs=inputs,
        outputs=outputs,
        metric=scored,
        group=_kept_as(layout, layout.group),
        splits={split: [record(row) for row in made[split]] for split in SPLITS},
        guesses=tuple(guesses),
        columns={field: column for column, (field, _) in {**layout.inputs, **layout.outputs}.items()},
        labelled=roles.labelled,
        sure=roles.sure,
        closed={} if wishes.labels is not None else unlisted,
        source=table.source,
    )


def _layout(table: Table, roles: Roles, wishes: Wishes) -> Layout:
    fields = field_names(table.columns)

    def kinds(columns: Sequence[str], *, output: bool) -> dict[str, tuple[str, Kind]]:
        found: dict[str, tuple[str, Kind]] = {}
        for name in columns:
            values = table.values(name)
            if output and len(columns) == 1:  # rows without an answer are left out
                values = [value for value in values if value is not None]
            closed = None if wishes.labels is None else name in wishes.labels
            kind = kind_of(values, cells=name in table.cells, output=output, closed=closed)
            found[name] = (fields[name], kind)
        return found

    inputs = kinds(roles.inputs, output=False)
    outputs = kinds(roles.outputs if roles.labelled else (), output=True)
    taken = {field for field, _ in (*inputs.values(), *outputs.values())} | {"id"}
    if not roles.labelled:
        taken |= set(roles.outputs)
    extras: dict[str, str] = {}
    for name in table.columns:
        if name not in (*inputs, *outputs, roles.id):
            extras[name] = name
            while extras[name] in taken:
                extras[name] += "_in_file"
            taken.add(extras[name])
    return Layout(roles.id, inputs, outputs, roles.group, extras)


def _kept_as(layout: Layout, column: str) -> str:
    """The name that a column has in the files that are written."""
    fields = {**layout.inputs, **layout.outputs}
    if column in fields:
        return fields[column][0]
    return "id" if column and column == layout.id else layout.extras.get(column, "")


def _fields(columns: Mapping[str, tuple[str, Kind]]) -> tuple[Field, ...]:
    return tuple(Field(name, kind.type, _about(column, name)) for column, (name, kind) in columns.items())


def _about(column: str, name: str) -> str:
    """What the field is, as far as its name says more than the field's."""
    said = " ".join(words(column)) if words(column) else column
    if column != name and not column.isascii():
        said = column
    return "" if said == name.casefold() else f"the {said}"


def _asked(name: str) -> Field:
    if not is_name(name):
        raise UserError("--outputs", repr(name), "a name of letters, digits and _")
    return Field.of(name, "str", _about(name, name))


def _of_columns(roles: Roles, layout: Layout, inputs: Sequence[Field], outputs: Sequence[Field]) -> Iterator[Guess]:
    yield Guess("inputs", _listed(inputs), roles.why["inputs"], "--inputs NAME,NAME")
    yield Guess("outputs", _listed(outputs), roles.why["outputs"], "--outputs NAME")
    for column, (name, kind) in {**layout.inputs, **layout.outputs}.items():
        if kind.why != "texts" and kind.type.kind != "literal":
            yield Guess(f"type of {name}", _cut(str(kind.type), 120), kind.why, f"the type of {name} in task.yaml")
        if column != name:
            why = "a name of letters, digits and _"
            yield Guess(f"name {name}", f"of the column {column!r}", why, "rename the column")
    if "id" in roles.why and roles.id != "id":
        yield Guess("id", roles.id or "none", roles.why["id"], "rename the column")


def _options(kind: Type) -> tuple[str, ...]:
    """The texts that were taken for all that there can be, in a value or within it."""
    inner = [kind.item] if kind.item else [member for _, member in kind.members]
    return tuple(option for option in kind.options if option) + tuple(each for one in inner for each in _options(one))


def _of_labels(layout: Layout, closed: Mapping[str, Sequence[str]], wishes: Wishes) -> Iterator[Guess]:
    """That no other answers than those of the rows can be given is no small matter: it is said by itself."""
    for column, options in closed.items():
        field, kind = layout.outputs[column]
        others = ",".join(name for name in closed if name != column)
        told = f"no other answers than the {len(options)} that the rows have: {some(options, 6)}"
        why = f"{kind.why}; {'as you say' if wishes.labels is not None else f'labels are {LABEL_RULE}'}"
        yield Guess(f"labels of {field}", told, why, f"--labels {others or 'none'}, for any text")


def _listed(fields: Sequence[Field]) -> str:
    return ", ".join(f"{field.name}: {_cut(str(field.type), 48)}" for field in fields)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 2]} …"


def _of_splits(
    made: Mapping[Split, Sequence[Example]], table: Table, *, have_splits: bool, fractions: Sequence[float] | None
) -> Guess:
    sizes = ", ".join(f"{len(made[split])} {split}" for split in SPLITS)
    if not have_splits:
        parts = " : ".join(f"{part:g}" for part in fractions or FRACTIONS)
        why = f"{parts} of the rows, what belongs together in one split"
    elif table.split_column:
        why = "as the column says"
    else:
        why = "as the data set has them" if table.source else "as your files are named"
    few = [split for split in ("val", "test") if 0 < len(made[split]) < _FEW]
    if few:
        why += f"; few in {' and '.join(few)}, so only large differences will show: collect more if you can"
    return Guess("splits", sizes, why, f"--split 0.4,0.3,0.3{', for all rows together' * have_splits}; --most N")


def _of_group(layout: Layout, roles: Roles) -> Guess:
    if roles.group and not layout.group:
        why = f"{roles.group} stands in two of your splits"
        return Guess("group", "none", why, "--group COLUMN and --split 0.3,0.3,0.4")
    change = "--group COLUMN, or --group none" if layout.group else "--group COLUMN"
    return Guess("group", layout.group or "none", roles.why["group"], change)


def _left_out(table: Table, roles: Roles, layout: Layout) -> Iterator[Guess]:
    for name, how in roles.leaks.items():
        yield Guess("no input", name, f"it {how}, and a workflow in use would not have it", f"--inputs {name},…")
    others = [name for name in layout.extras if name not in (layout.group, table.split_column)]
    if others:
        why = "kept in the files for a metric of your own; no model sees them"
        yield Guess("other columns", some(others, 8), why, "--inputs NAME,NAME")
    renamed = [f"{name} is {kept}" for name, kept in layout.extras.items() if name != kept]
    if renamed:
        yield Guess("renamed", ", ".join(renamed), "the name has another meaning in a task", "rename the column")
    if "feedback" in others:
        yield Guess("feedback", "words of people on the rows", "by the column's name", "rename the column")
    if table.unused:
        yield Guess("other files", some(table.unused, 8), "not named for a split", "name the files to use")
