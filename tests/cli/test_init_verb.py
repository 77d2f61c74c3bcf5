"""`flowbot init`: from rows and a prompt to a folder that `check`, `eval` and `optimize` take as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pexpect
import pytest
from cli_help import FAKE, flowbot

from flowbot.task import Task
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of rows in the folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "orders.csv"
    lines = [f'"{n} pens and {n + 3} cups",{2 * n + 3},u{n % 9}\n' for n in range(1, 41)]
    path.write_text("note,total,user\n" + "".join(lines), encoding="utf-8")
    return path


def test_rows_and_a_prompt_become_a_task_and_a_start_that_run(capsys: Capture, rows: Path) -> None:
    prompt = rows.parent / "prompt.txt"
    prompt.write_text(
        'You are a clerk. You read\norders. Add the\nnumbers up. Reply like {"total": 3}.\n\nOrder: {note}\nTotal:',
        encoding="utf-8",
    )
    said = flowbot(capsys, "init", str(rows), "--prompt", str(prompt), "--outputs", "total", "--json")
    assert said.status == 0
    assert set(said.json) == {"dir", "inputs", "outputs", "metric", "group", "splits", "guesses", "next"}
    assert said.json["dir"] == "orders"
    assert said.json["inputs"] == {"note": "str"}
    assert said.json["outputs"] == {"total": "int"}
    assert (said.json["metric"], said.json["group"]) == ("numeric", "user")
    assert sum(said.json["splits"].values()) == 40
    assert all(set(each) == {"what", "guess", "why", "change"} for each in said.json["guesses"])
    assert said.json["next"][0] == "flowbot check orders/task.yaml"
    assert any("--start orders/start.flow.yaml" in line for line in said.json["next"])
    task = Task.load("orders")
    assert task.goal == "Add the numbers up."
    start = Workflow.load("orders/start.flow.yaml")
    (node,) = start.parameters.values()
    assert isinstance(node, LLMParameters)
    (message,) = node.messages
    assert message.filled(lambda name: f"{{{name}}}") == prompt.read_text(encoding="utf-8")
    assert (message.role, node.instruction, node.format_hint) == ("user", "", "")
    assert flowbot(capsys, "check", "orders/start.flow.yaml", "--task", "orders/task.yaml").status == 0
    scored = flowbot(capsys, "eval", "orders/start.flow.yaml", "orders/task.yaml", *FAKE, "--cache-dir", "c", "--json")
    assert (scored.status, scored.json["n"]) == (0, said.json["splits"]["val"])


def test_a_person_reads_every_guess_and_how_to_change_it(capsys: Capture, rows: Path) -> None:
    said = flowbot(capsys, "init", str(rows), "--outputs", "total")
    assert said.out.startswith("orders is made: task.yaml, train.jsonl (")
    for part in ("note: str", "total: int", "to change: --inputs", "numeric", "user", "--split", "flowbot optimize"):
        assert part in said.out
    assert flowbot(capsys, "init", str(rows), "--out", "again", "--quiet").out.count("\n") == 1


def test_wishes_replace_guesses(capsys: Capture, rows: Path) -> None:
    said = flowbot(
        capsys, "init", str(rows), "--out", "mine", "--inputs", "note,user", "--outputs", "total", "--metric", "exact",
        "--group", "none", "--split", "0.5,0.25,0.25", "--goal", "Count.", "--most", "15", "--json",
    )  # fmt: skip
    assert list(said.json["inputs"]) == ["note", "user"]
    assert (said.json["metric"], said.json["group"]) == ("exact", None)
    assert said.json["splits"] == {"train": 15, "val": 10, "test": 10}
    assert Task.load("mine").goal == "Count."


def test_without_labels_the_rubric_is_asked_for(capsys: Capture, rows: Path) -> None:
    rows.write_text("email\n" + "".join(f"mail {n}\n" for n in range(12)), encoding="utf-8")
    said = flowbot(capsys, "init", str(rows), "--outputs", "reply")
    assert "Finish the rubric in task.yaml" in said.out
    assert [field.name for field in Task.load("orders").outputs] == ["reply"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.csv"], "nothing.csv: found no such file"),
        (["orders.csv", "--out", "there"], "there: found something there already; expected a new folder: --out NAME"),
        (["orders.csv", "--metric", "f2"], "--metric: found 'f2'"),
        (["orders.csv", "--split", "0.5,0.5"], "--split: found '0.5,0.5'"),
        (["orders.csv", "--split", "a,b,c"], "--split"),
        (["orders.csv", "--prompt", "broken.json"], 'broken.json[0]: found {"role": "system"}; expected'),
        (["orders.csv", "--most", "0"], "--most: found 0"),
        (["orders.csv", "--most", "1.5"], "--most: found '1.5'; expected a whole number"),
        (["orders.csv", "--inputs", "nota"], "--inputs: found 'nota'"),
        (["orders.csv", "--prompt", "none.txt"], "none.txt: found no such file"),
        (["orders.csv", "--prompt", "empty.txt"], "empty.txt: found nothing"),
        ([], "FILE: found nothing"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(capsys: Capture, rows: Path, arguments: list[str], said: str) -> None:
    (rows.parent / "there").mkdir()
    (rows.parent / "empty.txt").touch()
    (rows.parent / "broken.json").write_text('[{"role": "system"}]')
    before = sorted(rows.parent.rglob("*"))
    found = flowbot(capsys, "init", *arguments)
    assert found.status == 2
    assert said in found.error
    assert sorted(rows.parent.rglob("*")) == before


def test_a_file_is_no_folder_that_force_may_write_into(capsys: Capture, rows: Path) -> None:
    taken = rows.parent / "taken"
    taken.write_text("mine")
    found = flowbot(capsys, "init", rows.name, "--out", "taken", "--force")
    assert (found.status, taken.read_text()) == (2, "mine")
    assert found.error == "flowbot: taken: found a file; expected a folder, or a name that is free: --out NAME"


def test_a_folder_of_data_keeps_its_name(capsys: Capture, rows: Path) -> None:
    folder = rows.parent / "shop"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        lines = [json.dumps({"text": f"{split} {n}", "label": "ab"[n % 2]}) for n in range(6)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert flowbot(capsys, "init", "shop", "--json").json["dir"] == "shop-task"
    assert flowbot(capsys, "init", "shop").error.startswith("flowbot: shop-task: found something there already")


def test_check_says_that_a_drafted_rubric_is_still_to_be_finished(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"what is thing {number} for?"} for number in range(20)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert flowbot(capsys, "init", "rows.jsonl", "--outputs", "reply").status == 0
    assert "still as drafted" in flowbot(capsys, "check", "rows").out
    task = Path("rows/task.yaml").read_text(encoding="utf-8")
    begun = task.index("(Say here in your own words")
    Path("rows/task.yaml").write_text(
        task[:begun] + "It names the thing." + task[task.index(".)", begun) + 2 :], encoding="utf-8"
    )
    assert "still as drafted" not in flowbot(capsys, "check", "rows").out


def _tickets(folder: Path, queue: str = "queue") -> Path:
    path = folder / "tickets.csv"
    lines = [f'{n},"Mail number {n}, please",{("billing", "repairs")[n % 2]},{n * 7 % 5}\n' for n in range(60)]
    path.write_text(f"id,body,{queue},csat\n" + "".join(lines), encoding="utf-8")
    return path


def test_labels_may_be_opened_or_named(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(_tickets(tmp_path))
    said = flowbot(capsys, "init", path, "--out", "closed")
    assert "no other answers than the 2 that the rows have: billing, repairs" in " ".join(said.out.split())
    assert "--labels none" in said.out
    assert flowbot(capsys, "init", path, "--out", "open", "--labels", "none", "--json").json["outputs"] == {
        "queue": "str"
    }
    named = flowbot(capsys, "init", path, "--out", "named", "--labels", "queue", "--json").json
    assert named["outputs"] == {"queue": "Literal['billing', 'repairs']"}
    assert flowbot(capsys, "init", path, "--labels", "quue").error.startswith("flowbot: --labels: found 'quue'")


def test_the_prompt_in_the_rows_is_the_start(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    turns = [
        [("system", "Say which team answers {it}."), ("user", f"mail {n}"), ("assistant", ("a team", "b team")[n % 2])]
        for n in range(30)
    ]
    rows = [json.dumps({"messages": [{"role": role, "content": text} for role, text in turn]}) for turn in turns]
    Path("chats.jsonl").write_text("\n".join(rows), encoding="utf-8")
    said = flowbot(capsys, "init", "chats.jsonl", "--json")
    assert said.json["inputs"] == {"message": "str"}
    start = Workflow.load("chats/start.flow.yaml")
    (node,) = start.parameters.values()
    messages = [(each.role, each.parts[0]) for each in node.messages]
    assert messages[0] == ("system", "Say which team answers {it}.")
    assert Task.load("chats").goal == "Say which team answers {it}."
    assert flowbot(capsys, "check", "chats/start.flow.yaml", "--task", "chats").status == 0


def test_a_leak_is_told_by_check(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = _tickets(tmp_path)
    text = path.read_text(encoding="utf-8").replace("billing", "billing,B").replace("repairs", "repairs,R")
    path.write_text(text.replace("queue,csat", "queue,code,csat"), encoding="utf-8")
    assert flowbot(capsys, "init", "tickets.csv", "--inputs", "body,code", "--outputs", "queue").status == 0
    said = " ".join(flowbot(capsys, "check", "tickets").out.split())
    assert "input code: a leak: it alone decides the answer (queue); leave it out of the inputs" in said
    assert flowbot(capsys, "init", "tickets.csv", "--out", "guessed", "--json").json["inputs"] == {"body": "str"}


def test_a_person_is_asked_what_is_wanted_and_whether_labels_are_all(tmp_path: Path) -> None:
    _ = _tickets(tmp_path, "kind_of_thing")
    child = pexpect.spawn(
        sys.executable, ["-m", "flowbot", "init", "tickets.csv"], cwd=str(tmp_path), encoding="utf-8", timeout=60
    )
    child.expect(r"Which columns are wanted, of id, body, kind_of_thing, csat\? \[\S+\]")
    child.sendline("Kind_Of_Thing")
    child.expect(r"kind_of_thing has 2 different values \(billing, repairs\)\. Can there be no others\? \[Y/n\]")
    child.sendline("no, there are more")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    task = Task.load(tmp_path / "tickets")
    assert {field.name: str(field.type) for field in task.outputs} == {"kind_of_thing": "str"}


def test_a_malformed_chat_is_told_by_its_files_name(capsys: Capture, rows: Path) -> None:
    chat = rows.parent / "chat.json"
    chat.write_text('[{"role": "bot", "content": "{note}"}]', encoding="utf-8")
    said = flowbot(capsys, "init", str(rows), "--prompt", str(chat), "--outputs", "total")
    assert said.status == 2
    assert f"{chat}[0]: found" in said.err
    assert not (rows.parent / "orders").exists()
