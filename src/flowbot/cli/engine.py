"""What `run`, `eval` and a search need: models, with known prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbot.fields import Usage, UserError

if TYPE_CHECKING:
    from flowbot.task import Metric
    from flowbot.workflow.workflow import Workflow

    from .options import Calls


def require_model(workflow: Workflow, model: str | None) -> None:
    """Refuse to start without a model that the workflow needs.

    Raises:
        UserError: naming the option.
    """
    from flowbot.workflow.calls import asked_models

    steps = [path for path, asked in asked_models(workflow) if asked is None]
    if steps and model is None:
        raise UserError(
            "--model",
            f"nothing, and step {steps[0]} asks a model",
            "a model such as openai/gpt-4.1-mini or local/qwen2.5-coder-0.5b; `flowbot models` lists what there is",
        )


def require_judge(metric: Metric, judge_model: str | None, model: str | None) -> list[str]:
    """The model strings of a metric's judges, each once.

    Raises:
        UserError: if a judge has no model, naming the option.
    """
    nameless = [name for name, judge in metric.judges.items() if judge.model is None]
    if nameless and judge_model is None and model is None:
        part = f" in part {nameless[0]}" if nameless[0] else ""
        raise UserError(
            "--judge-model",
            f"nothing, and the metric's judge{part} asks a model",
            "a model such as openai/gpt-4.1-mini; or --model, or `model:` in the judge itself",
        )
    from flowbot.runtime.judge import judge_models

    return judge_models(metric, judge_model or model or "")


def require_price(calls: Calls, *models: str | None) -> None:
    """Refuse a ceiling in dollars where a price is unknown, before anything is paid.

    Raises:
        UserError: naming the model and the option that gives a price.
    """
    from flowbot.lm.prices import price_of

    if calls.max_usd is None:
        return
    for model in models:
        if model is not None and price_of(model, Usage(1, 1000, 1000), calls.prices()) is None:
            raise UserError(
                "--max-usd", f"no known price of {model}", mend="give it by --price IN,OUT (dollars per million tokens)"
            )
