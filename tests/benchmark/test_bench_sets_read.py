"""Sets of the field from all their sources: normalised files, publishers' own, one file; and what is wrong in them, in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowbot.benchmark.sets import read
from flowbot.benchmark.sets.benchmark_set import BenchmarkSet
from flowbot.benchmark.sets.registry import find_set, list_sets, load_set
from flowbot.fields import UserError
from flowbot.task.row import Row


def write(folder: Path, files: Mapping[str, Sequence[Mapping[str, Any]] | str | bytes]) -> Path:
    """Files of JSON Lines, texts or bytes in a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            lines = content if isinstance(content, str) else "".join(json.dumps(each) + "\n" for each in content)
            path.write_text(lines, encoding="utf-8")
    return folder


def problems(*numbers: int) -> list[dict[str, str]]:
    return [
        {"question": f"What is {n} + {n}?", "answer": f"{n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n:,}"}
        for n in numbers
    ]


def test_normalised_files_are_taken_as_they_stand(tmp_path: Path) -> None:
    rows = [
        {"id": f"r{n}", "question": f"What is {n} + {n}?", "answer": str(2 * n), "rationale": "…"} for n in range(9)
    ]
    write(tmp_path, {"train.jsonl": rows[:3], "dev.jsonl": rows[3:6], "test.jsonl": rows[6:]})
    task = load_set("gsm8k", tmp_path, rows=[2, 1, 3])
    assert [each.id for each in (*task.train, *task.val, *task.test)] == ["r0", "r1", "r3", "r6", "r7", "r8"]
    assert task.test[0].expected == {"answer": 12}
    assert not task.test[0].extra, "a rationale would tell a search the way"
    assert task.test[0].place.endswith("test.jsonl:1")


def test_a_publishers_train_gives_half_of_its_rows_to_val_and_loses_those_of_test(tmp_path: Path) -> None:
    write(tmp_path, {"train.jsonl": problems(*range(500, 511)), "test.jsonl": problems(510, 600, 700)})
    task = load_set("gsm8k", str(tmp_path))
    assert [len(task.train), len(task.val), len(task.test)] == [5, 5, 3]
    assert {each.inputs["question"] for each in task.test} == {f"What is {n} + {n}?" for n in (510, 600, 700)}
    assert {each.expected["answer"] for each in task.test} == {1020, 1200, 1400}, (
        "the thousands' comma is none of a decimal"
    )


def test_what_is_tested_does_not_depend_on_how_much_of_the_rest_is_wanted(tmp_path: Path) -> None:
    file = write(tmp_path, {"all.jsonl": problems(*range(50))}) / "all.jsonl"
    whole = load_set("gsm8k", file)
    assert [len(whole.train), len(whole.val), len(whole.test)] == [10, 10, 30]
    for counts in ([10, 10, 5], [0, 0, 12], [1, 0, 30]):
        some = load_set("gsm8k", file, rows=counts)
        assert [each.id for each in some.test] == [each.id for each in whole.test[: counts[2]]]
        assert {each.id for each in some.train} <= {each.id for each in whole.train}


def test_the_order_in_which_rows_stand_in_a_publishers_file_does_not_matter(tmp_path: Path) -> None:
    one, other = (
        write(tmp_path / name, {"all.jsonl": problems(*order)})
        for name, order in (("a", range(30)), ("b", range(29, -1, -1)))
    )
    first, second = (load_set("gsm8k", each / "all.jsonl") for each in (one, other))
    assert first.identity == second.identity


