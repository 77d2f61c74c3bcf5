"""The rows of a set by split: from normalised files, from the publisher's own, or from the hub; and their columns for a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from flowbot.fields import UserError, canonical_json, stable_hash
from flowbot.fields.words import kind_of, listed
from flowbot.fields.yaml import parse_json
from flowbot.task.arrow import arrow_rows
from flowbot.task.data import read_rows
from flowbot.task.decode import decoded
from flowbot.task.hub import PREFIX, hub_data, hub_name, known_splits
from flowbot.task.row import Row
from flowbot.task.splits import SPLITS, Split

from .benchmark_set import BenchmarkSet, SetRows, SplitRows

NORMALISED: Mapping[Split, str] = {"train": "train.jsonl", "val": "dev.jsonl", "test": "test.jsonl"}
"""Names of the normalised files."""
SHARES: Mapping[Split, int] = {"train": 1, "val": 1, "test": 3}
"""The parts that rows of one file are divided into."""
SEED = 0
"""Of the order that rows of publishers' files are put in."""
_HALVES: tuple[Split, Split] = ("train", "val")
Counts = Sequence[int]
"""How many rows of train, val and test are wanted."""


def set_rows(
    wanted: BenchmarkSet, data: str | Path, counts: Counts | None = None, variant: str = ""
) -> tuple[SetRows, str]:
    """The rows of a set, and what was read of the hub, with its revision; "" for files.

    Args:
        wanted: the set.
        data: a folder with normalised files, or with the publisher's own; one of these files alone, which is divided; or
            `hf:NAME[/CONFIG][@REVISION]`, where `hf:` alone is the publisher's own name.
        counts: how many rows of train, val and test; None: all. The first ones of normalised files, and of the others the first
            ones in an order that a seed decides.
        variant: which form of the task; rows that lack what it takes are left out.

    Raises:
        UserError: naming `data`, a file and line, or `rows`.
    """
    sizes = None if counts is None else dict(zip(SPLITS, _checked(counts), strict=True))
    found, folder, revision = _found(wanted, data, variant)
    found = _kept(wanted, found, variant)
    rows = found
    missing = len(found) == 1 or any(split not in found for split in SPLITS if sizes is None or sizes[split])
    if folder is not None and Path(data).is_dir() and _is_normalised(folder):
        rows = divided(found, wanted.together) if missing else found
    elif missing:
        rows = wanted.divide(found) if wanted.divide else found
        missing = rows is found or any(split not in rows for split in SPLITS if sizes is None or sizes[split])
        rows = apart(divided(rows, wanted.together) if missing else rows, wanted.together)
    else:
        rows = apart(found if wanted.divide else _shuffled(found), wanted.together)
    return SetRows(rows if sizes is None else _cut(rows, sizes), folder), revision


def divided(found: SplitRows, together: Sequence[str]) -> SplitRows:
    """Rows of a publisher's files in all three splits, in an order that `SEED` and their content decide.

    Rows of one split alone are divided by `SHARES`. Of two, test is the publisher's test, or, where its answers are secret and
    there is none, what it calls validation; and half of its train is val, or half of its val train.

    Args:
        found: the publisher's rows.
        together: see `BenchmarkSet`; rows that belong together come into one split.
    """
    rows = _shuffled(found)
    if len(rows) == 1:
        return _dealt(next(iter(rows.values())), SHARES, together)
    if "test" not in rows and "val" in rows:
        rows["test"] = rows.pop("val")
    halves: list[Split] = [split for split in _HALVES if split in rows]
    if len(halves) == 1:
        rows |= _dealt(rows[halves[0]], dict.fromkeys(_HALVES, 1), together)
    return rows


def apart(found: SplitRows, together: Sequence[str]) -> SplitRows:
    """The rows without those that belong together with a row of another split: test keeps its own, then val."""
    taken: dict[str, Split] = {}
    kept: dict[Split, Sequence[Row]] = {}
    for split in reversed(SPLITS):
        kept[split] = [row for row in found.get(split, ()) if taken.setdefault(_key(row, together), split) == split]
    return kept


