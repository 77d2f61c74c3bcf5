"""Parquet files and data sets of the hub as rows: labels by their names, splits as they have them, the revision recorded."""

from __future__ import annotations

import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowbot.draft.draft import draft_task
from flowbot.draft.folder import task_text, write_folder
from flowbot.draft.table import read_table
from flowbot.fields import UserError
from flowbot.task import Task
from flowbot.task.arrow import arrow_rows
from flowbot.task.data import read_rows
from flowbot.task.hub import HubName, hub_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SIZES = {"train": 30, "validation": 12, "test": 14, "unsupervised": 5}


def table_of(split: str, size: int) -> Any:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["neg", "pos"]),
            "marks": datasets.Sequence(datasets.ClassLabel(names=["O", "X"])),
        }
    )
    secret = -1 if split == "unsupervised" else None
    return datasets.Dataset.from_dict(
        {
            "text": [f"{split} text {n}" for n in range(size)],
            "label": [secret if secret is not None else n % 2 for n in range(size)],
            "marks": [[0, n % 2] for n in range(size)],
        },
        features=features,
    ).data.table


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds one data set of the hub, as the library leaves it, and no network."""
    folder = tmp_path / "cache" / "shop___mails" / "default" / "0.0.0" / COMMIT
    folder.mkdir(parents=True)
    for split, size in SIZES.items():
        table = table_of(split, size)
        with (
            pa.OSFile(str(folder / f"mails-{split}.arrow"), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as out,
        ):
            out.write_table(table)
    info = {
        "features": json.loads(table_of("train", 1).schema.metadata[b"huggingface"])["info"]["features"],
        "builder_name": "parquet",
        "dataset_name": "mails",
        "config_name": "default",
        "version": {"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0},
        "splits": {
            split: {"name": split, "num_bytes": 1, "num_examples": size, "dataset_name": "mails"}
            for split, size in SIZES.items()
        },
    }
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_data_set_of_the_hub_becomes_a_task_with_its_splits_and_names_of_labels(cache: Path) -> None:
    table = read_table([Path("hf:shop/mails")])
    made = draft_task(table)
    assert {field.name: str(field.type) for field in made.inputs} == {"text": "str"}
    assert {field.name: str(field.type) for field in made.outputs} == {"label": "Literal['neg', 'pos']"}
    assert {split: len(rows) for split, rows in made.splits.items()} == {"train": 30, "val": 12, "test": 14}
    assert made.name == "mails"
    assert table.unused == ["unsupervised"]
    assert f"# The rows are of hf:shop/mails@{COMMIT}.\n" in task_text(made)
    write_folder(made, cache / "made")
    assert Task.load(cache / "made").train[0].extra["marks"] in (["O", "O"], ["O", "X"])


def test_a_task_file_may_name_the_hub_and_the_run_is_of_that_revision(cache: Path) -> None:
    def task(data: str) -> Task:
        path = cache / "task.yaml"
        path.write_text(
            f"flowbot: 1\ngoal: g\ninputs: {{text: str}}\noutputs: {{label: str}}\nmetric: exact\ndata: {data}\n"
        )
        return Task.load(path)

    found = task("{train: hf:shop/mails, val: hf:shop/mails, test: 'hf:shop/mails:test'}")
    assert [len(found.splits[split]) for split in ("train", "val", "test")] == [30, 12, 14]
    assert {example.expected["label"] for example in found.test} == {"neg", "pos"}
    assert found.identity["revisions"] == {
        "train": f"hf:shop/mails@{COMMIT}:train",
        "val": f"hf:shop/mails@{COMMIT}:validation",
        "test": f"hf:shop/mails@{COMMIT}:test",
    }
    divided = task("{all: 'hf:shop/mails:train', split: [0.4, 0.2, 0.4]}")
    assert sum(map(len, divided.splits.values())) == 30
    assert (
        "revisions"
        not in Task(goal="g", inputs={"text": str}, outputs={"label": str}, metric="exact", test=[("a", "b")]).identity
    )
    for data, said in (
        ("{all: hf:shop/mails, split: [0.4, 0.2, 0.4]}", "which has train, validation, test, unsupervised"),
        ("{train: 'hf:shop/mails:dev'}", "without a split of that name; expected one of train, validation"),
        (f"{{train: 'hf:shop/mails@{'f' * 40}'}}", f"revision {COMMIT} in the cache"),
        ("{train: hf:shop/none}", "cannot be loaded"),
        ("{train: 'hf:shop/mails/other'}", "cannot be loaded"),
        ("{train: 'hf:a b'}", r"expected hf:ORG/NAME\[/CONFIG\]"),
    ):
        with pytest.raises(UserError, match=said) as caught:
            task(data)
        assert "task.yaml: data." in caught.value.where
    assert task(f"{{test: 'hf:shop/mails@{COMMIT}'}}").identity["revisions"]


def test_rows_given_in_python_may_be_of_the_hub(cache: Path) -> None:
    task = Task(goal="g", inputs={"text": str}, outputs={"label": str}, metric="exact", test="hf:shop/mails")
    assert len(task.test) == 14


def test_what_is_asked_of_the_hub_is_read_from_its_name() -> None:
    assert hub_name("hf:a/b/c.d@refs/pr/1:dev", "x") == HubName("a/b", "c.d", "refs/pr/1", "dev")
    assert hub_name("hf:squad", "x") == HubName("squad")
    assert str(HubName("a/b", "c", "1", "dev")) == "hf:a/b/c@1:dev"


def test_of_a_large_split_a_part_is_read_evenly(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowbot.draft.reading.MOST_TAKEN", 10)
    table = read_table([Path("hf:shop/mails")])
    train = [row.values["text"] for row in table.rows if row.split == "train"]
    assert train == [f"train text {n}" for n in range(0, 30, 3)]
    assert any(each.guess == "10 of the 30 rows of train" for each in table.notes)


def test_a_parquet_file_is_read_with_names_of_labels_dates_and_nothing_for_nan(tmp_path: Path) -> None:
    table = table_of("train", 4)
    more = {
        "day": pa.array([dt.date(2026, 3, n + 1) for n in range(4)]),
        "price": pa.array([Decimal("1.50"), None, Decimal("2.00"), Decimal("3.25")]),
        "weight": pa.array([1.5, float("nan"), None, 2.0]),
        "kind": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
        "picture": pa.array([b"x"] * 4),
        "nested": pa.array([{"n": n, "of": [str(n)]} for n in range(4)]),
    }
    for name, column in more.items():
        table = table.append_column(name, column)
    pq.write_table(table, tmp_path / "rows.parquet")
    rows = [dict(row.values) for row in read_rows(tmp_path / "rows.parquet")]
    assert rows[1] == {
        "text": "train text 1",
        "label": "pos",
        "marks": ["O", "X"],
        "day": "2026-03-02",
        "price": None,
        "weight": None,
        "kind": "b",
        "nested": {"n": 1, "of": ["1"]},
    }
    assert json.loads(json.dumps(rows)) == rows
    made = draft_task(read_table([tmp_path / "rows.parquet"]), fractions=(0.5, 0.25, 0.25))
    assert [field.name for field in made.outputs] == ["label"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"PAR1 not at all", "a broken Parquet file"), (b"", "a broken Parquet file"), (None, "no rows")],
)
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "rows.parquet"
    if content is None:
        pq.write_table(pa.table({"a": pa.array([], pa.string())}), path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_rows(path)


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "rows.parquet")
    for module in ("datasets", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    for given in (tmp_path / "rows.parquet", Path("hf:shop/mails")):
        with pytest.raises(UserError, match=r"pip install 'flowbot\[hf\]'"):
            read_table([given])


def test_a_map_is_an_object_and_bytes_of_every_kind_are_left_out(tmp_path: Path) -> None:
    maps = pa.array([[("red", 1), ("blue", 2)], [], None], type=pa.map_(pa.string(), pa.int64()))
    numbered = pa.array([[(1, "a")], [(2, "b")], []], type=pa.map_(pa.int64(), pa.string()))
    views = pa.array([b"a", b"b", b"c"], type=pa.binary_view())
    coded = pa.array([b"a", b"b", b"a"], type=pa.binary()).dictionary_encode()
    table = pa.table({"counts": maps, "names": numbered, "picture": views, "again": coded})
    assert [dict(row.values) for row in arrow_rows(table, "t")] == [
        {"counts": {"red": 1, "blue": 2}, "names": {"1": "a"}},
        {"counts": {}, "names": {"2": "b"}},
        {"counts": None, "names": {}},
    ]
