"""The paper's outer step (FlowBot, arXiv 2604.26258): W <- optim_workflow(W, {grad_workflow(W, all x, y, loss)})."""

from __future__ import annotations

import json
from asyncio import create_task
from collections.abc import Sequence

from flowbot.fields import ModelError, RefusedError
from flowbot.lm.client import Message, Request
from flowbot.lm.mending import mended
from flowbot.optimizer.guard import unsourced
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.search import Search
from flowbot.optimizer.words import expected_text, loss_text, run_text, sentence
from flowbot.run.events import Arm
from flowbot.runtime.evaluation import Row
from flowbot.runtime.together import together
from flowbot.task import Example
from flowbot.workflow.edits import EditError, apply, describe, edits_schema, parse_edits
from flowbot.workflow.workflow import Workflow

TRIES = 3
WARMER = 0.7
"""Temperature of the tries after the first."""
MAX_TOKENS = 700
TITLE = "edits by the meta model"
REFUSED = "These edits were refused: {error}\nWrite the edits again with that mended."
KINDS = """llm: a prompt and typed outputs: {"kind": "llm", "in": {"name": "reference"}, "out": {"name": "type"}}
code: Python `def run(...)`: {"kind": "code", "in": {...}, "out": {...}}
merge: joins ways or samples: {"kind": "merge", "how": "first|vote|concat|judge", "in": ["reference", ...], "out": {"name": "type"}}
tool: {"kind": "tool", "tool": "name", "in": {...}, "out": {...}}
branch: takes one way: {"kind": "branch", "in": {...}, "ways": {"label": {"ref": "input", "op": ">", "value": 3}, "other": "else"}}; \
a node with "when": "branch.label" runs on that way only; ways without conditions: a model chooses
loop: repeats its nodes: {"kind": "loop", "max": 3, "until": {"ref": "step.output", "op": "==", "value": true}, \
"carry": {"name": {"type": "...", "start": "reference", "next": "step.output"}}, "nodes": {...}}; its outputs are what it carries
map: runs its nodes for each item of a list: {"kind": "map", "over": "reference", "as": "item", "limit": 10, "nodes": {...}, \
"out": {"name": "step.output"}}; its outputs are lists
A node inside a loop or map is named "outer/inner"; it reads what stands around it, what the loop carries, or the item."""

EDITS = """add a node; remove one (bypass: what is read instead); replace; rewire an input; rename; output: take an output from elsewhere; \
rewrite: all nodes anew
split a call in two; fuse two calls; review: a call is criticised and revised; ensemble: several samples and a vote; \
decompose: list the parts, answer each, combine; insert_branch; insert_retrieval; insert: a step before or after another"""


class PaperOuter:
    """Structure gradients of every example of the batch, then one edit list, applied if it is valid; no race."""

    async def step(self, search: Search, workflow: Workflow, batch: Sequence[Example], number: int) -> Workflow:
        """The edited workflow, or the same when no valid edit came in `TRIES` tries."""
        rows = await search.score(workflow, batch, "train", "running the batch")
        search.watch.step("structure gradients", 0, len(rows))
        texts = await together([create_task(self._gradient(search, workflow, row)) for row in rows])
        said = [search.feedback(workflow, row.example.id, "", text) for row, text in zip(rows, texts, strict=True)]
        because = [each for each in said if each.text]
        feedback = [each.text for each in because]
        if not feedback:
            return workflow
        errors: list[str] = []
        chat: tuple[Message, ...] = (self._prompt(search, workflow, feedback),)
        for attempt in range(TRIES):
            search.watch.step(f"asking for edits (try {attempt + 1} of {TRIES})")
            edited, changes, said, error = await self._propose(search, workflow, chat, attempt)
            if edited is not None:
                search.propose(
                    edited, workflow, level="structure", arm=Arm(kind="edits"), source="meta", title=TITLE,
                    because=because, shown=[row.example.id for row in rows], edits=changes, faults=errors,
                )  # fmt: skip
                return edited
            errors.append(error)
            # Only the last try: what is constant comes first, and the chat does not grow.
            chat = (chat[0], Message("assistant", said), Message("user", REFUSED.format(error=error)))
        search.propose(
            None, workflow, level="structure", arm=Arm(kind="edits"), source="meta", title=TITLE,
            because=because, shown=[row.example.id for row in rows], faults=errors,
        )  # fmt: skip
        return workflow

    async def _gradient(self, search: Search, workflow: Workflow, row: Row) -> str:
        prompt = fill(
            "grad_workflow",
            goal=search.task.goal,
            workflow=sentence(workflow),
            run=run_text(row),
            expected=expected_text(row),
            loss=loss_text(row),
        )
        return await search.ask_text(prompt, "gradients", max_tokens=120)

    def _prompt(self, search: Search, workflow: Workflow, feedback: list[str]) -> Message:
        prompt = fill(
            "optim_workflow",
            goal=search.task.goal,
            kinds=KINDS,
            edits=EDITS,
            tools="\n".join(f"{name}: {each.about}" for name, each in search.signatures.items()),
            workflow=json.dumps(workflow.sketch.dump(), ensure_ascii=False),
            feedback=feedback,
        )
        return Message("user", prompt)

    async def _propose(
        self, search: Search, workflow: Workflow, chat: tuple[Message, ...], attempt: int
    ) -> tuple[Workflow | None, list[str], str, str]:
        """The edited workflow, the edits in words, the reply, and what is wrong with it."""
        signatures = search.signatures
        said = ""
        try:
            schema = edits_schema(tools=signatures, sketch=workflow.sketch)
            # At temperature 0 a small model writes the same edits again, whatever it is told.
            request = Request(chat, MAX_TOKENS, WARMER if attempt else 0.0, schema=schema)
            draw = (attempt,) if attempt else ()
            said = (await search.meta.ask(request, purpose="proposals", draw=draw)).text
            edits = parse_edits(mended(said))
            if not edits:
                return None, [], said, "the list of edits is empty"
            edited = apply(workflow, edits, tools=signatures)
            if why := search.guard.copied(edited, workflow) or unsourced(workflow, edited, search.task.splits["train"]):
                return None, [], said, why
            return edited, [describe(edit) for edit in edits], said, ""
        except (ModelError, RefusedError, EditError, ValueError, RecursionError) as error:
            return None, [], said, str(error)
