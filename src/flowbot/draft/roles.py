"""What each column is for: an input, an output, the rows' group, their id, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from flowbot.fields import UserError
from flowbot.task.leaks import key, leak

from .columns import different, is_answer, is_code, is_late, is_record, is_sql, leads, tells, varies
from .names import words
from .prompt_columns import asked_for, has_one_place, placed_columns, prompt_says
from .table import Table
from .vocabulary import ANSWERS, FACTS, GIVEN, GROUPS, HUMANS, MARKS, PEOPLE

_GUESSES = ("the last column", "no column looks like an answer")
_FEWEST_GROUPS = 6
_LONG = 200
"""Characters on average from which an input that repeats is a text that several rows are about."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of the columns, in place of guesses: names of columns, None where nothing is said.

    Args:
        inputs: columns that are given.
        outputs: columns that are wanted.
        group: the column of groups, "" for none.
        labels: output columns whose answers are among the values that the rows have; those of the others may be any text.
    """

    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    group: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns are for, and why.

    Args:
        inputs: columns that are given.
        outputs: columns that are wanted, or names of fields to come where `labelled` is False.
        labelled: whether the rows say what is expected.
        group: the column of what rows belong to, "" for none.
        id: the column that tells the rows apart, "" for none.
        why: reasons by role.
        leaks: columns that would be inputs if they did not tell the answer, and how they do.
        sure: whether the outputs are more than a guess by place and values.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    labelled: bool
    group: str
    id: str
    why: dict[str, str]
    leaks: Mapping[str, str]
    sure: bool


def roles_of(table: Table, wishes: Wishes, prompt: str = "") -> Roles:
    """The columns' roles: as the user wishes, else as the prompt says, else by the form of the rows, names, place and values.

    Raises:
        UserError: for a wish that names no column, or where no column is left to be given.
    """
    for option, named in (
        ("--inputs", wishes.inputs),
        ("--group", (wishes.group,) if wishes.group else None),
        ("--labels", wishes.labels),
    ):
        for name in named or ():
            _known(name, table, option)
    why: dict[str, str] = {}
    row_id = _id(table, why)
    usable = [name for name in table.columns if name not in (row_id, table.split_column)]
    placed = [name for name in placed_columns(prompt, table.columns) if name not in (wishes.outputs or ())]
    inputs = tuple(placed) if placed and wishes.inputs is None else wishes.inputs
    why["inputs"] = "as you say" if wishes.inputs is not None else "your prompt has a place for each"
    outputs, labelled = _outputs(table, usable, wishes, inputs or (), prompt, why)
    leaks: dict[str, str] = {}
    by_place = False
    given = [name for name in usable if name not in outputs]
    if inputs is None:
        why["inputs"], by_place = "by name and place" if labelled else "all that may be given", True
        guessed = _inputs(table, given, outputs if labelled else ())
        if table.form and (own := [name for name in table.form.inputs if name in given]):
            why["inputs"], by_place = f"as in {table.form.name}", False
            guessed = [name for name in own if not is_record(table, name) and varies(table, name)] or own
        leaks = _leaks(table, guessed, outputs if labelled else ())
        inputs = tuple(name for name in guessed if name not in leaks)
        if has_one_place(prompt) and len(inputs) > 1:
            inputs = (max(inputs, key=lambda name: sum(len(key(value)) for value in table.values(name))),)
            why["inputs"], by_place = "your prompt has one place, and it has most to read", False
    chosen = list(inputs)
    group = _group(table, given, chosen, why) if wishes.group is None else wishes.group
    if wishes.group is not None:
        why["group"] = "as you say"
    if by_place and len(chosen) > 1 and group in chosen and not _is_read(table, group):
        chosen.remove(group)
    both = [name for name in chosen if name in outputs]
    if both:
        raise UserError("--inputs", f"{', '.join(both)}, which is an output too", "other columns than the outputs")
    if not chosen:
        found = f"no column that could be an input (there is {', '.join(table.columns)})"
        if leaks:
            found += f"; {', '.join(f'{name} {how}' for name, how in leaks.items())}"
        raise UserError(str(table.files[0]), found, "one beside the output; or --inputs and --outputs")
    return Roles(tuple(chosen), outputs, labelled, group, row_id, why, leaks, not why["outputs"].startswith(_GUESSES))


def _known(name: str, table: Table, option: str) -> None:
    if name not in table.columns:
        raise UserError(option, repr(name), f"a column, one of {', '.join(table.columns)}")


def _outputs(
    table: Table,
    usable: Sequence[str],
    wishes: Wishes,
    inputs: Sequence[str],
    prompt: str,
    why: dict[str, str],
) -> tuple[tuple[str, ...], bool]:
    """The output columns, and whether there are any; if not, the names of the outputs that shall be."""
    if wishes.outputs is not None:
        unknown = [name for name in wishes.outputs if name not in table.columns]
        near = any(get_close_matches(name, table.columns) for name in unknown)
        if unknown and (near or len(unknown) < len(wishes.outputs)):
            _known(unknown[0], table, "--outputs")
        why["outputs"] = "as you say" if not unknown else "as you say; no column has it, so there are no labels"
        return wishes.outputs, not unknown
    free = [name for name in usable if name not in inputs and varies(table, name)]
    found: list[str] = []
    if prompt:
        own = [name for name in free if not PEOPLE.intersection(words(name))]
        found, why["outputs"] = asked_for(prompt_says(prompt), {name: different(table.values(name)) for name in own})
    if table.form:
        own = [name for name in table.form.outputs if name in free]
        found = [name for name in found if name in own] or own
        why["outputs"] = f"as in {table.form.name}" if own else "no row has an answer, so there are no labels"
    elif not found:
        found, why["outputs"] = _wanted(table, free, has_inputs=bool(inputs))
    return (tuple(found), True) if found else (("answer",), False)


def _wanted(table: Table, every: Sequence[str], *, has_inputs: bool) -> tuple[list[str], str]:
    """What is wanted of columns that may be, and how that shows; with inputs given a single one may be the answer, too."""
    spoken = {name: " ".join(words(name)) for name in every}
    free = [name for name in every if not is_late(table, name)]
    for wish in ANSWERS:
        found = [name for name in free if spoken[name] == wish]
        if found:
            return found[:1], "by its name"
    marked = [name for name in free if len(words(name)) > 1 and words(name)[0] in MARKS]
    marked = marked or [name for name in free if words(name)[:1] and words(name)[0] in HUMANS and is_answer(name)]
    if marked:
        return marked, "by their names"
    titled = [name for name in free if is_sql(table, name) or not leads(table, name)]
    facts = [name for name in titled if spoken[name] in FACTS or is_sql(table, name)]
    facts = facts or [name for name in titled if words(name)[-1:] and words(name)[-1] in FACTS and not tells(name)][:1]
    others = [name for name in free if name not in facts and not is_record(table, name)]
    if facts and (others or has_inputs):
        return facts, "by name" if len(facts) > 1 else "by its name"
    for among in (free, every):  # what is known later is an answer only where nothing else is
        open_ = [name for name in among if spoken[name] not in GIVEN and not (is_record(table, name) or tells(name))]
        told = [name for name in every if not is_record(table, name)]
        if has_inputs or len(told) > 1:
            few = [name for name in open_ if different(table.values(name))]
            if few:
                return few[-1:], f"{_GUESSES[0]} whose values are few and repeat"
            if open_ and open_[-1] == told[-1]:
                return open_[-1:], _GUESSES[0]
    return [], f"{_GUESSES[1]}, so there are no labels"


def _inputs(table: Table, candidates: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """What is given before an answer, or has the name of something that is given; not what would tell the answer."""
    last = max((table.columns.index(name) for name in outputs), default=len(table.columns))
    first = min((table.columns.index(name) for name in outputs), default=len(table.columns))

    def no_input(name: str) -> bool:
        return is_record(table, name) or tells(name) or is_late(table, name) or is_code(table, name)

    found: list[str] = []
    for name in candidates:
        spoken = " ".join(words(name))
        if is_code(table, name):
            continue
        if spoken not in GIVEN:
            late = table.columns.index(name) > last and first > 0
            told = spoken in ANSWERS or (spoken in FACTS and not leads(table, name))
            if late or no_input(name) or (bool(outputs) and told):
                continue
        if len(set(map(key, table.values(name)))) > 1 or (spoken in GIVEN and len(table.rows) == 1):
            found.append(name)
    return found or [name for name in candidates if not no_input(name)] or list(candidates)


def _leaks(table: Table, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """What would be an input and tells an output; not the only one, for that is what the answer is about."""
    found = {
        name: f"{how} ({output})"
        for name in inputs
        for output in outputs
        if len(inputs) > 1 and (how := leak(table.values(name), table.values(output)))
    }
    return found if len(found) < len(inputs) else {}


def _id(table: Table, why: dict[str, str]) -> str:
    """The column that tells rows apart: `id`, or one so called in other words, a text or whole number once each."""
    named = [name for name in table.columns if name == "id"]
    named += [name for name in table.columns if name != "id" and (words(name)[-1:] in (("id",), ("uid",), ("uuid",)))]
    for name in named:
        values = table.values(name)
        told = [str(value).strip() for value in values if isinstance(value, str | int) and not isinstance(value, bool)]
        if all(told) and len(told) == len(values) == len(set(told)):
            why["id"] = "different in every row"
            return name
    if "id" in named:
        told = "kept as a column, and rows are told apart by what they hold"
        why["id"] = f"the column id has gaps or stands twice: {told}"
    return ""


def _group(table: Table, candidates: Sequence[str], inputs: Sequence[str], why: dict[str, str]) -> str:
    """The column of what several rows belong to or are about, if keeping it together leaves enough to split."""
    for name in candidates:
        keys = [key(value) for value in table.values(name) if value is not None]
        times = Counter(keys)
        named = words(name)[-1:] == ("id",) or any(word in GROUPS for word in words(name))
        if len(times) == len(keys) or tells(name) or not (named or (name in inputs and _is_long(times))):
            continue
        if len(times) >= _FEWEST_GROUPS and max(times.values()) * 3 <= len(table.rows):
            why["group"] = f"{len(times):,} different in {len(keys):,} rows: rows with the same one stay in one split"
            return name
    why["group"] = "no column names what rows belong to; rows with equal inputs stay together all the same"
    return ""


def _is_read(table: Table, name: str) -> bool:
    """Whether a group is also something to read: a passage that rows are about, not the user who wrote them."""
    return " ".join(words(name)) in GIVEN or _is_long(set(map(key, table.values(name))))


def _is_long(texts: Collection[str]) -> bool:
    return sum(map(len, texts)) > _LONG * len(texts)
