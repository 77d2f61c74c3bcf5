"""A user's prompt as a start: what is sent is what Python would have made of it."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import Field, UserError
from flowbot.task import Task
from flowbot.workflow.check import check
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.starts.prompted import Prompted, read_prompt
from flowbot.workflow.workflow import Workflow

VALUES = {"question": "Who {x}?\r\n", "my_text": "a $b %c {{d}} "}
INPUTS = {"question": (), "my_text": ("my text",)}
FIELDS = tuple(Field.of(name, "str") for name in INPUTS)


def read(text: str) -> Prompted:
    return read_prompt(text, "prompt.txt", INPUTS)


def start(found: Prompted, output: Field) -> Workflow:
    sketch, parameters = found.call(FIELDS, (output,))
    return Workflow(sketch=sketch, parameters=parameters)


def sent(text: str) -> list[tuple[str, str]]:
    return [(message.role, message.filled(VALUES.__getitem__)) for message in read(text).messages]


TEXT = st.text(st.sampled_from("ab .{}$%()\n\r\t<>/#"), max_size=12)
PIECES = st.lists(TEXT | st.sampled_from(["question", "my_text"]), max_size=6).filter(lambda each: "question" in each)


@given(PIECES)
def test_a_format_string_is_sent_as_python_fills_it(pieces: list[str]) -> None:
    text = "".join(f"{{{p}}}" if p in VALUES else p.replace("{", "{{").replace("}", "}}") for p in pieces)
    if "${" not in text:
        assert sent(text) == [("user", text.format(**VALUES))]


@given(PIECES)
def test_a_percent_string_is_sent_as_python_fills_it(pieces: list[str]) -> None:
    plain = str.maketrans("", "", "{}$<>")
    text = "".join(f"%({p})s" if p in VALUES else p.translate(plain).replace("%", "%%") for p in pieces)
    assert sent(text) == [("user", text % VALUES)]


@given(PIECES)
def test_a_template_is_sent_as_python_fills_it(pieces: list[str]) -> None:
    plain = str.maketrans("", "", "{}%<>")
    text = "".join(f"${{{p}}}" if p in VALUES else p.translate(plain).replace("$", "$$") for p in pieces)
    assert sent(text) == [("user", string.Template(text).substitute(VALUES))]


@given(st.lists(st.sampled_from(["{{question}}", "{{ my text }}", '{"a": 1}', " x\t", "\r\n", "%d $5"]), max_size=8))
def test_double_braces_are_sent_as_their_replacement(pieces: list[str]) -> None:
    text = "{{ question }}" + "".join(pieces)
    filled = text
    for mark, name in (("{{ question }}", "question"), ("{{question}}", "question"), ("{{ my text }}", "my_text")):
        filled = filled.replace(mark, f"\ufdd0{name}")
    for name, value in VALUES.items():
        filled = filled.replace(f"\ufdd0{name}", value)
    assert sent(text) == [("user", filled)]


@given(PIECES)
def test_every_start_is_valid_and_read_back(pieces: list[str]) -> None:
    found = read("".join(f"<{p}>" if p in VALUES else p for p in pieces))
    assert (
        check(start(found, Field.of("answer", "str")), task_inputs=FIELDS, task_outputs=(Field.of("answer", "str"),))
        == []
    )


def test_what_is_sent_has_nothing_added() -> None:
    found = read("Weigh {question}, {my text} up.\n")
    (told,) = start(found, Field.of("kind", "Literal['a', 'b']", "which")).parameters.values()
    assert isinstance(told, LLMParameters)
    assert told.model_dump(exclude_defaults=True).keys() == {"messages"}


def test_only_what_has_a_place_is_read_and_the_rest_is_told() -> None:
    found = read("Weigh {question} up.")
    assert "no place for my_text: not shown to the model" in found.notes
    assert list(start(found, Field.of("answer", "str")).sketch.nodes["answer"].inputs) == ["question"]


def test_a_prompt_without_a_place_is_the_systems_and_the_inputs_follow() -> None:
    assert sent("Be brief.\n") == [
        ("system", "Be brief.\n"),
        ("user", f"question: {VALUES['question']}\nmy_text: {VALUES['my_text']}"),
    ]
    assert any("inputs follow" in note for note in read("Be brief.").notes)
    (lone,) = read_prompt("Be brief.", "p", {"q": ()}).messages[1:]
    assert lone.filled(lambda name: name.upper()) == "Q"


def test_a_chat_without_a_place_has_the_inputs_at_its_end() -> None:
    told = sent("System: Be kind.\nUser: Now this.")
    assert told[0] == ("system", "Be kind.")
    assert told[1][1].startswith("Now this.\n\nquestion: Who")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q: {question}"}]),
        json.dumps({"messages": [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Q: {question}"}]}),
        "System: Be kind.\nUser: Q: {question}",
        "SYSTEM:\nBe kind.\n\nUSER:\nQ: {question}\n",
        "### System\nBe kind.\n### User\nQ: {question}",
        "<|system|>\nBe kind.\n<|user|>\nQ: {question}\n<|assistant|>\n",
    ],
)  # fmt: skip
def test_chats_keep_their_messages(text: str) -> None:
    assert sent(text) == [("system", "Be kind."), ("user", f"Q: {VALUES['question']}")]


def test_turns_of_examples_stay_turns() -> None:
    turns = [("system", "Be kind."), ("user", "hi"), ("assistant", "hello {x}"), ("user", "{question}")]
    text = json.dumps([{"role": role, "content": content} for role, content in turns])
    assert sent(text) == [*turns[:3], ("user", VALUES["question"])]


def test_what_a_chat_ends_in_is_told() -> None:
    found = read("System: Be kind.\nUser: {question}\nAssistant: The answer is")
    assert found.messages[-1].filled(str) == "The answer is"
    assert any("go on from" in note for note in found.notes)


def test_escapes_and_unknown_places_are_told() -> None:
    assert any("doubled" in note for note in read('{question} {{"a": 1}}').notes)
    assert any("{{my_text}} is text" in note for note in read("{question} {{my_text}}").notes)
    assert read("Use {name} for {question}.").kept == ("{name}",)


def test_the_only_input_may_have_any_usual_name_but_not_as_a_tag() -> None:
    assert read_prompt("Sum {text} up.", "p", {"email": ()}).used == ("email",)
    assert read_prompt("Answer in <text> tags: {email}", "p", {"email": ()}).messages[0].parts[0] == "Answer in <text> tags: "  # fmt: skip
    assert read("Sum {text} and {question} up.").used == ("question",)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Is {question} fair?", "Is the question fair?"),
        ("Weigh the {my text} up.\n\nQuestion: {question}\nAnswer:", "Weigh the my text up.\n\nAnswer:"),
        ("Question: {question}", ""),
        ("Translate to German: {question}", "Translate to German: the question"),
    ],
)
def test_what_it_asks_for_is_said_in_words(text: str, asked: str) -> None:
    assert read(text).asks == asked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found nothing"),
        ("\n ", "found nothing"),
        ("x" * 100_001, "found 100,001 characters; expected at most 100,000"),
        ("{question}" * 201, "found 201 items"),
        (json.dumps([{"role": "user", "content": "x"}] * 65), "found 65 items"),
        ('[{"role": "king", "content": "x"}]', r"prompt.txt\[0\]: found .*king"),
        ('[{"role": "user"}]', r"prompt.txt\[0\]"),
    ],
)
def test_what_is_no_prompt_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        read(text)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except UserError:
        return
    assert check(start(found, Field.of("answer", "str"))) == []


def test_a_workflow_is_made_of_a_prompt_in_code() -> None:
    task = Task(goal="Sort.", inputs={"subject": str}, outputs={"queue": str}, metric="exact", rows=[({"subject": f"a{n}"}, {"queue": "b"}) for n in range(9)])  # fmt: skip
    made = Workflow.from_prompt(
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "{subject}"}], task
    )
    assert check(made, task_inputs=task.inputs, task_outputs=task.outputs) == []
    with pytest.raises(UserError, match="prompt: found nothing"):
        Workflow.from_prompt(" ", task)
