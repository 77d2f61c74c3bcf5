"""Peers: what they are given, what is counted, and what becomes of those that misbehave. No package is installed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from flowbot.benchmark.cell import Cell, CellResult
from flowbot.benchmark.environment import INSTALLED, make_environment
from flowbot.benchmark.peer import Peer, run_peer
from flowbot.benchmark.peer_access import Lent
from flowbot.benchmark.peer_command import PeerError
from flowbot.benchmark.peer_job import metric_words
from flowbot.fields import BudgetExceeded, Paused
from flowbot.lm.budget import Budget
from flowbot.lm.proxy import Proxy
from flowbot.lm.stop import StopSignal
from flowbot.runtime.workbench import Workbench
from flowbot.task import Example, Judge, Metric, MetricError, Part, Parts, Task

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
FINE = """
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    (out / "program.json").write_text('{"summary": "a guess"}')
    (out / "predictions.jsonl").write_text("".join(json.dumps({"id": r["id"], "outputs": {"total": "3"}}) + "\\n" for r in rows))
"""
PRELUDE = """
    import json, os, subprocess, sys, time, urllib.error, urllib.request
    from pathlib import Path
    job = json.loads(Path(sys.argv[1]).read_text())
    folder, out = Path(sys.argv[1]).parent, Path(job["out"])

    def post(url, body):
        asked = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            return json.load(urllib.request.urlopen(asked))
        except urllib.error.HTTPError as error:
            return {"status": error.code, **json.load(error)["error"]}

    def ask(text, url=job["search_url"], model="task"):
        messages = [{"role": "user", "content": text}]
        return post(url + "/chat/completions", {"model": model, "messages": messages, "temperature": 0})
"""
Runs = Callable[..., Any]


def task_of(metric: Any = "numeric", rows: int = 3) -> Task:
    splits = {
        split: [{"id": f"{split}-{n}", "note": f"{split} {n}", "total": n + 2} for n in range(rows)]
        for split in ("train", "val", "test")
    }
    return Task(goal="Count.", inputs={"note": "str"}, outputs={"total": "int"}, metric=metric, **splits)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
async def runs(tmp_path: Path, cache: Path) -> AsyncIterator[Runs]:
    """Runs a peer of this body, behind `PRELUDE`; files in the cell's folder are in `tmp_path / "cell"`."""
    async with Workbench(cache_dir=cache) as workbench, Proxy() as proxy:

        async def run(
            *bodies: str, task: Task | None = None, effort: int = 5, seconds: float = 60.0, **more: Any
        ) -> CellResult:
            (tmp_path / "peer.py").write_text("\n".join(map(dedent, (PRELUDE, *bodies))))
            (tmp_path / "cell").mkdir(exist_ok=True)
            return await run_peer(
                Peer(("python", "peer.py"), tmp_path, seconds=seconds),
                Cell("counting", "peer", "small", effort, 0),
                task or task_of(),
                identity="id",
                folder=tmp_path / "cell",
                proxy=proxy,
                workbench=workbench,
                model=more.pop("model", "fake/counter"),
                **more,
            )

        yield run


async def test_a_peer_is_counted_by_search_and_test_and_scored_by_the_tasks_metric(runs: Runs, tmp_path: Path) -> None:
    body = """
        ask("one"), ask("two", model="meta"), ask("three", job["test_url"])
        rows = [{"id": f"val-{n}", "outputs": {"total": 3} if n else None} for n in range(3)]
        (out / "val.jsonl").write_text("\\n".join(map(json.dumps, rows)))
    """
    result = await runs(body, FINE)
    assert (result.status, result.error) == ("done", "")
    assert (result.search.calls, result.test.calls) == (2, 1)
    assert result.examples == ("test-0", "test-1", "test-2")
    assert result.scores == (0.0, 1.0, 0.0)
    assert result.val == pytest.approx(1 / 3)
    assert result.found == "a guess"


