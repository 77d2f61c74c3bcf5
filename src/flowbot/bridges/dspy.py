"""FlowBot as an optimiser of DSPy's programs, beside those of `dspy` itself.

from flowbot.bridges.dspy import FlowBot

better = FlowBot(metric, lm="openai/gpt-4.1-mini", effort="low").compile(student, trainset=train, valset=val)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from flowbot.fields import Paused, UserError
from flowbot.lm.callable_model import ModelLike
from flowbot.optimizer.run import optimize
from flowbot.run.result import RunResult
from flowbot.runtime.jsonlike import to_json
from flowbot.task import Example, Task
from flowbot.task.frameworks import DSPyProgram
from flowbot.task.programs import UserProgram
from flowbot.task.splits import SPLITS
from flowbot.workflow.parameters import ProgramParameters

try:
    dspy: Any = import_module("dspy")
except ImportError:
    raise UserError("flowbot.bridges.dspy", "no package dspy", mend="pip install -e '.[dspy]'") from None
_Teleprompter: Any = dspy.teleprompt.Teleprompter


class FlowBot(_Teleprompter):
    """Finds better instructions, and worked examples to stand behind them, for the predictors of a `dspy.Module`.

    The module's own control flow, adapters and demonstrations stay as they are. Its calls are asked of `lm`: stored, counted and held by a
    budget as in every search; the same `compile` again goes on where it was, or pays nothing. What it found is measured against
    the student on rows that nothing was chosen by: `result` says it.

    Args:
        metric: as DSPy's: `(example, prediction)` and perhaps `trace`, or the five arguments of GEPA's; a bool, a number from 0 to 1, or a
            `dspy.Prediction` with `score` and `feedback`.
        lm: the model that answers the predictors: a model string, or a function; see `fb.optimize`.
        settings: as `fb.optimize` takes them: `meta_lm`, `effort`, `budget`, `method`, `seed`, `run_dir`, ...

    Attributes:
        result: of the last `compile`; None before.
    """

    def __init__(self, metric: Callable[..., Any], *, lm: ModelLike, **settings: Any) -> None:
        _Teleprompter.__init__(self)
        self.metric, self.lm, self.settings = metric, lm, settings
        self.result: RunResult | None = None

    def compile(
        self,
        student: Any,
        *,
        trainset: Sequence[Any],
        teacher: Any = None,
        valset: Sequence[Any] | None = None,
        testset: Sequence[Any] | None = None,
        **more: Any,
    ) -> Any:
        """A copy of the student with the instructions that were found.

        Args:
            student: the program. It stays as it is.
            trainset: examples to learn from, their inputs named by `with_inputs`.
            teacher: there is none.
            valset: examples to choose by; a third of `trainset` when None.
            testset: examples to report on, used once; the second half of `valset` when None.

        Raises:
            UserError: for anything wrong in what was given, before the first call.
            Paused: if the run was paused; the same call goes on.
        """
        if teacher is not None or more:
            raise UserError("compile()", "a teacher" if teacher is not None else f"the argument {min(more)!r}", "none")
        train, val, test = _split(trainset, valset, testset)
        gold = {f"{name}-{number}": each for name, rows in zip(SPLITS, (train, val, test), strict=True)
                for number, each in enumerate(rows)}  # fmt: skip
        metric, wanted = self.metric, _arguments(self.metric)

        def score(example: Example, outputs: Mapping[str, Any]) -> Any:
            return metric(gold[example.id], dspy.Prediction(**outputs["prediction"]), *wanted)

        module = _Student(student)
        program = UserProgram("student", module, module.identity, tunable=module.tunable)
        task = Task(
            goal="\n".join(str(each.default) for each in module.tunable),
            inputs={"inputs": dict}, outputs={"prediction": dict}, metric=score, name=type(student).__name__,
            programs=[program],
            splits={name: [_example(key, each) for key, each in gold.items() if key.startswith(f"{name}-")] for name in SPLITS},
        )  # fmt: skip
        self.result = optimize(task, start=program, lm=self.lm, **self.settings)
        if self.result.status != "done":
            raise Paused(self.result.reason or "the run is paused", stopped_by=cast("Any", self.result.stopped_by))
        found = next(each for each in self.result.workflow.parameters.values() if isinstance(each, ProgramParameters))
        better = module.told(lambda param: found.text(param.name) or param.default)
        better._compiled = True
        return better


class _Student(DSPyProgram):
    """A module whose inputs are handed over as one object, and whose prediction is one."""

    def __call__(self, **given: Any) -> dict[str, Any]:
        return {"prediction": to_json(super().__call__(**given["inputs"]))}


def _example(name: str, example: Any) -> Example:
    inputs, labels = (to_json(dict(each.items())) for each in (example.inputs(), example.labels()))
    return Example(name, {"inputs": inputs}, {"prediction": labels})


def _split(
    train: Sequence[Any], val: Sequence[Any] | None, test: Sequence[Any] | None
) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    if val is None:
        apart = len(train) // 3
        train, val = train[apart:], train[:apart]
    if test is None:
        half = (len(val) + 1) // 2
        val, test = val[:half], val[half:]
    return train, val, test


def _arguments(metric: Callable[..., Any]) -> tuple[None, ...]:
    """What a metric wants beside example and prediction: `trace`, and the name and trace of a predictor, which there are none of."""
    parameters = inspect.signature(metric).parameters.values()
    needed = [each for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    return (None,) * max(0, len(needed) - 2)
