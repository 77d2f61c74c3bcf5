"""`flowbot diff`: two workflows, or a run's start and what it found."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_help import FAKE, FLOW, flowbot, write_flow, write_task

from flowbot.cli.console import Console

Capture = pytest.CaptureFixture[str]


def _two(folder: Path, *changes: tuple[str, str]) -> list[str]:
    text = FLOW
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "b").mkdir()
    return [str(write_flow(folder)), str(write_flow(folder / "b", text))]


def test_a_changed_prompt_is_shown_word_by_word(capsys: Capture, tmp_path: Path) -> None:
    files = _two(tmp_path, ("List each thing with its number.", "List each ordered thing with its number."))
    said = flowbot(capsys, "diff", *files)
    assert (said.status, said.err) == (0, "")
    assert "answer, instruction" in said.out
    assert "List each{+ ordered+} thing with its number." in said.out
    assert "The steps and their wiring are the same." in said.out
    assert said.out.count("compute · code") == 2  # both drawings


def test_a_prompt_that_is_another_one_stands_below_the_old_one(capsys: Capture, tmp_path: Path) -> None:
    said = flowbot(capsys, "diff", *_two(tmp_path, ("List each thing with its number.", "Be brief!")))
    assert "  - List each thing with its number.\n  + Be brief!\n" in said.out


def test_changed_code_is_shown_line_by_line(capsys: Capture, tmp_path: Path) -> None:
    said = flowbot(capsys, "diff", *_two(tmp_path, ("return {'total': sum(", "return {'total': max(")))
    assert "    def run(items):" in said.out
    assert "  -     return {'total': sum(" in said.out
    assert "  +     return {'total': max(" in said.out


def test_code_that_did_not_change_is_left_out_but_for_some_lines(capsys: Capture, tmp_path: Path) -> None:
    files = _two(tmp_path, ("return {'total': sum(", "return {'total': max("))
    lines = "".join(f"    step{number} = {number}\\n" for number in range(20))
    for each in map(Path, files):
        text = each.read_text(encoding="utf-8")
        each.write_text(text.replace("def run(items):\\n", f"def run(items):\\n{lines}"), encoding="utf-8")
    code = flowbot(capsys, "diff", *files).out.partition("compute, code")[2]
    assert "step19 = 19" in code
    assert "step5 = 5" not in code


def test_changed_wiring_is_said_in_words(capsys: Capture, tmp_path: Path) -> None:
    changes = (
        ("  compute: {kind: code", "  again: {kind: llm, in: {note: note}, out: {word: str}}\n  compute: {kind: code"),
        ("items: answer.items", "items: answer.items, word: again.word"),
    )
    said = flowbot(capsys, "diff", *_two(tmp_path, *changes))
    assert "+ node again: llm, note → word: str" in said.out
    assert "+ node compute, in word: again.word" in said.out


def test_two_that_are_the_same_are_said_to_be(capsys: Capture, tmp_path: Path) -> None:
    file = str(write_flow(tmp_path))
    assert "are the same workflow" in flowbot(capsys, "diff", file, file).out
    facts = flowbot(capsys, "diff", file, file, "--json").json
    assert (facts["same"], facts["changes"], facts["texts"]) == (True, [], [])


def test_other_fields_are_said_to_be_another_task(capsys: Capture, tmp_path: Path) -> None:
    files = _two(tmp_path, ("{note: str}", "{text: str}"), ("{note: note}", "{text: text}"))
    said = flowbot(capsys, "diff", *files)
    assert "for different tasks" in said.out
    assert "note: str → text: str" in said.out
    facts = flowbot(capsys, "diff", *files, "--json").json
    assert facts["same_fields"] is False
    assert facts["b"]["inputs"] == {"text": "str"}
    assert facts["b"]["outputs"] == {"total": "int"}


def test_the_object_for_programs_holds_the_texts_in_pieces(capsys: Capture, tmp_path: Path) -> None:
    files = _two(tmp_path, ("List each thing", "List each ordered thing"))
    facts = flowbot(capsys, "diff", *files, "--json").json
    (text,) = facts["texts"]
    assert (text["node"], text["what"]) == ("answer", "instruction")
    assert ["new", " ordered"] in text["pieces"]
    assert "".join(piece for kind, piece in text["pieces"] if kind != "gone").startswith("List each ordered thing")


def test_long_unchanged_text_is_cut_around_the_change(capsys: Capture, tmp_path: Path) -> None:
    long = " ".join(f"word{number}" for number in range(200))
    first = FLOW.replace("List each thing with its number.", long)
    files = [str(write_flow(tmp_path, first)), str(write_flow(tmp_path / "b", first.replace("word100", "other")))]
    said = flowbot(capsys, "diff", *files)
    assert "[-word100-]{+other+}" in said.out
    text = said.out.partition("answer, instruction")[2]
    assert "word99" in text
    assert "word50 " not in text


def test_of_a_run_start_and_found_are_compared(capsys: Capture, tmp_path: Path) -> None:
    run, task = tmp_path / "run", str(write_task(tmp_path))
    common = ["--cache-dir", str(tmp_path / "cache"), "--run-dir", str(run), "--effort", "low", "--method", "none"]
    start = str(write_flow(tmp_path))
    assert flowbot(capsys, "optimize", task, "--start", start, *FAKE, *common, "--quiet").status == 0
    facts = flowbot(capsys, "diff", str(run), "--json").json
    assert (facts["a"]["name"], facts["b"]["name"], facts["same"]) == ("start", "found", True)
    other = str(write_flow(tmp_path / "b", FLOW.replace("List each thing", "Name each thing")))
    assert flowbot(capsys, "diff", str(run), other, "--json").json["texts"][0]["node"] == "answer"


def test_each_of_two_bad_files_has_its_line(capsys: Capture, tmp_path: Path) -> None:
    broken = tmp_path / "broken.flow.yaml"
    broken.write_text("flowbot: 1\nnodes: [\n", encoding="utf-8")
    said = flowbot(capsys, "diff", str(tmp_path / "none.flow.yaml"), str(broken))
    assert said.status == 2
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert "none.flow.yaml: found no such file" in lines[0]
    assert "broken.flow.yaml:" in lines[1]


def test_one_file_alone_and_an_empty_folder_are_refused(capsys: Capture, tmp_path: Path) -> None:
    file = str(write_flow(tmp_path))
    assert "a second workflow" in flowbot(capsys, "diff", file).error
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no found.flow.yaml" in flowbot(capsys, "diff", str(empty), file).error
    assert "the folder of a run" in flowbot(capsys, "diff", str(empty)).error


def test_on_a_terminal_a_changed_text_is_wrapped_with_its_marks(capsys: Capture) -> None:
    Console("rich").styled([("word " * 40, ""), ("{+new\x1b+}", "good")], indent=4)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("    ") for line in lines)
    assert "{+new\\x1b+}" in lines[-1]