async def test_a_peer_sees_no_test_answer_and_no_key(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-quite-secret-0123456789")
    body = """
        print(json.dumps(dict(os.environ)))
        asked = post(job["score_url"], {"split": "test", "id": "test-0", "outputs": {"total": 2}})
        assert asked["status"] == 400, asked
        asked = post(job["score_url"], {"split": "train", "id": "test-0", "outputs": {"total": 2}})
        assert asked["status"] == 404, asked
    """
    result = await runs(body, FINE)
    assert result.error == ""
    rows = [json.loads(line) for line in (tmp_path / "cell/job/test.jsonl").read_text().splitlines()]
    assert rows[0] == {"id": "test-0", "inputs": {"note": "test 0"}}
    log = (tmp_path / "cell/log.txt").read_text()
    assert "SOME_API_KEY" not in log
    assert json.loads((tmp_path / "cell/job/job.json").read_text())["search_url"].split("/")[4] not in log


async def test_the_metric_is_asked_over_http_with_types_as_the_task_has_them(runs: Runs) -> None:
    body = """
        assert post(job["score_url"], {"split": "val", "id": "val-0", "outputs": {"total": "2"}}) == {"score": 1.0, "feedback": ""}
        wrong = post(job["score_url"], {"split": "val", "id": "val-0", "outputs": {"total": "two"}})
        assert wrong["score"] == 0 and "expected int" in wrong["feedback"], wrong
        wrong = post(job["score_url"], {"split": "val", "id": "val-0", "outputs": {"total": 5}})
        assert "found 5, expected 2" in wrong["feedback"], wrong
        assert post(job["score_url"], [1])["code"] == "bad_request"
    """
    assert (await runs(body, FINE)).error == ""


async def test_the_ceiling_is_told_and_the_test_goes_on(runs: Runs) -> None:
    body = """
        told = [ask(str(n)) for n in range(8)]
        assert [each.get("code") for each in told] == [None] * 5 + ["budget_exceeded"] * 3, told
        with urllib.request.urlopen(job["budget_url"]) as answer:
            assert json.load(answer)["calls"]["used"] == 5
        ask("test", job["test_url"])
    """
    result = await runs(body, FINE)
    assert result.error == ""
    assert (result.search.calls, result.test.calls) == (5, 1)


async def test_judges_are_asked_through_the_metric_and_counted(runs: Runs) -> None:
    body = """
        told = [post(job["score_url"], {"split": "train", "id": f"train-{n}", "outputs": {"total": n}}) for n in range(3)]
        assert [each.get("code") for each in told] == [None, None, "budget_exceeded"], told
        assert job["task"]["judge_calls"] == 1
    """
    result = await runs(body, FINE, task=task_of(Judge("The total is right.")), effort=2, model="fake/judge")
    assert result.error == ""
    assert (result.search.calls, result.test.calls) == (2, 3)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("pass", "program.json: found no such file"),
        ("FINE; (out / 'predictions.jsonl').unlink()", "predictions.jsonl: found no such file"),
        ("FINE; (out / 'predictions.jsonl').write_bytes(b'\\xff\\x00')", "predictions.jsonl:1: found no JSON"),
        ("FINE; (out / 'predictions.jsonl').write_text('[' * 100_000)", "predictions.jsonl:1: found no JSON"),
        ("FINE; (out / 'predictions.jsonl').write_text('{\"id\": \"x\", \"outputs\": {}}')", "predictions.jsonl:1: found"),
        ("FINE; f = out / 'predictions.jsonl'; f.write_text(f.read_text() * 2)", "found 'test-0' again"),
        ("FINE; f = out / 'predictions.jsonl'; f.unlink(); f.symlink_to('/etc/hostname')", "a symbolic link"),
        ("raise ValueError('no way')", "ended with status 1: ValueError: no way"),
        ("print('bye', flush=True); os.kill(os.getpid(), 9)", "ended with status 137: bye"),
    ],
)  # fmt: skip
async def test_a_peer_that_cannot_run_is_a_failed_cell_with_its_fault_in_a_line(
    runs: Runs, body: str, error: str
) -> None:
    result = await runs(*([FINE] if body.startswith("FINE; ") else []), body.removeprefix("FINE; "))
    assert result.status == "failed"
    assert error in result.error
    assert "\n" not in result.error


