"""A model that is none: deterministic replies, latency and faults that can be set. For tests, users' tests among them.

Every reply is a function of the request and `seed`, every fault of the request, `seed` and the number of the try, so
that a run, a run that was killed and resumed, and a run with other latencies see the same. Waiting is done on a
virtual clock.

    fake/echo                                  gives back what the user said
    fake/counter?latency=0.2&p429=0.1&seed=3   a small pretend model that counts and adds, often wrongly

Options: `latency` (mean seconds of a call; each takes 0.5 to 1.5 times as long), `seed`, `clock` (`virtual` or
`real`), and the probabilities of faults: `p429` (rate limit, half of them with Retry-After), `p500`, `preset`
(connection reset), `phang` (no answer until a time-out), `garbage` (an answer that is none), `refuse` (content
policy; the same on every try).

In Python: `FakeClient(lambda request: "yes")` or `FakeClient(lambda request: {"total": 3}, latency=0.1)`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from flowbot.fields import InfrastructureError, RefusedError, Usage, UserError, stable_hash

from .client import Client, Finish, Identity, Reply, Request
from .clock import Clock, RealClock, VirtualClock
from .options import number, split_options, whole

Behaviour = Callable[[Request, str], "str | Mapping[str, Any]"]
"""From a request and a seed text (unique to request and seed) to a reply; a mapping is sent as JSON."""

HANG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities, each of one kind of fault on one try; `refuse` is decided once a request."""

    p429: float = 0.0
    p500: float = 0.0
    preset: float = 0.0
    phang: float = 0.0
    garbage: float = 0.0
    refuse: float = 0.0


class FakeClient:
    """A `Client` that asks nobody.

    Args:
        reply: gives the reply to a request; a mapping is sent as JSON text. Must be deterministic.
        name: the model's name in identities and messages. Give another name to another behaviour.
        latency: mean seconds of a call.
        faults: how often which call fails.
        seed: of latencies and faults, and of the built-in behaviours' replies.
        clock: what it waits on; a virtual clock unless another is given.
        concurrency: calls at once unless the user says otherwise.

    Failure policy: as `Client`; the faults raise what a real endpoint's would.
    """

    price_ref: str | None = "free"

    def __init__(
        self,
        reply: Callable[[Request], str | Mapping[str, Any]],
        *,
        name: str = "custom",
        latency: float = 0.0,
        faults: Faults | None = None,
        seed: int = 0,
        clock: Clock | None = None,
        concurrency: int = 16,
    ) -> None:
        self.identity = Identity("fake", "", name, (("latency", f"{latency:g}"), ("seed", str(seed))))
        self.default_concurrency = concurrency
        self.clock: Clock = clock or VirtualClock()
        self.calls = 0
        self._reply = reply
        self._latency = latency
        self._faults = faults or Faults()
        self._seed = seed
        self._tries: Counter[str] = Counter()

    async def complete(self, request: Request) -> Reply:
        """Reply, or raise the fault that is this try's."""
        self.calls += 1
        key = stable_hash({"request": request.dump(), "seed": self._seed})
        self._tries[key] += 1
        await self._maybe_fail(key, self._tries[key])
        seconds = self._latency * (0.5 + chance(key, "latency"))
        if seconds:
            await self.clock.sleep(seconds)
        answer = self._reply(request)
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        room = 4 * request.max_tokens
        finish: Finish = "length" if len(text) > room else "stop"
        text = text[:room]
        read = tokens("".join(message.content for message in request.messages))
        usage = Usage(calls=1, input_tokens=read, output_tokens=tokens(text), usd=0.0, seconds=seconds)
        return Reply(text, finish, usage, seconds, self.identity.name)

    async def close(self) -> None:
        """Nothing to release."""

    async def _maybe_fail(self, key: str, attempt: int) -> None:
        faults = self._faults
        if chance(key, "refuse") < faults.refuse:
            raise RefusedError(f"fake/{self.identity.name}: refused by its content policy")
        left = chance(key, f"fault {attempt}")
        for kind in ("p429", "p500", "preset", "phang", "garbage"):
            left -= getattr(faults, kind)
            if left < 0:
                await self._fail(kind, retry_after=1.0 if chance(key, f"after {attempt}") < 0.5 else None)

    async def _fail(self, kind: str, retry_after: float | None) -> None:
        who = f"fake/{self.identity.name}"
        match kind:
            case "p429":
                raise InfrastructureError(f"{who}: HTTP 429", kind="rate_limit", retry_after=retry_after)
            case "p500":
                raise InfrastructureError(f"{who}: HTTP 500", kind="server")
            case "preset":
                raise InfrastructureError(f"{who}: connection reset", kind="connection")
            case "phang":
                await self.clock.sleep(HANG_SECONDS)
                raise InfrastructureError(f"{who}: no answer in {HANG_SECONDS:g} s", kind="timeout")
            case _:
                raise InfrastructureError(f"{who}: the answer is not JSON", kind="garbage")


def tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its characters, at least one."""
    return max(1, len(text) // 4)


def chance(*parts: str) -> float:
    """A number in [0, 1) that depends on the texts alone."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def open_fake(rest: str) -> Client:
    """The client of `fake/REST`.

    Raises:
        UserError: for an unknown behaviour or option, or a value out of range.
    """
    from .fake_behaviours import BEHAVIOURS

    where = f"model fake/{rest}"
    kinds = [each.name for each in fields(Faults)]
    name, options = split_options(rest, where, ["latency", "seed", "clock", *kinds])
    if name not in BEHAVIOURS:
        raise UserError(where, f"{name!r}", "one of " + ", ".join(sorted(BEHAVIOURS)))
    faults = Faults(**{kind: number(options, kind, 0.0, where, high=1.0) for kind in kinds})
    if faults.p429 + faults.p500 + faults.preset + faults.phang + faults.garbage > 1:
        raise UserError(where, "probabilities of faults that add up to more than 1", "at most 1")
    seed = whole(options, "seed", 0, where)
    behave = BEHAVIOURS[name]

    def reply(request: Request) -> str | Mapping[str, Any]:
        return behave(request, stable_hash({"request": request.dump(), "seed": seed}))

    return FakeClient(
        reply,
        name=name,
        latency=number(options, "latency", 0.0, where),
        faults=faults,
        seed=seed,
        clock=RealClock() if _clock(options, where) == "real" else VirtualClock(),
    )


def _clock(options: Mapping[str, str], where: str) -> Literal["real", "virtual"]:
    match options.get("clock", "virtual"):
        case "real":
            return "real"
        case "virtual":
            return "virtual"
        case other:
            raise UserError(where, f"clock={other}", "real or virtual")
