"""What a user demands of the workflows of a search, looked at before it begins: what is better, what none may pass, what stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from flowbot.fields import Usage, UserError
from flowbot.fields.near import one_of
from flowbot.fields.numbers import shown
from flowbot.lm.prices import price_of
from flowbot.runtime.program import WorkflowProgram
from flowbot.workflow.calls import asked_models
from flowbot.workflow.nodes import BodyNode, ProgramNode, Sketch, walk
from flowbot.workflow.workflow import Workflow

from .method import Method, by_score, require_suited
from .objective import Limits, Objective
from .prepare import Prepared

H = TypeVar("H", Sketch, BodyNode)


def require_fits(ready: Prepared, method: Method, objective: Objective, limits: Limits, models: Sequence[str]) -> None:
    """Refuse an objective that the method does not follow, weights of dollars without a price, a start beyond a limit, and one from which the method can
    do nothing; say where a weight of dollars weighs nothing, and what of a program no search changes.

    Args:
        ready: what is searched from.
        method: how.
        objective: what is better.
        limits: what no program may pass.
        models: model strings that steps without one of their own may have.

    Raises:
        UserError: naming the option.
    """
    require_suited(method, ready.workflow, ready.task)
    if not objective.usual and by_score(method):
        raise UserError(
            "objective", f"{objective.name} with method {method.name}, which compares by score alone",
            f"score; or an outer loop around it, as {method.name.replace('none', 'flowbot', 1)}"
            if method.name.startswith("none+")
            else "score",
        )  # fmt: skip
    weighed = objective.name == "latency" or "seconds" in (objective.weights or {})
    if ready.bench.batches and (weighed or limits.max_latency is not None):
        raise UserError(
            "batch", "an objective or a limit of seconds, of which an answer by a batch tells nothing", "one of both"
        )
    named = (name for _, name in asked_models(ready.workflow) if name is not None)
    by_usd = objective.weights is not None and "usd" in objective.weights
    prices = {each: price_of(each, Usage(1, 1000, 1000), ready.price) for each in (*models, *named)} if by_usd else {}
    for model, price in prices.items():
        if price is None:
            raise UserError(
                "objective", f"a weight of usd, and no known price of {model}",
                mend="give it by --price IN,OUT (dollars per million tokens; price=(IN, OUT) in Python), or weigh `tokens`",
            )  # fmt: skip
    if by_usd and not any(prices.values()):
        ready.watch.news(
            "No call of these models costs anything: a weight of usd decides nothing (weigh `tokens` or `seconds`)"
        )
    paths = [path for path, node in walk(ready.workflow.sketch) if isinstance(node, ProgramNode)]
    if paths and not method.name.startswith("none+"):
        ready.watch.news(
            f"What stands inside `{'`, `'.join(paths)}` is your Python and is not reordered: its texts and values are tuned, its places filled, and steps put around it"
        )
    if fault := limits.fault(WorkflowProgram(ready.workflow)):
        raise UserError("start", fault, "a smaller start, or a higher limit")


def frozen(workflow: Workflow, steps: Sequence[str]) -> Workflow:
    """The workflow with some of its steps frozen, each with the body that it may have.

    Raises:
        UserError: for a step that it has not.
    """
    paths, sketch = [path for path, _ in walk(workflow.sketch)], workflow.sketch
    for step in steps:
        if step not in paths:
            raise UserError("freeze", shown(step), f"a step of the start, {one_of(step, paths)}")
        sketch = _frozen(sketch, step.split("/"))
    return Workflow(sketch=sketch, parameters=workflow.parameters)


def _frozen(holder: H, parts: Sequence[str]) -> H:
    name, *inner = parts
    changed: Any = holder.nodes[name]
    changed = _frozen(cast("BodyNode", changed), inner) if inner else changed.model_copy(update={"frozen": True})
    return holder.model_copy(update={"nodes": {**holder.nodes, name: changed}})
