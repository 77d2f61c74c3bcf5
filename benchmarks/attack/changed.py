"""Every single-value change of a run's files, and who reads them: what the attempts on run folders share.

A value, be it a leaf or a list or mapping with all that is in it, is replaced by each of `VALUES`. Places that differ only in
the number of a list's item or of a line stand for each other: the first is changed.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

VALUES = {
    "null": "null",
    "true": "true",
    "minus one": "-1",
    "huge float": "1e308",
    "NaN": "NaN",
    "400 digits": "9" * 400,
    "5000 digits": "9" * 5000,
    "text": '"x"',
    "empty text": '""',
    "empty list": "[]",
    "empty object": "{}",
    "deep": "[" * 10_000 + "]" * 10_000,
    "half a pair": '"\\ud800"',
    "controls": '"\\u0000\\u001b[2J\\u202e"',
    "long": json.dumps("y" * 1_000_000),
}
"""JSON texts by name."""
FILES = ("journal.jsonl", "examples.jsonl", "result.json", "found.flow.yaml", "start.flow.yaml")
_MARK = "@@changed@@"


def make_run(folder: Path) -> Path:
    """A small finished run of fake models in `folder`/run, whose search kept and dropped changes."""
    import flowbot as fb

    rows = [{"id": f"r{n}", "word": "ab" * (n % 9 + 1), "count": n % 9 + 1} for n in range(30)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "flowbot": 1,
        "goal": "Say how many letters the word has.",
        "inputs": {"word": "str"},
        "outputs": {"count": "int"},
        "metric": "numeric",
        "data": {"all": "rows.jsonl", "split": [0.4, 0.3, 0.3]},
    }
    (folder / "task.yaml").write_text(json.dumps(task))
    resume(folder)
    fb.write_report(folder / "run")
    return folder / "run"


def resume(folder: Path) -> None:
    """The command that made the run, once more."""
    command(folder, "optimize", "task.yaml", "--model", "fake/counter", "--effort", "low", "--run-dir", "run")


def command(folder: Path, *words: str) -> str:
    """A command line in this process: what it prints. Its errors come as they are raised."""
    from flowbot.cli.app import app

    said = io.StringIO()
    os.environ["FLOWBOT_CACHE_DIR"] = str(folder / "cache")
    with chdir(folder), redirect_stdout(said), redirect_stderr(said):
        app(list(words), exit_on_error=False, print_error=False, result_action="return_value")
    return said.getvalue()


READERS: dict[str, Callable[[Path], object]] = {
    "report": lambda folder: command(folder, "report", "run"),
    "list": lambda folder: command(folder, "show", "run"),
    "show": lambda folder: command(folder, "show", "run", example_of(folder), "--full"),
    "show --json": lambda folder: command(folder, "show", "run", example_of(folder), "--json"),
    "compare": lambda folder: command(folder, "compare", "run", "other"),
    "compare --json": lambda folder: command(folder, "compare", "other", "run", "--split", "val", "--json"),
    "diff": lambda folder: command(folder, "diff", "run"),
    "run": lambda folder: command(folder, "run", "run/found.flow.yaml", "word=ab", "--model", "fake/counter"),
    "optimize": resume,
}


def example_of(folder: Path) -> str:
    """The id of an example that gradients speak of, in the run beside it that nobody changed."""
    for line in (folder / "other" / "journal.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "feedback":
            return event["example"]
    raise LookupError("no gradient")


def changes(path: Path, kinds: tuple[str, ...] = tuple(VALUES)) -> Iterator[tuple[str, str]]:
    """Each change of a file: its name, and the whole text with it."""
    text = path.read_text()
    if path.suffix == ".jsonl":
        lines = text.splitlines(keepends=True)
        seen: set[str] = set()
        for number, line in enumerate(lines):
            data = json.loads(line)
            for place, changed in _changed(data):
                name = data.get("event", "") + re.sub(r"\[\d+\]|[0-9a-f]{64}", "*", place)
                if name in seen:
                    continue
                seen.add(name)
                for kind in kinds:
                    new = changed.replace(f'"{_MARK}"', VALUES[kind]) + "\n"
                    yield (
                        f"{path.name}:{number + 1}{place} {kind}",
                        "".join([*lines[:number], new, *lines[number + 1 :]]),
                    )
        return
    if path.suffix == ".json":
        data = json.loads(text)
    else:
        from flowbot.fields.yaml import parse_data

        data = parse_data(text, str(path))
    for place, changed in _changed(data):
        for kind in kinds:
            yield f"{path.name}{place} {kind}", changed.replace(f'"{_MARK}"', VALUES[kind])


def _changed(data: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each place in the data, and the JSON text with the mark there."""
    root = [data]

    def walk(holder: Any, key: Any, place: str) -> Iterator[tuple[str, str]]:
        value = holder[key]
        holder[key] = _MARK
        yield place, json.dumps(root[0])
        holder[key] = value
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, _ in list(inside):
            yield from walk(value, name, f"{place}[{name}]" if isinstance(value, list) else f"{place}.{name}")

    yield from walk(root, 0, place)
