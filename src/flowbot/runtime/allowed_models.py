"""Which models a run may call: those that the user names. What a file says is data: it chooses among them and adds none.

The list is `--model`, `--meta-model`, `--judge-model`, `--models` and what Python hands over; a model of a workflow's or a
task's file must stand in it, letter for letter. One that names a file of this machine (`recorded/FILE`, `local/PATH`) is
never taken from a file: it says what is read, and with `?record=` what is written.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from flowbot.fields import UserError
from flowbot.workflow.parameters import ChoiceParameters, CoreParameters, LLMParameters

if TYPE_CHECKING:
    from flowbot.task import Metric
    from flowbot.workflow.workflow import Workflow

LONGEST = 400
"""Characters of a model's name, and of the option that allows some, that a refusal shows."""
SHOWN = 30
"""Models, and steps of each, that a refusal names at most."""


def allowed_models(
    *given: str | None, models: Sequence[str] | None = None, metric: Metric | None = None
) -> frozenset[str]:
    """The user's list.

    Args:
        given: task, meta and judge model, as far as there are any.
        models: what else steps and judges may name.
        metric: its judges that were made in Python name their models themselves.

    Raises:
        UserError: if `models` is no list of model strings.
    """
    from flowbot.lm.providers import split_model

    listed = () if models is None else cast("object", models)
    if isinstance(listed, str) or not isinstance(listed, Iterable):
        raise UserError("models", f"{listed!r:.60}", "a list of model strings, such as ['openai/gpt-4.1-mini']")
    more: list[str] = []
    for each in cast("Iterable[object]", listed):
        if not isinstance(each, str):
            raise UserError("models", f"{each!r:.60}", "model strings, such as 'openai/gpt-4.1-mini'")
        split_model(each)
        more.append(each)
    judges = () if metric is None else metric.judges.values()
    own = [judge.model for judge in judges if not judge.place]
    return frozenset(name for name in (*given, *more, *own) if name is not None)


def require_allowed_models(
    own: Iterable[str], *, workflow: Workflow | None = None, where: str = "workflow", metric: Metric | None = None
) -> None:
    """Refuse a workflow or a metric that names models which the user does not, before anything is opened or paid for.

    Args:
        own: the user's list; see `allowed_models`.
        workflow: its steps are looked at.
        where: how to name the workflow, such as its file.
        metric: its judges are looked at, as far as they were read from a file.

    Raises:
        UserError: naming all such models, where they stand, and the option that allows them.
    """
    from .open_model import names_file

    allowed = set(own)
    named: dict[str, list[str]] = {}
    steps = named_models(workflow) if workflow is not None else ()
    judges = metric.judges.values() if metric is not None else ()
    places = [(f"{where}: step {path}", model) for path, model in steps]
    places += [(f"{each.place}.model", each.model) for each in judges if each.place and each.model is not None]
    for place, model in places:
        if model not in allowed or names_file(model):
            named.setdefault(model, []).append(place)
    if not named:
        return
    told = [f"{_cut(model)} ({_some(where)})" for model, where in named.items()]
    may = [model for model in named if not names_file(model)]
    option = _cut(shlex.quote(",".join(may)))
    mend = [f"allow {'it' if len(may) == 1 else 'them'} with --models {option} (models=[…])"] if may else []
    if len(may) < len(named):
        mend.append("take recorded/FILE and local/PATH out of the file: these are for --model and its like alone")
    raise UserError("models", f"models that a file names and you do not: {_some(told)}", mend="; ".join(mend))


def named_models(workflow: Workflow) -> Iterator[tuple[str, str]]:
    """The nodes of a workflow whose parameters name a model, asked now or not, and which."""
    for path, told in workflow.parameters.items():
        if isinstance(told, LLMParameters | ChoiceParameters | CoreParameters) and told.model is not None:
            yield path, told.model


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
