"""The live page as an app: its addresses, what keeps an open page up to date, and the one thing that it writes."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from flowbot.fields import UserError
from flowbot.report.report import policy
from flowbot.run.heartbeat import ask_pause
from flowbot.web.guard import Guard

from .desk import Desk
from .pages import Pages, source

LOOK = 0.4
"""Seconds between two looks at the files of an open page."""
SPARED = 5
"""Times as long as a look took until the next one: where there are very many folders, an open page takes no processor to itself."""
QUIET = 15.0
"""Seconds after which an open page is told that nothing has changed, so that a connection that broke is noticed."""
MOST_BODY = 10_000
"""Bytes of a request's body: there is a token in it."""
_COOKIE, _TOKEN = "flowbot-view", re.compile(r"[A-Za-z0-9_-]{32}")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_Handler = Callable[[Request], Awaitable[Response]]


def view_app(folder: Path, closing: Callable[[], bool] = lambda: False) -> Guard:
    """The app over the runs below a folder. It calls no model, and writes nothing but the wish to pause.

    Args:
        folder: where the runs are.
        closing: whether the server is about to end, so that open pages are let go.

    Raises:
        UserError: if there is no such folder.
    """
    desk = Desk(folder)
    pages = Pages(desk)

    def refused(error: UserError, status: int) -> Response:
        return _html(pages.failed(error), status)

    def page(text: Callable[[str, QueryParams], str], headers: Mapping[str, str] = HEADERS) -> _Handler:
        async def shown(request: Request) -> Response:
            try:
                made = await run_in_threadpool(text, _name(request), request.query_params)
            except UserError as error:
                return refused(error, 404)
            return _html(made, headers=headers)

        return shown

    async def run(request: Request) -> Response:
        known = request.cookies.get(_COOKIE, "")
        token = known if _TOKEN.fullmatch(known) else secrets.token_urlsafe(24)
        answer = await page(lambda name, query: pages.run(name, query, token))(request)
        answer.set_cookie(_COOKIE, token, httponly=True, samesite="strict")
        return answer

    async def pause(request: Request) -> Response:
        name, form = _name(request), parse_qs((await request.body()).decode("latin-1"))
        shown, known = "".join(form.get("token", ())), request.cookies.get(_COOKIE, "")
        if "origin" not in request.headers or not known or not hmac.compare_digest(shown.encode(), known.encode()):
            return refused(UserError("pause", "no token of this page", "the button of a run's page"), 403)
        try:
            await run_in_threadpool(lambda: ask_pause(desk.find(name)))
        except UserError as error:
            return refused(error, 409)
        return RedirectResponse(f"/run/{quote(name)}", 303, HEADERS)

    async def events(request: Request) -> Response:
        name = _name(request)
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")

        def state() -> str:
            try:
                return desk.state([desk.find(name)] if name else [each.run_dir for each in desk.runs()])
            except UserError:
                return "gone"  # the page says why

        return StreamingResponse(_told(seen, state, closing), media_type="text/event-stream", headers=HEADERS)

    def fixed(text: str, kind: str) -> _Handler:
        async def given(_: Request) -> Response:
            return Response(text, media_type=kind, headers=HEADERS)

        return given

    routes = {
        "/": page(lambda _, query: pages.runs(query)),
        "/run/{name:path}": run,
        "/change/{name:path}": page(lambda name, query: pages.change(name, query.get("id", ""))),
        "/examples/{name:path}": page(pages.examples),
        "/example/{name:path}": page(lambda name, query: pages.example(name, query.get("id", ""))),
        "/report/{name:path}": page(
            lambda name, _: desk.report(desk.find(name)),
            {**HEADERS, "Content-Security-Policy": f"{policy()}; frame-ancestors 'none'"},
        ),
        "/compare": page(lambda _, query: pages.compare(query.getlist("run"), query.get("split", "test"))),
        "/events/{name:path}": events,
        "/look.css": fixed(source("look.css", "report.css", "view.css"), "text/css"),
        "/view.js": fixed(source("view.js"), "text/javascript"),
        "/favicon.ico": fixed("", "image/x-icon"),
    }

    async def nowhere(request: Request, _: Exception) -> Response:
        return refused(UserError(request.url.path, "no such page", "one that another page links to"), 404)

    known = [Route(path, handler) for path, handler in routes.items()]
    known.append(Route("/pause/{name:path}", pause, methods=["POST"]))
    return Guard(Starlette(routes=known, exception_handlers={404: nowhere}), most_bytes=MOST_BODY)


def _html(text: str, status: int = 200, headers: Mapping[str, str] = HEADERS) -> Response:
    """A page; half of a surrogate pair, which a model's reply and a folder's name may hold, is no UTF-8."""
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers)


def _name(request: Request) -> str:
    return request.path_params.get("name", "")


async def _told(seen: str, state: Callable[[], str], closing: Callable[[], bool]) -> AsyncGenerator[str]:
    """Server-sent events: one with the state as its id, whenever that is another than the page was told last."""
    yield "retry: 1000\n\n"
    quiet = 0.0
    while not closing():
        began = time.monotonic()
        now = await run_in_threadpool(state)
        if now != seen:
            yield f"id: {now}\ndata: changed\n\n"
            seen, quiet = now, 0.0
        elif quiet >= QUIET:
            yield ": still here\n\n"
            quiet = 0.0
        pause = max(LOOK, SPARED * (time.monotonic() - began))
        await asyncio.sleep(pause)
        quiet += pause
