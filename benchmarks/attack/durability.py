"""What nobody means: kills, stops, full disks, two processes at once, clocks that jump, terminals that close. A run comes out of it as if
nothing had been, or says in a line why it waits."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from crash_lives import FILES, PAID_NOW, Run

from .ground import Escaped, Finished, Ground, attempt, held

GROUP = "durability"
MODEL = "fake/counter?latency=0.1&clock=real"
DONE, FAILED, WRONG, PAUSED = 0, 1, 2, 3


def search(at: Ground, run: str = "run", *more: str, cache: str = "cache", model: str = MODEL) -> list[str]:
    """The arguments of a small search, some seconds long, in the folder `run`."""
    task = at.folder / "letters.yaml"  # a run is named for it, and for its folder where it is task.yaml
    if not task.exists():
        shutil.copy(at.task(), task)
    named = ["--run-dir", str(at.folder / run), "--cache-dir", str(at.folder / cache)]
    return ["-m", "flowbot", "optimize", str(task), "--model", model, "--effort", "low", *named, *more]


def outcome(at: Ground, run: str = "run") -> dict[str, Any]:
    """What of a run must not depend on what disturbed it."""
    folder = at.folder / run
    found: dict[str, Any] = {name: (folder / name).read_bytes() for name in FILES}
    result = json.loads((folder / "result.json").read_bytes())
    kept = {key: value for key, value in result.items() if key not in (*PAID_NOW, "run_dir", "workflow")}
    return {**found, "result": kept}


_CALM = tempfile.TemporaryDirectory(prefix="flowbot-attack-calm-", ignore_cleanup_errors=True)


def calm(at: Ground) -> dict[str, Any]:
    """What comes of the search that nothing disturbs; it stands in the folders `calm` and `calm-cache`. It is made once."""
    kept = Path(_CALM.name)
    if not (kept / "calm").exists():
        ended = at.python(*search(at, "calm", cache="calm-cache"))
        held(ended.status == DONE, f"the undisturbed run: {ended.line()}")
        for name in ("calm-cache", "calm"):
            shutil.copytree(at.folder / name, kept / name)
    else:
        for name in ("calm-cache", "calm"):
            shutil.copytree(kept / name, at.folder / name)
    return outcome(at, "calm")


def same(at: Ground, expected: dict[str, Any], run: str = "run") -> None:
    """The run is as the undisturbed one."""
    mine = outcome(at, run)
    wrong = [name for name, value in expected.items() if mine[name] != value]
    held(not wrong, f"{', '.join(wrong)} differ from those of an undisturbed run")
    strays = [each.name for each in (at.folder / run).glob("journal.*.jsonl")]
    held(not strays, f"the run left its own way: {strays}")


def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise Escaped("what was waited for did not come")
        time.sleep(0.01)


def under_way(at: Ground, run: str = "run", lines: int = 2) -> None:
    """Wait until the run has a journal of so many lines."""
    journal = at.folder / run / "journal.jsonl"
    until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= lines)


def ended(process: subprocess.Popen[bytes], seconds: float = 60.0) -> Finished:
    """The end of a process that was started."""
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Escaped(f"it has not ended after {seconds:g} s") from None
    return Finished(
        process.returncode, out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - began
    )


def one_line(found: Finished, *statuses: int) -> None:
    """It ended with one of the statuses, and said why in words."""
    held(found.status in statuses, f"status {found.status}: {found.line()}")
    for sign in ("Traceback", "unexpected ", "Exception ignored", "Error: "):
        held(sign not in found.err, f"{sign.strip()} is shown: {found.line()}")
    told = [line for line in found.err.splitlines() if line.startswith("flowbot: ")]
    held(found.status == DONE or len(told) == 1, f"{len(told)} lines say why: {found.err[-300:]!r}")


def goes_on(at: Ground, expected: dict[str, Any], *more: str) -> None:
    """The same command ends as if nothing had been."""
    again = at.python(*search(at, "run", *more))
    held(again.status == DONE, f"the same command again: {again.line()}")
    same(at, expected)


def patched(at: Ground, code: str) -> str:
    """PYTHONPATH of a process that runs this first."""
    at.write("site/sitecustomize.py", code)
    return os.pathsep.join([str(at.folder / "site"), at.environment["PYTHONPATH"]])


def limited(at: Ground, limits: str, arguments: Iterable[str], **environment: str) -> Finished:
    """A command under limits of the system, as `RLIMIT_NOFILE: 32`."""
    given = list(arguments)[2:]  # without -m flowbot
    code = (
        "import resource, runpy, sys\n"
        f"for which, most in {{{limits}}}.items(): resource.setrlimit(which, (most, most))\n"
        f"sys.argv = ['flowbot', *{given!r}]\n"
        "runpy.run_module('flowbot', run_name='__main__')\n"
    )
    return at.python("-c", code.replace("RLIMIT", "resource.RLIMIT"), **environment)


# Two processes


@attempt(GROUP, "environment", slow=True)
def four_at_once(at: Ground) -> None:
    """four processes begin one run at the same moment: one writes, the others say that it does"""
    expected = calm(at)
    processes = [at.start(*search(at)) for _ in range(4)]
    found = [ended(each) for each in processes]
    for each in found:
        one_line(each, DONE, WRONG)
        held(each.status == DONE or "another FlowBot at work" in each.err, each.line())
    held(any(each.status == DONE for each in found), "none of them ran")
    same(at, expected)


@attempt(GROUP, "run folder", slow=True)
def lock_file_deleted_in_mid_run(at: Ground) -> None:
    """the lock file of a run at work is deleted and the same command begun again: a second writer"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    (at.folder / "run/.lock").unlink()
    second = at.python(*search(at))
    one_line(second, WRONG)
    one_line(ended(first), DONE)
    same(at, expected)


