"""Rows of what was served, for a search to learn from: JSON Lines that a task's `data` reads, feedback and all."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field as Pattern

from flowbot.fields import UserError, ValueMismatch
from flowbot.fields.files import lines, open_own, opened, write_all
from flowbot.fields.foreign import Record, checked
from flowbot.lm.charged import Charged
from flowbot.task.amended import AMENDS
from flowbot.task.examples import FEEDBACK

if TYPE_CHECKING:
    from .face import Face

_MOST_LINE = 64 * 2**20
_SERVED = re.compile(rb'\{"id": "([0-9a-f]{24})"')

_log = logging.getLogger(__name__)


class _Said(Record, extra="forbid"):
    """What somebody says of a request."""

    id: Annotated[str, Pattern(pattern=r"^[0-9a-f]{24}$")]
    outputs: dict[str, Any] | None = None
    right: bool | None = None
    feedback: Annotated[str, Pattern(max_length=4_000)] | None = None


class Recording:
    """A file that rows are added to; several processes may add to the same one.

    A request's row holds its id, inputs and outputs. Feedback is a row that amends it: outputs as they should have been, and words.

    Args:
        file: ends in `.jsonl`; made if it is missing.
        face: the workflow's fields.

    Raises:
        UserError: if it cannot be written, or a field has a name that the file needs.
    """

    def __init__(self, file: Path, face: Face) -> None:
        inputs, outputs = ({field.name for field in fields} for fields in (face.inputs, face.outputs))
        names = inputs | outputs
        if both := sorted(inputs & outputs):
            raise UserError(
                "--record", f"{both[0]} as an input and as an output", "two names: a row has one column of each"
            )
        if taken := sorted(names & {"id", AMENDS, FEEDBACK}):
            raise UserError(
                "--record", f"a workflow with a field {taken[0]}", "other names: rows have columns of that name"
            )
        if file.suffix.lower() != ".jsonl":
            raise UserError(
                f"--record {file}", f"a name that ends in {file.suffix or 'nothing'!r}", "one that ends in .jsonl"
            )
        self._path, self._face = file, face
        self._ids, self._read, self._reading = Charged(), 0, threading.Lock()
        try:
            self._file = open_own(file, "a")
        except OSError as error:
            raise UserError(f"--record {file}", str(error.strerror), "a file that can be written") from None

    def add(self, id: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Keep one request. A disk that fails is logged, and the client is served all the same."""
        self._write({"id": id, **inputs, **outputs})

    async def amend(self, said: Any) -> None:
        """Keep what somebody says of a request that was served.

        Args:
            said: `id`, and one or more of `outputs` (as they should have been), `right` (whether they were) and `feedback` (words).

        Raises:
            UserError: if it is not that, or the file has no such request.
        """
        checked_said = checked(_Said, said, "feedback")
        row = self._amendment(checked_said)
        if not await asyncio.to_thread(self._has, checked_said.id):
            raise UserError("feedback: id", f"{checked_said.id}, of no row here", "the id of a request that was served")
        self._write(row)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _amendment(self, said: _Said) -> dict[str, Any]:
        types = {field.name: field.type for field in self._face.outputs}
        row: dict[str, Any] = {AMENDS: said.id}
        if said.right is False:
            row |= dict.fromkeys(types)  # null: what was answered is not what is expected
        for name, value in (said.outputs or {}).items():
            if name not in types:
                raise UserError("feedback: outputs", f"the unknown output {name:.80}", ", ".join(types))
            try:
                row[name] = types[name].coerce(value, name)
            except ValueMismatch as error:
                raise UserError("feedback: outputs", what=str(error), mend="give values of their types") from None
        right = {} if said.right is None else {"right": said.right}
        return row | right | ({FEEDBACK: said.feedback} if said.feedback else {})

    def _has(self, id: str) -> bool:
        """Whether a request of that id was served, by any process. Only what was written since the last time is read: of each row its id is kept."""
        with self._reading, opened(self._path, links=False) as file:
            if os.fstat(file.fileno()).st_size < self._read:  # somebody has begun it anew
                self._ids, self._read = Charged(), 0
            file.seek(self._read)
            for line in lines(file, str(self._path), most=_MOST_LINE):
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                if served := _SERVED.match(line):
                    self._ids.add(served[1].decode())
            return id in self._ids

    def _write(self, row: Mapping[str, Any]) -> None:
        try:
            write_all(self._file, json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        except OSError as error:
            _log.error("the record %s cannot be written: %s", self._path, error.strerror)
