"""The paths of a served workflow, and what stands around each: a client that may leave, a fault that has a status, a count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flowbot.web.gone import ClientGone, while_there
from flowbot.web.guard import MOST_BYTES, Guard
from flowbot.web.refusal import refusal

from . import chat, typed
from .denial import AGAIN, denial_of
from .metrics import MEDIA_TYPE, Metrics
from .typed import Asked

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .service import Service

Answer = Callable[["Service", Asked], Awaitable[Response]]
PUBLIC = ("/healthz", "/readyz")
"""Paths that ask for no key: they say nothing of what is served."""
GONE = 499
"""The status that is counted where the client has gone."""


def app_of(
    service: Service,
    *,
    key: str | None = None,
    names: Collection[str] = (),
    most_bytes: int = MOST_BYTES,
    mcp: ASGIApp | None = None,
) -> ASGIApp:
    """The app that serves a workflow.

    Args:
        service: what runs it.
        key: what clients must show.
        names: host names by which it may be asked.
        most_bytes: of a request's body.
        mcp: what answers `/mcp`.
    """
    metrics = Metrics(service)
    page = typed.openapi(service.face, keyed=key is not None, recorded=service.record is not None)

    async def described(_: Request) -> Response:
        return JSONResponse(page)

    async def counted(_: Request) -> Response:
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    async def alive(_: Request) -> Response:
        return JSONResponse({"ok": True})

    async def ready(_: Request) -> Response:
        reason = service.unready()
        spent = service.spending is not None and service.spending.over()
        again = service.spending.left if service.spending is not None and spent else AGAIN
        return refusal(503, reason, code="not_ready", retry_after=again) if reason else JSONResponse({"ok": True})

    async def lost(request: Request, _: Exception) -> Response:
        return refusal(404, f"no {request.method} {request.url.path!r:.80}; /openapi.json lists what there is")

    answers = {"/run": typed.run, "/feedback": typed.feedback, "/v1/chat/completions": chat.completions}
    served: dict[str, ASGIApp] = {path: _Endpoint(path, each, service, metrics) for path, each in answers.items()}
    if mcp is not None:
        served["/mcp"] = _Raw("/mcp", mcp, metrics)
    routes = [
        Route("/v1/models", partial(chat.models, service)),
        Route("/openapi.json", described),
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", counted),
    ]
    others = Starlette(routes=routes, exception_handlers={404: lost, 405: lost})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # What runs the workflow goes by none of the framework's layers: they would take a tenth of its time.
        await served.get(scope.get("path", ""), others)(scope, receive, send)

    return Guard(app, names=names, key=key, public=PUBLIC, most_bytes=most_bytes)


class _Endpoint:
    """An ASGI app for one path that is answered by running the workflow.

    Args:
        path: as it is counted.
        answer: makes the answer; its errors become one.
        service: what runs it.
        metrics: counts.
    """

    def __init__(self, path: str, answer: Answer, service: Service, metrics: Metrics) -> None:
        self._path, self._answer, self._service, self._metrics = path, answer, service, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        status = GONE
        try:
            response = await self._answered(scope, receive)
            if response is not None:
                status = response.status_code
                await response(scope, receive, send)
        finally:
            self._metrics.answered(self._path, status, perf_counter() - began)

    async def _answered(self, scope: Scope, receive: Receive) -> Response | None:
        """The answer; None where nobody waits for it."""
        try:
            if refused := _not_posted(scope):
                return refused
            asked = Asked((await receive()).get("body", b""), scope["query_string"])  # the guard gives it whole
            with while_there(receive):
                return await self._answer(self._service, asked)
        except ClientGone:
            return None
        except Exception as error:
            denial = denial_of(error)
            return refusal(denial.status, denial.message, code=denial.code, retry_after=denial.retry_after)


class _Raw:
    """An ASGI app for one path, counted."""

    def __init__(self, path: str, app: ASGIApp, metrics: Metrics) -> None:
        self._path, self._app, self._metrics = path, app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = perf_counter(), GONE

        async def told(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await (_not_posted(scope) or self._app)(scope, receive, told)
        finally:
            self._metrics.answered(self._path, status, perf_counter() - began)


def _not_posted(scope: Scope) -> Response | None:
    """The refusal of a request by another method."""
    return None if scope["method"] == "POST" else refusal(405, f"method: found {scope['method']}; expected POST")