def task_rows(rows: SetRows, fields: Callable[[Row], Mapping[str, Any]]) -> dict[Split, list[Row]]:
    """Rows of a task, each at its place in the files.

    Args:
        rows: of the set.
        fields: the columns of a task's row that a row of the set makes; what it raises should name the row's place.
    """
    return {split: [Row(row.place, fields(row)) for row in each] for split, each in rows.rows.items()}


def json_value(path: Path) -> Any:
    """What a file of JSON holds, whatever its form; None for a file whose name ends otherwise, which `read_rows` reads.

    Raises:
        UserError: naming the file, and the line where it is no JSON.
    """
    return parse_json(decoded(path)[0], str(path)) if path.suffix.lower() == ".json" else None


def json_list(path: Path, key: str) -> list[Any] | None:
    """The list under a key of the object that a file of JSON holds; None where there is no such.

    Raises:
        UserError: as `json_value`.
    """
    value = json_value(path)
    found: Any = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    return cast("list[Any]", found) if isinstance(found, list) else None


def column(row: Row, *names: str) -> Any:
    """The value in the first of these columns that a row has: the publisher's name and the normalised one.

    Raises:
        UserError: naming the row, if it has none of them.
    """
    for name in names:
        if name in row.values:
            return row.values[name]
    raise UserError(
        row.place, f"no {' or '.join(map(repr, names))} (there is {listed(list(row.values))})", "a row of the set"
    )


def text_column(row: Row, *names: str) -> str:
    """As `column`, of a column that holds text.

    Raises:
        UserError: naming the row, if it has none of them, or something else there.
    """
    value = column(row, *names)
    if not isinstance(value, str):
        name = next(each for each in names if each in row.values)
        raise UserError(f"{row.place}: {name}", kind_of(value), "a text")
    return value


