"""A model that is none: deterministic replies, latency and faults that can be set. For tests, users' tests among them.

Every reply is a function of the request and `seed`, every fault of the request, `seed` and the number of the try, so
that a run, a run that was killed and resumed, and a run with other latencies see the same. Waiting is done on a
virtual clock.

    fake/echo                                  gives back what the user said
    fake/counter?latency=0.2&p429=0.1&seed=3   a small pretend model that counts and adds, often wrongly

Where tools are offered, the built-in behaviours call one of them once, with made-up arguments of the right types, and
then answer.

Options: `latency` (mean seconds of a call; each takes 0.5 to 1.5 times as long), `seed`, `clock` (`virtual` or
`real`), and the probabilities of faults: `p429` (rate limit, half of them with Retry-After), `p500`, `preset`
(connection reset), `phang` (no answer until a time-out), `garbage` (an answer that is none), `refuse` (content
policy; the same on every try). `tools=json` makes it a model without tool calls of its own: it is asked for them as
JSON.

In Python: `FakeClient(lambda request: "yes")`, `FakeClient(lambda request: {"total": 3}, latency=0.1)` or, to call
tools, `FakeClient(lambda request: [ToolUse("search", '{"query": "pears"}')] if request.tools else "none")`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from flowbot.fields import InfrastructureError, RefusedError, Usage, UserError, stable_hash

from .client import Client, Finish, Identity, Reply, Request, ToolUse
from .clock import Clock, RealClock, VirtualClock
from .json_tools import as_json, from_json
from .options import number, split_options, whole

Given = str | Mapping[str, Any] | Sequence[ToolUse]
"""A reply: a text, a mapping that is sent as JSON, or tool calls."""
Behaviour = Callable[[Request, str], Given]
"""From a request and a seed text (unique to request and seed) to a reply."""

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
        reply: gives the reply to a request: a text, a mapping that is sent as JSON text, or tool calls. Must be
            deterministic.
        name: the model's name in identities and messages. Give another name to another behaviour.
        latency: mean seconds of a call.
        faults: how often which call fails.
        seed: of latencies and faults, and of the built-in behaviours' replies.
        clock: what it waits on; a virtual clock unless another is given.
        concurrency: calls at once unless the user says otherwise.
        tools: `json`: a model without tool calls of its own; `reply` is then asked for them by a schema.

    Failure policy: as `Client`; the faults raise what a real endpoint's would.
    """

    price_ref: str | None = "free"

    def __init__(
        self,
        reply: Callable[[Request], Given],
        *,
        name: str = "custom",
        latency: float = 0.0,
        faults: Faults | None = None,
        seed: int = 0,
        clock: Clock | None = None,
        concurrency: int = 16,
        tools: Literal["native", "json"] = "native",
    ) -> None:
        extra = (("latency", f"{latency:g}"), ("seed", str(seed)))
        self.identity = Identity("fake", "", name, extra if tools == "native" else (*extra, ("tools", tools)))
        self.default_concurrency = concurrency
        self.clock: Clock = clock or VirtualClock()
        self.calls = 0
        self._reply = reply
        self._latency = latency
        self._faults = faults or Faults()
        self._seed = seed
        self._tools = tools
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
        asked = as_json(request) if self._tools == "json" else request
        text, calls = _parts(self._reply(asked))
        room = 4 * request.max_tokens
        finish: Finish = "length" if len(text) > room else "stop"
        text = text[:room]
        read = tokens("".join(message.content for message in asked.messages))
        written = tokens(text + "".join(call.name + call.arguments for call in calls))
        usage = Usage(calls=1, input_tokens=read, output_tokens=written, usd=0.0, seconds=seconds)
        reply = Reply(text, finish, usage, seconds, self.identity.name, calls=calls)
        return reply if asked is request else from_json(reply, request)

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


def _parts(given: Given) -> tuple[str, tuple[ToolUse, ...]]:
    if isinstance(given, str):
        return given, ()
    if isinstance(given, Mapping):
        return json.dumps(given, ensure_ascii=False), ()
    return "", tuple(given)


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
    name, options = split_options(rest, where, ["latency", "seed", "clock", "tools", *kinds])
    if name not in BEHAVIOURS:
        raise UserError(where, f"{name!r}", "one of " + ", ".join(sorted(BEHAVIOURS)))
    faults = Faults(**{kind: number(options, kind, 0.0, where, high=1.0) for kind in kinds})
    if faults.p429 + faults.p500 + faults.preset + faults.phang + faults.garbage > 1:
        raise UserError(where, "probabilities of faults that add up to more than 1", "at most 1")
    seed = whole(options, "seed", 0, where)
    behave = BEHAVIOURS[name]

    def reply(request: Request) -> Given:
        return behave(request, stable_hash({"request": request.dump(), "seed": seed}))

    return FakeClient(
        reply,
        name=name,
        latency=number(options, "latency", 0.0, where),
        faults=faults,
        seed=seed,
        clock=RealClock() if _clock(options, where) == "real" else VirtualClock(),
        tools=_tools(options, where),
    )


def _clock(options: Mapping[str, str], where: str) -> Literal["real", "virtual"]:
    match options.get("clock", "virtual"):
        case "real":
            return "real"
        case "virtual":
            return "virtual"
        case other:
            raise UserError(where, f"clock={other}", "real or virtual")


def _tools(options: Mapping[str, str], where: str) -> Literal["native", "json"]:
    match options.get("tools", "native"):
        case "native":
            return "native"
        case "json":
            return "json"
        case other:
            raise UserError(where, f"tools={other}", "native or json")
