"""What both protocols have in common: the members of a request that are taken, and what is said of those that are not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowbot.fields import UserError
from flowbot.fields.foreign import explain, place_text, short
from flowbot.fields.yaml import parse_json
from flowbot.lm.client import ForeignTool, Message, Request, Role, ToolChoice, ToolUse

MOST_BYTES = 8_000_000
"""Of a request's body: two million tokens of four bytes each."""
_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
"""The schema of what `json_object` asks for."""
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class BadRequest(Exception):
    """The client's mistake: said in one line, with the member that is wrong."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.code = param, code


class Body(BaseModel):
    """Members of a request; one that is not named is refused, and null is as good as none. `idle` names those that change nothing."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
    idle: ClassVar[tuple[str, ...]] = ()


class Common(Body):
    """Members of both protocols."""

    model: str
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Share | None = None
    tool_choice: Any = "auto"
    parallel_tool_calls: bool | None = None
    stream: bool = False
    metadata: Any = None
    idle = (
        *("user", "store", "service_tier", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    )


class _JsonSchema(Body):
    """How a reply's JSON schema is named; the name and what is said of it are not sent on."""

    name: str = ""
    description: str = ""
    schema_: Annotated[dict[str, Any], Field(alias="schema")] = {}
    strict: bool = False


class Function(Body):
    """A function that the model may call."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a client makes it.

    Args:
        model: the name that it asks for.
        request: what is asked; `max_tokens` is 0 where the client names none.
        count: how many replies.
        stream: whether the reply is to be sent as events.
        usage: whether the events end with one of the usage.
        echo: members of the request that the reply repeats.
    """

    model: str
    request: Request
    count: int = 1
    stream: bool = False
    usage: bool = False
    echo: Mapping[str, Any] | None = None


def event_text(events: Iterable[tuple[str, Any]]) -> str:
    """Events as they are sent: each one's name, "" for none, and its data."""

    def one(name: str, data: Any) -> str:
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"

    return "".join(one(*each) for each in events)


class Transcript:
    """Messages as a client tells them: the results of calls by the calls' ids, in any order."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._open: dict[str, str | None] = {}
        """The ids of the last calls, with their results as far as there are."""

    def say(self, role: Role, text: str, calls: Sequence[tuple[str, ToolUse]] = ()) -> None:
        """A message, with the calls that it asks for by their ids."""
        self._close()
        self._messages.append(Message(role, text, tuple(use for _, use in calls)))
        self._open = {each: None for each, _ in calls}
        if len(self._open) < len(calls):
            raise BadRequest("two calls of one message have the same id", "messages")

    def call(self, call_id: str, use: ToolUse) -> None:
        """One call more of the assistant's last message, or one of its own."""
        last = self._messages[-1] if self._messages else None
        if last is None or last.role != "assistant" or any(text is not None for text in self._open.values()):
            return self.say("assistant", "", [(call_id, use)])
        if call_id in self._open:
            raise BadRequest("two calls of one message have the same id", "input")
        self._messages[-1] = Message("assistant", last.content, (*last.calls, use))
        self._open[call_id] = None

    def result(self, call_id: str, text: str) -> None:
        """What a call gave."""
        if self._open.get(call_id, "") is not None:
            raise BadRequest(f"a result for {short(call_id)}, which no call before it waits for", "messages")
        self._open[call_id] = text

    def messages(self) -> tuple[Message, ...]:
        """All messages, the results in the order of their calls."""
        self._close()
        if not self._messages:
            raise BadRequest("no messages", "messages")
        return tuple(self._messages)

    def _close(self) -> None:
        for call_id, text in self._open.items():
            if text is None:
                raise BadRequest(f"the call {short(call_id)} has no result", "messages")
            self._messages.append(Message("tool", text))
        self._open = {}


_Body = TypeVar("_Body", bound=Body)


def json_body(data: bytes) -> dict[str, Any]:
    """A request's body as an object.

    Raises:
        BadRequest: if it is none.
    """
    try:
        text = data.decode()
        found = parse_json(text, "the body", halves=True)
    except (UserError, UnicodeDecodeError) as error:
        raise BadRequest(str(error) if isinstance(error, UserError) else "the body is not UTF-8") from None
    if not isinstance(found, dict):
        raise BadRequest("the body is no JSON object")
    if "\\u" in text:  # without halves of surrogate pairs, which no endpoint and no hash can hold
        found = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    return cast("dict[str, Any]", found)


def read(kind: type[_Body], data: Mapping[str, Any], place: str = "") -> _Body:
    """Data as a part of a request, the one at `place`.

    Raises:
        BadRequest: naming the member that is wrong.
    """
    try:
        given = {name: value for name, value in data.items() if value is not None and name not in kind.idle}
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(each for each in (place, place_text(first["loc"], "")) if each)
        if first["type"] == "extra_forbidden":
            raise BadRequest(f"{at} is not supported: leave it out", at, "unsupported_parameter") from None
        _, found, expected = explain(error)
        raise BadRequest(f"{at}: found {found}; expected {expected}", at) from None


def text_of(content: Any, place: str, kinds: Sequence[str]) -> str:
    """The text of a message at `place`: a text, or parts of these kinds, which hold text.

    Raises:
        BadRequest: if some part is something else.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadRequest(f"{place}: found {short(content)}; expected a text or a list of parts", place)
    texts: list[str] = []
    for number, part in enumerate(cast("list[Any]", content)):
        given = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
        kind = given.get("type")
        text = given.get("refusal" if kind == "refusal" else "text")
        if kind not in kinds or not isinstance(text, str):
            at = f"{place}[{number}]"
            raise BadRequest(f"{at}: found {short(kind)}; expected a part of text: nothing else is supported", at)
        texts.append(text)
    return "".join(texts)


def request_of(
    given: Common,
    told: Transcript,
    functions: Iterable[Function],
    form: Mapping[str, Any] | None,
    place: str,
    *,
    max_tokens: int | None,
    seed: int | None = None,
    extra: Mapping[str, Any],
) -> Request:
    """What is asked of the model.

    Args:
        given: what both protocols name alike.
        told: the messages.
        functions: what the model may call.
        form: of the reply, as it stands at `place`.
        max_tokens, seed: as the client named them.
        extra: other members, to be sent on as they are; None is not set.

    Raises:
        BadRequest: for a `tool_choice` or a form that is none, or messages that do not follow from each other.
    """
    choice, tools = _chosen(given.tool_choice, tuple(map(_foreign, functions)))
    calling = given.parallel_tool_calls if tools else None
    sent = {"top_p": given.top_p, "parallel_tool_calls": calling, **extra}
    return Request(
        told.messages(),
        max_tokens or 0,
        given.temperature + 0.0,  # -0.0 is 0
        _schema(form, place),
        seed,
        tools,
        choice if tools else "auto",
        own_words=True,
        extra={name: value for name, value in sent.items() if value is not None},
    )


def _schema(form: Mapping[str, Any] | None, place: str) -> Mapping[str, Any] | None:
    """The JSON schema that a reply must fit: it stands in a member `json_schema` of the form, or flat."""
    match (form or {"type": "text"}).get("type"):
        case "text":
            return None
        case "json_object":
            return _ANY_OBJECT
        case "json_schema" if form:
            flat = {name: value for name, value in form.items() if name != "type"}
            inner: Any = flat.get("json_schema", flat)
            if not isinstance(inner, dict):
                raise BadRequest(f"{place}.json_schema: expected an object", place)
            return read(_JsonSchema, cast("dict[str, Any]", inner), place).schema_ or _ANY_OBJECT
        case kind:
            at = f"{place}.type"
            raise BadRequest(f"{at}: found {short(kind)}; expected text, json_object or json_schema", at)


def _foreign(given: Function) -> ForeignTool:
    schema: dict[str, Any] = given.parameters or {"type": "object", "properties": {}}
    return ForeignTool(given.name, given.description, (), (), parameters=schema, strict=bool(given.strict))


def _chosen(choice: Any, tools: tuple[ForeignTool, ...]) -> tuple[ToolChoice, tuple[ForeignTool, ...]]:
    """How the model is to choose among which tools: where one is named it alone is offered, and must be called."""
    if choice in ("auto", "none", "required"):
        if choice == "required" and not tools:
            raise BadRequest("tool_choice: found 'required' and no tools", "tool_choice")
        return choice, tools
    given = cast("dict[str, Any]", choice) if isinstance(choice, dict) else {}
    inner: Any = given.get("function", given)
    name: Any = cast("dict[str, Any]", inner).get("name") if isinstance(inner, dict) else None
    if named := tuple(tool for tool in tools if tool.name == name):
        return "required", named
    expected = ", ".join(("auto, none, required", *(tool.name for tool in tools)))
    raise BadRequest(f"tool_choice: found {short(choice)}; expected one of {expected}", "tool_choice")
