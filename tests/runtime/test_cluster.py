from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import pytest_asyncio
from distributed import LocalCluster
from runtime_help import engine_on, single

from flowbot.cli.app import run as command
from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.runtime.evaluation import Evaluation, evaluate
from flowbot.runtime.executors import Call, Executor, bridge, is_executor, on_ray, open_executor
from flowbot.runtime.executors.address import Address, address_of
from flowbot.runtime.executors.job import Job
from flowbot.runtime.executors.shipping import MOST_FILES, Shipping, unpacked
from flowbot.runtime.executors.station import do, release
from flowbot.task import Task
from flowbot.task.modules import Modules

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signal")
FUNCTIONS = """
import os
import time
from pathlib import Path

from beside import SCALE
from flowbot.fields import Score, StepError

print("imported")
BESIDE = Path(__file__).with_name("limit.txt").read_text() if Path(__file__).with_name("limit.txt").exists() else ""

def score(example, outputs):
    right = outputs["text"] == example.expected["text"]
    return Score(1.0 if right else 0.25 * SCALE, f"{example.id} {example.extra['tag']} {BESIDE}", {"half": 0.5})

def where(): return [os.getpid(), __file__, sorted(os.listdir(Path(__file__).parent)), os.getcwd()]
def boom(): raise KeyError("no")
def step(): raise StepError("as told")
def leave(): raise SystemExit(3)
def die(): os.kill(os.getpid(), 9)
def sleep(): time.sleep(600)
def pid(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)
def waits(at, job):
    (Path(at) / f"{job}-{os.getpid()}").touch()
    while not (Path(at) / "go").exists():
        time.sleep(0.01)
    return job
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    (folder / "functions.py").write_text(FUNCTIONS)
    (folder / "beside.py").write_text("SCALE = 2")
    (folder / "limit.txt").write_text("ü")
    (folder / ".env").write_text("KEY=secret")
    (folder / "runs").mkdir()
    (folder / "runs" / "journal").touch()
    return folder


@pytest.fixture(scope="module")
def machines() -> Any:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def dask(machines: Any) -> AsyncIterator[Executor]:
    executor = open_executor(machines.scheduler_address.replace("tcp", "dask"))
    yield executor
    await executor.close()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Executor]:
    """An executor on clusters of a scripted Ray with something wrong."""

    def opened(wrong: str) -> Executor:
        monkeypatch.syspath_prepend(str(Path(__file__).with_name("fake_ray")))
        monkeypatch.setenv("FAKE_RAY", wrong)
        return open_executor("ray")

    return opened


def function(folder: Path, name: str) -> Callable[..., Any]:
    return Modules(run=True).load(folder / "functions.py", name, "functions.py")


def tool(folder: Path, name: str, seconds: float | None = None, **arguments: Any) -> Call:
    return Call("tool", name, function(folder, name), arguments, seconds)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def evaluated(folder: Path, executor: Executor) -> Evaluation:
    rows = [{"id": f"e{n}", "note": f"{n}", "text": f"{n}" if n % 2 else "other", "tag": n} for n in range(8)]
    metric = function(folder, "score")
    task = Task(goal="Say it.", inputs={"note": "str"}, outputs={"text": "str"}, metric=metric, train=rows)
    async with engine_on(lambda request: request.messages[-1].content, executor=executor) as engine:
        return await evaluate(engine, single(), task, task.train, purpose="train")


@pytest.mark.asyncio(loop_scope="module")
async def test_an_evaluation_on_machines_gives_the_same(folder: Path, dask: Executor) -> None:
    here, there = await evaluated(folder, open_executor()), await evaluated(folder, dask)
    assert [row.score for row in here.rows] == [row.score for row in there.rows]
    assert there.rows[2].score.feedback == "e2 2 ü"
    assert there.rows[2].score.value == 0.5


@pytest.mark.asyncio(loop_scope="module")
async def test_the_folder_is_shipped_without_what_is_hidden_and_prints_stay_there(
    folder: Path, dask: Executor, capfd: pytest.CaptureFixture[str]
) -> None:
    call = tool(folder, "where")
    capfd.readouterr()
    pid, file, names, _ = (await dask.run(call)).value
    assert pid != os.getpid()
    assert Path(file).parent != folder
    assert names[:3] == ["beside.py", "functions.py", "limit.txt"]
    assert not {".env", "runs"} & set(names)
    assert "imported" not in capfd.readouterr().out


@pytest.mark.asyncio(loop_scope="module")
async def test_errors_and_endings_are_those_of_other_executors(folder: Path, dask: Executor) -> None:
    for name in ("boom", "step", "leave"):
        told = [(await each.run(tool(folder, name))).error for each in (open_executor(), dask)]
        assert (type(told[0]) in (type(told[1]), RuntimeError), str(told[0])) == (
            True,
            str(told[1]).removeprefix("RuntimeError: "),
        )
    lost = (await dask.run(tool(folder, "die"))).error
    assert isinstance(lost, StepError)
    assert str(lost) == "its process was lost 3 times out of 3; the last one was killed by SIGKILL"
    late = await dask.run(tool(folder, "sleep", seconds=0.05))
    assert isinstance(late.error, TimeoutError)
    assert late.seconds == 0.05


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_that_is_cancelled_ends_there_and_its_place_is_free(
    folder: Path, dask: Executor, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    for _ in range(3):  # more often than there are places
        file.unlink(missing_ok=True)
        asked = asyncio.create_task(dask.run(tool(folder, "pid", path=str(file))))
        await until(lambda: file.exists() and bool(file.read_text()))
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        pid = int(file.read_text())
        await until(lambda pid=pid: not running(pid))
    assert (await dask.run(tool(folder, "where"))).error is None


@pytest.mark.asyncio(loop_scope="module")
async def test_what_cannot_be_sent_or_was_changed_runs_here_and_says_why_once(
    folder: Path, dask: Executor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="flowbot")
    for name in ("functions.py", "beside.py"):
        (tmp_path / name).write_text((folder / name).read_text())
    changed = tool(tmp_path, "where")
    dask.turn(changed)  # which sees where it is
    (tmp_path / "functions.py").write_text(FUNCTIONS + "\n# later")
    inner = Call("tool", "inner", lambda: [os.getpid()], {})
    for call, why in ((changed, "was changed since it was imported"), (inner, "no module holds it")):
        for _ in range(2):
            assert (await dask.run(call)).value[0] == os.getpid()
        (line,) = [each.message for each in caplog.records if each.message.startswith(f"tool {call.name} runs in")]
        assert why in line
        assert "\n" not in line


@pytest.mark.asyncio(loop_scope="module")
async def test_a_machine_lost_in_mid_run_loses_nothing(folder: Path, tmp_path: Path) -> None:
    """A worker's process is killed, as a machine's end does it. One that is closed in this process, in no time, never tells the scheduler."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as machines:
        executor = open_executor(machines.scheduler_address.replace("tcp", "dask"))
        await executor.ready()

        async def turned(name: str) -> Any:
            call = tool(folder, "waits", at=str(tmp_path), job=name)
            async with executor.turn(call):
                return (await executor.run(call)).value

        asked = [asyncio.create_task(turned(f"job{n}")) for n in range(6)]
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(machines.workers[0].pid, 9)
        await until(lambda: len(list(tmp_path.iterdir())) == 3)  # the lost one's job has begun again
        (tmp_path / "go").touch()
        assert await asyncio.gather(*asked) == [f"job{n}" for n in range(6)]
        await executor.close()
    with pytest.raises(InfrastructureError, match="closed"):
        await executor.run(tool(folder, "where"))


