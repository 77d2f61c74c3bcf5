"""Lifting: recorded calls become a typed workflow that makes exactly the same requests, or the step that defeats it is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowbot.fields import stable_hash
from flowbot.lm.client import Message
from flowbot.runtime.lift.accept import require_same
from flowbot.runtime.lift.calls import CallMade, Defeat, Ran
from flowbot.runtime.lift.draft import Draft, draft

TEXT = {"question": "str"}
QUESTIONS = ("How tall is the tower?", "Who built the bridge of Avignon?", "When was the canal dug?")


class Recorder:
    """A program's world: each call is answered by a function of what it asks, and kept."""

    def __init__(self) -> None:
        self.calls: list[CallMade] = []

    def ask(self, site: str, *texts: str, reply: str = "", **settings: Any) -> str:
        roles = ("system", "user") if len(texts) > 1 else ("user",)
        messages = tuple(Message(role, text) for role, text in zip(roles, texts, strict=True))
        gave = reply or f"reply {stable_hash(texts)[:8]}"
        told = {"model": "openai/gpt-4.1-mini", "temperature": 0.0, **settings}
        self.calls.append(CallMade(site, site.partition("#")[0], f"app.py:{site}", "model", gave, messages, told))
        return gave

    def use(self, function: Callable[..., Any], **given: Any) -> Any:
        gave = function(**given)
        name = function.__name__
        self.calls.append(CallMade(name, name, f"app.py:{name}", "tool", gave, given=given, call=function))
        return gave


def search(query: str, k: int = 3) -> list[str]:
    return [f"passage {number} on {query}" for number in range(1 + len(query) % 3)]


def parse(reply: str) -> str:
    return reply.upper()


def run(program: Callable[[Recorder, str], str]) -> list[Ran]:
    found: list[Ran] = []
    for question in QUESTIONS:
        recorder = Recorder()
        answer = program(recorder, question)
        found.append(Ran({"question": question}, {"answer": answer}, tuple(recorder.calls)))
    return found


def rag(at: Recorder, question: str) -> str:
    query = at.ask("plan", "Write a search query.", f"Question: {question}")
    docs = at.use(search, query=query, k=3)
    listed = "\n- ".join(docs)
    return at.ask("answer", "Answer from the passages.", f"Passages:\n- {listed}\n\n{question}", max_tokens=90)


def numbered(at: Recorder, question: str) -> str:
    docs = at.use(search, query=question, k=3)
    return at.ask("answer", "\n".join(f"[{n}] {each}" for n, each in enumerate(docs, 1)) + f"\n\n{question}")


def summaries(at: Recorder, question: str) -> str:
    docs = at.use(search, query=question, k=3)
    told = [at.ask("sum_up", f"Sum up for {question!r}: {each}") for each in docs]
    graded = [at.ask("grade", f"Grade: {each}") for each in told]
    return at.use(parse, reply=at.ask("answer", question + "\n" + "\n\n".join(told) + "|" + ",".join(graded)))


def refine(at: Recorder, question: str) -> str:
    draft = at.ask("draft", f"Answer: {question}")
    for number in range(3):
        reply = f"OK: {question}" if number == QUESTIONS.index(question) else ""
        critique = at.ask("critique", f"What is wrong with {draft} as to {question}?", reply=reply)
        draft = at.ask("revise", f"Mend {draft} by {critique}")
        if critique.startswith("OK"):
            break
    return draft


def rounds(at: Recorder, question: str) -> str:
    draft = question
    for _ in range(3):
        draft = at.ask("improve", "Improve.", draft, temperature=0.7)
    return draft


async def lifted(program: Callable[[Recorder, str], str]) -> Draft:
    runs = run(program)
    made = draft(runs, TEXT, ["answer"])
    asked = await require_same(made.workflow, made.tools, runs)
    assert asked == sum(call.kind == "model" for each in runs for call in each.calls)
    return made


async def test_retrieval_in_a_row_becomes_a_tool_between_two_calls() -> None:
    made = await lifted(rag)
    kinds = {name: node.kind for name, node in made.workflow.sketch.nodes.items()}
    assert kinds == {"plan": "llm", "search": "tool", "join": "code", "answer": "llm"}
    told: Any = made.workflow.parameter("answer")
    assert [each.role for each in told.messages] == ["system", "user"]
    assert told.messages[0].parts == ("Answer from the passages.",)
    assert (told.max_tokens, told.model) == (90, "openai/gpt-4.1-mini")
    assert list(made.tools) == ["search"]


async def test_items_that_are_numbered_are_joined_with_their_numbers() -> None:
    made = await lifted(numbered)
    code: Any = made.workflow.parameter("join")
    assert "str(n + 1)" in code.code


