from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_help import engine_on, single

from flowbot.cli.app import run
from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.lm.client import Request
from flowbot.runtime.evaluation import Evaluation, evaluate
from flowbot.runtime.executors import Call, Executor, open_executor
from flowbot.runtime.executors.address import Functions, Unsendable, address_of
from flowbot.runtime.executors.job import Job, described, is_plain, rebuilt
from flowbot.runtime.executors.processes import ProcessExecutor
from flowbot.runtime.executors.protocol import FunctionError
from flowbot.runtime.tools import ToolRunner
from flowbot.store import Store
from flowbot.task import Example, Metric, MetricError, Task, tool_of
from flowbot.task.modules import Modules

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")
METRIC = """
from flowbot.fields import Score

def score(example, outputs):
    right = outputs["text"] == example.expected["text"]
    outputs["text"] = example.inputs["note"] = "spoiled"
    return Score(1.0 if right else 0.3, f"{example.id} {example.extra['tag']} ü", {"half": 0.5})
"""
BY = "import os\nCALLS = 0\n"


@pytest.fixture
async def two() -> AsyncIterator[ProcessExecutor]:
    executor = ProcessExecutor(2)
    yield executor
    pids = executor.pids
    await executor.close()
    assert not executor.pids
    assert not any(map(there, pids))


def there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def function(folder: Path, text: str, name: str = "f", file: str = "functions.py") -> Callable[..., Any]:
    """A function of a file, imported as those that a task file names."""
    (folder / file).write_text(text, encoding="utf-8")
    return Modules(run=True).load(folder / file, name, file)


def tool(call: Callable[..., Any], seconds: float | None = None, **arguments: Any) -> Call:
    return Call("tool", "t", call, arguments, seconds)


def by_note(request: Request) -> str:
    return request.messages[-1].content


def task_of(metric: Any, rows: int = 12) -> Task:
    train = [
        {"id": f"e{n}", "note": f"note {n}", "text": f"note {n}" if n % 2 else "other", "tag": n} for n in range(rows)
    ]
    return Task(goal="Say it.", inputs={"note": "str"}, outputs={"text": "str"}, metric=metric, train=train)


async def evaluated(task: Task, executor: Executor, store: Store | None = None) -> Evaluation:
    async with engine_on(by_note, store=store, executor=executor) as engine:
        return await evaluate(engine, single(), task, task.train, purpose="train")


# The same under both


async def test_an_evaluation_gives_the_same_under_both_executors(tmp_path: Path) -> None:
    metric = function(tmp_path, METRIC, "score")
    here, there_ = [await evaluated(task_of(metric), open_executor(each)) for each in ("loop", "processes")]
    assert [row.score for row in here.rows] == [row.score for row in there_.rows]
    assert [row.trace.outputs for row in there_.rows] == [{"text": f"note {n}"} for n in range(12)]
    assert there_.rows[3].score.feedback == "e3 3 ü"


async def test_what_one_executor_stored_serves_the_other(tmp_path: Path) -> None:
    metric = function(
        tmp_path,
        f"log = {str(tmp_path / 'log')!r}\n"
        + "def f(example, outputs):\n    with open(log, 'a') as file:\n        file.write('x')\n    return 0.5\n",
    )
    stores = [Store.memory(), Store.memory()]
    for first, second, store in (("loop", "processes", stores[0]), ("processes", "loop", stores[1])):
        for name in (first, second):
            evaluation = await evaluated(task_of(metric), open_executor(name), store)
            assert evaluation.mean == 0.5
    assert (tmp_path / "log").read_text() == "x" * 24