@attempt(GROUP, "run folder")
def lock_taken_while_the_folder_moves(at: Ground) -> None:
    """processes race for a folder that others move aside, as --fresh does: two in it at once"""
    code = """if True:
        import os, sys, time
        from pathlib import Path
        from flowbot.fields import UserError
        from flowbot.run.lock import run_lock
        path, mark, end = Path("run"), Path("run/inside"), time.monotonic() + 1.2
        for number in range(10**9):
            if time.monotonic() > end: break
            try:
                with run_lock(path):
                    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                    mark.unlink()
                    if int(sys.argv[1]): path.rename(f"old-{sys.argv[1]}-{number}")
            except UserError: pass
    """
    for each in [at.start("-c", code, str(number)) for number in (0, 0, 1, 2)]:
        found = ended(each)
        held(found.status == 0, f"two were in it at once: {found.line()}")


@attempt(GROUP, "environment", slow=True)
def holder_is_stopped(at: Ground) -> None:
    """the process that holds a run is stopped (SIGSTOP): another one neither waits for ever nor goes in"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    os.killpg(first.pid, signal.SIGSTOP)
    one_line(at.python(*search(at), seconds=20), WRONG)
    os.killpg(first.pid, signal.SIGCONT)
    one_line(ended(first), DONE)
    same(at, expected)


@attempt(GROUP, "environment", slow=True)
def holder_is_killed_while_others_try(at: Ground) -> None:
    """kill -9 of the process that holds a run while two others ask for it again and again"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    others = [at.start(*search(at)) for _ in range(2)]
    time.sleep(0.6)
    os.killpg(first.pid, signal.SIGKILL)
    ended(first)
    for each in others:
        one_line(ended(each), DONE, WRONG)
    goes_on(at, expected)


@attempt(GROUP, "environment", slow=True)
def fresh_while_another_works(at: Ground) -> None:
    """--fresh while another process works in the folder: it would be moved from under it"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    one_line(at.python(*search(at, "run", "--fresh")), WRONG)
    one_line(ended(first), DONE)
    held(not (at.folder / "run.1").exists(), "the folder was moved aside")
    same(at, expected)


@attempt(GROUP, "environment")
def fresh_of_what_is_no_run(at: Ground) -> None:
    """--fresh with a --run-dir that holds something else, as the user's own folder: it would be moved aside"""
    at.task()
    at.write("mine/thesis.txt", "years of work")
    one_line(at.python(*search(at, "mine", "--fresh")), WRONG)
    held((at.folder / "mine/thesis.txt").exists(), "the folder was moved aside")


