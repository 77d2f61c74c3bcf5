"""Write what comes from the code: `cli.md` from the commands, `python.md` from the docstrings, the table of `sets.md` from the sets.

    python docs/reference.py

A test fails when the pages differ from what the code gives now.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, cast
from unittest.mock import patch

from griffe import Docstring, DocstringSection, DocstringSectionKind
from pydantic import BaseModel

import flowbot
from flowbot.benchmark.sets.benchmark_set import BenchmarkSet
from flowbot.benchmark.sets.registry import list_sets
from flowbot.cli.app import app

FOLDER = Path(__file__).parent
CHAPTERS = {
    "Tasks, examples and metrics": ("task", "draft", "checks"),
    "Optimising and evaluating": ("optimizer", "run", "notebook"),
    "Comparing methods": ("benchmark",),
    "Using a workflow": ("runtime",),
    "Pipelines of your own": ("program", "export"),
    "Workflows": ("workflow",),
    "Budget and pace": ("lm",),
    "Values and errors": ("fields",),
    "Reports": ("report",),
}
"""Chapters of the Python page, with the packages that their names come from."""
CLI_INTRODUCTION = """\
# Command line

Written from the code; `flowbot VERB --help` shows the same. With `--json` a verb prints one JSON object and nothing else. The same
command again resumes what was cut off, and repeats what is done at no cost.

An option that verbs share has an environment variable, named with it below: `FLOWBOT_MAX_USD` is that of `--max-usd`. What is typed wins, and a variable that is
empty counts as not set. A `.env` sets none of them, and of Python only the cache folder's is read: `fb.optimize` takes its models and ceilings from your code.
`flowbot demo` takes its models from no variable, so that it costs nothing.

For completion in bash or zsh, `source <(flowbot completion bash)` in the shell's start-up file; in fish, `flowbot completion fish | source`. `python -m flowbot` is `flowbot`.

