"""Spans of model calls: what stands on them, what never does, and that they change nothing where nobody records."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from lm_helpers import make_lm, reply, request
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from span_help import Recorded, recording

from flowbot.fields import InfrastructureError, ModelError, Paused, RefusedError, Usage
from flowbot.lm.client import Identity, Message, Reply, Request, ToolUse
from flowbot.lm.spans import CONTENT_VARIABLE, NOTHING, Span, chat_span, tool_span, workflow_span

KEY = "0123456789abcdef" * 4
PLACED = Identity("gemini", "https://example.org/v1", "gemini-x")
ASKED = Request(
    (
        Message("system", "the rules"),
        Message("user", "the question"),
        Message("assistant", "", (ToolUse("find", '{"name": "pear"}'),)),
        Message("tool", "a fruit"),
    ),
    50,
    0.5,
    schema={"type": "object"},
    seed=7,
)
SAID = Reply("the answer", "stop", Usage(1, 12, 3, 8, usd=0.25), 0.5, "gemini-x-2026")
SECRETS = ("the rules", "the question", "pear", "a fruit", "the answer")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.delenv(CONTENT_VARIABLE, raising=False)
    return recording(monkeypatch)


def chat(identity: Identity = PLACED, asked: Request = ASKED, model: str = "gemini/gemini-x") -> Span:
    return chat_span(identity, asked, model=model, purpose="train", key=KEY)


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


def test_a_call_is_one_client_span_with_the_attributes_of_the_conventions(recorded: Recorded) -> None:
    with chat() as span:
        span.sent()
        span.replied(SAID)
    (found,) = recorded.spans
    assert found.name == "chat gemini-x"
    assert found.kind is SpanKind.CLIENT
    assert found.status.status_code is StatusCode.UNSET
    assert attributes(found) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-x",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.output.type": "json",
        "server.address": "example.org",
        "server.port": 443,
        "gen_ai.response.model": "gemini-x-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "flowbot.purpose": "train",
        "flowbot.key": KEY[:16],
        "flowbot.tries": 1,
        "flowbot.usd": 0.25,
    }


def test_what_is_not_known_is_left_out(recorded: Recorded) -> None:
    with chat(Identity("fake", "", "counter"), request("a"), "fake/counter") as span:
        span.sent()
        span.replied(Reply("x", "length", Usage(1, 2, 3, usd=None), 0.1, estimated=True))
    found = attributes(recorded.one("chat counter"))
    assert not {"server.address", "server.port", "gen_ai.request.seed", "gen_ai.response.model"} & found.keys()
    assert not {"gen_ai.output.type", "gen_ai.usage.cache_read.input_tokens", "flowbot.usd"} & found.keys()
    assert found["flowbot.usage_estimated"] is True
    assert found["gen_ai.response.finish_reasons"] == ("length",)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Reply("no", "refusal", Usage(1), 0.1), "content_filter"),
        (Reply("", "stop", Usage(1), 0.1, calls=(ToolUse("find", "{}"),)), "tool_call"),
    ],
)
def test_reasons_to_end_are_named_as_the_conventions_do(recorded: Recorded, made: Reply, reason: str) -> None:
    with chat() as span:
        span.sent()
        span.replied(made)
    assert attributes(recorded.spans[0])["gen_ai.response.finish_reasons"] == (reason,)


@pytest.mark.parametrize(
    ("base_url", "port"), [("http://127.0.0.1:8000/v1", 8000), ("http://host/v1", 80), ("https://host:8443", 8443)]
)
def test_the_port_is_the_endpoints(recorded: Recorded, base_url: str, port: int) -> None:
    with chat(Identity("vllm", base_url, "m"), model="vllm/m") as span:
        span.sent()
    assert attributes(recorded.one("chat m"))["server.port"] == port


def test_a_call_that_is_never_sent_has_no_span(recorded: Recorded) -> None:
    with pytest.raises(Paused), chat():
        raise Paused("Ctrl-C", stopped_by="signal")
    assert recorded.spans == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InfrastructureError("down", kind="rate_limit"), "rate_limit"),
        (RefusedError("no"), "RefusedError"),
        (ModelError("too long"), "ModelError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_a_fault_marks_the_span_and_goes_on(recorded: Recorded, error: BaseException, kind: str) -> None:
    with pytest.raises(type(error)):
        _fail(chat(), error, tries=2)
    (found,) = recorded.spans
    assert attributes(found)["error.type"] == kind
    assert attributes(found)["flowbot.tries"] == 2
    assert found.status.status_code is StatusCode.ERROR
    assert found.events == ()


def test_a_workflow_is_the_parent_of_what_it_calls(recorded: Recorded) -> None:
    with workflow_span(example="e1", purpose="train"):
        with chat() as span:
            span.sent()
        with tool_span("find", "{}"):
            pass
    with workflow_span(example="", purpose="run"):
        pass
    chatted, tooled, outer, other = recorded.spans
    assert outer.context is not None
    for inner in (chatted, tooled):
        assert inner.parent is not None
        assert inner.parent.span_id == outer.context.span_id
    assert outer.parent is None
    assert other.parent is None
    assert (outer.kind, tooled.kind) == (SpanKind.INTERNAL, SpanKind.INTERNAL)
    assert attributes(outer) == {
        "gen_ai.operation.name": "invoke_workflow",
        "flowbot.purpose": "train",
        "flowbot.example": "e1",
    }
    assert "flowbot.example" not in attributes(other)


def test_inside_what_is_not_sampled_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    off = recording(monkeypatch, ALWAYS_OFF)
    with workflow_span(example="e1", purpose="train"):
        on = recording(monkeypatch)
        with chat() as span:
            span.sent()
    assert off.spans == on.spans == []


@pytest.mark.parametrize("value", ["", "false", "EVENT_ONLY"])
def test_what_was_said_is_on_no_span_by_default(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(CONTENT_VARIABLE, value)
    _say_everything()
    assert len(recorded.spans) == 3
    assert not [secret for secret in SECRETS if secret in recorded.text]


@pytest.mark.parametrize("value", ["true", "SPAN_ONLY", "span_and_event"])
def test_what_was_said_is_on_the_spans_if_asked_for(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(CONTENT_VARIABLE, value)
    _say_everything()
    first, tool, failed = recorded.spans
    assert json.loads(attributes(first)["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "the rules"}]},
        {"role": "user", "parts": [{"type": "text", "content": "the question"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "find", "arguments": '{"name": "pear"}'}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "a fruit"}]},
    ]
    assert json.loads(attributes(first)["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "the answer"}], "finish_reason": "stop"}
    ]
    assert json.loads(attributes(tool)["gen_ai.tool.call.arguments"]) == {"name": "pear"}
    assert json.loads(attributes(tool)["gen_ai.tool.call.result"]) == {"result": "a fruit"}
    assert failed.status.description == "found pear; expected the answer"


def _say_everything() -> None:
    with chat() as span:
        span.sent()
        span.replied(SAID)
    with tool_span("find", '{"name": "pear"}') as span:
        span.returned({"result": "a fruit"})
    with pytest.raises(ModelError):
        _fail(chat(), ModelError("found pear; expected the answer"))


def _fail(span: Span, error: BaseException, *, tries: int = 1) -> None:
    with span:
        for _ in range(tries):
            span.sent()
        raise error


async def test_a_model_call_and_its_tries_are_one_span(recorded: Recorded) -> None:
    def answering(asked: Request, number: int) -> Reply | Exception:
        return InfrastructureError("down", kind="server") if number < 3 else reply("hi")

    lm = make_lm(answering)
    with workflow_span(example="e1", purpose="train"):
        await lm.ask(request("a"), purpose="train")
        await lm.ask(request("a"), purpose="train")  # stored: nothing is sent
    called, outer = recorded.spans
    assert attributes(called)["flowbot.tries"] == 3
    assert attributes(called)["flowbot.key"] == lm.key(request("a"))[:16]
    assert called.status.status_code is StatusCode.UNSET
    assert outer.context is not None
    assert called.parent is not None
    assert called.parent.span_id == outer.context.span_id


async def test_a_refused_call_is_marked_on_its_span(recorded: Recorded) -> None:
    lm = make_lm(lambda r, n: RefusedError("on policy grounds"))
    with pytest.raises(RefusedError):
        await lm.ask(request("a"), purpose="train")
    assert attributes(recorded.spans[0])["error.type"] == "RefusedError"


def test_while_nobody_records_all_spans_are_the_one_that_does_nothing() -> None:
    assert chat() is tool_span("find", "{}") is workflow_span(example="", purpose="train") is NOTHING
    NOTHING.replied(SAID)
    NOTHING.returned({})
    NOTHING.failed("ModelError", "")
    with pytest.raises(ModelError):
        _fail(NOTHING, ModelError("not swallowed"))


@pytest.mark.parametrize("installed", [True, False])
def test_opentelemetry_is_not_loaded_before_the_first_span_and_not_needed(installed: bool) -> None:
    program = (
        "import sys\n"
        f"if not {installed}: sys.modules['opentelemetry'] = None\n"
        "from flowbot.lm.spans import NOTHING, workflow_span\n"
        "before = sys.modules.get('opentelemetry')\n"
        "print(before is None, workflow_span(example='', purpose='run') is NOTHING, 'opentelemetry.trace' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", str(installed)]
