"""Several different changes of a structure in one reply of a large meta model, each a short list of typed edits; what is refused goes back
with the checker's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from flowbot.fields import ModelError, RefusedError
from flowbot.fields.numbers import is_number
from flowbot.lm.client import Message, Request
from flowbot.lm.mending import mended
from flowbot.optimizer.editing import edited, structure
from flowbot.optimizer.meta_questions import WARM
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import value_text
from flowbot.optimizer.seams import Context
from flowbot.workflow.edits.schema import edits_schema
from flowbot.workflow.edits.written import TEXT, Schema, array, closed
from flowbot.workflow.workflow import Workflow

AT_ONCE = 4
"""Changes of one reply."""
MOST_EDITS = 3
TRIES = 3
"""Calls that it takes at most: what is refused is asked for again twice."""
MAX_TOKENS = 2400
_LETTERS = 300
"""Of a node's name or a claim."""


@dataclass(frozen=True, slots=True)
class Written:
    """One change.

    Args:
        node: that it is about, as the model says.
        claim: what will be right afterwards.
        effect: gain in score that the model expects; None where it gave none.
        after: the workflow with it; None where it is refused.
        edits: in words.
        faults: of the tries before, and of this one.
    """

    node: str = ""
    claim: str = ""
    effect: float | None = None
    after: Workflow | None = None
    edits: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


async def several_edits(context: Context, workflow: Workflow, question: str) -> list[Written]:
    """Up to `AT_ONCE` changes, each of a structure of its own, in the order in which they were written; one without any, and the faults,
    where no reply held a change."""
    found: list[Written] = []
    lost: list[str] = []
    asked = Message("user", question)
    chat: tuple[Message, ...] = (asked,)
    for attempt in range(TRIES):
        context.watch.step(f"asking for edits (try {attempt + 1} of {TRIES})")
        said, changes, fault = await _try(context, workflow, chat, attempt)
        lost += [fault] if fault else []
        places = [place for place, each in enumerate(found) if each.after is None] or range(AT_ONCE)
        for place, change in zip(places, changes, strict=False):
            made = _made(context, workflow, change)
            if place < len(found):
                found[place] = replace(made, faults=(*found[place].faults, *made.faults))
            else:
                found.append(made)
        refused = [{"claim": each.claim, "fault": each.faults[-1]} for each in found if each.after is None]
        if found and not refused:
            break
        told = fill("edits_refused", refused=refused or [{"claim": "", "fault": fault}])
        # Only the last try: what is constant comes first, and the chat does not grow.
        chat = (asked, Message("assistant", said), Message("user", told))
    return _different(found) or [Written(faults=tuple(lost))]


async def _try(
    context: Context, workflow: Workflow, chat: tuple[Message, ...], attempt: int
) -> tuple[str, list[Mapping[str, Any]], str]:
    """The reply, the changes in it as data, and why there are none."""
    # At temperature 0 a model writes the same edits again, whatever it is told.
    request = Request(chat, MAX_TOKENS, WARM if attempt else 0.0, schema=_schema(context, workflow))
    try:
        said = await context.ask(request, "proposals", attempt)
    except (ModelError, RefusedError) as error:
        return "", [], str(error)
    data = mended(said)
    listed = cast("dict[str, Any]", data).get("changes") if isinstance(data, dict) else None
    changes = cast("list[Any]", listed) if isinstance(listed, list) else []
    found = [cast("Mapping[str, Any]", each) for each in changes if isinstance(each, dict)]
    return said, found, "" if found else "the reply holds no list of changes"


def _schema(context: Context, workflow: Workflow) -> Schema:
    """`{"changes": [{node, claim, effect, edits}]}`."""
    schema = edits_schema(tools=context.signatures, sketch=workflow.sketch, max_edits=MOST_EDITS)
    change = closed({"node": TEXT, "claim": TEXT, "effect": {"type": "number"}, "edits": schema["properties"]["edits"]})
    return {**closed({"changes": {**array(change, 1), "maxItems": AT_ONCE}}), "$defs": schema["$defs"]}


def _made(context: Context, workflow: Workflow, written: Mapping[str, Any]) -> Written:
    """A change with the workflow that it makes, or with what is wrong with it."""
    node, claim = (value_text(str(written.get(part) or ""), _LETTERS).strip() for part in ("node", "claim"))
    effect = written.get("effect")
    expected = float(effect) if is_number(effect) and -1 <= effect <= 1 else None
    after, edits, fault = edited(context, workflow, written.get("edits"), MOST_EDITS)
    if after is not None and structure(after) == structure(workflow):
        after, fault = None, "the structure is as it was: change a step, its code or tools, or the wiring"
    return Written(node, claim, expected, after, edits, (fault,) if fault else ())


def _different(changes: Sequence[Written]) -> list[Written]:
    """The changes, without the workflow where an earlier one has its structure."""
    first: dict[str, str] = {}
    found: list[Written] = []
    for each in changes:
        made = None if each.after is None else structure(each.after)
        if made in first:
            fault = f"the same structure as another change of the reply, “{first[made]}”"
            each = replace(each, after=None, faults=(*each.faults, fault))
        elif made is not None:
            first[made] = each.claim
        found.append(each)
    return found
