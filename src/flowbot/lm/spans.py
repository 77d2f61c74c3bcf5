"""Spans of OpenTelemetry around model calls, tool calls and runs of a workflow, by its GenAI conventions (v1.41).

Only `opentelemetry-api` is used, imported with the first span. Without it, or while nobody has set a tracer provider, a
span is one shared object that does nothing. What was said to a model or a tool, and what came back, is recorded only if
the environment variable OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT asks for it; secrets in it are masked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flowbot.fields import InfrastructureError
from flowbot.fields.bounds import error_text
from flowbot.fields.secrets import hide, hide_text

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer, TracerProvider

    from .client import Identity, Message, Reply, Request, ToolUse

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
"""The version of the conventions that is followed."""
KEY_LENGTH = 16
"""Characters of a call's key that its span shows: enough to find it in the store."""
_CONTENT = ("true", "span_only", "span_and_event")
_PROVIDERS = {
    "gemini": "gcp.gemini",
    "azure": "azure.ai.openai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Providers that the conventions know by another name."""
_PORTS = {"http": 80, "https": 443}

Attributes = dict[str, str | int | float | bool | list[str]]


class Span:
    """A piece of work; this one is recorded nowhere. A context manager: an error that leaves it is noted on the span."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def sent(self) -> None:
        """The model call goes to the endpoint, now or once more. Its span begins with the first sending."""

    def replied(self, reply: Reply) -> None:
        """The model call has this reply, priced."""

    def returned(self, outputs: Mapping[str, Any]) -> None:
        """The tool gave this."""

    def failed(self, kind: str, text: str) -> None:
        """The work ended without a result, though nothing is raised.

        Args:
            kind: the class of the fault.
            text: what happened; recorded only with content.
        """


NOTHING = Span()


def chat_span(identity: Identity, request: Request, *, model: str, purpose: str, key: str) -> Span:
    """`chat MODEL`: one model call over all its tries, from the first sending on; none is made if it is never sent.

    Args:
        identity: who answers.
        request: what is sent.
        model: the model string that the user gave.
        purpose: what the ledger charges it to.
        key: under which the reply is stored.
    """
    tracer = _tracer()
    if tracer is None:
        return NOTHING
    model = model.removeprefix(f"{identity.provider}/")
    return _Recording(tracer, f"chat {model}", lambda: _asked(identity, request, model, purpose, key), sends=True)


def tool_span(name: str, arguments: str) -> Span:
    """`execute_tool NAME`: one call of a tool that is really made.

    Args:
        name: the tool's.
        arguments: as JSON; recorded only with content.
    """
    tracer = _tracer()
    if tracer is None:
        return NOTHING
    attributes: Attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    attributes["gen_ai.tool.type"] = "function"
    if _wants_content():
        attributes["gen_ai.tool.call.arguments"] = arguments
    return _Recording(tracer, f"execute_tool {name}", lambda: attributes)


def workflow_span(*, example: str, purpose: str) -> Span:
    """`invoke_workflow`: one run of a workflow on one example.

    Args:
        example: its id, "" for a run on other inputs.
        purpose: what the ledger charges the run's calls to.
    """
    tracer = _tracer()
    if tracer is None:
        return NOTHING
    attributes: Attributes = {"gen_ai.operation.name": "invoke_workflow", "flowbot.purpose": purpose}
    if example:
        attributes["flowbot.example"] = example
    return _Recording(tracer, "invoke_workflow", lambda: attributes)


class _Recording(Span):
    """A span of OpenTelemetry, the current one from its beginning to its end.

    Args:
        tracer: makes it.
        name: shown as it is, but for secrets.
        attributes: known when it begins.
        sends: it is a call to an endpoint, which begins when it is sent; else it begins at once.
    """

    def __init__(self, tracer: Tracer, name: str, attributes: Callable[[], Attributes], *, sends: bool = False) -> None:
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._sends = sends
        self._tries = 0
        self._span: OtelSpan | None = None
        if not sends:
            self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is None:
            return
        from opentelemetry.context import detach

        if self._sends:
            self._set({"flowbot.tries": self._tries})
        if error is not None:
            # An error that was told by the function that raised it names that one's type.
            raised = str(getattr(error, "type_name", type(error).__name__))
            self.failed(error.kind if isinstance(error, InfrastructureError) else raised, error_text(error))
        detach(self._token)
        self._span.end()

    def sent(self) -> None:
        self._tries += 1
        if self._span is None:
            self._begin()

    def replied(self, reply: Reply) -> None:
        self._set(_answered(reply))

    def returned(self, outputs: Mapping[str, Any]) -> None:
        if _wants_content():
            self._set({"gen_ai.tool.call.result": json.dumps(hide(outputs))})

    def failed(self, kind: str, text: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._set({"error.type": kind})
        if self._span is not None:
            # The text may quote what was asked.
            self._span.set_status(Status(StatusCode.ERROR, hide_text(text) if _wants_content() else None))

    def _begin(self) -> None:
        from opentelemetry.context import attach
        from opentelemetry.trace import SpanKind, set_span_in_context

        kind = SpanKind.CLIENT if self._sends else SpanKind.INTERNAL
        self._span = self._tracer.start_span(hide_text(self._name), kind=kind, attributes=hide(self._attributes()))
        # Also if it is not sampled: then what is inside must not be sampled either.
        self._token = attach(set_span_in_context(self._span))

    def _set(self, attributes: Attributes) -> None:
        if self._span is not None:
            self._span.set_attributes(hide(attributes))


def _asked(identity: Identity, request: Request, model: str, purpose: str, key: str) -> Attributes:
    attributes: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(identity.provider, identity.provider),
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": float(request.temperature),
        "flowbot.purpose": purpose,
        "flowbot.key": key[:KEY_LENGTH],
        **_place(identity.base_url),
    }
    if request.seed is not None:
        attributes["gen_ai.request.seed"] = request.seed
    if request.schema is not None:
        attributes["gen_ai.output.type"] = "json"
    if _wants_content():
        attributes["gen_ai.input.messages"] = json.dumps(hide([_message(each) for each in request.messages]))
    return attributes


def _answered(reply: Reply) -> Attributes:
    usage = reply.usage
    finish = "content_filter" if reply.finish == "refusal" else "tool_call" if reply.calls else reply.finish
    attributes: Attributes = {
        "gen_ai.response.finish_reasons": [finish],
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }
    if usage.cached_tokens:
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    if reply.model:
        attributes["gen_ai.response.model"] = reply.model
    if reply.estimated:
        attributes["flowbot.usage_estimated"] = True
    if usage.usd is not None:
        attributes["flowbot.usd"] = usage.usd
    if _wants_content():
        message = {"role": "assistant", "parts": _parts(reply.text, reply.calls), "finish_reason": finish}
        attributes["gen_ai.output.messages"] = json.dumps(hide([message]))
    return attributes


def _message(message: Message) -> dict[str, Any]:
    """A message in the conventions' form."""
    if message.role == "tool":
        parts = [{"type": "tool_call_response", "response": message.content}]
    else:
        parts = _parts(message.content, message.calls)
    return {"role": message.role, "parts": parts}


def _parts(text: str, calls: tuple[ToolUse, ...]) -> list[dict[str, str]]:
    parts = [{"type": "text", "content": text}] if text else []
    return parts + [{"type": "tool_call", "name": call.name, "arguments": call.arguments} for call in calls]


@lru_cache(maxsize=64)
def _place(base_url: str) -> Attributes:
    """Host and port of an endpoint; nothing for what has no place."""
    found = urlsplit(base_url)
    if not found.hostname:
        return {}
    return {"server.address": found.hostname, "server.port": found.port or _PORTS.get(found.scheme, 0)}


def _wants_content() -> bool:
    return os.environ.get(CONTENT_VARIABLE, "").casefold() in _CONTENT


def _tracer() -> Tracer | None:
    """The tracer of the provider that somebody has set, if anybody has."""
    api = _api()
    # Where nobody has set one, to ask for it would look into the environment each time.
    if api is None or (api.__dict__.get("_TRACER_PROVIDER", api) is None and not _by_variable()):
        return None
    provider: TracerProvider = api.get_tracer_provider()
    return None if isinstance(provider, api.ProxyTracerProvider) else _tracer_of(provider)


@lru_cache(maxsize=1)
def _tracer_of(provider: TracerProvider) -> Tracer:
    return provider.get_tracer("flowbot", schema_url=SCHEMA)


@cache
def _by_variable() -> bool:
    return bool(os.environ.get("OTEL_PYTHON_TRACER_PROVIDER"))


@cache
def _api() -> Any:
    """`opentelemetry.trace`, or None where it is not installed."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace
