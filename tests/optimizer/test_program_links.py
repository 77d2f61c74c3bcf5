"""Which calls of a program's run go on into which, and to whom feedback flows: texts found together are told apart."""

from __future__ import annotations

from proposer_help import task_of
from traced_help import function, model, program, row

from flowbot.optimizer.feedback.blame import Blamed
from flowbot.optimizer.feedback.links import Link, givers, links_of
from flowbot.optimizer.feedback.parts import parameters_of_call, peers, suspects
from flowbot.optimizer.feedback.question import passed_on
from flowbot.optimizer.feedback.rules import blamed_by_rule
from flowbot.optimizer.feedback.runs import calls_of
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.parameters import Demonstration, LLMParameters

FLOW = WorkflowProgram(program({"plan": "Write a query.", "answer": "Answer.", "style": "Be brief."}))
METRIC = task_of([{"q": "q", "a": "yes"}]).metric
PLAN, SEARCH, ANSWER = "app/plan[1]/call[1]", "app/search[1]", "app/answer[1]/call[1]"
STEPS = (
    model(PLAN, "metals", texts=["plan"]),
    function("app/plan[1]", "metals", f">{PLAN}", question="q"),
    function(SEARCH, "iron is a metal", "app/plan[1]", kind="tool", query="metals"),
    model(ANSWER, "iron", SEARCH, texts=["answer", "style"]),
    function("app/answer[1]", "iron", f">{ANSWER}", SEARCH, docs="iron is a metal"),
)
RAG = row(*STEPS, made_of=["app/answer[1]"])


def test_a_step_that_made_calls_is_seen_through_and_the_others_are_linked_by_what_they_read() -> None:
    assert links_of(FLOW, RAG) == {
        PLAN: (Link(SEARCH, "in.plan"),),
        SEARCH: (Link(ANSWER, "in.search"),),
        ANSWER: (Link("", "a", "end"),),
    }
    assert list(links_of(FLOW, RAG, until="app:style")) == [ANSWER]


def test_texts_are_steps_whose_calls_hold_them_and_those_of_one_call_are_peers() -> None:
    assert suspects(FLOW) == ["app:plan", "app:answer", "app:style"]
    assert [step.address for step in calls_of(RAG, "app:style")] == [ANSWER]
    assert peers([RAG], "app:style") == ["app:answer"]
    assert parameters_of_call(FLOW, RAG.trace.steps[3]) == {"app:answer": "Answer.", "app:style": "Be brief."}


def test_a_function_passes_on_what_it_got_to_the_one_step_that_it_read_and_is_asked_about_where_there_are_two() -> None:
    assert passed_on(FLOW, RAG, RAG.trace.steps[2]) == ["in.plan"]
    both = function("app/join[1]", "x", "app/plan[1]", ANSWER)
    assert passed_on(FLOW, row(*STEPS, both, made_of=["app/join[1]"]), both) is None
    assert passed_on(FLOW, RAG, RAG.trace.steps[3]) is None, "its texts may be changed"


def test_what_a_loop_asks_again_hears_in_the_end_too_and_is_told_apart_by_number() -> None:
    steps = [
        each
        for number in (1, 2, 3)
        for each in (
            model(f"app/call[{number}]", f"draft {number}", *([f"app/check[{number - 1}]"] if number > 1 else []), texts=["answer"]),
            function(f"app/check[{number}]", "more", f"app/call[{number}]"),
        )
    ]  # fmt: skip
    linked = links_of(FLOW, row(*steps, made_of=["app/call[3]"]))
    assert linked["app/call[1]"] == (Link("app/check[1]", "in.call"), Link("", "a", "skip"))
    assert linked["app/call[3]"] == (Link("", "a", "end"),)
    assert "app/check[3]" not in linked, "nothing rests on it"


def test_what_let_a_call_run_hears_of_it_and_a_call_of_which_nothing_is_known_read_what_its_step_was_handed() -> None:
    route = model("app/route[1]/call[1]", "metals", texts=["plan"])
    asked = model("app/answer[1]/call[1]", "iron", texts=["answer"])
    steps = (
        route,
        function("app/route[1]", "metals", ">app/route[1]/call[1]"),
        asked,
        function("app/answer[1]", "iron", "app/route[1]", ">app/answer[1]/call[1]"),
    )
    run = row(*steps, made_of=["app/answer[1]"])
    assert givers(FLOW, run, asked) == [("route", "app/route[1]/call[1]", True)]
    told = row(*steps[:2], model(ANSWER, "iron", "!app/route[1]", texts=["answer"]), made_of=[ANSWER])
    assert links_of(FLOW, told)["app/route[1]/call[1]"] == (Link(ANSWER, "", "way"),)


def test_a_program_that_failed_is_blamed_on_the_call_that_did_or_what_it_failed_on() -> None:
    steps = (*STEPS[:2], function("app/parse[1]", None, "app/plan[1]", error="ValueError: no JSON"))
    failed = row(*steps, gave=None, error="ValueError: no JSON (app.py:12)")
    assert list(links_of(FLOW, failed)) == [PLAN, "app/parse[1]"]
    assert blamed_by_rule(FLOW, failed, METRIC, suspects(FLOW)) == (
        PLAN,
        "`app/parse[1]` failed on what it gave",
    )


def test_what_is_said_against_one_text_is_no_word_against_its_peer() -> None:
    assert Blamed({"app:plan": 0, "app:answer": 1}, ()).on("app:answer") == []


def test_a_text_reads_and_writes_as_the_parameters_of_a_call() -> None:
    told = FLOW.workflow.parameter("app:plan")
    assert told == LLMParameters(instruction="Write a query.")
    shown = Demonstration(inputs={"user": "q"}, outputs={"reply": "r"}, example="t1")
    changed = FLOW.with_slot(
        "app:plan", LLMParameters(instruction="Query:", format_hint="In one line.", demonstrations=(shown,))
    )
    assert changed.workflow.parameter("app:plan") == LLMParameters(
        instruction="Query:\nIn one line.", demonstrations=(shown,)
    )
    assert changed.workflow.parameter("app:answer") == FLOW.workflow.parameter("app:answer")
    assert [slot.path for slot in FLOW.slots()] == ["app:plan", "app:answer", "app:style", "app"]
