"""Events: each is written and read back as it was; what no run wrote is refused by file, line and member."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sample import journal, started, write_journal

from flowbot.fields import UserError
from flowbot.run import events
from flowbot.run.events import (
    Arm,
    CutShort,
    Difference,
    Ended,
    Event,
    Feedback,
    Measure,
    Measured,
    Noted,
    Proposal,
    Started,
    Verdict,
    Votes,
    dump,
    load,
)
from flowbot.run.journal import Journal, read_events

texts = st.text(max_size=20)
halves = st.text(st.characters(), max_size=20)  # half a surrogate pair too, as a model may write it
counts = st.integers(0, 10**15)
shares = st.floats(0, 1)
gains = st.floats(-1, 1)
amounts = st.floats(0, 1e15)
many = st.lists(texts, max_size=3).map(tuple)
data = st.dictionaries(
    texts, st.recursive(st.none() | st.booleans() | halves | counts, st.lists, max_leaves=4), max_size=3
)


def literal(alias: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(alias))


measures = st.builds(Measure, mean=shares, low=shares, high=shares, n=counts)
differences = st.none() | st.builds(Difference, mean=gains, low=gains, high=gains, n=counts)
every: dict[type[Any], st.SearchStrategy[Event]] = {
    Started: st.builds(
        Started, run=texts, task=texts, goal=halves, method=texts, seed=st.integers(0, 2**63 - 1), effort=counts,
        models=st.dictionaries(texts, texts, max_size=2), start=texts, program=data,
    ),
    Feedback: st.builds(
        Feedback, id=texts, about=texts, example=texts, place=texts, text=halves, source=st.sampled_from(["meta", "rule"]),
        after=many,
    ),
    Proposal: st.builds(
        Proposal, id=texts, level=literal(events.Level), arm=st.builds(Arm, kind=texts, place=texts),
        parents=st.lists(texts, min_size=1, max_size=2).map(tuple), program=st.none() | texts, dump=st.none() | data,
        edits=many, title=halves, source=literal(events.Source), reason=halves, because=many,
        votes=st.none() | st.builds(Votes, won=counts, of=counts), code_by=st.sampled_from([None, "meta", "prior"]),
        shown=many, faults=many,
    ),
    Verdict: st.builds(
        Verdict, proposal=texts, incumbent=texts, decision=literal(events.Decision), rule=texts, n=counts, mine=shares,
        theirs=shares, gain=gains, spread=amounts, p=shares, spent=counts,
    ),
    Measured: st.builds(
        Measured, program=texts, split=literal(events.Split), score=measures, calls=amounts, tokens=amounts,
        usd=st.none() | amounts, seconds=amounts, spent=counts,
    ),
    CutShort: st.builds(CutShort, calls=many, spent=counts),
    Noted: st.builds(Noted, about=st.sampled_from(["plateau", "restart", "left out", "stopped", "start"]), text=halves, spent=counts),
    Ended: st.builds(
        Ended, program=texts, title=halves, source=literal(events.Source), stopped_by=texts,
        difference=st.fixed_dictionaries({"val": differences, "test": differences}),
    ),
}  # fmt: skip


def test_every_event_has_a_strategy() -> None:
    assert set(every) == set(get_args(Event))


@given(st.one_of(*every.values()))
def test_an_event_that_was_written_is_read_as_it_was(event: Event) -> None:
    line = json.dumps(dump(event), allow_nan=False)
    assert load(json.loads(line), "here") == event


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (1, {"seed": -1}, "1: seed: found -1"),
        (1, {"seed": True}, "1: seed: found true"),
        (1, {"goal": 3}, "1: goal: found 3"),
        (2, {"score": {"mean": 2, "low": 0, "high": 1, "n": 1}}, "2: score.mean: found 2"),
        (2, {"spent": "3"}, "2: spent: found '3'"),
        (3, {"after": ["g1", 2]}, "3: after[1]: found 2"),
        (3, {"event": "gradient"}, "3: found 'gradient'"),
        (6, {"parents": []}, "6: parents: found"),
        (6, {"votes": {"won": 1}}, "6: votes: found no 'of'"),
        (7, {"decision": "keep"}, "7: decision: found 'keep'"),
    ],
)
def test_a_line_of_a_wrong_type_is_named_with_file_line_and_member(
    tmp_path: Path, number: int, change: dict[str, Any], said: str
) -> None:
    write_journal(tmp_path, journal())
    path = tmp_path / "journal.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[number - 1] = json.dumps({**json.loads(lines[number - 1]), **change})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for read in (read_events, Journal.open):
        with pytest.raises(UserError) as caught:
            read(path)
        assert f"{path}:{said}" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ({"event": "start", "run": "orders-1", "seed": 0}, "a journal of FlowBot 0.1"),
        ({**dump(started()), "version": 3}, "another FlowBot (version 3 of the format)"),
    ],
)
def test_a_journal_of_another_version_says_who_wrote_it_and_what_to_do(
    tmp_path: Path, first: dict[str, Any], said: str
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(first) + "\n", encoding="utf-8")
    for read in (read_events, Journal.open):
        with pytest.raises(UserError) as caught:
            read(path)
        assert said in str(caught.value)
        assert "--fresh" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_secret_is_masked_in_every_member_but_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "k3y-0123456789")
    journal_ = Journal.open(tmp_path / "journal.jsonl")
    journal_.record(started("the key is k3y-0123456789", program={"flowbot": "k3y-0123456789"}))
    journal_.close()
    [event] = read_events(tmp_path / "journal.jsonl")
    assert isinstance(event, Started)
    assert (event.goal, event.program) == ("the key is [secret]", {"flowbot": "k3y-0123456789"})