@attempt(GROUP, "run folder", slow=True)
def folder_moved_in_mid_run(at: Ground) -> None:
    """the folder of a run at work is moved and the same command begun again: the first writes into the second's"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    (at.folder / "run").rename(at.folder / "elsewhere")
    second = at.start(*search(at))
    one_line(ended(first), PAUSED)
    one_line(ended(second), DONE)
    same(at, expected)


@attempt(GROUP, "run folder", slow=True)
def folder_deleted_in_mid_run(at: Ground) -> None:
    """the folder of a run at work is deleted: its journal would be written to a file that is gone"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    shutil.rmtree(at.folder / "run")
    one_line(ended(first), PAUSED)
    goes_on(at, expected)


@attempt(GROUP, "run folder", slow=True)
def journal_cut_in_mid_run(at: Ground) -> None:
    """the journal of a run at work is cut to nothing: what is written next would stand alone, behind zeros"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    os.truncate(at.folder / "run/journal.jsonl", 0)
    one_line(ended(first), PAUSED)
    goes_on(at, expected)


@attempt(GROUP, "environment", slow=True)
def readers_beside_the_writer(at: Ground) -> None:
    """report, show and compare of a run that another process is writing"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at, lines=1)
    while first.poll() is None:
        for verb in (["report", "run"], ["show", "run", "r1"], ["compare", "run", "calm"]):
            found = at.flowbot(*verb)
            held("Traceback" not in found.err and "unexpected" not in found.err, f"{verb[0]}: {found.line()}")
            held(found.status in (DONE, WRONG), f"{verb[0]}: status {found.status}: {found.line()}")
    one_line(ended(first), DONE)
    same(at, expected)


@attempt(GROUP, "environment", slow=True)
def cache_work_beside_a_run(at: Ground) -> None:
    """the store is pruned, verified, exported and imported while a run writes to it"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at)
    cache = ["--cache-dir", str(at.folder / "cache")]
    number = 0
    while first.poll() is None:
        for verb in (
            ["verify"], ["prune", "--kind", "lm"], ["export", f"all{number}.jsonl"], ["import", f"all{number}.jsonl"],
            ["prune", "--older-than", "1d"], ["limit", "--size", "1MB"],
        ):  # fmt: skip
            one_line(at.flowbot("cache", *verb, *cache), DONE)
        number += 1
    one_line(ended(first), DONE)
    same(at, expected)


@attempt(GROUP, "environment", slow=True)
def two_runs_on_one_store(at: Ground) -> None:
    """two runs in folders of their own, on one store, ask for the same calls at the same time"""
    expected = calm(at)
    for each in [at.start(*search(at, name)) for name in ("run", "other")]:
        one_line(ended(each), DONE)
    same(at, expected)
    same(at, expected, "other")


# Stops


@attempt(GROUP, "environment", slow=True)
def stopped_and_continued(at: Ground) -> None:
    """a run is stopped for two seconds at five moments (Ctrl-Z), and goes on"""
    expected = calm(at)
    first = at.start(*search(at))
    for lines in (1, 2, 3, 5, 8):
        under_way(at, lines=lines)
        os.killpg(first.pid, signal.SIGSTOP)
        time.sleep(2)
        os.killpg(first.pid, signal.SIGCONT)
    one_line(ended(first), DONE)
    same(at, expected)


SLOW_CODE = "def run(word):\n    n = 0\n    for _ in range({}):\n        n = (n * 31 + 7) % 1000003\n    return {{'count': str(n)}}"


def slow_code(at: Ground) -> Path:
    """A flow whose only step computes for a while."""
    return at.write(
        "code.flow.yaml",
        {
            "flowbot": 1,
            "inputs": {"word": "str"},
            "outputs": {"count": "work.count"},
            "nodes": {"work": {"kind": "code", "in": {"word": "word"}, "out": {"count": "str"}}},
            "parameters": {"work": {"code": SLOW_CODE.format(700_000)}},
        },
    )


@attempt(GROUP, "environment", slow=True)
def code_step_stopped(at: Ground) -> None:
    """the process is stopped while a step's code runs: the time-out would be stored as the step's result"""
    at.task()
    flow = slow_code(at)
    arguments = ["-m", "flowbot", "eval", str(flow), str(at.folder / "task.yaml"), "--split", "val", "--json"]
    kept = json.loads(at.python(*arguments, "--cache-dir", "calm-cache").out)
    held(kept["errors"] == 0, "the code is too slow for this machine")
    process = at.start(*arguments)
    store = at.cache / "store.sqlite"
    until(store.exists)
    for _ in range(2):
        time.sleep(0.8)
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(3)
        os.killpg(process.pid, signal.SIGCONT)
    one_line(ended(process), DONE)
    again = json.loads(at.python(*arguments).out)
    late = [row["error"] for row in again["rows"] if row["error"]]
    held(not late, f"{len(late)} time-outs are stored: {late[:1]}")
    held([row["outputs"] for row in again["rows"]] == [row["outputs"] for row in kept["rows"]], "other outputs")


TOOL = """if True:
    import asyncio, os, signal, sys, time
    sys.path.insert(0, ".")
    import tools
    from flowbot.fields import Field, StepError, ToolSignature
    from flowbot.runtime.executors import open_executor
    from flowbot.runtime.tools import ToolRunner
    from flowbot.runtime.memo import Memo
    from flowbot.store import Store
    from flowbot.task import Tool
    from pathlib import Path

    async def main():
        store = Store.open(Path("cache/store.sqlite"))
        signature = ToolSignature("wait", "", (Field.of("seconds", "float"),), (Field.of("result", "str"),))
        executor = open_executor(sys.argv[1])
        runner = ToolRunner({"wait": Tool(signature, tools.wait, None, "1", plain=True)}, Memo(store), seconds=1.5, executor=executor)
        try:
            print((await runner.call("wait", {"seconds": 0.7}))[0]["result"])
        except StepError as error:
            print(error)
        await executor.close()
        await store.close()

    asyncio.run(main())
