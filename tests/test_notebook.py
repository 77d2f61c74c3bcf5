"""The notebook of the first hour runs from top to bottom, and shows what its text promises."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "notebook" / "first_hour.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The outputs of each code cell by its id, executed on copies and with a store of its own."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("notebook", "orders"):
        shutil.copytree(ROOT / "examples" / name, folder / name, ignore=shutil.ignore_patterns("runs"))
    notebook = nbformat.read(folder / "notebook" / NOTEBOOK.name, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOT_CACHE_DIR", str(folder / "cache"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder / "notebook")}})
        client.execute()
    return {cell["id"]: cell["outputs"] for cell in notebook.cells if cell.cell_type == "code"}


def shown(outputs: list[dict[str, Any]]) -> str:
    """All that a cell shows: printed lines, plain text and HTML."""
    said = [str(each.get("text", "")) for each in outputs]
    for each in outputs:
        said += [str(text) for text in each.get("data", {}).values()]
    return "\n".join(said)


def test_the_repository_keeps_it_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [cell["id"] for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]


def test_no_cell_ends_in_an_error_or_a_warning(executed: dict[str, list[dict[str, Any]]]) -> None:
    for name, outputs in executed.items():
        kinds = {each["output_type"] for each in outputs}
        assert "error" not in kinds, name
        assert "stderr" not in {each.get("name") for each in outputs}, (name, outputs)


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("task", ["Task orders", "an order note as the customer typed it", "45 train, 45 val, 90 test"]),
        ("start", ["on 45 val examples", "not right"]),
        ("failure", ["answer · llm", "<pre"]),
        ("optimize", ["The found workflow scores", "better by", "<svg", "<progress", "The start scores"]),
        ("verdict", ["The found workflow scores", "better by"]),
        ("again", ["0 calls were paid for this time", "start: The start scores"]),
        ("after", ["on 45 val examples", "% before"]),
        ("save", ["flow(note: str) → total"]),
        ("use", ["{'total': 14}"]),
        ("trace", ["· llm", "· code"]),
        ("mistakes", ["flow(): found the input 'nota'; expected note"]),
        ("report", ["report.html"]),
    ],
)
def test_a_cell_shows_what_the_text_promises(
    executed: dict[str, list[dict[str, Any]]], cell: str, parts: list[str]
) -> None:
    said = shown(executed[cell])
    assert [part for part in parts if part not in said] == []


def test_every_object_has_a_plain_text_beside_its_page(executed: dict[str, list[dict[str, Any]]]) -> None:
    for outputs in executed.values():
        for each in outputs:
            if "text/html" in each.get("data", {}):
                assert len(each["data"]["text/plain"]) < 800
                assert len(each["data"]["text/html"]) < 100_000


SLOW = """
import flowbot as fb
rows = [(f"{n} pens and {n + 1} cups", 2 * n + 1) for n in range(30)]
task = fb.Task(goal="Add up.", inputs={"note": str}, outputs={"total": int}, metric="numeric", rows=rows)

def go(event):
    if event.done == 3:
        print("go", flush=True)

def given(seed):
    common = {"method": "none+none", "effort": "low", "run_dir": f"run-{seed}", "progress": go, "pace": fb.Pace(concurrency=2)}
    return {"lm": f"fake/counter?clock=real&latency=0.2&seed={seed}", **common}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A kernel with a small task in it."""
    folder = tmp_path_factory.mktemp("kernel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWBOT_CACHE_DIR", str(folder / "cache"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        manager, client = start_new_kernel(cwd=str(folder))
    client.execute_interactive(SLOW, timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("call", ["fb.optimize(task, **given(1))", "await fb.optimize_async(task, **given(2))"])
def test_the_stop_button_pauses_a_cell_and_the_same_cell_goes_on(
    kernel: tuple[KernelManager, BlockingKernelClient], call: str
) -> None:
    manager, client = kernel
    pressed: list[bool] = []

    def press(message: dict[str, Any]) -> None:
        if "go" in message["content"].get("text", "") and not pressed:
            pressed.append(True)
            manager.interrupt_kernel()

    reply = client.execute_interactive(call, output_hook=press, timeout=60)
    assert pressed
    assert (reply["content"]["status"], reply["content"]["ename"]) in {
        ("error", "KeyboardInterrupt"),
        ("error", "CancelledError"),
    }
    said: list[str] = []
    again = f"result = {call}\nprint(result.status, result.now.calls < sum(result.calls.values()))"
    reply = client.execute_interactive(
        again, output_hook=lambda message: said.append(message["content"].get("text", "")), timeout=60
    )
    assert reply["content"]["status"] == "ok"
    assert "done True" in "".join(said)


def test_a_slip_in_a_cell_is_shown_as_one_line(kernel: tuple[KernelManager, BlockingKernelClient]) -> None:
    _, client = kernel
    reply = client.execute_interactive("fb.optimize(task, lm='fake/counter', effort='mediun')", timeout=60)
    assert reply["content"]["traceback"] == [
        "UserError: effort: found 'mediun'; expected one of low, medium, high (did you mean 'medium'?), "
        "or a whole number of search calls from 1 to 1,000,000"
    ]