async def test_predictions_that_are_missing_or_of_another_type_score_0_and_are_said(runs: Runs) -> None:
    body = """
    lines = ['{"id": "test-1", "outputs": {"total": "three"}}', '{"id": "test-2", "outputs": {"total": 4, "more": 1}}']
    (out / "predictions.jsonl").write_text("\\n".join(lines))
    """
    result = await runs(FINE, body)
    assert result.scores == (0.0, 0.0, 1.0)
    assert "no prediction for test-0: they score 0" in result.found
    assert "1 prediction of no use score 0, as test-1" in result.found


async def test_validation_rows_that_were_not_all_answered_have_no_mean(runs: Runs) -> None:
    body = """(out / "val.jsonl").write_text('{"id": "val-1", "outputs": {"total": 3}}')"""
    assert (await runs(body, FINE)).val is None


async def test_output_is_bounded_and_its_end_is_kept(runs: Runs, tmp_path: Path) -> None:
    result = await runs("for _ in range(100): sys.stdout.write('x' * 999_999 + '\\n')\nprint('the end')", FINE)
    assert result.status == "done"
    log = (tmp_path / "cell/log.txt").read_text()
    assert len(log) == 65_536
    assert log.endswith("the end\n")


async def test_a_peer_that_hangs_is_ended_with_its_children(runs: Runs, tmp_path: Path) -> None:
    body = """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder / "child").write_text(str(child.pid))
        print("waiting", flush=True)
        time.sleep(600)
    """
    result = await runs(body, seconds=1.5)
    assert result.error == "ended after 1.5 seconds: waiting"
    await gone(int((tmp_path / "cell/job/child").read_text()))


