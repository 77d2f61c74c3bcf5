"""What the DSPy peers have in common: the task as a signature, the metric over HTTP, models at the proxy, the end at the ceiling.

DSPy counts an evaluation of which calls fail as an evaluation with zeros, so a ceiling that is reached in the middle would
steer the search. Here it ends the search at once (`Ceiling`), and what was best on whole validation sets until then is taken.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no request goes elsewhere

import dspy
from dspy.lm15 import AccessPolicy, ModelSupport, OpenAIChatCompat, ProviderDefinition, register_provider
from dspy.utils.callback import BaseCallback
from job import Answers, Job, NotScored, OverBudget
from pydantic import BaseModel, create_model

PROVIDER = "bench"
"""Declared as DSPy asks for with servers of one's own, so that it sends schemas, which it does not dare to unknown models."""
THREADS = 8
TOKENS = 4000
"""Of a reply at most; what `dspy.LM` was long used with."""
DEMO_SCORE = 0.66
"""What a demonstration must score to be taken where scores are graded: the threshold of DSPy's own graded metric, `SemanticF1`."""
_NAMES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "object": dict[str, Any]}


class Ceiling(BaseException):
    """The ceiling is reached. No `Exception`, since DSPy takes those for wrong answers and goes on."""


class Watch(BaseCallback):
    """Ends the search at the ceiling, and remembers the program that scored best on whole validation sets.

    Args:
        rows: of a whole one.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._programs: dict[str, dspy.Module] = {}
        self.program: dspy.Module | None = None
        self.score = -1.0

    def on_lm_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
        """A model has answered, or failed."""
        if "the budget is used up" in str(exception):
            raise Ceiling

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """An evaluation begins."""
        if len(inputs.get("devset") or instance.devset) == self.rows:
            self._programs[call_id] = inputs["program"].deepcopy()

    def on_evaluate_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
        """It has ended."""
        program = self._programs.pop(call_id, None)
        if program is not None and exception is None and outputs is not None and outputs.score > self.score:
            self.score, self.program = outputs.score, program


class Setting:
    """A job as DSPy sees it.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
        access = AccessPolicy(provider=PROVIDER, env_keys=("OPENAI_API_KEY",), base_url=job.search_url)
        definition = ProviderDefinition.chat(access, compat=OpenAIChatCompat())
        register_provider(definition, supports=ModelSupport(response_schema=True))
        self._places: dict[str, tuple[str, str]] = {}
        self.train, self.val = self._examples("train", job.train), self._examples("val", job.val)
        self.watch = Watch(len(self.val))
        self.lm = self._model("task", job.search_url, temperature=0.0)
        self.meta = self._model("meta", job.search_url, temperature=1.0)
        dspy.configure(lm=self.lm, callbacks=[self.watch], num_threads=THREADS, max_errors=10**9)

    def program(self) -> dspy.Module:
        """The program that is tuned: one chain-of-thought step from all inputs to all outputs."""
        fields: dict[str, Any] = {}
        for kind, of in (("inputs", dspy.InputField), ("outputs", dspy.OutputField)):
            for each in self.job.task[kind]:
                about = {"desc": each["about"]} if each["about"] else {}
                fields[each["name"]] = (python_type(each["type"]), of(**about))
        return dspy.ChainOfThought(dspy.Signature(fields, self.job.task["goal"]))

    def score(self, example: dspy.Example, prediction: dspy.Prediction) -> tuple[float, str]:
        """The task's metric on a prediction for a row, and why.

        Raises:
            Ceiling: if a judge would have to be asked and the ceiling is reached.
        """
        split, name = self._places[_key(example.toDict())]
        try:
            return self.job.score(split, name, self.outputs(prediction))
        except OverBudget:
            raise Ceiling from None
        except NotScored:
            return 0.0, "the judge gave no verdict"

    def metric(self, example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> float | bool:
        """A metric as DSPy's optimisers call it: a score, or whether to take it for a demonstration."""
        value, _ = self.score(example, prediction)
        return value if trace is None else value >= DEMO_SCORE

    def outputs(self, prediction: dspy.Prediction) -> dict[str, Any]:
        """A prediction's outputs as JSON data."""
        return {each["name"]: _plain(prediction.get(each["name"])) for each in self.job.task["outputs"]}

    def answers(
        self, program: dspy.Module, rows: list[dict[str, Any]], lm: dspy.LM
    ) -> dict[str, dict[str, Any] | None]:
        """Outputs by row; None where the program fails, as it does on a reply that cannot be read."""

        def answer(row: dict[str, Any]) -> dict[str, Any] | None:
            try:
                with dspy.context(lm=lm, callbacks=[self.watch] if lm is self.lm else []):
                    return self.outputs(program(**row["inputs"]))
            except Exception as error:
                print(f"{row['id']}: {error!s:.300}", file=sys.stderr)
                return None

        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip((row["id"] for row in rows), pool.map(answer, rows), strict=True))

    def test_model(self) -> dspy.LM:
        """The model of the test."""
        return self._model("task", self.job.test_url, temperature=0.0)

    def _model(self, name: str, url: str, temperature: float) -> dspy.LM:
        return dspy.LM(
            f"{PROVIDER}/{self.job.models[name]}",
            api_base=url,
            api_key="in-the-url",
            temperature=temperature,
            max_tokens=TOKENS,
            cache=False,
        )

    def _examples(self, split: str, rows: list[dict[str, Any]]) -> list[dspy.Example]:
        """Rows as examples. Their ids stand beside them and not in them, for DSPy shows whole examples to the meta model."""
        found: list[dspy.Example] = []
        for row in rows:
            values = {**row["inputs"], **row["expected"]}
            self._places[_key(values)] = (split, row["id"])
            found.append(dspy.Example(**values).with_inputs(*row["inputs"]))
        return found


def run(search: Callable[[Setting], dspy.Module | None], name: str) -> None:
    """A peer from its search: run that, answer validation and test rows with what it found, and write the result.

    Args:
        search: gives the program that it found; None for the best on the validation set.
        name: of the method, for what is said.
    """
    setting = Setting(Job(sys.argv[1]))
    job, ended = setting.job, "by itself"
    try:
        program = search(setting)
    except Ceiling:
        program, ended = None, "at the ceiling"
    program = program or setting.watch.program or setting.program()
    val: Answers = {}
    with suppress(Ceiling):  # at temperature 0 these calls were made before, and are counted once
        val = setting.answers(program, job.val, setting.lm)
    predictions = setting.answers(program, job.test, setting.test_model())
    predictor = program.predictors()[0]
    facts = f"a prompt of {len(predictor.signature.instructions):,} characters, {len(predictor.demos)} demonstrations"
    job.write(
        predictions,
        {
            "summary": f"{name} ({dspy.__version__}), ended {ended}: {facts}",
            "val_score": setting.watch.score,
            "program": program.dump_state(),
        },
        val=val,
    )


def python_type(text: str) -> Any:
    """The Python type of a type as the job writes it: `str`, `list[T]`, `Literal['a', 'b']`, `{name: T}`…

    Raises:
        ValueError: for any other.
    """
    return _type(ast.parse(text, mode="eval").body)


def _type(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[_type(item)]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=options):
            return Literal[ast.literal_eval(options)]
        case ast.Dict(keys=keys, values=values):
            members = {ast.unparse(key): (_type(value), ...) for key, value in zip(keys, values, strict=True) if key}
            return create_model("Object", **members)
    raise ValueError(f"no such type: {ast.unparse(node)}")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _key(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)
