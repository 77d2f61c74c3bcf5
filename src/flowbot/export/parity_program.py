"""An exported program runs on the recorded examples, against the proxy with the replies of the run alone: what the run did not ask is refused."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from flowbot.fields import BudgetExceeded, InfrastructureError, ModelError, Paused, UserError
from flowbot.lm.client import Draw, Reply, Request
from flowbot.lm.lm import LM
from flowbot.lm.proxy import Proxy
from flowbot.lm.proxy.faults import NotStored
from flowbot.lm.proxy.server import BODY

from .comparison import Difference, Keys, Parity, diff, parity_of
from .exported import Exported
from .record import Recorded, Recording

SECONDS = 60.0
"""Time that the program has for an example, and to start; ten times as long where models are asked."""
_MOST_ANSWER = 64_000_000


@dataclass(frozen=True, slots=True)
class Played:
    """One example as an exported program ran on it.

    Args:
        row: as the workflow did.
        asked: what tells its requests apart, in order.
        answer: its `outputs`, or an `error`, and what it `called`.
    """

    row: Recorded
    asked: Sequence[str]
    answer: Mapping[str, Any]


async def check_python(exported: Exported, file: Path, recording: Recording) -> Parity:
    """Run an exported program on the recorded examples.

    Raises:
        UserError: if a package that it needs is missing.
    """
    keys = Keys(recording)
    played = await play(exported, file, recording, keys)
    firsts = (_program_difference(exported, each.row, keys, each.asked, each.answer) for each in played)
    return parity_of(recording, next((each for each in firsts if each is not None), None))


async def play(
    exported: Exported,
    file: Path,
    recording: Recording,
    keys: Keys,
    *,
    python: str = sys.executable,
    live: bool = False,
    beside: Path | None = None,
) -> list[Played]:
    """Run an exported program on the recorded examples, with the recorded replies.

    Args:
        exported: what was exported.
        file: the program.
        recording: of the same workflow.
        keys: what requests are told apart by.
        python: the interpreter.
        live: what is not recorded is asked of the models, and called of tools that read.
        beside: the folder in which the modules of the tools are; None where there are none.

    Raises:
        UserError: if a package that it needs is missing.
        InfrastructureError, BudgetExceeded, Paused: as asking a model does.
    """
    faults: list[Exception] = []
    spoken = {model.wire: model.name for model in exported.models}
    engine = recording.engine
    lines: list[str] = []
    asked: list[list[str]] = []
    async with Proxy() as proxy:
        for row in recording.rows:
            told: list[str] = []
            replies: dict[str, deque[Reply | ModelError]] = {}
            for sent in row.sent:
                replies.setdefault(keys.of(sent.model, sent.request, sent.sample), deque()).append(sent.reply)
            models: dict[str, LM] = {
                wire: _Replayed(
                    engine.model(None if name == getattr(engine.lm, "name", "") else name),
                    keys,
                    replies,
                    told,
                    faults if live else None,
                )
                for wire, name in spoken.items()
            }
            line: dict[str, Any] = {
                "url": "",
                "key": "",
                "inputs": dict(row.trace.inputs),
                "tools": _results(exported, row),
                "environment": {},
            }
            if models:
                access = proxy.open(engine.session, models, mode="record" if live else "refuse", purpose="export")
                line |= {"url": access.url, "key": access.token}
                for model in exported.models:
                    named = {
                        model.base_variable or "OPENAI_BASE_URL": access.url,
                        model.key or "OPENAI_API_KEY": access.token,
                    }
                    line["environment"] |= named
            lines.append(json.dumps(line))
            asked.append(told)
        answers = await _run(exported, file, lines, python, beside if live else None, SECONDS * (10 if live else 1))
    if faults:  # none of the program's: it tells nothing of its score
        raise faults[0]
    return [Played(*each) for each in zip(recording.rows, asked, answers, strict=True)]


class _Replayed(LM):
    """A model that answers with what a run has recorded for an example, each reply once, and notes what it is asked."""

    def __init__(
        self,
        lm: LM,
        keys: Keys,
        replies: Mapping[str, deque[Reply | ModelError]],
        told: list[str],
        faults: list[Exception] | None,
    ) -> None:
        super().__init__(lm.client, lm.session, name=lm.name)
        self._keys, self._replies, self._asked = keys, replies, told
        self._lm, self._faults = lm, faults

    async def ask(self, request: Request, *, purpose: str, draw: Draw = ()) -> Reply:
        """The recorded reply; where there is none or no more of them, the model's, if it may be asked.

        Raises:
            NotStored: if the run made no such request, or no more of them, and the model may not be asked.
            ModelError: where the run met one there.
        """
        key = self._keys.of(self.name, request, request.seed or 0, BODY.get())
        self._asked.append(key)
        waiting = self._replies.get(key)
        if not waiting and self._faults is not None:
            try:
                return await self._lm.ask(request, purpose=purpose, draw=draw)
            except (BudgetExceeded, InfrastructureError, Paused) as fault:
                self._faults.append(fault)
                raise
        if not waiting:
            raise NotStored("the run made no such request")
        found = waiting.popleft()
        if isinstance(found, ModelError):
            raise ModelError(str(found))
        return found


def _program_difference(
    exported: Exported, row: Recorded, keys: Keys, told: Sequence[str], answer: Mapping[str, Any]
) -> Difference | None:
    """How the program's requests differ from those of the run, else its calls of tools, else what it gave."""
    wanted = Counter(keys.of(sent.model, sent.request, sent.sample) for sent in row.sent)
    found = Counter(told)
    example = row.trace.example
    if wanted != found:
        missing, more = list((wanted - found).elements()), list((found - wanted).elements())
        what = f"{len(missing)} of its {wanted.total()} requests are not made, and {len(more)} are that the run did not make"
        return Difference(
            example, what, diff(missing[0] if missing else "", more[0] if more else answer.get("error", ""))
        )
    recorded = [[tool, each[0]] for tool, results in _results(exported, row).items() for each in results]
    more: list[Any] = []
    for call in answer.get("called", ()):  # fewer may be: some of the run's were refused, as of wrong arguments
        recorded.remove(call) if call in recorded else more.append(call)
    if more:
        calls = "\n".join(json.dumps(call, ensure_ascii=False) for call in more)
        return Difference(example, "tools are called as the run did not call them, or more often", diff("", calls))
    expected = None if row.trace.outputs is None else dict(row.trace.outputs)
    failed = expected is None and str(answer.get("error", "")).startswith("StepFailed: ")
    if not failed and (expected is None or answer.get("outputs") != expected):
        shown = [json.dumps(each, ensure_ascii=False, indent=1) for each in (expected, answer.get("outputs") or answer)]
        return Difference(example, "the requests are the same, and the outputs are not", diff(*shown))
    return None


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


