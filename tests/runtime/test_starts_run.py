"""The library of starts, run on a scripted model: each does what the method that it is named after does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from runtime_help import engine_on

from flowbot.fields import Field, ToolSignature
from flowbot.lm.client import Request, ToolUse
from flowbot.lm.lm import LM
from flowbot.lm.session import Session
from flowbot.runtime.engine import Engine
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.runtime.toolbox.interpreter import interpreter
from flowbot.runtime.trace import Trace
from flowbot.store import Store
from flowbot.task import Tool, tool_of
from flowbot.testing.fake import FakeClient
from flowbot.workflow.starts import find_start, fit
from flowbot.workflow.workflow import Workflow

NOTE, TOTAL = (Field.of("note", "str"),), (Field.of("total", "int"),)
Reply = str | Mapping[str, Any]
Model = Callable[[Request], Any]


def told(request: Request) -> str:
    return request.messages[0].content


def shown(request: Request) -> str:
    return request.messages[-1].content


def scripted(*replies: Reply) -> Callable[[Request], Reply]:
    """One reply after the other, for a model that is asked in a fixed order."""
    left = list(replies)
    return lambda _: left.pop(0)


async def run(
    name: str,
    model: Model,
    inputs: Mapping[str, Any],
    *,
    fields: tuple[tuple[Field, ...], tuple[Field, ...]] = (NOTE, TOTAL),
    tools: tuple[Tool, ...] = (),
) -> Trace:
    workflow = fit(find_start(name), *fields, "Count.", tools={tool.signature.name: tool.signature for tool in tools})
    async with engine_on(model, tools=tools) as engine:
        return await engine.run(workflow, inputs, purpose="test")


def python() -> Tool:
    return interpreter(MontySandbox())


def search(pages: Mapping[str, list[str]]) -> Tool:
    """A search that finds, for a query, the pages of those titles; each says its title backwards."""

    def call(query: str) -> dict[str, Any]:
        return {"results": [{"title": title, "text": title[::-1]} for title in pages[query]]}

    gives = Field.of("results", "list[{title: str, text: str}]")
    return Tool(ToolSignature("search", "", (Field.of("query", "str"),), (gives,)), call, None, "pages", plain=False)


async def test_self_consistency_takes_what_most_samples_say() -> None:
    totals = iter([3, 5, 5, 4, 5])
    trace = await run("self-consistency", lambda _: {"reasoning": "so", "total": next(totals)}, {"note": "x"})
    assert trace.outputs == {"total": 5}
    assert trace.usage.calls == 5


async def test_self_refine_goes_on_until_nothing_is_found_wrong() -> None:
    replies: tuple[Reply, ...] = (
        {"total": 1},
        {"feedback": "one too few", "correct": False},
        {"total": 2},
        {"feedback": "right", "correct": True},
    )
    trace = await run("self-refine", scripted(*replies), {"note": "x"})
    assert trace.outputs == {"total": 2}
    assert [step.address for step in trace.steps if step.kind == "llm"] == [
        "draft",
        "refine/critic[1]",
        "refine/revise[1]",
        "refine/critic[2]",
    ]


async def test_an_input_with_the_name_of_a_carried_value_is_not_taken_for_it() -> None:
    asked: list[str] = []

    def model(request: Request) -> Reply:
        if "Check" not in told(request):
            return {"total": 7}
        asked.append(shown(request))
        return {"feedback": "no", "correct": True}

    fields = (Field.of("answer", "str"), Field.of("draft", "str")), TOTAL
    trace = await run("self-refine", model, {"answer": "seven", "draft": "x"}, fields=fields)
    assert trace.outputs == {"total": 7}
    assert asked == ["answer: seven\ndraft: x\ntotal: 7"]
    asked.clear()

    def programmer(request: Request) -> Reply:
        asked.append(shown(request))
        return "def add(a, b):\n    return a - b"

    fields = (Field.of("program", "str"), Field.of("tests", "str")), (Field.of("code", "str"),)
    inputs = {"program": "Write add.", "tests": TESTS}
    await run("generate-test-revise", programmer, inputs, fields=fields, tools=(python(),))
    assert "program: Write add." in asked[1]
    assert "program_: def add(a, b):" in asked[1]


async def test_self_refine_ends_at_its_bound() -> None:
    def model(request: Request) -> Reply:
        return {"feedback": "no", "correct": False} if "Check" in told(request) else {"total": 7}

    trace = await run("self-refine", model, {"note": "x"})
    assert trace.outputs == {"total": 7}
    assert trace.usage.calls == 7


async def test_in_a_debate_each_reads_what_the_others_said_and_the_majority_decides() -> None:
    asked: list[str] = []

    def model(request: Request) -> Reply:
        asked.append(shown(request))
        return {"reasoning": f"call {len(asked)}", "total": 4 if len(asked) == 5 else 6}

    trace = await run("debate", model, {"note": "x"})
    assert trace.outputs == {"total": 6}
    assert len(asked) == 6
    for number, text in enumerate(asked[3:]):
        others = {"call 1", "call 2", "call 3"} - {f"call {number + 1}"}
        assert all(other in text for other in others)


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        ("```python\nprint(6 * 7)\n```", "42"),
        ("Here it is:\n```\nprint(6 * 7)\n```\nThat prints it.", "42"),
        ("print(6 * 7)", "42"),
        ("print(6 *", "SyntaxError"),
    ],
)
async def test_a_program_of_thought_is_run_and_what_it_printed_is_read(program: str, printed: str) -> None:
    seen: list[str] = []

    def model(request: Request) -> Reply:
        if "Write a short Python program" in told(request):
            return program
        seen.append(shown(request))
        return {"total": 42}

    trace = await run("program-of-thought", model, {"note": "six times seven"}, tools=(python(),))
    assert trace.outputs == {"total": 42}
    assert len(seen) == 1
    assert "printed: " in seen[0]
    assert printed in seen[0]


async def test_plan_and_solve_solves_by_its_plan() -> None:
    def model(request: Request) -> Reply:
        if "Carry out" in told(request):
            return {"reasoning": "", "total": 9 if "first the cups" in shown(request) else 0}
        return "first the cups"

    assert (await run("plan-and-solve", model, {"note": "x"})).outputs == {"total": 9}


async def test_retrieve_then_read_reads_what_the_question_finds() -> None:
    seen: list[str] = []

    def model(request: Request) -> Reply:
        seen.append(shown(request))
        return {"total": 1}

    await run("retrieve-then-read", model, {"note": "cups"}, tools=(search({"cups": ["abc", "xyz"]}),))
    assert seen == ["passages: abc: cba\nxyz: zyx\nnote: cups"]


async def test_multi_hop_qa_searches_again_with_the_query_that_it_wrote() -> None:
    def model(request: Request) -> Reply:
        if "search query" in told(request):
            return {"reasoning": "", "query": "saucers"}
        if "Summarise" in told(request):
            return {"reasoning": "", "summary": f"saw {shown(request)[-3:]}"}
        return {"reasoning": "", "total": 2 if "saw cba" in shown(request) and "saw zyx" in shown(request) else 0}

    pages = search({"cups": ["abc"], "saucers": ["xyz"]})
    trace = await run("multi-hop-qa", model, {"note": "cups"}, tools=(pages,))
    assert trace.outputs == {"total": 2}
    assert trace.usage.calls == 4


async def test_multi_hop_claims_gives_each_title_of_three_searches_once() -> None:
    queries = iter(["two", "three"])

    def model(request: Request) -> Reply:
        asks = "search query" in told(request)
        return {"reasoning": "", **({"query": next(queries)} if asks else {"summary": "so"})}

    pages = {"one": [f"a{n}" for n in range(10)], "two": ["a1", "b"], "three": [f"c{n}" for n in range(10)]}
    fields = (Field.of("claim", "str"),), (Field.of("found", "list[str]"),)
    trace = await run("multi-hop-claims", model, {"claim": "one"}, fields=fields, tools=(search(pages),))
    assert trace.outputs == {"found": [*(f"a{n}" for n in range(7)), "b", *(f"c{n}" for n in range(10))]}
    assert trace.usage.calls == 4


async def test_react_calls_the_tools_of_the_task_before_it_answers() -> None:
    def double(n: int) -> int:
        return 2 * n

    def model(request: Request) -> Reply | list[ToolUse]:
        if len(request.messages) == 2:
            return [ToolUse("double", '{"n": 4}')]
        return {"reasoning": "twice", "total": int(shown(request)) + 1 if shown(request).isdigit() else 0}

    trace = await run("react", model, {"note": "x"}, tools=(tool_of(double),))
    assert trace.outputs == {"total": 9}
    assert [(call.tool, call.arguments) for call in trace.steps[0].calls] == [("double", {"n": 4})]


PROGRAM = (Field.of("task", "str"), Field.of("tests", "str")), (Field.of("code", "str"),)
TESTS = "assert add(1, 2) == 3\nassert add(0, 0) == 0"


async def test_a_program_that_fails_its_tests_goes_back_with_what_failed() -> None:
    seen: list[str] = []

    def model(request: Request) -> Reply:
        if "mend" not in told(request):
            return "```python\ndef add(a, b):\n    return a - b\n```"
        seen.append(shown(request))
        return "def add(a, b):\n    return a + b"

    inputs = {"task": "Add.", "tests": TESTS}
    trace = await run("generate-test-revise", model, inputs, fields=PROGRAM, tools=(python(),))
    assert trace.outputs == {"code": "def add(a, b):\n    return a + b"}
    assert len(seen) == 1
    assert "failed: assert add(1, 2) == 3 AssertionError" in seen[0]
    assert "failed: assert add(0, 0)" not in seen[0]


async def test_a_program_that_passes_is_left_alone() -> None:
    good = "def add(a, b):\n    return a + b"
    inputs = {"task": "Add.", "tests": TESTS}
    trace = await run("generate-test-revise", scripted(good), inputs, fields=PROGRAM, tools=(python(),))
    assert trace.outputs == {"code": good}
    assert trace.usage.calls == 1


async def test_a_program_that_does_not_run_is_revised_three_times_and_given_all_the_same() -> None:
    seen: list[str] = []

    def model(request: Request) -> Reply:
        seen.append(shown(request))
        return f"def add(:  # {len(seen)}"

    inputs = {"task": "Add.", "tests": TESTS}
    trace = await run("generate-test-revise", model, inputs, fields=PROGRAM, tools=(python(),))
    assert trace.outputs == {"code": "def add(:  # 4"}
    assert all("SyntaxError" in text for text in seen[1:])


async def test_papillon_shows_the_untrusted_model_the_rewritten_request_alone() -> None:
    saw: dict[str, list[str]] = {}

    def opened(session: Session, name: str) -> LM:
        def reply(request: Request) -> Reply:
            saw.setdefault(name, []).append("\n".join(message.content for message in request.messages))
            if name == "untrusted":
                return "Dear landlord"
            return (
                {"reasoning": "", "question": "How to ask a landlord?"} if "stranger" in told(request) else "Dear Ann"
            )

        return LM(FakeClient(reply, name=name), session)

    fields = (Field.of("request", "str"),), (Field.of("letter", "str"), Field.of("sent", "str"))
    models = {"redact": "trusted", "untrusted": "untrusted", "respond": "trusted"}
    workflow: Workflow = fit(find_start("papillon"), *fields, "Write the letter.", models=models)
    session = Session(store=Store.memory())
    engine = Engine(None, session, open_model=lambda name: opened(session, name), models=models.values())
    try:
        trace = await engine.run(workflow, {"request": "Write to my landlord Ann."}, purpose="test")
    finally:
        await engine.close()
    assert trace.outputs == {"letter": "Dear Ann", "sent": "How to ask a landlord?"}
    assert len(saw["untrusted"]) == 1
    assert "How to ask a landlord?" in saw["untrusted"][0]
    assert "Ann" not in saw["untrusted"][0]
    assert "Ann" in saw["trusted"][1]
    assert "Dear landlord" in saw["trusted"][1]
