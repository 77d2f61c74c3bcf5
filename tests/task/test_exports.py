"""Exports as tools write them: known by their form, what is expected taken from people alone, and said in a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import export_samples as samples
import pytest
from export_samples import LABELS, ROWS, label, reply, text, wrong
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbot.draft.draft import Draft, draft_task
from flowbot.draft.folder import write_folder
from flowbot.draft.roles import Wishes
from flowbot.draft.table import read_table
from flowbot.fields import UserError
from flowbot.task import Task
from flowbot.task.data import parse_rows

LITERAL = f"Literal[{', '.join(map(repr, sorted(LABELS)))}]"
QUESTION = "How many gears has the 0th bicycle?"


def drafted(folder: Path, content: Any, name: str = "rows.json", wishes: Wishes | None = None, **more: Any) -> Draft:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return draft_task(read_table([path], **more), wishes)


def fields(made: Draft) -> tuple[dict[str, str], dict[str, str]]:
    return (
        {field.name: str(field.type) for field in made.inputs},
        {field.name: str(field.type) for field in made.outputs},
    )


def said(made: Draft, what: str) -> str:
    return "; ".join(f"{each.guess} ({each.why})" for each in made.guesses if each.what == what)


def rows_of(made: Draft) -> list[dict[str, Any]]:
    return [dict(row) for split in made.splits.values() for row in split]


MESSAGE = {"message": "str"}
FORMS: list[tuple[Callable[[], Any], dict[str, str], dict[str, str], Callable[[int], Any]]] = [
    (samples.ragas, {"question": "str", "contexts": "list[str]"}, {"ground_truth": "str"}, reply),
    (
        lambda: samples.ragas("user_input", "response", "retrieved_contexts", "reference"),
        {"user_input": "str", "retrieved_contexts": "list[str]"},
        {"reference": "str"},
        reply,
    ),
    (
        lambda: samples.ragas(gold="ground_truths"),
        {"question": "str", "contexts": "list[str]"},
        {"ground_truths": "str"},
        reply,
    ),
    (samples.argilla, {"text": "str"}, {"topic": LITERAL}, label),
    (samples.argilla_flat, {"text": "str"}, {"topic": LITERAL}, label),
    (samples.argilla_first, {"text": "str"}, {"topic": LITERAL}, label),
    (samples.argilla_classic, {"text": "str"}, {"annotation": LITERAL}, label),
    (samples.label_studio, MESSAGE, {"topic": LITERAL}, label),
    (samples.label_studio_min, MESSAGE, {"topic": LITERAL}, label),
    (samples.openai_chats, MESSAGE, {"answer": "str"}, reply),
    (samples.long_chats, {"conversation": "list[{role: str, text: str}]"}, {"answer": "str"}, reply),
    (samples.gemini_chats, MESSAGE, {"answer": LITERAL}, label),
    (samples.tool_chats, {"conversation": "list[{role: str, text: str}]"}, {"answer": "str"}, reply),
    (samples.airtable, {"Message": "str"}, {"Queue": LITERAL}, label),
    (samples.conversations, MESSAGE, {"answer": "str"}, reply),
    (samples.ragas_without_contexts, {"user_input": "str"}, {"reference": "str"}, reply),
    (samples.sharegpt, MESSAGE, {"answer": "str"}, reply),
    (samples.preferences, MESSAGE, {"answer": "str"}, reply),
    (samples.preferences_as_texts, MESSAGE, {"answer": "str"}, reply),
    (samples.openai_preferences, MESSAGE, {"answer": "str"}, reply),
    (samples.promptfoo, {"message": "str", "tone": "str"}, {"expected": LITERAL}, label),
    (samples.squad_rows, {"context": "str", "question": "str"}, {"answer": "str"}, lambda n: f"{n + 2} gears"),
    (samples.squad_articles, {"context": "str", "question": "str"}, {"answer": "str"}, lambda n: f"{n + 2} gears"),
    (samples.openai_evals, {"input": "list[{role: str, content: str}]"}, {"ideal": LITERAL}, label),
    (samples.braintrust, {"input": "str"}, {"expected": LITERAL}, label),
    (samples.braintrust_experiment, {"input": "str"}, {"expected": LITERAL}, label),
    (samples.alpaca, {"input": "str"}, {"output": "str"}, reply),
    (samples.langsmith, {"inputs": "{question: str}"}, {"outputs": "{answer: str}"}, lambda n: {"answer": reply(n)}),
    (samples.deepeval, {"input": "str", "retrieval_context": "list[str]"}, {"expected_output": "str"}, reply),
]


@pytest.mark.parametrize(("make", "inputs", "outputs", "gold"), FORMS)
def test_a_tools_export_is_taken_in_its_own_layout(
    tmp_path: Path,
    make: Callable[[], Any],
    inputs: dict[str, str],
    outputs: dict[str, str],
    gold: Callable[[int], Any],
) -> None:
    made = drafted(tmp_path, make())
    assert fields(made) == (inputs, outputs)
    assert made.labelled
    (output,) = outputs
    answers = [row[output] for row in rows_of(made)]
    assert len(answers) == ROWS
    assert sorted(map(json.dumps, answers)) == sorted(json.dumps(gold(n)) for n in range(ROWS))
    assert not any(wrong(n) in json.dumps([row[name] for name in inputs]) for row in rows_of(made) for n in range(ROWS))
    write_folder(made, tmp_path / "made")
    task = Task.load(tmp_path / "made")
    assert sum(map(len, task.splits.values())) == ROWS


def test_what_was_recognised_is_said_and_can_be_overridden(tmp_path: Path) -> None:
    made = drafted(tmp_path, samples.ragas())
    assert said(made, "form") == "a Ragas export (the answers of the system that was tried are not expected)"
    assert "--as-is" in next(each.change for each in made.guesses if each.what == "form")
    other = drafted(tmp_path, samples.ragas(), wishes=Wishes(inputs=("question",), outputs=("answer",)))
    assert list(fields(other)[1]) == ["answer"]
    whole = drafted(tmp_path, samples.openai_chats(), as_is=True, wishes=Wishes(("messages",), ("note",)))
    assert list(fields(whole)[0]) == ["messages"]
    with pytest.raises(UserError, match="--inputs: found 'messages'; expected a column, one of message, answer"):
        drafted(tmp_path, samples.openai_chats(), wishes=Wishes(inputs=("messages",)))


def test_the_prompt_that_all_chats_have_is_the_prompt(tmp_path: Path) -> None:
    table = read_table([_written(tmp_path, samples.openai_chats())])
    assert json.loads(table.prompt) == [
        {"role": "system", "content": "You work in a bicycle shop. Answer in one sentence."},
        {"role": "user", "content": "{message}"},
    ]
    rows = samples.openai_chats()
    rows[3]["messages"][0]["content"] = "Be short."
    made = drafted(tmp_path, rows)
    assert list(fields(made)[0]) == ["system", "message"]
    assert not read_table([tmp_path / "rows.json"]).prompt


def test_rows_without_peoples_answer_are_left_out_and_never_answered_by_a_machine(tmp_path: Path) -> None:
    rows = samples.argilla()
    rows[0]["responses"] = {}
    rows[1]["responses"]["topic"].append({"value": "lights", "user_id": "u3"})
    studio = samples.label_studio()
    studio[0]["annotations"] = []
    studio[1]["annotations"][0]["was_cancelled"] = True
    chats = samples.openai_chats()
    chats[0]["messages"].pop()
    chats[1]["messages"][-1] = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]}
    for content, lost in ((rows, 1), (studio, 2), (chats, 2)):
        made = drafted(tmp_path, content)
        assert len(rows_of(made)) == ROWS - lost
        assert f"{lost} row{'s' * (lost > 1)} without an answer" in said(made, "left out")
    assert {row["topic"] for row in rows_of(drafted(tmp_path, rows))} == set(LABELS)


def test_several_choices_marked_texts_and_ratings_of_label_studio(tmp_path: Path) -> None:
    rows = samples.label_studio()
    for n, row in enumerate(rows):
        results = row["annotations"][0]["result"]
        results[0]["value"]["choices"] = [label(n), label(n + 1)] if n % 2 else [label(n)]
        marked = {"start": 0, "end": 4, "text": f"Part {n}", "labels": ["THING"]}
        results.append({"value": marked, "from_name": "things", "type": "labels"})
        results.append({"value": {"rating": n % 5}, "from_name": "anger", "type": "rating"})
        results.append({"value": {"x": 1, "y": 2, "rectanglelabels": ["a"]}, "from_name": "boxes"})
    outputs = fields(drafted(tmp_path, rows))[1]
    assert outputs == {"topic": f"list[{LITERAL}]", "things": "list[{text: str, label: str}]", "anger": "int"}


def test_promptfoo_configurations_are_read_as_yaml_and_rubrics_are_feedback(tmp_path: Path) -> None:
    lines = ["prompts: [file://p.txt]", "providers: [openai:gpt-4.1-mini]", "tests:"]
    for n in range(ROWS):
        lines += [f"  - vars: {{message: 'Part {n} is loose'}}", "    assert:"]
        lines += ["      - {type: icontains, value: workshop " + str(n) + "}"]
        lines += ["      - {type: llm-rubric, value: is kind}"]
    made = drafted(tmp_path, "\n".join(lines), "promptfooconfig.yaml")
    assert fields(made) == (MESSAGE, {"expected": "str"})
    assert made.metric == "contains"
    assert {row["feedback"] for row in rows_of(made)} == {"is kind"}
    judged = drafted(tmp_path, "\n".join(line for line in lines if "icontains" not in line), "promptfooconfig.yaml")
    assert not judged.labelled
    assert fields(judged)[0] == MESSAGE


@pytest.mark.parametrize(
    ("shell", "told"),
    [
        (lambda rows: {"tickets": rows}, "the rows are those under tickets"),
        (lambda rows: {"issues": rows, "total": 24, "labels": ["a", "b"]}, "the rows are those under issues"),
        (lambda rows: {"meta": {"page": 1}, "result": {"tickets": rows}}, "the rows are those under result.tickets"),
        (lambda rows: {"hits": {"hits": [{"_id": "1", "_source": row} for row in rows]}}, "stands under _source"),
        (lambda rows: [{"ticket": row} for row in rows], "each row is what stands under ticket"),
        (lambda rows: {name: [row[name] for row in rows] for name in rows[0]}, "side by side"),
        (lambda rows: {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]}, "side by side"),
        (lambda rows: {str(n): row for n, row in enumerate(rows)}, "side by side"),
        (lambda rows: {"columns": list(rows[0]), "index": [0], "data": [list(row.values()) for row in rows]}, "side"),
    ],
)
def test_what_stands_around_the_rows_is_seen_through_and_said(
    tmp_path: Path, shell: Callable[[list[dict[str, Any]]], Any], told: str
) -> None:
    rows = [{"body": text(n), "queue": label(n)} for n in range(ROWS)]
    made = drafted(tmp_path, shell(rows))
    assert fields(made) == ({"body": "str"}, {"queue": LITERAL})
    assert len(rows_of(made)) == ROWS
    assert told in said(made, "read")


def test_of_several_lists_none_is_taken_at_random(tmp_path: Path) -> None:
    both = {"open": [{"a": 1}], "shut": [{"a": 2}]}
    with pytest.raises(UserError, match=r"the lists open, shut; expected one of them alone, such as: jq \.open"):
        drafted(tmp_path, both)
    with pytest.raises(UserError, match="an object without a list of rows"):
        drafted(tmp_path, {"a": 1, "b": 2})


def test_jira_has_its_fields_as_columns_and_what_is_later_is_no_input(tmp_path: Path) -> None:
    made = drafted(tmp_path, samples.jira())
    assert fields(made) == ({"summary": "str", "description": "str"}, {"priority": LITERAL})


def test_promptfoos_table_has_its_assertions_in_columns(tmp_path: Path) -> None:
    cells = ["equals: {}", "{}", "contains: {}", "llm-rubric: is kind"]
    lines = [f'"{text(n)}","{cells[n % 4].format(label(n // 4))}",latency: 90,case {n}' for n in range(ROWS)]
    table = "message,__expected1,__expected2,__description\n" + "\n".join(lines)
    made = drafted(tmp_path, table, "tests.csv")
    assert fields(made) == (MESSAGE, {"expected": LITERAL})
    assert sorted(row["expected"] for row in rows_of(made)) == sorted(label(n // 4) for n in range(ROWS) if n % 4 != 3)
    links = "message,__expected\n" + "".join(f'"{text(n)}",https://example.org/{n}\n' for n in range(ROWS))
    assert rows_of(drafted(tmp_path, links, "links.csv"))[0]["expected"].startswith("https://example.org/")


def test_rows_under_one_name_are_seen_in_json_lines_too(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"item": {"ticket_text": text(n), "correct_label": label(n)}}) for n in range(ROWS))
    made = drafted(tmp_path, lines, "rows.jsonl")
    assert fields(made) == ({"ticket_text": "str"}, {"correct_label": LITERAL})
    assert "each row is what stands under item" in said(made, "read")


def test_a_numbering_is_no_input_and_a_title_no_answer(tmp_path: Path) -> None:
    lines = [f'"{text(n)}",SHOP-{n},{1000 + n},"Now, {n}",{label(n)}' for n in range(ROWS)]
    made = drafted(tmp_path, "Summary,Issue key,Nr.,Description,Component\n" + "\n".join(lines), "issues.csv")
    assert fields(made) == ({"Summary": "str", "Description": "str"}, {"Component": LITERAL})
    alone = drafted(tmp_path, "number,prime\n" + "".join(f"{n},{n in (2, 3, 5)}\n" for n in range(9)), "few.csv")
    assert list(fields(alone)[0]) == ["number"]


CSV_ROWS = "".join(f'"{text(n)}",a{n % 2},{"urgent" if n % 4 else ""},bike,{label(n)}\n' for n in range(ROWS))


def test_columns_of_one_name_are_one_list(tmp_path: Path) -> None:
    made = drafted(tmp_path, f"Summary,Assignee,Labels,Labels,Priority\n{CSV_ROWS}", "jira.csv")
    assert fields(made) == ({"Summary": "str"}, {"Labels": "list[Literal['bike', 'urgent']]"})
    assert {json.dumps(row["Labels"]) for row in rows_of(made)} == {'["urgent", "bike"]', '["bike"]'}
    assert "the 2 columns Labels are one, of lists" in said(made, "read")


@pytest.mark.parametrize(
    "title", ["Tickets of 2026\n", "Tickets of 2026,,,,\n,,,,\n", '"Tickets of 2026"\nMade by Ann\n\n']
)
def test_a_title_above_the_header_is_no_header(tmp_path: Path, title: str) -> None:
    made = drafted(tmp_path, f"{title}Summary,Agent,Extra,Shop,Priority\n{CSV_ROWS}", "export.csv")
    assert list(fields(made)[1]) == ["Priority"]
    assert "above the column names is left out: Tickets of 2026" in said(made, "read")
    assert len(rows_of(made)) == ROWS


def test_a_table_of_one_column_has_no_title(tmp_path: Path) -> None:
    made = drafted(tmp_path, "text\n" + "".join(f'"a, b {n}"\n' for n in range(9)), "rows.csv")
    assert list(fields(made)[0]) == ["text"]
    assert len(rows_of(made)) == 9
    loose = "note;total\n" + "".join(f"n{n};{n}\n" for n in range(9))
    assert not said(drafted(tmp_path, loose, "rows.csv"), "read")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
@pytest.mark.parametrize("title", ["", "Tickets of 2026\n\n"])
def test_commas_in_the_texts_of_a_table_with_another_mark_make_no_title_of_its_header(
    tmp_path: Path, mark: str, title: str
) -> None:
    lines = [mark.join(("Nr", "Text", "Queue"))]
    lines += [mark.join((str(n), f"Hello, part {n} rattles, what now?", label(n))) for n in range(ROWS)]
    made = drafted(tmp_path, title + "\n".join(lines), "rows.csv")
    assert fields(made) == ({"Text": "str"}, {"Queue": LITERAL})
    assert len(rows_of(made)) == ROWS
    assert list(parse_rows("\n".join(lines), "rows.csv", ".csv")[0].values) == ["Nr", "Text", "Queue"]


def test_prose_without_quotes_is_no_table_under_a_title(tmp_path: Path) -> None:
    prose = "".join(
        f"Hello there, my bicycle rattles when I ride it downhill and it is number {n}, what now?\n" for n in range(9)
    )
    with pytest.raises(UserError, match="quotes forgotten"):
        drafted(tmp_path, f"text\n{prose}", "rows.csv")


def test_excels_unicode_text_is_a_table(tmp_path: Path) -> None:
    lines = "Subject\tQueue\r\n" + "".join(f"Größe {n}\t{label(n)}\r\n" for n in range(ROWS))
    made = drafted(tmp_path, lines.encode("utf-16"), "export.txt")
    assert fields(made) == ({"Subject": "str"}, {"Queue": LITERAL})
    assert any(row["Subject"] == "Größe 3" for row in rows_of(made))
    with pytest.raises(UserError, match="a text that is no table"):
        drafted(tmp_path, "Answer the question.\nBe kind.\n", "notes.txt")


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#VALUE!", "#DIV/0!"])
def test_a_spreadsheets_error_is_no_answer(tmp_path: Path, error: str) -> None:
    rows = [{"message": text(n), "queue": error if n % 4 == 0 else label(n)} for n in range(ROWS)]
    table = "message,queue\n" + "".join(f'"{row["message"]}",{row["queue"]}\n' for row in rows)
    for made in (drafted(tmp_path, rows), drafted(tmp_path, table, "rows.csv")):
        assert fields(made)[1] == {"queue": LITERAL}
        assert "6 cells such as #N/A" in said(made, "no value")
        assert "6 rows without an answer" in said(made, "left out")


@pytest.mark.parametrize("name", ["t.xlsx", "t.xls", "t.xlsm", "t.ods", "t.numbers"])
def test_spreadsheets_are_refused_with_the_way_to_csv(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"expected a table saved as CSV \(UTF-8\), as every spreadsheet can"):
        drafted(tmp_path, b"PK\x03\x04", name)


def _written(folder: Path, rows: Any) -> Path:
    path = folder / "written.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


keys = st.sampled_from(
    [
        "id",
        "data",
        "annotations",
        "fields",
        "responses",
        "messages",
        "conversations",
        "role",
        "content",
        "from",
        "value",
        "vars",
        "assert",
        "text",
        "answers",
        "answer_start",
        "paragraphs",
        "context",
        "qas",
        "question",
        "key",
        "summary",
        "chosen",
        "rejected",
        "prompt",
        "input",
        "label",
        "label-suggestion",
        "label.responses",
        "annotation",
        "prediction",
        "inputs",
        "result",
        "choices",
        "from_name",
        "system",
        "_source",
        "row",
        "was_cancelled",
    ]
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "user", "assistant", "#N/A", "[1]", "x y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def taken_or_refused(content: Any) -> None:
    with TemporaryDirectory() as folder:
        try:
            made = drafted(Path(folder), content)
        except UserError as error:
            said = str(error)
        else:
            write_folder(made, Path(folder) / "made")
            assert Task.load(Path(folder) / "made").inputs
            said = ""
        assert "\n" not in said


@settings(max_examples=200, deadline=None)
@given(json_values | st.lists(st.dictionaries(keys, json_values, min_size=1, max_size=4), max_size=6))
def test_whatever_json_a_file_holds_it_is_taken_or_refused_in_one_line(content: Any) -> None:
    taken_or_refused(content)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every list or object in a value, with each of its keys."""
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [found for key, each in inside for found in ((value, key), *places(each))]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([form[0] for form in FORMS]), st.data())
def test_an_export_that_is_damaged_in_places_is_taken_or_refused_in_one_line(make: Any, data: st.DataObject) -> None:
    content = make()
    for _ in range(data.draw(st.integers(1, 3))):
        if not (there := places(content)):
            break
        holder, key = data.draw(st.sampled_from(there))
        if data.draw(st.booleans()):
            holder[key] = data.draw(json_values)
        else:
            del holder[key]
    taken_or_refused(content)


