"""Does an export ask for the same as the workflow? Its requests are compared with the recorded ones, example by example.

No model is asked: an exported program runs against the proxy, which has the replies of the run alone and refuses what the run did
not ask.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

from flowbot.fields import InfrastructureError
from flowbot.fields.files import read_text
from flowbot.lm.client import Draw, Reply, Request
from flowbot.lm.lm import LM
from flowbot.lm.openai import wire_body
from flowbot.lm.proxy import Proxy
from flowbot.lm.proxy.faults import NotStored
from flowbot.runtime.adapter import show_value
from flowbot.runtime.node_calls import letters
from flowbot.runtime.trace import Step

from .exported import CANDIDATES, LABELS, Exported
from .exporting import sent_besides
from .prompts import filled
from .record import Recorded, Recording

SECONDS = 60.0
"""Time that the exported program has to start, and for each example besides."""
_MOST_FILE = 4_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """The first example on which an export differs, and how."""

    example: str
    what: str
    diff: str


@dataclass(frozen=True, slots=True)
class Parity:
    """What came of a check.

    Args:
        split: whose examples.
        examples: on how many it was compared.
        requests: how many requests the run made on them.
        absent, own: as of the recording: ids of examples that could not be compared.
        first: the first difference; None where there is none.
    """

    split: str
    examples: int
    requests: int
    absent: tuple[str, ...]
    own: tuple[str, ...]
    first: Difference | None

    @property
    def ok(self) -> bool:
        """Whether the export asked for the same on every example that was compared, and there was one."""
        return self.first is None and self.examples > 0

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        first = (
            None
            if self.first is None
            else {"example": self.first.example, "what": self.first.what, "diff": self.first.diff}
        )
        facts = {"split": self.split, "examples": self.examples, "requests": self.requests}
        return {"ok": self.ok, **facts, "absent": list(self.absent), "own": list(self.own), "first": first}


async def check(exported: Exported, to: str, folder: Path, recording: Recording) -> Parity:
    """Compare an export in its folder with the recorded examples.

    Args:
        exported: what was exported.
        to: the target's name.
        folder: where.
        recording: of the same workflow.

    Raises:
        InfrastructureError: if an exported program cannot be run at all.
    """
    if to == "prompts":
        return check_prompts(exported, folder, recording)
    return await check_python(exported, folder / f"{exported.name}.py", recording)


async def check_python(exported: Exported, file: Path, recording: Recording) -> Parity:
    """Run an exported program on the recorded examples.

    Raises:
        InfrastructureError: if it cannot be run at all.
    """
    keys = _Keys(recording)
    spoken = {model.wire: model.name for model in exported.models}
    engine = recording.engine
    lines: list[str] = []
    asked: list[list[str]] = []
    async with Proxy() as proxy:
        for row in recording.rows:
            told: list[str] = []
            replies: dict[str, deque[Reply]] = {}
            for sent in row.sent:
                replies.setdefault(keys.of(sent.model, sent.request, sent.sample), deque()).append(sent.reply)
            models: dict[str, LM] = {
                wire: _Replayed(
                    engine.model(None if name == getattr(engine.lm, "name", "") else name), keys, replies, told
                )
                for wire, name in spoken.items()
            }
            line: dict[str, Any] = {
                "url": "",
                "key": "",
                "inputs": dict(row.trace.inputs),
                "tools": _results(exported, row),
            }
            if models:
                access = proxy.open(engine.session, models, mode="refuse", purpose="export")
                line |= {"url": access.url, "key": access.token}
            lines.append(json.dumps(line))
            asked.append(told)
        answers = await _run(exported, file, lines)
    firsts = (
        _program_difference(row, keys, told, answer)
        for row, told, answer in zip(recording.rows, asked, answers, strict=True)
    )
    return _parity(recording, next((each for each in firsts if each is not None), None))


def check_prompts(exported: Exported, folder: Path, recording: Recording) -> Parity:
    """Fill the places of exported prompts with recorded inputs, and compare the messages with those that were sent."""
    data: dict[str, dict[str, Any]] = {
        step.path: json.loads(read_text(folder / f"{step.path.replace('/', '.')}.json", limit=_MOST_FILE))
        for step in exported.asking
    }
    firsts = (_prompt_difference(row, recording, data) for row in recording.rows)
    return _parity(recording, next((each for each in firsts if each is not None), None))


class _Keys:
    """What tells requests apart: all of a request's body as an endpoint gets it, and the number of its sample."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def of(self, model: str, request: Request, sample: int) -> str:
        """The request as JSON text."""
        return json.dumps(
            {**self.body(model, request), **({"seed": sample} if sample else {})}, ensure_ascii=False, indent=1
        )

    def body(self, model: str, request: Request) -> dict[str, Any]:
        """The request's body, its members in one order."""
        bare = replace(request, seed=None, extra={})
        extra = request.extra or sent_besides(model)
        body = wire_body(model.partition("/")[2].partition("?")[0], bare, self._recording.speaks(model).can)
        return dict(
            sorted({**body, **{name: value for name, value in extra.items() if name != "service_tier"}}.items())
        )


class _Replayed(LM):
    """A model that answers with what a run has recorded for an example, each reply once, and notes what it is asked."""

    def __init__(self, lm: LM, keys: _Keys, replies: Mapping[str, deque[Reply]], told: list[str]) -> None:
        super().__init__(lm.client, lm.session, name=lm.name)
        self._keys, self._replies, self._asked = keys, replies, told

    async def ask(self, request: Request, *, purpose: str, draw: Draw = ()) -> Reply:
        """The recorded reply.

        Raises:
            NotStored: if the run made no such request, or no more of them.
        """
        key = self._keys.of(self.name, request, request.seed or 0)
        self._asked.append(key)
        waiting = self._replies.get(key)
        if not waiting:
            raise NotStored("the run made no such request")
        return waiting.popleft()