"""


@attempt(GROUP, "environment", slow=True)
def tool_stopped(at: Ground) -> None:
    """the process is stopped while a tool runs, past the tool's time: the time-out would be stored"""
    _stopped_tool(at, "loop", lambda process: os.killpg(process.pid, signal.SIGSTOP))


@attempt(GROUP, "environment", slow=True)
def worker_of_a_tool_stopped(at: Ground) -> None:
    """one worker process that runs a tool is stopped and never goes on: the time-out would be stored"""
    _stopped_tool(at, "processes", lambda process: os.kill(int((at.folder / "pid").read_text()), signal.SIGSTOP))


def _stopped_tool(at: Ground, executor: str, stop: Callable[[subprocess.Popen[bytes]], None]) -> None:
    wait = (
        "import os, time\ndef wait(seconds):\n    open('pid', 'w').write(str(os.getpid()))\n    time.sleep(seconds)\n"
    )
    at.write("tools.py", wait + "    return 'awake'\n")
    process = at.start("-c", TOOL, executor)
    mark = at.folder / "pid"
    until(lambda: mark.exists() and mark.read_text())
    stop(process)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGCONT)
    found = ended(process)
    held(found.out.strip() == "awake", f"the result is {found.line()}")
    again = at.python("-c", TOOL, executor)
    held(again.out.strip() == "awake", f"what is stored is {again.line()}")


ENDPOINT = """if True:
    import json, sys
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            message = {"role": "assistant", "content": "{\\"reasoning\\": \\"so\\", \\"count\\": \\"3\\"}"}
            body = json.dumps({"id": "1", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 9,
                "completion_tokens": 3, "total_tokens": 12},
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_): pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


@attempt(GROUP, "endpoint", slow=True)
def endpoint_stopped(at: Ground) -> None:
    """the endpoint's process stands still for four seconds in the midst of an evaluation"""
    server = at.start("-c", ENDPOINT)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        where = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-attack-0123456789abcdef"}
        at.task()
        arguments = [
            "-m",
            "flowbot",
            "eval",
            str(at.flow()),
            str(at.folder / "task.yaml"),
            "--split",
            "val",
            "--json",
        ]
        kept = json.loads(at.python(*arguments, "--model", "openai/m", "--cache-dir", "calm-cache", **where).out)
        os.kill(server.pid, signal.SIGSTOP)
        process = at.start(*arguments, "--model", "openai/m", **where)
        time.sleep(4)
        os.kill(server.pid, signal.SIGCONT)
        found = ended(process)
        one_line(found, DONE)
        held(json.loads(found.out)["rows"] == kept["rows"], "other rows")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()


@attempt(GROUP, "environment", slow=True)
def seconds_pass_while_stopped(at: Ground) -> None:
    """--max-seconds passes while the process is stopped: a pause, and the same command goes on"""
    expected = calm(at)
    first = at.start(*search(at, "run", "--max-seconds", "4"))
    under_way(at)
    os.killpg(first.pid, signal.SIGSTOP)
    time.sleep(4.5)
    os.killpg(first.pid, signal.SIGCONT)
    found = ended(first)
    one_line(found, PAUSED)
    held("seconds" in found.err, found.line())
    goes_on(at, expected, "--max-seconds", "60")


