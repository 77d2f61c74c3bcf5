"""The one door for what a meta model writes: what is no new text never changes a program, and wrapping is taken off where it is certain."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proposer_help import task_of
from search_help import searching

from flowbot.optimizer.parameters.accept import accepted
from flowbot.optimizer.parameters.labels import foreign_label
from flowbot.optimizer.parameters.update import update
from flowbot.optimizer.parameters.wording import Wording
from flowbot.optimizer.parameters.written import echo, text_of
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.search import Search
from flowbot.task import Task
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

OLD = "Sort the question into its kind by what it asks for."
GOOD = "Look at the first word of the question, then give its kind."
FEEDBACK = "the step should look at the main verb before it decides on one kind of answer"
QUESTION = fill(
    "optim_call", goal="Answer.", step="answer", now=Wording("llm", "q -> kind: str", OLD, None, "", 80), instruction=OLD,
    feedback=[FEEDBACK],
)  # fmt: skip
LABELS = ("HUM", "LOC", "NUM", "DESC")
TASK = Task(
    goal="Answer.",
    inputs={"q": "str"},
    outputs={"a": f"Literal[{', '.join(map(repr, LABELS))}]"},
    metric="exact",
    train=[{"q": f"question {n}", "a": label} for n, label in enumerate(LABELS)],
    val=[{"q": "another question", "a": "HUM"}],
    test=[{"q": "the last question", "a": "HUM"}],
)


def workflow(hint: str = "") -> Workflow:
    data: dict[str, Any] = {
        "flowbot": 1,
        "inputs": {"q": "str"},
        "outputs": {"a": "answer.a"},
        "nodes": {
            "answer": {"kind": "llm", "in": {"q": "q"}, "out": {"a": f"Literal[{', '.join(map(repr, LABELS))}]"}}
        },
        "parameters": {"answer": {"instruction": OLD, "format_hint": hint}},
    }
    return Workflow.from_data(data)


@asynccontextmanager
async def opened(folder: Path, reply: str = "") -> AsyncGenerator[Search]:
    async with searching(TASK, workflow(), lambda _: reply, folder) as search:
        yield search


def take(search: Search, reply: str, **more: Any) -> tuple[str | None, str]:
    """The new instruction or hint, and the fault."""
    new, fault = accepted(search, workflow(), "answer", reply, question=QUESTION, limit=80, **more)
    assert new is None or not fault
    if new is None or new == workflow().parameter("answer"):
        return None, fault or "the same again"
    assert isinstance(new, LLMParameters)
    return new.format_hint if more.get("part") == "format_hint" else new.instruction, fault


NO_TEXT = (
    "",
    " \n",
    "```\n```",
    '""',
    "...",
    "{}",
    "[]",
    '{"instruction": ""}',
    "New instruction:\n",
    "No change.",
    "no change: it is fine",
)
BROKEN = (
    '{"instruction": "Look at',
    '{"a": "b", "c": "d"}',
    '["Look at it."]',
    "```\nLook at it.",
    "Sure! Look at it. I hope that helps.",
)
SENTENCES = [
    each
    for each in QUESTION.replace(OLD, "|").replace(FEEDBACK, "|").replace("\n", ". ").split(". ")
    if "|" not in each
]
AROUND = st.text(alphabet=" \n\t.!\"'“”`*", max_size=6)


@st.composite
def useless(draw: st.DrawFn) -> str:
    """A reply that is none of a new text: empty, broken, the old text, the question's own sentences, strange labels."""
    kind = draw(st.sampled_from(["nothing", "broken", "old", "echo", "labels"]))
    if kind == "nothing":
        return draw(AROUND) if draw(st.booleans()) else draw(st.sampled_from(NO_TEXT))
    if kind == "broken":
        return draw(st.sampled_from(BROKEN))
    if kind == "old":
        old = draw(
            st.sampled_from(
                [
                    OLD,
                    OLD.upper(),
                    OLD.lower(),
                    f'"{OLD}"',
                    f"```text\n{OLD}\n```",
                    f"Here is the new instruction:\n{OLD}",
                ]
            )
        )
        return draw(AROUND) + old + draw(AROUND) if '"' not in old and "`" not in old and ":" not in old else old
    if kind == "echo":
        words = QUESTION.split()
        start = draw(st.integers(0, 20))
        said = " ".join(words[start : start + draw(st.integers(10, 24))])
        return f"{draw(st.sampled_from(['', GOOD + ' ']))}{said}"
    given_ = draw(st.lists(st.sampled_from(LABELS), min_size=2, max_size=4, unique=True))
    strange = draw(
        st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=9).filter(
            lambda each: each not in (*LABELS, "KIND")
        )
    )
    items = draw(st.permutations([*given_, strange]))
    between = draw(st.sampled_from([", ", "|", " / ", ":\n- "]))
    return f"Give one of these:\n- {between.join(items)}"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=useless())
