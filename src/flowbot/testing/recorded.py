"""Replies read from a file: real answers of a real model, for tests that need no endpoint.

    recorded/FILE.jsonl                                 answers from the file; nothing is ever sent
    recorded/FILE.jsonl?record=openai/gpt-4.1-mini      asks that model for what the file lacks and appends it

To record anew, remove the file and give the second form once: `flowbot eval FLOW TASK --model
'recorded/FILE.jsonl?record=openai/gpt-4.1-mini'`. A line is `{"model": identity, "request": request, "reply": reply}`;
requests are found by their content, seed included.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from flowbot.fields import InfrastructureError, UserError, stable_hash
from flowbot.fields.files import open_own, read_text, require_own, write_all
from flowbot.fields.foreign import Record, checked
from flowbot.fields.paths import home_path
from flowbot.fields.secrets import hide
from flowbot.fields.yaml import parse_json
from flowbot.lm.client import Client, Identity, Patience, Reply, Request
from flowbot.lm.options import split_options
from flowbot.lm.rows import read_reply
from flowbot.lm.thinking import QUESTION, known_thinking_budget

MOST_RECORDED = 256_000_000
"""Bytes of the largest file that is read."""
_DIFFERENCE_LINES = 24


class _Said(Record):
    role: str
    content: str
    calls: Sequence[dict[str, Any]] = ()


class _Request(Record):
    messages: list[_Said]


class _Line(Record):
    """What is read of a line. What else a request holds is compared as it is."""

    request: _Request
    reply: dict[str, Any]


class RecordedClient:
    """A `Client` that answers from a file.

    Args:
        path: the JSON-lines file.
        source: asked for what the file lacks, and its replies appended; None to refuse instead.

    Failure policy: a request that the file lacks is a `UserError` that shows the nearest one and what differs; with a
    `source`, what the source raises. A reply is on disk before it is returned.

    Raises:
        UserError: for a missing file (without `source`) or a malformed line.
    """

    price_ref: str | None = "free"
    default_concurrency: int = 16

    def __init__(self, path: Path, source: Client | None = None) -> None:
        self._path = path
        self._source = source
        self._lines = _read(path, may_lack=source is not None)
        self.identity = self._identify()
        self.thinking = self._thinking()
        if source is not None:
            self.price_ref = source.price_ref
            self.default_concurrency = source.default_concurrency
            self.tier = getattr(source, "tier", None)

    async def complete(self, request: Request, patience: Patience | None = None) -> Reply:
        """The recorded reply to this very request."""
        line = self._lines.get(_key(request.dump()))
        if line is not None:
            return replace(read_reply(line["reply"]), besides=None)  # that was paid then, not now
        if self._source is None:
            raise self._miss(request)
        reply = await self._source.complete(request, patience)
        line = {"model": self._source.identity.dump(), "request": request.dump(), "reply": reply.dump()}
        self._append(hide(line))  # a file of recorded replies is made to be passed on
        return reply

    async def close(self) -> None:
        """Close the source, if there is one."""
        if self._source is not None:
            await self._source.close()

    def _identify(self) -> Identity:
        if self._source is not None:
            return self._source.identity  # what is recorded is that model's, and stored as such
        content = stable_hash([[line["request"], line["reply"]] for line in self._lines.values()])
        return Identity("recorded", "", self._path.name, (("content", content[:16]),))

    def _thinking(self) -> int | None:
        """Room for thoughts, as the model had it whose replies these are."""
        if self._source is not None:
            return getattr(self._source, "thinking", 0)
        if _key(QUESTION.dump()) in self._lines:
            return None  # it was asked, and the file has its reply
        model: Any = next((line.get("model") for line in self._lines.values()), None)
        given = cast("dict[str, Any]", model) if isinstance(model, dict) else {}
        extra = cast("dict[str, Any]", found) if isinstance(found := given.get("extra"), dict) else {}
        told = str(extra.get("thinking", ""))
        if told.isdecimal():
            return int(told)
        return known_thinking_budget(str(given.get("name", "")), effort=str(extra.get("reasoning_effort", ""))) or 0

    def _append(self, line: dict[str, Any]) -> None:
        self._lines[_key(line["request"])] = line
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open_own(self._path, "a") as file:
                # Half a surrogate pair becomes a question mark, as whoever asked for the reply makes of it.
                write_all(file, (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="replace"))
        except OSError as error:
            raise InfrastructureError(
                f"{self._path}: cannot be written ({error.strerror})", kind="disk", fatal=True
            ) from error

    def _miss(self, request: Request) -> UserError:
        wanted = _readable(request.dump())
        nearest, best = "", -1.0
        for line in self._lines.values():
            text = _readable(line["request"])
            # Beginnings and ends are much alike in all requests; quick_ratio tells them apart well enough to choose.
            likeness = difflib.SequenceMatcher(None, wanted, text, autojunk=False).quick_ratio()
            if likeness > best:
                nearest, best = text, likeness
        changes = list(
            difflib.unified_diff(
                nearest.splitlines(), wanted.splitlines(), "nearest recorded", "asked now", lineterm="", n=1
            )
        )
        if len(changes) > _DIFFERENCE_LINES:
            changes = [*changes[:_DIFFERENCE_LINES], f"… {len(changes) - _DIFFERENCE_LINES} more lines"]
        return UserError(
            str(self._path),
            f"no reply to this request among {len(self._lines)} recorded" + "".join(f"\n  {line}" for line in changes),
            mend="ask a model for what is missing with "
            f"--model 'recorded/{self._path}?record=PROVIDER/NAME' (remove the file first to record anew)",
        )


def open_recorded(rest: str, opener: Callable[[str], Client]) -> Client:
    """The client of `recorded/REST`.

    Args:
        rest: the file, and `?record=MODEL` to record.
        opener: opens the client of a model string.

    Raises:
        UserError: for a missing or malformed file, or an unknown option.
    """
    where = f"model recorded/{rest}"
    name, options = split_options(rest, where, ["record"], last="record")
    if not name:
        raise UserError(where, "no file", "recorded/FILE.jsonl")
    source = opener(options["record"]) if "record" in options else None
    return RecordedClient(home_path(name, where), source)


def _read(path: Path, *, may_lack: bool) -> dict[str, dict[str, Any]]:
    if may_lack:
        require_own(path)  # what is recorded will be written to it
    if not os.path.exists(path):
        if may_lack:
            return {}
        raise UserError(str(path), "no such file", "a file of recorded replies, or ?record=PROVIDER/NAME to make it")
    content = read_text(path, limit=MOST_RECORDED)
    lines: dict[str, dict[str, Any]] = {}
    for number, text in enumerate(content.split("\n"), 1):
        if not text.strip():
            continue
        line = parse_json(text, str(path), line=number, halves=True)
        expected = 'a line {"model": …, "request": …, "reply": …}'
        checked(_Line, line, f"{path}:{number}", expected)
        try:
            read_reply(line["reply"])
        except ValueError as error:
            raise UserError(f"{path}:{number}: reply", what=str(error), mend=f"write {expected}") from None
        lines.setdefault(_key(line["request"]), line)
    return lines


def _key(request: Mapping[str, Any]) -> str:
    """By content, secrets masked as in the file; a schema by its text, since the order of its properties matters to a model."""
    request = hide(request)
    return stable_hash({**request, "schema": json.dumps(request.get("schema"))})


def _readable(request: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for message in request.get("messages", []):
        parts += [f"[{message.get('role')}]", str(message.get("content", ""))]
        parts += [f"{call.get('name')} {call.get('arguments')}" for call in message.get("calls", [])]
    parts += [f"[{name}] {json.dumps(value)}" for name, value in request.items() if name != "messages"]
    return "\n".join(parts)
