"""What is recorded is what a task reads, with what people said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from serve_help import ONE, TYPED, served, workflow_of

import flowbot as fb
from flowbot.fields import UserError
from flowbot.fields.files import lines
from flowbot.serve import record
from flowbot.serve.face import Face
from flowbot.serve.record import Recording
from flowbot.task.data import read_rows
from flowbot.task.examples import checked_examples

FIELDS = {
    "inputs": [fb.Field.of("note", "str"), fb.Field.of("most", "int")],
    "outputs": [fb.Field.of("total", "int"), fb.Field.of("sure", "bool")],
}


async def test_feedback_amends_the_row_of_its_request(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    async with served(TYPED, lambda request, _: json.dumps({"total": 2, "sure": True}), record=file) as bench:
        ids = [(await bench.post("/run", {"note": note, "most": 9}))[1]["id"] for note in ("a", "b", "c", "d")]
        said: list[dict[str, Any]] = [
            {"id": ids[1], "outputs": {"total": "3"}, "feedback": "it is three"},
            {"id": ids[2], "right": False},
            {"id": ids[3], "right": True},
        ]
        assert [(await bench.post("/feedback", each))[0] for each in said] == [200] * 3
    found = checked_examples(read_rows(file), where="rows", **FIELDS)
    assert [(each.id, each.inputs["note"]) for each in found] == list(zip(ids, "abcd", strict=True))
    assert [dict(each.expected) for each in found] == [
        {"total": 2, "sure": True},
        {"total": 3, "sure": True},
        {},
        {"total": 2, "sure": True},
    ]
    assert (found[1].feedback, found[3].extra) == ("it is three", {"right": True})


async def test_feedback_reads_what_is_new_alone_and_finds_rows_of_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, ids = tmp_path / "rows.jsonl", [f"{number:024x}" for number in range(3)]
    seen: list[bytes] = []
    face = Face.of(workflow_of(TYPED), "shop")
    one, other = Recording(file, face), Recording(file, face)

    def counted(*given: Any, **more: Any) -> Any:
        for line in lines(*given, **more):
            seen.append(line)
            yield line

    monkeypatch.setattr(record, "lines", counted)
    for id in ids[:2]:
        one.add(id, {"note": "a", "most": 1}, {"total": 1, "sure": True})
    await other.amend({"id": ids[0], "right": True})
    await other.amend({"id": ids[1], "right": True})
    assert len(seen) == 3  # two rows, then the first amendment
    one.add(ids[2], {"note": "a", "most": 1}, {"total": 1, "sure": True})
    await other.amend({"id": ids[2], "right": True})
    file.write_text("")  # begun anew
    with pytest.raises(UserError, match="of no row here"):
        await other.amend({"id": ids[0], "right": True})
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"id": "0" * 24, "right": True}, "feedback: id: found 000000000000000000000000, of no row here"),
        ({"id": "x", "right": True}, "feedback: id: found 'x'"),
        ({"id": "0" * 24, "stars": 3}, "feedback: found the unknown"),
        ({"id": "0" * 24, "right": "yes"}, "feedback: right: found"),
        ({"id": "0" * 24, "outputs": {"totl": 3}}, "feedback: outputs: found the unknown output totl"),
        ({"id": "0" * 24, "outputs": {"total": "many"}}, "feedback: outputs: total: found"),
        ({"id": "0" * 24, "feedback": "x" * 5000}, "feedback: feedback: found"),
    ],
)
async def test_feedback_that_is_none_is_refused(tmp_path: Path, said: Any, message: str) -> None:
    file = tmp_path / "rows.jsonl"
    async with served(TYPED, lambda request, _: json.dumps({"total": 2, "sure": True}), record=file) as bench:
        status, body, _ = await bench.post("/feedback", said)
        assert status == 400
        assert message in body["error"]["message"]
    assert file.read_text() == ""


async def test_nothing_is_recorded_unless_it_is_asked_for() -> None:
    async with served(ONE, lambda request, _: "yes") as bench:
        status, body, _ = await bench.post("/feedback", {"id": "0" * 24, "right": True})
        assert status == 404
        assert "flowbot serve --record FILE" in body["error"]["message"]


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    face = Face.of(workflow_of(ONE), "shop")
    with pytest.raises(UserError, match=r"expected one that ends in \.jsonl"):
        Recording(tmp_path / "rows.csv", face)
    with pytest.raises(UserError, match="No such file"):
        Recording(tmp_path / "no" / "rows.jsonl", face)
    named = workflow_of({**ONE, "outputs": {"id": "only.text"}})
    with pytest.raises(UserError, match="found a workflow with a field id"):
        Recording(tmp_path / "rows.jsonl", Face.of(named, "shop"))
    twice = workflow_of({**ONE, "outputs": {"question": "only.text"}})
    with pytest.raises(UserError, match="found question as an input and as an output"):
        Recording(tmp_path / "rows.jsonl", Face.of(twice, "shop"))


def test_a_column_of_that_name_is_a_column_where_it_amends_nothing(tmp_path: Path) -> None:
    file = tmp_path / "acts.jsonl"
    rows = [{"id": "7", "amends": "6"}, {"amends": "9"}, {"amends": "7", "title": "x"}]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert [dict(row.values) for row in read_rows(file)] == [{"id": "7", "amends": "6", "title": "x"}, {"amends": "9"}]
