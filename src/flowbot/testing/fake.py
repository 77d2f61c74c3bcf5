"""A model that is none: deterministic replies, latency and faults that can be set. For tests, users' tests among them.

Every reply is a function of the request and `seed`, every fault of the request, `seed` and the number of the try, so
that a run, a run that was killed and resumed, and a run with other latencies see the same. Waiting is done on a
virtual clock.

    fake/echo                                  gives back what the user said
    fake/counter?latency=0.2&p429=0.1&seed=3   a small pretend model that counts and adds, often wrongly
    fake/judge                                 as counter; as a judge it knows a right answer when it is shown one

Where tools are offered, the built-in behaviours call one of them once, with made-up arguments of the right types, and
then answer.

Options: `latency` (mean seconds of a call; each takes 0.5 to 1.5 times as long), `seed`, `clock` (`virtual` or
`real`), and the probabilities of faults: `p429` (rate limit, half of them with Retry-After), `p500`, `preset`
(connection reset), `phang` (no answer until the caller's patience or a minute has passed), `garbage` (an answer that
is none), `ptrunc` (an answer that breaks off), `pempty` (a reply without a text), `refuse` (content policy; the same on
every try). `dies=20-80` refuses every connection from the 20th to the 80th second of the model's clock after it was
opened, `expires=100` the key from the 100th call on. `tools=json` makes it a model without tool calls of its own: it is
asked for them as JSON.

In Python: `FakeClient(lambda request: "yes")`, `FakeClient(lambda request: {"total": 3}, latency=0.1)` or, to call
tools, `FakeClient(lambda request: [ToolUse("search", '{"query": "pears"}')] if request.tools else "none")`.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal

from flowbot.fields import InfrastructureError, RefusedError, Usage, UserError, stable_hash
from flowbot.fields.errors import FaultKind
from flowbot.lm.client import Client, Finish, Identity, Patience, Reply, Request, ToolUse
from flowbot.lm.clock import Clock, RealClock, VirtualClock
from flowbot.lm.json_tools import as_json, from_json
from flowbot.lm.options import number, split_options, whole

from .fake_behaviours import BEHAVIOURS, Given, chance

HANG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Faults:
    """How a fake model fails. No part of its identity but for `refuse` and `pempty`, which can end as a stored reply.

    Args:
        p429, p500, preset, phang, garbage, ptrunc, pempty: probabilities, each of one kind of fault on one try; at most
            1 in all.
        refuse: probability, decided once a request.
        dies: every call fails from that second on until before that one, counted on the model's clock since it was made.
        expires: the key is refused from that call on; the first is 1.
    """

    p429: float = 0.0
    p500: float = 0.0
    preset: float = 0.0
    phang: float = 0.0
    garbage: float = 0.0
    ptrunc: float = 0.0
    pempty: float = 0.0
    refuse: float = 0.0
    dies: tuple[float, float] | None = None
    expires: int | None = None


_RAISED: Mapping[str, tuple[FaultKind, str]] = {
    "p429": ("rate_limit", "HTTP 429"),
    "p500": ("server", "HTTP 500"),
    "preset": ("connection", "connection reset"),
    "garbage": ("garbage", "the answer is not JSON"),
    "ptrunc": ("garbage", "the answer broke off"),
}
_BY_CHANCE = ("p429", "p500", "preset", "phang", "garbage", "ptrunc", "pempty")


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
        # Of the faults these two can end as a reply that is stored.
        lasting = {"refuse": faults.refuse, "pempty": faults.pempty} if faults is not None else {}
        extra += tuple((kind, f"{share:g}") for kind, share in lasting.items() if share)
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
        self._made = self.clock.now()
        self._shown = f"fake/{name}"

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """Reply, or raise the fault that is this try's."""
        self.calls += 1
        self._maybe_down()
        key = stable_hash({"request": request.dump(), "seed": self._seed})
        self._tries[key] += 1
        fault = self._fault(key, self._tries[key])
        patient = math.inf if patience is None or patience.seconds is None else patience.seconds
        if fault == "phang":
            await self._hang(min(HANG_SECONDS, patient))
        self._maybe_fail(fault, key)
        seconds = self._latency * (0.5 + chance(key, "latency"))
        if seconds > patient:
            await self._hang(patient)
        if seconds:
            await self.clock.sleep(seconds)
        asked = as_json(request) if self._tools == "json" else request
        text, calls = _parts("" if fault == "pempty" else self._reply(asked))
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

    def _maybe_down(self) -> None:
        faults = self._faults
        if faults.dies is not None and faults.dies[0] <= self.clock.now() - self._made < faults.dies[1]:
            raise InfrastructureError(f"{self._shown}: connection refused", kind="connection")
        if faults.expires is not None and self.calls >= faults.expires:
            raise InfrastructureError(f"{self._shown}: HTTP 401: the key has expired", kind="auth", fatal=True)

    def _fault(self, key: str, attempt: int) -> str:
        """The fault that is this try's; "" for none."""
        if chance(key, "refuse") < self._faults.refuse:
            return "refuse"
        left = chance(key, f"fault {attempt}")
        for kind in _BY_CHANCE:
            left -= getattr(self._faults, kind)
            if left < 0:
                return kind
        return ""

    def _maybe_fail(self, fault: str, key: str) -> None:
        if fault == "refuse":
            raise RefusedError(f"{self._shown}: refused by its content policy")
        if fault in _RAISED:
            kind, text = _RAISED[fault]
            soon = fault == "p429" and chance(key, f"after {self._tries[key]}") < 0.5
            raise InfrastructureError(f"{self._shown}: {text}", kind=kind, retry_after=1.0 if soon else None)

    async def _hang(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        raise InfrastructureError(f"{self._shown}: no answer within {seconds:g} s", kind="timeout")


def _parts(given: Given) -> tuple[str, tuple[ToolUse, ...]]:
    if isinstance(given, str):
        return given, ()
    if isinstance(given, Mapping):
        return json.dumps(given, ensure_ascii=False), ()
    return "", tuple(given)


def tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its characters, at least one."""
    return max(1, len(text) // 4)


def open_fake(rest: str) -> Client:
    """The client of `fake/REST`.

    Raises:
        UserError: for an unknown behaviour or option, or a value out of range.
    """
    where = f"model fake/{rest}"
    kinds = [each.name for each in fields(Faults)]
    name, options = split_options(rest, where, ["latency", "seed", "clock", "tools", *kinds])
    if name not in BEHAVIOURS:
        raise UserError(where, f"{name!r}", "one of " + ", ".join(sorted(BEHAVIOURS)))
    faults = Faults(
        **{kind: number(options, kind, 0.0, where, high=1.0) for kind in (*_BY_CHANCE, "refuse")},
        dies=_dies(options, where),
        expires=whole(options, "expires", 1, where, low=1) if "expires" in options else None,
    )
    if sum(getattr(faults, kind) for kind in _BY_CHANCE) > 1:
        raise UserError(where, "probabilities of faults that add up to more than 1", "at most 1")

    def is_first(key: str, first: str, second: str, *, default: str) -> bool:
        if (found := options.get(key, default)) not in (first, second):
            raise UserError(where, f"{key}={found}", f"{first} or {second}")
        return found == first

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
        clock=RealClock() if is_first("clock", "real", "virtual", default="virtual") else VirtualClock(),
        tools="native" if is_first("tools", "native", "json", default="native") else "json",
    )


def _dies(options: Mapping[str, str], where: str) -> tuple[float, float] | None:
    if "dies" not in options:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", options["dies"])
    if found is None or float(found[1]) >= float(found[2]):
        raise UserError(where, f"dies={options['dies']}", "FROM-TO in seconds, as in dies=20-80")
    return float(found[1]), float(found[2])
