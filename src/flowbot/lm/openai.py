"""A client for every endpoint that speaks OpenAI's chat completions, each as far as it can."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import replace
from typing import Any, cast

from flowbot.fields import InfrastructureError, ModelError, RefusedError, Usage, stable_hash
from flowbot.store import Store

from .capabilities import REPLY_TOOL, Capabilities, format_hint, format_parameters
from .client import TOO_LONG, Finish, Identity, Message, Patience, Reply, Request, ToolUse
from .http_faults import HttpFault
from .json_tools import as_json, calls_in_text, from_json
from .native_tools import arguments_text, functions, has_calls, read_calls, wire_messages
from .wire import Wire

_log = logging.getLogger(__name__)

_PROBE = "probe/1"
_POLICY = ("content_filter", "content_policy", "responsibleai", "moderation", "usage_policy")
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "context window",
    "available context size",
    "prompt is too long",
    "input is too long",
)
GROWTH = 8
"""By how much more calls at once are tried than an endpoint's default."""
_MOST_STEPS = 6
"""Parameters that are given up for one request; an endpoint that refuses whatever is tried must not go on for ever."""
_NO_TOOLS = re.compile(r"--jinja|param\w*: tools|tools param")
"""How llama.cpp's server says, with status 500, that it was not started for tools."""
_BAD_SCHEMA = re.compile(r"invalid\b.{0,20}\bschema|schema\b.{0,20}\binvalid")
MOST_TOKENS = 1_000_000_000
"""Of one call: what is said to be more is a mistake."""
_LONGEST_TOKEN = 16
"""Characters of ordinary text that one token holds at most; fewer tokens than that cannot be what a text took."""
_FINISH: dict[str, Finish] = {"length": "length", "max_tokens": "length", "content_filter": "refusal"}


class OpenAIClient:
    """One model at one endpoint.

    Failure policy: as `Client` says; besides, a refusal that names a parameter gives that parameter up, is remembered
    in the store (kind `probe`), logged, and the request is sent again at once, a bounded number of times.

    Args:
        identity: who answers.
        wire: the connections.
        capabilities: what is tried first, where the store knows nothing.
        store: where capabilities are remembered; None forgets them.
        price_ref: see `prices.listed`.
        concurrency: calls at once by default.
    """

    def __init__(
        self,
        identity: Identity,
        wire: Wire,
        *,
        capabilities: Capabilities | None = None,
        store: Store | None = None,
        price_ref: str | None = None,
        concurrency: int = 16,
    ) -> None:
        self._identity = identity
        self._wire = wire
        self._first = capabilities or Capabilities()
        self._store = store
        self._price_ref = price_ref
        self._concurrency = concurrency
        self._capabilities: Capabilities | None = None

    @property
    def identity(self) -> Identity:
        """Who answers."""
        return self._identity

    @property
    def default_concurrency(self) -> int:
        """Calls at once when the user names no number."""
        return self._concurrency

    @property
    def max_concurrency(self) -> int:
        """Calls at once that are felt for when the user names no number."""
        return GROWTH * self._concurrency

    @property
    def price_ref(self) -> str | None:
        """The model's name in the price table."""
        return self._price_ref

    @property
    def capabilities(self) -> Capabilities:
        """What the endpoint is known to take so far."""
        return self._capabilities or self._first

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """Send one request once, and again only without a parameter that the endpoint does not know.

        Raises:
            InfrastructureError: if the endpoint fails.
            RefusedError: if it refuses the request on policy grounds.
            ModelError: if the request is longer than the model's context.
        """
        can = self._capabilities or await self._recall()
        steps = 0
        calls = has_calls(request)
        while True:
            asked = as_json(request) if can.tools == "json" else request
            began = time.perf_counter()
            try:
                answer = await self._wire.post("chat/completions", _body(self._identity.name, asked, can), patience)
            except HttpFault as fault:
                steps += 1
                if steps > _MOST_STEPS:
                    raise
                can = await self._give_up_parameter(fault, can, calls=calls)
                continue
            except InfrastructureError as fault:
                if fault.took is not None:  # served, and not to be read: nobody says what it took
                    fault.took = _usage({}, asked, "")[0]
                raise
            reply = _reply(answer, asked, time.perf_counter() - began)
            return from_json(reply, request) if asked is not request else reply

    async def close(self) -> None:
        """Close the connections. May be called twice."""
        await self._wire.close()

    async def _give_up_parameter(self, fault: HttpFault, used: Capabilities, *, calls: bool) -> Capabilities:
        """What to try the same request with; raises the fault, in its right class, if nothing can be given up."""
        about = f"{fault.code} {fault.said}".casefold()
        if fault.status in (400, 403) and any(word in about for word in _POLICY):
            raise RefusedError(f"refused on policy grounds: {fault.said}") from None
        if fault.status in (400, 413, 422, 500) and any(word in about for word in _TOO_LONG):
            raise ModelError(f"{TOO_LONG}: {fault.said}") from None
        named = f"{fault.param} {fault.said}"
        known = fault.status in (400, 404, 422, 501) or (calls and fault.status == 500 and _NO_TOOLS.search(about))
        left = used.without(named, calls=calls) if known else None
        if left is None:
            raise fault
        # A schema that the endpoint cannot read says nothing about the next one.
        if self.capabilities == used and not _BAD_SCHEMA.search(about):
            self._capabilities = left
            model = f"{self._identity.provider}/{self._identity.name}"
            dropped = "; ".join(left.dropped()) or named
            _log.warning("%s: %s", model, dropped, extra={"event": "parameter.dropped", "model": model})
            if self._store is not None:
                value = {"model": self._identity.dump(), "capabilities": left.dump()}
                await self._store.put(self._probe_key(), value, kind="probe", replace=True)
        return left

    async def _recall(self) -> Capabilities:
        known = await self._store.get(self._probe_key()) if self._store is not None else None
        found = Capabilities.load(known.get("capabilities") or {}) if known else None
        # Another call may have learnt something while this one read.
        if self._capabilities is None:
            self._capabilities = found or self._first
        return self._capabilities

    def _probe_key(self) -> str:
        return stable_hash([_PROBE, self._identity.dump()])


