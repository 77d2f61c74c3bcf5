"""Work for a client that may leave: it is not done for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive


class ClientGone(Exception):
    """The client has closed its connection: nobody waits for an answer."""


@asynccontextmanager
async def while_there(receive: Receive) -> AsyncGenerator[None]:
    """While inside, the work is cancelled as soon as the client is gone.

    Args:
        receive: of the request, whose body was read.

    Raises:
        ClientGone: once it was.
    """
    own = asyncio.current_task()
    assert own is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        own.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone or own.uncancel():  # somebody else, too, wants it to end
            raise
        raise ClientGone from None
    finally:
        watching.cancel()
