"""The commands and the lines of Python that belong to a run: to make it again, to use what it found, to see more."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from flowbot.fields import Field, UserError
from flowbot.fields.words import as_text
from flowbot.lm.providers import CALLABLE
from flowbot.run.folders import FOLDER
from flowbot.run.view import RunView
from flowbot.runtime.allowed_models import named_models
from flowbot.runtime.open_model import names_file
from flowbot.task.builtin_tools import BUILTIN_TOOLS
from flowbot.workflow.nodes import ToolNode, walk
from flowbot.workflow.parameters import LLMParameters
from flowbot.workflow.scope import Scope
from flowbot.workflow.starts import single_call
from flowbot.workflow.workflow import Workflow

_LONGEST = 120
"""Characters of an example's value in a command; a longer one is left to the reader."""
_LEFT = "…"
_MODEL = "MODEL"
_TASK = "task.yaml"


def again(run: RunView) -> str:
    """The command that makes the run again, as far as the run knows it; the task file's name is not written down."""
    models, started = run.started.models, run.started
    task, meta, judge = (_written(models.get(role)) for role in ("task", "meta", "judge"))
    others = map(_written, models.get("other", "").split(", "))
    words = ["flowbot", "optimize", _TASK]
    before = run.result.before if run.result else None
    own = str(run.run_dir / "start.flow.yaml") if _own_start(run) else None
    named = run.run_dir.parent == FOLDER
    own_place = run.run_dir.name if named else str(run.run_dir)
    for option, value in (
        ("--start", before.run_dir if before else own),
        ("--freeze", ",".join(path for path, node in walk(run.start.sketch) if node.frozen) if before else None),
        ("--model", task),
        ("--meta-model", meta if models.get("meta") != models.get("task") else None),
        (
            "--models",
            ",".join(dict.fromkeys(each for each in (*others, *_more_models(run.start, run).split(",")) if each)),
        ),
        ("--judge-model", judge if models.get("judge") != models.get("meta") and ", " not in judge else None),
        ("--method", started.method),
        ("--effort", run.effort),
        ("--seed", started.seed),
        ("--meta-mode", started.meta_mode if started.meta_mode != "auto" else None),
        ("--feedback", started.feedback if started.feedback != "real" else None),
        ("--order", started.order if started.order != "free" else None),
        ("--objective", started.objective if started.objective != "score" else None),
        *((f"--{name.replace('_', '-')}", f"{limit:.15g}") for name, limit in started.limits.items()),
        ("--price", started.price),
        ("--name" if named else "--run-dir", own_place if run.run_dir.name != started.run else None),
    ):
        if value not in (None, ""):
            words += [option, str(value)]
    return shlex.join(words)


def _own_start(run: RunView) -> bool:
    """Whether the run began at another workflow than the call that a search begins with by itself."""
    sketch = run.start.sketch
    scope = Scope.of(sketch)
    kinds = {name: scope.type_text(reference) or "str" for name, reference in sketch.outputs.items()}
    try:
        inputs, outputs = (tuple(Field.of(*each) for each in named.items()) for named in (sketch.inputs, kinds))
        plain = single_call(inputs, outputs, run.started.goal, reasoning=True)
    except (UserError, ValueError):  # a run that others wrote may have types, names and goals that no task has
        return True
    return sketch != plain.sketch or _told(run.start) != _told(plain)


def _told(workflow: Workflow) -> list[LLMParameters]:
    """What the steps are told, but for what the task's fields are about, which stands below the hint's first line."""
    return [
        given.model_copy(update={"format_hint": given.format_hint.partition("\n")[0]})
        for given in workflow.parameters.values()
        if isinstance(given, LLMParameters)
    ]


def _written(model: str | None) -> str:
    """A model as a command to copy has it. A run's folder may be another's: it puts nothing of this machine there."""
    here = model is not None and (names_file(model) or model.startswith(f"{CALLABLE}/"))
    return _MODEL if here else model or ""


def _more_models(workflow: Workflow | None, run: RunView) -> str:
    """What must be allowed for the workflow to run: the models that its steps name beside the run's own."""
    named = (model for _, model in named_models(workflow)) if workflow is not None else ()
    return ",".join(dict.fromkeys(_written(model) for model in named if model != run.started.models.get("task")))


def use(run: RunView) -> str:
    """The command that runs the found workflow on one example."""
    given = [f"{name}={value}" for name, value in _inputs(run).items()]
    task = ["--task", _TASK] if run.found is not None and _tools(run.found) else []  # the file that has its tools
    model, more = _written(run.started.models.get("task", _MODEL)), _more_models(run.found, run)
    models = ["--model", model, *(["--models", more] if more else [])]
    return shlex.join(["flowbot", "run", str(run.run_dir / "found.flow.yaml"), *given, *task, *models])


def python(run: RunView) -> str:
    """The same in Python."""
    names = _tools(run.found) if run.found is not None else []
    tools = f", task={json.dumps(_TASK)}" if names else ""
    kinds = run.found.sketch.inputs if run.found is not None else {}
    given = ", ".join(f"{name}={_literal(value, kinds[name])}" for name, value in _inputs(run).items())
    path, model = (
        json.dumps(str(run.run_dir / "found.flow.yaml")),
        json.dumps(_written(run.started.models.get("task", _MODEL))),
    )
    more = _more_models(run.found, run)
    models = f", models={json.dumps(more.split(','))}" if more else ""
    return f"import flowbot as fb\n\nflow = fb.load({path}, lm={model}{models}{tools})\nflow({given})"


def show(run_dir: Path, example: str) -> str:
    """The command that shows one example whole."""
    return shlex.join(["flowbot", "show", str(run_dir), example])


def _inputs(run: RunView) -> dict[str, str]:
    """The workflow's inputs with the values of an example, where they are short."""
    names = list(run.found.sketch.inputs) if run.found is not None else []
    texts = ({name: as_text(value) for name, value in each.inputs.items()} for each in run.examples)
    known = min(texts, key=lambda each: len(str(each)), default=dict[str, str]())
    return {
        name: known[name] if name in known and len(known[name]) <= _LONGEST and "\n" not in known[name] else _LEFT
        for name in names
    }


def _literal(text: str, kind: str) -> str:
    """A value of a type as Python writes it, from its text: a text as it is, anything else as JSON."""
    if text != _LEFT and not kind.startswith(("str", "Literal")):
        try:
            return repr(json.loads(text))
        except ValueError:
            pass  # it was cut
    return json.dumps(text, ensure_ascii=False)


def _tools(workflow: Workflow) -> list[str]:
    """Names of the tools that the workflow may call and that are to be declared, each once."""
    names: dict[str, None] = {}
    for path, node in walk(workflow.sketch):
        if isinstance(node, ToolNode):
            names[node.tool] = None
        given = workflow.parameters.get(path)
        if isinstance(given, LLMParameters):
            names.update(dict.fromkeys(given.tools))
    return [name for name in names if name not in BUILTIN_TOOLS]
