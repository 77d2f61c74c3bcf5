"""The pages that come from the code say what the code says now."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest
from doc_snippets import ROOT

import flowbot
from flowbot.benchmark.sets.benchmark_set import BenchmarkSet
from flowbot.benchmark.sets.registry import list_sets
from flowbot.cli.app import app

STALE = "docs/{} differs from the code; write it again with: python docs/reference.py"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def committed(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_page_of_commands_is_what_the_code_gives(reference: ModuleType) -> None:
    assert reference.cli_page() == committed("cli.md"), STALE.format("cli.md")


def test_the_page_of_python_names_is_what_the_code_gives(reference: ModuleType) -> None:
    assert reference.python_page() == committed("python.md"), STALE.format("python.md")


def test_the_table_of_sets_is_what_the_code_gives(reference: ModuleType) -> None:
    assert reference.sets_page(committed("sets.md")) == committed("sets.md"), STALE.format("sets.md")


@pytest.mark.parametrize("each", list_sets(), ids=lambda each: each.name)
def test_every_set_says_where_it_is_from_and_what_it_rewards(each: BenchmarkSet) -> None:
    for told in (each.about, each.source, each.licence, each.metric):
        assert told
        assert "|" not in told, "it stands in a table"


def test_every_verb_and_every_public_name_has_its_heading() -> None:
    commands, names = committed("cli.md"), committed("python.md")
    assert [verb for verb in app if not verb.startswith("-") and f"flowbot {verb}" not in commands] == []
    assert [name for name in flowbot.__all__ if f"### `{name}`" not in names] == []
