"""The part of `flowbot check` that asks models one question each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbot.fields import DeniedError, FlowBotError, InfrastructureError, UserError
from flowbot.fields.words import count, money
from flowbot.lm.endpoint import advice
from flowbot.lm.lm import LM
from flowbot.lm.prices import Price
from flowbot.runtime.allowed_models import allowed_models, require_allowed_models
from flowbot.runtime.engine import Engine
from flowbot.runtime.open_model import open_lm
from flowbot.runtime.probe import Probe, probe
from flowbot.runtime.reference_answers import JUDGED, score_expected, spread, telling_apart
from flowbot.task import Example
from flowbot.task.quality import Remark

from .findings import Findings
from .task import all_rows, every_row

if TYPE_CHECKING:
    from flowbot.lm.session import Session
    from flowbot.runtime.reference_answers import AnswerScore
    from flowbot.task.defects import ReadTask

REPLY_TOKENS = 512
"""Room that a step's reply and its prompt may want beside the inputs."""
_BYTES_A_TOKEN = 3.5


@dataclass(frozen=True, slots=True)
class Asking:
    """Which models are asked, and how.

    Args:
        models: model strings by the option that names them, such as `--model`; none: no model is asked.
        listed: what else judges of files may name.
        price: USD per million input and output tokens, where a price is not known.
        cache_dir: folder of the store, of local models and of search indexes.
        say: is called with a line about what takes long.
    """

    models: Mapping[str, str]
    listed: Sequence[str]
    price: Price | None
    cache_dir: Path
    say: Callable[[str], None]


async def ask_models(asking: Asking, session: Session, findings: Findings) -> None:
    """Ask each model one question; one that does not answer is a defect. Adds facts `model`, `meta_model`, `models`…"""

    if not asking.models:
        findings.rows.append(("Model", "none was asked; --model NAME proves its key, its name and what it can do"))
    asked: dict[str, Probe] = {}
    for option, model in asking.models.items():
        name = option.removeprefix("--")
        try:
            if model not in asked:
                asked[model] = await probe(
                    model, session, cache_dir=asking.cache_dir, price=asking.price, say=asking.say
                )
        except (InfrastructureError, UserError) as error:
            why = error.what if isinstance(error, UserError) else str(error)
            why = error.reason if isinstance(error, DeniedError) else why
            findings.defects.append(
                Remark(
                    option if option.endswith(model) else f"{option} {model}",
                    why.removeprefix(f"{model}: "),
                    advice(model, error),
                )
            )
            _note(findings, name, {"model": model, "ok": False, "error": str(error)})
            continue
        facts = asked[model].dump()
        _note(findings, name, facts)
        findings.rows.append((name.replace("-", " ").capitalize(), answered(facts)))
        if facts["note"]:
            findings.rows.append(("Note", facts["note"]))


def _note(findings: Findings, name: str, facts: dict[str, Any]) -> None:
    """What was found of a model, under the option that names it; of a list under the model's name in it."""
    option, listed, model = name.partition(" ")
    if listed:
        findings.facts.setdefault(option, {})[model] = facts
    else:
        findings.facts[option.replace("-", "_")] = facts


async def judge_task(asking: Asking, session: Session, read: ReadTask, findings: Findings) -> None:
    """Ask a metric's judge about a few rows whose worth is known; where a model was asked and answered."""

    task = read.task
    if task is None or not task.metric.needs_model:
        return
    if not asking.models:
        findings.rows.append(("Judge", "not asked; with --model NAME it is, about a few rows"))
        return
    listed = allowed_models(*asking.models.values(), models=asking.listed, metric=task.metric)
    try:
        require_allowed_models(listed, metric=task.metric)
    except UserError as error:
        findings.fault(error)
        return
    names = {field.name for field in task.outputs}
    whole = [row for row in every_row(read) if names <= row.expected.keys()]
    if not whole:
        findings.rows.append(("Judge", "not tried, because no row expects a whole answer"))
    rows = spread(whole, JUDGED)
    if not rows or any(not each["ok"] for each in findings.facts.values() if each and "ok" in each):
        return

    def opened(name: str) -> LM:
        return open_lm(name, session, cache_dir=asking.cache_dir, price=asking.price, say=asking.say)

    own = asking.models.get("--judge-model") or asking.models.get("--meta-model") or asking.models.get("--model")
    engine = Engine(None, session, open_model=opened, models=listed, judge_model=own)
    try:
        gold = await score_expected(engine, task, rows)
        findings.warnings += [*_judged(gold, findings), *await telling_apart(engine, task, rows)]
    except FlowBotError as error:
        findings.defects.append(Remark("judge", str(error), "see that its model answers, or name another"))
    finally:
        await engine.close()