RESULTS = """
from dataclasses import dataclass
from flowbot.fields import InfrastructureError, StepError, UserError, Score

@dataclass
class Found:
    name: str
    rows: tuple

def value(n: int):
    return Found("ü\\n", (1, 2.5, None, {"a": {3}, 4: 10**400}))
def none(n): return None
def nan(n): return float("nan")
def raw(n): return b"x"
def boom(n): raise ValueError("no")
def empty(n): raise KeyError()
def late(n): raise TimeoutError("its own")
def leave(n): raise SystemExit(3)
def stop(n): return next(iter(()))
def step(n): raise StepError("as told")
def user(n): raise UserError("docs", "changed", "as it was")
def infra(n): raise InfrastructureError("gone", kind="server", retry_after=3.0)
def half(n): raise ValueError("\\ud800")
class Own(Exception): pass
def own(n): raise Own(n)
def truth(example, outputs): return True
def number(example, outputs): return 0.1
def many(example, outputs): return 7
def broken(example, outputs): return Score(2.0)
def text(example, outputs): return "good"
def silent(example, outputs): raise AssertionError
def out(example, outputs): raise SystemExit("x")
"""


@pytest.mark.parametrize(
    "name",
    ["value", "none", "nan", "raw", "boom", "empty", "late", "leave", "stop", "step", "user", "infra", "half", "own"],
)
async def test_a_tool_gives_the_same_result_or_error_under_both(
    name: str, tmp_path: Path, two: ProcessExecutor
) -> None:
    called = tool_of(_typed, name="t")
    called = replace(called, call=function(tmp_path, RESULTS, name))
    told: list[object] = []
    for executor in (open_executor(), two):
        try:
            outputs, _ = await ToolRunner({"t": called}, None, executor=executor).call("t", {"n": 1})
            told.append(outputs)
        except (StepError, UserError, InfrastructureError) as error:
            told.append((type(error), str(error), getattr(error, "retry_after", None)))
    assert told[0] == told[1]
    assert len(two.pids) == 1


def test_an_error_of_a_class_that_cannot_tell_of_itself_is_told_all_the_same() -> None:
    class Mute(StepError):
        def __str__(self) -> str:
            raise RuntimeError

    error = rebuilt(json.loads(json.dumps(described(Mute("a")))))
    assert isinstance(error, FunctionError)
    assert (error.type_name, error.text) == ("Mute", "an error without a text (RuntimeError)")


def _typed(n: int) -> dict:  # type: ignore[type-arg]
    raise AssertionError


@pytest.mark.parametrize("name", ["truth", "number", "many", "broken", "text", "silent", "out", "none"])
async def test_a_metric_gives_the_same_score_or_error_under_both(name: str, tmp_path: Path) -> None:
    task = task_of(function(tmp_path, RESULTS, name), 1)
    told: list[object] = []
    for executor in (open_executor(), ProcessExecutor(1)):
        try:
            told.append([row.score for row in (await evaluated(task, executor)).rows])
        except MetricError as error:
            told.append((str(error), error.metric, error.example))
    assert told[0] == told[1]


# Processes that are lost

KILLED_ONCE = """
import os, signal
from pathlib import Path

def f(example, outputs):
    seen = Path({folder!r}) / example.id
    if not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.5
"""


async def test_a_metric_whose_process_is_killed_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    metric = function(tmp_path, KILLED_ONCE.format(folder=str(tmp_path / "seen")))
    evaluation = await evaluated(task_of(metric, 3), ProcessExecutor(2))
    assert evaluation.values == [0.5] * 3
    assert len(list((tmp_path / "seen").iterdir())) == 3


ALL_KILLED = """
import time
from pathlib import Path

def f(example, outputs):
    (Path({folder!r}) / example.id).touch()
    while not Path({go!r}).exists():
        time.sleep(0.01)
    return 0.25
"""


async def test_workers_that_are_all_killed_from_outside_lose_nothing(tmp_path: Path) -> None:
    seen, go = tmp_path / "seen", tmp_path / "go"
    seen.mkdir()
    executor = ProcessExecutor(2)
    metric = function(tmp_path, ALL_KILLED.format(folder=str(seen), go=str(go)))
    evaluating = asyncio.create_task(evaluated(task_of(metric, 8), executor))
    await until(lambda: len(list(seen.iterdir())) == 2)
    killed = executor.pids
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    go.touch()
    assert (await evaluating).values == [0.25] * 8
    assert len(killed) == 2
    await executor.close()  # it is ours, and not the engine's
    assert executor.pids == ()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