# Kills


@attempt(GROUP, "environment", slow=True)
def four_kills(at: Ground) -> None:
    """kill -9 after a reply, in a commit, in a line of the journal and in a file of the result"""
    undisturbed, run = Run(at.folder / "calm"), Run(at.folder / "killed")
    undisturbed.live()
    for death in ("after-reply:40", "in-commit:30", "in-journal:3", "in-result:2"):
        held(run.live(die=death).killed, f"it does not pass {death}")
    run.live()
    wrong = run.violations(undisturbed)
    held(not wrong, "; ".join(wrong))


@attempt(GROUP, "environment", slow=True)
def sixty_kills(at: Ground) -> None:
    """sixty kills of five runs, at random passages of every point of the engine"""
    options = ("--seed", "1", "--model", "fake/counter?p429=0.05&p500=0.02&latency=0.2")
    undisturbed = Run(at.folder / "calm", options)
    passages: dict[str, int] = undisturbed.live().told["passages"]
    rng, kills = Random(20261130), 0
    points = [each for each in passages if each != "in-migration"]
    for number in range(5):
        run = Run(at.folder / f"killed-{number}", options)
        run.live(die=f"in-migration:{number % passages['in-migration'] + 1}")
        for point in rng.sample(points * 2, 2 * len(points)):
            # Passages on the way of what is not done yet; a life gets past a few of them only.
            run.live(die=f"{point}:{rng.randint(1, max(1, passages[point] // 20))}")
        if run.lives[-1].killed:
            run.live()
        wrong = run.violations(undisturbed)
        kills += sum(life.killed for life in run.lives)
        held(not wrong, f"after {kills} kills: {'; '.join(wrong)}")
    held(kills >= 60, f"only {kills} kills struck")


FUSE = """if True:
    import os, signal, sys
    _die, _folder, _passed = int(os.environ.get("DIE", "0")), os.environ["FOLDER"], 0
    _events = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.chmod", "sqlite3.connect"}
    _busy = False
    def _look(event, given):
        global _passed, _busy
        if _busy or (event not in _events and event != "open"): return
        if event == "open" and not (isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)): return
        path = given[0]
        if not isinstance(path, (str, bytes, os.PathLike)): return
        if not os.path.abspath(os.fsdecode(path)).startswith(_folder): return
        _passed += 1
        if _passed == _die:
            os.kill(os.getpid(), signal.SIGKILL)
        _busy = True
        with open(os.environ["PASSED"], "w") as file: file.write(str(_passed))
        _busy = False
    sys.addaudithook(_look)
"""
"""Ends the process at the N-th time that it makes, opens for writing, moves or deletes something below the folder."""


def killed_at_every_file(
    at: Ground, prepare: Callable[[Ground], object], arguments: list[str], result: Callable[[Ground], object]
) -> None:
    """Kill a command at each of its changes to files, run it again, and see the same come of it."""

    def work(die: int) -> Finished:
        environment = {"PYTHONPATH": patched(at, FUSE), "DIE": str(die), "PASSED": str(at.folder / "passed")}
        return at.python("-m", "flowbot", *arguments, FOLDER=str(at.folder / "work"), **environment)

    def begin() -> None:
        shutil.rmtree(at.folder / "work", ignore_errors=True)
        (at.folder / "work").mkdir()
        prepare(at)

    begin()
    undisturbed = work(0)
    held(undisturbed.status == DONE, f"undisturbed: {undisturbed.line()}")
    expected = result(at)
    passages = int((at.folder / "passed").read_text())
    for die in sorted({*range(1, min(passages, 4) + 1), *range(max(1, passages - 3), passages + 1)}):
        begin()
        found = work(die)
        held(found.status == -signal.SIGKILL, f"it did not pass change {die} again: {found.line()}")
        again = work(0)
        held(again.status == DONE, f"after a kill at change {die} of {passages}: {again.line()}")
        held(result(at) == expected, f"after a kill at change {die} of {passages} another result")


def _below(folder: Path) -> dict[str, bytes]:
    """Every file by path, but for what only this process says."""
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file() and each.name != ".lock" and "store.sqlite" not in each.name
    }


