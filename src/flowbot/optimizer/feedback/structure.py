"""Structural gradients, asked of a large meta model: what a workflow's structure has to do with its mistakes.

    run      g_i = grad_structure(W, trace of x_i, loss of x_i, what was said of its steps)      a question each, side by side
    batch    g_W = sum(g_1 … g_n)                                                               one question

The sum is at most three labelled diagnoses. Each says of how many runs it speaks, of which steps, whether another prompt could mend it,
and which of the changes that there are would; a change has the votes of the runs whose diagnoses name it. The FlowBot paper (arXiv
2604.26258) hands all g_i to whoever edits; summed and counted they can be told apart, and judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowbot.fields import Field, Type
from flowbot.fields.words import count
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.prompts import fill
from flowbot.optimizer.rendering import fair_share, instruction_text, mistake_text, sentence, value_text
from flowbot.optimizer.seams import Ballots, Context, Option
from flowbot.run.events import Feedback
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.together import all_of
from flowbot.workflow.nodes import walk

from .blame import suspects
from .history import tried_changes
from .parts import is_not_here
from .question import LETTERS, SEEN_TOKENS
from .rules import blamed_by_rule
from .runs import varied

RUNS, DIAGNOSES = 6, 3
FAULT_TOKENS, SUM_TOKENS = 160, 900
NO_STEP = "(no single step)"
_DIAGNOSIS = (
    "{{label: str, fault: str, runs: list[int], steps: list[Literal[{steps}]], "
    "prompt: Literal['yes', 'no', 'unsure'], changes: list[Literal[{letters}]]}}"
)


async def diagnose(parent: Candidate, options: Sequence[Option], wrong: Sequence[Row], context: Context) -> Ballots:
    """The diagnoses of up to `RUNS` failing runs, as far as planned calls are left, as ballots of these runs.

    Args:
        parent: what is to be changed.
        options: what may be named, each by the letter at its place; as many as there are at most.
        wrong: its recorded runs that went wrong.
        context: of the search.
    """
    program, most = parent.program, min(RUNS, int(context.left) - 1)
    rows = varied(wrong, context.rng(f"ballots/{program.hash}"))[: max(0, most)]
    if not rows:
        return Ballots(0, {}, {}, {})
    context.watch.step(f"asking what the structure has to do with {count(len(rows), 'mistake')}")
    asked = await all_of(_gradient(context, program, row) for row in context.told(program, rows))
    said = [each for each in asked if each is not None]
    if not said:
        return Ballots(len(rows), {}, {}, {})
    found = await _summed(context, program, options, said)
    return _ballots(context, program, said, options, found)


async def _gradient(context: Context, program: WorkflowProgram, row: Row) -> Feedback | None:
    """The structural gradient of one run; None where the meta model fails to give one, or sees no fault."""
    paths, room = [path for path, _ in walk(program.workflow.sketch)], SEEN_TOKENS[context.meta_mode]
    lines = _of_steps(context, program, row)
    most = fair_share(lines, room // 4)
    system = fill(
        "grad_structure",
        goal=context.task.goal,
        workflow=sentence(program.workflow),
        steps=_told(program, room // 4),
        no_step=NO_STEP,
    )
    user = [mistake_text(row, 1, context.task.metric, room // 2), f"score {row.score.value:.2f}"]
    user += ["Said of its steps:", *(f"- {value_text(line, most)}" for line in lines)] if lines else []
    fields = [Field.of("fault", "str"), Field("step", Type("literal", options=(*paths, NO_STEP)))]
    reply = await context.ask_fields(system, "\n".join(user), fields, "gradients", max_tokens=FAULT_TOKENS)
    if reply is None or is_not_here(fault := str(reply["fault"]).strip()):
        return None
    place = "" if reply["step"] == NO_STEP else str(reply["step"])
    return context.feedback(program.hash, row.example.id, place, fault)


def _of_steps(context: Context, program: WorkflowProgram, row: Row) -> list[str]:
    """What is known of the steps of a run: textual gradients on them, or else what a rule sees at no cost."""
    heard = [each for each in context.heard(program.hash) if each.example == row.example.id and each.place]
    if lines := [f"{each.place}: {each.text}" for each in heard if not is_not_here(each.text)]:
        return lines
    seen = blamed_by_rule(program, row, context.task.metric, suspects(program))
    return [": ".join(seen)] if seen is not None and len(row.trace.steps) > 1 else []


def _told(program: WorkflowProgram, tokens: int) -> list[Mapping[str, str]]:
    texts = {path: instruction_text(program.workflow, path) for path, _ in walk(program.workflow.sketch)}
    most = fair_share(texts.values(), tokens)
    return [{"step": path, "told": value_text(text, most)} for path, text in texts.items() if text]


async def _summed(
    context: Context, program: WorkflowProgram, options: Sequence[Option], said: Sequence[Feedback]
) -> list[Mapping[str, Any]]:
    """The diagnoses as the meta model writes them; none where it fails to."""
    room = SEEN_TOKENS[context.meta_mode]
    changes = [
        {"letter": letter, "title": each.title, "place": each.arm.place}
        for letter, each in zip(LETTERS, options, strict=False)
    ]
    system = fill(
        "sum_structure",
        goal=context.task.goal,
        workflow=sentence(program.workflow),
        steps=_told(program, room // 4),
        most=DIAGNOSES,
        changes=changes,
        tried=tried_changes(context.population),
    )
    most = fair_share([each.text for each in said], room // 4)
    lines = [
        f"{number}) {f'[{each.place}] ' if each.place else ''}{value_text(each.text, most)}"
        for number, each in enumerate(said, start=1)
    ]
    kind = _DIAGNOSIS.format(
        steps=", ".join(repr(path) for path, _ in walk(program.workflow.sketch)),
        letters=", ".join(repr(each["letter"]) for each in changes),
    )
    fields = [Field.of("diagnoses", f"list[{kind}]")]
    reply = await context.ask_fields(system, "\n".join(lines), fields, "gradients", max_tokens=SUM_TOKENS)
    return [] if reply is None else list(reply["diagnoses"])[:DIAGNOSES]


def _ballots(
    context: Context,
    program: WorkflowProgram,
    said: Sequence[Feedback],
    options: Sequence[Option],
    found: Sequence[Mapping[str, Any]],
) -> Ballots:
    """The diagnoses as feedback, and as votes: one of each run of which a diagnosis that names a change speaks."""
    runs: dict[str, set[int]] = {}
    reasons: dict[str, str] = {}
    because: dict[str, dict[str, None]] = {}
    steps: dict[str, None] = {}
    beyond: set[str] = set()
    diagnoses: list[Feedback] = []
    for each in found:
        of: list[int] = sorted({number for number in each["runs"] if 1 <= number <= len(said)})
        label, fault = (str(each[part]).strip().rstrip(".") for part in ("label", "fault"))
        if not of or is_not_here(fault):
            continue
        about = list(dict.fromkeys(map(str, each["steps"])))
        where = f", at {', '.join(about)}" if about else ""
        text = f"{label}: {fault} ({len(of)} of {count(len(said), 'run')}{where}; another prompt could mend it: {each['prompt']})"
        after = [said[number - 1].id for number in of]
        told = context.feedback(program.hash, "", about[0] if len(about) == 1 else "", text, after=after)
        diagnoses.append(told.model_copy(update={"mends": each["prompt"]}))
        steps |= dict.fromkeys(about)
        named = {options[LETTERS.index(letter)].key for letter in each["changes"]}
        for key in sorted(named):
            runs.setdefault(key, set()).update(of)
            reasons.setdefault(key, text)
            because.setdefault(key, {}).update(dict.fromkeys([told.id, *after]))
        if each["prompt"] == "no":
            beyond |= named | {option.key for option in options if option.arm.place in about}
    return Ballots(
        asked=len(said),
        won={key: len(of) for key, of in runs.items()},
        reasons=reasons,
        because={key: tuple(ids) for key, ids in because.items()},
        feedback=(*said, *diagnoses),
        steps=tuple(steps),
        beyond=frozenset(beyond),
    )
