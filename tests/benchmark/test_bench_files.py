"""The comparisons that come with the repository: each can be read, every method fits its tasks, and the small one runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from set_look_alikes import write_look_alikes

from first_jobs.model import Asked, Thinker
from flowbot.benchmark.bench_file import BenchFile, read_bench
from flowbot.benchmark.plan import cells_of
from flowbot.benchmark.sets.registry import load_set
from flowbot.cli import main
from flowbot.fields import UserError
from flowbot.runtime.sandbox.bubblewrap import BubblewrapSandbox
from flowbot.runtime.starts import starts
from flowbot.task import Task
from flowbot.workflow.starts import Start
from mocked import anything

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = {"gepa": "gepa", "mipro": "dspy"}
"""Inner optimisers and the packages that they are made of."""
FITTED = ("single-call", "chain-of-thought", "self-consistency", "react", "program-of-thought")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files, beside data that looks like that of the sets."""
    try:
        BubblewrapSandbox.checked()
    except UserError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("bench")
    write_look_alikes(folder / "shared" / "data")
    (folder / "repository" / "benchmarks").mkdir(parents=True)
    (folder / "repository" / "examples").symlink_to(ROOT / "examples")
    (folder / "repository" / "benchmarks" / "peers").symlink_to(ROOT / "benchmarks" / "peers")
    for file in (ROOT / "benchmarks").glob("*.yaml"):
        text = re.sub(r"rows: \[.*?\]", "rows: [2, 2, 2]", file.read_text(encoding="utf-8"))
        for method, package in PUBLISHED.items():
            if find_spec(package) is None:  # of an extra
                text = re.sub(rf"\n.*method: none\+{method}\b.*", "", text)
        (folder / "repository" / "benchmarks" / file.name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["small", "local", "qa_reasoning", "paper_suite", "inner", "inner_sweep"])
def test_a_comparison_can_be_read_and_every_start_fits_the_tasks_that_it_is_run_on(place: Path, name: str) -> None:
    file: BenchFile = read_bench(place / "repository" / "benchmarks" / f"{name}.yaml")

    assert file.name == name
    assert {task for column in file.published for task in column.scores} <= set(file.tasks)
    for task, method in sorted({(cell.task, cell.method) for cell in cells_of(file)}):
        start = file.starts.get(method)
        if isinstance(start, Start):
            assert starts(start.name, file.tasks[task], cache_dir=place / "cache").sketch.nodes


def flowbot(*arguments: str) -> object:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


SEEN: list[str] = []
"""What the model was asked."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Thinker]:
    """A model that gives whatever fits."""
    SEEN.clear()

    def mind(asked: Asked) -> str:
        SEEN.append(asked.text)
        return anything(asked)

    with Thinker(mind) as thinker:
        monkeypatch.setenv("OPENAI_BASE_URL", thinker.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield thinker


def test_the_small_comparison_runs_and_a_second_time_asks_nothing(
    endpoint: Thinker, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["bench", str(place / "repository" / "benchmarks" / "small.yaml"), "--only", "orders/*", "--json"]
    command += ["--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")]

    assert flowbot(*command) == 0
    told = capsys.readouterr().out
    asked = endpoint.count.requests
    assert flowbot(*command) == 0

    assert set(re.findall(r'"method": "([\w-]+)"', told)) == {"single", "cot", "flowbot", "random", "plain"}
    assert endpoint.count.requests == asked > 0


def test_hidden_tests_are_in_no_request_and_in_nothing_that_a_comparison_leaves(
    endpoint: Thinker, place: Path, tmp_path: Path
) -> None:
    file = tmp_path / "code.yaml"
    file.write_text(
        f"tasks: {{code: {{set: humaneval, data: {place / 'shared' / 'data' / 'humaneval'}}}}}\n"
        "methods: {cot: {start: chain-of-thought}, flowbot: {method: flowbot+blame}, paper: {method: paper}}\n"
        "models: {mock: {task: openai/gpt-4.1-mini}}\neffort: [30]\n",
        encoding="utf-8",
    )

    assert flowbot("bench", str(file), "--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")) == 0

    left = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    shown, hidden = b"add_1(1) == 2", b"candidate(5) =="
    assert shown in left
    assert hidden not in left
    assert any(shown.decode() in each for each in SEEN)
    assert not any(hidden.decode() in each for each in SEEN)


def tasks_of_table(place: Path) -> Iterator[tuple[str, Task, list[str]]]:
    """Rows of the table in docs/sets.md: what stands first, its task on made-up rows, and a mark for each start."""
    page = (ROOT / "docs" / "sets.md").read_text(encoding="utf-8")
    for line in page.partition("## Which hand-written workflows fit")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if line.startswith("| `"):
            for told in re.findall(r"`([^`]+)`", cells[0]):
                name, _, variant = told.partition(" ")
                data = place / "shared" / "data" / name.replace("/", "_")
                yield told, load_set(name, data, variant=variant), cells[1:]


def test_the_table_of_what_fits_what_is_right(place: Path) -> None:
    rows = list(tasks_of_table(place))

    assert len(rows) >= 15
    for told, task, marks in rows:
        for name, mark in zip(FITTED, marks, strict=True):
            try:
                starts(name, task, cache_dir=place / "cache")
            except UserError:
                assert mark == "–", f"{name} on {told}"
            else:
                assert mark in ("yes", "poor"), f"{name} on {told}"