def test_what_belongs_together_stays_in_one_split() -> None:
    rows = [Row(f"f:{n}", {"passage": n // 4, "question": n}) for n in range(40)]
    divided = read.divided({"train": rows[:32], "val": rows[32:]}, ("passage",))
    homes = {split: {row.values["passage"] for row in each} for split, each in divided.items()}
    assert homes["test"] == {8, 9}, "what the publisher calls validation is test where there is no test"
    assert len(homes["train"]) == len(homes["val"]) == 4
    assert not homes["train"] & homes["val"]


def test_question_types_from_the_publishers_lines(tmp_path: Path) -> None:
    lines = "NUM:dist How far is it to Aspen ?\nHUM:ind Who was Abb\xe9 Pierre ?\nENTY:animal What is a mule ?\n"
    write(tmp_path, {"train_5500.label": lines.encode("latin-1"), "TREC_10.label": b"LOC:city What is Oslo in ?\n"})
    task = load_set("trec6", tmp_path)
    assert {each.inputs["question"]: each.expected["answer"] for each in (*task.train, *task.val)} == {
        "How far is it to Aspen ?": "NUM",
        "Who was Abbé Pierre ?": "HUM",
        "What is a mule ?": "ENTY",
    }
    fine = load_set("trec6", tmp_path, variant="fine")
    assert fine.test[0].expected == {"answer": "LOC:city"}
    assert fine.name == "trec6-fine"
    assert len(fine.outputs[0].type.options) == 50
    write(tmp_path, {"TREC_10.label": "LOC:city What is Oslo in ?\nnothing of the kind\n"})
    with pytest.raises(
        UserError, match=r"TREC_10\.label:2: found 'nothing of the kind'; expected COARSE:fine and the question$"
    ):
        load_set("trec6", tmp_path)


def test_hard_tasks_from_the_publishers_object(tmp_path: Path) -> None:
    examples = [{"input": f"Sort: b{n} a", "target": f"a b{n}"} for n in range(5)]
    write(tmp_path, {"word_sorting.json": json.dumps({"canary": "…", "examples": examples})})
    task = load_set("bbh/word_sorting", tmp_path)
    assert [len(task.train), len(task.val), len(task.test)] == [1, 1, 3]
    assert task.test[0].place.startswith(f"{tmp_path / 'word_sorting.json'}: examples[")


def test_answers_of_hard_tasks_are_labels_where_they_can_be() -> None:
    types = {each.name: each for each in list_sets() if each.name.startswith("bbh/")}
    assert len(types) == 27
    kinds = {name: str(one.make(read.SetRows({}), "").outputs[0].type) for name, one in types.items()}
    assert kinds["bbh/navigate"] == "Literal['Yes', 'No']"
    assert kinds["bbh/temporal_sequences"] == "Literal['(A)', '(B)', '(C)', '(D)']"
    assert kinds["bbh/object_counting"] == "int"
    assert kinds["bbh/ruin_names"] == "str", "one of its targets is no letter"


def test_problems_one_a_file_as_the_publisher_has_them(tmp_path: Path) -> None:
    pytest.importorskip("math_verify")
    for split in ("train", "test"):
        for number in range(2):
            solution = f"So it is $\\boxed{{\\frac{{{number}}}{{7}}}}$, and not \\boxed 5. {split}"
            row = {
                "problem": f"{split} {number}",
                "level": "Level 5",
                "type": "Algebra",
                "solution": solution.replace(", and not \\boxed 5", ""),
            }
            write(tmp_path, {f"{split}/algebra/{number}.json": json.dumps(row, indent=1)})
    task = load_set("math", tmp_path)
    assert {each.id: each.expected["answer"] for each in task.test} == {
        "test/algebra/0": "\\frac{0}{7}",
        "test/algebra/1": "\\frac{1}{7}",
    }
    write(tmp_path, {"test/algebra/2.json": json.dumps({"problem": "p", "solution": "none"})})
    with pytest.raises(UserError, match=r"2\.json: solution: found no .*; expected the answer, boxed"):
        load_set("math", tmp_path)


def test_problems_in_one_file_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("math_verify")
    write(
        tmp_path,
        {"some.json": json.dumps([{"problem": f"p{n}", "answer": str(n), "unique_id": f"u{n}"} for n in range(5)])},
    )
    monkeypatch.chdir(tmp_path)
    assert {each.id for each in load_set("math", "some.json").test} < {f"u{n}" for n in range(5)}


def test_intents_from_the_publishers_table(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "train.csv": 'text,category\n"Where is it, my card?",card_arrival\nHow old must I be?,age_limit\n',
            "test.csv": "text,category\nMy refund is gone,Refund_not_showing_up\n",
        },
    )
    task = load_set("banking77", tmp_path)
    assert task.test[0].expected == {"intent": "Refund_not_showing_up"}
    assert len(task.outputs[0].type.options) == 77
    write(tmp_path, {"test.csv": "text,category\nMy refund is gone,Refund_not_showing_pu\n"})
    with pytest.raises(UserError, match=r"test\.csv:2: intent: found .*Refund_not_showing_pu"):
        load_set("banking77", tmp_path)


def emails(count: int) -> list[dict[str, Any]]:
    told = {"cleaning_services_scheduling": True, "general_inquiries": False}
    answer = json.dumps({"urgency": "low", "sentiment": "neutral", "categories": told})
    return [{"fields": {"input": f"mail {n}"}, "answer": answer} for n in range(count)]


def test_emails_are_divided_as_the_tutorial_divides_them(tmp_path: Path) -> None:
    write(tmp_path, {"dataset.json": json.dumps(emails(200))})
    task = load_set("facility_support", tmp_path)
    assert [len(task.train), len(task.val), len(task.test)] == [66, 66, 68]
    assert [each.inputs["email"] for each in task.train[:3]] == ["mail 131", "mail 181", "mail 22"]
    assert task.train[0].expected == {
        "urgency": "low",
        "sentiment": "neutral",
        "categories": ["cleaning_services_scheduling"],
    }
    row = {
        "id": "n1",
        "email": "mail",
        "answer": {"urgency": "high", "sentiment": "positive", "categories": ["general_inquiries"]},
    }
    more = [{**row, "id": f"n{n}", "email": f"mail {n}"} for n in range(3)]
    write(tmp_path, {"train.jsonl": more[:1], "dev.jsonl": more[1:2], "test.jsonl": more[2:]})
    assert load_set("facility_support", tmp_path).test[0].expected == row["answer"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("gsm8", {}, r"set: found 'gsm8'; expected one of .*\(did you mean 'gsm8k'\?\)"),
        ("bbh/navigat", {}, r"set: found 'bbh/navigat'; expected .*\(did you mean 'bbh/navigate'\?\)"),
        ("../gsm8k", {}, r"set: found '\.\./gsm8k'"),
        ("gsm8k", {"rows": [10, 2]}, r"rows: found \[10, 2\]; expected how many rows of train, val and test"),
        ("gsm8k", {"rows": [1, 1, True]}, r"rows: found \[1, 1, True\]"),
        ("gsm8k", {"rows": [0, 0, 0]}, r"rows: found \[0, 0, 0\]"),
        ("gsm8k", {"rows": [2, 2, 1000]}, "rows: found 1,000 of test; expected at most 6: there are no more"),
        ("gsm8k", {"variant": "hard"}, "variant: found 'hard'; expected python"),
        ("trec6", {"variant": "fin"}, r"variant: found 'fin'; expected one of coarse, fine \(did you mean 'fine'\?\)"),
        ("trec6", {}, r"data: found none of a set's files in .*train_5500\.label, TREC_10\.label, or hf:CogComp/trec$"),
        ("gsm8k", {"data": "nowhere"}, "data: found no folder and no file nowhere"),
        ("gsm8k", {"data": ""}, "data: found nothing"),
        ("bbh/snarks", {"data": "hf:"}, "data: found hf:, and bbh/snarks has no name of its publisher's on the hub"),
    ],
)
def test_a_mistake_is_said_in_one_line(tmp_path: Path, name: str, options: dict[str, Any], said: str) -> None:
    write(tmp_path, {"some.jsonl": problems(*range(10))})
    data = tmp_path if name == "trec6" else tmp_path / "some.jsonl"
    with pytest.raises(UserError, match=said) as caught:
        load_set(name, **{"data": data, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"question": "q", "answer": "I do not know"},
            r"dev\.jsonl:2: answer: found 'I do not know'; expected a number, alone or after ####",
        ),
        ({"question": 5, "answer": "1"}, r"dev\.jsonl:2: question: found "),
        ({"text": "q", "answer": "1"}, r"dev\.jsonl:2: found no 'question' \(there is text, answer\)"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    write(tmp_path, {"train.jsonl": problems(1), "dev.jsonl": [*problems(2), row], "test.jsonl": problems(3)})
    with pytest.raises(UserError, match=said):
        load_set("gsm8k", tmp_path)


def test_rows_of_the_hub_are_pinned_by_their_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    pa = pytest.importorskip("pyarrow")
    commit = "0" * 40

    def loaded(asked: Any, where: str) -> tuple[Any, Mapping[str, Any]]:
        assert str(asked) == "hf:openai/gsm8k/main"
        return read.hub_name(f"{asked}@{commit}", where), {
            name: pa.Table.from_pylist(problems(*numbers))
            for name, numbers in (("train", range(6)), ("test", range(6, 9)))
        }

    monkeypatch.setattr(read, "hub_data", loaded)
    task = load_set("gsm8k", "hf:")
    assert [len(task.train), len(task.val), len(task.test)] == [3, 3, 3]
    assert task.revisions == {"data": f"hf:openai/gsm8k/main@{commit}"}


def test_a_sets_module_is_imported_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("flowbot.benchmark.sets.bank")]:
        monkeypatch.delitem(sys.modules, name)
    assert find_set("gsm8k").name == "gsm8k"
    assert "flowbot.benchmark.sets.banking77" not in sys.modules
    assert isinstance(find_set("banking77"), BenchmarkSet)
    assert len({each.name for each in list_sets()}) == len(list_sets())
