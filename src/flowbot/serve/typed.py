"""`POST /run`: inputs by name as JSON, outputs by name as JSON; `/openapi.json` says which. `POST /feedback`."""

from __future__ import annotations

from collections.abc import Mapping
from json import JSONEncoder
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from flowbot.fields import UserError
from flowbot.fields.field import fields_schema
from flowbot.fields.words import kind_of
from flowbot.fields.yaml import parse_json

from .denial import Denial

if TYPE_CHECKING:
    from .face import Face
    from .service import Service

ID = "x-request-id"
"""The header that names a request, for feedback."""
_as_json = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_YES = ("1", "true", "yes", "")


class Asked(NamedTuple):
    """What a request brings: its body, and the query of its address."""

    body: bytes
    query: bytes


def object_of(asked: Asked, where: str = "body") -> dict[str, Any]:
    """The JSON object that a request brings.

    Raises:
        UserError: saying what is wrong with it.
    """
    try:
        text = asked.body.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(where, "bytes that are not UTF-8", "a JSON object in UTF-8") from None
    return as_object(parse_json(text, where), where)


def as_object(value: Any, where: str) -> dict[str, Any]:
    """A value that must be an object.

    Raises:
        UserError: if it is something else.
    """
    if not isinstance(value, dict):
        raise UserError(where, kind_of(value), "a JSON object")
    return cast("dict[str, Any]", value)


async def run(service: Service, asked: Asked) -> Response:
    """Answer `POST /run`."""
    served = await service.run(object_of(asked))
    answer: dict[str, Any] = {"id": served.id, "outputs": served.outputs, "usage": served.usage()}
    if asked.query and QueryParams(asked.query).get("trace", "0") in _YES:
        answer["trace"] = served.shown_trace()
    return Response(_as_json(answer), headers={ID: served.id}, media_type="application/json")


async def feedback(service: Service, asked: Asked) -> Response:
    """Answer `POST /feedback`."""
    if service.record is None:
        raise Denial(404, "feedback: nothing is recorded here; flowbot serve --record FILE keeps requests and feedback")
    await service.record.amend(object_of(asked, "feedback"))
    return JSONResponse({"ok": True})


def openapi(face: Face, *, keyed: bool, recorded: bool) -> dict[str, Any]:
    """What `/openapi.json` says (OpenAPI 3.1)."""
    number, text = {"type": "number"}, {"type": "string"}
    usage = {name: {"type": "integer"} for name in ("calls", "input_tokens", "output_tokens")}
    usage |= {"usd": {"type": ["number", "null"]}, "seconds": number}
    result = {
        "type": "object",
        "required": ["id", "outputs", "usage"],
        "properties": {
            "id": text,
            "outputs": fields_schema(face.outputs),
            "usage": {"type": "object", "properties": usage},
            "trace": {"type": "object", "description": "every step, with ?trace=1"},
        },
    }
    trace = {"name": "trace", "in": "query", "schema": {"type": "integer", "enum": [0, 1]}}
    paths = {"/run": _post("run", face.about, fields_schema(face.inputs), result) | {"parameters": [trace]}}
    if recorded:
        corrected = fields_schema(face.outputs)
        corrected.pop("required", None)
        said = {"id": text, "outputs": corrected, "right": {"type": "boolean"}, "feedback": text}
        body = {"type": "object", "required": ["id"], "properties": said}
        about = "What somebody says of a request that was served"
        paths["/feedback"] = _post("feedback", about, body, {"type": "object"})
    page: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": face.name, "description": face.about, "version": "1"},
        "paths": {path: {"post": each} for path, each in paths.items()},
    }
    if keyed:
        page |= {"components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}}
        page |= {"security": [{"key": []}]}
    return page


_STATUSES = {
    400: "the request is wrong",
    402: "a ceiling in cost is reached",
    413: "the body is too large",
    422: "the model refused, or gave nothing of use",
    429: "too many requests are under way; Retry-After says when to try again",
    503: "what lies behind fails; Retry-After says when to try again",
    504: "no result in time",
}


def _post(name: str, about: str, body: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    fault = {
        "type": "object",
        "properties": {"error": {"type": "object", "properties": {"message": {"type": "string"}}}},
    }
    responses = {"200": {"description": "done", "content": {"application/json": {"schema": result}}}}
    for status, why in _STATUSES.items():
        responses[str(status)] = {"description": why, "content": {"application/json": {"schema": fault}}}
    content = {"application/json": {"schema": body}}
    return {
        "operationId": name,
        "summary": about,
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }
