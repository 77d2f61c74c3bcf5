"""Modules of DSPy and graphs of LangGraph as programs: as they are, their calls asked of the run's model, their parts as steps."""

from __future__ import annotations

from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, TypedDict

import openai
import pytest

import flowbot as fb
from flowbot.fields import UserError
from flowbot.runtime.traced.seen import seen
from flowbot.task.frameworks import framework_program

ROWS = [{"question": f"How many pears are in basket {n}?", "answer": n + 2} for n in range(4)]


def task(output: str = "answer", **more: Any) -> fb.Task:
    rows = [{"question": row["question"], output: row["answer"]} for row in ROWS]
    return fb.Task(goal="Count.", inputs={"question": str}, outputs={output: int}, metric="exact", val=rows, **more)


class Scripted:
    """A model that answers in the form that DSPy asks for; its answer is right where the instruction says `sum`."""

    name = "scripted/1"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, messages: list[dict[str, Any]]) -> str:
        text = "\n".join(each["content"] for each in messages)
        self.asked.append(text)
        basket = int(text.rpartition("basket ")[2].partition("?")[0])
        if "`query` (str)" in text.partition("Your output fields are:")[2].partition("All interactions")[0]:
            return f"[[ ## query ## ]]\nbasket {basket}?\n\n[[ ## completed ## ]]"
        count = basket + 2 if "sum" in text else 0
        return f"[[ ## answer ## ]]\n{count}\n\n[[ ## completed ## ]]"


def module() -> Any:
    dspy = pytest.importorskip("dspy", reason="the extra [dspy]")

    class Counting(dspy.Module):
        """Counts."""

        def __init__(self) -> None:
            self.plan = dspy.Predict(dspy.Signature("question -> query", "Write a query.\nBe short."))
            self.answer = dspy.Predict(dspy.Signature("question, query -> answer: int", "Answer by the sum."))

        def forward(self, question: str) -> Any:
            return self.answer(question=question, query=self.plan(question=question).query)

    return Counting()


@pytest.mark.filterwarnings("ignore")
def test_a_module_is_run_as_it_is_and_a_replay_asks_nothing(tmp_path: Path) -> None:
    given, model = module(), Scripted()
    found = fb.evaluate(given, task(), lm=model, cache_dir=tmp_path)
    assert (found.mean, found.errors, found.calls) == (1.0, 0, 8)
    again = Scripted()
    assert fb.evaluate(module(), task(), lm=again, cache_dir=tmp_path).rows == found.rows
    assert again.asked == []
    trace = found.rows[0].trace
    assert trace is not None
    steps = {each.node: each for each in trace.steps}
    assert steps["Counting/plan"].inputs == {"fields": {"question": ROWS[0]["question"]}}
    assert steps["Counting/answer/call"].texts == ("Counting:answer",)
    assert steps["Counting/plan/call"].texts == ("Counting:plan",)  # also one of several lines, which DSPy indents


def test_what_a_predictor_gives_is_known_again_by_its_fields() -> None:
    dspy = pytest.importorskip("dspy", reason="the extra [dspy]")
    assert seen(dspy.Prediction(query="terns", notes=["a", "b"])).value == {"query": "terns", "notes": ["a", "b"]}


@pytest.mark.filterwarnings("ignore")
def test_other_instructions_are_told_to_a_copy() -> None:
    given = module()
    program = framework_program(given)
    assert program is not None
    told = program.told(lambda param: f"{param.default} Now!")  # type: ignore[union-attr]
    assert told.answer.signature.instructions == "Answer by the sum. Now!"
    assert given.answer.signature.instructions == "Answer by the sum."
    assert program.identity == framework_program(module()).identity  # type: ignore[union-attr]
    assert program.identity != framework_program(told).identity  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore")
def test_a_module_needs_the_model_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lm"):
        fb.evaluate(module(), task(), cache_dir=tmp_path)


COUNT = fb.Param("count", "Count by the sum.")


class State(TypedDict, total=False):
    question: str
    asked: str
    total: int


def note(state: State) -> State:
    return {"asked": f"Please: {state.get('question', '')}"}


async def counted(state: State) -> State:
    async with openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0) as client:
        messages: list[Any] = [
            {"role": "system", "content": str(COUNT)},
            {"role": "user", "content": state.get("asked", "")},
        ]
        done = await client.chat.completions.create(model="gpt-x", messages=messages, temperature=0)
    return {"total": int((done.choices[0].message.content or "").split("\n")[1])}


@pytest.mark.filterwarnings("ignore")
def test_a_graph_is_run_as_it_is_one_step_a_node(tmp_path: Path) -> None:
    graphs: Any = pytest.importorskip("langgraph.graph", reason="langgraph is not installed")
    graph = graphs.StateGraph(State)
    graph.add_node("note", note)
    graph.add_node("counted", counted)
    graph.add_edge(graphs.START, "note")
    graph.add_edge("note", "counted")
    graph.add_edge("counted", graphs.END)
    found = fb.evaluate(graph.compile(), task("total"), lm=Scripted(), cache_dir=tmp_path)
    assert (found.mean, found.errors, found.calls) == (1.0, 0, 4)
    trace = found.rows[0].trace
    assert trace is not None
    nodes = [each.node.partition("/")[2] for each in trace.steps if "/" in each.node]
    assert sorted(nodes) == ["counted", "counted/call", "note"]
    call = next(each for each in trace.steps if each.node.endswith("/call"))
    assert [each.rpartition(":")[2] for each in call.texts] == ["count"]


GRAPH = """
import flowbot as fb
from langgraph.graph import END, START, StateGraph
SAY = fb.Param("say", "Say it.")
def say(state):
    return {"answer": f"{SAY} {state['question']}"}
graph = StateGraph(dict)
graph.add_node("say", say)
graph.add_edge(START, "say")
graph.add_edge("say", END)
graph = graph.compile()
"""


@pytest.mark.filterwarnings("ignore")
def test_a_graph_is_named_in_a_task_file_and_what_is_said_of_it_holds(tmp_path: Path) -> None:
    pytest.importorskip("langgraph.graph", reason="langgraph is not installed")
    (tmp_path / "app.py").write_text(GRAPH, encoding="utf-8")
    (tmp_path / "val.jsonl").write_text('{"question": "a", "answer": "Say it. a"}\n', encoding="utf-8")
    file = tmp_path / "task.yaml"
    text = (
        "flowbot: 1\ngoal: g\ninputs: {question: str}\noutputs: {answer: str}\nmetric: exact\ndata: {val: val.jsonl}\n"
    )
    file.write_text(f"{text}programs: [{{call: app.py:graph, effects: writes, max_calls: 1}}]\n", encoding="utf-8")
    found = fb.Task.load(file)
    (program,) = found.programs
    assert not iscoroutinefunction(
        type(program.call).__call__
    )  # nodes that block would use up the threads of the run's loop
    assert ([each.name for each in program.tunable], program.effects, program.max_calls) == (["say"], "writes", 1)
    with pytest.raises(UserError, match="a program that writes"):
        fb.evaluate("app.py:graph", found, lm="fake/echo", cache_dir=tmp_path)
    file.write_text(f"{text}programs: [app.py:graph]\n", encoding="utf-8")
    assert fb.evaluate("app.py:graph", fb.Task.load(file), lm="fake/echo", cache_dir=tmp_path).mean == 1.0
    (tmp_path / "app.py").write_text(GRAPH.replace('f"{SAY}', 'f"So: {SAY}'), encoding="utf-8")
    assert fb.Task.load(file).programs[0].identity != program.identity


@pytest.mark.filterwarnings("ignore")
def test_a_graph_is_checked_on_made_up_replies(tmp_path: Path) -> None:
    pytest.importorskip("langgraph.graph", reason="langgraph is not installed")
    (tmp_path / "app.py").write_text(GRAPH, encoding="utf-8")
    (tmp_path / "val.jsonl").write_text('{"question": "a", "answer": "b"}\n', encoding="utf-8")
    text = (
        "flowbot: 1\ngoal: g\ninputs: {question: str}\noutputs: {answer: str}\nmetric: exact\ndata: {val: val.jsonl}\n"
    )
    (tmp_path / "task.yaml").write_text(text, encoding="utf-8")
    found = fb.check(f"{tmp_path}/app.py:graph", task=tmp_path / "task.yaml")
    assert found.facts["programs"][0]["texts"] == ["say"]
    assert any("text say is read, and stands in no request" in each.what for each in found.defects)


def test_what_is_of_no_framework_is_none() -> None:
    assert framework_program(len) is None
    assert framework_program(object()) is None