ENDS = """
import os
from pathlib import Path

def note():
    with open({log!r}, "a") as file:
        file.write(f"{{os.getpid()}} ")

def killed(n: int) -> int:
    note()
    os.kill(os.getpid(), 9)

def left(example, outputs):
    note()
    os._exit(7)
"""


async def test_a_job_that_kills_its_worker_each_time_is_tried_three_times_and_then_fails(tmp_path: Path) -> None:
    log, store = tmp_path / "log", Store.memory()
    text = ENDS.format(log=str(log))
    called = function(tmp_path, text, "killed")
    async with engine_on(
        tools=[tool_of(called, name="t", identity="it")], store=store, executor=ProcessExecutor(2)
    ) as engine:
        with pytest.raises(
            StepError, match="tool t: its process was lost 3 times out of 3; the last one was killed by SIGKILL"
        ):
            await engine.tools.call("t", {"n": 1})
    assert len(set(log.read_text().split())) == 3
    log.unlink()
    task = task_of(function(tmp_path, text, "left"), 1)
    with pytest.raises(MetricError, match=r"'e0'.*lost 3 times out of 3; the last one ended with status 7") as caught:
        await evaluated(task, ProcessExecutor(2), store)
    assert (caught.value.metric, caught.value.example) == ("left", "e0")
    assert len(set(log.read_text().split())) == 3
    assert len(await store.items("metric")) == 0


async def test_a_worker_that_was_killed_while_it_was_idle_costs_no_try(tmp_path: Path, two: ProcessExecutor) -> None:
    f = function(tmp_path, "import os\ndef f() -> int:\n    return os.getpid()\n")
    first = (await two.run(tool(f))).value
    os.kill(first, signal.SIGKILL)
    second = (await two.run(tool(f))).value
    assert first != second
    assert two.pids == (second,)


async def test_a_job_past_its_time_has_its_worker_killed_with_what_that_started(
    tmp_path: Path, two: ProcessExecutor
) -> None:
    text = f"""
import os, subprocess, sys, time
if os.getpid() != {os.getpid()}:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open({str(tmp_path / "pids")!r}, "w") as file:
        file.write(f"{{os.getpid()}} {{child.pid}}")
def f() -> int:
    time.sleep(600)
def g() -> int:
    return 1
"""
    outcome = await two.run(tool(function(tmp_path, text), seconds=0.1))
    assert isinstance(outcome.error, TimeoutError)
    assert outcome.seconds >= 0.1
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    await until(lambda: not any(map(_running, pids)))
    assert (await two.run(tool(function(tmp_path, text, "g"), seconds=60.0))).value == 1
    called = tool_of(function(tmp_path, text), name="t")
    with pytest.raises(StepError, match=r"tool t: took longer than 0.1 s"):
        await ToolRunner({"t": called}, None, seconds=0.1, executor=two).call("t", {})


def _running(pid: int) -> bool:
    """Whether a process is there and is more than an entry that nobody has read yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_call_that_is_cancelled_ends_its_worker(tmp_path: Path, two: ProcessExecutor) -> None:
    f = function(
        tmp_path,
        f"import pathlib, time\ndef f() -> int:\n    pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n    time.sleep(600)\n",
    )
    running = asyncio.create_task(two.run(tool(f)))
    await until((tmp_path / "begun").exists)
    (pid,) = two.pids
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: not _running(pid))


OWNER = """
import asyncio, sys, time
from pathlib import Path
from flowbot.runtime.executors import Call, open_executor
from flowbot.task.modules import Modules

