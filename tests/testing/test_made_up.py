"""Made-up answers are read as an endpoint's would be: every dialect, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowbot.lm.tap.asked import DIALECTS, Asked, read_asked
from flowbot.lm.tap.replies import read_reply
from flowbot.testing.made_up import made_up

SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
TOOL = {"name": "look", "input_schema": SCHEMA}


def asked(dialect: str, **more: Any) -> Asked:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}], **more}).encode()
    found = read_asked(f"https://api.openai.com/v1/{dialect}", {}, body, max_reply=lambda _: 9)
    assert found is not None
    return found


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", [each for each in DIALECTS if each != "embeddings"])
def test_every_dialect_says_the_text(dialect: str, streamed: bool) -> None:
    request = asked(dialect, stream=streamed)
    assert read_reply(request, made_up(request, "Grüße: 3"), 0.0).text == "Grüße: 3"
    assert made_up(request, "a") == made_up(request, "a")


@pytest.mark.parametrize(
    ("dialect", "more"),
    [
        ("chat/completions", {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
        ("responses", {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    ],
)
def test_a_reply_fits_the_schema_that_is_asked_for(dialect: str, more: dict[str, Any]) -> None:
    request = asked(dialect, **more)
    assert isinstance(json.loads(read_reply(request, made_up(request, "x"), 0.0).text)["total"], int)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("dialect", "tool", "choice"),
    [
        ("messages", TOOL, {"type": "tool", "name": "look"}),
        ("messages", TOOL, {"type": "any"}),
        ("chat/completions", {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}, "required"),
    ],
)
def test_a_tool_that_must_be_called_is_called(dialect: str, tool: Any, choice: Any, streamed: bool) -> None:
    request = asked(dialect, tools=[tool], tool_choice=choice, stream=streamed)
    (use,) = read_reply(request, made_up(request, "x"), 0.0).calls
    assert (use.name, list(json.loads(use.arguments))) == ("look", ["total"])


def test_embeddings_are_numbers_or_their_bytes_one_for_each_text() -> None:
    for form, kind in (("float", list), ("base64", str)):
        rows = json.loads(made_up(asked("embeddings", input=["a", "b"], encoding_format=form), "").body)["data"]
        assert [type(row["embedding"]) for row in rows] == [kind, kind]
        assert rows[0]["embedding"] != rows[1]["embedding"]