async def test_a_call_for_each_item_of_a_list_becomes_a_map() -> None:
    made = await lifted(summaries)
    each: Any = made.workflow.sketch.nodes["each"]
    assert (each.kind, each.over, list(each.nodes)) == ("map", "search.result", ["sum_up", "grade"])


async def test_a_draft_that_is_mended_until_it_is_done_becomes_a_loop() -> None:
    made = await lifted(refine)
    loop: Any = made.workflow.sketch.nodes["refine"]
    assert (loop.kind, loop.max, list(loop.nodes)) == ("loop", 3, ["critique", "revise"])
    assert (loop.until.op, loop.until.ref) == ("contains", "critique.text")


async def test_a_number_of_rounds_becomes_a_loop_without_condition() -> None:
    loop: Any = (await lifted(rounds)).workflow.sketch.nodes["refine"]
    assert (loop.max, loop.until) == (3, None)
    assert [each.start for each in loop.carry.values()] == ["question"]


def parsed(at: Recorder, question: str) -> str:
    return at.ask("answer", at.ask("plan", question)[::-1])


def routed(at: Recorder, question: str) -> str:
    return at.ask("long", question) if len(question) > 25 else at.ask("short", question)


def history(at: Recorder, question: str) -> str:
    said = at.ask("chat", question)
    return at.ask("chat", "Go on.", said) if "bridge" in question else said


def warmed(at: Recorder, question: str) -> str:
    return at.ask("answer", question, temperature=len(question) / 100)


def topped(at: Recorder, question: str) -> str:
    return at.ask("answer", question, top_p=0.5)


def rewritten(at: Recorder, question: str) -> str:
    return at.ask("answer", question).title()


def bare(at: Recorder, question: str) -> str:
    def untyped(query):  # type: ignore[no-untyped-def]
        return query

    return at.ask("answer", at.use(untyped, query=question))


@pytest.mark.parametrize(
    ("program", "where", "what"),
    [
        (parsed, "app.py:answer", "asks “"),
        (routed, "app.py:short", "runs on 2 of 3 examples, as plain Python decides"),
        (warmed, "app.py:answer", "has another temperature from call to call"),
        (topped, "app.py:answer", "sends `top_p`"),
        (rewritten, "output answer", "is what no step gave"),
        (bare, "app.py:untyped", "cannot be a tool"),
        (history, "app.py:chat", "is called 1 and 2 times"),
    ],
)
async def test_what_no_typed_workflow_says_is_named(
    program: Callable[[Recorder, str], str], where: str, what: str
) -> None:
    with pytest.raises(Defeat) as raised:
        _ = await lifted(program)
    remark = raised.value.remark
    assert remark.where == where
    assert what in remark.what
    assert remark.mend


async def test_one_request_more_or_less_and_it_is_not_taken() -> None:
    runs = run(rag)
    made = draft(runs, TEXT, ["answer"])
    for calls in (runs[0].calls[:-1], (*runs[0].calls, runs[0].calls[-1])):
        spoiled = [Ran(runs[0].inputs, runs[0].outputs, calls)]
        if calls[-1].kind == "tool":
            with pytest.raises(Defeat, match="something else"):
                await require_same(made.workflow, made.tools, spoiled)
        else:  # an equal request at temperature 0 has one reply
            assert await require_same(made.workflow, made.tools, spoiled) == 2


async def test_a_request_that_only_the_program_makes_defeats_the_workflow() -> None:
    runs = run(rag)
    made = draft(runs, TEXT, ["answer"])
    recorder = Recorder()
    recorder.ask("extra", "Something else.")
    with pytest.raises(Defeat, match="extra is not asked by the workflow as often"):
        await require_same(
            made.workflow, made.tools, [Ran(runs[0].inputs, runs[0].outputs, (*runs[0].calls, *recorder.calls))]
        )
    with pytest.raises(Defeat, match="output answer"):
        await require_same(made.workflow, made.tools, [Ran(runs[0].inputs, {"answer": "other"}, runs[0].calls)])


async def test_a_step_without_a_token_limit_gets_one_that_holds_all_replies_and_says_so() -> None:
    made = await lifted(rag)
    plan: Any = made.workflow.parameter("plan")
    assert plan.max_tokens == 512
    assert made.notes == ("plan (app.py:plan) names no token limit; its step has one of 512",)


async def test_one_example_tells_nothing() -> None:
    with pytest.raises(Defeat, match="ended well on 1 of the examples"):
        draft(run(rag)[:1], TEXT, ["answer"])
