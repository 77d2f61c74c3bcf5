"""`flowbot check`: is this task, or this workflow, sound, and does the model answer? Without --model nothing is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .console import Console
from .options import MODEL, MODELS, CacheDir, JudgeModel, ListedModels, Output, Price, listed_models


def check(
    file: Annotated[Path, Parameter(name="FILE", negative=())],
    /,
    *,
    task: Annotated[Path | None, Parameter(name="--task")] = None,
    model: Annotated[str | None, MODEL] = None,
    meta_model: Annotated[str | None, Parameter(group=MODELS)] = None,
    judge_model: JudgeModel = None,
    models: ListedModels = None,
    price: Price = None,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Check a task or a workflow file: every defect, what is worth a second look, and whether the model answers.

    Parameters
    ----------
    file
        A task.yaml or its folder, or a .flow.yaml (JSON works too), or the folder of a run that found one.
    task
        The task that a workflow is for: its tools, inputs and outputs are then checked as well.
    model
        Model to ask one small question, which proves the key, the name and what its endpoint can do. Without it no
        model is asked.
    meta_model
        Another model to ask, for the search.
    """
    from flowbot.fields import UserError
    from flowbot.lm.prices import parse_price
    from flowbot.store import default_cache_dir

    from .check_model import Asking
    from .check_parts import examine
    from .findings import show
    from .runs import flow_file

    console = Console.open(output)
    path = file / "task.yaml" if (file / "task.yaml").is_file() else flow_file(file) if file.is_dir() else file
    if not path.is_file():
        raise UserError(str(path), "no such file", "a task or a workflow file")
    named = {"--model": model, "--meta-model": meta_model, "--judge-model": judge_model}
    asking = Asking(
        models={option: name for option, name in named.items() if name is not None},
        listed=listed_models(models),
        price=None if price is None else parse_price(price),
        cache_dir=cache_dir or default_cache_dir(),
        say=lambda line: console.say(line, "soft"),
    )
    findings = examine(path, task, asking, width=console.width - 14)
    console.json(findings.dump())
    show(findings, str(file), console)
    return 1 if findings.defects else 0
