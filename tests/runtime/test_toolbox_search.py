from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbot.fields import StepError, UserError
from flowbot.runtime.toolbox import corpus, opened_tools
from flowbot.runtime.tools import ToolRunner
from flowbot.task import SearchSource

DOCUMENTS = [
    {"id": "1", "title": "Pears", "text": "Green pears grow on trees"},
    {"id": "2", "title": "Äpfel", "text": "Rote ÄPFEL wachsen"},
    {"title": "", "text": ""},
    {"title": "Pears again", "text": "green PEARS, green pears."},
    {"title": "Pears", "text": "Green pears grow on trees"},
]


def write(folder: Path, rows: list[Any], name: str = "docs.jsonl") -> Path:
    file = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


async def found(file: Path, query: str, **more: Any) -> Any:
    async with opened_tools([SearchSource(corpus=file, **more)], cache_dir=file.parent / "cache") as tools:
        outputs, _ = await ToolRunner(tools, None).call("search", {"query": query})
        return outputs["results"]


async def test_the_best_documents_come_first_and_equal_ones_in_their_order(tmp_path: Path) -> None:
    file = write(tmp_path, DOCUMENTS)
    titles = [each["title"] for each in await found(file, "Green pears?")]
    assert titles == ["Pears again", "Pears", "Pears"]
    assert await found(file, "äpfel") == [{"title": "Äpfel", "text": "Rote ÄPFEL wachsen"}]
    assert len(await found(file, "green pears", k=2)) == 2
    assert await found(file, "bananas") == []


async def test_titles_are_given_only_where_the_corpus_has_them(tmp_path: Path) -> None:
    file = write(tmp_path, [{"text": "one pear"}, "", {"text": "two pears " + "x" * 5000}])
    first, second = (await found(file, "one two"))[::-1], (await found(file, "two"))[0]
    assert "one pear" in first
    assert len(second) == 700
    assert second.endswith("…")
    assert len((await found(file, "two", k=1))[0]) == 3500
    assert len((await found(file, "two", k=50))[0]) == 300


async def test_sentences_serve_in_place_of_a_text(tmp_path: Path) -> None:
    file = write(tmp_path, [{"title": "Pears", "sentences": ["Pears are green.", " They grow on trees."]}])
    assert await found(file, "trees") == [{"title": "Pears", "text": "Pears are green. They grow on trees."}]


async def test_an_index_is_built_once_for_a_content(tmp_path: Path) -> None:
    news: list[str] = []
    for name, rows in (("a.jsonl", DOCUMENTS), ("b.jsonl", DOCUMENTS), ("c.jsonl", DOCUMENTS[:2])):
        source = SearchSource(corpus=write(tmp_path, rows, name))
        async with opened_tools([source], cache_dir=tmp_path, say=news.append):
            pass
    assert [line.split()[1] for line in news] == ["a.jsonl", "c.jsonl"]


async def test_a_build_that_breaks_off_leaves_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, DOCUMENTS)
    save = np.save

    def breaks(path: Path, values: Any, **more: Any) -> None:
        if Path(path).name == "starts.npy":
            raise KeyboardInterrupt
        save(path, values, **more)

    monkeypatch.setattr(np, "save", breaks)
    with pytest.raises(KeyboardInterrupt):
        corpus.open_corpus(file, tmp_path, where="tools", say=lambda _: None)
    monkeypatch.undo()
    left = tmp_path / "corpora" / "killed.building"
    left.mkdir()
    assert [each.name for each in (tmp_path / "corpora").iterdir()] == ["killed.building"]
    opened = corpus.open_corpus(file, tmp_path, where="tools", say=lambda _: None)
    assert [each.title for each in opened.search("äpfel", 3)] == ["Äpfel"]
    opened.close()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["{"], "docs.jsonl:1: found no JSON"),
        (["[" * 100_000], "docs.jsonl:1: found JSON that is nested too deep"),
        ([{"text": "a"}, "[1]"], "docs.jsonl:2: found a list"),
        ([{"title": "a"}], "docs.jsonl:1: found no text"),
        ([{"title": "a", "sentences": ["b", 1]}], "docs.jsonl:1: found a text or title of another type"),
        ([{"text": 3}], "another type"),
        ([{"text": "…"}], "without any word"),
    ],
)
async def test_a_faulty_corpus_is_named_with_its_line(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        await found(write(tmp_path, rows), "a")
    assert list((tmp_path / "cache" / "corpora").iterdir()) == []


async def test_a_corpus_that_changes_in_use_is_the_users_error(tmp_path: Path) -> None:
    file = write(tmp_path, DOCUMENTS)
    async with opened_tools([SearchSource(corpus=file)], cache_dir=tmp_path) as tools:
        runner = ToolRunner(tools, None)
        with pytest.raises(StepError, match="empty query"):
            await runner.call("search", {"query": " "})
        file.write_text("{}\n" * 9, encoding="utf-8")
        with pytest.raises(UserError, match="changed while it was in use"):
            await runner.call("search", {"query": "pears"})


async def test_the_identity_is_the_content_and_what_is_shown_of_it(tmp_path: Path) -> None:
    sources = [
        SearchSource(corpus=write(tmp_path, DOCUMENTS, "a.jsonl"), name="a"),
        SearchSource(corpus=write(tmp_path, DOCUMENTS, "b.jsonl"), name="b"),
        SearchSource(corpus=write(tmp_path, DOCUMENTS, "c.jsonl"), name="c", k=2),
        SearchSource(corpus=write(tmp_path, DOCUMENTS[:2], "d.jsonl"), name="d"),
    ]
    async with opened_tools(sources, cache_dir=tmp_path) as tools:
        identities = [tool.identity for tool in tools.values()]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=1, max_size=30), st.integers(1, 12))
def test_the_best_are_those_of_a_full_sort(scores: list[float], k: int) -> None:
    wanted = sorted((index for index, score in enumerate(scores) if score > 0), key=lambda index: -scores[index])
    assert corpus.best(np.array(scores, dtype=np.float32), k) == wanted[:k]