async def main(folder):
    executor = open_executor("processes", workers=2)
    load = Modules(run=True).load
    idle = load(folder / "functions.py", "idle", "")
    busy = load(folder / "functions.py", "busy", "")
    waits = [asyncio.create_task(executor.run(Call("tool", "t", busy, {}))) for _ in range(2)]
    while len(list(folder.glob("begun-*"))) < 2:
        await asyncio.sleep(0.01)
    (folder / "go-1").touch()
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    print(*executor.pids, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1])))
"""
BUSY = """
import os, time
from pathlib import Path
FOLDER = Path(__file__).parent

def idle() -> int:
    return 1

def busy() -> int:
    try:
        (FOLDER / "begun-1").touch(exist_ok=False)
        mine = "go-1"
    except FileExistsError:
        (FOLDER / "begun-2").touch()
        mine = "never"
    while not (FOLDER / mine).exists():
        time.sleep(0.01)
    return 1
"""


async def test_workers_at_work_and_idle_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    (tmp_path / "functions.py").write_text(BUSY)
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in (await asyncio.to_thread(owner.stdout.readline)).split()]
        assert len(pids) == 2
        assert all(map(_running, pids))
        owner.kill()
    await until(lambda: not any(map(_running, pids)))


async def test_nothing_is_started_before_the_first_job_and_nothing_runs_after_the_end(tmp_path: Path) -> None:
    executor = ProcessExecutor(2)
    assert executor.pids == ()
    f = function(tmp_path, "def f() -> int:\n    return 1\n")
    await executor.run(tool(f))
    (pid,) = executor.pids
    await executor.close()
    await executor.close()
    assert not there(pid)
    with pytest.raises(InfrastructureError, match="closed"):
        await executor.run(tool(f))


async def test_closing_with_a_job_under_way_leaves_no_process(tmp_path: Path) -> None:
    executor = ProcessExecutor(1)
    f = function(
        tmp_path,
        f"import pathlib, time\ndef f() -> int:\n    pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n    time.sleep(600)\n",
    )
    running = [asyncio.create_task(executor.run(tool(f))) for _ in range(2)]
    await until((tmp_path / "begun").exists)
    (pid,) = executor.pids
    await executor.close()
    assert not there(pid)
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert [type(each) for each in ended] == [InfrastructureError] * 2


async def test_without_a_process_there_is_a_fault_of_the_infrastructure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f = function(tmp_path, "def f() -> int:\n    return 1\n")
    for python in ("/bin/false", "/nowhere/python"):
        monkeypatch.setattr(sys, "executable", python)
        executor = ProcessExecutor(1)
        with pytest.raises(InfrastructureError, match="do not start"):
            await executor.run(tool(f))
        await executor.close()


# What functions see


async def test_what_a_function_prints_goes_to_standard_error_and_it_reads_nothing(
    tmp_path: Path, two: ProcessExecutor, capfd: pytest.CaptureFixture[str]
) -> None:
    text = """
import os, subprocess, sys
print("on import")
def f() -> str:
    print("printed")
    os.write(1, b"written\\n")
    subprocess.run(["echo", "echoed"])
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    return sys.stdin.read()
"""
    assert (await two.run(tool(function(tmp_path, text)))).value == ""
    capfd.readouterr()  # this process imported the module too
    assert (await two.run(tool(function(tmp_path, text)))).value == ""
    captured = capfd.readouterr()
    assert captured.out == "on import\n"
    assert captured.err == "printed\nwritten\nechoed\n"


MEET = """
import os, time
from pathlib import Path

def f(example, outputs):
    folder = Path({folder!r})
    (folder / str(os.getpid())).touch()
    for _ in range(3000):
        if len(list(folder.iterdir())) == 2:
            return 1.0
        time.sleep(0.01)
    return 0.0
