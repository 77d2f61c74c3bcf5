"""A client for every endpoint that speaks OpenAI's chat completions, each as far as it can."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

from flowbot.fields import InfrastructureError, ModelError, RefusedError, Usage
from flowbot.store import Store

from .batch_forms import Batches
from .calls_in_text import split_calls
from .capabilities import REPLY_TOOL, Capabilities, format_hint, format_parameters, without_system
from .client import TOO_LONG, Finish, Identity, Message, Patience, Reply, Request, ToolUse
from .counted import as_count, as_object, count_thought, count_usage
from .http_faults import HttpFault
from .json_tools import as_json, from_json
from .learnt import Learnt
from .model_options import ModelOptions
from .native_tools import arguments_text, functions, has_calls, read_calls, wire_messages
from .refusals import Refusals, shortened, slip_in
from .retry import PATIENT
from .thinking import thought_tokens
from .tiers import FLEX, Tier

GROWTH = 8
"""By how much more calls at once are tried than an endpoint's default."""
_BLOCKED = ("prompt_filter_results", "promptFeedback", "prompt_feedback")
_CUT = re.compile(r"max\w* (?:completion |output )?tokens|max_\w*tokens|length limit")
_CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded", "error_limit")
_FILTERED = (
    *(
        "content_filter",
        "content_filtered",
        "refusal",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
    ),
    *("sensitive", "guardrail_intervened", "error_toxic"),
)
_FINISH: dict[str, Finish] = {**dict.fromkeys(_CUT_OFF, "length"), **dict.fromkeys(_FILTERED, "refusal")}
"""Why a text ended, in the endpoints' words, where it is not that the model had said all."""


class Poster(Protocol):
    """Takes the body of a chat completion to where it is answered: `Wire`, or what stands in its place."""

    async def post(self, path: str, body: dict[str, Any], patience: Patience | None = None) -> dict[str, Any]:
        """The answer, in the form of a chat completion; raises `HttpFault` for an error that says something, else `InfrastructureError`."""
        ...

    async def close(self) -> None:
        """Release what is open. May be called twice."""
        ...


