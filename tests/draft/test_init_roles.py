"""What columns are for: by the prompt's places and words, by how values repeat, and never by what only is known later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowbot.draft.draft import Draft, draft_task
from flowbot.draft.roles import Wishes
from flowbot.draft.table import read_table
from flowbot.fields import UserError
from flowbot.task.leaks import leak

QUEUES = ("Billing", "Returns", "Repairs", "Orders")
KINDS = {
    "Ticket ID": lambda n: f"T-{1000 + n}",
    "Created At": lambda n: f"2026-02-{n % 27 + 1:02d} 09:{n % 60:02d}",
    "Channel": lambda n: ("mail", "web", "phone")[n * 7 % 3],
    "Subject": lambda n: f"Trouble number {n}",
    "Body": lambda n: f"Good day, it is the {n}th time that I write to you about this.",
    "Assigned Queue": lambda n: QUEUES[n % 4],
    "Agent": lambda n: ("Ada", "Ben", "Cy")[n * 5 % 3],
    "CSAT": lambda n: n * 11 % 5 + 1,
    "Resolution": lambda n: ("fixed", "refused")[n * 13 % 2],
    "Closed At": lambda n: f"2026-03-{n % 27 + 1:02d}",
    "Empty": lambda n: "",
    "Constant": lambda n: "same",
}  # fmt: skip
Columns = dict[str, Callable[[int], Any]]


def drafted(folder: Path, columns: Columns, prompt: str = "", wishes: Wishes | None = None, rows: int = 48) -> Draft:
    path = folder / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({name: make(n) for name, make in columns.items()}) + "\n" for n in range(rows)),
        encoding="utf-8",
    )
    return draft_task(read_table([path]), wishes, prompt=prompt)


def roles(made: Draft) -> tuple[list[str], list[str]]:
    return (
        [made.columns[field.name] for field in made.inputs],
        [made.columns[field.name] for field in made.outputs] if made.labelled else [],
    )


def of(*names: str) -> Columns:
    return {name: KINDS[name] for name in names}


EXPORT = of("Ticket ID", "Created At", "Channel", "Subject", "Body", "Assigned Queue", "Agent", "CSAT")


@pytest.mark.parametrize(
    ("prompt", "inputs", "outputs"),
    [
        (
            "You are an agent. Subject: {subject}\nBody: {body}\nAnswer with the queue name.",
            ["Subject", "Body"],
            ["Assigned Queue"],
        ),
        ("{{ Body }}\n\nWhich channel did this come by?", ["Body"], ["Channel"]),
        ("{body}\nSay one of: Billing, Returns, Repairs, Orders.", ["Body"], ["Assigned Queue"]),
        ("Body: {body}\nQueue:", ["Body"], ["Assigned Queue"]),
        ('Read {subject}. Reply as {"csat": 1}', ["Subject"], ["CSAT"]),
        ("{subject} {body} came. Write <assigned queue>…</assigned queue>.", ["Subject", "Body"], ["Assigned Queue"]),
        ('[{"role": "system", "content": "Sort mails by queue."}, {"role": "user", "content": "{body}"}]',
         ["Body"], ["Assigned Queue"]),
        (json.dumps([{"role": "user", "content": '{{body}} Reply {"assigned queue": "…"}'}]), ["Body"], ["Assigned Queue"]),
        ("Estimate how happy the customer will be with {body}: return the CSAT.", ["Body"], ["CSAT"]),
        ("", ["Channel", "Subject", "Body"], ["Assigned Queue"]),
        ("Name the queue for this: {text}", ["Body"], ["Assigned Queue"]),
    ],
)  # fmt: skip
def test_places_are_the_inputs_and_words_name_the_output(
    tmp_path: Path, prompt: str, inputs: list[str], outputs: list[str]
) -> None:
    assert roles(drafted(tmp_path, EXPORT, prompt)) == (inputs, outputs)


def test_several_outputs_are_those_that_the_prompt_shows_in_the_reply(tmp_path: Path) -> None:
    prompt = 'From {body} make {"assigned_queue": "…", "channel": "…"} and nothing else.'
    assert roles(drafted(tmp_path, EXPORT, prompt)) == (["Body"], ["Channel", "Assigned Queue"])


def test_what_the_user_says_goes_before_what_the_prompt_says(tmp_path: Path) -> None:
    prompt = "{subject} {body} Answer with the queue."
    wishes = Wishes(inputs=("Subject",), outputs=("Channel",))
    assert roles(drafted(tmp_path, EXPORT, prompt, wishes)) == (["Subject"], ["Channel"])
    assert roles(drafted(tmp_path, EXPORT, prompt, Wishes(outputs=("Body",)))) == (["Subject"], ["Body"])


@pytest.mark.parametrize("name", ["Queue", "Betreuung"])
def test_the_only_column_that_is_left_is_the_answer(tmp_path: Path, name: str) -> None:
    """What the user or the prompt gives takes all the others; a date says nothing."""
    columns = (
        of("Subject", "Body") | {name: lambda n: QUEUES[n % 4]} | {"created": lambda n: f"2026-01-{n % 28 + 1:02}"}
    )
    expected = (["Subject", "Body"], [name])
    assert roles(drafted(tmp_path, columns, "In: {subject} {body}\nOut:")) == expected
    assert roles(drafted(tmp_path, columns, wishes=Wishes(("Subject", "Body")))) == expected
    free = columns | {name: lambda n: f"Please look at {n} again"}
    assert roles(drafted(tmp_path, free, "In: {subject} {body}\nOut:")) == expected


@pytest.mark.parametrize(
    ("machine", "human"),
    [("GPT-4 label", "Human label"), ("model_answer", "human_answer"), ("AI category", "Manual category")],
)
def test_what_a_model_said_is_neither_given_nor_wanted(tmp_path: Path, machine: str, human: str) -> None:
    said = {human: lambda n: QUEUES[n % 4], machine: lambda n: QUEUES[n % 3]}
    assert roles(drafted(tmp_path, of("Body") | said)) == (["Body"], [human])
    assert roles(drafted(tmp_path, of("Body") | dict(reversed(said.items())))) == (["Body"], [human])


def test_addresses_are_no_input(tmp_path: Path) -> None:
    columns = of("Body") | {"Email": lambda n: f"ann{n}@example.org", "queue": lambda n: QUEUES[n % 4]}
    assert roles(drafted(tmp_path, columns)) == (["Body"], ["queue"])


def test_what_is_known_later_is_no_input_and_no_answer_where_there_is_another(tmp_path: Path) -> None:
    late = of("Body", "Channel", "Agent", "Resolution", "Closed At", "CSAT")
    inputs, outputs = roles(drafted(tmp_path, late))
    assert (inputs, outputs) == (["Body"], ["Channel"])
    assert roles(drafted(tmp_path, of("Body", "Agent", "CSAT")))[1] == ["CSAT"]


@pytest.mark.parametrize("name", ["Empty", "Constant"])
@pytest.mark.parametrize("called", ["answer", "category", "expected label", "Last"])
def test_a_column_that_says_nothing_is_never_the_output(tmp_path: Path, name: str, called: str) -> None:
    columns = of("Body", "Assigned Queue") | {called: KINDS[name]}
    assert roles(drafted(tmp_path, columns)) == (["Body"], ["Assigned Queue"])
    alone = drafted(tmp_path, of("Body") | {called: KINDS[name]}, f"{{body}} Answer with the {called}.")
    assert not alone.labelled


@pytest.mark.parametrize(
    ("leaking", "how"),
    [
        (lambda n: f"Q{n % 4}", "alone decides the answer"),
        (lambda n: f"Inbox / {QUEUES[n % 4]} / new", "contains the answer"),
        (lambda n: [QUEUES[n % 4], "new"], "contains the answer"),
        (lambda n: QUEUES[n % 4], "is the answer itself"),
        (lambda n: f"no. {n}: {QUEUES[n % 4]}", "ends with the answer"),
    ],
)
def test_what_tells_the_answer_is_no_input_and_said(tmp_path: Path, leaking: Callable[[int], Any], how: str) -> None:
    columns = {"Mark": leaking, **of("Body", "Assigned Queue")}
    made = drafted(tmp_path, columns)
    assert roles(made) == (["Body"], ["Assigned Queue"])
    (said,) = [each for each in made.guesses if each.what == "no input"]
    assert (said.guess, said.why) == ("Mark", f"it {how} (Assigned Queue), and a workflow in use would not have it")
    named = drafted(tmp_path, columns, "{mark} {body} Answer with the queue.")
    assert roles(named)[0] == ["Mark", "Body"]  # the user's own prompt shows it


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([f"The invoice of {QUEUES[n % 4]} says {n}." for n in range(40)], [QUEUES[n % 4] for n in range(40)]),
        ([f"Is {n} or {n + 1} larger?" for n in range(40)], [str(n + 1) for n in range(40)]),
        (["a) Billing b) Returns c) Repairs"] * 40, [QUEUES[n % 3] for n in range(40)]),
        ([f"note {n}" for n in range(40)], [QUEUES[n % 4] for n in range(40)]),
        ([f"passage {n // 2}" for n in range(40)], [f"answer {n // 2}" for n in range(40)]),
        ([f"shop {n % 3}" for n in range(40)], [QUEUES[n % 4] for n in range(40)]),
        ([f"user {n // 2}" for n in range(8)], ["yes", "yes", "no", "no", "yes", "yes", "no", "no"]),
        ([None] * 40, [QUEUES[n % 4] for n in range(40)]),
        (["x", "y"], ["x", "y"]),
        (["same"] * 9, ["yes"] * 9),
    ],
)
def test_what_mentions_or_may_by_chance_go_with_the_answer_is_no_leak(inputs: list[Any], outputs: list[Any]) -> None:
    found = leak(inputs, outputs)
    assert found == ("alone decides the answer" if inputs[0] == "passage 0" else "")


def test_texts_that_repeat_are_labels_only_where_nobody_says_otherwise(tmp_path: Path) -> None:
    columns = of("Body", "Assigned Queue")

    def type_of(wishes: Wishes | None = None, prompt: str = "") -> tuple[str, list[str]]:
        made = drafted(tmp_path, columns, prompt, wishes)
        return str(made.outputs[0].type), list(made.closed)

    literal = f"Literal[{', '.join(map(repr, sorted(QUEUES)))}]"
    assert type_of() == (literal, ["Assigned Queue"])
    assert type_of(Wishes(labels=())) == ("str", [])
    assert type_of(Wishes(labels=("Assigned Queue",))) == (literal, [])
    assert type_of(prompt=f"{{body}} Say {' or '.join(QUEUES)}.") == (literal, [])  # the prompt lists them
    (said,) = [each for each in drafted(tmp_path, columns).guesses if each.what == "labels of Assigned_Queue"]
    assert said.guess == "no other answers than the 4 that the rows have: Billing, Orders, Repairs, Returns"
    assert said.change == "--labels none, for any text"
    with pytest.raises(UserError, match="--labels: found 'Queue'; expected a column"):
        type_of(Wishes(labels=("Queue",)))
    rare = columns | {"Assigned Queue": lambda n: f"Queue {n}"}
    assert str(drafted(tmp_path, rare, wishes=Wishes(labels=("Assigned Queue",))).outputs[0].type).startswith("Literal")


@pytest.mark.parametrize(
    "value", ["2026-01-0{}", "0{}.02.2026", "${}.50", "{},00 €", "1{} %", "EUR 1{}", "{}.50", "{},50", "1,{}00"]
)
def test_dates_and_amounts_are_no_labels_however_often_they_repeat(tmp_path: Path, value: str) -> None:
    columns = of("Body") | {"expected value": lambda n: value.format(n % 3 + 1)}
    made = drafted(tmp_path, columns)
    assert made.outputs[0].type.kind != "literal"
    assert not made.closed


def test_a_summary_before_the_texts_is_a_title_and_behind_them_an_answer(tmp_path: Path) -> None:
    text: Columns = {"summary": lambda n: f"Title {n}"}
    queue: Columns = {"priority": lambda n: ("high", "low")[n % 2]}
    assert roles(drafted(tmp_path, text | of("Body") | queue)) == (["summary", "Body"], ["priority"])
    assert roles(drafted(tmp_path, of("Body") | text))[1] == ["summary"]


def test_every_split_has_its_share_of_each_label_also_of_a_large_file(tmp_path: Path) -> None:
    columns = of("Body") | {"queue": lambda n: "rare" if n % 20 == 0 else QUEUES[n % 4]}
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(json.dumps({name: make(n) for name, make in columns.items()}) for n in range(400)))
    for most in (500, 60):
        made = draft_task(read_table([path]), most=most)
        for rows in made.splits.values():
            assert round(sum(row["queue"] == "rare" for row in rows) / len(rows), 1) in (0.0, 0.1)
            assert 2 <= sum(row["queue"] == "rare" for row in rows) <= 9