Exit status: 0 done, 1 the work failed, 2 wrong use, 3 paused, to be given again. [Questions and troubles](questions.md#exit-statuses) says more.
"""
PYTHON_INTRODUCTION = """\
# Python

Written from the code. Everything here is a name of `flowbot`, by custom `import flowbot as fb`. [Python and notebooks](in-python.md) shows how they go together.
"""
LINE = 100


def cli_page() -> str:
    """The reference of the command line."""
    with patch.object(sys, "argv", ["flowbot"]):  # from which the usage lines take the program's name
        body = app.generate_docs(heading_level=1)
    body = re.sub(r"\n {8}(?=\S)", " ", body[body.index("**Commands**") :])
    return f"{CLI_INTRODUCTION}\n{body.strip()}\n"


def python_page() -> str:
    """The reference of the public names."""
    found: dict[str, list[str]] = {chapter: [] for chapter in CHAPTERS}
    for name in sorted(flowbot.__all__, key=str.casefold):
        value = getattr(flowbot, name)
        package = value.__module__.split(".")[1]
        chapter = next(title for title, packages in CHAPTERS.items() if package in packages)
        found[chapter].append("\n\n".join(_object(name, value)))
    chapters = [f"## {chapter}\n\n" + "\n\n".join(texts) for chapter, texts in found.items() if texts]
    return PYTHON_INTRODUCTION + "\n" + "\n\n".join(chapters) + "\n"


def sets_page(page: str) -> str:
    """The page of sets with the table of those that there are; the tasks of a family are one row."""
    families: dict[str, list[BenchmarkSet]] = {}
    for each in list_sets():
        families.setdefault(each.name.partition("/")[0], []).append(each)
    rows = [" | ".join(_set_cells(name, members)) for name, members in families.items()]
    head = "| set | what is asked | variants | right if | published as | on the hub | licence | train, val and test |"
    table = "\n".join([head, "|---" * 8 + "|", *(f"| {row} |" for row in rows)])
    start, end = "<!-- the table: python docs/reference.py -->", "<!-- the end of the table -->"
    before, after = page.split(start)[0], page.split(end)[1]
    return f"{before}{start}\n{table}\n{end}{after}"


def _set_cells(family: str, members: Sequence[BenchmarkSet]) -> Iterator[str]:
    first, alone = members[0], len(members) == 1
    yield f"`{first.name}`" if alone else ", ".join(f"`{each.name}`" for each in members)
    yield first.about if alone else f"one of {len(members)} tasks of {family}"
    yield ", ".join(f"`{each}`" for each in first.variants if each)
    yield first.metric
    yield first.source if alone else first.source.replace(first.name.partition("/")[2], "TASK")
    yield f"`{first.hub}`" if first.hub else ""
    yield first.licence
    yield first.split


def _object(name: str, value: Any) -> Iterator[str]:
    """Heading, signature and docstring of a function or class, then its public members."""
    yield f"### `{name}`"
    if inspect.isclass(value) and issubclass(value, Exception):
        base = value.__bases__[0].__name__
        yield "An exception." if base.startswith("_") or base == "Exception" else f"An exception, a `{base}`."
    else:
        yield _call(name, value)
    yield from _documentation(value)
    if not inspect.isclass(value):
        return
    for member, attribute in vars(value).items():
        if member.startswith("_") or not _is_member(attribute):
            continue
        yield f"#### `{name}.{member}`"
        if not isinstance(attribute, property):
            yield _call(f"{name}.{member}", getattr(value, member))
        yield from _documentation(attribute)


def _is_member(attribute: Any) -> bool:
    """Whether it is a method or property that says what it is."""
    kinds = (property, staticmethod, classmethod, FunctionType)
    return isinstance(attribute, kinds) and bool(inspect.getdoc(cast("object", attribute)))


def _call(name: str, value: Any) -> str:
    """How something is called, a parameter a line where it is long."""
    signature = _signature(value)
    given: list[str] = []
    kind = None
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if kind == each.POSITIONAL_ONLY and each.kind != kind:
            given.append("/")
        if each.kind == each.KEYWORD_ONLY and kind not in (each.KEYWORD_ONLY, each.VAR_POSITIONAL):
            given.append("*")
        given.append(_parameter(each))
        kind = each.kind
    returned = "" if signature.return_annotation is signature.empty else f" -> {_type(signature.return_annotation)}"
    if inspect.isclass(value):
        returned = ""
    text = f"{name}({', '.join(given)}){returned}"
    if len(text) > LINE:
        text = f"{name}(\n" + "".join(f"    {each},\n" for each in given) + f"){returned}"
    return f"```python\n{text}\n```"


def _signature(value: Any) -> inspect.Signature:
    """The signature; of a pydantic model, whose own depends on whether it was used before, by its annotations."""
    if not (inspect.isclass(value) and issubclass(value, BaseModel)):
        return inspect.signature(value)
    kind, none = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    fields = [
        (name, annotation, value.model_fields[name]) for name, annotation in inspect.get_annotations(value).items()
    ]
    return inspect.Signature(
        [
            inspect.Parameter(name, kind, annotation=annotation, default=none if field.is_required() else field.default)
            for name, annotation, field in fields
        ]
    )


def _parameter(given: inspect.Parameter) -> str:
    stars = {given.VAR_POSITIONAL: "*", given.VAR_KEYWORD: "**"}.get(given.kind, "")
    typed = "" if given.annotation is given.empty else f": {_type(given.annotation)}"
    if given.default is given.empty:
        return f"{stars}{given.name}{typed}"
    default = cast("object", given.default)
    plain = default is None or isinstance(default, str | int | float | bool | tuple)
    return f"{given.name}{typed}{' = ' if typed else '='}{repr(cast('object', default)) if plain else '…'}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _documentation(value: Any) -> Iterator[str]:
    text = re.sub(r"(?m)^Args of the constructor.*:$", "Args:", inspect.getdoc(value) or "")
    documented = Docstring(text, parser="google")
    for section in documented.parse(returns_named_value=False, returns_multiple_items=False, warnings=False):
        yield from _section(section)


def _section(section: DocstringSection) -> Iterator[str]:
    match section.kind:
        case DocstringSectionKind.text:
            yield _with_examples(section.value).strip()
        case DocstringSectionKind.parameters | DocstringSectionKind.attributes as kind:
            if kind is DocstringSectionKind.attributes:
                yield "Attributes:"
            yield "\n".join(f"- `{each.name}`: {_joined(each.description)}" for each in section.value)
        case DocstringSectionKind.raises:
            yield "Raises:"
            yield "\n".join(f"- `{each.annotation}`: {_joined(each.description)}" for each in section.value)
        case DocstringSectionKind.returns:
            yield f"Returns {_joined(section.value[0].description)}"
        case _:
            raise ValueError(
                f"a docstring with a section of the kind {section.kind.value}; expected one that is written here"
            )


def _joined(text: str) -> str:
    return " ".join(text.split())


def _with_examples(text: str) -> str:
    """A text in which examples (`>>>`, and what follows up to an empty line) are blocks of code."""
    return re.sub(r"(?m)^ *>>>(?:.+\n?)+", lambda found: f"```pycon\n{textwrap.dedent(found[0]).rstrip()}\n```\n", text)


def main() -> None:
    """Write all of it."""
    sets = sets_page((FOLDER / "sets.md").read_text(encoding="utf-8"))
    for name, page in (("cli.md", cli_page()), ("python.md", python_page()), ("sets.md", sets)):
        (FOLDER / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