def _parity(recording: Recording, first: Difference | None) -> Parity:
    requests = sum(len(row.sent) for row in recording.rows)
    return Parity(recording.split, len(recording.rows), requests, recording.absent, recording.own, first)


def _program_difference(
    row: Recorded, keys: _Keys, told: Sequence[str], answer: Mapping[str, Any]
) -> Difference | None:
    """How the program's requests differ from those of the run, else what it gave."""
    wanted = Counter(keys.of(sent.model, sent.request, sent.sample) for sent in row.sent)
    found = Counter(told)
    example = row.trace.example
    if wanted != found:
        missing, more = list((wanted - found).elements()), list((found - wanted).elements())
        what = f"{len(missing)} of its {wanted.total()} requests are not made, and {len(more)} are that the run did not make"
        return Difference(
            example, what, _diff(missing[0] if missing else "", more[0] if more else answer.get("error", ""))
        )
    expected = None if row.trace.outputs is None else dict(row.trace.outputs)
    if answer.get("outputs") != expected:
        shown = [json.dumps(each, ensure_ascii=False, indent=1) for each in (expected, answer.get("outputs") or answer)]
        return Difference(example, "the requests are the same, and the outputs are not", _diff(*shown))
    return None


def _prompt_difference(row: Recorded, recording: Recording, data: Mapping[str, Any]) -> Difference | None:
    """How filled prompts differ from the messages that were sent on an example."""
    keys = _Keys(recording)
    sent = [keys.body(each.model, each.request)["messages"] for each in row.sent]
    made = [filled(data[step.node], _shows(step)) for step in row.trace.steps if step.messages and step.node in data]
    for messages in made:
        if not any(each[: len(messages)] == messages for each in sent):
            return Difference(
                row.trace.example,
                "a filled prompt is not what was sent",
                _diff(_nearest(messages, sent), _shown(messages)),
            )
    for messages in sent:
        if not any(messages[: len(each)] == each for each in made):
            return Difference(
                row.trace.example,
                "what was sent is no filled prompt",
                _diff(_shown(messages), _nearest(messages, made)),
            )
    return None


def _shows(step: Step) -> Callable[[str], str]:
    """What stands at the places of a prompt on one call of its step."""
    candidates = [value for name, value in step.inputs.items() if step.kind == "merge" and "." in name]
    listed = dict(zip(letters(len(candidates)), candidates, strict=True))
    more = {
        LABELS: " or ".join(json.dumps(label) for label in listed),
        CANDIDATES: "\n".join(f"{label}: {show_value(value)}" for label, value in listed.items()),
    }
    return lambda name: more[name] if name in more else show_value(step.inputs[name])


def _nearest(messages: Sequence[Any], others: Sequence[Sequence[Any]]) -> str:
    """The one of the others that has most messages in common."""
    if not others:
        return ""
    return _shown(max(others, key=lambda other: sum(a == b for a, b in zip(messages, other, strict=False))))


def _shown(messages: Sequence[Any]) -> str:
    return json.dumps(list(messages), ensure_ascii=False, indent=1)


def _diff(wanted: str, found: str) -> str:
    return "\n".join(unified_diff(wanted.splitlines(), found.splitlines(), "the run", "the export", n=2, lineterm=""))


def _results(exported: Exported, row: Recorded) -> dict[str, list[list[Any]]]:
    """What the tools gave on an example: by name, arguments with result and error."""
    found: dict[str, list[list[Any]]] = {}
    for step in row.trace.steps:
        if step.kind == "tool":
            tool = str(getattr(exported.step(step.node).node, "tool", ""))
            found.setdefault(tool, []).append(_result(exported, tool, step.inputs, step.outputs, step.error))
        for call in step.calls:
            found.setdefault(call.tool, []).append(
                _result(exported, call.tool, call.arguments, call.result, call.error)
            )
    return found


def _result(
    exported: Exported, tool: str, arguments: Mapping[str, Any], outputs: Mapping[str, Any] | None, error: str
) -> list[Any]:
    plain = tool in exported.tools and exported.tools[tool].plain and outputs is not None
    return [dict(arguments), (outputs or {}).get("result") if plain else outputs, error.removeprefix(f"tool {tool}: ")]


async def _run(exported: Exported, file: Path, lines: Sequence[str]) -> list[dict[str, Any]]:
    """What the program says on each line, in a process of its own that has no key of the user's."""
    modules: dict[str, dict[str, str]] = {}
    for name, tool in exported.tools.items():
        modules.setdefault(tool.module, {})[tool.name] = name
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"OPENAI_API_KEY": "none", "PYTHONIOENCODING": "utf-8"}
    for model in exported.models:
        environment |= {model.base_variable or "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    driver = Path(__file__).with_name("driver.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(driver), str(file), json.dumps(modules)),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS * (1 + len(lines))):
            out, err = await process.communicate("".join(f"{line}\n" for line in lines).encode())
    except BaseException:
        process.kill()
        await process.wait()
        raise
    answers = [json.loads(line) for line in out.decode().splitlines()]
    if len(answers) != len(lines):
        last = err.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise InfrastructureError(f"{file} cannot be run: {last[-1]}", kind="other")
    return answers