async def test_a_reply_that_is_no_new_text_never_changes_a_program(
    tmp_path_factory: pytest.TempPathFactory, reply: str
) -> None:
    async with opened(tmp_path_factory.mktemp("run")) as search:
        taken, fault = take(search, reply)
    assert taken is None, (reply, taken)
    assert fault


@pytest.mark.parametrize("form", [
    "{}", "  {}\n", '"{}"', "“{}”", "```\n{}\n```", "```text\n{}\n```", "Here is the new instruction:\n{}", "Sure!\n{}",
    'Here is the improved instruction:\n\n"{}"', "New instruction: {}", "**Updated instruction:** {}", "Instruction:\n{}",
    "Here's the instruction:\n```\n{}\n```\nIt is clearer now.", '{{"instruction": "{}"}}', "Certainly, here is the revised prompt:\n{}",
])  # fmt: skip
async def test_wrapping_is_taken_off_where_it_is_certain(tmp_path: Path, form: str) -> None:
    async with opened(tmp_path) as search:
        assert take(search, form.format(GOOD)) == (GOOD, "")


@pytest.mark.parametrize("text", [
    'Say "yes" or "no".', "Here are some hints for the step to bear in mind: look at the verb.", "{question} is what is asked.",
    "First: look at the verb. Then: decide.", "Note:\nlook at the verb.", "Text comes first.", '"Who" asks for HUM, "where" for LOC.',
    "Give HUM, LOC or NUM and nothing else.", "Answer with HUM, LOC, NUM, or DESC; think of persons, places and numbers first.",
    "HUM for persons, LOC for places, NUM for dates.", "- HUM: a person\n- LOC: a place\n- NUM: a number\n- DESC: anything else",
    "Decide between HUM and LOC, then, if neither fits, look at the verb.", "Surely name one kind, the likeliest.",
])  # fmt: skip
async def test_what_only_looks_wrapped_or_strange_stands_as_it_is(tmp_path: Path, text: str) -> None:
    async with opened(tmp_path) as search:
        assert take(search, text) == (text, "")


async def test_what_was_quoted_in_the_question_may_be_taken_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as search:
        _, fault = take(search, f"Note that {FEEDBACK}.")
        assert fault.startswith("it repeats its question: ")
        assert take(search, f"Note that {FEEDBACK}.", quotable=[FEEDBACK])[1] == ""
        assert take(search, f"{OLD} Look at the verb.")[1] == "", "a minimal edit keeps what stands there"


async def test_the_labels_of_a_step_may_be_listed_as_its_question_does(tmp_path: Path) -> None:
    kinds = ["abbreviation", "entity", "description", "human", "location", "number", "date", "colour", "sport"]
    data = workflow().dump()
    data["nodes"]["answer"]["out"] = {"a": f"Literal[{', '.join(map(repr, kinds))}]"}
    many = Workflow.from_data(data)
    question = fill(
        "optim_call", goal="Answer.", step="answer", now=Wording.of(many, "answer"), instruction=OLD, feedback=[FEEDBACK],
    )  # fmt: skip
    text = f"Give one of {', '.join(kinds)}."
    async with opened(tmp_path) as search:
        new, fault = accepted(search, many, "answer", text, question=question, limit=80)
    assert (new is not None, fault) == (True, "")


async def test_a_hint_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as search:
        assert take(search, "Write the kind in capitals.", part="format_hint") == ("Write the kind in capitals.", "")
        assert "letters" in take(search, "so on " * 400, part="format_hint")[1]
        assert "letters" in take(search, "so on " * 400)[1]


async def test_an_update_takes_over_its_feedback_and_not_its_question(tmp_path: Path) -> None:
    async with opened(tmp_path, f"Note that {FEEDBACK}.") as search:
        said = search.feedback(search.start.hash, "train 1", "answer", FEEDBACK)
        new, fault = await update(search, search.start, "answer", [said])
    assert (new is not None, fault) == (True, "")
    (tmp_path / "other").mkdir()
    async with opened(tmp_path / "other", "Reply with the new instruction alone, at most 80 words, general.") as search:
        new, fault = await update(search, search.start, "answer", [said])
    assert (new, fault[:22]) == (None, "it repeats its questio")


def test_words_of_a_question_are_found_eight_in_a_row_or_all_of_a_short_reply() -> None:
    question = "one two three four five six seven eight nine"
    assert echo("so: One two, three four five six seven eight.", question) == "one two three four five six seven eight"
    assert echo("one two three four five six seven, and more of it", question) == ""
    assert echo("Two three four.", question) == "two three four"
    assert echo("two three", question) == ""
    assert echo("Two three four.", question, "two three four five") == ""


def test_labels_that_a_task_has_not() -> None:
    flow = workflow()
    assert foreign_label("Choose HUM, LOC, PERSON or NUM.", flow, "answer", TASK) == "PERSON"
    assert foreign_label("kind: HUM|LOC|ENTY", flow, "answer", TASK) == "ENTY"
    assert foreign_label("1. HUM\n2. LOC\n3. TIME", flow, "answer", TASK) == "TIME"
    plain = task_of([{"q": "x", "a": "y"}])
    assert foreign_label("Choose yes, no, maybe or NUM.", Workflow.from_data({
        "flowbot": 1, "inputs": {"q": "str"}, "outputs": {"a": "answer.a"},
        "nodes": {"answer": {"kind": "llm", "in": {"q": "q"}, "out": {"a": "str"}}}, "parameters": {"answer": {"instruction": "Do."}},
    }), "answer", plain) == ""  # fmt: skip


def routed(*labels: str) -> tuple[Workflow, Task]:
    kind = f"Literal[{', '.join(map(repr, labels))}]"
    data = workflow().dump()
    data["nodes"]["answer"]["out"] = {"a": kind}
    rows = {
        "train": [{"q": "x", "a": labels[0]}],
        "val": [{"q": "y", "a": labels[0]}],
        "test": [{"q": "z", "a": labels[0]}],
    }
    return Workflow.from_data(data), Task(
        goal="Route.", inputs={"q": "str"}, outputs={"a": kind}, metric="exact", **rows
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1. Read.\n2. billing\n3. technical", ""),
        ("1. Read. 2. billing, technical or account", ""),
        ("1. Read.\n2. Decide.\n3. billing\n4. technical\n5. account", ""),
        ("1. Read.\n2. billing.\n3. technical.", ""),
        ("1. Read.\n2. Billing\n3. Technical\n4. Account", ""),
        ("- billing: money\n- technical: faults\n- Otherwise: account", ""),
        ("Choose billing, technical, account, etc.", ""),
        ("- billing\n- technical\n- refund", "refund"),
        ("- Billing\n- Technical\n- Refund", "Refund"),
        ("1. billing.\n2. technical.\n3. refund.", "refund"),
        ("`billing`, `technical`, `refund`", "refund"),
        ("refund|billing|technical", "refund"),
    ],
)
def test_what_is_listed_beside_labels_is_one_only_if_it_is_written_as_they_are(text: str, found: str) -> None:
    flow, task = routed("billing", "technical", "account")
    assert foreign_label(text, flow, "answer", task) == found


def test_a_preamble_that_the_old_text_has_stays() -> None:
    assert text_of("Instruction:\nLook at it.", "Instruction:\nDo it.") == ("Instruction:\nLook at it.", "")
    assert text_of('"Look" at "it"', "old") == ('"Look" at "it"', "")
    assert text_of("[" * 5000, "old")[0] == "", "nested deeper than a parser goes"