class Scripted:
    """A cluster whose machines take no job but the first one, and that answers as long as `answers`."""

    programs = 1

    def __init__(self) -> None:
        self.answers, self.size, self.asked = True, 1, 0

    async def open(self) -> None:
        pass

    async def places(self) -> int:
        if not self.answers:
            raise ConnectionError("nobody there\nat all")
        return self.size

    async def do(self, told: str, bundle: Any, kind: Any) -> str:
        self.asked += 1
        if self.asked > 1 or not self.size:
            await asyncio.sleep(3600)
        return "{}"

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("full", "no machine has had room for a worker in 0.05 s"),
        ("silent", "it does not answer: nobody there"),
        ("empty", "it has had no machine for 0.05 s"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_cluster_that_is_silent_or_has_no_room_is_given_up(
    fault: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(bridge, "GONE_SECONDS" if fault == "silent" else "OPEN_SECONDS", 0.05)
    cluster, heard = Scripted(), BytesIO()
    cluster.size = 0 if fault == "full" else 1
    job = Job.of((call := tool(folder, "where")), address_of(call.function))
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    messages.put({"id": 1, "job": job.dump()})
    serving = asyncio.create_task(bridge.Bridge(cluster, heard).serve(messages.get))
    if fault != "full":
        await until(lambda: cluster.asked == 2)
        cluster.answers, cluster.size = fault != "silent", 0
    await serving
    messages.put(None)
    assert json.loads(heard.getvalue().splitlines()[-1]) == {"failed": said}


QUICK, SLOW = '{"jobs": []}', '{"jobs": [1]}'


class Counted(Scripted):
    """A cluster that answers when `go` is set, and remembers how many jobs each task had."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.sizes, self.go, self.ended = seconds, list[int](), asyncio.Event(), 0

    async def do(self, told: str, bundle: Any, kind: Any) -> str:
        jobs = json.loads(told)["jobs"]
        if jobs:
            self.sizes.append(len(jobs))
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.ended += 1
                raise
        return json.dumps({"replies": [{"value": each["arguments"], "seconds": self.seconds} for each in jobs]})


@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.2])
@pytest.mark.asyncio(loop_scope="module")
async def test_quick_jobs_that_wait_go_together_and_others_alone(seconds: float, folder: Path) -> None:
    cluster, heard = Counted(seconds), BytesIO()
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    serving = asyncio.create_task(bridge.Bridge(cluster, heard).serve(messages.get))
    job = Job.of((call := tool(folder, "where")), address_of(call.function)).dump()

    def said() -> list[Any]:
        return [each for each in map(json.loads, heard.getvalue().splitlines()) if "id" in each]

    def ask(*numbers: int) -> None:
        for number in numbers:
            messages.put({"id": number, "job": {**job, "arguments": {"n": number}}})

    cluster.go.set()
    ask(0)
    await until(lambda: len(said()) == 1)
    cluster.go.clear()
    ask(*range(1, 21))
    messages.put({"cancel": 1})  # under way, alone
    messages.put({"cancel": 20})  # waiting
    await until(lambda: cluster.ended == 1 and len(cluster.sizes) == 4)
    cluster.go.set()
    await until(lambda: len(said()) == 19)
    messages.put(None)
    await serving
    assert sorted((each["id"], each["value"]["n"]) for each in said()) == [(n, n) for n in range(20) if n != 1]
    assert (max(cluster.sizes) > 1) == (seconds < 0.2)
    assert max(cluster.sizes) * seconds <= 0.25
    assert sum(cluster.sizes) == 20


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("refused", "ray cannot be reached: nobody answers there"),
        (
            "old",
            r"ray cannot be reached: FlowBot .* there, FlowBot 0 on Python 2 here: install the same on its machines",
        ),
        ("lost", "ray: The worker died"),
        ("exit", "ray: the cluster is lost: what speaks with it ended with status 9"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_cluster_with_a_fault_is_one_line_of_the_infrastructure(
    wrong: str, said: str, folder: Path, fake: Callable[[str], Executor]
) -> None:
    executor = fake(wrong)
    with pytest.raises(InfrastructureError, match=said + "$"):
        await executor.run(tool(folder, "where"))
    await executor.close()


@pytest.mark.parametrize("wrong", ["", "twice"])
@pytest.mark.asyncio(loop_scope="module")
async def test_what_runs_on_ray_is_what_runs_here(wrong: str, folder: Path, fake: Callable[[str], Executor]) -> None:
    executor = fake(wrong)
    there = await evaluated(folder, executor)
    await executor.close()
    assert [row.score for row in there.rows] == [row.score for row in (await evaluated(folder, open_executor())).rows]


async def test_an_actor_of_ray_is_kept_between_jobs_and_let_go_with_a_cancelled_one_or_without_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("fake_ray")))
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    held, go = list[on_ray.Place](), threading.Event()

    class Held(on_ray.Place):
        def __init__(self) -> None:
            super().__init__()
            held.append(self)

        def ready(self) -> None:
            if len(held) == 3:
                go.wait()  # the cluster has no room for a third

        def do(self, told: str, packed: bytes | None) -> str:
            _ = told == SLOW and go.wait() and time.sleep(0.05)
            return f"{held.index(self)}"

    monkeypatch.setattr(on_ray, "Place", Held)
    cluster = on_ray.RayCluster("")
    await cluster.open()
    assert await cluster.places() == 2
    try:
        assert [await cluster.do(QUICK, None, "tool") for _ in range(3)] == ["0", "0", "0"]
        slow = [asyncio.create_task(cluster.do(SLOW, None, "tool")) for _ in range(2)]
        await until(lambda: len(held) == 2)
        await asyncio.sleep(0)
        third = asyncio.create_task(cluster.do(QUICK, None, "tool"))
        await until(lambda: len(held) == 3)
        assert not third.done()
        for each in slow:
            each.cancel()
        third.cancel()
        await asyncio.wait((*slow, third))
        await cluster.places()
        await until(
            lambda: len(sys.modules["ray"].killed) == 3
        )  # two with a job, and one that nobody waits for any more
        assert await cluster.do(QUICK, None, "tool") == "3"
        go.set()
        await asyncio.gather(*(cluster.do(SLOW, None, "tool") for _ in range(4)))
        for actor in sys.modules["ray"].actors:
            actor.killed = True  # the machine that has all of them is lost
        assert await cluster.do(QUICK, None, "tool") == "7"
        monkeypatch.setattr(on_ray, "IDLE_SECONDS", 0.0)
        await cluster.places()
        assert await cluster.do(QUICK, None, "tool") == "8"
    finally:
        go.set()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_whose_coordinator_is_gone_is_ended(folder: Path, machines: Any, tmp_path: Path) -> None:
    call, file = tool(folder, "pid", path=str(tmp_path / "pid")), tmp_path / "pid"
    lost = open_executor(machines.scheduler_address.replace("tcp", "dask"))
    asked = asyncio.create_task(lost.run(call))
    await until(lambda: file.exists() and bool(file.read_text()))
    assert running(int(file.read_text()))
    os.kill(getattr(lost, "_bridge").pid, 9)  # noqa: B009
    with pytest.raises(InfrastructureError, match="was killed by SIGKILL"):
        await asked
    await until(lambda: not running(int(file.read_text())))
    await lost.close()


def test_a_station_without_jobs_leaves_and_what_was_killed_is_swept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowbot.runtime.executors.station.IDLE_SECONDS", 0.0)
    monkeypatch.setattr("flowbot.runtime.executors.shipping.gettempdir", lambda: str(tmp_path))
    killed, young = tmp_path / "flowbot-folder-killed", tmp_path / "flowbot-folder-young"
    killed.mkdir()
    young.mkdir()
    os.utime(killed, (0, 0))
    own = tmp_path / "own"  # that no other test's machines have
    own.mkdir()
    for name in ("functions.py", "beside.py"):
        (own / name).write_text((folder / name).read_text())
    call = tool(own, "where")
    address, bundle = Shipping().of(address_of(call.function))
    assert bundle is not None
    job = replace(Job.of(call, address_of(call.function)), function=address)
    told = json.dumps({"release": release(), "folder": bundle.digest, "jobs": [job.dump()]})
    assert json.loads(do(told, None)) == {"missing": True}
    pid, file, _, _ = json.loads(do(told, bundle.data))["replies"][0]["value"]
    assert not killed.exists()
    assert young.exists()
    asyncio.run(until(lambda: not running(pid) and not Path(file).exists()))
    assert json.loads(do(told, None)) == {"missing": True}


def test_a_wrong_address_or_a_missing_package_is_the_users_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in (
        "ray://",
        "dask",
        "ray://a b:1",
        "ray://user@host:1",
        "ray://host",
        "spark://host:1",
        "dask://host:1/x",
    ):
        assert not is_executor(name)
        with pytest.raises(UserError, match="expected loop, processes, ray, ray://HOST:PORT or dask://HOST:PORT"):
            open_executor(name)
    assert all(map(is_executor, ("ray", "ray://head.local:10001", "dask://[::1]:8786", "dask://tls://host:8786")))
    monkeypatch.setattr("flowbot.runtime.executors.cluster.find_spec", lambda _: None)
    (tmp_path / "f.flow.yaml").write_text("flowbot: 1\ninputs: {n: int}\noutputs: {m: n}\nnodes: {}\n")
    assert command(["run", str(tmp_path / "f.flow.yaml"), "n=3", "--executor", "ray"]) == 2
    assert "no package ray; expected pip install -e '.[ray]'" in capsys.readouterr().err


def test_what_is_installed_is_known_by_its_content_and_what_is_large_by_its_path(tmp_path: Path) -> None:
    shipped = Shipping().of(address_of(json.dumps))
    assert (shipped[0].file, shipped[1]) == ("", None)
    file = tmp_path / "large.py"
    file.touch()
    for number in range(MOST_FILES):
        (tmp_path / str(number)).touch()
    address = Address("f", "", str(file), "")
    assert Shipping().of(address) == (address, None)


def test_a_folder_comes_out_as_it_went_in_and_nothing_lands_outside(tmp_path: Path) -> None:
    package = tmp_path / "own" / "deep"
    package.mkdir(parents=True)
    (package / "m.py").write_bytes(b"\x00x")
    address, bundle = Shipping().of(Address("f", "own.deep.m", str(package / "m.py"), ""))
    assert bundle is not None
    with unpacked(bundle.data) as there:
        assert (there / address.file).read_bytes() == b"\x00x"
    assert not there.exists()
    assert address.file == "own/deep/m.py"
    bad = BytesIO()
    with ZipFile(bad, "w") as archive:
        archive.writestr("../x.py", "")
    with pytest.raises(ValueError, match="outside"), unpacked(bad.getvalue()):
        pass