@attempt(GROUP, "environment", slow=True)
def init_killed(at: Ground) -> None:
    """init is killed at each change it makes to files: half a folder would be in the way of the same command"""
    at.task()
    killed_at_every_file(
        at,
        lambda at: None,
        ["init", str(at.folder / "rows.jsonl"), "--out", str(at.folder / "work/made"), "--outputs", "count"],
        lambda at: _below(at.folder / "work/made"),
    )


@attempt(GROUP, "environment", slow=True)
def report_killed(at: Ground) -> None:
    """report is killed at each change it makes to files"""
    calm(at)
    killed_at_every_file(
        at,
        lambda at: shutil.copytree(at.folder / "calm", at.folder / "work/run"),
        ["report", str(at.folder / "work/run")],
        lambda at: (at.folder / "work/run/report.html").read_bytes(),
    )


@attempt(GROUP, "environment", slow=True)
def end_of_a_run_killed(at: Ground) -> None:
    """a run that replays is killed at each change it makes to files: workflow, examples, result, report"""
    calm(at)

    def prepare(at: Ground) -> None:
        shutil.copytree(at.folder / "calm-cache", at.folder / "work/cache")

    killed_at_every_file(
        at, prepare, search(at, "work/run", cache="work/cache")[2:], lambda at: outcome(at, "work/run")
    )


def _rows(path: Path) -> list[Any]:
    import sqlite3

    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT key, kind, value FROM responses ORDER BY key").fetchall()
    finally:
        connection.close()


@attempt(GROUP, "environment", slow=True)
def cache_killed(at: Ground) -> None:
    """cache export, import and prune are killed at each change they make to files"""
    calm(at)
    cache = ["--cache-dir", str(at.folder / "work/cache")]
    rows = _rows(at.folder / "calm-cache/store.sqlite")

    def copied(at: Ground) -> None:
        shutil.copytree(at.folder / "calm-cache", at.folder / "work/cache")

    target = at.folder / "work/all.jsonl"
    killed_at_every_file(
        at, copied, ["cache", "export", str(target), *cache], lambda at: sorted(target.read_bytes().splitlines())
    )
    shutil.copy(target, at.folder / "all.jsonl")
    store = at.folder / "work/cache/store.sqlite"
    killed_at_every_file(
        at, lambda at: None, ["cache", "import", str(at.folder / "all.jsonl"), *cache], lambda at: _rows(store)
    )
    held(_rows(store) == rows, "the import is not what was exported")
    killed_at_every_file(at, copied, ["cache", "prune", "--kind", "lm", *cache], lambda at: _rows(store))


@attempt(GROUP, "environment", slow=True)
def check_killed(at: Ground) -> None:
    """check is killed at each change it makes to files, its stored probe of the model among them"""
    at.task()
    killed_at_every_file(
        at,
        lambda at: None,
        [
            "check",
            str(at.folder / "task.yaml"),
            "--model",
            "fake/counter",
            "--cache-dir",
            str(at.folder / "work/cache"),
        ],
        lambda at: [kind for _, kind, _ in _rows(at.folder / "work/cache/store.sqlite")],
    )


# No room


@attempt(GROUP, "environment", slow=True)
def files_may_not_grow(at: Ground) -> None:
    """no file may grow beyond 0, 3, 30, 60 or 150 kB: journal, store, examples and report fail one after another"""
    expected = calm(at)
    for size in (0, 3_000, 30_000, 60_000, 150_000):
        one_line(limited(at, f"RLIMIT_FSIZE: {size}", search(at)), DONE, WRONG, PAUSED)
    goes_on(at, expected)


def mounted(at: Ground, name: str, size: str, *more: str) -> Path | None:
    """A small file system of its own; None where this user may not mount one."""
    folder = at.folder / name
    folder.mkdir()
    options = ",".join([f"size={size}", *more])
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    return folder if done.returncode == 0 else None


