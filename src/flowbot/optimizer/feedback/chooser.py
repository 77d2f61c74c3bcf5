"""One rich question to a large meta model: it reads whole runs and what was measured, and names up to three changes with its claims."""

from __future__ import annotations

from collections.abc import Sequence

from flowbot.fields import Field
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import instruction_text, mistake_text, sentence, value_text
from flowbot.optimizer.seams import Ballots, Context, Option
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.nodes import walk

from .history import tried_changes
from .runs import varied

MISTAKES, CHOICES = 6, 3
TOKENS = 900
"""Of one mistake, what every step gave included."""
MAX_TOKENS = 500
_CHOICE = "{{fault: str, claim: str, change: Literal[{letters}]}}"


async def choose(
    parent: Candidate[WorkflowProgram],
    options: Sequence[Option],
    letters: str,
    wrong: Sequence[Row],
    context: Context[WorkflowProgram],
) -> Ballots:
    """One ballot that names up to `CHOICES` options.

    Args:
        parent: what is to be changed.
        options: what may be named, each by the letter at its place.
        letters: as many at least.
        wrong: its recorded runs that went wrong.
        context: of the search.
    """
    program, task = parent.program, context.task
    rows = varied(wrong, context.rng(f"ballots/{program.hash}"))[:MISTAKES]
    changes = [
        {"letter": letter, "title": each.title, "place": each.arm.place}
        for letter, each in zip(letters, options, strict=False)
    ]
    told = {path: instruction_text(program.workflow, path) for path, _ in walk(program.workflow.sketch)}
    system = fill(
        "choose_changes",
        goal=task.goal,
        workflow=sentence(program.workflow),
        steps=[{"step": path, "told": value_text(text)} for path, text in told.items() if text],
        most=CHOICES,
        changes=changes,
        tried=tried_changes(context.population),
    )
    shown = context.told(program, rows)
    texts = [mistake_text(row, number, task.metric, TOKENS) for number, row in enumerate(shown, start=1)]
    kind = _CHOICE.format(letters=", ".join(repr(each["letter"]) for each in changes))
    fields = [Field.of("choices", f"list[{kind}]")]
    reply = await context.ask_fields(system, "\n\n".join(texts), fields, "gradients", max_tokens=MAX_TOKENS)
    reasons: dict[str, str] = {}
    for each in (reply or {}).get("choices", [])[:CHOICES]:
        said = " ".join(str(each[part]).strip().rstrip(".") + "." for part in ("fault", "claim") if each[part].strip())
        reasons.setdefault(options[letters.index(each["change"])].key, said)
    text = " ".join(dict.fromkeys(reasons.values()))
    feedback = tuple(context.feedback(program.hash, row.example.id, "", text) for row in rows) if text else ()
    because = tuple(each.id for each in feedback)
    return Ballots(1, dict.fromkeys(reasons, 1), reasons, dict.fromkeys(reasons, because), feedback)
