"""A bench file with a mistake is refused in one line that names the place, before anything is stored or paid for."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_help import BENCH, write_bench

import flowbot as fb
from flowbot.benchmark.bench_file import read_bench
from flowbot.benchmark.plan import cells_of, chosen_cells
from flowbot.benchmark.run import ready_bench


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("flowbot: 1", "flowbot: 2", "flowbot: found 2; expected 1"),
        ("baseline: cot", "baseline: cto", "baseline: found 'cto'; expected a method of the file: one of"),
        ("baseline: cot", "baseline: [cot]", "baseline: found"),
        ("baseline: cot", "baselin: cot", "the unknown key 'baselin'"),
        ("baseline: cot", "published: {A: {scores: {adding: 50}}}", "published.A: found no"),
        ("tasks: {adding: task}", "tasks: {adding: elsewhere}", "tasks.adding: found no file"),
        ("tasks: {adding: task}", "tasks: {adding: {file: task, rows: [3]}}", "tasks.adding: rows: found [3]"),
        ("tasks: {adding: task}", "tasks: {}", "tasks: found 0 of them"),
        ("tasks: {adding: task}", "tasks: {../adding: task}", "the name '../adding'"),
        ("tasks: {adding: task}", f"tasks: {{{'a' * 65}: task}}", "at most 64"),
        ("tasks: {adding: task}", "tasks: {table.md: task}", "the name 'table.md'"),
        ("tasks: {adding: task}", "tasks: {adding: task, Adding: task}", "'adding' and 'Adding'; expected names that differ"),
        ("tasks: {adding: task}", "tasks: {a: {set: trec6, data: nowhere}}", "tasks.a: "),
        ("tasks: {adding: task}", "tasks: {a: {set: trec6, data: d, rows: [1, 2]}}", "tasks.a: rows: found [1, 2]"),
        ("start: single-call", "start: singel-call", "methods.single.start: found 'singel-call'"),
        ("start: single-call", "start: other.flow.yaml", "other.flow.yaml: found no such file"),
        ("start: single-call", "start: retrieve-then-read", "adding/single/small: start retrieve-then-read: the task's tools"),
        ("start: single-call", "start: gone.py:answer", "adding/single/small: start.call: found no file"),
        ("start: single-call", "begin: single-call", "methods.single: found only 'begin'"),
        ("start: single-call", "command: []", "methods.single: command: found []"),
        ("start: single-call", "command: [python, gone.py]", "adding/single/small: command: found no file"),
        ("method: none+blame", "method: none+blam", "methods.tuned.method: found 'blam'"),
        ("method: none+blame", "method: none+blame, effort: 3", "the unknown key 'effort'"),
        ("fake/counter", "fak/counter", "models.small.task: found 'fak'"),
        ("fake/counter", "fake/counter, others: [fake/echo, fak/echo]", "models.small.others[1]: found 'fak'"),
        ("fake/counter", "fake/counter, others: fake/echo", "models.small: others: found 'fake/echo'"),
        ("fake/counter", "openai/gpt-4.1-mini", "adding/single/small: "),
        ("seeds: [0, 1]", "seeds: [0, 0]", "seeds: found 0 twice"),
        ("seeds: [0, 1]", "seeds: [true]", "seeds[0]: found True"),
        ("effort: [60]", "effort: 60", "effort: found 60; expected a list"),
        ("effort: [60]", "effort: [0]", "effort[0]: found 0"),
        ("effort: [60]", "budget: {calls: 0}", "budget: calls: found 0"),
        ("effort: [60]", "budget: {cell: {usd: true}}", "budget: cell.usd: found true"),
        ("effort: [60]", "budget: {cell: {calls: 3}}", "adding/single/small: the ceiling of calls: found 3 calls"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert old in BENCH
    file = write_bench(tmp_path, BENCH.replace(old, new))
    with pytest.raises(fb.UserError) as caught:
        fb.bench(file, cache_dir="cache")
    assert said in str(caught.value)
    assert "small.yaml" in str(caught.value) or new.endswith(".yaml")
    assert "\n" not in str(caught.value)
    assert not Path("bench").exists()


def test_a_task_file_may_be_taken_with_its_first_rows_alone(tmp_path: Path) -> None:
    whole = read_bench(write_bench(tmp_path)).tasks["adding"]
    some = BENCH.replace("tasks: {adding: task}", "tasks: {adding: {file: task, rows: [3, 4, 5]}}")
    made = read_bench(write_bench(tmp_path, some)).tasks["adding"]
    assert [len(made.splits[split]) for split in ("train", "val", "test")] == [3, 4, 5]
    assert made.train == whole.train[:3]


def test_cells_stand_in_the_order_of_the_file_and_patterns_choose_among_them(tmp_path: Path) -> None:
    file = read_bench(write_bench(tmp_path, BENCH.replace("effort: [60]", "effort: [60, low]")))
    names = [cell.name for cell in cells_of(file)]
    assert names[:3] == ["adding/single/small/0/0", "adding/single/small/0/1", "adding/cot/small/0/0"]
    assert names[4:] == [f"adding/tuned/small/{effort}/{seed}" for effort in (60, 200) for seed in (0, 1)]
    assert [cell.name for cell in chosen_cells(cells_of(file), ["*/tuned/*/60/0", "adding/single"])] == [
        *names[:2],
        names[4],
    ]
    with pytest.raises(fb.UserError, match="did you mean 'adding/single'"):
        chosen_cells(cells_of(file), ["adding/singel"])


def test_a_dry_run_counts_cells_and_calls_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from flowbot.cli.app import run

    monkeypatch.chdir(tmp_path)
    write_bench(tmp_path, f"{BENCH}budget: {{usd: 5, cell: {{calls: 90}}}}\n")
    assert run(["bench", "small.yaml", "--dry-run", "--json", "--cache-dir", "cache"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [len(told["cells"]), told["ceilings"]] == [6, {"all": {"usd": 5.0}, "cell": {"calls": 90}}]
    assert told["estimate"]["calls"] == sum(cell["estimate"]["calls"] for cell in told["cells"]) > 0
    assert not Path("bench").exists()


async def test_other_models_make_another_cell_of_a_search_and_none_of_a_start(tmp_path: Path) -> None:
    async def identities(text: str, folder: str) -> dict[str, str]:
        (tmp_path / folder).mkdir()
        file = write_bench(tmp_path / folder, text)
        async with ready_bench(file, cache_dir=tmp_path / "cache", out=tmp_path / "out") as ready:
            return {each.cell.name: each.identity for each in ready.plan.chosen}

    one = await identities(BENCH, "one")
    other = await identities(BENCH.replace("fake/counter", "fake/counter, others: [fake/echo]"), "other")
    changed = {name.split("/")[1] for name in one if one[name] != other[name]}
    assert changed == {"tuned"}