@attempt(GROUP, "environment", slow=True)
def disk_is_full(at: Ground) -> None:
    """the disk of the run's folder, then that of the store, is full after 8, 40 and 120 kB; after each, room is made"""
    expected = calm(at)
    for name in ("run", "cache"):
        for size in ("8k", "40k", "120k"):
            folder = mounted(at, name, size)
            if folder is None:
                one_line(limited(at, "RLIMIT_FSIZE: 8000", search(at)), WRONG, PAUSED)
                continue
            try:
                one_line(at.python(*search(at)), DONE, WRONG, PAUSED)
                subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
                goes_on(at, expected)
            finally:
                subprocess.run(["umount", "-l", str(folder)], check=True)
                for each in ("run", "cache"):
                    shutil.rmtree(at.folder / each, ignore_errors=True)


@attempt(GROUP, "environment", slow=True)
def folders_that_cannot_be_written(at: Ground) -> None:
    """run folder, store, log file and report in /proc and below a file"""
    at.task()
    at.write("file", "x")
    for place in ("/proc/nothing", str(at.folder / "file/below"), "/dev/null"):
        named = ["optimize", "task.yaml", "--model", "fake/counter", "--effort", "low"]
        for option in ("--run-dir", "--cache-dir", "--log-file"):
            if (place, option) != ("/dev/null", "--log-file"):
                one_line(at.flowbot(*named, option, place), WRONG, PAUSED)
        one_line(at.flowbot("init", "rows.jsonl", "--out", place, "--outputs", "count"), WRONG, FAILED)


@attempt(GROUP, "environment", slow=True)
def few_open_files(at: Ground) -> None:
    """only 8, 12, 16, 24, 32 files may be open"""
    expected = calm(at)
    for most in (8, 12, 16, 24, 32):
        one_line(limited(at, f"RLIMIT_NOFILE: {most}", search(at)), DONE, WRONG, PAUSED)
    goes_on(at, expected)


@attempt(GROUP, "environment", slow=True)
def no_threads(at: Ground) -> None:
    """the system gives no thread, or none after the first, the second, the fourth"""
    expected = calm(at)
    for most in (0, 1, 2, 4):
        code = (
            f"import threading\n_start, _left = threading.Thread.start, [{most}]\n"
            "def start(self):\n"
            '    if not _left[0]: raise RuntimeError("can\'t start new thread")\n'
            "    _left[0] -= 1\n    _start(self)\n"
            "threading.Thread.start = start\n"
        )
        one_line(at.python(*search(at), PYTHONPATH=patched(at, code)), DONE, WRONG, PAUSED)
    goes_on(at, expected)


@attempt(GROUP, "environment", slow=True)
def little_memory(at: Ground) -> None:
    """an address space that ends in mid-run"""
    expected = calm(at)
    for megabytes in (90, 120, 150, 200, 300):
        one_line(limited(at, f"RLIMIT_AS: {megabytes << 20}", search(at)), DONE, WRONG, PAUSED)
    goes_on(at, expected)


@attempt(GROUP, "environment", slow=True)
def log_is_full(at: Ground) -> None:
    """--log-file /dev/full: the log ends, the run does not"""
    expected = calm(at)
    found = at.python(*search(at, "run", "--log-file", "/dev/full", "--log-level", "debug"))
    held(found.status == DONE and "Traceback" not in found.err, f"status {found.status}: {found.line()}")
    same(at, expected)


# Signals and streams


@attempt(GROUP, "environment", slow=True)
def signals_pause(at: Ground) -> None:
    """SIGTERM, SIGHUP, SIGINT, each to a run at work: it pauses and goes on"""
    expected = calm(at)
    for number, lines in ((signal.SIGTERM, 1), (signal.SIGHUP, 2), (signal.SIGINT, 3)):
        shutil.rmtree(at.folder / "run", ignore_errors=True)
        process = at.start(*search(at))
        under_way(at, lines=lines)
        os.kill(process.pid, number)
        one_line(ended(process), PAUSED)
    goes_on(at, expected)


@attempt(GROUP, "environment", slow=True)
def three_signals(at: Ground) -> None:
    """SIGINT three times at once, SIGTERM behind SIGINT, SIGQUIT: it leaves, and goes on"""
    expected = calm(at)
    for numbers, statuses in (
        ((signal.SIGINT,) * 3, (PAUSED,)),
        ((signal.SIGINT, signal.SIGTERM), (PAUSED,)),
        ((signal.SIGQUIT,), (-signal.SIGQUIT,)),
    ):
        shutil.rmtree(at.folder / "run", ignore_errors=True)
        process = at.start(*search(at))
        under_way(at)
        for number in numbers:
            os.kill(process.pid, number)
            time.sleep(0.02)
        found = ended(process, 10)
        held(found.status in statuses and "Traceback" not in found.err, f"status {found.status}: {found.line()}")
    goes_on(at, expected)