"""


async def test_metrics_run_side_by_side_each_process_keeping_its_module(tmp_path: Path) -> None:
    (tmp_path / "met").mkdir()
    metric = function(tmp_path, MEET.format(folder=str(tmp_path / "met")))
    assert (await evaluated(task_of(metric, 2), ProcessExecutor(2))).values == [1.0, 1.0]


async def test_an_imported_module_is_kept_between_jobs(tmp_path: Path) -> None:
    f = function(tmp_path, "CALLS = []\ndef f() -> int:\n    CALLS.append(1)\n    return len(CALLS)\n")
    executor = ProcessExecutor(1)
    assert [(await executor.run(tool(f))).value for _ in range(3)] == [1, 2, 3]
    await executor.close()


async def test_a_function_finds_what_stands_beside_its_file_and_the_environment(
    tmp_path: Path, two: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_one.py").write_text("def g() -> str:\n    return 'one'\n")
    (tmp_path / "beside_two.py").write_text("WORD = 'two'\n")
    monkeypatch.setenv("SOME_API_KEY", "k")
    text = """
import os
from beside_one import g
def f() -> str:
    from beside_two import WORD
    return g() + WORD + os.environ["SOME_API_KEY"]
"""
    assert (await two.run(tool(function(tmp_path, text)))).value == "onetwok"
    g = function(tmp_path, text, "g")  # stands in another module, by whose name it is found
    assert g.__module__ == "beside_one"
    assert (await two.run(tool(g))).value == "one"
    del sys.modules["beside_one"]


# What runs in this process


class Shelf:
    def find(self) -> int:
        return os.getpid()

    @staticmethod
    def place() -> int:
        return os.getpid()


def _inner() -> Callable[[], int]:
    def inner() -> int:
        return os.getpid()

    return inner


async def _later() -> int:
    return os.getpid()


@pytest.mark.parametrize("call", [lambda: os.getpid(), _inner(), Shelf().find, _later])
async def test_what_cannot_be_sent_runs_here_and_is_said_once(
    call: Callable[..., Any], two: ProcessExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="flowbot")
    for _ in range(2):
        assert (await two.run(tool(call))).value == os.getpid()
    assert two.pids == ()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["tool t runs in this process"]


async def test_a_job_whose_arguments_are_no_json_runs_here(tmp_path: Path, two: ProcessExecutor) -> None:
    f = function(tmp_path, "import os\ndef f(x) -> int:\n    return [os.getpid(), type(x).__name__]\n")
    assert (await two.run(tool(f, x=(1, 2)))).value == [os.getpid(), "tuple"]
    assert (await two.run(tool(f, x=[1, 2]))).value == [*two.pids, "list"]


async def test_a_file_that_was_changed_since_runs_as_it_was(tmp_path: Path, two: ProcessExecutor) -> None:
    text = "import os\ndef f() -> list:\n    return ['old', os.getpid()]\n"
    f = function(tmp_path, text)
    _, worker = (await two.run(tool(f))).value
    (tmp_path / "functions.py").write_text(text.replace("old", "new"))
    assert (await two.run(tool(f))).value == ["old", worker]
    os.kill(worker, signal.SIGKILL)  # the next one would have to import it anew
    assert (await two.run(tool(f))).value == ["old", os.getpid()]


async def test_a_module_that_cannot_be_imported_elsewhere_runs_here(tmp_path: Path, two: ProcessExecutor) -> None:
    text = f"import os\nif os.getpid() != {os.getpid()}:\n    raise SystemExit('not here')\ndef f() -> int:\n    return os.getpid()\n"
    f = function(tmp_path, text)
    assert (await two.run(tool(f))).value == os.getpid()
    assert len(two.pids) == 1  # the worker is as good as before


async def test_metrics_that_cannot_be_sent_run_one_at_a_time() -> None:
    inside, most = 0, 0

    def metric(example: Example, outputs: Any) -> float:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1
        return 1.0

    executor = ProcessExecutor(2)
    assert (await evaluated(task_of(metric), executor)).mean == 1.0
    assert most == 1
    call = Call("metric", "m", metric, {"example": Example("e", {}, {}), "outputs": {}})
    await asyncio.gather(*(executor.run(call) for _ in range(5)))  # also where nobody takes turns
    assert most == 1


async def test_metrics_that_nobody_waits_for_any_more_do_not_begin(tmp_path: Path) -> None:
    seen, go = tmp_path / "seen", tmp_path / "go"
    seen.mkdir()
    metric = function(tmp_path, ALL_KILLED.format(folder=str(seen), go=str(go)))
    for executor, most in ((open_executor(), 1), (ProcessExecutor(2), 2)):
        evaluating = asyncio.create_task(evaluated(task_of(metric, 20), executor))
        await until(lambda most=most: len(list(seen.iterdir())) == most)
        evaluating.cancel()
        go.touch()
        with pytest.raises(asyncio.CancelledError):
            await evaluating
        assert len(list(seen.iterdir())) == most
        go.unlink()
        for each in seen.iterdir():
            each.unlink()


# Jobs as data

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=2) | st.just((1,)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_plain_is_what_json_gives_back(value: Any) -> None:
    try:
        same = repr(json.loads(json.dumps(value))) == repr(value)
    except TypeError:
        same = False
    assert is_plain(value) == same


def test_a_job_is_data_and_its_call_the_one_it_was_made_of(tmp_path: Path) -> None:
    f = function(tmp_path, "class K:\n    @staticmethod\n    def f(example, outputs):\n        return 1.0\n", "K").f  # type: ignore[attr-defined]
    example = Example("e", {"a": [1]}, {"b": None}, "g", {"c": {"d": 0.1}})
    call = Call("metric", "m", f, {"example": example, "outputs": {"b": "x"}}, 3.0)
    job = Job.of(call, address_of(f))
    again = Job.load(json.loads(json.dumps(job.dump())))
    assert again == job
    assert again.call(f) == call
    assert Functions().find(again.function).__qualname__ == "K.f"


def test_functions_of_the_program_and_of_flowbot_have_no_address() -> None:
    for call, told in ((Metric.of, "FlowBot's own"), (os.getpid().bit_length, "no module"), (_later, "coroutine")):
        with pytest.raises(Unsendable, match=told):
            address_of(call)
    assert address_of(json.dumps).module == "json"


def test_an_unknown_executor_is_the_users_error() -> None:
    with pytest.raises(UserError, match="loop, processes, ray"):
        open_executor("threads")  # type: ignore[arg-type]


# From the command line

TASK = """flowbot: 1
goal: Say the number.
inputs: {n: int}
outputs: {m: int}
metric: metrics.py:score
data: {train: train.jsonl, val: val.jsonl, test: test.jsonl}
tools: [metrics.py:twice]
"""
FLOW = """flowbot: 1
inputs: {n: int}
outputs: {m: t.result}
nodes: {t: {kind: tool, tool: twice, in: {n: n}, out: {result: int}}}
"""


def test_eval_and_run_take_the_executor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "task.yaml").write_text(TASK)
    (tmp_path / "f.flow.yaml").write_text(FLOW)
    for number, split in enumerate(("train", "val", "test")):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"n": {number}, "m": {2 * number}}}\n')
    owner = f"import os\nOWNER = {os.getpid()}\n"
    (tmp_path / "metrics.py").write_text(
        owner + "def twice(n: int) -> int:\n    return 2 * n if os.getpid() != OWNER else -1\n"
        "def score(example, outputs):\n    return outputs == example.expected and os.getpid() != OWNER\n"
    )
    task, flow = str(tmp_path / "task.yaml"), str(tmp_path / "f.flow.yaml")
    shared = ["--json", "--cache-dir", str(tmp_path / "cache"), "--executor"]
    assert run(["eval", flow, task, *shared, "processes"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"] == 1.0
    for name, said in (("processes", 6), ("loop", -1)):
        assert run(["run", flow, "n=3", "--task", task, *shared, name]) == 0
        assert json.loads(capsys.readouterr().out) == {"m": said}
    assert run(["eval", flow, task, *shared, "threads"]) == 2
