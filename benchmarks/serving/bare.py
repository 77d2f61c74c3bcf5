"""What one would write by hand: a Starlette handler that makes the calls with aiohttp.

python bare.py PORT URL MESSAGES    (MESSAGES: the wire messages of each step, as JSON)
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PORT, URL, STEPS = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])


@asynccontextmanager
async def opened(app: Starlette) -> AsyncGenerator[None]:
    """One session for all requests."""
    headers = {"Authorization": "Bearer none"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        app.state.session = session
        yield


async def run(request: Request) -> JSONResponse:
    """One request: the steps side by side."""
    question, session = (await request.json())["question"], request.app.state.session
    first, *more = await asyncio.gather(*(step(session, system, question) for system in STEPS))
    return JSONResponse({"outputs": {"answer": first, **{f"more{n}": text for n, text in enumerate(more, 2)}}})


async def step(session: aiohttp.ClientSession, system: str, question: str) -> str:
    """One call."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    body = {"model": "mock", "messages": messages, "max_tokens": 512, "temperature": 0.0}
    async with session.post(f"{URL}/chat/completions", json=body) as answer:
        answer.raise_for_status()
        return (await answer.json())["choices"][0]["message"]["content"]


app = Starlette(routes=[Route("/run", run, methods=["POST"])], lifespan=opened)
uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, log_level="error")