@pytest.mark.parametrize("python", [False, True])
def test_an_export_in_a_table_is_known_by_the_lists_in_its_cells(tmp_path: Path, python: bool) -> None:
    for make, outputs in ((samples.argilla_flat, {"topic": LITERAL}), (samples.promptfoo, {"expected": LITERAL})):
        rows = make()
        with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(
                {
                    name: (str if python else json.dumps)(each) if isinstance(each, list | dict) else each
                    for name, each in row.items()
                }
                for row in rows
            )
        assert fields(draft_task(read_table([tmp_path / "rows.csv"])))[1] == outputs


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\x00", "a spreadsheet or another packed file"),
        (b"\xd0\xcf\x11\xe0\xa1", "a spreadsheet of an old kind"),
        (b"PAR1\x15\x04", "a name that ends in .parquet"),
        (b"\x1f\x8b\x08", "packed with gzip"),
    ],
)
def test_a_file_that_is_no_text_is_known_whatever_its_name_says(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        drafted(tmp_path, content, "rows.csv")


def test_responses_that_were_not_handed_in_do_not_count(tmp_path: Path) -> None:
    nested, flat, first = samples.argilla(), samples.argilla_flat(), samples.argilla_first()
    nested[0]["responses"]["topic"] = [{"value": "other", "user_id": "u1", "status": "draft"}]
    flat[0] |= {"topic.responses": ["other"], "topic.responses.status": ["discarded"]}
    first[0]["topic"][0] |= {"value": "other", "status": "discarded"}
    for content in (nested, flat, first):
        made = drafted(tmp_path, content)
        assert len(rows_of(made)) == ROWS - 1
        assert "1 row without an answer" in said(made, "left out")
