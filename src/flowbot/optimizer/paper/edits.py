"""The paper's outer step (FlowBot, arXiv 2604.26258): W <- optim_workflow(W, {grad_workflow(W, all x, y, loss)})."""

from __future__ import annotations

import json
from collections.abc import Sequence

from flowbot.fields import ModelError, RefusedError
from flowbot.lm.client import Message, Request
from flowbot.lm.mending import mended
from flowbot.optimizer.belief import Belief
from flowbot.optimizer.guard import unsourced
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import expected_text, loss_text, run_text, sentence
from flowbot.optimizer.seams import Context, Focus, Option, Proposal
from flowbot.optimizer.search import WARM
from flowbot.run.events import Arm, Verdict
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.workflow.edits.applying import applied
from flowbot.workflow.edits.draft import EditError
from flowbot.workflow.edits.parse import parse_edits
from flowbot.workflow.edits.schema import edits_schema
from flowbot.workflow.workflow import Workflow

BATCH = 5
"""Rows whose structure gradients are asked for at most."""
TRIES = 3
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


class Edits:
    """Structure gradients of every row of the batch, then one list of edits, which is taken if it is valid; nothing is judged."""

    def options(self, parent: Candidate[WorkflowProgram], context: Context[WorkflowProgram]) -> Sequence[Option]:
        """One: the whole structure."""
        return [Option(Arm(kind="edits"), f"edits {parent.program.hash}", TITLE, Belief(0.0, 0.0), cost=TRIES + BATCH)]

    async def propose(
        self, parent: Candidate[WorkflowProgram], focus: Focus, want: int, context: Context[WorkflowProgram]
    ) -> Sequence[Proposal[WorkflowProgram]]:
        """The edited program, or the faults of `TRIES` tries; nothing where no feedback came."""
        program = parent.program
        await context.run(program, focus.rows, "train")
        rows = context.recorded(program, focus.rows)
        context.watch.step("structure gradients", 0, len(rows))
        told = context.told(program, rows)
        texts = await all_of(self._gradient(context, program.workflow, row) for row in told)
        said = tuple(
            context.feedback(program.hash, row.example.id, "", text) for row, text in zip(rows, texts, strict=True)
        )
        heard = [each for each in said if each.text]
        if not heard:
            return [Proposal(None, TITLE, "meta", feedback=said)]
        edited, changes, faults = await self._edited(context, program.workflow, [each.text for each in heard])
        return [
            Proposal(
                None if edited is None else WorkflowProgram(edited),
                TITLE,
                "meta",
                reason=heard[0].text,
                edits=tuple(changes),
                shown=tuple(row.example.id for row in rows),
                feedback=said,
                because=tuple(each.id for each in heard),
                faults=tuple(faults),
            )
        ]

    def learn(self, outcomes: Sequence[tuple[Candidate[WorkflowProgram], Verdict]]) -> None:
        """Nothing: the protocol has no memory."""

    async def _gradient(self, context: Context[WorkflowProgram], workflow: Workflow, row: Row) -> str:
        prompt = fill(
            "grad_workflow",
            goal=context.task.goal,
            workflow=sentence(workflow),
            run=run_text(row),
            expected=expected_text(row),
            loss=loss_text(row),
        )
        return await context.ask_text(prompt, "gradients", max_tokens=120)

    async def _edited(
        self, context: Context[WorkflowProgram], workflow: Workflow, feedback: list[str]
    ) -> tuple[Workflow | None, list[str], list[str]]:
        """The edited workflow, the edits in words, and the faults of the tries before."""
        faults: list[str] = []
        prompt = Message("user", self._prompt(context, workflow, feedback))
        chat: tuple[Message, ...] = (prompt,)
        for attempt in range(TRIES):
            context.watch.step(f"asking for edits (try {attempt + 1} of {TRIES})")
            edited, changes, said, fault = await self._try(context, workflow, chat, attempt)
            if edited is not None:
                return edited, changes, faults
            faults.append(fault)
            # Only the last try: what is constant comes first, and the chat does not grow.
            chat = (prompt, Message("assistant", said), Message("user", REFUSED.format(error=fault)))
        return None, [], faults

    def _prompt(self, context: Context[WorkflowProgram], workflow: Workflow, feedback: list[str]) -> str:
        return fill(
            "optim_workflow",
            goal=context.task.goal,
            kinds=KINDS,
            edits=EDITS,
            tools="\n".join(f"{name}: {each.about}" for name, each in context.signatures.items()),
            workflow=json.dumps(workflow.sketch.dump(), ensure_ascii=False),
            feedback=feedback,
        )

    async def _try(
        self, context: Context[WorkflowProgram], workflow: Workflow, chat: tuple[Message, ...], attempt: int
    ) -> tuple[Workflow | None, list[str], str, str]:
        """The edited workflow, the edits in words, the reply, and what is wrong with it."""
        said = ""
        try:
            schema = edits_schema(tools=context.signatures, sketch=workflow.sketch)
            # At temperature 0 a small model writes the same edits again, whatever it is told.
            request = Request(chat, MAX_TOKENS, WARM if attempt else 0.0, schema=schema)
            said = await context.ask(request, "proposals", attempt)
            edits = parse_edits(mended(said))
            if not edits:
                return None, [], said, "the list of edits is empty"
            edited = applied(workflow, edits, tools=context.signatures).after
            why = context.guard.copied(edited, workflow) or unsourced(workflow, edited, context.task.splits["train"])
            return (None, [], said, why) if why else (edited, [str(edit) for edit in edits], said, "")
        except (ModelError, RefusedError, EditError, ValueError, RecursionError) as error:
            return None, [], said, str(error)
