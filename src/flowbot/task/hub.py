"""Data sets of the Hugging Face hub as rows: `hf:NAME[/CONFIG][@REVISION][:SPLIT]`. Needs the extra `[hf]`.

What is on the hub may change, so what was read is named by the revision that it had. Without a network the library's own cache
serves; with HF_DATASETS_OFFLINE=1 nothing else is tried. No code of a data set is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.fields.words import listed

from .arrow import INSTALL, ArrowTable, arrow_rows
from .decode import MOST_DATA
from .row import Row
from .splits import Split, split_called

PREFIX = "hf:"
FORM = "hf:ORG/NAME[/CONFIG][@REVISION][:SPLIT]"
_FORM = re.compile(
    r"hf:(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:/(?P<config>[\w.+-]+))?(?:@(?P<revision>[\w./-]+))?(?::(?P<split>[\w.-]+))?\Z"
)
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True)
class HubName:
    """What is asked of the hub.

    Args:
        name: of the data set, with its organisation.
        config: which of its parts that have columns of their own; "" for the only one.
        revision: a branch, a tag or a commit; "" for the newest.
        split: one of its splits; "" for all.
    """

    name: str
    config: str = ""
    revision: str = ""
    split: str = ""

    def __str__(self) -> str:
        parts = (f"/{self.config}" * bool(self.config), f"@{self.revision}" * bool(self.revision))
        return f"{PREFIX}{self.name}{''.join(parts)}{f':{self.split}' * bool(self.split)}"


def is_of_hub(place: object) -> bool:
    """Whether a place of data is on the hub."""
    return isinstance(place, str | Path) and str(place).startswith(PREFIX)


def hub_name(text: str, where: str) -> HubName:
    """What a text asks of the hub.

    Raises:
        UserError: naming `where`, if it is not of the form.
    """
    found = _FORM.match(text)
    if not found:
        raise UserError(where, repr(text), FORM)
    return HubName(found["name"], found["config"] or "", found["revision"] or "", found["split"] or "")


def hub_data(asked: HubName, where: str) -> tuple[HubName, Mapping[str, ArrowTable]]:
    """A data set, or one split of it, from the hub or from the cache: its name with the commit that it is of, where that is
    known, and the tables by the data set's own names of its splits.

    Raises:
        UserError: naming `where`, if `datasets` is not installed, the data set or the split cannot be had, or the cache has
            another revision than is asked for.
    """
    try:
        datasets: Any = import_module("datasets")
    except ImportError:
        raise UserError(where, f"{asked} and no library datasets", mend=f"install it: {INSTALL}") from None
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    import_module("huggingface_hub").logging.set_verbosity_error()  # it tells of each try on standard error
    try:
        loaded: Any = datasets.load_dataset(asked.name, asked.config or None, revision=asked.revision or None)
    except Exception as error:  # of the network, of the hub, of the data: many libraries', with no common parent
        said = " ".join(str(error).split())[:300]
        expected = f"a data set of the hub that can be reached, or is in the cache: {FORM}"
        raise UserError(where, f"{asked}, which cannot be loaded ({type(error).__name__}: {said})", expected) from None
    splits = {str(name): each for name, each in loaded.items()}
    commit = next((found for each in splits.values() if (found := _commit(each))), "")
    if _COMMIT.match(asked.revision) and commit and commit != asked.revision:
        raise UserError(where, f"revision {commit} in the cache", f"{asked.revision}: once with a network")
    if asked.split and asked.split not in splits:
        raise UserError(where, f"{asked} without a split of that name", f"one of {', '.join(splits)}")
    found = {name: each.data.table for name, each in splits.items() if not asked.split or name == asked.split}
    return replace(asked, revision=commit or asked.revision), found


def hub_rows(text: str, split: str, where: str) -> tuple[list[Row], str]:
    """The rows of one split, and what was read, with its revision.

    Args:
        text: what is asked for.
        split: FlowBot's own name of the split that the rows are for, which is taken if none is named; "" for none.
        where: how errors name the request.

    Raises:
        UserError: as `hub_data`; if it is not clear which split is meant, or that is too large.
    """
    found, tables = hub_data(hub_name(text, where), where)
    names = [name for name in tables if found.split or (split_called(name) == split if split else len(tables) == 1)]
    if len(names) != 1:
        expected = f"one split, such as {found}:{next(iter(tables))}"
        raise UserError(where, f"{found}, which has {listed(list(tables))}", expected)
    table, place = tables[names[0]], replace(found, split=names[0])
    if table.nbytes > MOST_DATA:
        expected = f"at most {MOST_DATA:,}: flowbot init {place} takes a part"
        raise UserError(where, f"{table.nbytes:,} bytes in {place}", expected)
    return arrow_rows(table, str(place)), str(place)


def _commit(split: Any) -> str:
    """The commit that a split is of: its folder in the cache has the name."""
    files = [Path(each["filename"]).parent.name for each in split.cache_files]
    return next((name for name in files if _COMMIT.match(name)), "")


def known_splits(names: Sequence[str]) -> dict[str, Split]:
    """FlowBot's own names of the splits that have one, each once; none where it is one alone, which is to be divided."""
    found: dict[str, Split] = {}
    for name in names:
        own = split_called(name)
        if own is not None and own not in found.values():
            found[name] = own
    return found if len(found) > 1 else {}
