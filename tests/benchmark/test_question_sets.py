"""The sets of questions and claims, read from their publishers' files, from normalised ones and from the hub's columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowbot.benchmark.sets.benchmark_set import SetRows
from flowbot.benchmark.sets.registry import find_set, load_set
from flowbot.fields import UserError
from flowbot.task import SearchSource, Task
from flowbot.task.row import Row
from flowbot.workflow.starts import find_start, fit

CONTEXT = [["Leeds", ["Leeds is a city.", " It is in England."]], ["York", ["York is a town."]]]
HOTPOT = {
    "_id": "h1",
    "question": "Where is Leeds?",
    "answer": "England",
    "context": CONTEXT,
    "supporting_facts": [["Leeds", 1]],
}
HOTPOT_NORMALISED = {
    "id": "h1",
    "question": "Where is Leeds?",
    "answer": "England",
    "context": [{"title": title, "sentences": sentences} for title, sentences in CONTEXT],
    "supporting_facts": [["Leeds", 1]],
}
HOTPOT_HUB = {
    "id": "h1",
    "question": "Where is Leeds?",
    "answer": "England",
    "context": {"title": ["Leeds", "York"], "sentences": [sentences for _, sentences in CONTEXT]},
    "supporting_facts": {"title": ["Leeds"], "sent_id": [1]},
}
HOVER = {
    "uid": "c1",
    "claim": "Leeds is in England.",
    "label": "SUPPORTED",
    "supporting_facts": [["Leeds", 1], ["York", 0]],
    "hpqa_id": "q1",
}
FEVER = {
    "id": 7,
    "claim": "Leeds is in Wales.",
    "label": "REFUTES",
    "evidence": [[[1, 2, "Leeds_-LRB-city-RRB-", 0]], [[1, 2, "Wales", 3]]],
}
TRIVIA = {"Question": "Which city?", "QuestionId": "t1", "Answer": {"Value": "Leeds", "Aliases": ["Leeds", "City of Leeds"], "NormalizedAliases": ["leeds", "city of leeds"]}}  # fmt: skip
DATE = {"number": "", "spans": [], "date": {"day": "3", "month": "May", "year": "1990"}}
PASSAGES = {
    "p1": {
        "passage": "Two towns and a city.",
        "qa_pairs": [
            {"query_id": "d1", "question": "How many towns?", "answer": {"number": "2", "spans": [], "date": {}}, "validated_answers": [{"number": "3"}]},
            {"query_id": "d2", "question": "Which ones?", "answer": {"number": "", "spans": ["Leeds", "York"], "date": {}}},
            {"query_id": "d3", "question": "When?", "answer": DATE},
        ],
    }
}  # fmt: skip


def made(name: str, values: Mapping[str, Any], variant: str = "", folder: Path | None = None) -> Task:
    """The task of one row of test."""
    wanted = find_set(name)
    return wanted.make(SetRows({"test": [Row("file:1", values)]}, folder), variant or wanted.variants[0])


def files(folder: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in rows.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in each), encoding="utf-8")
    return folder


def numbered(values: Mapping[str, Any], count: int, *, name: str = "claim", start: int = 0) -> list[dict[str, Any]]:
    """The row several times, each its own question and id."""
    return [{**values, "id": f"r{n}", name: f"{values[name]} {n}"} for n in range(start, start + count)]


@pytest.mark.parametrize("values", [HOTPOT, HOTPOT_NORMALISED, HOTPOT_HUB], ids=["publisher", "normalised", "hub"])
def test_hotpotqa_has_one_task_whatever_its_columns(values: Mapping[str, Any]) -> None:
    (example,) = made("hotpotqa", values).test
    assert example.id == "h1"
    assert dict(example.inputs) == {
        "question": "Where is Leeds?",
        "context": "Leeds: Leeds is a city. It is in England.\n\nYork: York is a town.",
    }
    assert dict(example.expected) == {"answer": "England"}
    assert example.extra["facts"] == ["Leeds: It is in England."]
    (as_aflow,) = made("hotpotqa", values, "aflow").test
    assert as_aflow.inputs["context"] == "Leeds is a city.  It is in England.\nYork is a town."


def test_supporting_facts_may_be_unknown_or_point_past_the_end() -> None:
    (example,) = made("hotpotqa", {**HOTPOT_NORMALISED, "supporting_facts": None}).test
    assert example.extra["facts"] == []
    (example,) = made("hotpotqa", {**HOTPOT, "supporting_facts": [["Leeds", 9], ["Rome", 0]]}).test
    assert example.extra["facts"] == ["Leeds.", "Rome."]


def test_drop_is_read_from_the_publishers_nested_file(tmp_path: Path) -> None:
    file = tmp_path / "drop_dataset_dev.json"
    file.write_text(json.dumps(PASSAGES), encoding="utf-8")
    rows = find_set("drop").reader(file)
    examples = find_set("drop").make(SetRows({"test": rows}), "official").test
    assert [each.id for each in examples] == ["d1", "d2", "d3"]
    assert [each.expected["answer"] for each in examples] == ["2", "Leeds | York", "3 May 1990"]
    assert examples[0].extra["references"] == [["2"], ["3"]]
    assert examples[0].inputs["passage"] == "Two towns and a city."
    aflow = find_set("drop").make(SetRows({"test": rows}), "aflow")
    assert aflow.test[1].expected["answer"] == "Leeds and York"
    assert aflow.metric(aflow.test[1], {"answer": "Leeds and York"}).value == 1.0


def test_validated_answers_may_stand_as_a_table() -> None:
    table = {"number": ["2", ""], "spans": [[], ["two", "both"]], "date": [{}, {}]}
    values = {"passage": "p", "question": "q", "query_id": "d", "answer": {"number": "2"}, "validated_answers": table}
    (example,) = made("drop", values).test
    assert example.extra["references"] == [["2"], ["2"], ["two", "both"]]


def test_normalised_rows_of_drop_have_texts() -> None:
    values = {"id": "d", "passage": "p", "question": "q", "answer": "Ann and Bob", "references": ["Ann and Bob", "2"]}
    task = made("drop", values)
    assert task.metric(task.test[0], {"answer": "Bob | Ann"}).value == 1.0
    assert task.metric(task.test[0], {"answer": "2.0"}).parts["em"] == 1.0


@pytest.mark.parametrize(
    "facts",
    [[["Leeds", 1], ["York", 0], ["Leeds", 0]], [{"key": "Leeds", "value": 1}, {"key": "York", "value": 0}]],
    ids=["publisher", "hub"],
)
def test_hover_wants_the_titles_of_its_facts(facts: Any, tmp_path: Path) -> None:
    files(tmp_path, {"corpus.jsonl": [{"title": "Leeds", "sentences": ["A city."]}]})
    task = made("hover", {**HOVER, "supporting_facts": facts}, folder=tmp_path)
    assert dict(task.test[0].expected) == {"titles": ["Leeds", "York"]}
    (tool,) = task.sources
    assert isinstance(tool, SearchSource)
    assert (tool.corpus, tool.k) == (tmp_path / "corpus.jsonl", 10)


def test_hover_gives_labels_alone_or_with_the_paragraphs() -> None:
    assert made("hover", {**HOVER, "label": 1}, "label").test[0].expected == {"label": "SUPPORTED"}
    (example,) = made("hover", {**HOVER, "evidence": CONTEXT}, "evidence").test
    assert example.inputs["evidence"] == "Leeds: Leeds is a city. It is in England.\n\nYork: York is a town."
    assert example.extra["facts"] == ["Leeds: It is in England.", "York: York is a town."]


def test_a_variant_takes_its_own_files_and_the_rows_that_it_can_use(tmp_path: Path) -> None:
    two = {"claim": "Leeds is large.", "answer": "SUPPORTED", "supporting_facts": [["Leeds", 0], ["York", 0]]}
    three = {**two, "supporting_facts": [["Leeds", 0], ["York", 0], ["Rome", 0]]}
    names = ("train.jsonl", "dev.jsonl", "test.jsonl")
    plain = {name: numbered(two, 4, start=4 * at) for at, name in enumerate(names)}
    own = {f"retrieval_{name}": [*numbered(two, 1, start=50 + at), *numbered(three, 2, start=60 + 2 * at)] for at, name in enumerate(names)}  # fmt: skip
    corpus = {"corpus.jsonl": [{"title": "Leeds", "text": "A city."}]}
    folder = files(tmp_path, {**plain, **own, **corpus})
    sizes = {variant: load_set("hover", folder, variant=variant).sizes for variant in ("", "label", "retrieval-3")}
    assert sizes == {
        "": "3 train, 3 val, 3 test",
        "label": "4 train, 4 val, 4 test",
        "retrieval-3": "2 train, 2 val, 2 test",
    }
    with pytest.raises(UserError, match="no row that the variant 'evidence' of hover can take"):
        load_set("hover", folder, variant="evidence")


def test_a_test_whose_answers_are_secret_is_not_used(tmp_path: Path) -> None:
    rows = [{**row, "hpqa_id": row["id"]} for row in numbered(HOVER, 6)]
    (tmp_path / "hover_train_release_v1.1.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "hover_dev_release_v1.1.json").write_text(json.dumps([{"uid": "x", "claim": "?"}]), encoding="utf-8")
    assert load_set("hover", tmp_path, rows=[1, 1, 2], variant="label").sizes == "1 train, 1 val, 2 test"


def test_fever_has_the_publishers_titles_as_facts() -> None:
    (example,) = made("fever", FEVER).test
    assert (example.id, dict(example.expected)) == ("7", {"label": "REFUTES"})
    assert example.extra["facts"] == ["Leeds (city).", "Wales."]


def test_given_the_evidence_fever_leaves_out_what_has_none(tmp_path: Path) -> None:
    told = {"claim": "Leeds is in Wales.", "answer": "REFUTES", "gold_evidence": ["Leeds is in England ."]}
    none = {"claim": "Leeds is old.", "answer": "NOT ENOUGH INFO", "gold_evidence": None}
    rows = {name: [*numbered(told, 2, start=at), *numbered(none, 2, start=at)] for at, name in ((0, "train.jsonl"), (10, "dev.jsonl"), (20, "test.jsonl"))}  # fmt: skip
    for each in rows.values():
        for index, row in enumerate(each):
            row["id"] = f"{row['claim']}-{index}"
    task = load_set("fever", files(tmp_path, rows), variant="evidence")
    assert task.sizes == "2 train, 2 val, 2 test"
    assert task.test[0].inputs["evidence"] == "Leeds is in England ."
    assert str(task.outputs[0].type) == "Literal['SUPPORTS', 'REFUTES']"
    assert load_set("fever", tmp_path).sizes == "4 train, 4 val, 4 test"


@pytest.mark.parametrize(
    "values",
    [
        TRIVIA,
        {"question": "Which city?", "id": "t1", "answer": "Leeds", "aliases": ["Leeds", "City of Leeds"]},
        {"question": "Which city?", "question_id": "t1", "answer": {"value": "Leeds", "normalized_aliases": ["leeds", "city of leeds"]}},
    ],
    ids=["publisher", "normalised", "hub"],
)  # fmt: skip
def test_triviaqa_takes_every_alias(values: Mapping[str, Any]) -> None:
    task = made("triviaqa", values)
    assert (task.test[0].id, task.test[0].inputs["question"]) == ("t1", "Which city?")
    assert task.test[0].expected == {"answer": "Leeds"}
    assert task.metric(task.test[0], {"answer": "the City of Leeds"}).value == 1.0


def test_triviaqa_is_read_from_the_publishers_file(tmp_path: Path) -> None:
    secret = {"Question": "Who?", "QuestionId": "s", "Answer": {"Value": "<unk>", "NormalizedAliases": []}}
    data = [{**TRIVIA, "Question": f"Which city {n}?", "QuestionId": f"t{n}"} for n in range(5)]
    file = tmp_path / "unfiltered-web-dev.json"
    file.write_text(json.dumps({"Data": [*data, secret], "Version": 1.0, "Domain": "Web"}), encoding="utf-8")
    assert load_set("triviaqa", tmp_path).sizes == "1 train, 1 val, 3 test"
    assert load_set("triviaqa", file, rows=[0, 1, 2]).sizes == "0 train, 1 val, 2 test"


def test_pupa_weighs_a_judges_word_with_what_was_leaked(tmp_path: Path) -> None:
    columns = (
        "conversation_hash",
        "predicted_category",
        "user_query",
        "target_response",
        "pii_units",
        "redacted_query",
    )
    with (tmp_path / "PUPA_New.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(columns)
        for number in range(443):
            table.writerow([f"k{number}", "letter", f"I am Anna Berg.\nLetter {number}, please", "Dear …", "Anna Berg||||4 Mill Lane||Anna Berg", "…"])  # fmt: skip
        table.writerow(["k443", "letter", "Another", "", "Anna Berg", "…"])
    task = load_set("pupa", tmp_path)
    assert task.sizes == "111 train, 111 val, 221 test"
    assert [task.train[0].id, task.val[0].id, task.test[0].id] == ["k0", "k111", "k222"]
    assert task.test[0].extra["pii"] == ["Anna Berg", "4 Mill Lane"]
    assert list(task.metric.judges) == ["quality"]
    without = task.metric.without_model()
    assert without is not None
    assert without(task.test[0], {"reply": "Dear …", "sent": "A letter from Anna Berg"}).value == 0.5
    sketch = fit(find_start("papillon"), task.inputs, task.outputs, task.goal).sketch
    assert sketch.outputs["sent"] == "redact.question", (
        "what the untrusted model is asked, and no word of the last step's"
    )
    assert sketch.nodes["untrusted"].references() == ("redact.question",)
    assert sketch.nodes["untrusted"].frozen


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("hotpotqa", {**HOTPOT, "context": [["Leeds", "no list"]]}, "file:1: context: found .*; expected a title and its"),
        ("hotpotqa", {**HOTPOT, "context": [["Leeds"]]}, r"file:1: context: found .*; expected pairs: \[TITLE, SENTENCES\]"),
        ("hotpotqa", {**HOTPOT, "context": {"title": ["a"], "sentences": []}}, "file:1: context"),
        ("hotpotqa", {**HOTPOT, "context": 3}, "file:1: context: found 3"),
        ("hotpotqa", {**HOTPOT, "supporting_facts": [["Leeds", "1"]]}, "file:1: supporting_facts.*the number of a sentence"),
        ("hotpotqa", {**HOTPOT, "answer": None}, "file:1: answer"),
        ("drop", {"passage": "p", "question": "q", "answer": {"spans": []}}, "file:1: answer: found .*; expected an answer"),
        ("drop", {"passage": None, "question": "q", "answer": "2"}, "file:1: passage"),
        ("drop", {"passage": "p", "question": "q", "answer": "2", "references": [2]}, "file:1: references.*a list of texts"),
        ("fever", {**FEVER, "label": "MAYBE"}, "file:1: label: found 'MAYBE'; expected SUPPORTS or REFUTES or"),
        ("fever", {**FEVER, "evidence": [["Leeds"]]}, "file:1: evidence"),
        ("fever", {**FEVER, "evidence": {"a": 1}}, "file:1: evidence"),
        ("triviaqa", {**TRIVIA, "Answer": {"Value": "Leeds"}}, "file:1: answer: found Leeds without aliases"),
        ("triviaqa", {**TRIVIA, "Answer": {"NormalizedAliases": "leeds"}}, "file:1: answer: NormalizedAliases.*a list of texts"),
        ("pupa", {"user_query": "Hello", "target_response": "Hi", "pii_units": 3}, "file:1: pii_units.*a text"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_place(name: str, values: Mapping[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        made(name, values)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("drop", '[{"passage": "p"}]', "JSON that is no object"),
        ("drop", '{"p1": {"passage": "p"}}', "dev.json: p1: found"),
        ("drop", '{"p1": {"passage": "p", "qa_pairs": [1]}}', "dev.json: p1: found"),
        ("triviaqa", '{"data": []}', "JSON without Data"),
        ("triviaqa", '{"Data": [1]}', r"dev.json: Data\[0\]"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    file = tmp_path / "dev.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        load_set(name, file)


def test_without_a_corpus_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data: found no .*corpus.jsonl; expected corpus.jsonl beside the rows"):
        made("hover", HOVER, folder=tmp_path)
    with pytest.raises(UserError, match="rows of the hub, which have no corpus to search"):
        made("hotpotqa", HOTPOT, "retrieval")


def test_hotpotqa_searches_hovers_corpus_where_it_has_none_of_its_own(tmp_path: Path) -> None:
    files(tmp_path / "hover", {"corpus.jsonl": [{"title": "Leeds", "text": "A city."}]})
    own = files(tmp_path / "hotpotqa", {})
    (tool,) = made("hotpotqa", HOTPOT, "retrieval", own).sources
    assert isinstance(tool, SearchSource)
    assert tool.corpus == tmp_path / "hover" / "corpus.jsonl"
