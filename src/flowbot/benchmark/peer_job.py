"""What a peer is given, and what it gives: the job, the rows and the metric in words; predictions, read at the door."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from flowbot.fields import Field, UserError, ValueMismatch
from flowbot.fields.bounds import MESSAGE_BYTES
from flowbot.fields.files import read_bytes, write_text
from flowbot.fields.foreign import short
from flowbot.fields.words import brief, count, kind_of, some
from flowbot.task import Example, Metric, Task
from flowbot.task.built_in import COMPARISONS
from flowbot.task.source_code import underlying

from .peer_command import PeerError

_MOST_PREDICTIONS = 200_000_000
_MOST_PROGRAM = 10_000_000
_MOST_WORDS = 4_000
_NAMED = re.compile(r" \(`\w+`\)")
"""What a docstring says to readers of the code alone."""


def metric_words(metric: Metric) -> str:
    """What a metric rewards, in words that a person or a model can use: 1 is the best score, 0 the worst."""
    if metric.parts:
        told = [
            f"{name} (weight {part.weight:g}{', of ' + ', '.join(part.on) if part.on else ''}): {metric_words(part.metric)}"
            for name, part in metric.parts.items()
        ]
        return "\n".join(["The weighted mean of:", *(f"- {each}" for each in told)])
    if metric.judge is not None:
        scale = ", ".join(f"{verdict} = {value:g}" for verdict, value in metric.judge.scale)
        criteria = [f"- {each.text} (weight {each.weight:g})" for each in metric.judge.criteria]
        return "\n".join([f"A model judges the answer, the weighted mean of these criteria ({scale}):", *criteria])
    if metric.built_in:
        about = (inspect.getdoc(COMPARISONS[metric.name]) or "").partition("\n\n")[0]
        return f"{metric.name}: {_NAMED.sub('', about)} The mean over the expected outputs."
    return brief(inspect.getdoc(underlying(metric.call)) or f"the function {metric.name}", _MOST_WORDS)


def task_facts(task: Task) -> dict[str, Any]:
    """The job's `task`."""

    def told(fields: Iterable[Field]) -> list[dict[str, str]]:
        return [{"name": each.name, "type": str(each.type), "about": each.about} for each in fields]

    return {
        "goal": task.goal,
        "inputs": told(task.inputs),
        "outputs": told(task.outputs),
        "metric": metric_words(task.metric),
        "judge_calls": task.metric.judge_calls,
    }


def write_rows(path: Path, examples: Iterable[Example], *, expected: bool) -> None:
    """Write examples as JSON Lines: id and inputs, and the expected outputs where they may be seen."""
    rows = (
        {"id": each.id, "inputs": dict(each.inputs), **({"expected": dict(each.expected)} if expected else {})}
        for each in examples
    )
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), errors="replace")


def typed_outputs(task: Task, given: object) -> dict[str, Any]:
    """A peer's outputs as the task's types; what is no output of the task is left out.

    Raises:
        ValueMismatch: naming the output that is missing or of another type.
    """
    if not isinstance(given, Mapping):
        raise ValueMismatch(f"outputs: found {kind_of(given)}; expected an object")
    values = cast("Mapping[str, Any]", given)
    wanted = ", ".join(field.name for field in task.outputs)
    for field in task.outputs:
        if field.name not in values:
            raise ValueMismatch(f"outputs: found no {field.name!r}; expected {wanted}")
    return {field.name: field.type.coerce(values[field.name], field.name) for field in task.outputs}


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a peer gives for some examples.

    Args:
        outputs: by the example's id; None where they are of no use.
        faults: why, by id, of those that are None.
        missing: ids that it gives nothing for.
    """

    outputs: Mapping[str, dict[str, Any] | None]
    faults: Mapping[str, str]
    missing: tuple[str, ...]

    @property
    def said(self) -> list[str]:
        """What is wrong with them, in lines."""
        lines = [f"no prediction for {some(self.missing)}: they score 0"] if self.missing else []
        if self.faults:
            name, fault = next(iter(self.faults.items()))
            lines.append(f"{count(len(self.faults), 'prediction')} of no use score 0, as {name}: {fault}")
        return lines


def read_predictions(path: Path, task: Task, examples: Iterable[Example]) -> Predictions:
    """The predictions in a peer's file. One whose outputs are not of the task's types scores as a reply of no use does.

    Raises:
        PeerError: if there is no such file, it is too large, or a line is no prediction for one of the examples, or a second
            one; names the line.
    """
    ids = [each.id for each in examples]
    known = frozenset(ids)
    outputs: dict[str, dict[str, Any] | None] = {}
    faults: dict[str, str] = {}
    for number, line in enumerate(_read(path, _MOST_PREDICTIONS).split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        row = _parsed(line, where)
        name = row.get("id")
        if not isinstance(name, str) or name not in known or "outputs" not in row:
            raise PeerError(f'{where}: found {short(row)}; expected {{"id": …, "outputs": {{…}}}} with a row\'s id')
        if name in outputs:
            raise PeerError(f"{where}: found {name!r:.200} again; expected each row once")
        outputs[name] = None
        try:
            outputs[name] = typed_outputs(task, row["outputs"])
        except ValueMismatch as error:
            faults[name] = str(error)
    return Predictions(outputs, faults, tuple(name for name in ids if name not in outputs))


def read_summary(path: Path) -> str:
    """What a peer says of the program that it found, in a line: the `summary` of its file; "" where it says nothing.

    Raises:
        PeerError: if there is no such file, or it is no JSON object.
    """
    said = _parsed(_read(path, _MOST_PROGRAM), path.name, _MOST_PROGRAM).get("summary")
    return brief(said) if isinstance(said, str) else ""


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_bytes(path, limit=limit, links=False)
    except UserError as error:
        raise PeerError(f"{path.name}: {error.what}; {error.mend}") from None


def _parsed(text: bytes, where: str, most: int = MESSAGE_BYTES) -> dict[str, Any]:
    if len(text) > most:
        raise PeerError(f"{where}: found {len(text):,} bytes; expected at most {most:,}")
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        raise PeerError(f"{where}: found no JSON; expected a JSON object") from None
    if not isinstance(found, dict):
        raise PeerError(f"{where}: found {kind_of(found)}; expected a JSON object")
    return cast("dict[str, Any]", found)