async def _run(
    exported: Exported, file: Path, lines: Sequence[str], python: str, beside: Path | None, seconds: float
) -> list[dict[str, Any]]:
    """What the program says on each line, in a process of its own that has no key of the user's."""
    modules: dict[str, dict[str, str]] = {}
    for name, tool in exported.tools.items():
        modules.setdefault(tool.module, {})[tool.name] = name
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"OPENAI_API_KEY": "none", "PYTHONIOENCODING": "utf-8", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    reading = [name for name, tool in exported.tools.items() if tool.signature.effects == "reads"]
    real = {"folder": str(beside), "tools": reading} if beside is not None else None
    for model in exported.models:
        environment |= {model.base_variable or "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    driver = Path(__file__).with_name("driver.py")
    answers: list[dict[str, Any]] = []
    with TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *(python, str(driver), str(file), json.dumps(modules), json.dumps(real)),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=_MOST_ANSWER,
        )
        try:
            for line in lines:
                answer = await _answer(process, line, seconds if answers else seconds + SECONDS)
                if isinstance(answer, str):  # it cannot go on
                    answers += [{"error": answer or _last(errors)}] * (len(lines) - len(answers))
                    break
                answers.append(answer)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    return answers


async def _answer(process: asyncio.subprocess.Process, line: str, seconds: float) -> dict[str, Any] | str:
    """What the program answers to a line; a text where it answers no more: why, or "" where it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            process.stdin.write(f"{line}\n".encode())
            await process.stdin.drain()
            return json.loads(await process.stdout.readline() or '""')
    except TimeoutError:
        return f"it has not ended within {seconds:.0f} seconds"
    except ConnectionError:
        return ""
    except ValueError:
        return "its outputs are no JSON, or too much of it"


def _last(errors: IO[bytes]) -> str:
    """The last that a program said which ended.

    Raises:
        UserError: if it lacks a package.
    """
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4000))
    last = (errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    if missing := re.fullmatch(r"ModuleNotFoundError: No module named '(\w+)'", last):
        raise UserError("the check", f"no package {missing[1]}", mend=f"pip install {missing[1]}")
    return f"it ended: {last}"