class OpenAIClient:
    """One model at one endpoint.

    Failure policy: as `Client` says; besides, a refusal that names a parameter gives that parameter up, and the request is sent
    again at once, a bounded number of times; what had to be given up is remembered and logged (see `Learnt`): what was named at
    once, else when the request has gone through without it. A refusal of what the model wrote is a `Reply`, with what the endpoint
    says of it as its `slip`.

    Args:
        identity: who answers.
        wire: the connections.
        capabilities: what is tried first, where the store knows nothing.
        store: where capabilities are remembered; None forgets them.
        price_ref: see `prices.listed`.
        concurrency: calls at once by default.
        options: what the model string asks for besides.
        account: who pays, see `Client`; "" where only one does.
        batches: its batch endpoint; None where it has none.
    """

    def __init__(
        self,
        identity: Identity,
        wire: Poster,
        *,
        capabilities: Capabilities | None = None,
        store: Store | None = None,
        price_ref: str | None = None,
        concurrency: int = 16,
        options: ModelOptions | None = None,
        account: str = "",
        batches: Batches | None = None,
    ) -> None:
        self.identity = identity
        self._wire = wire
        self._learnt = Learnt(identity, capabilities or Capabilities(), store)
        self.price_ref = price_ref
        self.default_concurrency = concurrency
        self.max_concurrency = GROWTH * concurrency
        self._options = options or ModelOptions(Tier(identity.provider, identity.name), thinking=0)
        self.account = account
        self.thinking = self._options.thinking
        self.tier = self._options.tier
        self.patient = self.tier.asked == FLEX
        self.retry = PATIENT if self.patient else None
        self.batches = batches

    @property
    def capabilities(self) -> Capabilities:
        """What the endpoint is known to take so far."""
        return self._learnt.capabilities

    async def recall(self) -> Capabilities:
        """The same, as far as the store knows it."""
        return await self._learnt.recall()

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """Send one request once, and again only without a parameter that the endpoint does not know.

        Raises:
            InfrastructureError: if the endpoint fails.
            RefusedError: if it refuses the request on policy grounds.
            ModelError: if the request is longer than the model's context.
        """
        can = await self._learnt.recall()
        refusals: Refusals | None = None
        while True:
            asked = as_json(request) if can.tools == "json" else request
            began = time.perf_counter()
            try:
                answer = await self._wire.post("chat/completions", self._body(asked, can), patience)
            except HttpFault as fault:
                slip = slip_in(fault)
                if slip is None:
                    refusals = refusals or Refusals(can, calls=has_calls(request))
                    can = await self._after(fault, refusals, asked, can, patience)
                    continue
                reply = _slip(fault, slip, asked, time.perf_counter() - began)
            except InfrastructureError as fault:
                if fault.took is not None:  # served, and not to be read: nobody says what it took
                    fault.took = count_usage({}, asked, "")[0]
                raise
            else:
                reply = _reply(answer, asked, time.perf_counter() - began, self.tier)
            if refusals is not None and can is not refusals.base:
                await self._learnt.given_up(refusals.base, can, refusals)
            self._learnt.taken |= _used(asked, can)
            return from_json(reply, request) if asked is not request else reply

    async def asked(self, request: Request) -> tuple[Request, dict[str, Any]]:
        """The request as it is put to the endpoint, and its body, for a batch: no tier is asked for in one."""
        can = await self._learnt.recall()
        asked = as_json(request) if can.tools == "json" else request
        return asked, wire_body(self.identity.name, asked, can) | dict(self._options.body)

    async def read(self, answer: dict[str, Any], request: Request) -> Reply:
        """The reply in the answer to what `asked` gave.

        Raises:
            InfrastructureError, RefusedError: as `complete`.
        """
        asked = (await self.asked(request))[0]
        reply = _reply(answer, asked, 0.0, self.tier)
        return from_json(reply, request) if asked is not request else reply

    async def close(self) -> None:
        """Close the connections. May be called twice."""
        await self._wire.close()
        if self.batches is not None:
            await self.batches.close()

    def _body(self, request: Request, can: Capabilities) -> dict[str, Any]:
        body = wire_body(self.identity.name, request, can)
        return body | sent if (sent := self._options.sent) else body

    async def _after(
        self, fault: HttpFault, refusals: Refusals, asked: Request, used: Capabilities, patience: Patience | None
    ) -> Capabilities:
        """What to try the same request with after a fault; raises it, in its right class, if nothing is left to try."""
        if fault.answer is not None:
            fault.took = _served(fault.answer, asked)
        left = refusals.without_named(fault, asked, used)
        if left is None:
            await self._check_length(fault, asked, used, patience)
            return refusals.without_unnamed(fault, asked, used)
        if not refusals.puzzling:
            await self._learnt.given_up(used, left, refusals)
            refusals.base = left
        return left

    async def _check_length(
        self, fault: HttpFault, asked: Request, used: Capabilities, patience: Patience | None
    ) -> None:
        """Where a long request is refused and nobody says why: send its beginning. If that goes through, it was too long.

        Raises:
            ModelError: if the length was the reason. It holds what the short one took.
        """
        short = shortened(asked)
        if short is None:
            return
        try:
            answer = await self._wire.post("chat/completions", self._body(short, used), patience)
        except InfrastructureError:
            return
        said = f"{TOO_LONG}, it seems: refused without a reason that is known, and taken when cut short: {fault.details.shown}"
        raise ModelError(said, took=count_usage(answer, short, "")[0]) from None


def _used(request: Request, can: Capabilities) -> set[str]:
    """What a request had that an endpoint may not take."""
    used = {
        "reply_format": request.schema is not None,
        "tools": request.may_call,
        "system": can.system and "system" in [message.role for message in request.messages],
        "temperature": can.temperature,
        "seed": can.seed and request.seed is not None,
    }
    return {name for name, has in used.items() if has}