def _judged(gold: Sequence[AnswerScore], findings: Findings) -> list[Remark]:
    wrong = [row for row in gold if row.score != 1]
    if not wrong:
        findings.rows.append(("Judge", f"gives 1 to what is expected on {all_rows(len(gold))} that it was asked about"))
    remarks: list[Remark] = []
    for row in wrong:
        score = "no verdict on" if row.score is None else f"{row.score:.3g}, not 1, to"
        what = f"the judge gives {score} what the row itself expects: {row.said}"
        remarks.append(Remark(row.example.place, what, "make the rubric plainer, or ask a stronger judge"))
    return remarks


def answered(facts: Mapping[str, Any]) -> str:
    """What one question showed, in a line; `facts` as `Probe.dump` gives them."""

    usage = facts["usage"]
    cost = "price unknown" if usage["usd"] is None else money(usage["usd"])
    took = f"{facts['seconds']:g} s, {usage['input_tokens']:,} + {usage['output_tokens']:,} tokens, {cost}"
    can = facts["capabilities"]
    if can is None:
        return f"{facts['model']} answers ({took})"
    parts = [f"{facts['model']} answers ({took})", endpoint_text(can), *facts["dropped"]]
    return "; ".join([*parts, thinking(facts)] if facts["thinking"]["room"] else parts)


def endpoint_text(can: Mapping[str, Any]) -> str:
    """What an endpoint was found to take, as `Capabilities.dump` gives it."""
    forms = {
        "schema": "a JSON schema",
        "tool": "a forced tool call",
        "json": "a JSON object",
        "prompt": "the prompt alone",
    }
    takes = [each for each in ("temperature", "seed", "system messages") if can[each.partition(" ")[0]]]
    calls = "of its own" if can["tools"] == "native" else "as JSON"
    return ", ".join(
        [f"replies by {forms[can['reply_format']]}", f"tool calls {calls}", *takes, f"limit as {can['max_tokens']}"]
    )


def thinking(facts: Mapping[str, Any]) -> str:
    """How a model thinks, in words; `facts` as `Probe.dump` gives them."""
    seen, room = facts["thinking"]["seen"], facts["thinking"]["room"]
    here = f" ({count(seen, 'token')} here)" if seen else ""
    return f"it thinks{here}: replies have room for {count(room, 'token')} more"


def too_long(facts: Mapping[str, Any] | None, rows: Sequence[Example]) -> list[Remark]:
    """A remark on inputs that may not fit into the context of the model that was asked, where that is known."""
    if facts is None or not facts.get("context") or not rows:
        return []
    context: int = facts["context"]
    sizes = [len(_text(row).encode("utf-8", "replace")) / _BYTES_A_TOKEN + REPLY_TOKENS for row in rows]
    over = [index for index, size in enumerate(sizes) if size > context]
    if not over:
        return []
    worst = max(over, key=lambda index: sizes[index])
    what = (
        f"{len(over):,} of {count(len(rows), 'row')} {'is' if len(over) == 1 else 'are'} likely too long for its context of {context:,} tokens; the longest, "
        f"{rows[worst].place}, has about {sizes[worst] - REPLY_TOKENS:,.0f}"
    )
    return [Remark(f"model {facts['model']}", what, "use a model with a longer context, or let a tool search the text")]


def _text(row: Example) -> str:
    return "".join(value if isinstance(value, str) else str(value) for value in row.inputs.values())