def _body(model: str, request: Request, can: Capabilities) -> dict[str, Any]:
    messages = request.messages
    body: dict[str, Any] = {"model": model, "messages": messages, can.max_tokens: request.max_tokens}
    if can.temperature:
        body["temperature"] = request.temperature
    if can.seed and request.seed is not None:
        body["seed"] = request.seed
    if request.schema is not None:
        body |= format_parameters(can, request.schema)
        if hint := format_hint(can, request.schema):
            messages = _with_last(messages, hint) if request.own_words else _with_hint(messages, hint)
    if request.tools and (request.tool_choice == "auto" or can.reply_format == "tool"):
        # Where replies are forced tool calls, tools that were called must stay defined.
        forced = body.get("tools", [])
        body["tools"] = functions(tool for tool in request.tools if not forced or tool.name != REPLY_TOOL) + forced
        if request.tool_choice == "none":
            body.setdefault("tool_choice", "none")
    body["messages"] = wire_messages(messages)
    return body


def _with_hint(messages: tuple[Message, ...], hint: str) -> tuple[Message, ...]:
    first = messages[0]
    if first.role == "system":
        return (replace(first, content=f"{first.content}\n\n{hint}"), *messages[1:])
    return (Message("system", hint), *messages)


def _with_last(messages: tuple[Message, ...], hint: str) -> tuple[Message, ...]:
    """A user's own messages, with what must be said in words as a last part of their last request."""
    last = max((number for number, each in enumerate(messages) if each.role == "user"), default=-1)
    if last < 0:
        return (*messages, Message("user", hint))
    said = replace(messages[last], content=f"{messages[last].content}\n\n{hint}")
    return (*messages[:last], said, *messages[last + 1 :])


def _reply(answer: dict[str, Any], request: Request, seconds: float) -> Reply:
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text, calls = _content(message, request)
        refusal = message.get("refusal")
        said = str(choice.get("finish_reason") or "stop")
    except (KeyError, IndexError, TypeError, AttributeError):
        # Served all the same, and charged for.
        took, text = _usage(answer, request, "")[0], f"the answer holds no message: {str(answer)[:80]}"
        raise InfrastructureError(text, kind="garbage", took=took) from None
    finish: Finish = "refusal" if refusal else _FINISH.get(said, "stop")
    usage, estimated = _usage(answer, request, text + "".join(call.name + call.arguments for call in calls))
    model = answer.get("model")
    return Reply(
        text=str(refusal) if refusal and not text else text,
        finish=finish,
        usage=usage,
        seconds=seconds,
        model=model if isinstance(model, str) else "",
        estimated=estimated,
        calls=calls,
    )


def _content(message: dict[str, Any], request: Request) -> tuple[str, tuple[ToolUse, ...]]:
    """A reply's text and calls. A call where none was offered is the reply by a forced call."""
    if request.tools and request.tool_choice == "auto":
        text = _text(message)
        if calls := read_calls(message):
            return text, calls
        calls = calls_in_text(text, request.tools)
        return ("", calls) if calls else (text, ())
    called = [each["function"] for each in message.get("tool_calls") or ()]
    forced = next((each for each in called if not request.tools or each.get("name") == REPLY_TOOL), None)
    return (arguments_text(forced) if forced is not None else _text(message)), ()


def _text(message: dict[str, Any]) -> str:
    content: Any = message.get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = cast("list[dict[str, Any]]", content)
    return "".join(str(part.get("text") or "") for part in parts if part.get("type", "text") == "text")


def _usage(answer: dict[str, Any], request: Request, text: str) -> tuple[Usage, bool]:
    """Tokens as the endpoint counts them, thoughts included; guessed at four characters each where it does not say.

    Thoughts are charged as output. Some endpoints count them within `completion_tokens`, some only in the total, and some
    only among the details. A count far below what the texts must take is none.
    """
    counted = _object(answer.get("usage"))
    read, total = _count(counted.get("prompt_tokens")), _count(counted.get("total_tokens"))
    written = _count(counted.get("completion_tokens"))
    thought = _count(_object(counted.get("completion_tokens_details")).get("reasoning_tokens")) or 0
    asked = sum(len(message.content) for message in request.messages)
    if read is not None and read < asked // _LONGEST_TOKEN:
        read = None
    if written is not None:
        # Thoughts that are part of the count are no more than it.
        beside = 0 if total is None or read is None else total - read
        written = max(written + (thought if thought > written else 0), beside)
        if written < len(text) // _LONGEST_TOKEN or (text and not written):
            written = None
    estimated = read is None or written is None
    if read is None:
        read = asked // 4 + 4 * len(request.messages)
    if written is None:
        guess = min(len(text) // 4 + 1, request.max_tokens)
        written = max(guess, thought, len(text) // _LONGEST_TOKEN, (total or 0) - read)
    cached = _count(_object(counted.get("prompt_tokens_details")).get("cached_tokens")) or 0
    return Usage(calls=1, input_tokens=read, output_tokens=written, cached_tokens=min(cached, read)), estimated


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    """A number of tokens; None for what cannot be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else None
