"""The support desk: a lookup that only reads, a policy that decides by the order, and a metric that says what is wrong."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import Score
from flowbot.lm.budget import Budget
from flowbot.lm.client import Request
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.store import Store
from flowbot.task import Example, Task
from flowbot.testing.fake import FakeClient
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.workflow import Workflow

FOLDER = Path(__file__).parents[2] / "examples" / "support"
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.load(FOLDER)


def lookup(task: Task, number: str) -> dict[str, Any]:
    (tool,) = task.tools
    return tool.call(order_number=number)


def example(task: Task, *, action: str, **facts: Any) -> Example:
    """The first example with that action and these facts."""
    every = [each for split in SPLITS for each in task.splits[split]]
    return next(
        each
        for each in every
        if each.expected["action"] == action
        and all({**each.expected, **each.extra}[name] == value for name, value in facts.items())
    )


def score(task: Task, given: Example, **changed: Any) -> Score:
    """The score of the right answer, with some of it changed."""
    return task.metric(given, {**given.expected, **changed})


# The orders


def test_an_order_is_found_by_its_number_however_it_is_written(task: Task) -> None:
    number = re.search(r"\('(\d{5})', 'toaster'", (FOLDER / "orders.sql").read_text(encoding="utf-8"))
    assert number is not None
    found = lookup(task, number[1])
    assert (found["item"], found["category"]) == ("toaster", "electronics")
    assert lookup(task, f" W{number[1]} ") == lookup(task, f"#{number[1]}") == found


def test_an_unknown_number_is_no_error(task: Task) -> None:
    unknown = {"status": "unknown", "days": 0, "item": "", "category": "", "price": 0}
    for number in ("", "00000", "x' OR '1'='1"):
        assert lookup(task, number) == unknown


def test_the_database_cannot_be_written_to(task: Task) -> None:
    (tool,) = task.tools
    orders: sqlite3.Connection = tool.call.__globals__["_orders"]()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        orders.execute("DELETE FROM orders")


def test_the_answers_follow_from_what_the_tool_finds(task: Task) -> None:
    for split in SPLITS:
        for each in task.splits[split]:
            orders = [lookup(task, number) for number in re.findall(r"\d{5}", each.inputs["message"])]
            facts = {(order["status"], order["price"]) for order in orders} or {("unknown", 0)}
            if each.expected["kind"] != "other":
                assert (each.extra["status"], each.extra["price"]) in facts, each.id


def test_the_order_of_the_readme_is_as_it_says(task: Task) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    quoted = re.search(r'\*"(.+ Order (\d{5})\.)"\* came (\d+) days ago and cost (\d+) euros', readme)
    assert quoted is not None
    found = lookup(task, quoted[2])
    assert (found["days"], found["price"]) == (int(quoted[3]), int(quoted[4]))
    assert any(each.inputs["message"].endswith(quoted[1]) for each in task.test)


# The data


def test_no_two_messages_are_alike() -> None:
    said: list[set[str]] = []
    for line in (FOLDER / "messages.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            said.append(set(re.findall(r"\w+", line.rpartition("|")[2].casefold())) - {"n", "m", "order"})
    assert len(said) == 140
    for index, words in enumerate(said):
        for other in said[:index]:
            assert len(words & other) / len(words | other) < 0.45, (words, other)


def test_what_the_customer_wants_does_not_tell_the_action(task: Task) -> None:
    actions: dict[str, Counter[str]] = {}
    for each in task.test:
        actions.setdefault(each.expected["kind"], Counter())[each.expected["action"]] += 1
    best = sum(max(counts.values()) for counts in actions.values())
    assert f"the action {best} times in 60" in (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(sum(each.expected["action"] == action for each in task.test) >= 3 for action in sorted_actions(task))


def sorted_actions(task: Task) -> list[str]:
    (field,) = (field for field in task.outputs if field.name == "action")
    return sorted(field.type.options)


# The start


def test_the_start_has_the_policy_word_for_word() -> None:
    told = Workflow.load(FOLDER / "start.flow.yaml").parameters["answer"]
    assert isinstance(told, LLMParameters)
    assert told.instruction == (FOLDER / "policy.md").read_text(encoding="utf-8").strip()


async def test_the_start_looks_the_order_up_before_it_asks_the_model(task: Task) -> None:
    asked: list[Request] = []

    def reply(request: Request) -> Mapping[str, Any]:
        asked.append(request)
        return {"kind": "late", "action": "wait", "amount": 0, "reply": "Please wait."}

    session = Session(Store.memory(), Budget())
    engine = Engine(LM(FakeClient(reply), session), session, tools={tool.signature.name: tool for tool in task.tools})
    given = example(task, action="replace", kind="wrong")
    try:
        trace = await engine.run(Workflow.load(FOLDER / "start.flow.yaml"), dict(given.inputs), purpose="test")
    finally:
        await engine.close()
    assert trace.outputs == {"kind": "late", "action": "wait", "amount": 0, "reply": "Please wait."}
    shown = asked[0].messages[-1].content
    assert "status: delivered\n" in shown
    assert f"price: {given.extra['price']}\n" in shown
    assert given.inputs["message"] in shown


# The metric


def test_each_part_is_scored_by_itself(task: Task) -> None:
    given = example(task, action="replace", kind="damaged")
    wrong = score(task, given, kind="late", action="wait", amount=3, reply="Hello.")
    assert wrong.value == 0
    assert wrong.parts == {"kind": 0, "action": 0, "amount": 0, "reply": 0}
    assert score(task, given, kind="late").value == 0.75
    assert score(task, given, amount=3).value == 0.85
    assert score(task, given, action="wait").value == 0.5
    assert "the policy says 'replace', not 'wait': damaged, order delivered" in wrong.feedback


def test_a_reply_must_name_the_thing_the_sum_the_fact_or_the_number(task: Task) -> None:
    for action in ("replace", "refund", "ask", "answer", "escalate", "refuse", "wait"):
        given = example(task, action=action)
        bare = score(task, given, reply="Thank you for your message.")
        assert bare.parts["reply"] == 0
        assert "does not name" in bare.feedback


@pytest.mark.parametrize(
    ("action", "promise", "fault"),
    [
        ("refuse", "We refund you the {item} at once.", "promises a refund"),
        ("wait", "You get your money back for the {item}.", "promises a refund"),
        ("wait", "We will send you a new {item}.", "promises a replacement"),
        ("escalate", "Your {item} will be replaced.", "promises a replacement"),
        ("wait", "The {item} will be there within two days.", "within two days"),
        ("wait", "The {item} comes tomorrow.", "tomorrow"),
        ("replace", "Sorry about the {item}! Have a voucher of 20 euros, too.", "names 20 euros"),
    ],
)
def test_what_the_policy_forbids_is_not_promised(task: Task, action: str, promise: str, fault: str) -> None:
    given = example(task, action=action)
    item = given.extra["names"][0].split("|")[0]
    scored = score(task, given, reply=promise.format(item=item))
    assert scored.parts["reply"] <= 0.5
    assert fault in scored.feedback


def test_saying_no_is_no_promise(task: Task) -> None:
    given = example(task, action="refuse")
    item = given.extra["names"][0].split("|")[0]
    for reply in (
        f"We cannot refund the {item}.",
        f"There is no refund for the {item}, I'm afraid; we don't replace it.",
    ):
        assert score(task, given, reply=reply).value == 1.0


def test_a_refusal_may_say_how_long_the_policy_gives(task: Task) -> None:
    given = example(task, action="refuse", kind="return", status="delivered")
    item = given.extra["names"][0].split("|")[0]
    for reply in (
        f"Sorry, the {item} came too long ago: we take things back within 14 days.",
        f"We only refund what comes back within 14 days, so please keep the {item}.",
    ):
        assert score(task, given, reply=reply).value == 1.0
    promise = f"We refund the {item} within 14 days."
    assert "promises a refund" in score(task, given, reply=promise).feedback
    given = example(task, action="wait")
    item = given.extra["names"][0].split("|")[0]
    assert "promises what the policy forbids" in score(task, given, reply=f"The {item} comes within 14 days.").feedback


def test_to_repeat_the_customer_is_no_reply(task: Task) -> None:
    for action in ("replace", "escalate", "refuse", "wait"):
        given = example(task, action=action)
        message = given.inputs["message"]
        item = given.extra["names"][0].split("|")[0]
        for reply in (message, f"{message.upper()} Thank you."):
            scored = score(task, given, reply=reply)
            assert scored.parts["reply"] == 0
            assert "repeats what the customer wrote" in scored.feedback
        thanks = f"Thank you for writing about the {item}."
        assert "repeats" not in score(task, given, reply=thanks).feedback


def test_a_long_reply_loses(task: Task) -> None:
    given = example(task, action="ask")
    assert score(task, given, reply="Your number, " + "please " * 40).parts["reply"] == 0.5