@attempt(GROUP, "environment", slow=True)
def signal_while_it_starts(at: Ground) -> None:
    """SIGINT and SIGTERM at many moments of the start, before there is anything to pause"""
    at.task()
    for number in range(12):
        process = at.start(*search(at))
        time.sleep(0.05 * number)
        os.kill(process.pid, signal.SIGINT if number % 2 else signal.SIGTERM)
        found = ended(process)
        held(found.status in (PAUSED, -signal.SIGTERM, -signal.SIGINT), f"status {found.status}: {found.line()}")
        held(number < 4 or "Traceback" not in found.err, f"after {0.05 * number:.2f} s: {found.err[-200:]!r}")


@attempt(GROUP, "environment", slow=True)
def reader_has_gone(at: Ground) -> None:
    """the reader of standard output leaves in mid-run (SIGPIPE); the same command goes on"""
    expected = calm(at)
    process = at.start(*search(at))
    under_way(at)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read().decode()
    held(process.wait() in (DONE, FAILED) and not said, f"status {process.returncode}: {said[-200:]!r}")
    goes_on(at, expected)


def through_shell(at: Ground, redirections: str, arguments: list[str]) -> Finished:
    """A command with other standard streams."""
    command = f"exec {shlex.join([sys.executable, *arguments])} {redirections}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=at.folder, env=at.environment, capture_output=True, timeout=60, check=False
    )
    return Finished(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), 0.0)


@attempt(GROUP, "environment", slow=True)
def streams_are_closed(at: Ground) -> None:
    """standard input, output and error closed at the start, one by one and all together"""
    expected = calm(at)
    for number, closed in enumerate((">&-", "2>&-", "<&-", "<&- >&- 2>&-", ">&- 2>&-")):
        found = through_shell(at, closed, search(at, f"run-{number}", cache=f"cache-{number}"))
        held("Traceback" not in found.said and "unexpected" not in found.said, f"{closed}: {found.line()}")
        held(found.status == DONE, f"{closed}: status {found.status}: {found.line()}")
        same(at, expected, f"run-{number}")


@attempt(GROUP, "environment", slow=True)
def output_is_full(at: Ground) -> None:
    """standard output, or error, is /dev/full"""
    expected = calm(at)
    for redirection in (">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full"):
        found = through_shell(at, redirection, search(at))
        held("Traceback" not in found.said and "unexpected" not in found.said, f"{redirection}: {found.line()}")
        held(found.status in (DONE, FAILED), f"{redirection}: status {found.status}: {found.line()}")
    goes_on(at, expected)


# Clocks


@attempt(GROUP, "environment", slow=True)
def clock_jumps(at: Ground) -> None:
    """the wall clock is ten years behind, jumps a year ahead and back with every call, or stands still; time zones differ"""
    expected = calm(at)
    jumps = {
        "behind": "time.time = lambda: real() - 3.2e8",
        "jumping": "time.time = lambda: real() + 3.2e7 * ((count := next(numbers)) % 3 - 1)",
        "still": "time.time = lambda: 1e9",
        "before 1970": "time.time = lambda: -86400.5",
    }
    for number, (name, code) in enumerate(jumps.items()):
        path = patched(at, f"import itertools, time\nreal, numbers = time.time, itertools.count()\n{code}\n")
        zone = ("Pacific/Kiritimati", "America/St_Johns", "Nonsense/Zone", "UTC")[number]
        found = at.python(*search(at, name, cache=f"cache-{number}"), PYTHONPATH=path, TZ=zone)
        held(found.status == DONE, f"a clock that is {name}: {found.line()}")
        same(at, expected, name)


@attempt(GROUP, "environment", slow=True)
def resumed_with_another_clock(at: Ground) -> None:
    """killed, and gone on with in another time zone, ten years earlier"""
    expected = calm(at)
    first = at.start(*search(at))
    under_way(at, lines=3)
    os.killpg(first.pid, signal.SIGKILL)
    ended(first)
    path = patched(at, "import time\nreal = time.time\ntime.time = lambda: real() - 3.2e8\n")
    one_line(at.python(*search(at), PYTHONPATH=path, TZ="Asia/Kathmandu"), DONE)
    same(at, expected)