def with_id(row: Row, fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Columns of a task's row, with the row's own id where it has one, in `id` or in one of the other columns `names`."""
    name = next((each for each in ("id", *names) if each in row.values), None)
    return dict(fields) if name is None else {"id": row.values[name], **fields}


def _kept(wanted: BenchmarkSet, found: SplitRows, variant: str) -> SplitRows:
    """The rows that have what the variant takes, and the splits that have any."""
    keeps = wanted.keeps
    if keeps is None:
        return found
    kept: dict[Split, Sequence[Row]] = {
        split: [row for row in rows if keeps(row, variant)] for split, rows in found.items()
    }
    if not any(kept.values()):
        raise UserError(
            "data", f"no row that the variant {variant!r} of {wanted.name} can take", "other rows or another variant"
        )
    return {split: rows for split, rows in kept.items() if rows}


def _found(wanted: BenchmarkSet, data: str | Path, variant: str) -> tuple[SplitRows, Path | None, str]:
    """The rows as they stand, the folder that they stand in, and what was read of the hub."""
    if not isinstance(cast("object", data), str | Path) or not str(data):
        raise UserError("data", kind_of(data) if data else "nothing", "a folder, a file or hf:ORG/NAME")
    if str(data).startswith(PREFIX):
        return _of_hub(wanted, str(data))
    path = Path(data)
    if path.is_dir():
        return _of_folder(wanted, path, wanted.prefixes.get(variant, "")), path, ""
    if not path.is_file():
        raise UserError("data", f"no folder and no file {path}", _expected(wanted))
    rows = read_rows(path) if path.suffix.lower() in (".jsonl", ".ndjson") else wanted.reader(path)
    return {"test": rows}, path.parent, ""


def _of_folder(wanted: BenchmarkSet, folder: Path, prefix: str) -> SplitRows:
    if _is_normalised(folder):
        own = prefix if (folder / f"{prefix}{NORMALISED['val']}").is_file() else ""
        named: dict[Split, Path] = {split: folder / f"{own}{name}" for split, name in NORMALISED.items()}
        return {split: read_rows(file) for split, file in named.items() if file.is_file()}
    found: dict[Split, list[Row]] = {}
    for split, names in wanted.files.items():
        files = [file for name in names for file in sorted(folder.glob(name)) if file.is_file()]
        if files:
            found[split] = [row for file in files for row in wanted.reader(file)]
    if not found:
        raise UserError("data", f"none of a set's files in {folder}", _expected(wanted))
    return found


def _of_hub(wanted: BenchmarkSet, data: str) -> tuple[SplitRows, None, str]:
    if data == PREFIX and not wanted.hub:
        raise UserError(
            "data", f"{PREFIX}, and {wanted.name} has no name of its publisher's on the hub", _expected(wanted)
        )
    asked, tables = hub_data(hub_name(PREFIX + wanted.hub if data == PREFIX else data, "data"), "data")
    names: Mapping[str, Split] = known_splits(list(tables)) or {next(iter(tables)): "test"}
    if len(names) < len(tables) and len(names) == 1:
        raise UserError(
            "data", f"{asked}, which has {listed(list(tables))}", "splits that are called train, validation or test"
        )
    return {split: arrow_rows(tables[name], f"{asked}:{name}") for name, split in names.items()}, None, str(asked)


def _expected(wanted: BenchmarkSet) -> str:
    own = [name for names in wanted.files.values() for name in names]
    published = f"the publisher's {listed(own)}, " if own else ""
    return f"{', '.join(NORMALISED.values())}, {published}or {PREFIX}{wanted.hub or 'ORG/NAME'}"


def _is_normalised(folder: Path) -> bool:
    """Whether a folder has files as we name them: publishers have a `train.jsonl` and a `test.jsonl` too, and no `dev.jsonl`."""
    return (folder / NORMALISED["val"]).is_file()


def _checked(counts: object) -> Sequence[int]:
    """Three whole numbers."""
    numbers = cast("Sequence[object]", counts) if isinstance(counts, list | tuple) else ()
    if len(numbers) != len(SPLITS) or any(type(each) is not int or each < 0 for each in numbers) or not any(numbers):
        raise UserError(
            "rows", repr(cast("object", counts))[:80], "how many rows of train, val and test, such as [40, 40, 100]"
        )
    return cast("Sequence[int]", numbers)


def _cut(found: SplitRows, sizes: Mapping[Split, int]) -> SplitRows:
    rows: dict[Split, Sequence[Row]] = {}
    for split, count in sizes.items():
        rows[split] = found.get(split, ())[:count]
        if count > len(rows[split]):
            raise UserError("rows", f"{count:,} of {split}", f"at most {len(rows[split]):,}: there are no more")
    return rows


def _shuffled(found: SplitRows) -> dict[Split, Sequence[Row]]:
    """The rows in an order that `SEED` and the content of each decide, so that the first of them are of all kinds."""
    rows: dict[Split, Sequence[Row]] = {}
    for split, each in found.items():
        rows[split] = sorted(each, key=lambda row: stable_hash([SEED, dict(row.values)]))
    return rows


def _dealt(rows: Sequence[Row], shares: Mapping[Split, int], together: Sequence[str]) -> dict[Split, Sequence[Row]]:
    """The rows by split: what belongs together goes, in turn, to the split that has least of its share (D'Hondt's rule)."""
    blocks: dict[str, list[Row]] = {}
    for row in rows:
        blocks.setdefault(_key(row, together), []).append(row)
    made: dict[Split, list[Row]] = {split: [] for split in shares}
    for block in blocks.values():
        made[min(made, key=lambda split: (len(made[split]) + len(block)) / shares[split])].extend(block)
    return {**made}


def _key(row: Row, together: Sequence[str]) -> str:
    name = next((each for each in together if each in row.values), None)
    return canonical_json(dict(row.values) if name is None else row.values[name])
