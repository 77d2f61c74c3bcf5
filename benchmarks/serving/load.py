"""A load that costs next to nothing: so many connections, each asking again as soon as it is answered.

    python load.py PORT PATH BODY IN_FLIGHT REQUESTS

NUMBER in the body is another number in each request: none of them is like another. Prints one JSON line: seconds, seconds of each request at some quantiles, and how many were not answered with 200.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import httptools
import uvloop

MARK = b"NUMBER"
"""What stands for a number of as many digits."""
SALT = 10_000 * (time.time_ns() // 1000 % 90)


class Asking(asyncio.Protocol):
    """One connection.

    Args:
        request: the whole request; see `MARK`.
        left: requests that are still to be sent, by all.
        took: seconds of each, for all.
        wrong: answers that were not 200, for all.
    """

    def __init__(self, request: bytes, left: list[int], took: list[float], wrong: list[bytes]) -> None:
        self._request, self._left, self._took, self._wrong = request, left, took, wrong
        self._parser = httptools.HttpResponseParser(self)
        self._said = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask first."""
        self._transport = transport
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server went away, or all is done."""
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Some bytes of an answer."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """The parser saw a part of the body."""
        self._said += body

    def on_message_complete(self) -> None:
        """The parser saw a whole answer."""
        self._took.append(time.perf_counter() - self._began)
        if self._parser.get_status_code() != 200:
            self._wrong.append(self._said)
        self._said = b""
        self._ask()

    def _ask(self) -> None:
        if not self._left[0]:
            self._transport.close()
            return
        self._left[0] -= 1
        self._began = time.perf_counter()
        self._transport.write(self._request.replace(MARK, b"%06d" % (self._left[0] + SALT)))


async def load(port: int, path: str, body: bytes, in_flight: int, requests: int) -> dict[str, object]:
    """Send all of it; what it took."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    left, took, wrong = [requests], list[float](), list[bytes]()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()

    def asking() -> Asking:
        return Asking(head.encode() + body, left, took, wrong)

    made = [await loop.create_connection(asking, "127.0.0.1", port) for _ in range(in_flight)]
    await asyncio.gather(*(each.ended for _, each in made))
    seconds = time.perf_counter() - began
    took.sort()
    quantiles = {f"p{share}_ms": round(1000 * took[(len(took) - 1) * share // 100], 2) for share in (50, 95, 99)}
    first = {"first_wrong": wrong[0][:200].decode("utf-8", "replace")} if wrong else {}
    return {"seconds": round(seconds, 3), "answered": len(took), "wrong": len(wrong), **first, **quantiles}


if __name__ == "__main__":
    port, path, body, in_flight, requests = sys.argv[1:]
    print(json.dumps(uvloop.run(load(int(port), path, body.encode(), int(in_flight), int(requests)))))
