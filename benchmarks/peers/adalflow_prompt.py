"""AdalFlow's LLM-AutoDiff (Yin & Wang 2025, arXiv 2501.16673): one prompt, by its trainer.

As its tutorials have it: a `Generator` whose system prompt is a parameter, `EvalFnToTextLoss` over the task's metric with the expected
outputs as ground truth, batches of four, strategy `constrained` (a proposal must gain on its rows before the validation set is run),
texts only. Its generators take an endpoint's error for a failed prediction and go on, so the ceiling is no `Exception` here, and what was
best on a whole validation set until then is taken. Its loss knows a score and the expected outputs; the metric's words have no place in it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

carrier = importlib.util.find_spec("litellm")  # not imported: a file in it serves
if carrier is not None and carrier.origin is not None:
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(Path(carrier.origin).parent / "litellm_core_utils" / "tokenizers"))

import adalflow as adal  # noqa: E402
from adalflow.components.model_client.openai_client import OpenAIClient  # noqa: E402
from adalflow.core.types import GeneratorOutput, ModelType  # noqa: E402
from job import Answers, Job, NotScored, OverBudget  # noqa: E402
from openai import APIStatusError  # noqa: E402
from plain_cot import form, last_object  # noqa: E402

THREADS = 4
TOKENS = 2000
TEMPLATE = """<START_OF_SYSTEM_PROMPT>
{{system_prompt}}
<END_OF_SYSTEM_PROMPT>
<START_OF_USER>
{{input_str}}
<END_OF_USER>"""


class Ceiling(BaseException):
    """The ceiling is reached."""


class Client(OpenAIClient):
    """Its client of OpenAI's API, which ends the search at the ceiling."""

    def call(self, api_kwargs: dict[str, Any] | None = None, model_type: ModelType = ModelType.UNDEFINED) -> Any:
        """One request."""
        try:
            return super().call(api_kwargs or {}, model_type)
        except APIStatusError as error:
            if "budget_exceeded" in error.response.text:
                raise Ceiling from None
            raise


@dataclass(repr=False)
class Sample:
    """A row.

    Args:
        id: of it.
        split: in which it stands.
        question: what is asked.
        expected: the outputs, as JSON text.
    """

    id: str
    split: str
    question: str
    expected: str

    def __repr__(self) -> str:
        return self.expected  # it stands in prompts


class Program(adal.Component):
    """One step: its system prompt is tuned.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        role = "To give task instruction to the language model in the system prompt"
        self.prompt = adal.Parameter(
            data=job.task["goal"], role_desc=role, requires_opt=True, param_type=adal.ParameterType.PROMPT
        )
        self.llm = adal.Generator(
            **_model(job, "task", 0),
            template=TEMPLATE,
            prompt_kwargs={"system_prompt": self.prompt},
            use_cache=False,
        )

    def bicall(self, question: str, id: str | None = None) -> Any:
        """The reply to a question: an output in evaluation, a parameter in training."""
        return self.llm(prompt_kwargs={"input_str": question}, id=id)


class Tuning(adal.AdalComponent):
    """The task as AdalFlow's trainer sees it.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        about = f"From 0 to 1. {job.task['metric']}"
        loss = adal.EvalFnToTextLoss(eval_fn=self.score, eval_fn_desc=about)
        meta = _model(job, "meta", 1)
        super().__init__(
            task=Program(job),
            eval_fn=self.score,
            loss_fn=loss,
            backward_engine_model_config=meta,
            text_optimizer_model_config=meta,
        )
        self.best = (-1.0, job.task["goal"])

    def score(self, text: Any, sample: Sample) -> float:
        """What a reply scores."""
        outputs = last_object(text) if isinstance(text, str) else None
        if outputs is None:
            return 0.0
        try:
            return self.job.score(sample.split, sample.id, outputs)[0]
        except OverBudget:
            raise Ceiling from None
        except NotScored:
            return 0.0

    def prepare_task(self, sample: Sample) -> tuple[Any, dict[str, Any]]:
        """How the program is called."""
        return self.task.bicall, {"question": sample.question, "id": sample.id}

    def prepare_eval(self, sample: Sample, y_pred: GeneratorOutput) -> tuple[Any, dict[str, Any]]:
        """How a prediction is scored."""
        return self.eval_fn, {"text": y_pred.data if y_pred else None, "sample": sample}

    def prepare_loss(self, sample: Sample, pred: adal.Parameter) -> tuple[Any, dict[str, Any]]:
        """How a prediction's loss is computed."""
        truth = adal.Parameter(name="y_gt", data=sample.expected, eval_input=sample, requires_opt=False)
        pred.eval_input = pred.full_response.data
        given = {"text": pred, "sample": truth}
        return self.loss_fn, {"kwargs": given, "id": sample.id, "gt": sample.expected}

    def validation_step(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Remembers the prompt that is best on the whole validation set."""
        found = super().validation_step(batch, *args, **kwargs)
        whole = len(found.per_item_scores) == len(self.job.val) and batch[0].split == "val"
        if whole and found.avg_score > self.best[0]:
            self.best = (found.avg_score, str(self.task.prompt.data))
        return found


def answers(samples: list[Sample], prompt: str, model: dict[str, Any]) -> Answers:
    """What a prompt gives for rows; None where there is nothing that can be read."""

    def answer(sample: Sample) -> dict[str, Any] | None:
        llm = adal.Generator(**model, template=TEMPLATE, prompt_kwargs={"system_prompt": prompt}, use_cache=False)
        reply = llm(prompt_kwargs={"input_str": sample.question})
        return last_object(reply.data) if isinstance(reply.data, str) else None

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip((each.id for each in samples), pool.map(answer, samples), strict=True))


def _model(job: Job, name: str, temperature: float, *, url: str = "") -> dict[str, Any]:
    client = Client(api_key="in-the-url", base_url=url or job.search_url)
    kwargs = {"model": job.models[name], "temperature": temperature, "max_output_tokens": TOKENS}
    return {"model_client": client, "model_kwargs": kwargs}


def main() -> None:
    """Search, answer the test rows and write the predictions."""
    job = Job(sys.argv[1])
    home = os.path.expanduser("~")
    splits = {
        split: [
            Sample(
                row["id"],
                split,
                f"{json.dumps(row['inputs'], ensure_ascii=False)}\n\n{form(job.task)}",
                json.dumps(row.get("expected", {}), ensure_ascii=False),
            )
            for row in rows
        ]
        for split, rows in {"train": job.train, "val": job.val, "test": job.test}.items()
    }
    tuning = Tuning(job)
    trainer = adal.Trainer(
        adaltask=tuning,
        strategy="constrained",
        max_steps=job.effort,
        num_workers=THREADS,
        ckpt_path=f"{home}/checkpoints",
    )
    trainer.set_random_seed(job.seed)
    ended = "by itself"
    try:
        trainer.fit(train_dataset=splits["train"], val_dataset=splits["val"])
    except Ceiling:
        ended = "at the ceiling"
    prompt = tuning.best[1]
    val: Answers = {}
    with suppress(Ceiling):  # these calls were made before, and are counted once
        val = answers(splits["val"], prompt, _model(job, "task", 0))
    predictions = answers(splits["test"], prompt, _model(job, "task", 0, url=job.test_url))
    facts = f"a prompt of {len(prompt):,} characters"
    version = re.sub(r"[^0-9.]", "", adal.__version__)
    job.write(
        predictions,
        {"summary": f"AdalFlow ({version}), ended {ended}: {facts}", "val_score": tuning.best[0], "prompt": prompt},
        val=val,
    )


if __name__ == "__main__":
    main()
