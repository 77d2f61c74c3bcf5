"""FlowBot as an optimiser of MLflow's `optimize_prompts`, beside its own.

from flowbot.bridges.mlflow import FlowBotPromptOptimizer

mlflow.genai.optimize_prompts(..., optimizer=FlowBotPromptOptimizer(meta_lm="openai/gpt-4.1", max_calls=2, effort="low"))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from flowbot.fields import Paused, Score, UserError, canonical_json, stable_hash
from flowbot.fields.words import cut
from flowbot.lm.callable_model import ModelLike
from flowbot.optimizer.run import optimize
from flowbot.program.params import Param
from flowbot.runtime.jsonlike import to_json
from flowbot.task import Example, Task
from flowbot.task.programs import CALLS, MOST_SECONDS, UserProgram
from flowbot.task.splits import SPLITS, Split
from flowbot.workflow.parameters import ProgramParameters

if TYPE_CHECKING:
    from flowbot.run.result import RunResult

try:
    _Base: Any = import_module("mlflow.genai.optimize.optimizers").BasePromptOptimizer
    _Output: Any = import_module("mlflow.genai.optimize.types").PromptOptimizerOutput
except ImportError:
    raise UserError("flowbot.bridges.mlflow", "no package mlflow", mend="pip install -e '.[mlflow]'") from None
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.\w+)*)\s*\}\}")
_PLACE = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*(?:\.\w+)*)\}")
_CHAT = re.compile(r'\s*\[\s*\{\s*"(?:role|content)"')
_FAILED = "Failed to invoke the predict_fn"
"""Begins what MLflow puts in the place of an answer where there is none."""


class FlowBotPromptOptimizer(_Base):
    """Finds better texts for prompts of the registry, whatever `predict_fn` does with them.

    Half of the training data is learnt from, a quarter chooses, and the last quarter is tested on once. The model calls of `predict_fn` are
    seen where they are sent: stored, counted and held by a budget; the same command again goes on where it was. MLflow puts prompts in
    place for the whole process, so that examples are run one after another. Where `predict_fn` raises, the example has failed.

    Args:
        lm: answers in place of the models that `predict_fn` asks; they are asked when None. See `fb.optimize`.
        meta_lm: writes the changes.
        goal: what the prompts are for, in a sentence.
        max_calls: model calls of one `predict_fn`, at most; a search plans with so many.
        settings: as `fb.optimize` takes them: `effort`, `budget`, `seed`, `run_dir`, ... Of methods those of the inner loop: `none+NAME`.

    Attributes:
        result: of the last `optimize`; None before.
    """

    def __init__(
        self, *, meta_lm: ModelLike, lm: ModelLike | None = None, goal: str = "Give the expected response.",
        max_calls: int = CALLS, **settings: Any,
    ) -> None:  # fmt: skip
        self.goal, self.max_calls = goal, max_calls
        self.settings: dict[str, Any] = {"method": "none+blame", **settings, "lm": lm, "meta_lm": meta_lm}
        if not str(self.settings["method"]).startswith("none+"):
            raise UserError(
                "method", repr(self.settings["method"]), "none+NAME: prompts are all that MLflow takes back"
            )
        self.result: RunResult | None = None

    def optimize(
        self, eval_fn: Callable[..., list[Any]] | None, train_data: Sequence[Mapping[str, Any]],
        target_prompts: Mapping[str, str], enable_tracking: bool = True,
    ) -> Any:  # fmt: skip
        """What MLflow calls: a `PromptOptimizerOutput` with the prompts that were found.

        Raises:
            UserError, Paused: for what cannot be used, before the first call; if the run was paused: the same call goes on.
        """
        rows = {_key(each): dict(each) for each in train_data}
        if eval_fn is None or not 4 <= len(rows) == len(train_data):
            there = f"{len(train_data)} rows, {len(rows)} of different inputs"
            raise UserError("train_data", there, "four at least, of different inputs, and scorers")
        params = {
            name: Param(f"prompt_{n}", _ours(name, text)) for n, (name, text) in enumerate(target_prompts.items())
        }
        filled = {name for name, text in target_prompts.items() if _VARIABLE.search(text)}
        one_at_a_time = Lock()

        def told(text: Callable[[Param], str]) -> dict[str, str]:
            return {name: _theirs(text(each)) if name in filled else text(each) for name, each in params.items()}

        def predict(inputs: dict[str, Any]) -> dict[str, Any]:
            with one_at_a_time:
                (record,) = eval_fn(told(str), [rows[_key({"inputs": inputs})]])
            if isinstance(record.outputs, str) and record.outputs.startswith(_FAILED):
                raise RuntimeError(record.outputs.partition("}: ")[2] or record.outputs)
            why = [f"{name}: {text}" for name, text in record.rationales.items() if text]
            return {"record": {"outputs": to_json(record.outputs), "score": float(record.score), "why": "; ".join(why)}}

        told_by = f"mlflow {stable_hash([dict(target_prompts), sorted(rows)])[:16]}"
        tunable = tuple(params.values())
        program = UserProgram(
            "predict", predict, told_by, timeout=MOST_SECONDS, tunable=tunable, max_calls=self.max_calls
        )
        task = Task(
            goal=self.goal, inputs={"inputs": dict}, outputs={"record": dict}, metric=_score, name="mlflow",
            programs=[program], splits=_split(list(rows.values())),
        )  # fmt: skip
        self.result = result = optimize(task, start=program, **self.settings)
        if result.status != "done":
            raise Paused(result.reason or "the run is paused", stopped_by=cast("Any", result.stopped_by))
        found = next(each for each in result.workflow.parameters.values() if isinstance(each, ProgramParameters))
        means = [None if each.test is None else each.test.mean for each in (result.start_scores, result.final_scores)]
        return _Output(told(lambda param: found.text(param.name) or param.default), *means)


def _score(example: Example, outputs: Mapping[str, Any]) -> Score:
    """What MLflow's scorers said, and what was expected."""
    record = outputs["record"]
    if not 0 <= record["score"] <= 1:
        raise UserError("scorers", f"the score {record['score']:g}", "one from 0 to 1, by `aggregation`")
    return Score(record["score"], f"{record['why']}; expected: {cut(str(example.extra['expected']), 300)}")


def _key(row: Mapping[str, Any]) -> str:
    return canonical_json(to_json(dict(row["inputs"])))


def _split(rows: Sequence[Mapping[str, Any]]) -> dict[Split, list[Example]]:
    found: dict[Split, list[Example]] = {name: [] for name in SPLITS}
    for number, row in enumerate(rows):
        name = SPLITS[max(0, number % 4 - 1)]  # half of them, and a quarter each
        wanted = {"expected": row.get("expectations") or row.get("outputs")}
        found[name].append(Example(f"row-{number}", {"inputs": to_json(dict(row["inputs"]))}, {}, extra=wanted))
    return found


def _ours(name: str, text: str) -> str:
    """A template of MLflow's as one of `str.format`, where it has variables."""
    if "{%" in text or _CHAT.match(text):
        raise UserError(f"prompt {name}", "a chat prompt, or a template of Jinja", "a text prompt with {{variables}}")
    parts = _VARIABLE.split(text)
    if len(parts) > 1:
        parts[::2] = [each.replace("{", "{{").replace("}", "}}") for each in parts[::2]]
        parts[1::2] = [f"{{{each}}}" for each in parts[1::2]]
    return "".join(parts)


def _theirs(text: str) -> str:
    """The way back."""
    return _PLACE.sub(lambda match: f"{{{match[0]}}}" if match[1] else match[0][0], text)