def wire_body(model: str, request: Request, can: Capabilities) -> dict[str, Any]:
    """The body of a request, as it is sent to an endpoint of these capabilities."""
    messages = request.messages
    body: dict[str, Any] = {"model": model, "messages": messages, can.max_tokens: request.max_tokens}
    if can.most_tokens is not None:
        body[can.max_tokens] = min(request.max_tokens, can.most_tokens)
    if can.temperature:
        body["temperature"] = request.temperature
    if can.seed and request.seed is not None:
        body["seed"] = request.seed
    if request.may_call and can.reply_format == "tool":
        can = replace(can, reply_format="json")  # a forced call would leave the model no other
    if request.schema is not None:
        body |= format_parameters(can, request.schema)
        if hint := format_hint(can, request.schema):
            messages = _with_last(messages, hint) if request.own_words else _with_hint(messages, hint)
    if request.tools and (request.may_call or can.reply_format == "tool"):
        # Where replies are forced tool calls, tools that were called must stay defined.
        forced = body.get("tools", [])
        body["tools"] = functions(tool for tool in request.tools if not forced or tool.name != REPLY_TOOL) + forced
        if request.tool_choice != "auto":
            body.setdefault("tool_choice", request.tool_choice)
    body["messages"] = wire_messages(messages if can.system else without_system(messages))
    if not request.extra:
        return body
    # That one no endpoint takes where no tools are told of.
    kept = (each for each in request.extra if each != "parallel_tool_calls" or "tools" in body)
    return body | {name: request.extra[name] for name in kept if name not in can.refused}


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


def _reply(answer: dict[str, Any], request: Request, seconds: float, tier: Tier) -> Reply:
    if not answer.get("choices") and any(answer.get(name) for name in _BLOCKED):
        raise RefusedError("refused on policy grounds: the prompt was filtered")
    try:
        choice = answer["choices"][0]
        said = str(choice.get("finish_reason") or "stop").casefold()
        slip = f"the endpoint says: {said}" if "malformed" in said else ""
        # What was filtered, and what went into thinking, some endpoints send without a message.
        message: Any = as_object(choice.get("message")) if slip or said in _FINISH else choice["message"]
        text, calls = _content(message, request)
        refusal = message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        # Served all the same, and charged for.
        took, text = count_usage(answer, request, "")[0], f"the answer holds no message: {str(answer)[:80]}"
        raise InfrastructureError(text, kind="garbage", took=took) from None
    if slip and not calls and request.may_call:
        calls = (ToolUse("", text),)
    finish: Finish = "refusal" if refusal else _FINISH.get(said, "stop")
    said_in_all = text + "".join([call.name + call.arguments for call in calls])
    usage, estimated = count_usage(answer, request, said_in_all)
    model = answer.get("model")
    return Reply(
        text=str(refusal) if refusal and not text else text,
        finish=finish,
        usage=usage,
        seconds=seconds,
        model=model if isinstance(model, str) else "",
        estimated=estimated,
        calls=calls,
        thought=thought_tokens(count_thought(answer), message, said_in_all, usage.output_tokens),
        tier=tier.served_in(answer.get("service_tier")),
        slip=slip,
    )


def _slip(fault: HttpFault, written: str, request: Request, seconds: float) -> Reply:
    """What the model wrote, where the endpoint refuses that: a reply like any other, with what is said of it."""
    text, calls = written, ()
    if request.may_call:
        text, calls = split_calls(written, request.tools)
        if not calls:
            text, calls = "", (ToolUse("", written),)
    cut = _CUT.search(fault.details.words) is not None
    usage = count_usage({}, request, written)[0]
    finish: Finish = "length" if cut else "stop"
    return Reply(text, finish, usage, seconds, estimated=True, calls=calls, slip=fault.details.shown)


def _served(answer: Mapping[str, Any], request: Request) -> Usage | None:
    """What an answer took that tells of a fault; None if nothing was written for it."""
    try:
        text = _text(answer["choices"][0]["message"])
    except (KeyError, IndexError, TypeError, AttributeError):
        text = ""
    written = as_count(as_object(answer.get("usage")).get("completion_tokens"))
    return count_usage(answer, request, text)[0] if text or written else None


def _content(message: dict[str, Any], request: Request) -> tuple[str, tuple[ToolUse, ...]]:
    """A reply's text and calls. A call where none was offered is the reply by a forced call."""
    if request.may_call:
        text = _text(message)
        if calls := read_calls(message):
            return text, calls
        return split_calls(text, request.tools)
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