async def test_a_child_that_outlives_its_peer_is_ended(runs: Runs, tmp_path: Path) -> None:
    body = """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (folder / "child").write_text(str(child.pid))
    """
    assert (await runs(body, FINE)).status == "done"
    await gone(int((tmp_path / "cell/job/child").read_text()))


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_a_peer_is_ended_when_the_comparison_is(runs: Runs, tmp_path: Path, how: str) -> None:
    stop = StopSignal()
    body = "(folder / 'mine').write_text(str(os.getpid()))\ntime.sleep(600)"
    running = asyncio.create_task(runs(body, stop=stop))
    while not ((mine := tmp_path / "cell/job/mine").exists() and mine.read_text()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    if how == "stop":
        stop.set()
    else:
        running.cancel()
    with pytest.raises(Paused if how == "stop" else asyncio.CancelledError):
        await running
    await gone(int(mine.read_text()))


async def test_an_infrastructure_fault_pauses_and_is_no_score(runs: Runs) -> None:
    with pytest.raises(Paused, match="connection reset") as raised:
        await runs("ask('what nobody has asked')\ntime.sleep(600)", model="fake/counter?preset=1")
    assert raised.value.stopped_by == "infrastructure"


async def test_a_metric_that_raises_stops_the_peer(runs: Runs) -> None:
    def broken(example: Example, outputs: Mapping[str, Any]) -> float:
        raise KeyError("gone")

    body = """
        post(job["score_url"], {"split": "train", "id": "train-1", "outputs": {"total": 1}})
        time.sleep(600)
    """
    with pytest.raises(MetricError, match="train-1"):
        await runs(body, task=task_of(broken))


async def test_a_ceiling_around_it_that_leaves_no_room_for_the_test_is_no_score(runs: Runs) -> None:
    body = "ask('one'), ask('two'), ask('three', job['test_url'])"
    with pytest.raises(BudgetExceeded):
        await runs(body, FINE, budget=Budget(calls=2))


async def test_a_search_that_ceilings_around_it_cut_short_is_known_by_whose_they_are(runs: Runs) -> None:
    body = "told = [ask(str(n)).get('code') for n in range(4)]\nassert told[2:] == ['budget_exceeded'] * 2, told"
    lent: list[Lent] = []
    around = Budget(calls=10)
    with around.hold(calls=8):  # as a run beside it does for its test; afterwards there is room again
        assert (await runs(body, FINE, budget=Budget(calls=9).within(around), watch=lent.append)).status == "done"
    assert lent[0].faults.cut is around
    await runs("[ask(str(n)) for n in range(4)]", FINE, effort=2, watch=lent.append)
    assert lent[1].faults.cut is None


async def test_a_test_without_end_is_the_peers_fault(runs: Runs) -> None:
    body = "for n in range(200): ask(str(n), job['test_url'])"
    result = await runs(body, FINE, task=task_of(rows=1))
    assert result.error == "its test asks for more than 50 calls"


async def test_the_same_again_asks_no_model(runs: Runs, tmp_path: Path) -> None:
    body = "ask('one more time')\n" + dedent(FINE)
    first = await runs(body)
    (tmp_path / "cell/job/out/stale").write_text("of the first try")
    again = await runs(body, model="fake/counter?p500=0")
    assert (first.search.calls, first.search.tokens) == (again.search.calls, again.search.tokens)
    assert first.scores == again.scores
    assert not (tmp_path / "cell/job/out/stale").exists()


async def test_the_plain_peer_of_the_benchmarks_runs(tmp_path: Path, cache: Path) -> None:
    task = Task(
        goal="Repeat.",
        inputs={"total": "int"},
        outputs={"sum": "int"},
        metric=lambda example, outputs: outputs["sum"] == example.inputs["total"],
        **{
            split: [{"id": f"{split}-{n}", "total": n + 2 * k, "sum": n + 2 * k} for n in range(2)]
            for k, split in enumerate(("train", "val", "test"))
        },
    )
    async with Workbench(cache_dir=cache) as workbench, Proxy() as proxy:
        result = await run_peer(
            Peer(("python", "plain_cot.py"), PEERS),
            Cell("t", "plain", "small", 1, 0),
            task,
            identity="id",
            folder=tmp_path,
            proxy=proxy,
            workbench=workbench,
            model="fake/echo",
        )
    assert (result.status, result.test.calls, result.search.calls) == ("done", 2, 0)
    assert "one prompt, not searched" in result.found


async def test_the_example_of_the_documentation_is_a_peer(runs: Runs) -> None:
    page = (PEERS.parents[1] / "docs" / "peers.md").read_text()
    example = next(each for each in page.split("```text\n") if each.startswith('"""A peer')).partition("```")[0]
    result = await runs(example, effort=10)
    assert (result.error, result.search.calls, result.test.calls) == ("", 10, 3)


async def test_an_installation_that_fails_is_told_with_the_last_words_of_pip(tmp_path: Path) -> None:
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("--no-index\nsurely-no-such-package==1\n")
    stop, said = StopSignal(), list[str]()
    with pytest.raises(PeerError, match=r"requirements.txt: cannot be installed: ERROR: .*surely-no-such-package"):
        await make_environment(wanted, tmp_path, stop=stop, say=said.append)
    assert not list(tmp_path.glob(f"peers/*/{INSTALLED}"))  # noqa: ASYNC240


async def test_an_environment_is_made_once(tmp_path: Path) -> None:
    stop = StopSignal()
    made = [make_environment(None, tmp_path, stop=stop, say=lambda line: None) for _ in range(3)]
    first, *others = await asyncio.gather(*made)
    (first / "mine").touch()
    assert others == [first, first]
    await make_environment(None, tmp_path, stop=stop, say=print)
    assert (first / "mine").exists()


def test_a_metric_is_told_in_words() -> None:
    def close(example: Example, outputs: Mapping[str, Any]) -> float:
        """Nearer is better."""
        return 1.0

    assert metric_words(Metric.of(close)) == "Nearer is better."
    assert "Equal numbers" in metric_words(Metric.of("numeric"))
    parts = Parts({"right": Part("exact", on="total", weight=2), "kind": Judge("It is polite.")}).metric()
    assert "right (weight 2, of total): exact: Equal values" in metric_words(parts)
    assert "- It is polite." in metric_words(parts)


async def gone(pid: int) -> None:
    """Wait for a process to end: what was killed is another's to take away."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not is_alive(pid):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{pid} still runs")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
