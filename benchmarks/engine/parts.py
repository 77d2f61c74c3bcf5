"""The parts of the benchmark: which clients run, how, and in which order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processes import DriverError, Server, Venvs, drive

CLIENTS = (
    "aiohttp:calls",
    "aiohttp:examples",
    "ours",
    "langgraph",
    "dspy:async",
    "dspy:evaluate",
    "adalflow",
    "pydantic-ai",
)
"""Who takes part in throughput."""
LOADS = ((200, 64, 0.2), (2000, 500, 1.0))
"""Examples, limit, seconds of latency."""
CACHES = {
    "ours": 6667,
    "textgrad:serial": 1000,
    "textgrad:threads": 1000,
    "dspy:async": 667,
    "dspy:evaluate": 667,
    "adalflow": 334,
}
"""Who has a cache on disk, and how many examples of three calls are stored and replayed."""
STORM_LOADS = ((2000, 64, 0.2), (2000, 500, 1.0))
_REST = {"reset": 0.02, "hang": 0.01, "garbage": 0.01, "truncated": 0.01}
STORMS: tuple[dict[str, float], ...] = (
    {},
    {"429": 0.10, "500": 0.05, **_REST},
    {"429 at once": 0.10, "500 at once": 0.05, **_REST},
)
"""None; one whose every fault takes as long as an answer does; one whose refusals come at once, as a gateway's do."""
MEMORY = (2000, 10_000, 30_000)
PEER_CUT_S = 90.0
"""After so many seconds a peer's run is cut, and what it has finished is counted."""
CUT_S = 900.0

Line = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What all parts share.

    Args:
        venvs: where the peers are installed.
        server: the mock endpoint.
        note: told of every line.
        repeats: how often each measurement is made.
        only: clients to run, a bare PEER for all its variants; everybody when empty.
        small: once, and few examples, to see that everything works.
    """

    venvs: Venvs
    server: Server
    note: Callable[[Line], None]
    repeats: int
    only: Sequence[str] = ()
    small: bool = False

    def chosen(self, clients: Sequence[str]) -> list[str]:
        """Those of a part's clients that were asked for."""
        asked = self.only
        return [name for name in clients if not asked or name in asked or name.partition(":")[0] in asked]

    def rounds(self) -> range:
        """The repeats."""
        return range(1 if self.small else self.repeats)

    def size(self, n: int) -> int:
        """So many examples, or few."""
        return max(10, n // 20) if self.small else n

    def measure(
        self,
        part: str,
        client: str,
        *,
        n: int,
        concurrency: int,
        latency: float = 0.0,
        faults: Mapping[str, float] | None = None,
        seed: int = 0,
        folder: str | None = None,
        cache: bool = False,
        cut_s: float = CUT_S,
    ) -> Line:
        """Set the endpoint, run a client and note its line; one with `error` if the client printed none.

        Args:
            part: what the line belongs to.
            client: `PEER` or `PEER:VARIANT`.
            n: examples.
            concurrency: the client's limit.
            latency: of the endpoint, in seconds.
            faults: shares by name.
            seed: of the faults.
            folder: the client's files; one of its own when None.
            cache: whether the client keeps calls in its folder.
            cut_s: see `Setting`.
        """
        self.server.control(latency=latency, seed=seed, faults={})
        setting = {"n": n, "concurrency": concurrency, "faults": dict(faults or {})}
        head = {"part": part, "peer": client, **setting, "latency": latency, "seed": seed}
        with tempfile.TemporaryDirectory(prefix="engine-") as own:
            setting |= {"folder": folder or own, "cache": cache, "cut_s": cut_s}
            try:
                line = {**head, **drive(self.venvs, client, self.server, **setting)}
            except DriverError as error:
                line = {**head, "error": str(error)}
        self.note(line)
        return line


def throughput(bench: Bench) -> None:
    """Everybody at both loads. A peer that was cut once is not run at that load again."""
    cut: set[tuple[str, int]] = set()
    for _ in bench.rounds():
        for n, concurrency, latency in LOADS:
            for client in bench.chosen(CLIENTS):
                if (client, n) in cut:
                    continue
                limit = CUT_S if client.partition(":")[0] == "ours" else PEER_CUT_S
                line = bench.measure(
                    "throughput", client, n=bench.size(n), concurrency=concurrency, latency=latency, cut_s=limit
                )
                if line.get("cut"):
                    cut.add((client, n))


def replay(bench: Bench) -> None:
    """Store calls, then make the same ones again in a new process. Storing is noted as a part of its own."""
    for _ in bench.rounds():
        for client in bench.chosen(list(CACHES)):
            n = bench.size(CACHES[client])
            with tempfile.TemporaryDirectory(prefix="engine-") as folder:
                for part in ("populate", "replay"):
                    bench.measure(part, client, n=n, concurrency=64, folder=folder, cache=True)


def storm(bench: Bench) -> None:
    """Ours without faults and with them, side by side; another seed every round."""
    for number in bench.rounds():
        for n, concurrency, latency in STORM_LOADS:
            for faults in STORMS:
                for client in bench.chosen(("ours",)):
                    bench.measure(
                        "storm",
                        client,
                        n=bench.size(n),
                        concurrency=concurrency,
                        latency=latency,
                        faults=faults,
                        seed=number,
                    )


def memory(bench: Bench) -> None:
    """Ours over more and more examples."""
    for _ in bench.rounds():
        for n in MEMORY:
            for client in bench.chosen(("ours",)):
                bench.measure("memory", client, n=bench.size(n), concurrency=64)


PARTS: dict[str, Callable[[Bench], None]] = {
    "throughput": throughput,
    "replay": replay,
    "storm": storm,
    "memory": memory,
}
"""The parts by name, in the order of `all`."""
