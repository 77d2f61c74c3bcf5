"""From replies to values: read, mended, fitted, asked for again with the error, and given up with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_helpers import client_of, make_lm, reply

from flowbot.fields import Field, ModelError, RefusedError, ValueMismatch
from flowbot.lm.answers import AnswerError, read_values
from flowbot.lm.client import Message

TOTAL = [Field.of("total", "int")]
BOTH = [Field.of("why", "str"), Field.of("total", "int")]
ASKED = [Message("user", "how many?")]


@pytest.mark.parametrize(
    "text",
    [
        '{"total": 12}',
        '{"total": "12"}',
        '```json\n{"total": 12}\n```',
        'Here you are: {"total": 12} I hope it helps.',
        "{'total': 12,}",
        '{"total": 12',
        "12",
        '[{"total": 12}]',
        '{"note": 1, "total": 12.0}',
        '{"total": 1}\n{"total": 12}',
    ],
)
def test_reads_what_plainly_is_the_value(text: str) -> None:
    assert read_values(text, TOTAL) == {"total": 12}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected JSON"),
        ("I do not know", "expected JSON"),
        ('{"sum": 12}', "total is missing"),
        ('{"total": "many"}', "total: found"),
        ('{"total": NaN}', "total: found"),
        ("[" * 100_000, "expected"),
        ("9" * 10_000, "expected"),
    ],
)
def test_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueMismatch, match=said):
        read_values(text, TOTAL)


def test_a_list_and_a_free_object_may_stand_alone() -> None:
    assert read_values("[1, 2]", [Field.of("items", "list[int]")]) == {"items": [1, 2]}
    assert read_values('{"a": 1}', [Field.of("it", "object")]) == {"it": {"a": 1}}
    assert read_values('{"it": {"a": 1}}', [Field.of("it", "object")]) == {"it": {"a": 1}}


@given(st.text(), st.integers(-(10**12), 10**12))
def test_what_was_dumped_is_read(why: str, total: int) -> None:
    assert read_values(json.dumps({"why": why, "total": total}), BOTH) == {"why": why, "total": total}


@given(st.text(max_size=60))
def test_any_text_gives_values_of_the_type_or_a_mismatch(text: str) -> None:
    try:
        values = read_values(text, BOTH)
    except ValueMismatch:
        return
    assert isinstance(values["why"], str)
    assert isinstance(values["total"], int)


async def test_a_single_text_is_asked_for_plainly() -> None:
    lm = make_lm(lambda r, n: " <think>hm {</think>\n It is so. ")
    answer = await lm.ask_fields(ASKED, [Field.of("answer", "str")], purpose="train")
    assert answer.values == {"answer": "It is so."}
    assert client_of(lm).sent[0].schema is None


async def test_fields_are_asked_for_by_schema_in_their_order() -> None:
    lm = make_lm(lambda r, n: '{"why": "so", "total": 3}')
    answer = await lm.ask_fields(ASKED, BOTH, purpose="train", max_tokens=99, temperature=0.5, draw=(1,))
    assert answer.values == {"why": "so", "total": 3}
    sent = client_of(lm).sent[0]
    assert list((sent.schema or {})["properties"]) == ["why", "total"]
    assert (sent.max_tokens, sent.temperature) == (99, 0.5)


async def test_an_unusable_reply_is_asked_for_again_with_the_error() -> None:
    lm = make_lm(lambda r, n: '{"total": "many"}' if n == 1 else '{"total": 3}')
    answer = await lm.ask_fields(ASKED, TOTAL, purpose="train")
    assert answer.values == {"total": 3}
    assert len(answer.replies) == 2
    again = client_of(lm).sent[1].messages
    assert again[:2] == (*ASKED, Message("assistant", '{"total": "many"}'))
    assert "found" in again[2].content
    assert "many" in again[2].content
    assert lm.session.ledger.calls == {"train": 2}


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_asking_again_has_an_end(retries: int) -> None:
    lm = make_lm(lambda r, n: f"no {n}")
    with pytest.raises(AnswerError, match="expected JSON") as caught:
        await lm.ask_fields(ASKED, TOTAL, purpose="train", retries=retries)
    assert len(client_of(lm).sent) == retries + 1 == len(caught.value.replies)
    assert caught.value.reply == f"no {retries + 1}"
    # Only the last unusable reply is shown, so that the request does not grow with every try.
    assert len(client_of(lm).sent[-1].messages) <= 3


async def test_a_reply_that_was_cut_says_so_and_is_not_asked_for_again() -> None:
    lm = make_lm(lambda r, n: reply('{"why": "because', written=50, finish="length"))
    with pytest.raises(AnswerError, match="cut at 50 tokens; total is missing"):
        await lm.ask_fields(ASKED, BOTH, purpose="train", max_tokens=50)
    assert len(client_of(lm).sent) == 1


async def test_a_reply_that_was_cut_but_can_be_mended_is_of_use() -> None:
    lm = make_lm(lambda r, n: reply('{"total": 3, "why": "because', written=50, finish="length"))
    answer = await lm.ask_fields(ASKED, BOTH[::-1], purpose="train", max_tokens=50)
    assert answer.values == {"total": 3, "why": "because"}


@pytest.mark.parametrize("text", ["", "<think>let me see"])
async def test_thinking_that_took_all_the_room_gets_more_once(text: str) -> None:
    lm = make_lm(lambda r, n: reply(text, written=r.max_tokens, finish="length") if n == 1 else '{"total": 3}')
    answer = await lm.ask_fields(ASKED, TOTAL, purpose="train", max_tokens=50)
    assert answer.values == {"total": 3}
    assert [each.max_tokens for each in client_of(lm).sent] == [50, 200]
    lm = make_lm(lambda r, n: reply(text, written=r.max_tokens, finish="length"))
    with pytest.raises(AnswerError, match="cut at 200 tokens"):
        await lm.ask_fields(ASKED, TOTAL, purpose="train", max_tokens=50)
    assert len(client_of(lm).sent) == 2


async def test_an_empty_text_is_no_answer() -> None:
    lm = make_lm(lambda r, n: "")
    with pytest.raises(AnswerError, match="empty"):
        await lm.ask_fields(ASKED, [Field.of("answer", "str")], purpose="train")


async def test_a_refusal_by_the_model_is_its_error_and_one_by_policy_is_not() -> None:
    lm = make_lm(lambda r, n: reply("I will not", finish="refusal"))
    for fields in (TOTAL, [Field.of("answer", "str")]):
        with pytest.raises(AnswerError, match="refused: I will not"):
            await lm.ask_fields(ASKED, fields, purpose="train")
    lm = make_lm(lambda r, n: RefusedError("policy"))
    with pytest.raises(RefusedError):
        await lm.ask_fields(ASKED, TOTAL, purpose="train")


async def test_too_long_a_request_is_an_answer_error_without_replies() -> None:
    lm = make_lm(lambda r, n: ModelError("longer than the context"))
    with pytest.raises(AnswerError, match="longer than the context") as caught:
        await lm.ask_fields(ASKED, TOTAL, purpose="train")
    assert (caught.value.replies, caught.value.reply) == ((), "")
